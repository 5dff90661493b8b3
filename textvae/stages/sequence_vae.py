"""Train the sequence VAE on token ids, starting from the compressed word vectors."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textvae.config import ConstraintConfig, SequenceVAEConfig
from textvae.data import UNKNOWN, CompressedVectors, Tokens, TrainedNetwork, WordVectors
from textvae.errors import ConfigError
from textvae.progress import Progress
from textvae.seeds import child

CENTRE_TEXTS = 512  # latents averaged for a constraint's centre: its standard error is then under 5% of a spread


@dataclass(frozen=True)
class Region:
    """A constraint with the sequences that define it.

    Args:
        config: The constraint.
        texts: Token ids whose latents are the centre, int32 [tokens] each.
        applies: float32 [sequences of the corpus], 1 where the penalty acts.
    """

    config: ConstraintConfig
    texts: list[np.ndarray]
    applies: np.ndarray


def run(config: SequenceVAEConfig, tokens: Tokens, word_vectors: WordVectors, compressed: CompressedVectors, *,
        seed: int, progress: Progress, scratch: Path) -> TrainedNetwork:
    """Train the network of ``textvae.nn.SequenceVAE``.

    Returns:
        Kind ``"sequence_vae"``; its metrics are of the validation split.

    Raises:
        ConfigError: A constraint has no texts, or TensorBoard is asked for and not installed.
    """
    import keras

    from textvae import nn, plots
    from textvae.nn.training import fit
    from textvae.nn.weights import gather

    logger = _tensorboard(config.tensorboard)
    regions = [_region(constraint, tokens) for constraint in config.constraints]
    start = {"compressed": compressed.vectors, "full": word_vectors.vectors, "none": None}[config.vectors]
    network = nn.NETWORKS["sequence_vae"](
        vocabulary=tokens.vocabulary_size, embedding=config.embedding if start is None else start.shape[1],
        hidden=config.hidden, latent=config.latent,
        max_length=int(tokens.lengths.max(initial=1)), encoder=config.encoder, decoder=config.decoder,
        dropout=config.dropout, free_bits=config.free_bits,
        constraints=[{"name": c.name, "kind": c.kind, "threshold": c.threshold} for c in config.constraints],
        seed=child(seed, "weights"))
    if start is not None:
        network.embedding.embeddings.assign(_scaled(start, keras.ops.convert_to_numpy(network.embedding.embeddings)))
    rows = {split: tokens.rows(split) for split in ("train", "validation")}
    lengths = tokens.lengths[rows["train"]]
    steps = -(-len(lengths) // config.batch_size)
    jit = config.jit and network.takes_xla
    widths = nn.batching.fit_widths(lengths, nn.batching.most_widths(steps * config.epochs, jit))
    chances = None
    if config.softmax_samples:
        if config.softmax_samples >= tokens.vocabulary_size:
            raise ConfigError(f"sequence_vae.softmax_samples is {config.softmax_samples}, and the vocabulary has "
                              f"{tokens.vocabulary_size} tokens", "set it to 0, which takes them all")
        chances = nn.sampled_softmax.inclusion(tokens.counts("train", ends=True), config.softmax_samples)
    # The step size falls to a tenth along a cosine, so that the last epochs settle instead of wandering.
    schedule = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps * config.epochs, alpha=0.1)
    network.compile(optimizer=keras.optimizers.Adam(schedule, global_clipnorm=config.clip or None),
                    jit_compile=jit)
    fresh = {v.path: keras.ops.convert_to_numpy(v.value).copy() for v in _decoder_variables(network)}
    ramp = config.pretrain_epochs + config.warmup_epochs
    encode = nn.Compiled(network, network.posterior)

    def before_epoch(epoch: int) -> None:
        if epoch == config.pretrain_epochs > 0:
            for variable in _decoder_variables(network):
                variable.assign(fresh[variable.path])
        rise = min(1.0, max(0, epoch + 1 - config.pretrain_epochs) / max(1, config.warmup_epochs + 1))
        network.beta.assign(config.beta * rise)
        if regions:
            network.centres.assign(np.stack([_centre(encode, region.texts) for region in regions]))
            # Before the KL has its full weight, the distances that the penalties act on have no scale yet.
            network.penalty_weights.assign([r.config.weight if epoch >= ramp else 0.0 for r in regions])

    def monitor(row: dict[str, float]) -> float:
        penalties = sum(c.weight * row[f"val_constraint_{c.name}"] for c in config.constraints)
        return row["val_reconstruction"] + config.beta * row["val_kl_free"] + penalties

    applies = np.stack([region.applies for region in regions], axis=1) if regions else np.zeros((len(tokens), 0), "f4")
    fitted = fit(
        network,
        lambda epoch: batches(tokens, rows["train"], config.batch_size, applies, widths=widths, noise=config.noise,
                              word_dropout=config.word_dropout, chances=chances,
                              rng=np.random.default_rng(child(seed, f"epoch-{epoch}"))),
        lambda: batches(tokens, rows["validation"], config.batch_size, applies, widths=widths),
        epochs=config.epochs, patience=config.patience, steps=steps, scratch=scratch, progress=progress,
        monitor=monitor, settle=min(ramp, config.epochs - 1), before_epoch=before_epoch, logger=logger)
    if regions:
        network.centres.assign(np.stack([_centre(encode, region.texts) for region in regions]))
    best = {name: value for name, value in fitted.best.items() if name.startswith("val_")}
    metrics = {**best, "best_epoch": fitted.best_epoch, "epochs": len(fitted.history),
               "parameters": network.count_params()}
    if best:  # empty where there is no validation split
        metrics["val_elbo_nll"] = best["val_reconstruction"] + best["val_kl"]
    return TrainedNetwork("sequence_vae", network.settings, gather(network), metrics, fitted.history,
                          plots.history(fitted.history, title="sequence_vae"))


def batches(tokens: Tokens, rows: np.ndarray, batch_size: int, applies: np.ndarray, *,
            widths: Sequence[int] | None = None, noise: float = 0.0, word_dropout: float = 0.0,
            chances: np.ndarray | None = None, rng: np.random.Generator | None = None
            ) -> Iterator[dict[str, np.ndarray]]:
    """Batches for the network; with an rng shuffled and noised, without one in order and clean.

    Args:
        rows: int64 [n], which sequences.
        applies: float32 [sequences, constraints].
        widths: What batches may be wide, as ``fit_widths`` chooses; None takes those of ``textvae.nn.batching``.
        noise: Share of the encoder's tokens deleted.
        word_dropout: Share of the decoder's input tokens that become the unknown token.
        chances: For a sampled softmax: from ``sampled_softmax.inclusion``; needs an rng.

    Yields:
        ``encoder`` int32 [batch, width], ``decoder`` and ``target`` int32 [batch, width + 1], ``positions`` int32
        [n], ``applies`` float32 [batch, constraints], and what ``sampled_softmax.arrays`` gives.
    """
    from textvae.nn import sampled_softmax
    from textvae.nn.batching import WIDTHS, pad, plan, real_positions, rooms, teacher_forced

    widths = widths or WIDTHS
    lengths = tokens.lengths[rows]
    planned = plan(lengths, batch_size, rng, widths)
    for (batch, width), room in zip(planned, rooms(lengths, planned, widths), strict=True):
        chosen = rows[batch]
        arrays = teacher_forced([tokens.sequence(row) for row in chosen], width)
        arrays["positions"] = real_positions(arrays["target"], room)
        if rng is not None:
            sequences = [sequence[_kept(len(sequence), noise, rng)] for sequence in map(tokens.sequence, chosen)]
            arrays["encoder"] = pad(sequences, width)
            dropped = (rng.random(arrays["decoder"].shape) < word_dropout) & (arrays["decoder"] > UNKNOWN)
            arrays["decoder"] = np.where(dropped, np.int32(UNKNOWN), arrays["decoder"])
            if chances is not None:
                arrays |= sampled_softmax.arrays(arrays, chances, rng, room)
        yield {**arrays, "applies": applies[chosen]}


def _kept(length: int, noise: float, rng: np.random.Generator) -> np.ndarray:
    kept = rng.random(length) >= noise
    if not kept.any():
        kept[rng.integers(length)] = True
    return kept


def _scaled(vectors: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Bring vectors to the spread of the network's own first embeddings; tokens never met keep theirs."""
    met = np.any(vectors != 0, axis=1)
    spread = float(vectors[met].std()) or 1.0
    return np.where(met[:, None], (vectors - vectors[met].mean(axis=0)) / spread * 0.1, first).astype(np.float32)


