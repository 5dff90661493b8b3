"""Families of posteriors: what the encoder's summary becomes, how z is drawn from it, and what it costs.

Each is a layer with the same few methods, over a dict of tensors ``q`` that its call returns. ``q["mean"]`` and
``q["log_var"]``, float32 [batch, width], are in all of them: what stands for a sequence where one vector is wanted.
Everything random comes from standard normal ``noise``, [batch, noise], so that a seed draws the same on every backend.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from textvae.nn import gaussian
from textvae.nn.gaussian import LOG_TWO_PI


class Gaussian(layers.Layer):
    """N(mean, diag(exp(log_var))) beside a standard normal prior (Kingma & Welling 2014).

    Args:
        latent: Dimensions of z.
        mean_gamma: Where above 0, means are normalised over the batch to this standard deviation, around a mean that
            is learnt, which keeps the KL at no less than ``latent * mean_gamma ** 2 / 2`` nats (Zhu et al. 2020).
    """

    shifts = True  # whether a prior's mean may be other than 0

    def __init__(self, latent: int, *, mean_gamma: float = 0.0, name: str = "posterior") -> None:
        super().__init__(name=name, autocast=False)
        self.width, self.noise, self.mean_gamma = latent, latent, mean_gamma
        self.mean = layers.Dense(latent, name="mean")
        # Starts at a variance of 1/50: the decoder learns to use z before the noise drowns it.
        self.log_var = layers.Dense(latent, name="log_var", kernel_initializer="zeros",
                                    bias_initializer=keras.initializers.Constant(-4.0))
        # The usual epsilon of 1e-3 would let means shrink below it, and the floor with them. In float32, as z is.
        self.norm = (layers.BatchNormalization(scale=False, momentum=0.9, epsilon=1e-6, dtype="float32", name="norm")
                     if mean_gamma else None)

    def call(self, summary: Any, training: bool = False) -> dict[str, Any]:
        """The posterior of a summary, [batch, hidden]."""
        return {"mean": self._mean(summary, training), "log_var": ops.cast(self.log_var(summary), "float32")}

    def _mean(self, summary: Any, training: bool) -> Any:
        mean = ops.cast(self.mean(summary), "float32")
        return mean if self.norm is None else self.norm(mean, training=training) * self.mean_gamma

    def sample(self, q: dict[str, Any], noise: Any, strength: Any = 1.0, training: bool = False) -> Any:
        """Draw z.

        Args:
            q: What the call returned.
            noise: float32 [batch, noise].
            strength: Factor on the distance from the mean; 0 gives the mean.
            training: Whether gradients must pass, where the family's own draws would stop them.

        Returns:
            float32 [batch, width].
        """
        return gaussian.sample(q["mean"], q["log_var"], strength * noise)

    def log_prob(self, q: dict[str, Any], z: Any) -> Any:
        """log q(z) in nats, float32 [...]; ``q`` and ``z`` [..., width] are broadcast against one another."""
        return gaussian.log_prob(z, q["mean"], q["log_var"])

    def prior(self, noise: Any) -> Any:
        """A draw from the standard prior, float32 [batch, width], from ``noise`` as ``sample``'s."""
        return noise

    def prior_log_prob(self, z: Any) -> Any:
        """log p(z) in nats under the standard prior, float32 [...]; ``z`` float32 [..., width]."""
        return gaussian.log_prob(z, 0.0, 0.0)

    def kl(self, q: dict[str, Any], shift: Any = 0.0) -> Any:
        """KL to the standard prior, its mean moved by ``shift``, in nats per dimension: float32 [batch, width]."""
        return gaussian.kl(q["mean"] - shift, q["log_var"])


