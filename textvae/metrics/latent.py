"""How much a diagonal Gaussian posterior says about its sequence."""

import numpy as np

LOG_TWO_PI = float(np.log(2 * np.pi))
ACTIVE = 0.01  # variance of the mean over sequences above which a dimension is active (Burda et al. 2016)
PAIRS = 4_000_000  # log densities held at once: 32 MB each for a handful of arrays


def kl(mean: np.ndarray, log_var: np.ndarray) -> np.ndarray:
    """KL(N(mean, exp(log_var)) || N(0, 1)) in nats, float64 of the inputs' shape.

    Example:
        >>> kl(np.array([0.0, 1.0]), np.array([0.0, 0.0]))
        array([0. , 0.5])
    """
    mean, log_var = np.asarray(mean, np.float64), np.asarray(log_var, np.float64)
    return 0.5 * (mean**2 + np.exp(log_var) - 1.0 - log_var)


def log_posterior(z: np.ndarray, mean: np.ndarray, log_var: np.ndarray) -> np.ndarray:
    """log N(z; mean, exp(log_var)) in nats, summed over the last axis: float64 [...]."""
    z, mean, log_var = (np.asarray(array, np.float64) for array in (z, mean, log_var))
    return -0.5 * np.sum(LOG_TWO_PI + log_var + (z - mean) ** 2 * np.exp(-log_var), axis=-1)


def mutual_information(mean: np.ndarray, log_var: np.ndarray, *, seed: int) -> np.ndarray:
    """What each sequence adds to I_q(x; z), in nats; the mean is the estimate.

    ``log q(z|x) - log q(z)`` with one z ~ q(z|x) per sequence and the aggregated posterior ``q(z)`` over all given
    sequences. Both are of the same z, so that none adds more than ``log(sequences)``: with the entropy of q(z|x) in
    closed form, as He et al. have it, the mean is the same in expectation, and noisier the wider z is.

    Args:
        mean, log_var: float [sequences, latent].

    Returns:
        float64 [sequences].

    Reference: Hoffman & Johnson 2016; the estimator of He et al. 2019, appendix C.
    """
    mean, log_var = np.asarray(mean, np.float64), np.asarray(log_var, np.float64)
    count, latent = mean.shape
    z = mean + np.exp(0.5 * log_var) * np.random.default_rng(seed).standard_normal(mean.shape)
    own_density = log_posterior(z, mean, log_var)
    log_sums = np.full(count, -np.inf)
    block = max(1, PAIRS // max(1, count))
    for start in range(0, count, block):
        own, precision = mean[start:start + block], np.exp(-log_var[start:start + block])
        # (z - m)^2 / v written out, so that the pairs are two matrix products.
        distance = z**2 @ precision.T - 2.0 * z @ (own * precision).T + np.sum(own**2 * precision, axis=1)
        constant = latent * LOG_TWO_PI + np.sum(log_var[start:start + block], axis=1)
        log_sums = np.logaddexp(log_sums, _log_sum_exp(-0.5 * (distance + constant)))
    return own_density - (log_sums - np.log(count))


def active_units(sums: np.ndarray) -> np.ndarray:
    """Dimensions whose posterior mean varies by more than 0.01 over the sequences.

    Args:
        sums: float64 [..., 1 + 2 * latent]; the count, then the sums of the means, then of their squares.

    Returns:
        float64 [...].

    Example:
        >>> means = np.array([[0.0, 1.0], [0.0, -1.0]])
        >>> float(active_units(np.concatenate([np.ones((2, 1)), means, means**2], axis=1).sum(axis=0)))
        1.0

    Reference: Burda et al. 2016, appendix C.
    """
    latent = (sums.shape[-1] - 1) // 2
    count = sums[..., :1]
    variance = sums[..., 1 + latent:] / count - (sums[..., 1:1 + latent] / count) ** 2
    return np.asarray(np.sum(variance > ACTIVE, axis=-1), np.float64)


def importance_weighted(log_weights: np.ndarray) -> np.ndarray:
    """The importance-weighted bound on -log p(x), in nats.

    Args:
        log_weights: float64 [sequences, samples]; ``log p(x|z) + log p(z) - log q(z|x)`` with z ~ q(z|x).

    Returns:
        float64 [sequences]; with one sample the negative ELBO, with more a tighter bound in expectation.

    Example:
        >>> importance_weighted(np.log([[0.1, 0.3]])).round(6) == np.round(-np.log(0.2), 6)
        array([ True])

    Reference: Burda et al. 2016, equation 8.
    """
    log_weights = np.asarray(log_weights, np.float64)
    return np.log(log_weights.shape[1]) - _log_sum_exp(log_weights)


def _log_sum_exp(values: np.ndarray) -> np.ndarray:
    top = values.max(axis=1)
    return np.asarray(top + np.log(np.sum(np.exp(values - top[:, None]), axis=1)))
