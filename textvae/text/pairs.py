"""Which tokens stand beside each other in a corpus: gaps are filled, and their seams judged, with an eye on that."""

from functools import cached_property
from typing import Any

import numpy as np

from textvae.data import BEGIN, END, Tokens

MOST = 5_000_000  # tokens that are counted, of sequences evenly spaced over those given
EXPECTED = 5  # times that chance alone would put a pair into the corpus: met never, it is avoided
REACH = 2  # places before a given token at which it is thought of; further off it hardly matters


def halves(tokens: Tokens) -> tuple[np.ndarray, np.ndarray]:
    """The training split in two, int64 each: what a writer may count, and what its judge reads.

    Of a split of one sequence both are all of it.
    """
    rows = tokens.rows("train")
    return rows[::2], rows[1::2] if len(rows) > 1 else rows


class Pairs:
    """Bigrams with interpolated absolute discounting over token ids, for the whole vocabulary at once.

    They are counted when they are first asked for, so that what writes no variations does not wait for them.

    Args:
        tokens: Every sequence, or the pairs that were counted before the sequences were left out.
        rows: The sequences that are counted, int64.

    Reference: Chen & Goodman 1999, section 3 (Kneser-Ney, of order 2); every token counts as if it had followed one
    more, so that none is impossible.
    """

    def __init__(self, tokens: Tokens, rows: np.ndarray) -> None:
        self._tokens = tokens
        self._rows = rows

    @classmethod
    def of(cls, tokens: Tokens) -> "Pairs | None":
        """Those of a training split; None where nothing is known of it."""
        rows = tokens.rows("train")
        return cls(tokens, rows) if len(rows) or tokens.pairs is not None else None

    @cached_property
    def met(self) -> np.ndarray:
        """Which token follows which, and how often: int32 [pairs, 3]."""
        if self._tokens.pairs is not None:
            return self._tokens.pairs
        size, lengths = self._tokens.vocabulary_size, self._tokens.lengths
        rows = self._rows[::max(1, -(-int(lengths[self._rows].sum()) // MOST))]
        counted = np.repeat(np.isin(np.arange(len(lengths)), rows), lengths)
        text = np.insert(self._tokens.ids[counted], np.cumsum(lengths[rows]), END)
        before = np.concatenate([[BEGIN], np.where(text == END, BEGIN, text)[:-1]])
        codes, counts = np.unique(before.astype(np.int64) * size + text, return_counts=True)
        return np.stack([*np.divmod(codes, size), counts], axis=1).astype(np.int32)

    def nats(self, ids: np.ndarray) -> np.ndarray:
        """-log of the probability of each token, and of the end, after what stands before it: float32 [tokens + 1].

        Args:
            ids: int32 [tokens].
        """
        seen, left, alone = self._chances
        before, after = _steps(ids)
        return np.asarray(-np.log(np.asarray(seen[before, after]) + left[before] * alone[after]), np.float32)

    def alone(self, ids: np.ndarray) -> np.ndarray:
        """-log of the share that each token, and the end, has of all tokens: float32 [tokens + 1].

        Args:
            ids: int32 [tokens].
        """
        return self._alone[_steps(ids)[1]]

    def avoided(self, ids: np.ndarray) -> np.ndarray:
        """Which steps to a token, or to the end, the corpus never takes though chance would: bool [tokens + 1].

        Args:
            ids: int32 [tokens].
        """
        seen, *_ = self._chances
        leaving, arriving = self._frequent
        before, after = _steps(ids)
        return (np.asarray(seen[before, after]) == 0) & (leaving[before] * arriving[after] >= EXPECTED)

    def ahead(self, template: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How well each token leads to what is given behind it.

        Args:
            template: int32 [rows, places]: given tokens, -1 where one is to be chosen.

        Returns:
            log p(given token | token) in nats for each kind of open place, float32 [kinds, vocabulary], where the
            first kind leads nowhere; and the kind of each place, int32 [rows, places].
        """
        kinds: dict[tuple[int, int], int] = {}  # by what is given and how many open places lie between
        places = np.zeros(template.shape, np.int32)
        for row, place in np.argwhere(template < 0):
            behind = template[row, place + 1:place + 1 + REACH]
            given = np.flatnonzero(behind >= 0)
            if len(given):
                places[row, place] = kinds.setdefault((int(behind[given[0]]), int(given[0])), 1 + len(kinds))
        seen, left, alone = self._chances
        table = np.zeros((1 + len(kinds), len(left)), np.float32)
        for between in range(REACH):
            own = np.array([(goal, kind) for (goal, apart), kind in kinds.items() if apart == between], int)
            goals, numbers = own.reshape(-1, 2).T
            chance = seen[:, goals].toarray() + left[:, None] * alone[goals]
            for _ in range(between):  # over all tokens that may stand there
                chance = seen @ chance + left[:, None] * (alone @ chance)
            table[numbers] = np.log(chance).T
        return table, places

    @cached_property
    def rarity(self) -> np.ndarray:
        """How rare each token is: log of how many sequences there are for each time that it is met, 0 at least.

        Returns:
            float32 [vocabulary].

        Reference: the inverse document frequency of Sparck Jones 1972, with occurrences in the place of documents.
        """
        return np.maximum(np.log(max(self._arrived[END], 1)) - np.log(1 + self._arrived), 0.0).astype(np.float32)

    @cached_property
    def _arrived(self) -> np.ndarray:
        """How often each token, or the end, is arrived at."""
        _, after, counts = self.met.T
        return np.bincount(after, counts, self._tokens.vocabulary_size)

    @cached_property
    def _alone(self) -> np.ndarray:
        """-log of each token's share, half a time more than it is met: float32 [vocabulary]."""
        met = self._arrived + 0.5
        return np.asarray(-np.log(met / met.sum()), np.float32)

    @cached_property
    def _frequent(self) -> tuple[np.ndarray, np.ndarray]:
        """How often each token is left for another, and each one's share of what is arrived at."""
        before, _, counts = self.met.T
        return np.bincount(before, counts, self._tokens.vocabulary_size), self._arrived / self._arrived.sum()

    @cached_property
    def _chances(self) -> tuple[Any, np.ndarray, np.ndarray]:
        """What pairs that were met are given, [before, after]; what each token leaves to others; each one's share."""
        from scipy.sparse import csc_array

        size = self._tokens.vocabulary_size
        before, after, counts = self.met.T
        once, twice = (counts == 1).sum(), (counts == 2).sum()
        discount = once / (once + 2 * twice) if once and twice else 0.5
        total, followers = np.bincount(before, counts, size), np.bincount(before, minlength=size)
        left = np.where(total > 0, discount * followers / np.maximum(total, 1), 1.0)
        preceded = np.bincount(after, minlength=size) + 1.0
        seen = csc_array(((counts - discount) / total[before], (before, after)), shape=(size, size))
        return seen, left, preceded / preceded.sum()


def _steps(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What stands before and behind each step from the beginning to the end: int [tokens + 1] each."""
    return np.concatenate([[BEGIN], ids]), np.concatenate([ids, [END]])
