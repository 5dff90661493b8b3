"""Noise on sequences: on what the encoder reads, or on both sides of the network."""

import numpy as np

from textvae.nn.batching import UNKNOWN


def noised(ids: np.ndarray, rng: np.random.Generator, *, delete: float = 0.0, blank: float = 0.0, swap: float = 0.0,
           shuffle: int = 0) -> np.ndarray:
    """Delete, blank, swap and shuffle tokens, in this order, for an encoder whose sequence must still come back whole
    (Shen et al. 2020).

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


def spliced(sequences: list[np.ndarray], rng: np.random.Generator, share: float) -> list[np.ndarray]:
    """Let some sequences end as another one does, at their own length.

    A network that learns sequences by heart meets no two epochs alike: what CutMix (Yun et al. 2019) is to images.

    Args:
        sequences: Token ids, int32 [tokens] each, of about one length.
        share: Of the sequences, how many are to end otherwise; one of a single token never does.

    Example:
        >>> one, two = np.arange(10, 14), np.arange(20, 24)
        >>> [ids.tolist() for ids in spliced([one, two], np.random.default_rng(3), 1.0)]
        [[10, 21, 22, 23], [20, 21, 22, 13]]
    """
    found = []
    for ids, other in zip(sequences, rng.integers(len(sequences), size=len(sequences)), strict=True):
        end = sequences[other]
        if rng.random() < share and len(ids) > 1:
            kept = max(int(rng.integers(1, len(ids))), len(ids) - len(end))
            ids = np.concatenate([ids[:kept], end[len(end) - len(ids) + kept:]])
        found.append(ids)
    return found
