"""The block and the positions that both transformers are made of."""

from typing import Any

from keras import KerasTensor, layers, ops

from textvae.nn.dropout import Dropout


class Block(layers.Layer):
    """A causal transformer block, normalised before each part.

    Args:
        width: Width of inputs and outputs; the feed-forward layer is four times as wide.
        heads: Attention heads; ``width`` is a multiple of it.
        dropout: Share of attention weights and of each part's output set to zero.
        name: The layer's name.
        seed: For dropout.

    Example:
        >>> import numpy as np
        >>> block = Block(width=8, heads=2, dropout=0.1, name="block", seed=1)
        >>> block(np.zeros((3, 5, 8), "float32")).shape
        TensorShape([3, 5, 8])

    Reference: Vaswani et al. 2017, section 3.1; pre-norm as in Xiong et al. 2020.
    """

    def __init__(self, *, width: int, heads: int, dropout: float, name: str, seed: int) -> None:
        super().__init__(name=name)
        if width % heads:
            raise ValueError(f"width must be a multiple of heads, not {width} with {heads} heads")
        self.width = width
        self.attention_norm = layers.LayerNormalization(epsilon=1e-5, name="attention_norm")
        self.attention = Attention(heads, width // heads, dropout=dropout, seed=seed, name="attention")
        self.feed_norm = layers.LayerNormalization(epsilon=1e-5, name="feed_norm")
        self.widen = layers.Dense(4 * width, activation="gelu", name="widen")
        self.narrow = layers.Dense(width, name="narrow")
        self.dropout = Dropout(dropout, seed=seed + 1, name="dropout")

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Make the weights for inputs ``[batch, time, width]``."""
        self.attention_norm.build(shape)
        self.attention.build(shape)
        self.feed_norm.build(shape)
        self.widen.build(shape)
        self.narrow.build((*shape[:-1], 4 * self.width))

    def call(self, inputs: Any, training: bool = False) -> Any:
        """float32 [batch, time, width] -> the same shape; a position sees itself and those before it.

        Padding needs no mask of its own: it stands on the right, where no real position looks.
        """
        normed = self.attention_norm(inputs)
        attended = self.attention(normed, training=training)
        hidden = inputs + self.dropout(attended, training=training)
        fed = self.narrow(self.widen(self.feed_norm(hidden)))
        return hidden + self.dropout(fed, training=training)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The inputs' shape."""
        return shape


class Attention(layers.MultiHeadAttention):
    """keras' layer with its weights and results, for causal self-attention alone: queries, keys and values are one
    product."""

    def __init__(self, heads: int, size: int, *, dropout: float, seed: int, name: str) -> None:
        super().__init__(heads, size, seed=seed, name=name)
        self.drop = Dropout(dropout, seed=seed, name="dropout")

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Make the weights for inputs ``[batch, time, width]``."""
        super().build(shape, shape)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """float [batch, time, width] -> the same shape; a position sees itself and those before it."""
        time, heads, size = ops.shape(inputs)[1], self.num_heads, self.key_dim
        parts = (self.query_dense, self.key_dense, self.value_dense)
        kernel = ops.concatenate([ops.reshape(part.kernel, (-1, heads * size)) for part in parts], axis=1)
        bias = ops.concatenate([ops.reshape(part.bias, (heads * size,)) for part in parts], axis=0)
        joint = ops.reshape(ops.matmul(inputs, kernel) + bias, (-1, time, 3, heads, size))
        queries, keys, values = ops.unstack(ops.transpose(joint, (2, 0, 3, 1, 4)), 3)  # [batch, heads, time, size]
        scores = ops.matmul(queries * size**-0.5, ops.transpose(keys, (0, 1, 3, 2)))
        steps = ops.arange(time)
        seen = steps[:, None] >= steps[None, :]
        weights = ops.softmax(ops.where(seen, ops.cast(scores, "float32"), -1e9), axis=-1)
        weights = self.drop(ops.cast(weights, values.dtype), training=training)
        return self.output_dense(ops.transpose(ops.matmul(weights, values), (0, 2, 1, 3)))

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:
        """The inputs' shape, in the layer's precision; keras' own takes queries and values."""
        return KerasTensor(inputs.shape, dtype=self.compute_dtype)


def positions(length: Any, width: int) -> Any:
    """Sinusoids that say where in a sequence a step stands: any length, nothing to learn.

    Args:
        length: Steps.
        width: Numbers per step.

    Returns:
        float32 [length, width], sines of falling frequency, then cosines.

    Example:
        >>> positions(4, 6).shape
        TensorShape([4, 6])

    Reference: Vaswani et al. 2017, section 3.5.
    """
    half = -(-width // 2)
    rates = ops.exp(ops.arange(half, dtype="float32") * (-9.210340371976184 / half))  # ln 10,000
    angles = ops.arange(length, dtype="float32")[:, None] * rates[None, :]
    return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)[:, :width]
