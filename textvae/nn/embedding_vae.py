"""A dense VAE that compresses word vectors."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from textvae.nn import gaussian
from textvae.nn.network import Network


class EmbeddingVAE(Network):
    """Encoder and decoder over standardised word vectors, each a straight projection plus a curved correction.

    The straight path is a linear VAE, which finds PCA's subspace (Lucas et al. 2019); the hidden layer adds what
    lies off it. The term ``similarity`` keeps the angles between words, which the KL alone would not: at its
    optimum every latent dimension has variance 1, however much or little it says.

    Args:
        dim: Numbers per word vector.
        hidden: Width of the hidden layer.
        latent: Numbers per compressed vector.
        beta: Weight of the KL.
        similarity: Weight of the term that keeps the cosines between words.
        seed: For the first weights and the posterior's noise.

    Training takes ``vectors`` float32 [batch, dim].
    """

    kind = "embedding_vae"

    def __init__(self, *, dim: int, hidden: int, latent: int, beta: float, similarity: float, seed: int) -> None:
        super().__init__(name=self.kind, autocast=False)
        keras.utils.set_random_seed(seed)
        self.settings = {"dim": dim, "hidden": hidden, "latent": latent, "beta": beta, "similarity": similarity}
        self.beta, self.similarity = beta, similarity
        self.noise = keras.random.SeedGenerator(seed)
        # Orthogonal rows start the straight path as a projection that keeps angles about as they are.
        self.straight = layers.Dense(latent, kernel_initializer="orthogonal", name="straight")
        self.encoder = layers.Dense(hidden, activation="gelu", name="encoder")
        self.curved = layers.Dense(latent, kernel_initializer="zeros", name="curved")
        self.log_var = layers.Dense(latent, kernel_initializer="zeros", name="log_var",
                                    bias_initializer=keras.initializers.Constant(-4.0))
        self.decoder = layers.Dense(hidden, activation="gelu", name="decoder")
        self.straight_back = layers.Dense(dim, kernel_initializer="orthogonal", name="straight_back")
        self.curved_back = layers.Dense(dim, kernel_initializer="zeros", name="curved_back")
        # Without autocast: what adds to float32 stays float32 in every precision.
        fixed = {"trainable": False, "autocast": False}
        self.shift = self.add_weight(shape=(dim,), initializer="zeros", name="shift", **fixed)
        self.scale = self.add_weight(shape=(dim,), initializer="ones", name="scale", **fixed)
        self({"vectors": keras.KerasTensor((2, dim))})

    def start(self, vectors: np.ndarray) -> None:
        """Take the training words' statistics, and start the straight path as their best linear compression.

        Args:
            vectors: float32 [words, dim], at least one.
        """
        mean, deviation = vectors.mean(axis=0), vectors.std(axis=0)
        deviation = np.where(deviation > 0, deviation, 1.0).astype(np.float32)
        self.shift.assign(mean)
        self.scale.assign(deviation)
        # About the origin and not about the mean, as PCA would: only that keeps the cosines.
        _, axes = np.linalg.eigh(vectors.T.astype(np.float64) @ vectors)
        axes = axes[:, ::-1][:, :self.straight.units]
        axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
        spread = np.sqrt(np.mean(np.square(vectors @ axes))) or 1.0  # the prior expects latents of size 1
        wide = np.zeros((len(mean), self.straight.units))
        wide[:, :axes.shape[1]] = axes
        self.straight.kernel.assign(deviation[:, None] * wide / spread)
        self.straight.bias.assign(mean @ wide / spread)
        self.straight_back.kernel.assign(wide.T * spread / deviation)
        self.straight_back.bias.assign(-mean / deviation)

    def posterior(self, inputs: dict[str, Any]) -> tuple[Any, Any]:
        """Mean and log-variance of q(z|vector).

        Args:
            inputs: ``vectors`` float32 [batch, dim], in their own scale.

        Returns:
            float32 [batch, latent] each.
        """
        return self._posterior((inputs["vectors"] - self.shift) / self.scale)

    def reconstruct(self, inputs: dict[str, Any]) -> Any:
        """Word vectors float32 [batch, dim], in their own scale, from ``z`` float32 [batch, latent]."""
        return self._decode(inputs["z"]) * self.scale + self.shift

    def _posterior(self, standard: Any) -> tuple[Any, Any]:
        hidden = self.encoder(standard)
        mean = ops.cast(self.straight(standard), "float32") + ops.cast(self.curved(hidden), "float32")
        return mean, ops.cast(self.log_var(hidden), "float32")

    def _decode(self, z: Any) -> Any:
        return ops.cast(self.straight_back(z), "float32") + ops.cast(self.curved_back(self.decoder(z)), "float32")

    def terms(self, inputs: dict[str, Any], training: bool) -> dict[str, Any]:
        """``reconstruction`` and ``kl`` in nats per word, and ``similarity``.

        ``reconstruction`` is that of a Gaussian with variance 1 in standardised units, its constant left out.
        ``similarity`` is the mean squared difference of the cosines before and after, over all pairs of the batch,
        times the number of dimensions, which puts it on the scale of the other two.
        """
        vectors = inputs["vectors"]
        standard = (vectors - self.shift) / self.scale
        mean, log_var = self._posterior(standard)
        z = gaussian.sample(mean, log_var, keras.random.normal(ops.shape(mean), seed=self.noise)) if training else mean
        difference = _cosines(vectors) - _cosines(mean)
        return {"reconstruction": 0.5 * ops.sum(ops.square(standard - self._decode(z)), axis=-1),
                "kl": ops.sum(gaussian.kl(mean, log_var), axis=-1),
                "similarity": self.settings["dim"] * ops.mean(ops.square(difference), axis=-1)}

    def objective(self, terms: dict[str, Any]) -> Any:
        """``reconstruction + beta * kl + similarity_weight * similarity``, batch means."""
        return ops.mean(terms["reconstruction"] + self.beta * terms["kl"] + self.similarity * terms["similarity"])


def _cosines(rows: Any) -> Any:
    """Cosine between every two rows: float32 [batch, batch]."""
    unit = rows / ops.sqrt(ops.sum(ops.square(rows), axis=-1, keepdims=True) + 1e-12)
    return ops.matmul(unit, ops.transpose(unit))
