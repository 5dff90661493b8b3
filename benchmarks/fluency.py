"""What fluency changes: one trained network that can write without z, at several shares of what it then says.

    python -m benchmarks.fluency ptb-reconstruction [--store models] [--run N]

Nothing is trained. Samples are those of the stage `evaluation`, from the same latents and random numbers at every
share; beside them stand how much of held-out sequences still comes back from their means, and variations.
"""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import of_run
from benchmarks.machine import describe
from textvae import catalogue, config, device, evaluate, runs
from textvae.data import Tokens, TrainedNetwork
from textvae.decoding import Sampling
from textvae.errors import TextvaeError
from textvae.text.lexicon import Lexicon
from textvae.text.pairs import Pairs, halves
from textvae.writing.writer import Writer

SEED = 1
SHARES = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 1.0)
# Metric of an evaluation -> what the table calls it.
METRICS = {"reconstruction_bleu": "BLEU of decode(mean)", "sample_forward_ppl": "trigrams' PPL of samples",
           "sample_reverse_ppl": "PPL under trigrams of samples", "sample_distinct_2": "distinct-2 of samples",
           "sample_self_bleu": "self-BLEU of samples", "sample_verbatim": "samples that stand in the training split",
           "variation_bleu": "BLEU of variations to their source", "variation_diversity": "their diversity",
           "variation_ppl": "trigrams' PPL of variations"}
OF_REAL = {name: name.replace("sample", "real") for name in METRICS if name.startswith("sample")} | {
    "variation_ppl": "source_ppl"}


class At(Writer):
    """A writer that chooses all tokens at one fluency."""

    share = 0.0

    def sampling(self, sampler: str, temperature: float, fluency: float | None = None, default: float = 0.0
                 ) -> Sampling:
        """As ``Writer.sampling``, at ``share``."""
        return super().sampling(sampler, temperature, self.share)


def collect(pipeline: str, root: Path, number: int | None) -> Path:
    """Measure one run at every share; the current one where number is None."""
    used = device.use("auto", precision="float32")
    store = catalogue.locate(pipeline, root)
    run = runs.choose(store, number)
    tokens, trained, compressed = (runs.load(store, stage, run.number)
                                   for stage in ("tokens", "sequence_vae", "embedding_vae"))
    how = config.EvaluationConfig(temperature=run.config["evaluation"]["temperature"])
    return of_run.written(f"fluency-{run.pipeline}", {
        "pipeline": run.pipeline, "run": run.number, "latent_dropout": trained.settings["latent_dropout"],
        "shares": measured(trained, tokens, compressed.vectors, how), "device": used.describe(), "machine": describe()})


def measured(trained: TrainedNetwork, tokens: Tokens, vectors: np.ndarray, how: config.EvaluationConfig
             ) -> dict[str, Any]:
    """Metrics of the test split by share.

    Args:
        vectors: Compressed vectors of the tokens, which tell how close variations stay.

    Raises:
        TextvaeError: The network was trained without ``latent_dropout``.
    """
    counted, others = halves(tokens)  # what fills gaps does not judge them
    model = At(tokens.tokenizer, trained, lexicon=Lexicon.of(tokens), pairs=Pairs(tokens, counted))
    if not model.fluent:
        raise TextvaeError("the network was trained without latent_dropout, and has no fluency")
    subject = evaluate.Subject(how, tokens, model, SEED)
    judges = [evaluate.Judge.of(subject, rows) for rows in (tokens.rows("train"), others)]
    found: dict[str, Any] = {}
    for share in SHARES:
        model.share = share
        metrics = {**evaluate.reconstruction(subject)[0], **evaluate.samples(subject, judges[0])[0],
                   **evaluate.variations(subject, judges[1], vectors)[0]}
        found[f"{share:g}"] = {metric: metrics[metric] for metric in (*METRICS, *OF_REAL.values())}
        print(share, {metric: round(metrics[metric]["value"], 3) for metric in METRICS}, flush=True)
    return found


if __name__ == "__main__":
    given = of_run.arguments(__doc__).parse_args()
    of_run.tell(collect, given.pipeline, given.store, given.run)
