"""A causal transformer that predicts a post's next sentence latent from those before."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from textvae.nn import across
from textvae.nn.dropout import Dropout
from textvae.nn.network import Network
from textvae.nn.transformer import Block, positions

LOG_VAR = (-6.0, 3.0)  # in standardised units: a variance outside e^-6 to e^3 is a fit to one lucky or unlucky row


class LatentTransformer(Network):
    """Reads latents standardised per dimension and gives a diagonal Gaussian over the next.

    Dimensions that the training split leaves inactive are read as zero and not counted: standardised, they would be
    pure noise of the size of a signal.

    Args:
        latent: Dimensions of a latent.
        layers: Transformer blocks.
        width: Width of a block; a multiple of ``heads``.
        heads: Attention heads.
        dropout: Share of inputs and activations set to zero.
        seed: For the first weights and dropout.

    Training takes ``inputs`` and ``targets`` float32 [batch, time, latent] in their own scale, the one a step behind
    the other, and ``real`` float32 [batch, time], 0 where there is padding.
    """

    kind = "latent_transformer"

    def __init__(self, *, latent: int, layers: int, width: int, heads: int, dropout: float, seed: int) -> None:
        super().__init__(name=self.kind, autocast=False)
        keras.utils.set_random_seed(seed)
        self.settings = {"latent": latent, "layers": layers, "width": width, "heads": heads, "dropout": dropout}
        self.width = width
        self.widen = keras.layers.Dense(width, name="widen")
        self.drop_in = Dropout(dropout, seed=seed, name="drop_in")
        self.blocks = [Block(width=width, heads=heads, dropout=dropout, name=f"block_{i}", seed=seed + 1 + 2 * i)
                       for i in range(layers)]
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5, name="norm")
        # Zeros: the first prediction is the training split's mean with its variance, the baseline to beat.
        self.next_mean = keras.layers.Dense(latent, kernel_initializer="zeros", name="next_mean")
        self.next_log_var = keras.layers.Dense(latent, kernel_initializer="zeros", name="next_log_var")
        for name, first in (("shift", "zeros"), ("scale", "ones"), ("active", "ones")):
            # Without autocast: what adds to float32 stays float32 in every precision.
            setattr(self, name, self.add_weight(shape=(latent,), initializer=first, trainable=False, name=name,
                                                autocast=False))
        window = keras.KerasTensor((1, 2, latent))
        self({"inputs": window, "targets": window, "real": keras.KerasTensor((1, 2))})

    def standardise(self, mean: np.ndarray, deviation: np.ndarray, active: np.ndarray) -> None:
        """Take the training split's statistics, float32 [latent] each, and which dimensions count, bool [latent]."""
        self.shift.assign(mean)
        self.scale.assign(np.where(deviation > 0, deviation, 1.0))
        self.active.assign(active.astype(np.float32))

    def predict_next(self, inputs: dict[str, Any], training: bool = False) -> tuple[Any, Any]:
        """The Gaussian over the latent after each step.

        Args:
            inputs: ``inputs`` float32 [batch, time, latent], a post's latents in order, in their own scale.

        Returns:
            Mean and log-variance, float32 [batch, time, latent] each, in the same scale; inactive dimensions have the
            training split's.
        """
        mean, log_var = self._standard(self._standardised(inputs["inputs"]), training)
        return mean * self.scale + self.shift, log_var + 2.0 * ops.log(self.scale)

    def _standardised(self, latents: Any) -> Any:
        return (latents - self.shift) / self.scale * self.active

    def _standard(self, standard: Any, training: bool) -> tuple[Any, Any]:
        hidden = self.widen(standard)
        hidden = hidden + ops.cast(positions(ops.shape(standard)[1], self.width), hidden.dtype)
        hidden = self.drop_in(hidden, training=training)
        for block in self.blocks:
            hidden = block(hidden, training=training)
        hidden = self.norm(hidden)
        mean, log_var = (ops.cast(layer(hidden), "float32") for layer in (self.next_mean, self.next_log_var))
        return mean * self.active, ops.clip(log_var, *LOG_VAR) * self.active

    def terms(self, inputs: dict[str, Any], training: bool) -> dict[str, Any]:
        """Of each window, summed over its steps: ``nll`` in nats, ``squared`` error, how many ``numbers`` they count.

        All in standardised units, over active dimensions.
        """
        mean, log_var = self._standard(self._standardised(inputs["inputs"]), training)
        squared = ops.square(self._standardised(inputs["targets"]) - mean)
        counted = inputs["real"][:, :, None] * self.active
        nll = 0.5 * (math.log(2 * math.pi) + log_var + squared * ops.exp(-log_var))
        return {"nll": ops.sum(nll * counted, axis=(1, 2)), "squared": ops.sum(squared * counted, axis=(1, 2)),
                "numbers": ops.sum(counted, axis=(1, 2))}

    def objective(self, terms: dict[str, Any]) -> Any:
        """The batch mean of ``nll``."""
        return across.mean(terms["nll"])
