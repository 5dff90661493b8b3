"""Measure subjects in turns, A B C A B C: each in a process of its own, and only one of them at work.

TensorFlow, JAX and PyTorch each start threads for every core, so two of them in one process would measure each other. A
subject is a generator function, named as ``module:function``: what it first yields are facts of its warm-up, or
``{"skipped": reason}``, and every further step measures once and yields numbers by name.
"""

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from textvae.planning import STAGES

ROOT = Path(__file__).parents[1]
CORES_EACH = 3  # cores from which on subjects warm up side by side: what they are waited for is mostly compiling


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Args:
        name: What the results call it.
        maker: The generator function, such as ``"benchmarks.ours:training"``.
        arguments: What it is called with, plain JSON values.
        environment: Variables of its process, beside those of this one.
    """

    name: str
    maker: str
    arguments: dict[str, Any]
    environment: dict[str, str] = field(default_factory=dict)


class Worker:
    """A subject in its own process, which waits on its standard input between two turns.

    Raises:
        RuntimeError: The process ended; what it wrote to standard error has been shown.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.turns"], cwd=ROOT, env={**os.environ, **subject.environment}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.facts: dict[str, Any] = {}

    def start(self) -> None:
        """Begin the warm-up."""
        self._ask({"maker": self.subject.maker, "arguments": self.subject.arguments})

    def wait(self) -> None:
        """Wait for the end of the warm-up."""
        self.facts = self._answer()

    def turn(self) -> dict[str, float]:
        """Measure once."""
        self._ask({})
        return self._answer()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.process.wait()

    def _ask(self, question: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the worker of {self.subject.name} ended with code {self.process.wait()}")
        found: dict[str, Any] = json.loads(answer)
        return found


def measure(subjects: Sequence[Subject], repeats: int) -> dict[str, dict[str, Any]]:
    """Warm every subject up, together where there are cores for it, then measure them in turns.

    Args:
        subjects: In the order of the turns.
        repeats: Turns of each.

    Returns:
        By subject's name: ``warm_up``, and ``median``, ``min``, ``max`` and ``all`` of every number that it yields. A
        subject that cannot run here has only ``skipped``.
    """
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(subject)) for subject in subjects]
        together = (os.cpu_count() or 1) >= CORES_EACH * len(workers)
        for group in ([workers] if together else [[worker] for worker in workers]):
            for worker in group:
                worker.start()
            for worker in group:
                worker.wait()
        able = [worker for worker in workers if "skipped" not in worker.facts]
        turns: dict[str, list[dict[str, float]]] = {worker.subject.name: [] for worker in able}
        for _ in range(repeats):
            for worker in able:
                turns[worker.subject.name].append(worker.turn())
        return {worker.subject.name: {"warm_up": worker.facts, **spread(turns[worker.subject.name])}
                if worker in able else worker.facts for worker in workers}


def alone(module: str, given: dict[str, Any]) -> dict[str, Any]:
    """What a module prints as its last line, JSON, when it is run in a process of its own.

    Args:
        module: Such as ``"benchmarks.convergence"``.
        given: Its one argument, as JSON.
    """
    done = subprocess.run([sys.executable, "-m", module, json.dumps(given)], cwd=ROOT, check=True,
                          stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def side_by_side(module: str, given: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What ``alone`` gives of each, in order; several at once where there are cores, so nothing in it may be timed."""
    with ThreadPoolExecutor(max((os.cpu_count() or 1) // CORES_EACH, 1)) as pool:
        yield from pool.map(partial(alone, module), given)


def measures(method: str) -> dict[str, Any]:
    """What trainings of the sequence VAE must have in common for their numbers to stand in one table.

    Args:
        method: In words.

    Returns:
        ``method`` and ``stage_version``, which is raised whenever the stage's code makes something else.
    """
    return {"method": method, "stage_version": {row.name: row.version for row in STAGES}["sequence_vae"]}


def begun(path: Path, head: dict[str, Any], part: str, wanted: int) -> list[dict[str, Any]]:
    """The trainings of a measurement that was stopped, so that hours of them need not be had at once.

    Args:
        path: The measurement's file.
        head: What its record must hold, from ``measures``.
        part: Where in it the trainings stand.
        wanted: How many there are of a whole one, which is measured anew.

    Returns:
        They, in the order in which they were made; none where the file is not there, whole, or of another method.

    Example:
        >>> begun(Path("nowhere.json"), {}, "runs", 9)
        []
    """
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    made: list[dict[str, Any]] = record.get(part, [])
    same = all(record.get(name) == value for name, value in head.items())
    return made if same and len(made) < wanted else []


def spread(turns: Sequence[dict[str, float]]) -> dict[str, dict[str, Any]]:
    """Median, least, most and all of every number, four digits of each.

    Example:
        >>> spread([{"rate": 3.0}, {"rate": 1.0}, {"rate": 2.0}])
        {'rate': {'median': 2.0, 'min': 1.0, 'max': 3.0, 'all': [3.0, 1.0, 2.0]}}
    """
    values = {name: [float(f"{turn[name]:.4g}") for turn in turns] for name in turns[0]}
    return {name: {"median": median(own), "min": min(own), "max": max(own), "all": own} for name, own in values.items()}


class Clock:
    """Seconds since it was made.

    Example:
        >>> 0 <= Clock().seconds < 1
        True
    """

    def __init__(self) -> None:
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """So far."""
        return time.perf_counter() - self._started


def _serve() -> None:
    """The worker's side: one line of JSON for every line read. What libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    turns: Iterator[dict[str, Any]] | None = None
    for line in sys.stdin:
        if turns is None:
            asked = json.loads(line)
            module, _, function = asked["maker"].partition(":")
            turns = getattr(importlib.import_module(module), function)(**asked["arguments"])
        answers.write(json.dumps(next(turns)) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
