"""How a long job tells whoever is watching; the command line draws bars, everyone else hears nothing."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol


class Advance(Protocol):
    """Moves a bar on by some steps, with numbers or words to show beside it."""

    def __call__(self, steps: int = 1, **shown: float | str) -> None: ...


class Progress:
    """A watcher that shows nothing; the command line's subclass draws, ``textvae.meter`` measures.

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

    def part(self, name: str) -> AbstractContextManager[None]:
        """Name a stretch of work that has no bar, such as ``"validation"``: a profile tells its time apart."""
        return nullcontext()

    def count(self, tokens: int) -> None:
        """Tell that so many real tokens, padding not counted, were worked on; a manifest says them per second."""

    def say(self, message: str) -> None:
        """Show one line of news, such as a warning that does not stop the job."""
