"""A language model that the generator never saw, over the tokenizer's whole vocabulary."""

import math
from collections.abc import Sequence

import numpy as np

from textvae import metrics
from textvae.data import UNKNOWN
from textvae.evaluate.subject import Subject
from textvae.text.language_model import KneserNey

MOST = 100_000  # training sequences that are counted: trigrams of more would take gigabytes
DEFINITION = "interpolated Kneser-Ney trigrams over token ids"


class Judge:
    """Kneser-Ney trigrams whose unseen tokens share their class evenly, so that models of few texts compare.

    Without that a model of little text would get every unseen token for the price of one class, and look better the
    less it knows.

    Args:
        sequences: Token ids, int [tokens] each.
        vocabulary: Token ids that the tokenizer has.
    """

    def __init__(self, sequences: Sequence[np.ndarray], vocabulary: int) -> None:
        self._model = KneserNey.train((sequence.tolist() for sequence in sequences), order=3)
        self._known = self._model.vocabulary
        met = sum(1 for token in self._known if isinstance(token, int))
        # Padding, begin and end are no tokens that a text could have; at least one, where all were met.
        self._unseen = math.log(max(1, vocabulary - UNKNOWN - met))

    @classmethod
    def of(cls, subject: Subject, rows: np.ndarray) -> "Judge":
        """A judge of training sequences, of 100,000 of them where there are more."""
        return cls(subject.sequences_of(subject.pick(rows, MOST, "judge")), subject.tokens.vocabulary_size)

    def nats(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """The negative log-likelihood of each sequence, its end included, float64 [sequences]."""
        plain = [sequence.tolist() for sequence in sequences]
        return np.array([self._model.nll(own) + self._unseen * sum(token not in self._known for token in own)
                         for own in plain], np.float64)

    def perplexity(self, sequences: Sequence[np.ndarray], *, seed: int) -> metrics.Estimate:
        """exp of the nats per prediction, with its bootstrap interval."""
        lengths = np.array([len(sequence) + 1 for sequence in sequences], np.float64)
        return metrics.ratio(self.nats(sequences), lengths, seed=seed, exponential=True)
