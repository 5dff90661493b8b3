"""Training of the sequence VAE: exact and sampled softmax, two batch sizes, two widths, beside both PyTorch styles."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import corpora, machine
from benchmarks.rows import row, share
from benchmarks.turns import Subject, measure

METHOD = (
    "Training steps on PTB sentences (embedding 256, z 32, Adam, gradients clipped at 5, no dropout), batching "
    "included, on the same sample of sequences with the corpus's mix of lengths; tokens predicted per second, ends "
    "counted and padding not; compilation apart (`warm_up` in the JSON). PyTorch packed: as Sentence-VAE; PyTorch "
    "equal lengths: as vae-lagging-encoder; both with a softmax of their own over hidden, where textvae's is tied, and "
    "both read each step's loss at once, as their users write them, where textvae reads it some steps later.")
SAMPLES = 512  # candidates of the sampled softmax
OURS, JAX, PACKED, EQUAL = "textvae", "textvae on JAX", "PyTorch packed", "PyTorch equal lengths"
FLOAT32 = "textvae float32"
TORCH = (PACKED, EQUAL)


def run(scratch: Path, quick: bool) -> Iterator[dict[str, Any]]:
    """Measure every configuration.

    Yields:
        After each the record so far: ``rows`` for the table, and ``measured`` by configuration.
    """
    folder = str(corpora.ptb(scratch / "ptb"))
    gpu = bool(machine.gpu())
    # Hidden, batch, steps of a turn: a GPU takes more of them in less time.
    settings = ([(256, 32, 256), (256, 128, 96), (512, 256, 64)] if gpu else
                [(256, 32, 64), (256, 128, 24), (512, 32, 40)])
    if quick:
        settings = [(256, 32, 12)]
    rows: list[dict[str, Any]] = []
    measured: dict[str, Any] = {}
    for hidden, batch, steps in settings:
        size = f"hidden {hidden}, batch {batch}"
        shape = {"folder": folder, "hidden": hidden, "batch": batch, "steps": steps}
        sampled = {**shape, "samples": SAMPLES}
        subjects = [
            Subject(OURS, "benchmarks.ours:training", shape),
            Subject(PACKED, "benchmarks.yardsticks:training", {**shape, "style": "packed"}),
            Subject(EQUAL, "benchmarks.yardsticks:training", {**shape, "style": "equal"})]
        if gpu:  # where they compute in bfloat16 unless told otherwise
            subjects.append(Subject(FLOAT32, "benchmarks.ours:training", {**shape, "precision": "float32"}))
        if not quick and (hidden, batch) == (256, 32) and os.environ.get("KERAS_BACKEND") != "jax":
            subjects.append(Subject(JAX, "benchmarks.ours:training", shape, {"KERAS_BACKEND": "jax"}))
        if hidden == 256:
            subjects.append(Subject(f"{OURS} sampled", "benchmarks.ours:training", sampled))
        found = measure(subjects, 2 if quick else 3)
        measured[size] = found
        asked: dict[str, Any] = {"number": "tokens_per_second", "yardsticks": TORCH}
        rows.append(row(f"exact softmax, {size}", "tokens/s", found, ours=OURS, must=2, aim=3, **asked))
        if FLOAT32 in found:
            rows.append(row(f"exact softmax, {size}, float32", "tokens/s", found, ours=FLOAT32, must=2, aim=3, **asked))
        if JAX in found:
            rows.append(row(f"exact softmax, {size}, JAX", "tokens/s", found, ours=JAX, must=2, aim=3, **asked))
        rows.append(share(f"share of peak, exact softmax, {size}", found, ours=OURS, must=0.6, aim=0.8))
        if hidden == 256:
            rows.append(row(f"sampled softmax ({SAMPLES}), {size}", "tokens/s", found, ours=f"{OURS} sampled", must=4,
                            aim=8, **asked))
        yield {"method": METHOD, "rows": rows, "measured": measured}
