"""Train the network that fills the open places of variations, on the same split as the sequence VAE."""

from pathlib import Path
from typing import Any

import numpy as np

from textvae.config import InfillerConfig
from textvae.data import Tokens, TrainedNetwork
from textvae.distribution import Devices
from textvae.progress import Progress
from textvae.seeds import child


def run(config: InfillerConfig, tokens: Tokens, sequence_vae: TrainedNetwork, *, seed: int, progress: Progress,
        scratch: Path, devices: Devices | None = None) -> TrainedNetwork:
    """Train the network of ``textvae.nn.Infiller``.

    Args:
        config: How long, and on what part of the vocabulary; with ``epochs`` 0 nothing is trained.
        sequence_vae: Whose vocabulary and hidden width it has, and whose word vectors it begins with.
        devices: What trains it together; None where there is one device.

    Returns:
        Kind ``"infiller"``; its metrics are of the validation split, open places opened at random.
    """
    from textvae import nn
    from textvae.nn.infiller import opened
    from textvae.stages.word_transformer import adam, train

    if not config.epochs:
        return TrainedNetwork("infiller", {}, {}, {"trained": False, "reason": "infiller.epochs is 0"})
    vectors = sequence_vae.weights["sequence_vae/embedding/embeddings"]
    network = nn.NETWORKS["infiller"](
        vocabulary=len(vectors), embedding=vectors.shape[1], hidden=sequence_vae.settings["hidden"],
        dropout=config.dropout, seed=child(seed, "weights"))
    network.embedding.embeddings.assign(vectors)
    counts = tokens.counts("train", ends=True)
    network.token_bias.assign(np.log((counts + 0.1) / (counts + 0.1).sum()))
    chances = (nn.sampled_softmax.inclusion(counts, config.softmax_samples)
               if 0 < config.softmax_samples < len(counts) else None)

    def prepared(arrays: dict[str, np.ndarray], rng: np.random.Generator, training: bool) -> dict[str, Any]:
        arrays["given"] = opened(arrays["target"], rng)
        if training and chances is not None:
            arrays |= nn.sampled_softmax.arrays(arrays, chances, rng, len(arrays["positions"]))
        return arrays

    return train(network, config, tokens, adam, seed=seed, progress=progress, scratch=scratch, devices=devices,
                 prepared=prepared)
