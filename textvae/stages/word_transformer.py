"""Train the word transformer on token ids over the compressed word vectors."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from textvae.config import WordTransformerConfig
from textvae.data import BEGIN, END, CompressedVectors, Tokens, TrainedNetwork
from textvae.device import on_gpu
from textvae.distribution import Devices
from textvae.errors import ConfigError, InputError
from textvae.progress import Progress
from textvae.seeds import child

RESAMPLES = 1000  # bootstrap samples: the ends of a 95% interval are then stable to about a hundredth of its width


def run(config: WordTransformerConfig, tokens: Tokens, compressed: CompressedVectors, *, seed: int,
        progress: Progress, scratch: Path, devices: Devices | None = None) -> TrainedNetwork:
    """Train the network of ``textvae.nn.WordTransformer``.

    Args:
        config: Sizes, dropout and epochs.
        tokens: What to learn.
        compressed: The vectors it reads and predicts with.
        seed: For the first weights, dropout and order.
        progress: Who watches.
        scratch: Folder for the checkpoint.
        devices: What trains it together; None where there is one device.

    Returns:
        Kind ``"word_transformer"``; its metrics are of the validation split.

    Raises:
        ConfigError: ``width`` is not a multiple of ``heads``.
    """
    from textvae import nn

    if config.width % config.heads:
        raise ConfigError(f"word_transformer.width is {config.width}, not a multiple of its {config.heads} heads",
                          f"set width to {-(-config.width // config.heads) * config.heads}")
    network = nn.NETWORKS["word_transformer"](
        vocabulary=tokens.vocabulary_size, latent=compressed.vectors.shape[1], layers=config.layers,
        width=config.width, heads=config.heads, dropout=config.dropout, seed=child(seed, "weights"))
    network.start(compressed.vectors, tokens.counts("train", ends=True))
    return train(network, config, tokens, adamw, seed=seed, progress=progress, scratch=scratch, devices=devices)


def train(network: Any, config: Any, tokens: Tokens, optimizer: Callable[[float, int], Any], *, seed: int,
          progress: Progress, scratch: Path, devices: Devices | None = None) -> TrainedNetwork:
    """Train a network that predicts the next token.

    Args:
        network: Built, not compiled; its terms are ``nll`` and ``predictions``.
        config: Has ``batch_size``, ``learning_rate``, ``epochs`` and ``patience``.
        tokens: What to learn.
        optimizer: Learning rate and all steps of the training -> a keras optimizer.
        devices: What trains it together; None where there is one device.

    Returns:
        Of the network's kind; its metrics are of the validation split.
    """
    from textvae import nn, plots
    from textvae.nn.training import fit
    from textvae.nn.weights import gather

    rows, validation = tokens.rows("train"), tokens.rows("validation")
    steps = -(-len(rows) // config.batch_size)
    jit = network.xla(network.pays(steps * config.epochs))
    widths = nn.batching.fit_widths(tokens.lengths[rows], nn.batching.most_widths(steps * config.epochs, jit, on_gpu()))
    network.compile(optimizer=optimizer(config.learning_rate, steps * config.epochs), jit_compile=jit)
    fitted = fit(
        network,
        lambda epoch: batches(tokens, rows, config.batch_size,
                              np.random.default_rng(child(seed, f"epoch-{epoch}")), widths=widths),
        lambda: batches(tokens, validation, config.batch_size, widths=widths),
        epochs=config.epochs, patience=config.patience, steps=steps, scratch=scratch, progress=progress,
        devices=devices)
    metrics: dict[str, Any] = {"trained": True, "best_epoch": fitted.best_epoch, "epochs": len(fitted.history),
                               "parameters": network.count_params()}
    if "val_nll" in fitted.best:
        nll, predictions = fitted.best["val_nll"], fitted.best["val_predictions"]
        metrics |= {"val_nll": nll, "val_perplexity": math.exp(nll / predictions)}
    return TrainedNetwork(network.kind, network.settings, gather(network), metrics, fitted.history,
                          plots.history(fitted.history, title=network.kind))


def perplexity(trained: TrainedNetwork, tokens: Tokens, split: str, *, batch_size: int = 64) -> dict[str, Any]:
    """Test the language model on a split.

    A sequence's predictions are its tokens and its end.

    Args:
        trained: Kind ``"word_transformer"``.
        tokens: What it was trained on.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        batch_size: Sequences per step.

    Returns:
        ``perplexity`` (exp of the nats per prediction) with ``low`` and ``high``, the ends of the 95% bootstrap
        interval over posts; ``nll`` in nats per sequence; ``predictions``; ``sequences``.

    Raises:
        InputError: The split has no sequences.
    """
    rows = tokens.rows(split)
    if not len(rows):
        raise InputError(f"the {split} split has no sequences", f"raise tokens.{split} or give it a file")
    nats = scores(trained, tokens, rows, batch_size=batch_size)
    predictions = tokens.lengths[rows] + 1
    post = np.unique(tokens.post[rows], return_inverse=True)[1]
    own_nats, own_predictions = np.bincount(post, nats), np.bincount(post, predictions)
    rng = np.random.default_rng(child(0, "bootstrap"))  # the same interval at every call
    picks = rng.integers(len(own_nats), size=(RESAMPLES, len(own_nats)))
    low, high = np.exp(np.quantile(own_nats[picks].sum(axis=1) / own_predictions[picks].sum(axis=1), (0.025, 0.975)))
    return {"perplexity": float(np.exp(nats.sum() / predictions.sum())), "low": float(low), "high": float(high),
            "nll": float(nats.mean()), "predictions": int(predictions.sum()), "sequences": len(rows)}


def scores(trained: TrainedNetwork, tokens: Tokens, rows: np.ndarray, *, batch_size: int = 64) -> np.ndarray:
    """-log p of sequences in nats, float64 [rows].

    Args:
        trained: Kind ``"word_transformer"``.
        tokens: Where the sequences are.
        rows: int64 [rows], which of them.
        batch_size: Sequences per step.
    """
    from textvae import nn
    from textvae.nn.weights import restore

    network = restore(trained.kind, trained.settings, trained.weights)
    score = nn.Compiled(network, network.score)
    out = np.empty(len(rows))
    for places, width in nn.batching.plan(tokens.lengths[rows], batch_size):
        out[places] = score.run(**_arrays(tokens, rows[places], width))
    return out


def batches(tokens: Tokens, rows: np.ndarray, batch_size: int, rng: np.random.Generator | None = None, *,
            widths: Sequence[int] | None = None) -> Iterator[dict[str, np.ndarray]]:
    """Batches for the network; shuffled with an rng, in order without.

    Args:
        rows: int64 [n], which sequences.
        widths: What batches may be wide, as ``fit_widths`` chooses; None takes those of ``textvae.nn.batching``.

    Yields:
        ``decoder`` and ``target`` int32 [batch, width + 1], ``positions`` int32 [n]; with an rng ``share`` float32
        [batch], see ``textvae.nn.batching.share``.
    """
    from textvae.nn.batching import WIDTHS, plan, real_positions, rooms, share

    widths = widths or WIDTHS
    planned = plan(tokens.lengths[rows], batch_size, rng, widths, even=rng is not None)
    for (places, width), room in zip(planned, rooms(tokens.lengths[rows], planned, widths), strict=True):
        arrays = _arrays(tokens, rows[places], width)
        if rng is not None:
            arrays["share"] = share(len(places), batch_size)
        yield {**arrays, "positions": real_positions(arrays["target"], room)}


def adamw(learning_rate: float, steps: int) -> Any:
    """AdamW as transformers like it: a rise over the first steps, then down along a cosine, gradients clipped.

    Args:
        learning_rate: The highest step size.
        steps: All steps of the training.
    """
    import keras

    # A pre-norm network needs little warm-up, but Adam's second moments are noise for some dozens of steps.
    rise = min(200, steps // 10)
    schedule = keras.optimizers.schedules.CosineDecay(
        learning_rate / 10, max(1, steps - rise), alpha=0.1, warmup_target=learning_rate, warmup_steps=rise)
    return keras.optimizers.AdamW(schedule, weight_decay=0.01, global_clipnorm=1.0)


def _arrays(tokens: Tokens, rows: np.ndarray, width: int) -> dict[str, np.ndarray]:
    from textvae.nn.batching import pad

    sequences = [tokens.sequence(row) for row in rows]
    return {"decoder": pad([np.concatenate([[BEGIN], sequence]) for sequence in sequences], width + 1),
            "target": pad([np.concatenate([sequence, [END]]) for sequence in sequences], width + 1)}
