"""Which of many candidates are kept: fluent ones that are close to the source and unlike each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

import numpy as np

from textvae.decoding import BEGIN, END
from textvae.text.lexicon import WORD, Lexicon, collisions, repeated, unbalanced
from textvae.text.pairs import Pairs

# Chosen by reading and measuring variations of 60 Yelp reviews and of 60 sentences of a blog that no number is reported
# of: with less weight on the worst seam, an "of" or "to" too much was let pass at the end; with more likeness allowed,
# one word changed in all five. Ranked by likelihood and not by odds, words that fit anywhere stood where others belong.
# Without regard to strain, "the graphs below shows". With half the weight on closeness as many read well, and less was
# kept of the source than by an n-gram refill that differs as much.
CLOSE = 4.8  # weight of closeness beside fluency, at strength 0; it falls with the square of the strength
SEAM = 2.0  # weight of the worst seam beside the odds of all words
STRAIN = 2.0  # weight of the worst strain beside them
UNLIKE = 4.0  # weight of the likeness to what is kept already, from 0 to 1


@dataclass(frozen=True)
class Candidate:
    """A text that could be kept.

    Args:
        text: It.
        log_prob: Nats per token under the model, given its own latent.
        plain: The same without any latent where the model can tell, else with it, by how frequent its tokens are: the
            log odds (SLOR) of Pauls & Klein 2012, which people's judgement of sentences follows better than the
            likelihood does (Lau et al. 2017). A word is not worse for being rare, nor better for fitting anywhere.
        seam: Nats of its least likely step that the source has not, by whoever finds it the least likely, and by how
            frequent the token is that it leads to.
        strain: Nats by which the worst of the words that it keeps is less likely behind what is new than in the source.
        latent: Its own posterior mean, float32 [latent].
        flaws: How often it repeats itself, how many words it invents, how many steps it takes that the corpus avoids,
            and how many more or fewer times it says no.
    """

    text: str
    log_prob: float
    plain: float
    seam: float
    strain: float
    latent: np.ndarray
    flaws: int


def flaws(text: str, source: str, lexicon: Lexicon | None) -> int:
    """What is wrong with a text: repeats, words that neither corpus nor source has, open quotes and brackets, and marks
    that stand on each other, counted.

    What its source repeats may be repeated here, and what it leaves open may be open.

    Args:
        text: It.
        source: What it is a variation of; may be empty.
        lexicon: The corpus's words; without them none counts as invented.
    """
    found = abs(unbalanced(text) - unbalanced(source)) + sum(
        max(count(text) - count(source), 0) for count in (repeated, collisions))
    if lexicon:
        own = set(WORD.findall(source.casefold()))
        found += sum(word not in own for word in lexicon.invented(text)) + lexicon.echoed(text, source)
    return found


def candidate(text: str, ids: np.ndarray, nats: np.ndarray, plain: np.ndarray, latent: np.ndarray, wrong: int,
              source: np.ndarray, before: np.ndarray, pairs: Pairs | None) -> Candidate:
    """A text with all that it is ranked by.

    Args:
        text, ids: It, and its tokens, int32 [tokens].
        nats: Of each token and of the end, under the text's own latent, float32 [tokens + 1].
        plain: The same without any, where the network can tell.
        latent: That, float32 [latent].
        wrong: Flaws that were found in its words; steps that the corpus avoids are added.
        source: Tokens of what it is a variation of, int32 [tokens].
        before: ``plain`` of the source.
        pairs: Which tokens stand beside each other in the corpus.
    """
    # Told by that latent what to expect, the decoder is blind to some breaks.
    new, cost, rare = new_steps(ids, source), np.maximum(nats, plain), np.zeros(1, np.float32)
    if pairs is not None:
        rare, cost = pairs.alone(ids), np.maximum(cost, pairs.nats(ids))
        wrong += int((pairs.avoided(ids) & new).sum())
    seam = np.max((cost - rare)[new], initial=-rare.max())
    return Candidate(text, -float(nats.mean()), float((rare - plain).mean()), float(seam),
                     strain(ids, plain, source, before), latent, wrong)


def best(found: Sequence[Candidate], source: str, distances: np.ndarray, n: int, *, strength: float,
         counts: Mapping[str, int]) -> list[int]:
    """Choose by maximal marginal relevance (Carbonell & Goldstein 1998): the appealing, less what is like it already.

    Args:
        found: Candidates.
        source: What they are variations of.
        distances: L2 from the source's posterior mean, float [candidates].
        n: How many to keep.
        strength: From 0 to 1: how little closeness to the source counts beside fluency.
        counts: How often the corpus has each word, case folded: rare words count more.

    Returns:
        Places of those to keep: those with the fewest flaws first, and of these the most appealing.
    """
    table, weights = _table([source, *(one.text for one in found)], counts)
    closeness = (_standardised(likeness(table, table[0], weights)[1:]) - _standardised(distances)) / 2
    told = np.reshape([(one.plain, one.seam, one.strain) for one in found], (-1, 3))
    odds, seams, strains = map(_standardised, told.T)
    fluency = odds - SEAM * seams - STRAIN * strains
    appeal = fluency + CLOSE * (1 - strength**2) * closeness
    again = np.zeros(len(found))  # likeness to the one that is most like it of those chosen
    chosen: list[int] = []
    left = list(range(len(found)))
    while left and len(chosen) < n:
        fewest = min(found[i].flaws for i in left)
        place = max((i for i in left if found[i].flaws == fewest), key=lambda i: appeal[i] - UNLIKE * again[i])
        chosen.append(place)
        left.remove(place)
        again = np.maximum(again, likeness(table, table[1 + place], weights)[1:])
    return chosen


def strain(ids: np.ndarray, nats: np.ndarray, source: np.ndarray, before: np.ndarray) -> float:
    """By how many nats the worst of the words that a text keeps is less likely in it than in its source; 0 at least.

    What a new word breaks may stand further on, where every step is the source's: a verb that no longer agrees.
    The first word behind what is new is left out, being a seam.

    Args:
        ids, nats: The text's tokens, int32 [tokens], and -log p of each and of the end, float32 [tokens + 1].
        source, before: The source's.

    Example:
        >>> the, graph, graphs, below, show = range(5, 10)
        >>> strain(np.array([the, graph, below, show]), np.array([2, 3, 1, 6, 1], np.float32),
        ...        np.array([the, graphs, below, show]), np.array([2, 4, 1, 1, 1], np.float32))
        5.0
    """
    worst = 0.0
    matcher = SequenceMatcher(None, [*source.tolist(), END], [*ids.tolist(), END], autojunk=False)
    for old, new, size in matcher.get_matching_blocks():
        if size > 1:
            rise = nats[new + 1:new + size] - before[old + 1:old + size]
            worst = max(worst, float(rise.max()))
    return worst


def new_steps(ids: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Which of a text's steps from one token to the next its source does not have: bool [tokens + 1], the end's last.

    What a text keeps of its source may be rare, and is right; where it leaves the source and comes back, it must fit.

    Args:
        ids: The text's tokens, int32 [tokens].
        source: The source's tokens, int32 [tokens].

    Example:
        >>> new_steps(np.array([5, 9, 7]), np.array([5, 6, 7])).tolist()
        [False, True, True, False]
    """
    known = set(pairwise([BEGIN, *source.tolist(), END]))
    return np.array([step not in known for step in pairwise([BEGIN, *ids.tolist(), END])])


