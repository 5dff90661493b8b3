"""TensorFlow's graphs, made once for arrays of every shape."""

from collections.abc import Callable
from typing import Any


def for_every_shape(step: Callable[[Any], Any], jit: bool) -> Callable[[Any], Any]:
    """Compile a function for arrays of every length at once.

    keras has TensorFlow trace a step for the first shape that it meets, again for the second, and a third time for all
    others, each time for seconds. Here the first trace is for all: every axis of integers may vary, since they are
    tokens, labels and places, and the first one of other numbers, which is the batch. Whatever else varies is traced
    anew as keras does.

    Args:
        step: Takes a structure of tensors and None, gives a structure of tensors.
        jit: Whether XLA compiles it, and then still for each shape.

    Returns:
        The function; it takes numpy's arrays as well.
    """
    import tensorflow as tf

    graph = tf.function(step, jit_compile=jit, autograph=False, reduce_retracing=True)
    met: set[Any] = set()

    def call(arrays: Any) -> Any:
        shapes = tuple(array if array is None else (array.dtype, *array.shape) for array in tf.nest.flatten(arrays))
        if shapes not in met:
            graph.get_concrete_function(tf.nest.map_structure(_general, arrays))  # which traces where it never did
            met.add(shapes)
        return graph(arrays)

    return call


def _general(array: Any) -> Any:
    """The kind of tensors that one belongs to, a ``tf.TensorSpec``; None of None."""
    import tensorflow as tf

    if array is None:
        return None
    kind = tf.as_dtype(array.dtype)
    fixed = () if kind.is_integer else array.shape[1:]
    return tf.TensorSpec([None] * (array.ndim - len(fixed)) + list(fixed), kind)
