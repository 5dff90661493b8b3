"""Train the sequence VAE on token ids, starting from the compressed word vectors."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from textvae.config import ConstraintConfig, SequenceVAEConfig
from textvae.constraints import defined
from textvae.data import UNKNOWN, CompressedVectors, Start, Tokens, TrainedNetwork, WordVectors
from textvae.device import on_gpu
from textvae.distribution import Devices
from textvae.errors import ConfigError
from textvae.progress import Progress
from textvae.seeds import child
from textvae.stages import prior, warm

# Settings that the network takes as they are.
OF_NETWORK = ("encoder", "encoder_layers", "bidirectional", "summary", "decoder", "skip", "hidden", "latent", "dropout",
              "embedding_dropout", "weight_drop", "layer_norm", "posterior", "mean_gamma", "concentration",
              "categories", "relaxation", "prior", "components", "free_bits", "free_bits_over", "smooth",
              "latent_dropout")
# Settings without which weights do not fit or do not mean the same.
SHAPED_BY = (*OF_NETWORK, "vectors", "embedding", "labels", "constraints")
UNLABELLED = 0.1  # share of labels that training keeps back
WATCHED = 2000  # validation sequences whose MI is looked at after each epoch: its cost grows with their square
COLLAPSED = 0.5  # nats of MI under which z says next to nothing: a latent transformer needs 2


def run(config: SequenceVAEConfig, tokens: Tokens, word_vectors: WordVectors | None,
        compressed: CompressedVectors | None, *, seed: int, progress: Progress, scratch: Path,
        name: str = "sequence_vae", start: Start | None = None, devices: Devices | None = None) -> TrainedNetwork:
    """Train the network of ``textvae.nn.SequenceVAE``; vectors that ``config.vectors`` does not name may be None.

    Args:
        name: What progress calls the training.
        start: The earlier run that it goes on from, of the same settings; see ``textvae.stages.warm``.
        devices: What trains it together; None where there is one device.

    Returns:
        Kind ``"sequence_vae"``; its metrics are of the validation split.

    Raises:
        ConfigError: Settings cannot go together, a constraint has no texts, TensorBoard is asked for and not installed,
            or several devices are to train the encoder aggressively, or with normalised means.
    """
    import keras

    from textvae import metrics, nn, plots
    from textvae.evaluate.information import information
    from textvae.nn.aggressive import MOST, Aggressive
    from textvae.nn.training import fit
    from textvae.nn.weights import assign, gather

    config = warm.settings(config, start) if start else config
    _check(config)
    logger = _tensorboard(config.tensorboard) if devices is None or devices.writes else None
    constraints = [defined(own, tokens) for own in config.constraints]
    of_words = {"compressed": compressed, "full": word_vectors, "none": None}[config.vectors]
    vectors = None if of_words is None else of_words.vectors
    for alone in ("aggressive", "mean_gamma"):  # the latter keeps statistics of batches, which devices would not share
        if getattr(config, alone) and devices is not None:
            raise ConfigError(f"sequence_vae.{alone} trains on one device, and here are several",
                              "leave it out, or leave one: no --workers, and CUDA_VISIBLE_DEVICES=0")
    unfitted = {"prior": "standard"} if config.prior == "fitted" else {}
    network = nn.NETWORKS["sequence_vae"](
        vocabulary=tokens.vocabulary_size, embedding=config.embedding if vectors is None else vectors.shape[1],
        max_length=int(tokens.lengths.max(initial=1)), labels=list(config.labels),
        constraints=[constraint.settings for constraint in constraints],
        **{name: getattr(config, name) for name in OF_NETWORK} | unfitted, seed=child(seed, "weights"))
    if vectors is not None:
        network.embedding.embeddings.assign(_scaled(vectors, keras.ops.convert_to_numpy(network.embedding.embeddings)))
    if start is not None:
        assign(network, warm.weights(start, tokens, compressed, gather(network)))
    rows = {split: tokens.rows(split) for split in ("train", "validation")}
    lengths = tokens.lengths[rows["train"]]

    def read_in(purpose: str) -> tuple[np.ndarray, np.random.Generator]:
        rng = np.random.default_rng(child(seed, purpose))
        return warm.replayed(rows["train"], tokens, start, rng), rng

    steps = -(-len(read_in("epoch-0")[0]) // config.batch_size)
    jit = network.xla(config.jit and network.pays(steps * config.epochs))
    widths = nn.batching.fit_widths(lengths, nn.batching.most_widths(steps * config.epochs, jit, on_gpu()))
    chances = None
    if 0 < config.softmax_samples < tokens.vocabulary_size:
        chances = nn.sampled_softmax.inclusion(tokens.counts("train", ends=True), config.softmax_samples)
    network.compile(optimizer=_optimizer(config, steps), jit_compile=jit)
    fresh = {v.path: keras.ops.convert_to_numpy(v.value).copy() for v in _decoder_variables(network)}
    ramp = config.pretrain_epochs + (config.warmup_epochs if config.anneal in ("linear", "cyclical") else 0)
    beta = 0.0 if config.anneal == "none" else config.beta
    begins = {own: _begin(own, ramp) for own in config.constraints if own.weight}
    if never := _never(config, begins):
        progress.say(f"{name}: {never}")
    # The best epoch is one in which all weighs what it shall.
    settle = max([ramp, *(begin + own.rise for own, begin in begins.items() if begin < config.epochs)])
    encode = nn.Compiled(network, network.posterior)
    read = nn.Compiled(network, network.family_parameters)
    label = _label_of(config.labels, tokens)
    applies = np.zeros((len(tokens), len(constraints)), np.float32)
    for i, constraint in enumerate(constraints):
        applies[:, i] = constraint.applies

    def training(epoch: int, purpose: str = "epoch") -> Iterator[dict[str, np.ndarray]]:
        chosen, rng = read_in(f"{purpose}-{epoch}")
        made = batches(tokens, chosen, config.batch_size, applies, label=label, widths=widths, splice=config.splice,
                       noise={"delete": config.noise, "blank": config.noise_blank, "swap": config.noise_swap,
                              "shuffle": config.noise_shuffle},
                       word_dropout=config.word_dropout, latent_dropout=config.latent_dropout, chances=chances, rng=rng)
        if config.anneal != "cyclical":
            return made
        return ({**batch, "rise": np.full(len(batch["encoder"]), kl_weight(config, epoch + step / steps), np.float32)}
                for step, batch in enumerate(made))

    trainer = None
    if config.aggressive:
        trainer = Aggressive(network, [network.encoder, network.family], _optimizer(config, steps * MOST),
                             lambda epoch: training(epoch, "inner"), jit=jit)

    def before_epoch(epoch: int, history: list[dict[str, float]]) -> None:
        if epoch == config.pretrain_epochs > 0:
            for variable in _decoder_variables(network):
                variable.assign(fresh[variable.path])
        # What rises in cycles does so from batch to batch.
        network.beta.assign(config.beta if config.anneal == "cyclical" else config.beta * kl_weight(config, epoch))
        if config.schedule == "plateau":
            rate = config.learning_rate * 0.5 ** _plateaus(history, monitor, ramp)
            network.optimizer.learning_rate.assign(rate)
            if trainer is not None:
                trainer.inner.optimizer.learning_rate.assign(rate)
        if trainer is not None:
            gained = [row["val_mi"] for row in history[config.pretrain_epochs:] if "val_mi" in row]
            trainer.start(epoch, on=not any(late < early for early, late in pairwise(gained)))
        if constraints:
            network.centres.assign(np.stack([_centre(encode, own.texts) for own in constraints]))
            network.penalty_weights.assign([_penalty_weight(own.config, epoch, ramp) for own in constraints])

    watched = [np.array(tokens.sequence(row)) for row in rows["validation"][:WATCHED]]
    least = min(COLLAPSED, float(np.log(max(len(watched), 1))) / 2)  # few texts cannot say much, whatever z does
    collapsed: list[bool] = []

    def after_epoch(epoch: int) -> dict[str, float]:
        if not watched:
            return {}
        q = nn.batching.encode(read, watched, 256, None if label is None else label[rows["validation"][:WATCHED]])
        mi = float(information(network, q, seed=child(seed, "mi")).mean())
        active = int((q["mean"].var(axis=0) > metrics.ACTIVE).sum())
        collapsed.append(epoch >= ramp and beta > 0 and mi < least)
        if collapsed[-2:] in ([True], [False, True]):
            progress.say(f"{name}: collapsing after epoch {epoch + 1}: z says {mi:.2f} nats about a text (MI), "
                         f"and {active} of {network.latent} dimensions are in use. {_remedy(config)}")
        return {"val_mi": mi, "val_active_units": active}

    def monitor(row: dict[str, float]) -> float:
        penalties = sum(c.weight * row[f"val_constraint_{c.name}"] for c in config.constraints)
        return row["val_reconstruction"] + beta * row["val_kl_free"] + penalties

    fitted = fit(
        network, training,
        lambda: batches(tokens, rows["validation"], config.batch_size, applies, label=label, widths=widths),
        epochs=config.epochs, patience=config.patience, steps=steps, scratch=scratch, progress=progress,
        monitor=monitor, settle=min(settle, config.epochs - 1), before_epoch=before_epoch,
        after_epoch=after_epoch, trainer=trainer, devices=devices, logger=logger, label=name)
    if constraints:
        network.centres.assign(np.stack([_centre(encode, own.texts) for own in constraints]))
    best = {name: value for name, value in fitted.best.items() if name.startswith("val_")}
    found = {**best, "best_epoch": fitted.best_epoch, "epochs": len(fitted.history),
             "parameters": network.count_params()}
    if best:  # empty where there is no validation split
        found["val_elbo_nll"] = best["val_reconstruction"] + best["val_kl"]
    trained = TrainedNetwork("sequence_vae", network.settings, gather(network), found, fitted.history,
                             plots.history(fitted.history, title=name))
    if config.prior == "fitted":
        trained = prior.fitted(trained, tokens, label, most=config.components, seed=seed, progress=progress)
    if config.latent_dropout:
        with progress.part("fluency"):
            trained = prior.fluency(trained, tokens, seed=seed)
    return trained


def batches(tokens: Tokens, rows: np.ndarray, batch_size: int, applies: np.ndarray, *,
            label: np.ndarray | None = None, widths: Sequence[int] | None = None,
            splice: float = 0.0, noise: dict[str, Any] | None = None, word_dropout: float = 0.0,
            latent_dropout: float = 0.0, chances: np.ndarray | None = None, rng: np.random.Generator | None = None
            ) -> Iterator[dict[str, np.ndarray]]:
    """Batches for the network; with an rng shuffled and noised, without one in order and clean.

    Args:
        rows: int64 [n], which sequences.
        applies: float32 [sequences, constraints].
        label: int32 [sequences], as the network takes them.
        widths: What batches may be wide, as ``fit_widths`` chooses; None takes those of ``textvae.nn.batching``.
        splice: Share of sequences that end as another of the batch does, see ``textvae.nn.noise.spliced``.
        noise: What ``textvae.nn.noise.noised`` takes, for the encoder's tokens.
        word_dropout: Share of the decoder's input tokens that become the unknown token.
        latent_dropout: Share of sequences that the decoder is told no z of; these are spliced with nothing.
        chances: For a sampled softmax: from ``sampled_softmax.inclusion``; needs an rng.

    Yields:
        ``encoder`` int32 [batch, width], ``decoder`` and ``target`` int32 [batch, width + 1], ``positions`` int32
        [n], ``applies`` float32 [batch, constraints], with an rng ``share`` float32 [batch], see
        ``textvae.nn.batching.share``, and what ``sampled_softmax.arrays`` gives; with a latent dropout ``told`` float32
        [batch], 0 for sequences whose z is kept back.
    """
    from textvae.nn import sampled_softmax
    from textvae.nn.batching import WIDTHS, pad, plan, real_positions, rooms, share, teacher_forced
    from textvae.nn.noise import noised, spliced

    widths = widths or WIDTHS
    lengths = tokens.lengths[rows]
    planned = plan(lengths, batch_size, rng, widths, even=rng is not None)
    for (batch, width), room in zip(planned, rooms(lengths, planned, widths), strict=True):
        chosen = rows[batch]
        sequences = [tokens.sequence(row) for row in chosen]
        told = None if rng is None or not latent_dropout else rng.random(len(chosen)) >= latent_dropout
        if rng is not None and splice:
            whole, sequences = sequences, spliced(sequences, rng, splice)
            if told is not None:  # what reads well is learnt from what stands in the corpus
                sequences = [own if z else first for own, first, z in zip(sequences, whole, told, strict=True)]
        arrays = teacher_forced(sequences, width)
        arrays["positions"] = real_positions(arrays["target"], room)
        if rng is not None:
            arrays["encoder"] = pad([noised(ids, rng, **(noise or {})) for ids in sequences], width)
            dropped = (rng.random(arrays["decoder"].shape) < word_dropout) & (arrays["decoder"] > UNKNOWN)
            arrays["decoder"] = np.where(dropped, np.int32(UNKNOWN), arrays["decoder"])
            arrays["share"] = share(len(chosen), batch_size)
            if told is not None:
                arrays["told"] = told.astype(np.float32)
            if chances is not None:
                arrays |= sampled_softmax.arrays(arrays, chances, rng, room)
        if label is not None:
            # Now and then a label is kept back, so that a text can be read without one.
            hidden = rng is not None and rng.random(len(chosen)) < UNLABELLED
            arrays["label"] = np.where(hidden, 0, label[chosen]).astype(np.int32)
        yield {**arrays, "applies": applies[chosen]}


def kl_weight(config: SequenceVAEConfig, epoch: float) -> float:
    """The share of ``beta`` that the KL has in an epoch, from 0.

    Args:
        epoch: Where a rise in cycles is, with the share of the epoch that is done: it begins from nothing each time
            (Fu et al. 2019, section 3.2), which whole epochs are too coarse for.

    Example:
        >>> rising = SequenceVAEConfig(pretrain_epochs=1, warmup_epochs=3)
        >>> [kl_weight(rising, epoch) for epoch in range(6)]
        [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
        >>> waves = SequenceVAEConfig(pretrain_epochs=0, warmup_epochs=2, anneal="cyclical", cycles=2)
        >>> [kl_weight(waves, step / 4) for step in range(9)]
        [0.0, 0.5, 1.0, 1.0, 0.0, 0.5, 1.0, 1.0, 1.0]
    """
    after = epoch - config.pretrain_epochs
    if after < 0 or config.anneal == "none":
        return 0.0
    if config.anneal == "constant" or after >= config.warmup_epochs:
        return 1.0
    if config.anneal == "linear":
        return (after + 1) / (config.warmup_epochs + 1)
    length = config.warmup_epochs / config.cycles
    return min(1.0, 2 * (after % length) / length)


def _penalty_weight(constraint: ConstraintConfig, epoch: int, ramp: int) -> float:
    after = epoch - _begin(constraint, ramp)
    return constraint.weight * min(1.0, (after + 1) / (constraint.rise + 1)) if after >= 0 else 0.0


def _begin(constraint: ConstraintConfig, ramp: int) -> int:
    """The epoch from which a constraint acts."""
    # Before the KL has its full weight, the distances that the penalties act on have no scale yet.
    return ramp if constraint.start < 0 else constraint.start


def _never(config: SequenceVAEConfig, begins: dict[ConstraintConfig, int]) -> str:
    """What never comes in so few epochs, and which settings to change; empty where all comes."""
    alone = config.pretrain_epochs >= config.epochs
    waits = "pretrain_epochs" if alone else "warmup_epochs"
    rise = {"linear": config.warmup_epochs, "cyclical": config.warmup_epochs / config.cycles / 2}.get(config.anneal, 0)
    comes: list[tuple[str, float, str]] = []
    if config.pretrain_epochs:
        comes.append(("the fresh decoder", config.pretrain_epochs, waits))
    if config.beta and config.anneal != "none":
        comes.append(("the KL" if alone else "the KL's full weight", config.pretrain_epochs + rise, waits))
    comes += [(f"constraint {own.name!r}", begin, waits if own.start < 0 else "the constraint's start")
              for own, begin in begins.items()]
    late = [what for what in comes if what[1] >= config.epochs]
    if not late:
        return ""
    whats, epochs, settings = zip(*late, strict=True)
    return (f"with epochs = {config.epochs}, {', '.join(whats)} never come{'s' if len(late) == 1 else ''}. Set "
            f"sequence_vae.epochs to {int(max(epochs)) + 1} or more, or lower {' and '.join(dict.fromkeys(settings))}.")


def _plateaus(history: list[dict[str, float]], monitor: Callable[[dict[str, float]], float], ramp: int) -> int:
    """Epochs after the KL's rise that were no better than the best before them."""
    values = [monitor(row) for row in history[ramp:] if "val_loss" in row]
    return sum(value >= min(values[:i]) for i, value in enumerate(values) if i)


def _optimizer(config: SequenceVAEConfig, steps: int) -> Any:
    import keras

    rate: Any = config.learning_rate
    if config.schedule == "cosine":
        # So that the last epochs settle instead of wandering.
        rate = keras.optimizers.schedules.CosineDecay(rate, steps * config.epochs, alpha=0.1)
    more: dict[str, Any] = {"weight_decay": config.weight_decay} if config.weight_decay else {}
    kind: Any = keras.optimizers.AdamW if more else keras.optimizers.Adam
    if config.average:
        from textvae.nn.training import averaging

        kind = averaging(kind, most=config.average, after=config.pretrain_epochs * steps)
    return kind(rate, global_clipnorm=config.clip or None, **more)


def _check(config: SequenceVAEConfig) -> None:
    """Refuse settings that cannot go together."""
    gaussian = config.posterior in ("gaussian", "full")
    # The evaluation measures both by name; a constraint without one is refused elsewhere.
    names = [*(own.name for own in config.constraints if own.name), *config.labels]
    keys = sorted({label.partition("=")[0] for label in config.labels})
    for wrong, says, hint in (
            (config.prior != "standard" and not gaussian, f"prior {config.prior!r} needs a Gaussian posterior, not "
             f"{config.posterior!r}", 'posterior = "gaussian" or "full"'),
            (config.prior == "vamp" and config.posterior == "full", "a VampPrior is made of diagonal Gaussians, which "
             "posterior 'full' has not", 'posterior = "gaussian", or prior = "mixture"'),
            (config.free_bits > 0 and config.free_bits_over == "dimension"
             and (config.prior in ("mixture", "vamp") or config.posterior in ("full", "vmf")),
             f"free bits per dimension need a KL per dimension, which posterior {config.posterior!r} with prior "
             f"{config.prior!r} has not", 'free_bits_over = "total", or free_bits = 0'),
            (config.posterior == "vmf" and config.latent < 2, "a von Mises-Fisher posterior needs latent 2 or more",
             ""),
            (config.mean_gamma > 0 and not gaussian, f"mean_gamma is of Gaussian posteriors, not {config.posterior!r}",
             "set it to 0"),
            (config.splice > 0 and (config.labels or config.constraints), "spliced sequences have no label of their "
             "own, and constraints would hold for half of one", "set splice = 0"),
            (config.summary != "mean" and config.encoder == "conv", "a convolutional encoder has no last state",
             'set summary = "mean"'),
            (config.bidirectional and config.encoder == "conv", "a convolutional encoder has no direction",
             "set bidirectional = false"),
            (len(keys) > 1, f"labels have the keys {' and '.join(keys)}, and a text is told as one label",
             "name labels of one key, and make constraints of the others"),
            (len(set(names)) < len(names), "two constraints or labels are called "
             f"{max(names, key=names.count, default='')!r}", "give each a name of its own")):
        if wrong:
            raise ConfigError(f"sequence_vae: {says}", hint)


def _remedy(config: SequenceVAEConfig) -> str:
    """The first of the known remedies that is not in use."""
    if not config.free_bits and not config.mean_gamma:
        return "Set sequence_vae.free_bits to 0.25, or mean_gamma to 0.6."
    if not config.pretrain_epochs:
        return "Set sequence_vae.pretrain_epochs to 5."
    return "Raise sequence_vae.free_bits, or lower beta."


def _label_of(labels: Sequence[str], tokens: Tokens) -> np.ndarray | None:
    if not labels:
        return None
    known = {label for own in tokens.post_labels for label in own}
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise ConfigError(f"sequence_vae.labels: no post has the label {unknown[0]!r}",
                          f"labels are: {', '.join(sorted(known)[:20])}" if known else "the corpus has no labels")
    return tokens.label_places(labels)


def _scaled(vectors: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Bring vectors to the spread of the network's own first embeddings; tokens never met keep theirs."""
    met = np.any(vectors != 0, axis=1)
    spread = float(vectors[met].std()) or 1.0
    return np.where(met[:, None], (vectors - vectors[met].mean(axis=0)) / spread * 0.1, first).astype(np.float32)


def _decoder_variables(network: Any) -> list[Any]:
    layers = (network.start, network.decoder, network.norm, network.narrow)
    return [variable for layer in layers if layer is not None for variable in layer.weights]


def _centre(encode: Any, texts: list[np.ndarray]) -> np.ndarray:
    from textvae.nn import batching

    return np.asarray(batching.encode(encode, texts, 128)["mean"].mean(axis=0), np.float32)


def _tensorboard(folder: str) -> Any:
    if not folder:
        return None
    import importlib.util

    if importlib.util.find_spec("tensorboard") is None:
        raise ConfigError("sequence_vae.tensorboard is set, and TensorBoard is not installed",
                          "pip install 'textvae[tensorboard]'")
    import keras

    return keras.callbacks.TensorBoard(folder, write_graph=False)
