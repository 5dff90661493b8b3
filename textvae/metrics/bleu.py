"""BLEU from its counts, and a self-BLEU that is linear in the number of texts."""

from collections import Counter

import numpy as np

ORDER = 4
Words = list[str]


def ngram_matches(hypothesis: Words, reference: Words) -> np.ndarray:
    """Count what BLEU is made of.

    Returns:
        float64 [10]: words of the hypothesis, words of the reference, matches of 1 to 4 words, n-grams of 1 to 4 words.
    """
    own, theirs = _counts(hypothesis), _counts(reference)
    correct = [0] * ORDER
    for gram, count in own.items():
        correct[len(gram) - 1] += min(count, theirs[gram])
    return np.array([len(hypothesis), len(reference), *correct, *_totals(hypothesis)], np.float64)


def bleu(matches: np.ndarray, *, effective_order: bool = False) -> np.ndarray:
    """BLEU with up to 4 words, from 0 to 100, as sacrebleu counts it.

    Orders without a match are smoothed exponentially (method 3 of Chen & Cherry 2014, sacrebleu's default).

    Args:
        matches: float64 [..., 10], sums of what ``ngram_matches`` gives.
        effective_order: Leave out orders that the hypothesis is too short for; for single sentences.

    Returns:
        float64 [...].

    Example:
        >>> float(bleu(ngram_matches("the cat sat down".split(), "the cat sat down".split())).round(6))
        100.0

    Reference: Papineni et al. 2002; Post 2018.
    """
    matches = np.asarray(matches, np.float64)
    own, theirs = matches[..., 0], matches[..., 1]
    correct, total = matches[..., 2:2 + ORDER], matches[..., 2 + ORDER:]
    zero = (correct == 0) & (total > 0)
    smoothed = np.where(zero, 0.5 ** np.cumsum(zero, axis=-1), correct) / np.maximum(total, 1.0)
    used = total > 0
    logs = np.log(np.where(used, smoothed, 1.0)).sum(axis=-1) / (
        np.maximum(used.sum(axis=-1), 1) if effective_order else ORDER)
    whole = used.any(axis=-1) if effective_order else used.all(axis=-1)
    brevity = np.minimum(0.0, 1.0 - theirs / np.maximum(own, 1.0))
    return np.asarray(np.where(whole & correct.any(axis=-1), 100.0 * np.exp(brevity + logs), 0.0))


def self_bleu(texts: list[Words]) -> np.ndarray:
    """Sentence BLEU of each text against all the others as references: high where texts repeat one another.

    Args:
        texts: The words of each.

    Returns:
        float64 [texts], from 0 to 100; nothing stands against a single text, so its BLEU is 0.

    Reference: Zhu et al. 2018 (Texygen).
    """
    counts = [_counts(text) for text in texts]
    # Of each n-gram the largest count, whose text it is in, and the largest elsewhere: all that clipping needs.
    best: dict[tuple[str, ...], tuple[int, int, int]] = {}
    for row, own in enumerate(counts):
        for gram, count in own.items():
            first, owner, second = best.get(gram, (0, -1, 0))
            if count > first:
                best[gram] = (count, row, first)
            elif count > second:
                best[gram] = (first, owner, count)
    closest = _closest([len(text) for text in texts])
    matches = np.zeros((len(texts), 2 + 2 * ORDER))
    for row, (text, own) in enumerate(zip(texts, counts, strict=True)):
        correct = [0] * ORDER
        for gram, count in own.items():
            first, owner, second = best[gram]
            correct[len(gram) - 1] += min(count, second if owner == row else first)
        matches[row] = [len(text), closest[row], *correct, *_totals(text)]
    return bleu(matches, effective_order=True)


def _counts(text: Words) -> Counter[tuple[str, ...]]:
    return Counter(gram for n in range(1, ORDER + 1) for gram in zip(*(text[i:] for i in range(n)), strict=False))


def _totals(text: Words) -> list[int]:
    return [max(0, len(text) - n) for n in range(ORDER)]


def _closest(lengths: list[int]) -> list[int]:
    """Of the other texts' lengths the one closest to each text's own; of two as close the shorter."""
    held = Counter(lengths)
    known = sorted(held)
    found = []
    for length in lengths:
        others = [other for other in known if other != length or held[other] > 1]
        found.append(min(others, key=lambda other: (abs(other - length), other), default=0))
    return found
