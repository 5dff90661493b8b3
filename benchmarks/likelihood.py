"""The importance-weighted likelihood bound of test sentences, beside the same estimator in PyTorch."""

from pathlib import Path
from typing import Any

from benchmarks import corpora
from benchmarks.rows import row
from benchmarks.turns import Subject, measure

METHOD = (
    "PTB test sentences with the split's mix of lengths, 500 samples from q(z|x) each, untrained networks (hidden "
    "256): textvae's whole likelihood part of the evaluation, encoding included; PyTorch's bound alone, batches of one "
    "length, at the number of samples decoded together that was fastest.")


def run(scratch: Path, quick: bool) -> dict[str, Any]:
    """Measure both.

    Returns:
        ``rows`` for the table, and ``measured``.
    """
    folder = str(corpora.ptb(scratch / "ptb"))
    given = {"folder": folder, "hidden": 256, "sequences": 6 if quick else 40, "samples": 100 if quick else 500}
    found = measure([Subject("textvae", "benchmarks.ours:likelihood", given),
                     Subject("PyTorch", "benchmarks.yardsticks:likelihood", given)], 2 if quick else 3)
    rows = [row(f"IW-NLL, {given['samples']} samples, {given['sequences']} sentences", "sequences/s", found,
                number="sequences_per_second", ours="textvae", yardsticks=("PyTorch",), must=2, aim=5)]
    return {"method": METHOD, "rows": rows, "measured": found}
