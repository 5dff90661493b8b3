"""What is evaluated: a writer, and the held-out sequences that it is held against."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from textvae import metrics
from textvae.config import EvaluationConfig
from textvae.data import UNKNOWN, Tokens
from textvae.seeds import child

SHORTEST, LONGEST = 6, 25  # words of a source: room to vary, and most of it still in z

Metrics = dict[str, dict[str, Any]]
Rows = list[dict[str, Any]]


def entry(value: metrics.Estimate | float | list[float], unit: str, definition: str) -> dict[str, Any]:
    """One metric as ``Evaluation.metrics`` holds it.

    Example:
        >>> entry(2.0, "nats", "twice one")
        {'value': 2.0, 'low': None, 'high': None, 'unit': 'nats', 'definition': 'twice one'}
    """
    if isinstance(value, metrics.Estimate):
        low, high = (None if np.isnan(end) else end for end in (value.low, value.high))
        return {"value": value.value, "low": low, "high": high, "unit": unit, "definition": definition}
    return {"value": value, "low": None, "high": None, "unit": unit, "definition": definition}


@dataclass(frozen=True)
class Subject:
    """What every part of the evaluation reads.

    Args:
        config: How much is measured.
        tokens: Every sequence with its split.
        writer: ``textvae.writing.writer.Writer`` of the sequence VAE, or what has its methods.
        seed: Parent of every seed used.
    """

    config: EvaluationConfig
    tokens: Tokens
    writer: Any
    seed: int

    def child(self, name: str) -> int:
        """The seed of one purpose."""
        return child(self.seed, name)

    def rng(self, name: str) -> np.random.Generator:
        """The random numbers of one purpose."""
        return np.random.default_rng(self.child(name))

    def pick(self, rows: np.ndarray, count: int, name: str) -> np.ndarray:
        """Draw this many rows in their order, all of them where count is 0 or more than there are."""
        if not 0 < count < len(rows):
            return rows
        return np.sort(self.rng(name).choice(rows, count, replace=False))

    def sequences_of(self, rows: np.ndarray) -> list[np.ndarray]:
        """Token ids, int32 [tokens] each."""
        return [np.asarray(self.tokens.sequence(row)) for row in rows]

    @cached_property
    def rows(self) -> np.ndarray:
        """The evaluated test sequences, int64 [sequences]."""
        return self.pick(self.tokens.rows("test"), self.config.sequences, "test")

    @cached_property
    def sequences(self) -> list[np.ndarray]:
        """Their token ids."""
        return self.sequences_of(self.rows)

    @cached_property
    def texts(self) -> list[str]:
        """Their texts."""
        return self.decode(self.sequences)

    @cached_property
    def encoded(self) -> list[np.ndarray]:
        """The token ids of the texts, which need not be those that the texts come from."""
        return self.encode(self.texts)

    @cached_property
    def fits(self) -> np.ndarray:
        """Whether the writer can read each text, bool [sequences]."""
        return np.array([0 < len(own) <= self.writer.max_length for own in self.encoded], bool)

    @cached_property
    def sources(self) -> list[str]:
        """Texts to vary: of medium length and all in the vocabulary where there are such."""
        words = np.array([len(own) for own in self.words(self.texts)])
        medium = self.fits & (words >= SHORTEST) & (words <= LONGEST)
        known = medium & np.array([UNKNOWN not in own for own in self.encoded])
        rows = np.flatnonzero(next(own for own in (known, medium, self.fits) if own.any() or own is self.fits))
        return [self.texts[row] for row in self.pick(rows, self.config.sources, "sources")]

    @cached_property
    def label(self) -> np.ndarray:
        """The place of each one's label among the network's, int32 [sequences]."""
        return self.tokens.label_places(self.writer.labels)[self.rows]

    @cached_property
    def posterior(self) -> dict[str, np.ndarray]:
        """The posterior of each, with its ``mean`` float32 [sequences, latent]."""
        found: dict[str, np.ndarray] = self.writer.posterior(self.sequences, self.label)
        return found

    def decode(self, sequences: list[Any]) -> list[str]:
        """The texts of token ids."""
        texts: list[str] = self.writer.texts(sequences)
        return texts

    def encode(self, texts: list[str]) -> list[np.ndarray]:
        """The token ids of texts, as the tokenizer cuts them."""
        return [np.array(ids, np.int32) for ids in self.writer.tokenizer.encode_many(texts)]

    @property
    def spaced(self) -> bool:
        """Whether the texts are tokens between blanks, which BLEU then takes as they are."""
        return bool(self.tokens.tokenizer["level"] == "whitespace")

    def words(self, texts: list[str]) -> list[list[str]]:
        """The words of texts, for BLEU and n-gram counts."""
        return metrics.words(texts, split=self.spaced)
