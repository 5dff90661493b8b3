"""Texts drawn from the prior: are they varied, like the corpus, and not copied from it?"""

import numpy as np

from textvae import metrics
from textvae.evaluate.fluency import DEFINITION, Judge
from textvae.evaluate.subject import Metrics, Rows, Subject, entry

SAMPLER = "nucleus"  # what a user gets when none is named


def draw(subject: Subject) -> tuple[list[np.ndarray], list[str], np.ndarray]:
    """Draw texts from the prior: ids as written, texts, and their nats per prediction float64 [samples]."""
    count = subject.config.samples
    # With the labels of training sequences, in their proportions, where the network is told of labels.
    training = subject.pick(subject.tokens.rows("train"), count, "labels")
    label = np.resize(subject.tokens.label_places(subject.writer.labels)[training], count)
    z = subject.writer.prior(count, subject.rng("prior"), label)
    ids = subject.writer.decode_ids(z, seed=subject.child("samples"), temperature=subject.config.temperature,
                                    sampler=SAMPLER, fluency=fluency_of(subject), label=label)
    nats = np.asarray(subject.writer.score(ids, z, label), np.float64)
    return ids, subject.decode(ids), nats / np.array([len(own) + 1 for own in ids])


def sample_rows(subject: Subject) -> Rows:
    """Samples to show where there is no test split to measure them by: ``text`` and ``nats_per_token``."""
    _, texts, nats = draw(subject)
    return _rows(subject, texts, nats)


def samples(subject: Subject, judge: Judge) -> tuple[Metrics, Rows, np.ndarray]:
    """Measure samples, with the test sequences as the reference.

    Args:
        judge: Trained on the training split.

    Returns:
        Metrics; rows to show; tokens of each sample, int64 [samples].
    """
    ids, texts, nats = draw(subject)
    seed = subject.child("bootstrap")
    # Counts over texts fall or rise with their number, so both sides have the same.
    count = min(len(texts), len(subject.texts))
    real = subject.pick(np.arange(len(subject.texts)), count, "reference")
    sides = {"sample": (texts[:count], "samples"),
             "real": ([subject.texts[row] for row in real], "test sequences, for reference")}
    fluency = fluency_of(subject)
    how = (f"z from the prior, {SAMPLER} sampling at temperature {subject.config.temperature:g}"
           + (f", fluency {fluency:g}" if fluency else ""))
    found: Metrics = {}
    for name, (side, label) in sides.items():
        cut = subject.words(side)
        for n in (1, 2):
            found[f"{name}_distinct_{n}"] = entry(
                metrics.distinct(cut, n), "share",
                f"different {'words' if n == 1 else 'pairs of words'} of all, over {count:,} {label}")
        found[f"{name}_self_bleu"] = entry(
            metrics.mean(metrics.self_bleu(cut), seed=seed), "BLEU, 0 to 100",
            f"mean sentence BLEU-4 (exponential smoothing) of each against all the others, over {count:,} {label}; "
            "the interval keeps the others")
    own = subject.encode(texts)
    training = subject.tokens.rows("train")
    found["sample_forward_ppl"] = entry(
        judge.perplexity(own, seed=seed), "perplexity",
        f"per token, {DEFINITION} of the training split, on {len(texts):,} samples; {how}")
    found["real_forward_ppl"] = entry(
        judge.perplexity(subject.sequences, seed=seed), "perplexity",
        f"the same language model on {len(subject.texts):,} test sequences, for reference")
    found["sample_reverse_ppl"] = entry(
        Judge(own, subject.tokens.vocabulary_size).perplexity(subject.sequences, seed=seed), "perplexity",
        f"per token, {DEFINITION} of {len(texts):,} samples, on {len(subject.texts):,} test sequences")
    reference = subject.sequences_of(subject.pick(training, len(texts), "reverse"))
    found["real_reverse_ppl"] = entry(
        Judge(reference, subject.tokens.vocabulary_size).perplexity(subject.sequences, seed=seed), "perplexity",
        f"the same with {len(reference):,} training sequences in the samples' place, for reference")
    known = {sequence.tobytes() for sequence in subject.sequences_of(training)}
    for name, side, label in (("sample", own, "samples"), ("real", subject.sequences, "test sequences, for reference")):
        found[f"{name}_verbatim"] = entry(
            metrics.mean(np.array([sequence.tobytes() in known for sequence in side]), seed=seed), "share",
            f"of {len(side):,} {label}, those that stand token for token in the training split")
    longest = subject.writer.max_length
    found["sample_ended"] = entry(
        metrics.mean(np.array([len(sequence) < longest for sequence in ids]), seed=seed), "share",
        f"of {len(ids):,} samples, those that ended by themselves before {longest} tokens; {how}")
    return found, _rows(subject, texts, nats), np.array([len(sequence) for sequence in ids])


def fluency_of(subject: Subject) -> float:
    """The share of what reads well without z that samples take by default, see ``Model.sampling``."""
    writer = subject.writer
    return writer.sampling(SAMPLER, subject.config.temperature, default=writer.unbound).fluency


def _rows(subject: Subject, texts: list[str], nats: np.ndarray) -> Rows:
    return [{"text": text, "nats_per_token": float(own)}
            for text, own in zip(texts, nats, strict=True)][:subject.config.shown]
