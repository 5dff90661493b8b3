"""Writing: 1,000 sequences in one batch, and one text at a time, beside the PyTorch loop of tokens."""

from pathlib import Path
from typing import Any

from benchmarks import corpora
from benchmarks.rows import row
from benchmarks.turns import Subject, measure
from textvae.writing.writer import CANDIDATES, TOGETHER

METHOD = (
    "Sequences of exactly 50 tokens from untrained networks (hidden 256, vocabulary 10,000) whose end is barred, "
    "nucleus 0.9 at temperature 1. One batch: 1,000 latents. One text at a time: encode a PTB test sentence and write "
    "five latents near it, textvae in one call, PyTorch one by one. `vary -n 5` is `Writer.vary_many` on one sentence "
    f"with models loaded: it writes {5 * CANDIDATES} candidates or more, encodes them again and keeps five; here "
    f"sequences end by themselves, at 50 tokens at the latest. `vary -` takes {TOGETHER} texts together where they are "
    "there.")
OURS, VARY, MANY, TORCH = "textvae", "textvae vary", "textvae vary -", "PyTorch loop"
LENGTH = 50


def run(scratch: Path, quick: bool) -> dict[str, Any]:
    """Measure both.

    Returns:
        ``rows`` for the table, and ``measured`` by configuration.
    """
    folder = str(corpora.ptb(scratch / "ptb"))
    repeats = 2 if quick else 3
    many = {"folder": folder, "hidden": 256, "count": 200 if quick else 1000, "length": LENGTH}
    batch = measure([Subject(OURS, "benchmarks.ours:sampling", many),
                     Subject(TORCH, "benchmarks.yardsticks:sampling", many)], repeats)
    few = {"folder": folder, "hidden": 256, "texts": 4 if quick else 2 * TOGETHER, "length": LENGTH}
    single = measure([Subject(OURS, "benchmarks.ours:one_text", few), Subject(VARY, "benchmarks.ours:vary", few),
                      Subject(MANY, "benchmarks.ours:vary", {**few, "together": TOGETHER}),
                      Subject(TORCH, "benchmarks.yardsticks:one_text", few)], repeats)
    asked: dict[str, Any] = {"yardsticks": (TORCH,), "must": 10, "aim": 30}
    single[TORCH]["kept_per_second"] = single[TORCH]["sequences_per_second"]  # it keeps all that it writes
    rate = "sequences_per_second"
    rows = [
        row(f"nucleus sampling, {many['count']:,} sequences in one batch", "sequences/s", batch, number=rate, ours=OURS,
            yardsticks=(TORCH,), must=1.5, aim=3),
        row("one text at a time, five sequences in one call", "sequences/s", single, number=rate, ours=OURS, **asked),
        row("one text at a time, `vary -n 5`, sequences written", "sequences/s", single, number=rate, ours=VARY,
            **asked),
        row("one text at a time, `vary -n 5`, variations kept", "variations/s", single, number="kept_per_second",
            ours=VARY, **asked),
        row(f"`vary -`, {TOGETHER} texts together, variations kept", "variations/s", single, number="kept_per_second",
            ours=MANY, yardsticks=(VARY,), must=1, aim=1.5)]
    return {"method": METHOD, "rows": rows, "measured": {"one batch": batch, "one text at a time": single}}