def likeness(table: np.ndarray, row: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The share of words that texts have in common with one, each weighted by its rarity.

    Args:
        table: How often each text has each word, float [texts, words].
        row: The same of the one, float [words].
        weights: float [words].

    Returns:
        0 to 1, float [texts].

    Example:
        >>> likeness(np.array([[1, 1, 0], [1, 0, 1]]), np.array([1, 1, 0]), np.array([0.1, 2.0, 2.0])).round(2).tolist()
        [1.0, 0.05]
    """
    larger = np.maximum(table @ weights, row @ weights)
    return np.asarray(np.minimum(table, row) @ weights / np.maximum(larger, 1e-9))


def _table(texts: Sequence[str], counts: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """How often each text has each of their words, and the words' rarity in the corpus."""
    cut = [WORD.findall(text.casefold()) for text in texts]
    place = {word: i for i, word in enumerate(dict.fromkeys(word for text in cut for word in text))}
    table = np.zeros((len(texts), len(place)))
    for row, text in zip(table, cut, strict=True):
        np.add.at(row, [place[word] for word in text], 1)
    total = sum(counts.values()) + 2
    return table, np.array([np.log(total / (counts.get(word, 0) + 1)) for word in place])


def _standardised(values: np.ndarray) -> np.ndarray:
    return np.asarray((values - values.mean()) / (values.std() + 1e-6)) if len(values) else values
