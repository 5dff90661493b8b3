"""Encoders: embedded tokens in, one summary of the sequence out."""

from typing import Any

from keras import layers, ops

from textvae.nn.recurrent import GRU, LSTM

CELLS: dict[str, Any] = {"lstm": LSTM, "gru": GRU}
KERNEL = 3  # steps that one convolution sees
APART = 100  # from one layer's seed to the next: the numbers between are other layers'


class RecurrentEncoder(layers.Layer):
    """Recurrent layers on top of one another, and a summary of the last one's steps.

    The mean over the real steps keeps every word's trace, where the last state forgets the first words (Long et al.
    2019); the last state keeps the words' order.

    Args:
        cell: ``"lstm"`` or ``"gru"``.
        hidden: Width of each layer, in each direction.
        depth: Layers.
        bidirectional: Whether a second one reads each sequence from its end, the two side by side.
        summary: ``"mean"``, ``"last"`` for what each direction says last, or ``"both"`` side by side.
        layer_norm: Whether what a layer hands on is normalised (Ba et al. 2016).
        weight_drop: Share of the recurrent weights set to zero for a batch (Merity et al. 2018).
        seed: For ``weight_drop``.
    """

    def __init__(self, cell: str, *, hidden: int, depth: int = 1, bidirectional: bool = False, summary: str = "mean",
                 layer_norm: bool = False, weight_drop: float = 0.0, seed: int, name: str = "encoder") -> None:
        super().__init__(name=name, autocast=False)
        self.hidden, self.summary = hidden, summary

        def stack(way: str, first: int) -> list[Any]:
            return [CELLS[cell](hidden, weight_drop=weight_drop, seed=first + APART * i, name=f"{way}_{i}")
                    for i in range(depth)]

        self.onward = stack("onward", seed)
        self.backward = stack("backward", seed + APART * depth) if bidirectional else []
        self.norms = [layers.LayerNormalization(name=f"norm_{i}") for i in range(depth)] if layer_norm else []

    def build(self, embedded_shape: Any = None) -> None:
        """Nothing to do, see ``Network.build``."""

    def call(self, embedded: Any, real: Any, training: bool = False) -> Any:
        """The summary.

        Args:
            embedded: [batch, time, embedding].
            real: float32 [batch, time], 1 at tokens and 0 at padding, which is at the end.

        Returns:
            float32 [batch, hidden], twice as wide where bidirectional, and again where there are both summaries.
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
        found = [] if self.summary == "last" else [_mean(outputs, real)]
        if self.summary != "mean":
            found += self._last(ops.cast(outputs, "float32"), real)
        return ops.concatenate(found, axis=-1)

    def _last(self, outputs: Any, real: Any) -> list[Any]:
        """What is said at the last token onward, and at the first backward: float32 [batch, hidden] each."""
        ends = ops.maximum(ops.cast(ops.sum(real, axis=1), "int32") - 1, 0)
        last = ops.take_along_axis(outputs[:, :, :self.hidden], ends[:, None, None], axis=1)[:, 0]
        return [last, outputs[:, 0, self.hidden:]] if self.backward else [last]


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
