"""How a long job tells whoever is watching; the command line draws bars, everyone else hears nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Advance(Protocol):
    """Moves a bar on by some steps, with numbers or words to show beside it."""

    def __call__(self, steps: int = 1, **shown: float | str) -> None: ...


class Progress:
    """A watcher that shows nothing; the command line's subclass draws.

    Example:
        >>> with Progress().task("reading", total=2) as advance:
        ...     advance()
        ...     advance(1, loss=0.5)
    """

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Advance]:
        """Open a bar.

        Args:
            label: What is being done, such as ``"epoch 3"``.
            total: How many steps it takes; None where that is not known.
        """

        def advance(steps: int = 1, **shown: float | str) -> None:
            return None

        yield advance

    def say(self, message: str) -> None:
        """Show one line of news, such as a warning that does not stop the job."""
