"""Train the latent transformer: from a post's sentence latents so far to the next."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textvae.config import LatentTransformerConfig
from textvae.data import Latents, Tokens, TrainedNetwork
from textvae.distribution import Devices
from textvae.errors import ConfigError, InputError
from textvae.progress import Progress
from textvae.seeds import child

ACTIVE = 0.01  # variance of the posterior mean above which a dimension says something (Burda et al. 2016)
RESAMPLES = 1000  # bootstrap samples: the ends of a 95% interval are then stable to about a hundredth of its width


@dataclass(frozen=True)
class Windows:
    """Runs of a post's sequences in order; every sequence but a post's first is predicted in exactly one.

    Args:
        rows: int64 [windows, context + 1]; rows of ``Tokens``, -1 where a window has ended.
        post: int64 [windows].
    """

    rows: np.ndarray
    post: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, mean: np.ndarray, chosen: np.ndarray) -> dict[str, np.ndarray]:
        """The network's arrays for some windows; see ``textvae.nn.LatentTransformer``."""
        rows = self.rows[chosen]
        real = rows >= 0
        latents = np.where(real[:, :, None], mean[np.maximum(rows, 0)], np.float32(0.0))
        return {"inputs": latents[:, :-1], "targets": latents[:, 1:], "real": real[:, 1:].astype(np.float32)}


