"""The LSTM layer by itself, forwards and backwards, beside keras' own, which is cuDNN's on a GPU; on JAX."""

from pathlib import Path
from typing import Any

from benchmarks.rows import row
from benchmarks.turns import Subject, measure

METHOD = (
    "One LSTM layer on random sequences of 22 vectors of 256 numbers, forwards and backwards, compiled by JAX in "
    "float32 (TF32 products on a GPU); keras' layer calls cuDNN on a GPU, ours loops over the recurrence in compiled "
    "code.")
OURS, KERAS = "textvae", "keras"


def run(scratch: Path, quick: bool) -> dict[str, Any]:
    """Measure some sizes.

    Returns:
        ``rows`` for the table, and ``measured`` by size.
    """
    rows, measured = [], {}
    for hidden, batch in ((256, 32),) if quick else ((256, 32), (256, 128), (512, 32)):
        given = {"hidden": hidden, "batch": batch, "steps": 22}
        size = f"hidden {hidden}, batch {batch}"
        found = measure([Subject(OURS, "benchmarks.ours:recurrence", {**given, "own": True}),
                         Subject(KERAS, "benchmarks.ours:recurrence", {**given, "own": False})], 2 if quick else 3)
        measured[size] = found
        rows.append(row(f"an LSTM layer, {size}", "passes/s", found, number="passes_per_second", ours=OURS,
                        yardsticks=(KERAS,), must=1, aim=2))
    return {"method": METHOD, "rows": rows, "measured": measured}
