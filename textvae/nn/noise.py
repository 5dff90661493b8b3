"""Noise on a sequence before the encoder reads it (Shen et al. 2020): it must still come back whole."""

import numpy as np

from textvae.nn.batching import UNKNOWN


def noised(ids: np.ndarray, rng: np.random.Generator, *, delete: float = 0.0, blank: float = 0.0, swap: float = 0.0,
           shuffle: int = 0) -> np.ndarray:
    """Delete, blank, swap and shuffle tokens, in this order.

    Args:
        ids: int32 [tokens].
        delete: Share of tokens left out; one always stays.
        blank: Share of tokens read as the unknown token.
        swap: Share of tokens that change places with the next one.
        shuffle: Places that a token moves by at most (Lample et al. 2018).

    Returns:
        int32 [tokens that are left].

    Example:
        >>> noised(np.arange(4, 12, dtype=np.int32), np.random.default_rng(0), delete=0.5).tolist()
        [4, 8, 9, 10, 11]
    """
    if delete:
        kept = rng.random(len(ids)) >= delete
        if not kept.any():
            kept[rng.integers(len(ids))] = True
        ids = ids[kept]
    if blank:
        ids = np.where(rng.random(len(ids)) < blank, np.int32(UNKNOWN), ids)
    if swap:
        ids = ids.copy()
        for i in np.flatnonzero(rng.random(max(0, len(ids) - 1)) < swap):
            ids[[i, i + 1]] = ids[[i + 1, i]]
    if shuffle:
        # Sorted by place plus up to shuffle + 1, nobody passes more than `shuffle` others.
        ids = ids[np.argsort(np.arange(len(ids)) + rng.uniform(0, shuffle + 1, len(ids)), kind="stable")]
    return ids
