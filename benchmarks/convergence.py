"""Whether what makes training fast changes what an epoch teaches: the Penn Treebank after three epochs, three seeds.

A measurement that was stopped goes on where it was.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks import corpora
from benchmarks.machine import RESULTS
from benchmarks.rows import brief, verdict
from benchmarks.turns import begun, measures, side_by_side

METHOD = (
    "The stage `sequence_vae` on the Penn Treebank, hidden 256, embedding 256, z 32, 32 sentences a batch on average, "
    "dropout 0.5, 0.25 free bits a dimension, the KL at its full weight from the start; ELBO NLL of the validation "
    "split (3,370 sentences, exact softmax, nats per sentence) after the last epoch. `unbucketed` puts sentences into "
    "batches at random and pads to the longest; the softmax is exact in `unbucketed` and `bucketed`.")
SEEDS = (1, 2, 3)
BASE = "unbucketed"
VARIANTS = {BASE: 0, "bucketed": 0, "sampled softmax (2,048)": 2048}  # name -> softmax_samples
WITHIN = 0.005  # of the base's NLL


def run(scratch: Path, quick: bool) -> Iterator[dict[str, Any]]:
    """Train every variant from every seed, each in its own process.

    Yields:
        After each training the record so far.
    """
    folder, head = corpora.ptb(scratch / "ptb"), measures(METHOD)
    wanted = [(seed, variant) for seed in (SEEDS[:1] if quick else SEEDS) for variant in VARIANTS]
    runs = [] if quick else begun(RESULTS / "convergence.json", head, "runs", len(wanted))
    given = [{"folder": str(folder), "variant": variant, "seed": seed, "epochs": 1 if quick else 3,
              "part": 60 if quick else 1} for seed, variant in wanted[len(runs):]]
    for done in side_by_side("benchmarks.convergence", given):
        runs.append(done)
        yield {**head, "rows": list(_rows(runs)), "runs": runs}


def _rows(runs: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    last = {variant: [own["nll"][-1] for own in runs if own["variant"] == variant] for variant in VARIANTS}
    base = last.pop(BASE)
    for variant, nll in last.items():
        if nll:
            pairs = list(zip(nll, base, strict=False))  # the base is trained first, and may be one seed ahead
            own, other = ({"median": mean(pair[i] for pair in pairs), "min": min(pair[i] for pair in pairs),
                           "max": max(pair[i] for pair in pairs)} for i in (0, 1))
            yield {"work": f"validation NLL after {len(runs[0]['nll'])} epochs, {variant}; mean of {len(nll)} of "
                           f"{len(SEEDS)} seeds",
                   "unit": "nats", "ours": brief(variant, own), "yardstick": brief(BASE, other),
                   **verdict("change", own["median"] / other["median"] - 1, [one / two - 1 for one, two in pairs],
                             WITHIN, WITHIN)}


def train(folder: str, variant: str, seed: int, epochs: int, part: int) -> dict[str, Any]:
    """Train one network; gives its validation ELBO NLL after each epoch, and seconds in all."""
    from textvae import config, device
    from textvae.data import Tokens
    from textvae.nn import batching
    from textvae.progress import Progress
    from textvae.stages import sequence_vae

    device.use("auto", precision="float32")
    tokens = Tokens.load(Path(folder))
    if part > 1:
        kept = tokens.split.copy()
        kept[np.arange(len(kept)) % part > 0] = 2
        tokens = dataclasses.replace(tokens, split=kept)
    if variant == BASE:
        batching.plan = _unbucketed  # type: ignore[assignment]
    settings = config.SequenceVAEConfig(
        vectors="none", embedding=256, hidden=256, latent=32, dropout=0.5, word_dropout=0.0, noise=0.0, free_bits=0.25,
        pretrain_epochs=0, warmup_epochs=0, epochs=epochs, patience=epochs, softmax_samples=VARIANTS[variant])
    nothing: Any = SimpleNamespace(vectors=None)
    scratch = Path(folder).parent / f"{variant}-{seed}"
    scratch.mkdir()
    started = time.perf_counter()
    done = sequence_vae.run(settings, tokens, nothing, nothing, seed=seed, progress=Progress(), scratch=scratch)
    return {"variant": variant, "seed": seed, "seconds": round(time.perf_counter() - started, 1),
            "nll": [round(row["val_reconstruction"] + row["val_kl"], 4) for row in done.history]}


def _unbucketed(lengths: np.ndarray, batch_size: int, rng: np.random.Generator | None = None, widths: Any = (),
                even: bool = False) -> list[tuple[np.ndarray, int]]:
    order = np.arange(len(lengths)) if rng is None else rng.permutation(len(lengths))
    batches = [order[start:start + batch_size] for start in range(0, len(order), batch_size)]
    # Rounded up to tens, which changes no loss, so that XLA compiles eight shapes and not sixty.
    return [(rows, -(-int(lengths[rows].max()) // 10) * 10) for rows in batches]


if __name__ == "__main__":
    print(json.dumps(train(**json.loads(sys.argv[1]))))