class FullGaussian(Gaussian):
    """N(mean, L L^T) with a lower triangular factor of its own for each sequence; ``q["factor"]`` is L.

    Reference: Kingma & Welling 2019, section 2.5.1.
    """

    def __init__(self, latent: int, *, mean_gamma: float = 0.0, name: str = "posterior") -> None:
        super().__init__(latent, mean_gamma=mean_gamma, name=name)
        # Starts diagonal.
        self.below = layers.Dense(max(1, latent * (latent - 1) // 2), name="below", kernel_initializer="zeros")
        places = np.zeros((latent, latent), np.int32)
        places[np.tril_indices(latent, -1)] = 1 + np.arange(latent * (latent - 1) // 2)
        self.places = places  # of the factor's entries among a zero and what ``below`` gives

    def call(self, summary: Any, training: bool = False) -> dict[str, Any]:
        """The posterior of a summary; ``log_var`` is that of each dimension by itself."""
        half = 0.5 * ops.cast(self.log_var(summary), "float32")
        below = ops.cast(self.below(summary), "float32")
        entries = ops.concatenate([ops.zeros_like(below[:, :1]), below], axis=-1)
        factor = ops.take(entries, self.places, axis=-1) + ops.exp(half)[:, :, None] * ops.eye(self.width)
        return {"mean": self._mean(summary, training), "log_var": ops.log(ops.sum(ops.square(factor), axis=-1)),
                "factor": factor, "half": half}

    def sample(self, q: dict[str, Any], noise: Any, strength: Any = 1.0, training: bool = False) -> Any:
        """``mean + strength * L noise``; see ``Gaussian.sample``."""
        return q["mean"] + strength * ops.einsum("bij,bj->bi", q["factor"], noise)

    def log_prob(self, q: dict[str, Any], z: Any) -> Any:
        """log q(z) in nats; see ``Gaussian.log_prob``."""
        inverse = ops.solve_triangular(q["factor"], ops.broadcast_to(ops.eye(self.width), ops.shape(q["factor"])),
                                       lower=True)
        white = ops.matmul(inverse, (z - q["mean"])[..., None])[..., 0]
        return -0.5 * ops.sum(LOG_TWO_PI + ops.square(white), axis=-1) - ops.sum(q["half"], axis=-1)

    def kl(self, q: dict[str, Any], shift: Any = 0.0) -> Any:
        """KL to the standard prior in nats, which no dimension has to itself: float32 [batch, 1]."""
        spread = ops.sum(ops.square(q["factor"]), axis=(-2, -1))
        distance = ops.sum(ops.square(q["mean"] - shift), axis=-1)
        return (0.5 * (spread + distance - self.width) - ops.sum(q["half"], axis=-1))[:, None]


class VonMisesFisher(layers.Layer):
    """vMF(direction, concentration) on the unit sphere, beside a uniform prior: the KL is a constant of the settings.

    ``q["mean"]`` is the direction, of length 1.

    Args:
        latent: Dimensions of the space that the sphere lies in, at least 2.
        concentration: kappa; 0 would be uniform.

    Reference: Xu & Durrett 2018, section 3; the draws after Ulrich 1984, by a table of the cosine's distribution.
    """

    shifts = False
    points, widest = 4097, 6.0  # of the table, over normal numbers from -widest to widest

    def __init__(self, latent: int, *, concentration: float, name: str = "posterior") -> None:
        super().__init__(name=name, autocast=False)
        self.width, self.noise, self.concentration = latent, latent + 1, concentration
        self.mean = layers.Dense(latent, name="mean")
        half = latent / 2
        self.log_constant = (half - 1) * math.log(concentration) - half * LOG_TWO_PI - log_bessel(half - 1,
                                                                                                 concentration)
        self.log_area = math.log(2) + half * math.log(math.pi) - math.lgamma(half)
        self.resultant = math.exp(log_bessel(half, concentration) - log_bessel(half - 1, concentration))
        self.cosines = _cosines(latent, concentration, np.linspace(-self.widest, self.widest, self.points))

    def call(self, summary: Any, training: bool = False) -> dict[str, Any]:
        """The posterior of a summary; ``log_var`` is what a dimension varies by on average."""
        mean = ops.cast(self.mean(summary), "float32")
        mean = mean / ops.maximum(ops.norm(mean, axis=-1, keepdims=True), 1e-6)
        spread = math.log((1 - self.resultant**2) / self.width)
        return {"mean": mean, "log_var": ops.full_like(mean, spread)}

    def sample(self, q: dict[str, Any], noise: Any, strength: Any = 1.0, training: bool = False) -> Any:
        """A point of the sphere; with less strength nearer to the direction. See ``Gaussian.sample``."""
        place = (ops.clip(noise[:, -1:] / self.widest, -1.0, 1.0) + 1.0) / 2.0 * (self.points - 1)
        low = ops.minimum(ops.cast(place, "int32"), self.points - 2)
        table = ops.convert_to_tensor(self.cosines)
        part = place - ops.cast(low, "float32")
        cosine = (1 - part) * ops.take(table, low) + part * ops.take(table, low + 1)
        tangent = noise[:, :-1] - ops.sum(noise[:, :-1] * q["mean"], axis=-1, keepdims=True) * q["mean"]
        tangent = tangent / ops.maximum(ops.norm(tangent, axis=-1, keepdims=True), 1e-6)
        drawn = cosine * q["mean"] + ops.sqrt(ops.maximum(1.0 - ops.square(cosine), 0.0)) * tangent
        drawn = q["mean"] + strength * (drawn - q["mean"])
        return drawn / ops.maximum(ops.norm(drawn, axis=-1, keepdims=True), 1e-6)

    def log_prob(self, q: dict[str, Any], z: Any) -> Any:
        """log q(z) in nats by the sphere's area; see ``Gaussian.log_prob``."""
        return self.log_constant + self.concentration * ops.sum(q["mean"] * z, axis=-1)

    def prior(self, noise: Any) -> Any:
        """A draw from the uniform prior; see ``Gaussian.prior``."""
        return noise[:, :-1] / ops.maximum(ops.norm(noise[:, :-1], axis=-1, keepdims=True), 1e-6)

    def prior_log_prob(self, z: Any) -> Any:
        """log p(z) in nats by the sphere's area; see ``Gaussian.prior_log_prob``."""
        return ops.full_like(z[..., 0], -self.log_area)

    def kl(self, q: dict[str, Any], shift: Any = 0.0) -> Any:
        """KL to the uniform prior in nats, the same for all: float32 [batch, 1]."""
        nats = self.concentration * self.resultant + self.log_constant + self.log_area
        return ops.full_like(q["mean"][:, :1], nats)


class Categorical(layers.Layer):
    """Independent discrete variables, z their one-hot vectors side by side, beside a uniform prior.

    ``q["mean"]`` are the probabilities. Training draws relaxed vectors (Gumbel-softmax), everything else hard ones.

    Args:
        latent: How many variables.
        categories: Values of each.
        relaxation: Temperature of training's draws.

    Reference: Jang et al. 2017, sections 2 and 3.
    """

    shifts = False

    def __init__(self, latent: int, *, categories: int, relaxation: float, name: str = "posterior") -> None:
        super().__init__(name=name, autocast=False)
        self.groups, self.categories, self.relaxation = latent, categories, relaxation
        self.width = self.noise = latent * categories
        self.logits = layers.Dense(self.width, name="logits")

    def call(self, summary: Any, training: bool = False) -> dict[str, Any]:
        """The posterior of a summary; ``q["logs"]`` are log-probabilities, [batch, width]."""
        logs = ops.log_softmax(self._apart(ops.cast(self.logits(summary), "float32")), axis=-1)
        logs = ops.reshape(logs, (-1, self.width))
        mean = ops.exp(logs)
        return {"mean": mean, "log_var": ops.log(ops.maximum(mean * (1.0 - mean), 1e-8)), "logs": logs}

    def _apart(self, flat: Any) -> Any:
        return ops.reshape(flat, (-1, self.groups, self.categories))

    def sample(self, q: dict[str, Any], noise: Any, strength: Any = 1.0, training: bool = False) -> Any:
        """One-hot vectors; with strength 0 the likeliest. See ``Gaussian.sample``."""
        gumbel = -ops.log(-ops.log(ops.clip(uniform(noise), 1e-6, 1.0 - 1e-6)))
        noisy = self._apart(q["logs"] + strength * gumbel)
        drawn = (ops.softmax(noisy / self.relaxation, axis=-1) if training
                 else ops.one_hot(ops.argmax(noisy, axis=-1), self.categories))
        return ops.reshape(drawn, (-1, self.width))

    def log_prob(self, q: dict[str, Any], z: Any) -> Any:
        """log q(z) in nats of one-hot vectors; see ``Gaussian.log_prob``."""
        return ops.sum(q["logs"] * z, axis=-1)

    def prior(self, noise: Any) -> Any:
        """A draw from the uniform prior; see ``Gaussian.prior``."""
        return ops.reshape(ops.one_hot(ops.argmax(self._apart(noise), axis=-1), self.categories), (-1, self.width))

    def prior_log_prob(self, z: Any) -> Any:
        """log p(z) in nats; see ``Gaussian.prior_log_prob``."""
        return ops.full_like(z[..., 0], -self.groups * math.log(self.categories))

    def kl(self, q: dict[str, Any], shift: Any = 0.0) -> Any:
        """KL to the uniform prior in nats per variable: float32 [batch, variables]."""
        return ops.sum(self._apart(q["mean"] * q["logs"]), axis=-1) + math.log(self.categories)


def uniform(noise: Any) -> Any:
    """Standard normal numbers as uniform ones in [0, 1]."""
    return 0.5 * (1.0 + ops.erf(noise / math.sqrt(2.0)))


def log_bessel(order: float, x: float) -> float:
    """log I_order(x), the modified Bessel function of the first kind, by its series: no under- or overflow.

    Example:
        >>> round(log_bessel(0.5, 2.0), 6) == round(math.log(math.sqrt(1 / math.pi) * math.sinh(2.0)), 6)
        True
    """
    terms = [(2 * k + order) * math.log(x / 2) - math.lgamma(k + 1) - math.lgamma(k + order + 1)
             for k in range(int(2 * x) + 100)]
    top = max(terms)
    return top + math.log(math.fsum(math.exp(term - top) for term in terms))


def _cosines(latent: int, concentration: float, normal: np.ndarray) -> np.ndarray:
    """The cosine between a draw and the direction that each standard normal number stands for: float32 [numbers].

    Over these and not over equal steps of probability, of which the first would lead from the opposite pole.
    """
    # By the angle, whose density exp(kappa cos) sin^(d-2) has no pole at either end.
    angles = np.linspace(0.0, np.pi, 200_001)
    middle = (angles[1:] + angles[:-1]) / 2
    logs = concentration * np.cos(middle) + (latent - 2) * np.log(np.sin(middle))
    mass = np.concatenate([[0.0], np.cumsum(np.exp(logs - logs.max()))])
    beyond = np.array([0.5 * math.erfc(x / math.sqrt(2.0)) for x in normal])  # the share of smaller angles
    return np.asarray(np.cos(np.interp(beyond, mass / mass[-1], angles)), np.float32)
