"""LSTM and GRU layers whose loops do nothing but the recurrence.

keras' own layers multiply inputs and states step by step, forwards and backwards. Here the inputs of all steps are
multiplied at once before the loop, and the recurrent kernel's gradient is one product after the backward loop, as cuDNN
does it (Appleyard et al. 2016, section 3). Weights, their names and the results are those of keras' layers, which run
instead where there is a GPU, but on JAX: cuDNN is behind them.
"""

from contextlib import suppress
from typing import Any

import keras
from keras import layers, ops

from textvae.nn.dropout import dropped


class LSTM(layers.LSTM):
    """keras' LSTM with return_sequences; inputs ``[batch, time, width]``, no mask.

    Args:
        units: Width of the state.
        weight_drop: Share of the recurrent weights set to zero, anew for each batch of training and the same at all of
            its steps (Merity et al. 2018). cuDNN cannot.
        seed: For ``weight_drop``.
    """

    def __init__(self, units: int, *, weight_drop: float = 0.0, seed: int = 0, name: str) -> None:
        super().__init__(units, return_sequences=True, use_cudnn=_cudnn(weight_drop), name=name)
        self.weight_drop = weight_drop
        self.drops = keras.random.SeedGenerator(seed) if weight_drop else None

    def inner_loop(self, sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> Any:
        """Outputs at the last step and at all steps, and the last state, for keras."""
        if self.use_cudnn:
            with suppress(ValueError):  # keras' word that there is no cuDNN here
                return super().inner_loop(sequences, initial_state, mask, training)
        hidden, cell = (ops.cast(state, "float32") for state in initial_state)
        projected = _projected(sequences, self.cell.kernel, self.cell.bias)
        outputs = _lstm(projected, _dropped(self, training), hidden, cell)
        outputs = ops.cast(ops.transpose(outputs, (1, 0, 2)), sequences.dtype)
        # The last cell state is nobody's concern here, so the loop does not hand it out.
        return outputs[:, -1], outputs, [outputs[:, -1], ops.zeros_like(outputs[:, -1])]

    def advance(self, projected: Any, state: list[Any]) -> tuple[Any, list[Any]]:
        """One step from inputs that are multiplied already.

        Args:
            projected: float32 [batch, 4 * units], inputs times the input kernel, with the bias.
            state: float32 [batch, units] each, the output before and the cell.

        Returns:
            The output, float32 [batch, units], and the next state.
        """
        hidden, cell, _ = _lstm_step(projected, self.cell.recurrent_kernel[:], *state)
        return hidden, [hidden, cell]


class GRU(layers.GRU):
    """keras' GRU with return_sequences, reset after the product; arguments and inputs as those of ``LSTM``."""

    def __init__(self, units: int, *, weight_drop: float = 0.0, seed: int = 0, name: str) -> None:
        super().__init__(units, return_sequences=True, use_cudnn=_cudnn(weight_drop), name=name)
        self.weight_drop = weight_drop
        self.drops = keras.random.SeedGenerator(seed) if weight_drop else None

    def inner_loop(self, sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> Any:
        """Outputs at the last step and at all steps, and the last state, for keras."""
        if self.use_cudnn:
            with suppress(ValueError):  # keras' word that there is no cuDNN here
                return super().inner_loop(sequences, initial_state, mask, training)
        hidden = ops.cast(initial_state[0] if isinstance(initial_state, list | tuple) else initial_state, "float32")
        projected = _projected(sequences, self.cell.kernel, self.cell.bias[0])
        outputs = _gru(projected, _dropped(self, training), ops.cast(self.cell.bias[1], "float32"), hidden)
        outputs = ops.cast(ops.transpose(outputs, (1, 0, 2)), sequences.dtype)
        return outputs[:, -1], outputs, [outputs[:, -1]]

    def advance(self, projected: Any, state: list[Any]) -> tuple[Any, list[Any]]:
        """As ``LSTM.advance``; projected float32 [batch, 3 * units], the state is the output before."""
        bias = ops.cast(self.cell.bias[1], "float32")
        hidden, _ = _gru_step(projected, self.cell.recurrent_kernel[:], bias, *state)
        return hidden, [hidden]


def _cudnn(weight_drop: float) -> bool:
    # JAX's cuDNN knows no bfloat16, and took three times as long as this loop: benchmarks/recurrent.py.
    return not weight_drop and keras.config.backend() in ("tensorflow", "torch")


def input_bias(layer: Any) -> Any:
    """The bias that goes with the inputs of an ``LSTM`` or ``GRU``, float32 [gates * units]."""
    bias = layer.cell.bias
    return ops.cast(bias if len(bias.shape) == 1 else bias[0], "float32")


def _dropped(layer: Any, training: bool) -> Any:
    kernel = layer.cell.recurrent_kernel[:]
    if not layer.weight_drop or not training:
        return kernel
    return dropped(kernel, layer.weight_drop, seed=layer.drops)


def _projected(sequences: Any, kernel: Any, bias: Any) -> Any:
    """The inputs' part of the gates at every step: float32 [time, batch, gates * hidden]."""
    return _product(ops.transpose(sequences, (1, 0, 2)), kernel) + ops.cast(bias, "float32")


def _product(left: Any, right: Any) -> Any:
    """The product in the precision of the right factor, handed out in float32, in which states and gates are kept."""
    return ops.cast(ops.matmul(ops.cast(left, right.dtype), right), "float32")


def _lstm_step(projected: Any, kernel: Any, hidden: Any, cell: Any) -> tuple[Any, Any, Any]:
    """The next output and cell, [batch, hidden] each, and the gates, [batch, 4 * hidden]."""
    i, f, g, o = ops.split(projected + _product(hidden, kernel), 4, axis=-1)
    i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
    cell = f * cell + i * g
    return o * ops.tanh(cell), cell, ops.concatenate([i, f, g, o], axis=-1)


@ops.custom_gradient
def _lstm(projected: Any, kernel: Any, hidden: Any, cell: Any) -> Any:
    """Run the recurrence.

    Args:
        projected: Inputs times the input kernel, with the bias, float32 [time, batch, 4 * hidden] in keras' order of
            gates: input, forget, candidate, output.
        kernel: Recurrent kernel, [hidden, 4 * hidden], in the precision that products are to be taken in.
        hidden, cell: The first state, float32 [batch, hidden] each.

    Returns:
        Outputs float32 [time, batch, hidden], and the function that gives the arguments' gradients.
    """

    def step(state: Any, own: Any) -> Any:
        hidden, cell, _ = state
        state = _lstm_step(own, kernel, hidden, cell)
        return state, state

    # The gates are in the state because keras' scan on TensorFlow hands out what is shaped like the state alone.
    _, (outputs, cells, gates) = ops.scan(step, (hidden, cell, ops.zeros_like(projected[0])), projected)

    def gradient(*arguments: Any, upstream: Any = None) -> Any:
        upstream = arguments[0] if upstream is None else upstream
        transposed = ops.transpose(kernel)
        units = hidden.shape[-1]
        # What needs no gradient of a later step is computed here, for all steps at once. It is one tensor because
        # keras' scan over several needs their length before it runs.
        before = ops.concatenate([cell[None], cells[:-1]], axis=0)
        squashed = ops.tanh(cells)
        i, f, g, o = ops.split(gates, 4, axis=-1)
        known = ops.concatenate([g * i * (1.0 - i), before * f * (1.0 - f), i * (1.0 - g * g),
                                 squashed * o * (1.0 - o), o * (1.0 - squashed * squashed), f, upstream], axis=-1)

        def back(state: Any, own: Any) -> Any:
            d_hidden, d_cell, _ = state
            slope, cell_slope, forget, d_output = ops.split(own, [4 * units, 5 * units, 6 * units], axis=-1)
            d_hidden = d_hidden + d_output
            d_cell = d_cell + d_hidden * cell_slope
            d_gates = ops.concatenate([d_cell, d_cell, d_cell, d_hidden], axis=-1) * slope
            state = (_product(d_gates, transposed), d_cell * forget, d_gates)
            return state, state

        zeros = (ops.zeros_like(hidden), ops.zeros_like(cell), ops.zeros_like(gates[0]))
        (d_hidden, d_cell, _), (_, _, d_projected) = ops.scan(back, zeros, known, reverse=True)
        return d_projected, _kernel_gradient(kernel, hidden, outputs, d_projected), d_hidden, d_cell

    return outputs, gradient


def _gru_step(projected: Any, kernel: Any, bias: Any, hidden: Any) -> tuple[Any, Any]:
    """The next output, and the gates with the recurrent part of the candidate, [batch, 4 * hidden]."""
    z, r, g = ops.split(projected, 3, axis=-1)
    from_z, from_r, inner = ops.split(_product(hidden, kernel) + bias, 3, axis=-1)
    z, r = ops.sigmoid(z + from_z), ops.sigmoid(r + from_r)
    g = ops.tanh(g + r * inner)
    return z * hidden + (1.0 - z) * g, ops.concatenate([z, r, g, inner], axis=-1)


@ops.custom_gradient
def _gru(projected: Any, kernel: Any, bias: Any, hidden: Any) -> Any:
    """Run the recurrence; as ``_lstm``, with gates in keras' order: update, reset, candidate.

    Args:
        projected: float32 [time, batch, 3 * hidden].
        kernel: [hidden, 3 * hidden].
        bias: Of the recurrent product, float32 [3 * hidden].
        hidden: The first state, float32 [batch, hidden].
    """

    def step(state: Any, own: Any) -> Any:
        hidden, _ = state
        state = _gru_step(own, kernel, bias, hidden)
        return state, state

    room = ops.concatenate([projected[0], ops.zeros_like(hidden)], axis=-1)
    _, (outputs, gates) = ops.scan(step, (hidden, room), projected)

    def gradient(*arguments: Any, upstream: Any = None) -> Any:
        upstream = arguments[0] if upstream is None else upstream
        units = hidden.shape[-1]
        transposed = ops.transpose(kernel)
        before = ops.concatenate([hidden[None], outputs[:-1]], axis=0)
        z, r, g, inner = ops.split(gates, 4, axis=-1)
        slope = (1.0 - z) * (1.0 - g * g)
        known = ops.concatenate([(before - g) * z * (1.0 - z), slope * inner * r * (1.0 - r), slope * r, z, upstream],
                                axis=-1)

        def back(state: Any, own: Any) -> Any:
            d_hidden, *_ = state
            slopes, keep, d_output = ops.split(own, [3 * units, 4 * units], axis=-1)
            d_hidden = d_hidden + d_output
            d_products = ops.concatenate([d_hidden, d_hidden, d_hidden], axis=-1) * slopes
            state = (_product(d_products, transposed) + d_hidden * keep, d_products, d_hidden)
            return state, state

        zeros = (ops.zeros_like(hidden), ops.zeros_like(known[0, :, :3 * units]), ops.zeros_like(hidden))
        (d_hidden, *_), (_, d_products, d_outputs) = ops.scan(back, zeros, known, reverse=True)
        d_z, d_r, _ = ops.split(d_products, 3, axis=-1)
        return (ops.concatenate([d_z, d_r, d_outputs * slope], axis=-1),
                _kernel_gradient(kernel, hidden, outputs, d_products),
                ops.sum(d_products, axis=(0, 1)), d_hidden)

    return outputs, gradient


def _kernel_gradient(kernel: Any, hidden: Any, outputs: Any, d_products: Any) -> Any:
    """The recurrent kernel's gradient, all steps in one product: of the kernel's shape and precision."""
    states = ops.concatenate([hidden[None], outputs[:-1]], axis=0)
    width, units = d_products.shape[-1], hidden.shape[-1]
    states, d_products = (ops.cast(ops.reshape(part, (-1, size)), kernel.dtype)
                          for part, size in ((states, units), (d_products, width)))
    return ops.matmul(ops.transpose(states), d_products)
