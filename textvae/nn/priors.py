"""Priors over z other than each posterior family's standard one; the KL to them is estimated from the draw of z."""

from collections.abc import Callable
from typing import Any

from keras import initializers, layers, ops

from textvae.nn import gaussian
from textvae.nn.posteriors import uniform

PSEUDO_LENGTH = 12  # steps of a pseudo-input: about half a sentence, read as a whole one


class Mixture(layers.Layer):
    """A mixture of diagonal Gaussians, all of it learnt.

    Args:
        latent: Dimensions of z.
        components: Gaussians.
        seed: For their first means, of the spread of a standard normal.
    """

    def __init__(self, latent: int, *, components: int, seed: int, name: str = "prior") -> None:
        super().__init__(name=name, autocast=False)
        first = initializers.RandomNormal(stddev=1.0, seed=seed)
        self.means = self.add_weight(shape=(components, latent), initializer=first, name="means")
        self.log_vars = self.add_weight(shape=(components, latent), initializer="zeros", name="log_vars")
        self.logits = self.add_weight(shape=(components,), initializer="zeros", name="logits")
        self.built = True

    def components(self, summarise: Callable[[Any], dict[str, Any]]) -> tuple[Any, Any, Any]:
        """Log-weights [components], means and log-variances [components, latent]."""
        return ops.log_softmax(self.logits), self.means[:], self.log_vars[:]


class Vamp(layers.Layer):
    """The mean of the posteriors of pseudo-inputs that are learnt: VampPrior (Tomczak & Welling 2018).

    Args:
        embedding: Width of the embeddings; a pseudo-input is a sequence of them.
        components: Pseudo-inputs.
        seed: For their first values.
    """

    def __init__(self, embedding: int, *, components: int, seed: int, name: str = "prior") -> None:
        super().__init__(name=name, autocast=False)
        first = initializers.RandomNormal(stddev=0.1, seed=seed)  # as the embeddings start
        self.inputs = self.add_weight(shape=(components, PSEUDO_LENGTH, embedding), initializer=first, name="inputs")
        self.built = True

    def components(self, summarise: Callable[[Any], dict[str, Any]]) -> tuple[Any, Any, Any]:
        """As ``Mixture.components``; ``summarise`` gives the posterior of embedded sequences."""
        q = summarise(self.inputs[:])
        logs = -ops.log(ops.cast(ops.shape(q["mean"])[0], "float32")) + ops.zeros_like(q["mean"][:, 0])
        return logs, q["mean"], q["log_var"]


def log_prob(components: tuple[Any, Any, Any], z: Any) -> Any:
    """log p(z) in nats under a mixture, float32 [...]; ``z`` float32 [..., latent]."""
    logs, means, log_vars = components
    return ops.logsumexp(logs + gaussian.log_prob(z[..., None, :], means, log_vars), axis=-1)


def sample(components: tuple[Any, Any, Any], noise: Any) -> Any:
    """Draw from a mixture: standard normal ``noise`` float32 [batch, latent + 1] -> float32 [batch, latent]."""
    logs, means, log_vars = components
    ends = ops.cumsum(ops.exp(logs))
    chosen = ops.sum(ops.cast(ends[None, :-1] <= uniform(noise[:, -1:]), "int32"), axis=-1)
    return gaussian.sample(ops.take(means, chosen, axis=0), ops.take(log_vars, chosen, axis=0), noise[:, :-1])
