"""Diagonal Gaussian posteriors against a standard normal prior."""

import math
from typing import Any

from keras import ops

from textvae.nn import across

LOG_TWO_PI = math.log(2 * math.pi)


def kl(mean: Any, log_var: Any) -> Any:
    """KL(N(mean, exp(log_var)) || N(0, 1)) in nats per dimension, of the shape of ``mean``.

    Reference: Kingma & Welling 2014, appendix B.
    """
    return 0.5 * (ops.square(mean) + ops.exp(log_var) - 1.0 - log_var)


def free_bits(per_dimension: Any, floor: float) -> Any:
    """Sum the batch-mean KL over dimensions, each counted as at least ``floor`` nats.

    Args:
        per_dimension: float32 [batch, latent], nats; [batch, 1] where all dimensions have the free bits together.
        floor: Nats per dimension that cost nothing more.

    Returns:
        float32 [], nats per sequence.

    Reference: Kingma et al. 2016, section 2.3 and appendix C.8; on the batch mean as in Li et al. 2019.
    """
    return ops.sum(ops.maximum(across.mean(per_dimension, axis=0), floor))


def sample(mean: Any, log_var: Any, noise: Any) -> Any:
    """Reparameterise: ``mean + exp(log_var / 2) * noise``, all ``[batch, latent]``."""
    return mean + ops.exp(0.5 * log_var) * noise


def log_prob(z: Any, mean: Any, log_var: Any) -> Any:
    """log N(z; mean, exp(log_var)) in nats, summed over the last axis; the arguments are broadcast."""
    return -0.5 * ops.sum(LOG_TWO_PI + log_var + ops.square(z - mean) * ops.exp(-log_var), axis=-1)
