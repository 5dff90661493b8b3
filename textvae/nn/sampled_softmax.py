"""Train a softmax on a sample of the vocabulary: the normaliser is estimated, evaluation stays exact."""

from typing import Any

import numpy as np
from keras import ops

SPECIAL = 4  # ids that a batch may hold beside its tokens: padding, begin, end, unknown


def inclusion(counts: np.ndarray, samples: int) -> np.ndarray:
    """The probability that a token is in the sample.

    Frequent tokens, which hold most of the normaliser, are always in; the rest by their count to the power of 0.75,
    with one added, so that no token's weight of 1 / probability is extreme.

    Args:
        counts: int64 [vocabulary], how often each token comes.
        samples: Size of the sample, under the vocabulary's.

    Returns:
        float64 [vocabulary], summing to ``samples``, at most 1.

    Example:
        >>> inclusion(np.array([80, 15, 0, 0]), 2).round(2).tolist()
        [1.0, 0.8, 0.1, 0.1]
    """
    weights = (counts + 1.0) ** 0.75
    chances = np.zeros(len(counts))
    certain = np.zeros(len(counts), bool)
    while True:
        chances = np.where(certain, 1.0, weights * (samples - certain.sum()) / weights[~certain].sum())
        if chances.max() <= 1.0:
            return chances
        certain |= chances >= 1.0


def draw(chances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a sample of distinct tokens, each with its probability (systematic sampling; Madow 1949).

    Args:
        chances: From ``inclusion``.
        rng: Draws one number.

    Returns:
        int32 [samples], the certain ones first.
    """
    certain = np.flatnonzero(chances >= 1.0)
    rest = np.flatnonzero(chances < 1.0)
    ends = np.cumsum(chances[rest])
    places = rng.random() + np.arange(round(float(chances.sum())) - len(certain))
    # The last end may fall short of a whole number in its last digits.
    picked = rest[np.minimum(np.searchsorted(ends, places, side="right"), len(rest) - 1)]
    return np.concatenate([certain, picked]).astype(np.int32)


def arrays(batch: dict[str, np.ndarray], chances: np.ndarray, rng: np.random.Generator, tokens: int
           ) -> dict[str, np.ndarray]:
    """What a batch needs for a sampled softmax.

    Args:
        batch: ``encoder``, ``decoder`` and ``target``, int32 token ids.
        chances: From ``inclusion``.
        rng: Draws the sample.
        tokens: The most tokens that the batch may hold; it decides how many rows there are, so that compiled steps
            meet few sizes.

    Returns:
        ``rows`` int32 [n], distinct ids: the sample, every other id of the batch, and some that nobody asks for;
        ``place`` int32 [vocabulary], where in ``rows`` an id stands; ``shift`` float32 [samples], -log of each chance.
    """
    vocabulary = len(chances)
    sample = draw(chances, rng)
    wanted = np.zeros(vocabulary, bool)
    for name in ("encoder", "decoder", "target"):
        wanted[batch[name]] = True
    wanted[sample] = False
    others = np.flatnonzero(wanted)
    wanted[sample] = True
    count = min(len(sample) + tokens + SPECIAL, vocabulary)
    spare = np.flatnonzero(~wanted)[:count - len(sample) - len(others)]
    rows = np.concatenate([sample, others, spare]).astype(np.int32)
    place = np.zeros(vocabulary, np.int32)
    place[rows] = np.arange(len(rows))
    return {"rows": rows, "place": place, "shift": -np.log(chances[sample]).astype(np.float32)}


def crossentropy(hidden: Any, table: Any, bias: Any, target: Any, shift: Any) -> Any:
    """Estimate -log p(target) with the normaliser of a sample.

    The target's own term is exact, and every other term of the sample is weighted by 1 / its probability of being
    there, so that the normaliser's estimate has the true mean (Horvitz & Thompson 1952).

    Args:
        hidden: [positions, width], in the precision that products are to be taken in.
        table: float32 [rows, width], the sample's rows first.
        bias: float32 [rows].
        target: int32 [positions], rows of the table.
        shift: float32 [samples], -log of the probability of each.

    Returns:
        Nats, float32 [positions].
    """
    samples = ops.shape(shift)[0]
    table = ops.cast(table, hidden.dtype)
    own = ops.sum(ops.cast(hidden, "float32") * ops.cast(ops.take(table, target, axis=0), "float32"), axis=-1)
    own = own + ops.take(bias, target)
    logits = ops.cast(ops.matmul(hidden, ops.transpose(table[:samples])), "float32") + (bias[:samples] + shift)
    logits = ops.where(target[:, None] == ops.arange(samples, dtype=target.dtype), -1e9, logits)
    return ops.logaddexp(own, ops.logsumexp(logits, axis=-1)) - own
