"""An n-gram language model, the judge of fluency and of forward and reverse perplexity."""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from enum import Enum


class Mark(Enum):
    """What stands beside the words; no word equals one of these."""

    BEGIN = "begin"
    END = "end"
    UNSEEN = "any word never met in training"


class KneserNey:
    """Interpolated Kneser-Ney smoothing, over token ids or words.

    The model spreads its probability over the words met in training, the end of the sequence, and one class for every
    word never met. A text full of such words therefore looks better than it is; compare texts of one vocabulary.

    Args:
        counts: For each order from 1 on, how often each n-gram was met (highest order), or how many different words
            stood before it (lower orders).

    Example:
        >>> model = KneserNey.train([["a", "cat", "sat"], ["a", "dog", "sat"]])
        >>> model.nll(["a", "cat", "sat"]) < model.nll(["sat", "cat", "a"])
        True

    Reference: Chen & Goodman 1999, "An empirical study of smoothing techniques for language modeling", section 3.
    """

    def __init__(self, counts: Sequence[Counter[tuple[Hashable, ...]]]) -> None:
        self._counts = counts
        self._discounts = [_discount(own) for own in counts]
        self._totals: dict[tuple[Hashable, ...], int] = {}
        self._followers: Counter[tuple[Hashable, ...]] = Counter()
        for own in counts:
            for gram, count in own.items():
                self._totals[gram[:-1]] = self._totals.get(gram[:-1], 0) + count
                self._followers[gram[:-1]] += 1
        self._words = {gram[0] for gram in counts[0]}  # the end is among them

    @classmethod
    def train(cls, sequences: Iterable[Sequence[Hashable]], order: int = 3) -> "KneserNey":
        """Count n-grams.

        Args:
            sequences: Token ids or words of each training sequence, without begin and end.
            order: Words of an n-gram, the predicted one included.

        Raises:
            ValueError: There is no sequence, or the order is under 1.
        """
        if order < 1:
            raise ValueError(f"order must be at least 1, not {order}")
        counts: list[Counter[tuple[Hashable, ...]]] = [Counter() for _ in range(order)]
        for sequence in sequences:
            words = (Mark.BEGIN, *sequence, Mark.END)
            for end in range(2, len(words) + 1):
                counts[min(order, end) - 1][words[max(0, end - order):end]] += 1
        # What begins a sequence has no word before it: its own count stands. An n-gram of a lower order counts once
        # for each different word met before it.
        for size in range(order - 1, 0, -1):
            counts[size - 1].update(gram[1:] for gram in counts[size])
        if not counts[0]:
            raise ValueError("a language model needs at least one training sequence")
        return cls(counts)

    @property
    def vocabulary(self) -> frozenset[Hashable]:
        """Everything that a probability is spread over, the end and the class of unseen words included."""
        return frozenset({*self._words, Mark.UNSEEN})

    def probability(self, word: Hashable, history: Sequence[Hashable]) -> float:
        """How probable a word is.

        Args:
            word: A word, or one of ``vocabulary``.
            history: All words of the sequence before it.
        """
        order = len(self._counts)
        known = [Mark.BEGIN, *history][-(order - 1):] if order > 1 else []
        probability = 1 / (len(self._words) + 1)  # of each word and of the unseen class, where nothing more is known
        for size, (own, discount) in enumerate(zip(self._counts, self._discounts, strict=True)):
            context = tuple(known[len(known) - size:])
            # A context that was never met says nothing, and no longer one was met either.
            if len(known) < size or context not in self._totals:
                break
            kept = max(own.get((*context, word), 0) - discount, 0.0)
            probability = (kept + discount * self._followers[context] * probability) / self._totals[context]
        return probability

    def nll(self, sequence: Sequence[Hashable]) -> float:
        """The negative log-likelihood of a sequence in nats, summed over its words and its end."""
        order = len(self._counts)
        return -sum(math.log(self.probability(word, sequence[max(0, place - order):place]))
                    for place, word in enumerate([*sequence, Mark.END]))

    def perplexity(self, sequences: Iterable[Sequence[Hashable]]) -> float:
        """exp of the nats per prediction; a sequence's predictions are its words and its end.

        Raises:
            ValueError: There is no sequence.
        """
        nats, predictions = 0.0, 0
        for sequence in sequences:
            nats += self.nll(sequence)
            predictions += len(sequence) + 1
        if not predictions:
            raise ValueError("perplexity needs at least one sequence")
        return math.exp(nats / predictions)


def _discount(counts: Counter[tuple[Hashable, ...]]) -> float:
    """Ney's estimate from how many n-grams were met once and twice; one half where a tiny corpus gives none."""
    met = Counter(counts.values())
    return met[1] / (met[1] + 2 * met[2]) if met[1] and met[2] else 0.5