def _decoder_variables(network: Any) -> list[Any]:
    layers = (network.start, network.decoder, network.narrow)
    return [variable for layer in layers for variable in layer.weights]


def _centre(encode: Any, texts: list[np.ndarray]) -> np.ndarray:
    from textvae.nn.batching import pad, plan

    means = [encode.run(ids=pad([texts[i] for i in rows], width))[0]
             for rows, width in plan(np.array([len(text) for text in texts]), 128)]
    return np.asarray(np.concatenate(means).mean(axis=0), np.float32)


def _region(constraint: ConstraintConfig, tokens: Tokens) -> Region:
    """Find the sequences that define a constraint, and those that it acts on."""
    from textvae.text import tokenizer

    given = [name for name in ("texts", "label", "keyword") if getattr(constraint, name)]
    if not constraint.name or len(given) != 1:
        raise ConfigError(f"constraint {constraint.name or '(without a name)'!r} is defined by {given or 'nothing'}",
                          "give it a name and one of texts, label or keyword")
    vocabulary = tokenizer.load(tokens.tokenizer)
    train = tokens.rows("train")
    if constraint.texts:
        texts = [np.array(ids, np.int32) for ids in vocabulary.encode_many(list(constraint.texts)) if ids]
        wanted = {text.tobytes() for text in texts}
        member = np.array([np.asarray(tokens.sequence(row)).tobytes() in wanted for row in range(len(tokens))])
    else:
        if constraint.label:
            owners = np.array([constraint.label in labels for labels in tokens.post_labels])
            member = owners[tokens.post]
        else:
            word = re.compile(rf"(?<!\w){re.escape(constraint.keyword)}(?!\w)", re.IGNORECASE)
            decoded = (vocabulary.decode(tokens.sequence(row)) for row in range(len(tokens)))
            member = np.array([bool(word.search(text)) for text in decoded])
        rows = train[member[train]]
        # Evenly spread over the corpus, so that the centre is of all of it and the same at every run.
        texts = [np.array(tokens.sequence(row)) for row in rows[:: max(1, len(rows) // CENTRE_TEXTS)][:CENTRE_TEXTS]]
    if not texts:
        known = sorted({label for labels in tokens.post_labels for label in labels})
        raise ConfigError(f"constraint {constraint.name!r}: no training sequence has {given[0]} "
                          f"{getattr(constraint, given[0])!r}",
                          f"labels are: {', '.join(known[:20])}" if constraint.label and known else "")
    if constraint.applies_to == "matching" and not member[train].any():
        raise ConfigError(f"constraint {constraint.name!r} applies to no training sequence",
                          'its texts are not in the corpus: set applies_to = "all"')
    applies = np.ones(len(tokens)) if constraint.applies_to == "all" else member
    return Region(constraint, texts, applies.astype(np.float32))


def _tensorboard(folder: str) -> Any:
    if not folder:
        return None
    import importlib.util

    if importlib.util.find_spec("tensorboard") is None:
        raise ConfigError("sequence_vae.tensorboard is set, and TensorBoard is not installed",
                          "pip install 'textvae[tensorboard]'")
    import keras

    return keras.callbacks.TensorBoard(folder, write_graph=False)
