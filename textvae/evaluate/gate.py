"""Is a new run as good as the one that it would replace? Both are measured on posts that neither was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from textvae import metrics
from textvae.config import PipelineConfig
from textvae.data import SPLITS, UNKNOWN, Check, Post, Tokens, TrainedNetwork
from textvae.evaluate.information import information
from textvae.evaluate.likelihood import iw_nll
from textvae.evaluate.samples import fluency_of
from textvae.evaluate.subject import Subject
from textvae.seeds import child
from textvae.text import sentences
from textvae.text import tokenizer as tokenizers
from textvae.writing.model import Model

FEWEST = 2  # held-out posts with text that a comparison needs: an interval over one says nothing


@dataclass(frozen=True)
class Side:
    """One of the two runs.

    Args:
        tokens: What it was trained on.
        network: Its sequence VAE.
        measured: The metrics of its evaluation, by name.
    """

    tokens: Tokens
    network: TrainedNetwork
    measured: dict[str, Any]


def compare(champion: Side, challenger: Side, posts: Sequence[Post], config: PipelineConfig, *, seed: int
            ) -> list[Check]:
    """Hold a new run against the promoted one.

    Args:
        champion, challenger: The promoted run and the new one.
        posts: Posts that were held out from the training of both.
        config: ``retrain`` says what must hold, ``evaluation`` how much is measured.
        seed: Parent of every seed used; both runs have the same.

    Returns:
        Every condition; the new run is as good if all of them passed.
    """
    texts = _texts(champion, challenger, posts, config, seed)
    if len({post for post, _ in texts}) < FEWEST:
        return [Check("iw_nll", False, None, None, f"{len(posts)} held-out posts in both runs: too few to compare on; "
                      "raise tokens.test, or give more posts")]
    before, after = (_subject(side, posts, texts, config, seed) for side in (champion, challenger))
    return [_likelihood(before, after, texts, config.retrain.margin, seed),
            *_latent(before, after, config.retrain.latent),
            _diversity(before, after, config.retrain.diversity),
            *_constraints(champion, challenger, config.retrain.constraints)]


def spelt(nats: np.ndarray, tokens: Tokens, texts: Sequence[str]) -> np.ndarray:
    """What texts cost with their unknown words spelt out, so that two vocabularies compare: float64 [texts].

    The unknown token stands for any word that the vocabulary lacks, so that its likelihood is theirs together. Each
    costs the choice of one of them besides, as in the adjusted perplexity of Ueberla (1994).

    Args:
        nats: float64 [texts], under a model with these tokens.
        tokens: Whose tokenizer read the texts.
        texts: What was scored.
    """
    words = tokenizers.load(tokens.tokenizer)
    unknown = [[word for word, number in zip(words.spelt(text), words.encode(text), strict=True) if number == UNKNOWN]
               for text in texts]
    different = len({word for own in unknown for word in own})
    return np.asarray(nats + np.array([len(own) for own in unknown]) * np.log(max(different, 1)))


def _texts(champion: Side, challenger: Side, posts: Sequence[Post], config: PipelineConfig, seed: int
           ) -> list[tuple[int, str]]:
    """The post's row and the text of every sequence that both can read whole, at most ``evaluation.sequences``."""
    readers = [(tokenizers.load(side.tokens.tokenizer), side.network.settings["max_length"])
               for side in (champion, challenger)]
    unit = "sentence" if config.tokens.unit == "window" else config.tokens.unit
    found = [(row, text) for row, post in enumerate(posts) for text in sentences.units(unit, post.text)
             if all(config.tokens.min_length <= len(words.encode(text)) <= longest for words, longest in readers)]
    most = config.evaluation.sequences
    if not 0 < most < len(found):
        return found
    chosen = np.random.default_rng(child(seed, "gate")).choice(len(found), most, replace=False)
    return [found[row] for row in np.sort(chosen)]


