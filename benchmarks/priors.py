"""What a prior that is fitted after training changes: one trained network, with the prior it has and with the other.

    python -m benchmarks.priors yelp [--store models] [--run N]

Nothing is trained: the network's latents are the same, the fitted prior is made as the stage `sequence_vae` makes it
where `prior = "fitted"`, and both are measured as the stage `evaluation` measures them, on the test split.
"""

import time
from pathlib import Path
from typing import Any

from benchmarks import of_run
from benchmarks.machine import describe
from textvae import catalogue, config, device, evaluate, runs
from textvae.data import Tokens, TrainedNetwork
from textvae.errors import TextvaeError
from textvae.progress import Progress
from textvae.stages import prior
from textvae.writing.model import Model

SEED = 1
COMPONENTS = 16
# Metric of an evaluation -> what the table calls it.
METRICS = {"kl": "KL", "elbo_nll": "ELBO NLL", "iw_nll": "IW-NLL", "sample_forward_ppl": "trigrams' PPL of samples",
           "sample_reverse_ppl": "PPL under trigrams of samples", "sample_self_bleu": "self-BLEU of samples",
           "sample_verbatim": "samples that stand in the training split"}
OF_REAL = {"sample_forward_ppl": "real_forward_ppl", "sample_reverse_ppl": "real_reverse_ppl",
           "sample_self_bleu": "real_self_bleu", "sample_verbatim": "real_verbatim"}


def collect(pipeline: str, root: Path, number: int | None) -> Path:
    """Measure one run with both priors; the current one where number is None."""
    used = device.use("auto", precision="float32")
    store = catalogue.locate(pipeline, root)
    run = runs.choose(store, number)
    tokens, trained = (runs.load(store, stage, run.number) for stage in ("tokens", "sequence_vae"))
    how = config.EvaluationConfig(temperature=run.config["evaluation"]["temperature"])
    found, seconds = measured(trained, tokens, how)
    return of_run.written(f"priors-{run.pipeline}", {
        "pipeline": run.pipeline, "run": run.number, "beta": run.config["sequence_vae"]["beta"], "priors": found,
        "seconds": round(seconds, 1), "device": used.describe(), "machine": describe()})


def measured(trained: TrainedNetwork, tokens: Tokens, how: config.EvaluationConfig) -> tuple[dict[str, Any], float]:
    """Metrics of the test split under the standard and the fitted prior, and the seconds that the fit took."""
    if trained.settings["posterior"] not in ("gaussian", "full") or trained.settings["prior"] in ("mixture", "vamp"):
        raise TextvaeError("a prior is fitted where the posterior is Gaussian and the prior standard")
    plain = prior.unfitted(trained)
    label = tokens.label_places(tuple(trained.settings["labels"])) if trained.settings["labels"] else None
    started = time.perf_counter()
    fitted = prior.fitted(plain, tokens, label, most=COMPONENTS, seed=SEED, progress=Progress())
    seconds = time.perf_counter() - started
    found = {}
    for name, network in (("standard", plain), ("fitted", fitted)):
        subject = evaluate.Subject(how, tokens, Model(tokens.tokenizer, network), SEED)
        metrics = {**evaluate.likelihood(subject),
                   **evaluate.samples(subject, evaluate.Judge.of(subject, tokens.rows("train")))[0]}
        found[name] = {"components": network.settings["components"] if network.settings["prior"] == "fitted" else 1,
                       "metrics": {metric: metrics[metric] for metric in (*METRICS, *OF_REAL.values())}}
        print(name, {metric: round(metrics[metric]["value"], 2) for metric in METRICS}, flush=True)
    return found, seconds


if __name__ == "__main__":
    given = of_run.arguments(__doc__).parse_args()
    of_run.tell(collect, given.pipeline, given.store, given.run)
