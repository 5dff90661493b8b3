"""Compress the word vectors, and measure what the compression keeps."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from textvae.config import EmbeddingVAEConfig
from textvae.data import CompressedVectors, TrainedNetwork, WordVectors
from textvae.errors import InputError
from textvae.progress import Progress
from textvae.seeds import child, fraction

MEASURED, CHOOSING = 0.05, 0.1  # shares of tokens held out: up to the first for the metrics, from it to choose an epoch
BLOCK = 4096  # words encoded at once
CELLS = 20_000_000  # similarities held at once: 80 MB
QUERIES = 20_000  # words whose neighbours are compared; all pairs of a vocabulary of 200,000 would take an hour


def run(config: EmbeddingVAEConfig, word_vectors: WordVectors, *, seed: int, progress: Progress,
        scratch: Path) -> CompressedVectors:
    """Train the network of ``textvae.nn.EmbeddingVAE`` on the tokens that word2vec has met.

    Args:
        config: Widths, weights of the loss and epochs.
        word_vectors: What to compress.
        seed: For the first weights, noise and order.
        progress: Who watches.
        scratch: Folder for the checkpoint.

    Returns:
        Posterior means; rows of tokens never met are zero. The metrics' ``_held_out`` are of a twentieth of the tokens,
        by a hash of their text, that neither the network nor PCA and SVD were fitted on. The best epoch is that of
        another twentieth.

    Raises:
        InputError: Fewer than two tokens were met.
    """
    import keras

    from textvae import nn, plots
    from textvae.nn.training import fit
    from textvae.nn.weights import gather

    vectors = word_vectors.vectors
    met = np.flatnonzero(word_vectors.counts > 0)
    place = np.array([fraction(f"embedding_vae/{word_vectors.vocabulary[i]}") for i in met], float)
    held_out, known = place < MEASURED, place >= CHOOSING
    train, choosing = vectors[met[known]], vectors[met[~held_out & ~known]]
    if len(train) < 2:
        raise InputError(f"only {len(met)} tokens have a word vector", "use a larger corpus")
    network = nn.NETWORKS["embedding_vae"](
        dim=vectors.shape[1], hidden=config.hidden, latent=config.latent, beta=config.beta,
        similarity=config.similarity, seed=child(seed, "weights"))
    network.start(train)
    steps = -(-len(train) // config.batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps * config.epochs)
    # Without XLA: on two busy cores a step took 5 ms without it and 16 ms with it.
    network.compile(optimizer=keras.optimizers.Adam(schedule), jit_compile=network.xla(False))
    fitted = fit(
        network,
        lambda epoch: _batches(train[np.random.default_rng(child(seed, f"epoch-{epoch}")).permutation(len(train))],
                               config.batch_size),
        lambda: _batches(choosing, config.batch_size),
        epochs=config.epochs, patience=config.epochs, steps=steps, scratch=scratch, progress=progress)
    mean, log_var = _blocks(nn.Compiled(network, network.posterior), vectors=vectors[met])
    compressed = np.zeros((len(vectors), config.latent), np.float32)
    compressed[met] = mean
    back = _blocks(nn.Compiled(network, network.reconstruct), z=mean)[0]
    with progress.task("comparing neighbours"):
        metrics = {"tokens": len(met), "tokens_held_out": int(held_out.sum()), "best_epoch": fitted.best_epoch,
                   "parameters": network.count_params(),
                   **_measures(vectors[met], mean, log_var, back, held_out, known),
                   **_survival(vectors[met], mean, held_out, known, min(config.neighbours, len(met) - 1), seed)}
    return CompressedVectors(compressed, TrainedNetwork(
        network.kind, network.settings, gather(network), metrics, fitted.history,
        plots.history(fitted.history, title="embedding_vae")))


def _batches(rows: np.ndarray, size: int) -> Iterator[dict[str, np.ndarray]]:
    for start in range(0, len(rows), size):
        yield {"vectors": rows[start:start + size]}


def _blocks(compiled: Any, **arrays: np.ndarray) -> list[np.ndarray]:
    """Run a compiled function over blocks of rows, and join what it gives."""
    count = len(next(iter(arrays.values())))
    parts = []
    for start in range(0, count, BLOCK):
        part = compiled.run(**{name: array[start:start + BLOCK] for name, array in arrays.items()})
        parts.append(part if isinstance(part, list | tuple) else (part,))
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _measures(vectors: np.ndarray, mean: np.ndarray, log_var: np.ndarray, back: np.ndarray,
              held_out: np.ndarray, known: np.ndarray) -> dict[str, float]:
    """Reconstruction, KL and active units, of the held-out words; of all where none is held out.

    ``mse`` is per dimension in the vectors' own scale, from the posterior mean; ``kl`` is in nats per word.
    """
    rows = held_out if held_out.any() else np.ones(len(vectors), bool)
    error = np.square(vectors[rows] - back[rows]).mean()
    # Against the mean of the training words, which is what a model without any latent would say.
    centre = vectors[known].mean(axis=0)
    variance = np.square(vectors[rows] - centre).mean()
    kl = 0.5 * (np.square(mean[rows]) + np.exp(log_var[rows]) - 1 - log_var[rows]).sum(axis=1)
    return {"mse_held_out": float(error), "explained_variance_held_out": float(1 - error / max(variance, 1e-12)),
            "kl_held_out": float(kl.mean()), "active_units_held_out": int((mean[rows].var(axis=0) > 0.01).sum())}


def _survival(vectors: np.ndarray, mean: np.ndarray, held_out: np.ndarray, known: np.ndarray, k: int, seed: int
              ) -> dict[str, Any]:
    """How many of each word's k nearest neighbours survive, beside PCA and SVD of the same width."""
    from sklearn.decomposition import PCA

    train = vectors[known]
    width = min(mean.shape[1], *train.shape)
    pca = PCA(width, svd_solver="full").fit(train)
    # SVD is PCA that leaves the mean in: the stronger rival where neighbours are told by cosine.
    _, axes = np.linalg.eigh(train.T.astype(np.float64) @ train)
    rivals = {"": mean, "pca_": pca.transform(vectors), "svd_": vectors @ axes[:, ::-1][:, :width].astype(np.float32)}
    queries = np.sort(np.random.default_rng(child(seed, "queries")).permutation(len(vectors))[:QUERIES])
    before = nearest(vectors, queries, k)
    out: dict[str, Any] = {"neighbours": k}
    for name, rival in rivals.items():
        after = nearest(rival, queries, k)
        kept = np.array([len(np.intersect1d(a, b)) for a, b in zip(before, after, strict=True)]) / k
        out[f"{name}neighbour_survival"] = float(kept.mean())
        if held_out[queries].any():
            out[f"{name}neighbour_survival_held_out"] = float(kept[held_out[queries]].mean())
    rows = held_out if held_out.any() else np.ones(len(vectors), bool)
    back = pca.inverse_transform(pca.transform(vectors[rows]))
    out["pca_mse_held_out"] = float(np.square(back - vectors[rows]).mean())
    return out


def nearest(rows: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """The rows nearest by cosine, block by block.

    Args:
        rows: float32 [words, dim].
        queries: int64 [queries]; whose neighbours to find.
        k: How many, itself not counted.

    Returns:
        int64 [queries, k], in no order.

    Example:
        >>> nearest(np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], np.float32), np.array([0, 3]), 1).tolist()
        [[1], [2]]
    """
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    found = np.empty((len(queries), k), np.int64)
    size = max(1, CELLS // len(rows))
    for start in range(0, len(queries), size):
        block = queries[start:start + size]
        similar = unit[block] @ unit.T
        similar[np.arange(len(block)), block] = -np.inf
        found[start:start + size] = np.argpartition(similar, -k, axis=1)[:, -k:]
    return found
