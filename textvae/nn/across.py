"""Means over a batch whose rows lie on one device, or on several that compute a step together."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from keras import ops

# Adds up what the devices have, and how many rows they have together; None where one device has the whole batch.
_SEVERAL: ContextVar[tuple[Callable[[Any], Any], Any] | None] = ContextVar("several", default=None)


@contextmanager
def several(add: Callable[[Any], Any], rows: Any) -> Iterator[None]:
    """While a device computes its part of a batch, take every mean and total over all parts.

    Args:
        add: A tensor of this device -> the sum of all devices' tensors, through which gradients flow back to all.
        rows: float32 [], how many rows the parts have together.
    """
    before = _SEVERAL.set((add, rows))
    try:
        yield
    finally:
        _SEVERAL.reset(before)


def total(value: Any) -> Any:
    """A sum over this device's rows, added to those of the other devices."""
    known = _SEVERAL.get()
    return value if known is None else known[0](value)


def mean(values: Any, axis: int | None = None) -> Any:
    """The mean over the batch.

    Args:
        values: float32 [batch], or [batch, ...] with ``axis`` 0; [] is the whole batch's already.
        axis: As for ``ops.mean``.
    """
    known = _SEVERAL.get()
    if known is None or not len(values.shape):
        return ops.mean(values, axis=axis)
    return known[0](ops.sum(values, axis=axis)) / known[1]
