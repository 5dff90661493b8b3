"""What the embedding VAE measured of its compressed word vectors, passed on with definitions."""

from textvae.data import CompressedVectors
from textvae.evaluate.subject import Metrics, entry

WORDS = "over a twentieth of the tokens, from which nothing was learnt or chosen"
KEPT = "share of each token's nearest neighbours (cosine) that are neighbours still after compression"
DEFINITIONS = {
    "mse_held_out": ("mean squared error", f"per dimension of the word vectors, from the posterior mean, {WORDS}"),
    "pca_mse_held_out": ("mean squared error", "the same of PCA at the same width"),
    "explained_variance_held_out": ("share", f"variance of the word vectors that comes back, {WORDS}"),
    "kl_held_out": ("nats/token", f"KL(q(z|v) || p(z)), {WORDS}"),
    "active_units_held_out": ("dimensions", f"whose posterior mean has a variance above 0.01, {WORDS}"),
    "neighbour_survival_held_out": ("share", f"{KEPT}, {WORDS}"),
    "pca_neighbour_survival_held_out": ("share", "the same of PCA at the same width"),
    "svd_neighbour_survival_held_out": ("share", "the same of SVD at the same width"),
}


def vectors(compressed: CompressedVectors) -> Metrics:
    """The held-out metrics of the stage ``embedding_vae``, by name with ``embedding_vae_`` before it."""
    found = compressed.metrics
    return {f"embedding_vae_{name.removesuffix('_held_out')}": entry(float(found[name]), unit, definition)
            for name, (unit, definition) in DEFINITIONS.items() if name in found}