def run(config: LatentTransformerConfig, tokens: Tokens, latents: Latents, *, seed: int, progress: Progress,
        scratch: Path, devices: Devices | None = None) -> TrainedNetwork:
    """Train the network of ``textvae.nn.LatentTransformer``, if there is something to learn.

    Args:
        config: Sizes, dropout, epochs, and the mutual information under which nothing is trained.
        tokens: Which sequence stands where in which post.
        latents: What to predict.
        seed: For the first weights, dropout and order.
        progress: Who watches.
        scratch: Folder for the checkpoint.
        devices: What trains it together; None where there is one device.

    Returns:
        Kind ``"latent_transformer"``. Metrics ``{"trained": False, "reason"}`` and no weights where the latents say
        too little, or no post has two sequences; else those of ``evaluate`` on the validation split, as ``val_...``.

    Raises:
        ConfigError: ``width`` is not a multiple of ``heads``.
    """
    from textvae import nn, plots
    from textvae.nn.training import fit
    from textvae.nn.weights import gather
    from textvae.stages.word_transformer import adamw

    if config.width % config.heads:
        raise ConfigError(f"latent_transformer.width is {config.width}, not a multiple of its {config.heads} heads",
                          f"set width to {-(-config.width // config.heads) * config.heads}")
    train = windows(tokens, "train", config.context)
    settings = {"latent": latents.mean.shape[1], "layers": config.layers, "width": config.width,
                "heads": config.heads, "dropout": config.dropout}
    centre, deviation, active = _statistics(tokens, latents)
    reason = _declined(config, latents, len(train), active)
    if reason:
        progress.say(f"latent_transformer: not trained: {reason}")
        return TrainedNetwork("latent_transformer", settings, {}, {"trained": False, "reason": reason})
    validation = windows(tokens, "validation", config.context)
    network = nn.NETWORKS["latent_transformer"](**settings, seed=child(seed, "weights"))
    network.standardise(centre, deviation, active)
    steps = -(-len(train) // config.batch_size)
    jit = network.xla(network.pays(steps * config.epochs))
    network.compile(optimizer=adamw(config.learning_rate, steps * config.epochs), jit_compile=jit)
    fitted = fit(
        network,
        lambda epoch: _batches(train, latents.mean, config.batch_size,
                               np.random.default_rng(child(seed, f"epoch-{epoch}"))),
        lambda: _batches(validation, latents.mean, config.batch_size),
        epochs=config.epochs, patience=config.patience, steps=steps, scratch=scratch, progress=progress,
        devices=devices)
    trained = TrainedNetwork(network.kind, settings, gather(network), {}, fitted.history,
                             plots.history(fitted.history, title="latent_transformer"))
    metrics = {"trained": True, "context": config.context, "active_units": int(active.sum()),
               "best_epoch": fitted.best_epoch, "epochs": len(fitted.history), "parameters": network.count_params()}
    if len(validation):
        found = evaluate(trained, tokens, latents, "validation", context=config.context)
        metrics |= {f"val_{name}": value for name, value in found.items()}
    return TrainedNetwork(trained.kind, settings, trained.weights, metrics, trained.history, trained.plot)


def evaluate(trained: TrainedNetwork, tokens: Tokens, latents: Latents, split: str, *,
             context: int | None = None) -> dict[str, Any]:
    """Test the predictions of a split's latents beside those of plain rules.

    Args:
        trained: Kind ``"latent_transformer"``, trained.
        tokens: Which sequence stands where.
        latents: What is predicted.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        context: Sequences seen; that of the training when not given.

    Returns:
        ``mse`` and ``nll`` (nats) per active dimension, in units of the training split's standard deviation, and the
        same as ``mse_<rule>`` and ``nll_<rule>`` for ``mean`` (of the training split), ``copy`` (the last latent),
        ``context`` (the mean of the latents seen) and ``ridge`` (linear in the last latent), each rule with the
        variance of its own training errors. ``gain``: by how many nats per dimension the network's ``nll`` lies
        under that of the best rule, ``best_rule``, with ``gain_low`` and ``gain_high``, the ends of the 95%
        bootstrap interval over posts. ``targets``: how many latents were predicted.

    Raises:
        InputError: The network was not trained, or the split has no post with two sequences.
    """
    if not trained.weights:
        raise InputError(f"the latent transformer was not trained: {trained.metrics.get('reason', '')}")
    context = context or int(trained.metrics["context"])
    test = windows(tokens, split, context)
    if not len(test):
        raise InputError(f"no post of the {split} split has two sequences", f"raise tokens.{split} or give it a file")
    centre, deviation, active = _statistics(tokens, latents)
    standard = ((latents.mean - centre) / deviation)[:, active]
    train = windows(tokens, "train", context)
    errors = _rules(*(source.batch(standard, np.arange(len(source))) for source in (train, test)))
    errors[""] = _network(trained, latents, test, active)
    post = np.repeat(test.post, (test.rows[:, 1:] >= 0).sum(axis=1))
    out: dict[str, Any] = {"targets": len(post)}
    for name, (squared, nll) in errors.items():
        out[f"mse{name}"], out[f"nll{name}"] = float(squared.mean()), float(nll.mean())
    best = min((name for name in errors if name), key=lambda name: out[f"nll{name}"])
    gained = (errors[best][1] - errors[""][1]).mean(axis=1)
    own = np.unique(post, return_inverse=True)[1]
    sums, counts = np.bincount(own, gained), np.bincount(own)
    # The same interval at every call.
    picks = np.random.default_rng(child(0, "bootstrap")).integers(len(sums), size=(RESAMPLES, len(sums)))
    low, high = np.quantile(sums[picks].sum(axis=1) / counts[picks].sum(axis=1), (0.025, 0.975))
    return {**out, "best_rule": best.removeprefix("_"), "gain": float(gained.mean()), "gain_low": float(low),
            "gain_high": float(high)}


def windows(tokens: Tokens, split: str, context: int) -> Windows:
    """Cut a split's posts into windows of ``context`` inputs and the sequence after each."""
    rows = tokens.rows(split)
    rows = rows[np.lexsort((tokens.position[rows], tokens.post[rows]))]
    found, owners = [], []
    for own in np.split(rows, np.flatnonzero(np.diff(tokens.post[rows])) + 1):
        for start in range(0, len(own) - 1, context):
            window = np.full(context + 1, -1, np.int64)
            part = own[start:start + context + 1]
            window[:len(part)] = part
            found.append(window)
            owners.append(tokens.post[own[0]])
    return Windows(np.array(found, np.int64).reshape(-1, context + 1), np.array(owners, np.int64))


def _statistics(tokens: Tokens, latents: Latents) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and standard deviation of the training latents, and which dimensions are active."""
    train = latents.mean[tokens.rows("train")]
    deviation = train.std(axis=0)
    return train.mean(axis=0), np.where(deviation > 0, deviation, np.float32(1.0)), np.square(deviation) > ACTIVE


def _declined(config: LatentTransformerConfig, latents: Latents, found: int, active: np.ndarray) -> str:
    """Why nothing can be learnt; empty where it can."""
    mi = latents.metrics.get("mi")
    if mi is not None and mi < config.min_mi:
        return (f"the latents carry {mi:.2f} nats about the text, under latent_transformer.min_mi = {config.min_mi:g}: "
                "their order cannot be learnt")
    if not found:
        return "no training post has two sequences"
    return "" if active.any() else "no dimension of the latents is active"


def _batches(source: Windows, mean: np.ndarray, size: int, rng: np.random.Generator | None = None
             ) -> Iterator[dict[str, np.ndarray]]:
    order = np.arange(len(source)) if rng is None else rng.permutation(len(source))
    for start in range(0, len(order), size):
        yield source.batch(mean, order[start:start + size])


def _rules(train: dict[str, np.ndarray], test: dict[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Squared errors and nats of each rule on the test windows: float [targets, dimensions] each, by ``_<rule>``."""
    from sklearn.linear_model import Ridge

    def pairs(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        real = arrays["real"] > 0
        seen = np.arange(1, real.shape[1] + 1, dtype=np.float32)[None, :, None]
        context = np.cumsum(arrays["inputs"], axis=1) / seen
        return {"last": arrays["inputs"][real], "context": context[real], "target": arrays["targets"][real]}

    known, asked = pairs(train), pairs(test)
    ridge = Ridge(alpha=1.0).fit(known["last"], known["target"])
    rules = {"_mean": lambda own: np.zeros_like(own["target"]), "_copy": lambda own: own["last"],
             "_context": lambda own: own["context"],
             "_ridge": lambda own: ridge.predict(own["last"]).reshape(own["target"].shape)}
    out = {}
    for name, rule in rules.items():
        variance = np.square(known["target"] - rule(known)).mean(axis=0) + 1e-6
        squared = np.square(asked["target"] - rule(asked))
        out[name] = squared, 0.5 * (np.log(2 * np.pi * variance) + squared / variance)
    return out


def _network(trained: TrainedNetwork, latents: Latents, test: Windows,
             active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The network's squared errors and nats, standardised: float [targets, active dimensions] each."""
    from textvae import nn
    from textvae.nn.weights import restore

    network = restore(trained.kind, trained.settings, trained.weights)
    compiled = nn.Compiled(network, network.predict_next)
    scale = trained.weights["latent_transformer/scale"][active]
    squares, nats = [], []
    for batch in _batches(test, latents.mean, 256):
        mean, log_var = compiled.run(inputs=batch["inputs"])
        real = batch["real"] > 0
        squared = np.square((batch["targets"][real] - mean[real])[:, active] / scale)
        spread = log_var[real][:, active] - 2 * np.log(scale)
        squares.append(squared)
        nats.append(0.5 * (np.log(2 * np.pi) + spread + squared / np.exp(spread)))
    return np.concatenate(squares), np.concatenate(nats)
