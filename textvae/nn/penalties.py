"""Constraint-distance penalties: pull latents into a region, or keep them out of it."""

from typing import Any

from keras import ops


def near(squared_distance: Any, threshold: Any) -> Any:
    """``max(0, d^2 - threshold)``: nothing inside the region, growing outside it."""
    return ops.relu(squared_distance - threshold)


def far(squared_distance: Any, threshold: Any) -> Any:
    """``max(0, threshold - d^2)``: nothing outside the region, growing towards its centre."""
    return ops.relu(threshold - squared_distance)


PENALTIES = {"near": near, "far": far}


def constraint_distance(mean: Any, centre: Any, applies: Any, *, kind: str, threshold: float) -> Any:
    """The penalty of one constraint, averaged over the sequences that it applies to.

    Args:
        mean: float32 [batch, latent], posterior means.
        centre: float32 [latent], the mean latent of the texts that define the constraint.
        applies: float32 [batch], 1 where the constraint applies, else 0.
        kind: A key of ``PENALTIES``.
        threshold: Squared L2 distance.

    Returns:
        float32 [], 0 where it applies to nothing in the batch.
    """
    squared = ops.sum(ops.square(mean - centre), axis=-1)
    hinge = PENALTIES[kind](squared, threshold)
    return ops.sum(applies * hinge) / ops.maximum(ops.sum(applies), 1.0)
