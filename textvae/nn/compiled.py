"""Compile a function of arrays on whichever backend runs."""

from collections.abc import Callable
from typing import Any

import keras

from textvae import graphs


class Compiled(keras.Model):
    """A network's method as a compiled function of a dict of numpy arrays.

    keras compiles ``call`` for its backend (``tf.function``, ``jax.jit``).

    Args:
        network: The network whose variables the function reads.
        function: Takes a dict of tensors, gives a tensor or a structure of tensors.
        jit: Whether XLA compiles it, where it can: faster where shapes come again, about 3 s for each new one. JAX has
            no other compiler.
    """

    predict_function: Any

    def __init__(self, network: Any, function: Callable[[dict[str, Any]], Any], *, jit: bool = False) -> None:
        super().__init__(autocast=False)  # what is given, such as z, keeps its precision
        self.network = network
        self.function = function
        self.compile(jit_compile=network.xla(jit))

    def build(self, input_shape: Any = None) -> None:
        """Nothing to build: the network is."""
        self.built = True

    def make_predict_function(self, force: bool = False) -> Any:
        """keras' step, which TensorFlow traces once for arrays of every shape.

        With XLA as keras does: decoding has to know lengths.
        """
        if force or self.predict_function is None:
            super().make_predict_function(force=True)
            if keras.config.backend() == "tensorflow" and not self.jit_compile:
                traced = graphs.for_every_shape(self.predict_step, False)
                self.predict_function = lambda batches: traced(batches[0])
        return self.predict_function

    def call(self, inputs: dict[str, Any]) -> Any:
        """Apply the function."""
        return self.function(inputs)

    def run(self, **inputs: Any) -> Any:
        """Apply the compiled function to numpy arrays and give numpy arrays back."""
        return self.predict_on_batch(inputs)
