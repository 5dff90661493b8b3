"""Copy the evaluation of a finished run, with its settings and machine, to benchmarks/results/quality-<pipeline>.json.

    python benchmarks/quality.py blog [--store models] [--run N] [--evaluation FOLDER]

The evaluation is the run's own, or a later one of the same network, which `textvae evaluate` has put into FOLDER.
"""

import argparse
import json
import sys
from pathlib import Path

from machine import RESULTS, describe

from textvae import catalogue, runs
from textvae.data import Evaluation
from textvae.errors import TextvaeError


def collect(pipeline: str, root: Path, number: int | None, later: Path | None = None) -> Path:
    """Write the file of one run; the current one where number is None."""
    store = catalogue.locate(pipeline, root)
    run = runs.choose(store, number)
    commit, config, seconds = run.commit, run.config, run.stages["evaluation"]["seconds"]
    trained_on = store.manifest("sequence_vae", run.stages["sequence_vae"]["key"])["device"]
    if later:
        manifest = json.loads((later / "manifest.json").read_text(encoding="utf-8"))
        if manifest["inputs"]["sequence_vae"]["key"] != run.stages["sequence_vae"]["key"]:
            raise TextvaeError(f"{later} measured another network than run {run.number}'s")
        found, commit, seconds = Evaluation.load(later), manifest["commit"], manifest["seconds"]
        config = {**config, "evaluation": manifest["config"]}
    else:
        found = runs.load(store, "evaluation", run.number)
    # Where the corpus lies on the machine that measured says nothing; its name does.
    sources = {key: Path(config["corpus"][key]).name for key in ("path", "validation", "test")}
    settings = {**config, "corpus": {**config["corpus"], **sources}}
    record = {
        "pipeline": run.pipeline, "run": run.number, "metrics": found.metrics, "settings": settings,
        "history": runs.load(store, "sequence_vae", run.number).history,
        "seconds": {**{stage: round(own["seconds"], 1) for stage, own in run.stages.items()},
                    "evaluation": round(seconds, 1)},
        # The run's own machine is what its manifests say; this one only collected.
        "made_by": {"device": trained_on, "measured_on": run.device, "python": run.python, "packages": run.packages,
                    "commit": run.commit, "evaluation_commit": commit},
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
    parser.add_argument("--evaluation", type=Path)
    given = parser.parse_args()
    try:
        print(collect(given.pipeline, given.store, given.run, given.evaluation))
    except TextvaeError as error:
        sys.exit(f"error: {error}")
