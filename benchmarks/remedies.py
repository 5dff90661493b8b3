"""What keeps z in use, and at what cost: a part of the Penn Treebank, the sequence VAE with one setting changed.

A measurement that was stopped goes on where it was.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks import corpora
from benchmarks.machine import RESULTS
from benchmarks.turns import begun, measures, side_by_side

SEED, PART, EPOCHS = 1, 6, 14
BASE = {"vectors": "none", "embedding": 128, "hidden": 128, "latent": 32, "dropout": 0.5, "word_dropout": 0.0,
        "noise": 0.0, "pretrain_epochs": 3, "warmup_epochs": 4, "free_bits": 0.25, "epochs": EPOCHS, "patience": EPOCHS}
ALONE = {"pretrain_epochs": 0, "free_bits": 0.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "pre-training, warm-up and free bits": {},
    "nothing": {**ALONE, "anneal": "constant"},
    "warm-up alone": ALONE,
    "cyclical warm-up alone": {**ALONE, "anneal": "cyclical", "warmup_epochs": 10},
    "free bits alone": {"pretrain_epochs": 0, "anneal": "constant"},
    "`mean_gamma = 0.6` alone": {**ALONE, "anneal": "constant", "mean_gamma": 0.6},
    "all three, `free_bits = 0.15`": {"free_bits": 0.15},
    "all three, 8 free bits in all": {"free_bits": 8.0, "free_bits_over": "total"},
    "all three, `average = 0.999`": {"average": 0.999},
    "all three, `embedding_dropout = 0.1`": {"embedding_dropout": 0.1},
    "all three, `weight_drop = 0.3`": {"weight_drop": 0.3},
    "all three, `word_dropout = 0.2`": {"word_dropout": 0.2},
    "all three, `noise = 0.1`": {"noise": 0.1},
    "all three, `skip = true`": {"skip": True},
    "all three, `softmax_samples = 2048`": {"softmax_samples": 2048}}
METRICS = {"elbo_nll": "ELBO NLL", "kl": "KL", "mutual_information": "MI", "active_units": "active units",
           "reconstruction_bleu": "BLEU of decode(mean)"}
METHOD = (
    f"The stage `sequence_vae` on one in {PART} training sentences of the Penn Treebank: hidden 128, embedding 128, "
    f"z 32, dropout 0.5, {EPOCHS} epochs, seed {SEED}, one training each. All three are `pretrain_epochs = 3`, "
    "`warmup_epochs = 4` and `free_bits = 0.25`. Measured on the first 1,000 test sentences, in nats a sentence, with "
    "the 95% interval over them.")


def run(scratch: Path, quick: bool) -> Iterator[dict[str, Any]]:
    """Train every variant in a process of its own.

    Yields:
        After each the record so far; its ``remedies`` are the table of docs/training.md.
    """
    folder, head = corpora.ptb(scratch / "ptb"), measures(METHOD)
    wanted = list(VARIANTS)[:2 if quick else None]
    found = [] if quick else begun(RESULTS / "remedies.json", head, "remedies", len(wanted))
    given = [{"folder": str(folder), "variant": variant, "part": 300 if quick else PART, "quick": quick}
             for variant in wanted[len(found):]]
    for done in side_by_side("benchmarks.remedies", given):
        found.append(done)
        yield {**head, "rows": [], "remedies": found}


def train(folder: str, variant: str, part: int, quick: bool) -> dict[str, Any]:
    """Train one network and measure it on test sentences; gives its settings, metrics, history and seconds."""
    from textvae import config, device, evaluate
    from textvae.data import Tokens
    from textvae.progress import Progress
    from textvae.stages import sequence_vae
    from textvae.writing.model import Model

    device.use("auto", precision="float32")
    tokens = corpora.thinned(Tokens.load(Path(folder)), part, 40 if quick else 1000)
    changed = VARIANTS[variant]
    settings = config.SequenceVAEConfig(**{**BASE, **changed, **({"epochs": 1} if quick else {})})
    nothing: Any = SimpleNamespace(vectors=None)
    scratch = Path(folder).parent / f"remedy-{list(VARIANTS).index(variant)}"
    scratch.mkdir()
    started = time.perf_counter()
    trained = sequence_vae.run(settings, tokens, nothing, nothing, seed=SEED, progress=Progress(), scratch=scratch)
    seconds = round(time.perf_counter() - started, 1)
    measured = config.EvaluationConfig(sequences=0, iw_samples=1, iw_sequences=1)
    subject = evaluate.Subject(measured, tokens, Model(tokens.tokenizer, trained), SEED)
    found = {**evaluate.likelihood(subject), **evaluate.reconstruction(subject)[0]}
    return {"variant": variant, "settings": dataclasses.asdict(settings), "seconds": seconds,
            "metrics": {name: found[name] for name in METRICS}, "history": trained.history}


if __name__ == "__main__":
    print(json.dumps(train(**json.loads(sys.argv[1]))))
