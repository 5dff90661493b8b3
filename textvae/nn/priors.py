"""Priors over z other than each posterior family's standard one; the KL to them is estimated from the draw of z.

Each has ``log_prob`` and ``sample``. Their ``summarise`` gives the posterior of embedded sequences, float32
[components, time, embedding], for the one prior that is made of posteriors.
"""

from collections.abc import Callable
from typing import Any

from keras import initializers, layers, ops

from textvae.nn import gaussian
from textvae.nn.posteriors import uniform

PSEUDO_LENGTH = 12  # steps of a pseudo-input: about half a sentence, read as a whole one
Summarise = Callable[[Any], dict[str, Any]]


class Diagonal(layers.Layer):
    """A mixture of diagonal Gaussians, whose ``components`` a subclass gives."""

    def components(self, summarise: Summarise) -> tuple[Any, Any, Any]:
        """Log-weights [components], means and log-variances [components, latent]."""
        raise NotImplementedError

    def log_prob(self, z: Any, summarise: Summarise) -> Any:
        """log p(z) in nats, float32 [...]; ``z`` float32 [..., latent]."""
        logs, means, log_vars = self.components(summarise)
        return ops.logsumexp(logs + gaussian.log_prob(z[..., None, :], means, log_vars), axis=-1)

    def sample(self, noise: Any, summarise: Summarise) -> Any:
        """Draw z: standard normal ``noise`` float32 [batch, latent + 1] -> float32 [batch, latent]."""
        logs, means, log_vars = self.components(summarise)
        chosen = _chosen(logs, noise)
        return gaussian.sample(ops.take(means, chosen, axis=0), ops.take(log_vars, chosen, axis=0), noise[:, :-1])


class Mixture(Diagonal):
    """A mixture of diagonal Gaussians, all of it learnt.

    Args:
        latent: Dimensions of z.
        components: Gaussians.
        seed: For their first means, of the spread of a standard normal.
    """

    def __init__(self, latent: int, *, components: int, seed: int, name: str = "prior") -> None:
        super().__init__(name=name, autocast=False)
        first = initializers.RandomNormal(stddev=1.0, seed=seed)
        # Without autocast, here and below: z is float32 in every precision.
        self.means, self.log_vars, self.logits = (
            self.add_weight(shape=shape, initializer=start, autocast=False, name=part) for part, shape, start in (
                ("means", (components, latent), first), ("log_vars", (components, latent), "zeros"),
                ("logits", (components,), "zeros")))
        self.built = True

    def components(self, summarise: Summarise) -> tuple[Any, Any, Any]:
        """See ``Diagonal.components``."""
        return ops.log_softmax(self.logits), self.means[:], self.log_vars[:]


class Vamp(Diagonal):
    """The mean of the diagonal posteriors of pseudo-inputs that are learnt: VampPrior (Tomczak & Welling 2018).

    Args:
        embedding: Width of the embeddings; a pseudo-input is a sequence of them.
        components: Pseudo-inputs.
        seed: For their first values.
    """

    def __init__(self, embedding: int, *, components: int, seed: int, name: str = "prior") -> None:
        super().__init__(name=name, autocast=False)
        first = initializers.RandomNormal(stddev=0.1, seed=seed)  # as the embeddings start
        self.inputs = self.add_weight(shape=(components, PSEUDO_LENGTH, embedding), initializer=first, autocast=False,
                                      name="inputs")
        self.built = True

    def components(self, summarise: Summarise) -> tuple[Any, Any, Any]:
        """See ``Diagonal.components``."""
        q = summarise(self.inputs[:])
        logs = -ops.log(ops.cast(ops.shape(q["mean"])[0], "float32")) + ops.zeros_like(q["mean"][:, 0])
        return logs, q["mean"], q["log_var"]


class Fitted(layers.Layer):
    """A mixture of Gaussians with full covariances, fitted to what the encoder says once it is trained.

    Where the KL weighs little, latents of texts lie in a small part of what a standard normal covers, and draws from
    that are latents of nothing.

    Args:
        latent: Dimensions of z.
        components: Gaussians.

    Reference: Ghosh et al. 2020, section 4 (ex-post density estimation).
    """

    def __init__(self, latent: int, *, components: int, name: str = "prior") -> None:
        super().__init__(name=name, autocast=False)
        shapes = {"logits": (components,), "means": (components, latent), "factors": (components, latent, latent)}
        # Covariances are factors times themselves, transposed (Cholesky); where nothing is fitted all are standard.
        first = {"logits": "zeros", "means": "zeros",
                 "factors": lambda shape, dtype: ops.zeros(shape, dtype) + ops.eye(latent, dtype=dtype)}
        self.logits, self.means, self.factors = (
            self.add_weight(shape=shape, initializer=first[part], trainable=False, autocast=False, name=part)
            for part, shape in shapes.items())
        self.built = True

    def log_prob(self, z: Any, summarise: Summarise) -> Any:
        """See ``Diagonal.log_prob``."""
        factors = self.factors[:]
        eye = ops.broadcast_to(ops.eye(factors.shape[-1]), factors.shape)
        whiteners = ops.transpose(ops.solve_triangular(factors, eye, lower=True), (0, 2, 1))
        shrinks = ops.sum(ops.log(ops.diagonal(factors, axis1=1, axis2=2)), axis=-1)
        white = ops.matmul((z[..., None, :] - self.means)[..., None, :], whiteners)[..., 0, :]
        return ops.logsumexp(ops.log_softmax(self.logits) + gaussian.log_prob(white, 0.0, 0.0) - shrinks, axis=-1)

    def sample(self, noise: Any, summarise: Summarise) -> Any:
        """See ``Diagonal.sample``."""
        chosen = _chosen(ops.log_softmax(self.logits), noise)
        own = ops.matmul(ops.take(self.factors, chosen, axis=0), noise[:, :-1, None])[..., 0]
        return ops.take(self.means, chosen, axis=0) + own


def _chosen(logs: Any, noise: Any) -> Any:
    """Which component each draw comes from, int32 [batch], by the last number of its noise."""
    ends = ops.cumsum(ops.exp(logs))
    return ops.sum(ops.cast(ends[None, :-1] <= uniform(noise[:, -1:]), "int32"), axis=-1)
