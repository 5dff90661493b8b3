"""What a retraining at night leaves to read in the morning: a log that rotates."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from textvae.progress import Advance, Progress

LOG = "retrain.log"
SIZE, KEPT = 1_000_000, 3  # bytes of a file and how many older ones are kept: years of weekly retrainings


class _Log(RotatingFileHandler):
    """A file that leaves out what a full disk refuses: whoever does the work tells of that."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Say nothing."""


class Journal(Progress):
    """Passes on to a watcher what a job tells, and writes it into a log: a line of news each, and one per ended task.

    Args:
        folder: Where ``retrain.log`` is; made if it is not there.
        watcher: Who is told.

    Raises:
        OSError: The log cannot be written.
    """

    def __init__(self, folder: Path, watcher: Progress) -> None:
        self._watcher = watcher
        folder.mkdir(parents=True, exist_ok=True)
        self._handler = _Log(folder / LOG, maxBytes=SIZE, backupCount=KEPT, encoding="utf-8")
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(message)s"))

    def close(self) -> None:
        """End the log; nothing can be said any more."""
        with suppress(OSError):  # the last line may be one that a full disk refuses
            self._handler.close()

    def note(self, message: str) -> None:
        """Write one line into the log alone."""
        line = " ".join(message.split())
        self._handler.handle(logging.LogRecord("textvae", logging.INFO, "", 0, line, None, None))

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Advance]:
        """Open the watcher's bar; when it ends well, log the last numbers that it showed."""
        shown: dict[str, Any] = {}
        with self._watcher.task(label, total) as inner:
            def advance(steps: int = 1, **now: float | str) -> None:
                shown.update(now)
                inner(steps, **now)

            yield advance
        said = ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                         for name, value in shown.items())
        self.note(f"{label}: {said or 'done'}")

    def count(self, tokens: int) -> None:
        """Pass on."""
        self._watcher.count(tokens)

    def say(self, message: str) -> None:
        """Pass on, and log."""
        self._watcher.say(message)
        self.note(message)
