"""Paths between latents: what is written along them, and whether it changes little by little."""

from difflib import SequenceMatcher
from itertools import pairwise

import numpy as np

from textvae import metrics
from textvae.evaluate.subject import Metrics, Rows, Subject, entry

PAIRS, STEPS = 40, 9  # paths that are measured, and the texts of each
SHOWN, SHOWN_STEPS = 2, 6  # in the report


def paths(subject: Subject) -> Metrics:
    """Decode along lines between the posterior means of test sequences, and see where the text changes.

    Returns:
        ``path_largest_step`` and ``path_texts``; nothing where there are no two sources, or no text changes.
    """
    sources = subject.sources[:2 * PAIRS]
    largest, texts = [], []
    for i, (a, b) in enumerate(zip(sources[::2], sources[1::2], strict=False)):
        written = subject.writer.interpolate(a, b, STEPS, seed=subject.child(f"path-{i}"))
        changes = np.array([1 - SequenceMatcher(None, one, two, autojunk=False).ratio()
                            for one, two in pairwise(subject.words(written))])
        if changes.sum() > 0:
            largest.append(changes.max() / changes.sum())
            texts.append(len(set(written)) / STEPS)
    if not largest:
        return {}
    how = f"over {len(largest):,} paths of {STEPS} greedy texts between posterior means of test sequences"
    seed = subject.child("bootstrap")
    return {
        "path_largest_step": entry(
            metrics.mean(np.array(largest), seed=seed), "share", "smoothness: the largest change of words between two "
            f"texts that follow each other, as a share of all changes of the path; {1 / (STEPS - 1):.3g} is even, 1 "
            f"is a single jump; {how}"),
        "path_texts": entry(metrics.mean(np.array(texts), seed=seed), "share", f"different texts of all, {how}"),
    }


def interpolations(subject: Subject) -> Rows:
    """Write the texts between pairs of sources: rows with ``texts``, the ends decoded as well, ``a`` and ``b``."""
    sources = subject.sources[:2 * SHOWN]
    return [{"a": a, "b": b, "texts": subject.writer.interpolate(a, b, SHOWN_STEPS, seed=subject.child("interpolate"))}
            for a, b in zip(sources[::2], sources[1::2], strict=False)]
