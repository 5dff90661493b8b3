"""Dropout whose random numbers are a hash of their places, where the backend compiles what it computes.

keras asks TensorFlow and JAX for a generator's stream, which is slow where XLA compiles it for a CPU. Which numbers are
set to zero needs less than a generator is made for (docs/decisions/0007-what-is-fast.md).
"""

import functools
import operator
from typing import Any

import keras
import numpy as np
from keras import layers, ops


class Dropout(layers.Dropout):
    """keras' layer, with its arguments and its seeds, and masks of ``dropped``."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """float [any shape] -> the same shape; without ``training`` what came in."""
        if not training or not self.rate:
            return inputs
        return dropped(inputs, self.rate, seed=self.seed_generator, noise_shape=self.noise_shape)


def dropped(inputs: Any, rate: float, *, seed: keras.random.SeedGenerator,
            noise_shape: tuple[int | None, ...] | None = None) -> Any:
    """Set a share of numbers to zero and scale the others, so that their mean stays.

    The seed's two numbers and a place in the mask are hashed together (a counter for a state, as in Salmon et al. 2011;
    the hash is Wellons' with Ettinger's constants, https://github.com/skeeto/hash-prospector, which leaves little bias
    in any bit). PyTorch, which computes one operation after the other, has its own generator.

    Args:
        inputs: float [any shape].
        rate: The share, below 1.
        seed: Gives two numbers and goes one further.
        noise_shape: The mask's shape, which is broadcast; None stands for an axis of the inputs.

    Returns:
        As the inputs.

    Example:
        >>> seed = keras.random.SeedGenerator(1)
        >>> np.asarray(dropped(np.ones((2, 6), "float32"), 0.5, seed=seed, noise_shape=(1, None))).shape
        (2, 6)
    """
    if keras.config.backend() == "torch":
        return keras.random.dropout(inputs, rate, noise_shape=noise_shape, seed=seed)
    whole = ops.shape(inputs)
    shape = [own if given is None else given for own, given in zip(whole, noise_shape or (None,) * len(whole),
                                                                  strict=True)]
    key = ops.cast(seed.next(), "uint32")
    places = ops.cast(ops.arange(functools.reduce(operator.mul, shape, 1)), "uint32")
    # Each by itself, or layers with neighbouring seeds would draw the same numbers some places apart.
    drawn = _mixed(ops.bitwise_xor(_mixed(ops.bitwise_xor(places, _mixed(key[0]))), key[1]))
    kept = ops.reshape(drawn, shape) >= np.uint32(rate * 2**32)
    inputs = ops.convert_to_tensor(inputs)
    return ops.where(kept, inputs * (1.0 / (1.0 - rate)), ops.zeros_like(inputs))


def _mixed(numbers: Any) -> Any:
    """A permutation of uint32 under which each bit that goes in turns half of those that come out."""
    numbers = ops.bitwise_xor(numbers, ops.right_shift(numbers, 16)) * 0x21F0AAAD
    numbers = ops.bitwise_xor(numbers, ops.right_shift(numbers, 15)) * 0x735A2D97
    return ops.bitwise_xor(numbers, ops.right_shift(numbers, 15))
