"""Progress on standard error: bars on a terminal, one plain line per finished task elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from textvae.cli.console import clean, duration, number, tell
from textvae.progress import Advance, Progress

if TYPE_CHECKING:
    from rich.console import Console


class Lines(Progress):
    """One line when a task ends, with the last numbers it showed: what a log file needs."""

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Advance]:
        """Time a task and print its line when it ends well."""
        last: dict[str, float | str] = {}
        start = time.monotonic()

        def advance(steps: int = 1, **shown: float | str) -> None:
            last.update(shown)

        yield advance
        tell(f"{label}: {_shown(last)}{duration(time.monotonic() - start)}")

    def say(self, message: str) -> None:
        """Print one line of news."""
        tell(message)


class Bars(Progress):
    """Bars drawn by rich; a finished one stays on the screen as a line.

    Args:
        console: Where to draw: standard error.
    """

    def __init__(self, console: "Console") -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Drawn

        self._drawn = Drawn(TextColumn("{task.description}", markup=False), BarColumn(bar_width=24),
                            MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
                            TextColumn("{task.fields[shown]}", markup=False),
                            # Results are printed meanwhile: rich would send them where the bars are.
                            console=console, transient=True, redirect_stdout=False)
        self._open = 0

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Advance]:
        """Draw a bar; when it ends its line stays on the screen and the bar goes."""
        if not self._open:
            self._drawn.start()
        self._open += 1
        bar = self._drawn.add_task(clean(label), total=total, shown="")
        last: dict[str, float | str] = {}
        start = time.monotonic()

        def advance(steps: int = 1, **shown: float | str) -> None:
            last.update(shown)
            self._drawn.update(bar, advance=steps, shown=_shown(last).strip(" ,"))

        try:
            yield advance
            self.say(f"{label}: {_shown(last)}{duration(time.monotonic() - start)}")
        finally:
            self._drawn.remove_task(bar)
            self._open -= 1
            if not self._open:
                self._drawn.stop()

    def say(self, message: str) -> None:
        """Print one line of news above the bars."""
        self._drawn.console.print(clean(message), markup=False, highlight=False, soft_wrap=True)


def watcher() -> Progress:
    """Bars where standard error is a terminal, lines elsewhere."""
    if not sys.stderr.isatty():
        return Lines()
    from rich.console import Console

    return Bars(Console(stderr=True, highlight=False))


def beside_results() -> Progress:
    """Bars where standard error is a terminal and results go elsewhere, else nothing."""
    return watcher() if sys.stderr.isatty() and not sys.stdout.isatty() else Progress()


def _shown(values: dict[str, Any]) -> str:
    return "".join(f"{clean(key)} {clean(number(value))}, " for key, value in values.items())
