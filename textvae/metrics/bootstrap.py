"""Bootstrap intervals of statistics that are functions of sums over sequences."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

RESAMPLES = 1000  # the ends of a 95% interval then rest on 25 resamples each


class Estimate(NamedTuple):
    """A number and its 95% bootstrap interval; not a number where nothing could be measured."""

    value: float
    low: float
    high: float


def estimate(parts: np.ndarray, statistic: Callable[[np.ndarray], Any], *, seed: int) -> Estimate:
    """Compute a statistic, and the percentile interval of it under resampling of sequences.

    Args:
        parts: float64 [sequences, parts]; what each sequence adds.
        statistic: Sums of the parts, float64 [..., parts] -> the statistic, float64 [...].
        seed: The same seed resamples the same sequences, so that two metrics of the same sequences can be compared.

    Returns:
        The value and the 2.5% and 97.5% quantiles over 1,000 resamples.

    Example:
        >>> found = estimate(np.ones((50, 2)), lambda sums: sums[..., 0] / sums[..., 1], seed=1)
        >>> found.value, found.low, found.high
        (1.0, 1.0, 1.0)

    Reference: Efron & Tibshirani 1993, chapter 13.
    """
    parts = np.asarray(parts, np.float64)
    count = len(parts)
    if not count:
        return Estimate(np.nan, np.nan, np.nan)
    rng = np.random.default_rng(seed)
    # One resample at a time: all at once would take 8 bytes * 1,000 * sequences.
    sums = np.stack([np.bincount(rng.integers(count, size=count), minlength=count) @ parts for _ in range(RESAMPLES)])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        value = float(statistic(parts.sum(axis=0)))
        drawn = np.asarray(statistic(sums), np.float64)
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return Estimate(value, np.nan, np.nan)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Estimate(value, float(low), float(high))


def mean(values: np.ndarray, *, seed: int) -> Estimate:
    """Estimate the mean of one number per sequence, float [sequences]."""
    values = np.asarray(values, np.float64)
    return estimate(np.stack([values, np.ones(len(values))], axis=1), _quotient, seed=seed)


def ratio(top: np.ndarray, bottom: np.ndarray, *, seed: int, exponential: bool = False) -> Estimate:
    """Estimate ``sum(top) / sum(bottom)``, or its exponential, such as a perplexity from nats and token counts.

    Args:
        top, bottom: float [sequences].
        exponential: Whether to take ``exp`` of the quotient.

    Example:
        >>> ratio(np.log([4.0, 4.0]), np.array([1.0, 1.0]), seed=1, exponential=True).value.__round__(6)
        4.0
    """
    parts = np.stack([np.asarray(top, np.float64), np.asarray(bottom, np.float64)], axis=1)
    return estimate(parts, lambda sums: np.exp(_quotient(sums)) if exponential else _quotient(sums), seed=seed)


def _quotient(sums: np.ndarray) -> np.ndarray:
    return np.asarray(sums[..., 0] / sums[..., 1])
