"""From a text to latents and templates that variations of it are decoded from: near to the text, or far."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from textvae.decoding import END, UNKNOWN

SPAN = 0.5  # chance that an opened stretch of a text goes on for another word: two words on average
AROUND = 2  # open places beside a phrase that is given, at most: without any, it stands where nothing leads to it
# Steps from texts without a label to those with it. 200 held-out Yelp reviews turned over kept BLEU 31 of their source
# with 1.0, 36 with 1.5, and 38 with 2.0, which read worst.
STRIDE, LENGTHEN = 1.5, 0.5
# Tokens that an opened stretch is written with, more than it had; by equal chance. With fewer, sentences lose their
# verbs: "How make these journeys easier?"
STRETCH = (0, 0, 0, 1)
SAME = 1e-5  # share of a latent's squared length under which another, that far off, is of the same text
NEIGHBOURS = 8  # training texts around a source that latents step toward
MOST = 100_000  # training texts that are looked through for them, so that a source takes milliseconds


@dataclass(frozen=True)
class Source:
    """A text that is varied, and what is to change in it.

    Args:
        text: It.
        ids: Its tokens, int32 [tokens].
        spelt: What stands in the text at each.
        unknown: How the vocabulary's unknown token is spelt.
        begins: Whether a word begins at each.
        blame: How readily each word is opened, float64 [words]; all alike where all are 0.
        way: Where its latents go, float32 [latent].
        fewer: Words that it must lose.
    """

    text: str
    ids: np.ndarray
    spelt: Sequence[str]
    unknown: str
    begins: Sequence[bool]
    blame: np.ndarray
    way: np.ndarray
    fewer: int

    @cached_property
    def _marked(self) -> np.ndarray:
        """The tokens; where a word is unknown, below -1 its place, until it is known which of them are given."""
        lacking = (self.ids == UNKNOWN) & (np.array(self.spelt, object) != self.unknown)
        return np.where(lacking, -2 - np.arange(len(self.ids)), self.ids)

    def template(self, share: float, longest: int, rng: np.random.Generator, never: Collection[int] = ()
                 ) -> tuple[np.ndarray, list[str]]:
        """A template with about this share of the words open, see ``opened``, and the unknown words given, in order."""
        row = opened(self._marked, self.begins, share, longest, rng, (*never, UNKNOWN), self.blame, self.fewer)
        return np.where(row < -1, UNKNOWN, row).astype(np.int32), [self.spelt[-2 - place] for place in row[row < -1]]


def reach(strength: float, attempt: int, widen: float) -> tuple[float, float]:
    """How far to draw: the factor on the posterior's spread, and the share of the prior in what is drawn.

    Up to a strength of a half the posterior is widened from its mean to its whole spread; from there on draws go over
    to the prior, which 1 stands for.

    Example:
        >>> reach(0.0, 0, 1.3), reach(0.25, 0, 1.3), reach(0.5, 0, 1.3), reach(1.0, 0, 1.3)
        ((0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (1.0, 1.0))
    """
    return min(2.0 * strength, 1.0) * widen**attempt, max(2.0 * strength - 1.0, 0.0)


def goals(means: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
    """The latents that a writer may step toward: of so many rows as ``MOST``, evenly spaced; None where there are none.

    Args:
        means: Posterior means of a corpus, float32 [sequences, latent]; may be memory-mapped.
        rows: Of its training split, int64.
    """
    return np.asarray(means[rows[::-(-len(rows) // MOST)]]) if len(rows) else None


def neighbours(means: np.ndarray, latents: np.ndarray) -> np.ndarray:
    """The latents that lie nearest to each, itself aside.

    Args:
        means: float32 [texts, latent].
        latents: Of a corpus, float32 [sequences, latent].

    Returns:
        float32 [texts, ``NEIGHBOURS``, latent], in no order; of fewer sequences some come again.

    Example:
        >>> line = np.arange(20, dtype=np.float32)[:, None]
        >>> sorted(neighbours(line[[3]], line)[0, :, 0].tolist())
        [0.0, 1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    """
    lengths = (latents**2).sum(axis=1)
    found = []
    for mean in means:
        own = mean @ mean
        apart = lengths - 2 * latents @ mean + own
        apart[apart < SAME * (1 + own)] = np.inf
        nearest = np.argpartition(apart, min(NEIGHBOURS, len(latents)) - 1)[:NEIGHBOURS]
        found.append(latents[np.resize(nearest, NEIGHBOURS)])
    return np.stack(found)


def stride(attempt: int) -> float:
    """How many steps to go from texts without a label to those with it, more in each round."""
    return STRIDE * (1 + LENGTHEN * attempt)


def words(spelt: Sequence[str], begins: Sequence[bool]) -> list[str]:
    """The words that pieces spell.

    Example:
        >>> words(["The", " c", "at"], [True, True, False])
        ['The', 'cat']
    """
    found: list[str] = []
    for piece, first in zip(spelt, begins, strict=True):
        if first or not found:
            found.append(piece.strip())
        else:
            found[-1] += piece
    return found


def blank(longest: int) -> np.ndarray:
    """The template of a text that nothing is given of: int32 [longest + 1]."""
    return np.full(longest + 1, -1, np.int32)


def closed(row: Sequence[int], longest: int) -> np.ndarray:
    """The template of given and open places with the end behind them: int32 [longest + 1]."""
    return np.array([*row, *[END] * (longest + 1 - len(row))], np.int32)


def opened(ids: np.ndarray, begins: Sequence[bool], share: float, longest: int, rng: np.random.Generator,
           never: Collection[int] = (), weights: np.ndarray | None = None, fewer: int = 0) -> np.ndarray:
    """A template that keeps most of a text and leaves some stretches of words to be chosen.

    Args:
        ids: The text's tokens, int32 [tokens], or below -1 what the caller puts in their place.
        begins: Whether a word begins at each.
        share: Of the words that are open, from 0 to 1; one at least.
        longest: Most tokens of a text.
        rng: Draws which.
        never: Tokens whose words are open in any case.
        weights: How readily each word is opened, float [words]; all alike where None, or where all are 0.
        fewer: Words that it must lose: as many of those opened are left out, and no stretch grows.

    Returns:
        int32 [longest + 1]: given tokens, -1 where one is to be chosen, and the end; a blank one where all are open.

    Example:
        >>> opened(np.array([7, 8, 9]), [True] * 3, 0.3, 5, np.random.default_rng(1)).tolist()
        [7, -1, 9, 2, 2, 2]
    """
    word = np.cumsum(begins) - (1 if len(begins) and begins[0] else 0)
    count = int(word[-1]) + 1
    free = np.zeros(count, bool)
    free[word[np.isin(ids, list(never))]] = True
    wanted = max(1, round(share * count), int(free.sum()), fewer + 1 if fewer else 0)
    if wanted >= count:
        return blank(longest)
    span = max(SPAN, fewer / (fewer + 1))  # a stretch that is left out whole breaks a sentence less than single words
    while free.sum() < wanted:
        place = _drawn(np.zeros(count) if weights is None else weights * ~free, rng)
        free[place] = True
        while place + 1 < count and free.sum() < wanted and rng.random() < span:
            place += 1
            free[place] = True
    row: list[int] = []
    out = np.flatnonzero(free)[(rng.integers(wanted) + np.arange(fewer)) % wanted] if fewer else np.zeros(0, int)
    room = 0 if fewer else longest - len(ids)
    place = 0
    while place < len(ids):
        if not free[word[place]]:
            row.append(int(ids[place]))
            place += 1
            continue
        last = place
        while last < len(ids) and free[word[last]]:
            last += 1
        own = int((~np.isin(word[place:last], out)).sum())
        more = min(int(rng.choice(STRETCH)), room)
        room -= more
        row += [-1] * (own + more)
        place = last
    return closed(row, longest)


def placed(row: np.ndarray, phrase: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """A template with a phrase given in one of its open stretches, and up to two open places on either side of it.

    Args:
        row: A template, int32 [longest + 1].
        phrase: Tokens that stand together.
        rng: Draws where.

    Returns:
        int32 [longest + 1]; as it was where it has the phrase, is blank, or has no room.

    Example:
        >>> placed(np.array([7, -1, 9, 2, 2, 2, 2]), [5], np.random.default_rng(0)).tolist()
        [7, -1, -1, 5, -1, 9, 2]
    """
    given, free = row.tolist(), np.flatnonzero(row == -1)
    size = len(phrase)
    if given[-1] != END or not len(free) or any(given[i:i + size] == list(phrase) for i in range(len(given))):
        return row
    place = int(rng.choice(free))
    before, after = (int(count) for count in rng.integers(0, AROUND + 1, 2))
    body = [*given[:place], *[-1] * before, *phrase, *[-1] * after, *given[place + 1:given.index(END)]]
    return closed(body, len(row) - 1) if len(body) < len(row) else row


def _drawn(weights: np.ndarray, rng: np.random.Generator) -> int:
    """A place by its weight; any where none has some."""
    if not weights.any():
        return int(rng.integers(len(weights)))
    ends = np.cumsum(weights)
    return int(np.searchsorted(ends, rng.random() * ends[-1], side="right"))
