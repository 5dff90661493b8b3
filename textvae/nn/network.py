"""What every network shares: a loss that is a dict of named terms, weighted in one line."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from textvae import graphs
from textvae.nn import across
from textvae.nn.batching import PAD

# Steps of a training under which XLA takes longer over its four shapes, each twice, than it saves.
SHORT = 500


class Network(keras.Model):
    """A keras model whose ``call`` gives named loss terms.

    A child says what its ``terms`` are and how ``objective`` weighs them; ``train_on_batch`` and ``test_on_batch`` then
    return every term's batch mean, unweighted, beside ``loss``.
    """

    kind: str
    train_function: Any
    test_function: Any

    @property
    def takes_xla(self) -> bool:
        """Whether XLA can compile it: on TensorFlow, but where cuDNN runs its recurrent layers, and on JAX.

        keras' own ``jit_compile="auto"`` leaves XLA out on every CPU, where it pays as well.
        """
        return keras.config.backend() in ("tensorflow", "jax") and all(layer.supports_jit for layer in self.layers)

    def xla(self, wanted: bool) -> bool:
        """What keras' ``jit_compile`` must be: whether XLA is wanted and can; JAX always takes it, having no other.

        Without it keras sends JAX one operation after the other from Python.
        """
        return self.takes_xla and (wanted or keras.config.backend() == "jax")

    def pays(self, steps: int) -> bool:
        """Whether XLA is worth its time in a training of so many steps, where it can compile the network at all."""
        return steps >= SHORT and self.takes_xla

    def make_train_function(self, force: bool = False) -> Any:
        """keras' training step; TensorFlow traces it once for batches of every shape."""
        if force or self.train_function is None:
            super().make_train_function(force=True)
            self.train_function = _of_batches(self.train_function, self.train_step, self)
        return self.train_function

    def make_test_function(self, force: bool = False) -> Any:
        """keras' step of a test; TensorFlow traces it once for batches of every shape."""
        if force or self.test_function is None:
            super().make_test_function(force=True)
            self.test_function = _of_batches(self.test_function, self.test_step, self)
        return self.test_function

    def build(self, input_shape: Any = None) -> None:
        """Nothing to do: its layers make their weights in its first call.

        Without this keras traces that call before it makes it, for seconds.
        """

    def terms(self, inputs: dict[str, Any], training: bool) -> dict[str, Any]:
        """Compute the loss terms.

        Args:
            inputs: Arrays by name, each with the batch as its first axis.
            training: Whether dropout and sampling are on.

        Returns:
            float32 tensors by name, each ``[batch]``, or ``[]`` for a term of the whole batch.
        """
        raise NotImplementedError

    def objective(self, terms: dict[str, Any]) -> Any:
        """Weigh the terms into the scalar that training makes small."""
        raise NotImplementedError

    def call(self, inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """The loss terms of a batch, see ``terms``, and ``loss``, what ``objective`` makes of them."""
        # Here, since keras lets a metric on JAX see variables as they were when its step was compiled.
        terms = self.terms(inputs, training)
        return {"loss": self.objective(terms), **terms}

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None,
                     training: bool = True) -> Any:
        """The objective, for keras; times a batch's ``share``, float32 [batch], where batches differ in size."""
        return y_pred["loss"] * (ops.mean(x["share"]) if "share" in x else 1.0)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """The batch mean of every term, for keras."""
        return {name: across.mean(value) for name, value in y_pred.items()}


def _of_batches(own: Any, step: Callable[[Any], Any], network: Network) -> Any:
    """What keras calls with an iterator over batches; ``own`` is what it made for that.

    It keeps its own where its ``fit`` hands it a ``tf.data`` iterator.
    """
    if keras.config.backend() != "tensorflow" or network.run_eagerly:
        return own
    traced = graphs.for_every_shape(step, network.jit_compile)
    return lambda batches: own(batches) if hasattr(batches, "element_spec") else traced(next(iter(batches)))


def sum_at_real_tokens(loss: Callable[[Any, Any], Any], outputs: Any, inputs: dict[str, Any]) -> Any:
    """Sum a loss over the tokens of each sequence, its end included and padding left out.

    Args:
        loss: Outputs [n, width] and target ids int32 [n] -> the loss of each, float32 [n].
        outputs: What a network says at every step, [batch, time, width].
        inputs: ``target`` int32 [batch, time], 0 pads; where ``positions`` int32 [n] says at which places of the
            flattened target its tokens are, the loss is taken there alone.

    Returns:
        float32 [batch].
    """
    batch, time = ops.shape(inputs["target"])[0], ops.shape(inputs["target"])[1]
    places = inputs.get("positions", ops.arange(batch * time, dtype="int32"))
    target = ops.take(ops.reshape(inputs["target"], (-1,)), places)
    losses = loss(ops.take(ops.reshape(outputs, (-1, outputs.shape[-1])), places, axis=0), target)
    losses = losses * ops.cast(ops.not_equal(target, PAD), "float32")
    return ops.segment_sum(losses, places // time, num_segments=batch)
