"""Encoders: embedded tokens in, one summary of the sequence out."""

from typing import Any

from keras import layers, ops

from textvae.nn.recurrent import GRU, LSTM

CELLS: dict[str, Any] = {"lstm": LSTM, "gru": GRU}
KERNEL = 3  # steps that one convolution sees


class RecurrentEncoder(layers.Layer):
    """Recurrent layers on top of one another; the summary is the mean over the real steps of the last one.

    The mean over time keeps every word's trace, where the last state forgets the first words (Long et al. 2019).

    Args:
        cell: ``"lstm"`` or ``"gru"``.
        hidden: Width of each layer, in each direction.
        depth: Layers.
        bidirectional: Whether a second one reads each sequence from its end, the two side by side.
        layer_norm: Whether what a layer hands on is normalised (Ba et al. 2016).
        weight_drop: Share of the recurrent weights set to zero for a batch (Merity et al. 2018).
        seed: For ``weight_drop``.
    """

    def __init__(self, cell: str, *, hidden: int, depth: int = 1, bidirectional: bool = False, layer_norm: bool = False,
                 weight_drop: float = 0.0, seed: int, name: str = "encoder") -> None:
        super().__init__(name=name, autocast=False)

        def stack(way: str) -> list[Any]:
            return [CELLS[cell](hidden, weight_drop=weight_drop, seed=seed, name=f"{way}_{i}") for i in range(depth)]

        self.onward = stack("onward")
        self.backward = stack("backward") if bidirectional else []
        self.norms = [layers.LayerNormalization(name=f"norm_{i}") for i in range(depth)] if layer_norm else []

    def call(self, embedded: Any, real: Any, training: bool = False) -> Any:
        """The summary.

        Args:
            embedded: [batch, time, embedding].
            real: float32 [batch, time], 1 at tokens and 0 at padding, which is at the end.

        Returns:
            float32 [batch, hidden], twice as wide where bidirectional.
        """
        outputs = embedded
        for i, layer in enumerate(self.onward):
            inputs, outputs = outputs, layer(outputs, training=training)
            if self.backward:
                # Each sequence is turned round within its own length, so that padding stays behind it.
                turned = self.backward[i](_turned(inputs, real), training=training)
                outputs = ops.concatenate([outputs, _turned(turned, real)], axis=-1)
            if self.norms:
                outputs = self.norms[i](outputs)
        return _mean(outputs, real)


class ConvolutionalEncoder(layers.Layer):
    """Convolutions over time with residual connections; the summary is the mean over the real steps.

    Args:
        hidden: Filters.
        depth: Convolutions, each of which sees three steps.
        layer_norm: Whether their inputs are normalised.
    """

    def __init__(self, *, hidden: int, depth: int = 1, layer_norm: bool = False, name: str = "encoder") -> None:
        super().__init__(name=name, autocast=False)
        self.widen = layers.Dense(hidden, name="widen")
        self.convolutions = [layers.Conv1D(hidden, KERNEL, padding="same", activation="gelu", name=f"convolution_{i}")
                             for i in range(depth)]
        self.norms = [layers.LayerNormalization(name=f"norm_{i}") for i in range(depth)] if layer_norm else []

    def call(self, embedded: Any, real: Any, training: bool = False) -> Any:
        """The summary; see ``RecurrentEncoder.call``."""
        outputs = self.widen(embedded)
        for i, convolution in enumerate(self.convolutions):
            inputs = self.norms[i](outputs) if self.norms else outputs
            # Padding is set to zero before each, so that a sequence reads the same at every width of batch.
            outputs = outputs + convolution(inputs * ops.cast(real, inputs.dtype)[:, :, None])
        return _mean(outputs, real)


def _turned(sequences: Any, real: Any) -> Any:
    """Each sequence from its last token to its first, padding where it was."""
    places = ops.arange(ops.shape(real)[1], dtype="int32")[None, :]
    lengths = ops.cast(ops.sum(real, axis=1), "int32")[:, None]
    places = ops.where(places < lengths, lengths - 1 - places, places)
    return ops.take_along_axis(sequences, places[:, :, None], axis=1)


def _mean(outputs: Any, real: Any) -> Any:
    outputs = ops.cast(outputs, "float32")
    return ops.sum(outputs * real[:, :, None], axis=1) / ops.maximum(ops.sum(real, axis=1)[:, None], 1.0)
