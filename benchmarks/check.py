"""Continuous integration's guard: has training lost speed beside its yardstick since the last recording?"""

import importlib.util
import json
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import corpora
from benchmarks.machine import RESULTS, describe
from benchmarks.turns import Subject, measure
from textvae.errors import TextvaeError

RECORDED = RESULTS / "check.json"
LOSS = 0.3  # share of the recorded ratio that may be lost: machines differ, and two runs on one by a tenth
TURNS, TRIES = 7, 2
OURS = "textvae"
# Sentences of one bucket or two, so that compiling takes seconds.
SIZES = {"hidden": 256, "batch": 32, "steps": 8, "shortest": 14, "longest": 20}
# It computes with the same library, so that its ratio depends less on the processor: of the same code it was 2.99 on an
# AMD EPYC and 2.48 on an Intel Xeon, where PyTorch's fell from 1.44 to 1.00.
COMPARED = "plain Keras"
YARDSTICKS: dict[str, tuple[str, dict[str, Any]]] = {
    COMPARED: ("benchmarks.plain:training", {}),
    "PyTorch equal lengths": ("benchmarks.yardsticks:training", {"style": "equal"})}


def run(record: bool) -> bool:
    """Measure on the sample corpus, and print what was found.

    Args:
        record: Measure against every yardstick that is installed, and write ``RECORDED``; else against ``COMPARED``.

    Returns:
        False where the ratio lies more than ``LOSS`` under the recorded one, twice.

    Raises:
        TextvaeError: Nothing was recorded.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = str(corpora.lee(Path(scratch)))
        if record:
            ratios = {name: ratio(folder, name) for name in YARDSTICKS
                      if "PyTorch" not in name or importlib.util.find_spec("torch")}
            RECORDED.write_text(json.dumps({"ratios": ratios, "sizes": SIZES, "machine": describe()}, indent=1) + "\n",
                                encoding="utf-8")
            print(ratios, RECORDED)
            return True
        recorded = json.loads(RECORDED.read_text(encoding="utf-8"))["ratios"] if RECORDED.exists() else {}
        if COMPARED not in recorded:
            raise TextvaeError(f"{RECORDED} has no ratio to {COMPARED}",
                               "on a quiet machine: python -m benchmarks check --record")
        for number in range(TRIES):
            found = ratio(folder, COMPARED)
            passed = passes(found, recorded[COMPARED])
            print(f"training: {found:.2f} times {COMPARED}, recorded {recorded[COMPARED]:.2f}: "
                  f"{'ok' if passed else 'slower' if number + 1 == TRIES else 'slower, once more'}", flush=True)
            if passed:
                return True
    return False


def passes(found: float, recorded: float) -> bool:
    """Whether a ratio is near enough to the recorded one.

    Example:
        >>> passes(2.2, 3.0), passes(2.0, 3.0)
        (True, False)
    """
    return found >= (1 - LOSS) * recorded


def ratio(folder: str, yardstick: str) -> float:
    """The median over turns of our tokens per second, divided by the yardstick's of the same turn."""
    maker, more = YARDSTICKS[yardstick]
    found = measure([Subject(OURS, "benchmarks.ours:training", {"folder": folder, "peaks": False, **SIZES}),
                     Subject(yardstick, maker, {"folder": folder, **SIZES, **more})], TURNS)
    rates = [found[name]["tokens_per_second"]["all"] for name in (OURS, yardstick)]
    return round(median(own / other for own, other in zip(*rates, strict=True)), 3)
