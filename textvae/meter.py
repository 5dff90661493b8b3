"""What a job uses: seconds, processor seconds, memory and tokens, and which part of it used them."""

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from textvae.progress import Advance, Progress

_NUMBERS = re.compile(r"\s*\d[\d/.,]*")  # "epoch 3/20" and "epoch 4/20" are one part


class Meter(Progress):
    """Passes on to a watcher what a job tells, and measures the job by it, from when it is made.

    A task is a part, and so is what ``part`` names; a part inside another is called ``"outer > inner"``.

    Args:
        watcher: Who is told.

    Example:
        >>> meter = Meter(Progress())
        >>> for epoch in ("epoch 1/2", "epoch 2/2"):
        ...     with meter.task(epoch), meter.part("steps"):
        ...         meter.count(50)
        >>> found = meter.usage()
        >>> found["tokens"], [(part["part"], part["times"], part["tokens"]) for part in found["parts"]]
        (100, [('epoch', 2, 100), ('epoch > steps', 2, 100)])
    """

    def __init__(self, watcher: Progress) -> None:
        self._watcher = watcher
        self._open: list[str] = []
        self._parts: dict[str, dict[str, Any]] = {}
        self._tokens = 0
        _forget_peak()
        self._started = _clock()

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Advance]:
        """Open the watcher's bar, and measure a part named like it without its numbers."""
        with self.part(_NUMBERS.sub("", label).strip() or label), self._watcher.task(label, total) as advance:
            yield advance

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Measure a part; one that comes again is added up."""
        path = " > ".join((*self._open, name))
        # Made before the parts inside it, so that the parts stand in the order in which they began.
        own = self._parts.setdefault(path, {"part": path, "times": 0, "seconds": 0.0, "cpu_seconds": 0.0, "tokens": 0})
        self._open.append(name)
        seconds, cpu = _clock()
        tokens = self._tokens
        try:
            yield
        finally:
            self._open.pop()
            now, cpu_now = _clock()
            own["times"] += 1
            own["seconds"] += now - seconds
            own["cpu_seconds"] += cpu_now - cpu
            own["tokens"] += self._tokens - tokens

    def count(self, tokens: int) -> None:
        """Add tokens to the job and to every part that is open."""
        self._tokens += tokens

    def say(self, message: str) -> None:
        """Pass on one line of news."""
        self._watcher.say(message)

    def usage(self) -> dict[str, Any]:
        """What was used until now, as plain JSON values.

        Returns:
            ``seconds``; ``cpu_seconds`` of all threads and of processes that have ended; ``peak_memory``, bytes that
            the process held at most (resident; on systems other than Linux since it began); ``tokens`` and ``parts``:
            dicts of ``part``, ``times``, ``seconds``, ``cpu_seconds`` and ``tokens``.
        """
        now, cpu_now = _clock()
        parts = [{name: round(value, 3) if isinstance(value, float) else value for name, value in part.items()}
                 for part in self._parts.values()]
        return {"seconds": round(now - self._started[0], 3), "cpu_seconds": round(cpu_now - self._started[1], 3),
                "peak_memory": _peak(), "tokens": self._tokens, "parts": parts}


def _clock() -> tuple[float, float]:
    """Seconds by the clock, and seconds of all cores together."""
    children = os.times()
    return time.perf_counter(), time.process_time() + children.children_user + children.children_system


def _forget_peak() -> None:
    # Linux begins a new high-water mark where it is asked to; a container may forbid that, and the mark is then of the
    # whole process.
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak() -> int | None:
    with suppress(OSError, ValueError):
        found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii", errors="replace"))
        if found:
            return int(found[1]) * 1024
    with suppress(ImportError):  # there is none on Windows
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return None
