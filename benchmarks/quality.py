"""Copy the evaluation of a finished run, with its settings and machine, to benchmarks/results/quality-<pipeline>.json.

    python benchmarks/quality.py blog [--store models] [--run N]
"""

import argparse
import json
import sys
from pathlib import Path

from machine import RESULTS, describe

from textvae import catalogue, runs
from textvae.errors import TextvaeError


def collect(pipeline: str, root: Path, number: int | None) -> Path:
    """Write the file of one run; the current one where number is None."""
    store = catalogue.locate(pipeline, root)
    run = runs.choose(store, number)
    found = runs.load(store, "evaluation", run.number)
    # Where the corpus lies on the machine that measured says nothing; its name does.
    sources = {key: Path(run.config["corpus"][key]).name for key in ("path", "validation", "test")}
    settings = {**run.config, "corpus": {**run.config["corpus"], **sources}}
    record = {
        "pipeline": run.pipeline, "run": run.number, "metrics": found.metrics, "settings": settings,
        "history": runs.load(store, "sequence_vae", run.number).history,
        "seconds": {stage: round(own["seconds"], 1) for stage, own in run.stages.items()},
        # The run's own machine is what its manifests say; this one only collected.
        "made_by": {"device": run.device, "python": run.python, "packages": run.packages, "commit": run.commit},
        "collected_on": describe()}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"quality-{run.pipeline}.json"
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipeline")
    parser.add_argument("--store", type=Path, default=Path("models"))
    parser.add_argument("--run", type=int)
    given = parser.parse_args()
    try:
        print(collect(given.pipeline, given.store, given.run))
    except TextvaeError as error:
        sys.exit(f"error: {error}")
