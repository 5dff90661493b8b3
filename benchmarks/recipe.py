"""The recipe ``ptb`` with one epoch of the sequence VAE and the whole evaluation: what each stage takes, once."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import corpora
from benchmarks.rows import alone
from benchmarks.turns import ROOT

METHOD = (
    "`textvae run ptb` into an empty store with `sequence_vae.epochs=1` and all else as the recipe says: 42,068 "
    "training sentences, the IW-NLL with 500 samples on all 3,761 test sentences. Seconds of each stage from its "
    "manifest, compilation and validation included; one run, no repeats.")
PARTS = ("word_vectors", "sequence_vae", "latents", "word_transformer", "evaluation")  # a file is written after each
SLICE = {"train": 600, "valid": 100, "test": 40}  # sentences of a quick check
TINY = ("word_vectors.epochs=1", "embedding_vae.epochs=2", "word_transformer.epochs=1", "evaluation.iw_samples=10",
        "evaluation.samples=20", "evaluation.sources=5")


def run(scratch: Path, quick: bool) -> Iterator[dict[str, Any]]:
    """Run stage after stage.

    Yields:
        After each of ``PARTS`` the record so far: ``rows`` for the table, and ``stages`` as the command reports them.
    """
    folder = corpora.PTB
    if quick:
        folder = scratch / "slice"
        folder.mkdir()
        for name, count in SLICE.items():
            lines = (corpora.PTB / f"{name}.txt").read_text(encoding="utf-8").splitlines(keepends=True)
            (folder / f"{name}.txt").write_text("".join(lines[:count]), encoding="utf-8")
    settings = ("sequence_vae.epochs=1", *corpora.ptb_overrides(folder), *(TINY if quick else ()))
    command = [sys.executable, "-m", "textvae", "run", str(ROOT / "pipelines" / "ptb.toml"), "--json", "--store",
               str(scratch / "models"), *(word for setting in settings for word in ("--set", setting))]
    stages: dict[str, dict[str, Any]] = {}
    for part in PARTS:
        done = subprocess.run([*command, "--until", part], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout)
        stages |= {name: own for name, own in found["stages"].items() if own["ran"]}
        yield {"method": METHOD, "rows": [_row(name, own, stages) for name, own in stages.items()],
               "device": found["device"], "stages": stages}


def _row(name: str, own: dict[str, Any], stages: dict[str, dict[str, Any]]) -> dict[str, Any]:
    work = f"`{name}`"
    if name == "sequence_vae":
        tokens = stages["tokens"]["metrics"]
        predictions = tokens["tokens"]["train"] + tokens["sequences"]["train"]
        work += f": one epoch, {predictions:,} tokens, {predictions / own['seconds']:,.0f} a second"
    if name == "evaluation":
        work += f": the whole of it, {int(own['metrics']['test_sequences']['value']):,} test sentences"
    return alone(work, "s", "textvae", [round(own["seconds"], 1)])
