"""What z says about a text, for every family of posteriors."""

from typing import Any

import numpy as np

from textvae import metrics

PAIRS = 2_000_000  # numbers held at once for one array of draws times posteriors times dimensions


def information(network: Any, q: dict[str, np.ndarray], *, seed: int) -> np.ndarray:
    """What each sequence adds to I_q(x; z), in nats; the mean is the estimate.

    Args:
        network: ``textvae.nn.SequenceVAE``.
        q: From its ``family_parameters``, arrays [sequences, ...].

    Returns:
        float64 [sequences]; see ``textvae.metrics.mutual_information``, which takes diagonal Gaussians.
    """
    from textvae.nn import Compiled

    if network.settings["posterior"] == "gaussian":
        return metrics.mutual_information(q["mean"], q["log_var"], seed=seed)
    count = len(q["mean"])
    noise = np.random.default_rng(seed).standard_normal((count, network.family.noise), np.float32)
    z = Compiled(network, network.draw).run(**q, noise=noise, strength=np.ones((count, 1), np.float32))
    density = Compiled(network, network.log_density)
    own, total = np.zeros(count), np.full(count, -np.inf)
    block = max(1, PAIRS // max(1, count * z.shape[1]))
    for start in range(0, count, block):
        rows = slice(start, start + block)
        pairs = np.asarray(density.run(z=z, **{name: values[rows] for name, values in q.items()}), np.float64)
        own[rows] = np.diagonal(pairs, -start)
        total = np.logaddexp(total, np.logaddexp.reduce(pairs, axis=1))
    return own - (total - np.log(count))
