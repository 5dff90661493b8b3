"""What a training goes on from, in the place of fresh weights."""

from dataclasses import dataclass

from textvae.data.network import TrainedNetwork
from textvae.data.tokens import Tokens


@dataclass(frozen=True)
class Start:
    """An earlier run's network, and how to go on from it.

    Args:
        network: The artefact that its training left.
        tokens: What it was trained on: the vocabulary that the rows of its embeddings belong to.
        epochs: Most passes over the training split from here.
        replay: The share of the old posts that each pass reads again, from 0 to 1; new ones are read in each. Where
            that leaves nothing, all are.
        fresh: The ids of the posts that are new or changed since; read only where ``replay`` is below 1.
    """

    network: TrainedNetwork
    tokens: Tokens
    epochs: int
    replay: float = 1.0
    fresh: tuple[str, ...] = ()
