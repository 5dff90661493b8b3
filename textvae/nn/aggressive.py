"""Aggressive training of the encoder, so that the decoder never learns to do without z (He et al. 2019)."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np

from textvae.nn.network import Network

Batch = dict[str, np.ndarray]
LOOK = 10  # steps between two looks at whether the loss still falls (their burn-in)
MOST = 100  # steps of the encoder before one of the whole network (theirs)


class Aggressive:
    """Trains the encoder alone until its loss falls no more, then the whole network on one batch.

    The paper's outer step moves the decoder alone; here it moves both, which is what follows anyway once the inner
    loop has come to its end.

    Args:
        network: Compiled.
        parts: The encoder's layers.
        optimizer: For the encoder alone.
        batches: Epoch -> batches for the inner loop, which begins anew where they end.
        jit: Whether XLA compiles the inner step.
    """

    def __init__(self, network: Network, parts: list[Any], optimizer: Any,
                 batches: Callable[[int], Iterable[Batch]], *, jit: bool) -> None:
        self.network = network
        self.inner = _Part(network, parts)
        self.inner.compile(optimizer=optimizer, jit_compile=jit)
        optimizer.build(self.inner.trainable_variables)
        self.variables: list[Any] = list(optimizer.variables)
        self.batches = batches
        self.on = True
        self._coming: Iterator[Batch] = iter(())
        self._epoch = 0

    def start(self, epoch: int, on: bool) -> None:
        """Begin an epoch, with the inner loop or without it."""
        self.on, self._epoch = on, epoch
        self._coming = iter(self.batches(epoch))

    def train_on_batch(self, batch: Batch, *, return_dict: bool = True) -> dict[str, float]:
        """Train on one batch, and where ``on`` on others before it; what the whole network's step returns."""
        if self.on:
            before = np.inf
            for _ in range(MOST // LOOK):
                now = float(np.mean([self.inner.train_on_batch(self._next(batch), return_dict=True)["loss"]
                                     for _ in range(LOOK)]))
                if now >= before:
                    break
                before = now
        logs: dict[str, float] = self.network.train_on_batch(batch, return_dict=return_dict)
        return logs

    def _next(self, outer: Batch) -> Batch:
        batch = next(self._coming, None)
        if batch is None:
            self._coming = iter(self.batches(self._epoch))
            batch = next(self._coming)
        if "rise" in outer:  # the KL weighs what it does in the step that this one is for
            batch = {**batch, "rise": np.full(len(batch["rise"]), outer["rise"][0])}
        return batch


class _Part(Network):
    """A network of which some layers are trained."""

    kind = "part"

    def __init__(self, network: Network, parts: list[Any]) -> None:
        super().__init__(name="part", autocast=False)
        self.whole = network
        self.chosen = {id(variable) for part in parts for variable in part.trainable_variables}
        self.built = True

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        return [variable for variable in self.whole.trainable_variables if id(variable) in self.chosen]

    @property
    def trainable_weights(self) -> list[keras.Variable]:
        return self.trainable_variables

    @property
    def non_trainable_variables(self) -> list[keras.Variable]:
        return [variable for variable in self.whole.variables if id(variable) not in self.chosen]

    def terms(self, inputs: dict[str, Any], training: bool) -> dict[str, Any]:
        return self.whole.terms(inputs, training)

    def objective(self, terms: dict[str, Any]) -> Any:
        return self.whole.objective(terms)
