"""Training steps where glibc keeps the memory that a step frees, beside those where it gives it back to the system."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import corpora
from benchmarks.rows import row
from benchmarks.turns import Subject, measure

METHOD = (
    "Training steps as in `training`; the yardstick is the same code, which leaves glibc as it is because "
    "GLIBC_TUNABLES is set, to what is the default anyway.")
OURS, AS_IT_IS = "textvae", "glibc as it is"
UNCHANGED = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=7"}


def run(scratch: Path, quick: bool) -> Iterator[dict[str, Any]]:
    """Measure some sizes.

    Yields:
        After each the record so far: ``rows`` for the table, and ``measured`` by size.
    """
    folder = str(corpora.ptb(scratch / "ptb"))
    rows: list[dict[str, Any]] = []
    measured: dict[str, Any] = {}
    for batch, samples, steps in ((32, 512, 12),) if quick else ((32, 512, 64), (32, 0, 48), (128, 0, 16)):
        given = {"folder": folder, "hidden": 256, "batch": batch, "steps": steps, "samples": samples, "peaks": False}
        size = f"{f'sampled softmax ({samples})' if samples else 'exact softmax'}, hidden 256, batch {batch}"
        found = measure([Subject(OURS, "benchmarks.ours:training", given),
                         Subject(AS_IT_IS, "benchmarks.ours:training", given, UNCHANGED)], 2 if quick else 3)
        measured[size] = found
        rows.append(row(size, "tokens/s", found, number="tokens_per_second", ours=OURS, yardsticks=(AS_IT_IS,), must=1,
                        aim=1.2))
        yield {"method": METHOD, "rows": rows, "measured": measured}
