"""Train a language model of the sequence VAE's size on the same split: what its likelihood is held against."""

from pathlib import Path
from typing import Any

import numpy as np

from textvae.config import LanguageModelConfig
from textvae.data import Tokens, TrainedNetwork
from textvae.distribution import Devices
from textvae.progress import Progress
from textvae.seeds import child


def run(config: LanguageModelConfig, tokens: Tokens, sequence_vae: TrainedNetwork, *, seed: int, progress: Progress,
        scratch: Path, devices: Devices | None = None) -> TrainedNetwork:
    """Train the network of ``textvae.nn.LanguageModel``.

    Args:
        config: How long; with ``epochs`` 0 nothing is trained.
        sequence_vae: Whose vocabulary, embedding, hidden width and cell it has.
        devices: What trains it together; None where there is one device.

    Returns:
        Kind ``"language_model"``; its metrics are of the validation split.
    """
    from textvae import nn
    from textvae.stages.word_transformer import train

    if not config.epochs:
        return TrainedNetwork("language_model", {}, {}, {"trained": False, "reason": "language_model.epochs is 0"})
    sizes = {name: sequence_vae.settings[name] for name in ("vocabulary", "hidden")}
    network = nn.NETWORKS["language_model"](
        **sizes, embedding=sequence_vae.weights["sequence_vae/embedding/embeddings"].shape[1],
        cell=sequence_vae.settings["decoder"], dropout=config.dropout, seed=child(seed, "weights"))
    counts = tokens.counts("train", ends=True) + 0.1
    network.token_bias.assign(np.log(counts / counts.sum()))
    return train(network, config, tokens, _adam, seed=seed, progress=progress, scratch=scratch, devices=devices)


def _adam(learning_rate: float, steps: int) -> Any:
    import keras

    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps, alpha=0.1)
    return keras.optimizers.Adam(schedule, global_clipnorm=5.0)
