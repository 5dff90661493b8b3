"""Random numbers for several sources at once, of which each gets what it would get alone."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


class Streams:
    """Generators side by side, asked as if they were one: each draws for its own rows of an array.

    So what is drawn for a source does not depend on who else is written for in the same call. An array may be asked for
    whole or in pieces, one after the other.

    Args:
        seeds: One for each source.
        each: Rows of each source.

    Example:
        >>> both, alone = Streams([1, 2], 3), Streams([2], 3)
        >>> bool(np.all(both.random((6, 4))[3:] == alone.random((3, 4))))
        True
    """

    def __init__(self, seeds: Sequence[int], each: int) -> None:
        self.own = [np.random.default_rng(seed) for seed in seeds]
        self.each = each
        self._next = 0  # the row that the next numbers are for

    def of(self, row: int) -> np.random.Generator:
        """The generator that draws for a row."""
        return self.own[row // self.each]

    def standard_normal(self, shape: Sequence[int], dtype: Any = np.float64) -> np.ndarray:
        """As numpy's; the first axis is that of the rows, here and in the others."""
        return np.concatenate([own.standard_normal((rows, *shape[1:]), dtype) for own, rows in self._parts(shape[0])])

    def random(self, shape: Sequence[int], dtype: Any = np.float64) -> np.ndarray:
        """As numpy's."""
        return np.concatenate([own.random((rows, *shape[1:]), dtype) for own, rows in self._parts(shape[0])])

    def integers(self, high: int, size: int) -> np.ndarray:
        """As numpy's, from 0."""
        return np.concatenate([own.integers(high, size=rows) for own, rows in self._parts(size)])

    def _parts(self, count: int) -> Iterator[tuple[np.random.Generator, int]]:
        """Whose the next rows are, and how many of them each time."""
        while count:
            own = self.of(self._next)
            rows = min(count, self.each - self._next % self.each)
            self._next = (self._next + rows) % (self.each * len(self.own))
            count -= rows
            yield own, rows


Random = np.random.Generator | Streams  # what numbers are drawn from
