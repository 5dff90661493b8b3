"""Constraint-distance penalties: pull latents into a region, or keep them out of it."""

from typing import Any

from keras import ops

from textvae.nn import across


def near(squared_distance: Any, threshold: Any) -> Any:
    """``max(0, d^2 - threshold)``: nothing inside the region, growing outside it."""
    return ops.relu(squared_distance - threshold)


def far(squared_distance: Any, threshold: Any) -> Any:
    """``max(0, threshold - d^2)``: nothing outside the region, growing towards its centre."""
    return ops.relu(threshold - squared_distance)


PENALTIES = {"near": near, "far": far}


def constraint_distance(mean: Any, centre: Any, applies: Any, *, kind: str, threshold: float, margin: float = 0.0
                        ) -> Any:
    """The penalty of one constraint: its mean over the sequences that it applies to, and over those kept outside.

    With a margin it is the contrastive loss of Hadsell, Chopra & LeCun 2006, equation 4, against a centre.

    Args:
        mean: float32 [batch, latent], posterior means.
        centre: float32 [latent], the mean latent of the texts that define the constraint.
        applies: float32 [batch], 1 where the constraint applies, -1 where a margin keeps away, else 0.
        kind: A key of ``PENALTIES``.
        threshold: Squared L2 distance.
        margin: Squared L2 distance beyond the threshold that sequences of -1 are kept at; 0 lets them be.

    Returns:
        float32 [], 0 where it applies to nothing in the batch.
    """
    squared = ops.sum(ops.square(mean - centre), axis=-1)
    total = _mean(PENALTIES[kind](squared, threshold), ops.relu(applies))
    return total + _mean(far(squared, threshold + margin), ops.relu(-applies)) if margin else total


def _mean(hinge: Any, members: Any) -> Any:
    return across.total(ops.sum(members * hinge)) / ops.maximum(across.total(ops.sum(members)), 1.0)


STEP = 0.1  # of a path: what its slope is measured over


def path_slopes(said: Any, part: Any, real: Any) -> Any:
    """How much faster the decoder's words change at a place of a path than along the whole of it.

    Args:
        said: Where on the path, 0 to 1, float32 [batch, 1] or a number -> what the decoder says there under the same
            words, [batch, time, width].
        part: float32 [batch, 1], uniform in [0, 1]: where on its path each sequence is looked at.
        real: float32 [batch, time], 1 at tokens.

    Returns:
        float32 []: the mean of ``max(0, slope here / slope of the chord - 1)^2``; 0 where the decoder goes evenly.
    """
    at = part * (1.0 - STEP)
    here = _distance(said(at + STEP), said(at), real) / STEP
    whole = _distance(said(1.0), said(0.0), real)
    return across.mean(ops.square(ops.relu(here / (ops.stop_gradient(whole) + 1e-3) - 1.0)))


def _distance(one: Any, two: Any, real: Any) -> Any:
    """Root mean square over the real steps of the L2 distance: float32 [batch]."""
    squared = ops.sum(ops.square(one - two), axis=-1) * real
    return ops.sqrt(ops.sum(squared, axis=1) / ops.maximum(ops.sum(real, axis=1), 1.0) + 1e-12)
