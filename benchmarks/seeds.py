"""How much of a recipe's likelihood is chance: ``ptb`` from two seeds more, beside the one that its table shows.

A measurement that was stopped goes on where it was, with ``--scratch`` within a training too.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import corpora
from benchmarks.machine import RESULTS
from benchmarks.rows import alone
from benchmarks.turns import begun, measures, side_by_side

METHOD = (
    "The recipe `ptb` up to `sequence_vae`, with no setting but the seed changed, and its likelihood and "
    "reconstruction on all 3,761 test sentences, 500 importance samples each; nats a "
    "sentence. The recipe's own seed is 1.")
SEEDS = (2, 3)
METRICS = {"iw_nll": "nats", "iw_ppl": "a word", "elbo_nll": "nats", "kl": "nats", "mutual_information": "nats",
           "active_units": "of 32", "reconstruction_bleu": "BLEU"}


def run(scratch: Path, quick: bool) -> Iterator[dict[str, Any]]:
    """Train and measure the recipe from every seed, each in its own process.

    Yields:
        After each the record so far: ``rows`` for the table, and ``runs`` with metrics, intervals and history.
    """
    head = measures(METHOD)
    runs = [] if quick else begun(RESULTS / "seeds.json", head, "runs", len(SEEDS))
    given = [{"seed": seed, "store": str(scratch / f"seed-{seed}"), "quick": quick} for seed in SEEDS[len(runs):]]
    for done in side_by_side("benchmarks.seeds", given):
        runs.append(done)
        rows = [alone(f"{name.replace('_', ' ')}; seeds {', '.join(str(own['seed']) for own in runs)}", unit, "textvae",
                      [own["metrics"][name]["value"] for own in runs])
                for name, unit in METRICS.items() if name in runs[0]["metrics"]]
        yield {**head, "rows": rows, "runs": runs}


def train(seed: int, store: str, quick: bool) -> dict[str, Any]:
    """Train the recipe from a seed and measure it on the test split; gives metrics, history and seconds."""
    from textvae import evaluate, pipeline
    from textvae.config import load
    from textvae.data import Tokens, TrainedNetwork
    from textvae.progress import Progress
    from textvae.store import Store
    from textvae.writing.model import Model

    small = ("sequence_vae.epochs=1", "sequence_vae.pretrain_epochs=0", "sequence_vae.hidden=16",
             "word_vectors.dim=16", "embedding_vae.latent=16", "evaluation.iw_samples=2", "evaluation.iw_sequences=20")
    config = load(corpora.ROOT / "pipelines" / "ptb.toml",
                  (*corpora.ptb_overrides(), f"seed={seed}", *(small if quick else ())))
    place = Store(Path(store), "ptb")
    done = pipeline.run(config, place, until="sequence_vae", precision="float32", progress=Progress())
    seconds = round(sum(finished.seconds for finished in done.stages), 1)
    keys = {finished.stage: finished.key for finished in done.stages}
    tokens = place.load("tokens", keys["tokens"], Tokens)
    trained = place.load("sequence_vae", keys["sequence_vae"], TrainedNetwork)
    subject = evaluate.Subject(config.evaluation, tokens, Model(tokens.tokenizer, trained), seed)
    found = {**evaluate.likelihood(subject), **evaluate.reconstruction(subject)[0]}
    return {"seed": seed, "device": done.device, "seconds": seconds, "metrics": found, "history": trained.history}


if __name__ == "__main__":
    print(json.dumps(train(**json.loads(sys.argv[1]))))
