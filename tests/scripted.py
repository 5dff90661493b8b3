"""A small corpus, a writer whose numbers are known, and what of a run the parts of the evaluation are asked with."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np

from textvae import evaluate, metrics
from textvae.config import EvaluationConfig
from textvae.constraints import Region
from textvae.data import Latents, Tokens
from textvae.decoding import Sampling
from textvae.evaluate import Judge, Subject
from textvae.text import tokenizer
from textvae.writing.conditions import Conditions
from textvae.writing.writer import ANY

CONFIG = EvaluationConfig(sequences=0, iw_samples=4, iw_sequences=0, samples=8, variations=2, sources=3, shown=4)
TRAIN = ["the cat sat on the mat today", "a dog ran in the park today", "the bird sang in a tree alone",
         "one cat ran on the grass again", "a bird sat in the park alone", "the dog sang on a mat again"] * 5
TEST = ["the cat ran in the park again", "a bird sang on the mat today", "one dog sat in a tree alone",
        "the dog ran on the grass", "a cat"]
WORDS = tokenizer.train(TRAIN, level="whitespace", vocabulary=300)


def corpus(train: list[str] = TRAIN, test: list[str] = TEST, *, validation: int = 4) -> Tokens:
    texts = [*train, *train[:validation], *test]
    ids = [np.array(WORDS.encode(text), np.int32) for text in texts]
    count = len(texts)
    rows = np.arange(count, dtype=np.int32)
    split = np.array([0] * len(train) + [1] * validation + [2] * len(test), np.uint8)
    return Tokens(ids=np.concatenate(ids), offsets=np.cumsum([0, *map(len, ids)]).astype(np.int64),
                  post=rows // 2, position=rows % 2, split=split,
                  post_ids=tuple(f"post{i}" for i in range(count // 2 + 1)),
                  post_labels=((),) * (count // 2 + 1), tokenizer=WORDS.to_json())


class ScriptedWriter:
    """Says what it is told to; each text's likelihood under it is known."""

    constraints: tuple[dict[str, Any], ...] = ()
    labels: tuple[str, ...] = ()
    exact_kl = True
    max_length = 9
    unbound = 0.3  # nobody asks samples from the prior to say what their z says
    tokenizer = WORDS
    network = SimpleNamespace(settings={"posterior": "gaussian"})
    latents: dict[bytes, tuple[np.ndarray, np.ndarray]]  # of each sequence, from ``subject``

    def __init__(self, sampled: list[str] | None = None) -> None:
        self.sampled = sampled or TRAIN[:2]
        self.scored: list[int] = []

    def region(self, name: str) -> Region:
        own = next(own for own in self.constraints if own["name"] == name)
        return Region(np.zeros(2, np.float32), own["kind"], own["threshold"])

    def texts(self, sequences: list[Any]) -> list[str]:
        return [WORDS.decode(ids) for ids in sequences]

    def posterior(self, sequences: list[np.ndarray], label: Any = None) -> dict[str, np.ndarray]:
        mean, log_var = zip(*(self.latents[np.asarray(own).tobytes()] for own in sequences), strict=True)
        return {"mean": np.stack(mean), "log_var": np.stack(log_var)}

    def draw(self, q: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        return q["mean"] + np.exp(0.5 * q["log_var"]) * rng.standard_normal(q["mean"].shape)

    def nats(self, q: dict[str, np.ndarray], z: np.ndarray, label: Any = None) -> np.ndarray:
        return metrics.kl(q["mean"], q["log_var"])

    def prior(self, count: int, rng: np.random.Generator, label: Any = None) -> np.ndarray:
        return rng.standard_normal((count, 2), np.float32)

    def log_weights(self, sequences: list[np.ndarray], q: dict[str, np.ndarray], samples: int,
                    rng: np.random.Generator, label: Any) -> np.ndarray:
        q = {name: np.repeat(own, samples, axis=0) for name, own in q.items()}
        z, nothing = self.draw(q, rng), np.zeros_like(q["mean"])
        weights = (metrics.log_posterior(z, nothing, nothing) - metrics.log_posterior(z, q["mean"], q["log_var"])
                   - self.score([own for own in sequences for _ in range(samples)], z))
        return weights.reshape(len(sequences), samples)

    def score(self, sequences: list[np.ndarray], z: np.ndarray, label: Any = None) -> np.ndarray:
        self.scored.append(len(sequences))
        return math.log(WORDS.size) * np.array([len(sequence) + 1 for sequence in sequences])

    def sampling(self, sampler: str, temperature: float, *, default: float) -> Sampling:
        return Sampling(sampler, temperature, fluency=default)

    def decode_ids(self, z: np.ndarray, *, seed: int, temperature: float, sampler: str, fluency: float | None = 0.0,
                   label: Any = None, unknown: bool = False) -> list[np.ndarray]:
        # Samples are what a user gets; means come back as they are, with what the vocabulary lacks.
        assert fluency == (0 if sampler == "greedy" else 0.3) and unknown == (sampler == "greedy")
        said = TEST if sampler == "greedy" else self.sampled
        return [np.array(WORDS.encode(said[i % len(said)]), np.int32) for i in range(len(z))]

    def vary_many(self, texts: list[str], n: int, *, conditions: Conditions = ANY, **kwargs: Any) -> list[list[Any]]:
        squared = dict.fromkeys(("near", "far"), 0.5 if conditions.constraints else 2.0)
        same, other = (SimpleNamespace(text=text, distance=1.0, log_prob=-2.0, constraints=squared)
                       for text in ("a bird sang alone", "the dog ran again"))
        if conditions.constraints == ("far",):  # half of what is asked for
            return [[other] for _ in texts]
        return [[same, same] if i == 0 else [replaced(same, text), other] if i == 1 else [same, other]
                for i, text in enumerate(texts)]

    def interpolate(self, a: str, b: str, steps: int, *, seed: int) -> list[str]:
        return [a, *["between"] * (steps - 2), b]


def replaced(item: SimpleNamespace, text: str) -> SimpleNamespace:
    return SimpleNamespace(**{**vars(item), "text": text})


def subject(writer: Any = None, *, tokens: Tokens | None = None, config: EvaluationConfig = CONFIG,
            mean: np.ndarray | None = None, log_var: float = 0.0) -> Subject:
    tokens = tokens or corpus()
    mean = np.zeros((len(tokens), 2), np.float32) if mean is None else mean.astype(np.float32)
    latents = Latents(mean, np.full_like(mean, log_var))
    writer = writer or ScriptedWriter()
    writer.latents = {np.asarray(tokens.sequence(row)).tobytes(): (latents.mean[row], latents.log_var[row])
                      for row in range(len(tokens))}
    return Subject(config, tokens, writer, 1)


def vary(own: Subject) -> tuple[evaluate.Metrics, evaluate.Rows]:
    vectors = np.random.default_rng(0).normal(size=(WORDS.size, 3)).astype(np.float32)
    return evaluate.variations(own, Judge.of(own, own.tokens.rows("train")), vectors)


def values(found: evaluate.Metrics) -> dict[str, Any]:
    return {name: own["value"] for name, own in found.items()}
