"""Train a language model of the sequence VAE's size on the same split: what its likelihood is held against."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from textvae.config import LanguageModelConfig
from textvae.data import Tokens, TrainedNetwork
from textvae.progress import Progress
from textvae.seeds import child


def run(config: LanguageModelConfig, tokens: Tokens, sequence_vae: TrainedNetwork, *, seed: int, progress: Progress,
        scratch: Path) -> TrainedNetwork:
    """Train the network of ``textvae.nn.LanguageModel``.

    Args:
        config: How long; with ``epochs`` 0 nothing is trained.
        sequence_vae: Whose vocabulary, embedding, hidden width and cell it has.

    Returns:
        Kind ``"language_model"``; its metrics are of the validation split.
    """
    import keras

    from textvae import nn, plots
    from textvae.nn.training import fit
    from textvae.nn.weights import gather
    from textvae.stages.word_transformer import batches

    if not config.epochs:
        return TrainedNetwork("language_model", {}, {}, {"trained": False, "reason": "language_model.epochs is 0"})
    sizes = {name: sequence_vae.settings[name] for name in ("vocabulary", "hidden")}
    network = nn.NETWORKS["language_model"](
        **sizes, embedding=sequence_vae.weights["sequence_vae/embedding/embeddings"].shape[1],
        cell=sequence_vae.settings["decoder"], dropout=config.dropout, seed=child(seed, "weights"))
    train, validation = tokens.rows("train"), tokens.rows("validation")
    counts = tokens.counts("train", ends=True) + 0.1
    network.token_bias.assign(np.log(counts / counts.sum()))
    steps = -(-len(train) // config.batch_size)
    widths = nn.batching.fit_widths(tokens.lengths[train],
                                    nn.batching.most_widths(steps * config.epochs, network.takes_xla))
    schedule = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps * config.epochs, alpha=0.1)
    network.compile(optimizer=keras.optimizers.Adam(schedule, global_clipnorm=5.0), jit_compile=network.takes_xla)
    fitted = fit(
        network,
        lambda epoch: batches(tokens, train, config.batch_size,
                              np.random.default_rng(child(seed, f"epoch-{epoch}")), widths=widths),
        lambda: batches(tokens, validation, config.batch_size, widths=widths),
        epochs=config.epochs, patience=config.patience, steps=steps, scratch=scratch, progress=progress)
    metrics: dict[str, Any] = {"trained": True, "best_epoch": fitted.best_epoch, "epochs": len(fitted.history),
                               "parameters": network.count_params()}
    if "val_nll" in fitted.best:
        nll, predictions = fitted.best["val_nll"], fitted.best["val_predictions"]
        metrics |= {"val_nll": nll, "val_perplexity": math.exp(nll / predictions)}
    return TrainedNetwork(network.kind, network.settings, gather(network), metrics, fitted.history,
                          plots.history(fitted.history, title="language_model"))