def _subject(side: Side, posts: Sequence[Post], texts: Sequence[tuple[int, str]], config: PipelineConfig, seed: int
             ) -> Subject:
    """A run's view of the texts, for the other parts of ``textvae.evaluate``."""
    own = tokenizers.load(side.tokens.tokenizer).encode_many([text for _, text in texts])
    rows = np.array([row for row, _ in texts], np.int32)
    held_out = Tokens(
        ids=np.array([number for ids in own for number in ids], np.int32),
        offsets=np.cumsum([0, *map(len, own)]).astype(np.int64), post=rows,
        position=np.zeros(len(own), np.int32), split=np.full(len(own), SPLITS.index("test"), np.uint8),
        post_ids=tuple(post.id for post in posts), post_labels=tuple(post.labels for post in posts),
        tokenizer=side.tokens.tokenizer)
    measured = replace(config.evaluation, sequences=0)
    return Subject(measured, held_out, Model(side.tokens.tokenizer, side.network), seed)


def _likelihood(before: Subject, after: Subject, texts: Sequence[tuple[int, str]], margin: float, seed: int) -> Check:
    own = [spelt(iw_nll(subject), subject.tokens, [text for _, text in texts]) for subject in (before, after)]
    # Sentences of a post go together, so posts are what is resampled.
    rows = np.array([row for row, _ in texts])
    sums = np.stack([np.bincount(rows, nats) for nats in own], axis=1)[np.bincount(rows) > 0]
    change = metrics.estimate(sums, lambda parts: parts[..., 1] / parts[..., 0] - 1.0, seed=seed)
    was, now = (float(nats.mean()) for nats in own)
    return Check("iw_nll", bool(change.high <= margin), was, now,
                 f"IW-NLL of {len(texts):,} held-out texts of {len(sums):,} posts: {was:.2f} -> {now:.2f} nats, "
                 f"{change.value:+.2%} [{change.low:+.2%}, {change.high:+.2%}]; at most {margin:+.2%}")


def _latent(before: Subject, after: Subject, share: float) -> list[Check]:
    active, said = [], []
    for subject in (before, after):
        mean = subject.posterior["mean"]
        active.append(float((np.var(mean, axis=0, dtype=np.float64) > metrics.ACTIVE).sum()))
        said.append(float(information(subject.writer.network, subject.posterior, seed=subject.child("mi")).mean()))
    return [_kept("active_units", "active units", active, share),
            _kept("mutual_information", "MI in nats", said, share)]


def _diversity(before: Subject, after: Subject, share: float) -> Check:
    found = []
    for subject in (before, after):
        count = subject.config.samples
        z = subject.writer.prior(count, subject.rng("prior"))
        texts = subject.decode(subject.writer.decode_ids(z, seed=subject.child("samples"),
                                                         temperature=subject.config.temperature,
                                                         fluency=fluency_of(subject)))
        found.append(metrics.distinct(subject.words(texts), 2))
    return _kept("distinct_2", "share of different pairs of words in samples", found, share)


def _constraints(champion: Side, challenger: Side, fall: float) -> list[Check]:
    """Of constraints that both runs have and measured."""
    names = [name for name in champion.measured if name.startswith("satisfied_") and name in challenger.measured]
    checks = []
    for name in names:
        was, now = (side.measured[name]["value"] for side in (champion, challenger))
        checks.append(Check(name, now >= was - fall, was, now, f"variations that satisfy {name.partition('_')[2]}: "
                            f"{was:.3f} -> {now:.3f}; at least {was - fall:.3f}"))
    return checks


def _kept(name: str, what: str, found: Sequence[float], share: float) -> Check:
    """Whether a share of what was is still there; of nothing (an estimated MI may lie below 0) nothing can be lost."""
    was, now = found
    wanted = f"at least {share * was:.3g}" if was > 0 else "there was nothing to keep"
    return Check(name, was <= 0 or now >= share * was, was, now, f"{what}: {was:.3g} -> {now:.3g}; {wanted}")
