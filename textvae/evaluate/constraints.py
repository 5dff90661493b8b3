"""Constraints and labels: does a region hold the texts that it should, and is what is written there what was asked?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from textvae import metrics
from textvae.classifier import Classifier
from textvae.constraints import keyed, members
from textvae.evaluate.subject import Metrics, Subject, entry
from textvae.writing.conditions import Conditions

MOST = 50_000  # training texts of the classifier: more change its accuracy by less than a point


def constraints(subject: Subject) -> Metrics:
    """Measure every constraint, and every label that the network is told.

    Returns:
        Of each constraint the share of held-out sequences inside its region, with and without what defines it; where
        a label defines it, how a classifier that was trained apart labels what is written in the region, and what
        held-out texts without the label become when they are varied into it.
    """
    found: Metrics = {}
    asked: list[tuple[str, str, bool, dict[str, Any]]] = []
    for own in subject.writer.constraints:
        if own.get("label") or own.get("keyword"):
            found |= _held_out(subject, own)
        if own.get("label"):
            asked.append((own["name"], own["label"], own["kind"] == "far",
                          {"conditions": Conditions(constraints=(own["name"],))}))
    asked += [(label, label, False, {"label": label}) for label in subject.writer.labels]
    judges = {label: _judge(subject, label) for label in dict.fromkeys(label for _, label, _, _ in asked)}
    found |= {f"classifier_{label}": judged[1] for label, judged in judges.items() if judged is not None}
    for name, label, far, how in asked:
        judged = judges[label]
        if judged is not None:
            found |= _written(subject, name, judged[0], label, far=far, asked=how)
    return found


def _sides(subject: Subject, rows: np.ndarray, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Whether each sequence's post has a label of this key at all, and whether it has this one: bool [rows] each."""
    return keyed(label, subject.tokens, rows), members({"label": label}, subject.tokens, rows)


def _judge(subject: Subject, label: str) -> tuple[Classifier, dict[str, Any]] | None:
    """A classifier of one label with its accuracy; None where all training texts have it, or none has."""
    seed = subject.child(f"classifier-{label}")
    rows = subject.tokens.rows("train")
    rows = subject.pick(rows[_sides(subject, rows, label)[0]], MOST, f"classifier-{label}")
    has = _sides(subject, rows, label)[1]
    if has.all() or not has.any():
        return None
    judge = Classifier(subject.decode(subject.sequences_of(rows)), has, seed=seed)
    known, real = _sides(subject, subject.rows, label)
    right = judge.predict(subject.texts)[known] == real[known]
    return judge, entry(
        metrics.mean(right, seed=seed), "share",
        f"held-out texts of which a classifier says rightly whether they have {label}: logistic regression on words "
        f"and pairs of words, trained on {len(rows):,} texts of the training split and nothing that was generated; "
        f"{len(right):,} test sequences")


def _held_out(subject: Subject, own: dict[str, Any]) -> Metrics:
    inside = subject.writer.region(own["name"]).holds(subject.posterior["mean"])
    member = members(own, subject.tokens, subject.rows)
    found = {}
    for name, side, word in (("matching", member, "with"), ("others", ~member, "without")):
        if side.any():
            found[f"inside_{own['name']}_{name}"] = entry(
                metrics.mean(inside[side], seed=subject.child("bootstrap")), "share",
                f"of {int(side.sum()):,} test sequences {word} {own.get('label') or repr(own['keyword'])}, those whose "
                f"posterior mean lies in the region of constraint {own['name']!r}")
    return found


def _written(subject: Subject, name: str, judge: Classifier, label: str, *, far: bool,
             asked: dict[str, Any]) -> Metrics:
    """What is written with a constraint or a label, from the prior and from texts of the other side."""
    config, seed = subject.config, subject.child("bootstrap")

    def right(texts: Sequence[str]) -> np.ndarray:
        return np.asarray(judge.predict(texts) != far)

    samples = [item.text for item in subject.writer.sample(
        config.samples, seed=subject.child(f"sample-{name}"), temperature=config.temperature, candidates=1, **asked)]
    known, has = _sides(subject, subject.rows, label)
    own = [text for text, wanted in zip(subject.texts, known & (has != far), strict=True) if wanted]
    count = min(len(samples), len(own))
    how = f"by the classifier, {'without' if far else 'of'} {label}"
    found: Metrics = {}
    if samples:
        found[f"judged_{name}"] = entry(
            metrics.mean(right(samples), seed=seed), "share",
            f"of {len(samples):,} samples with {name!r}, {config.samples:,} asked for, those that are, {how}")
    varied = metrics.distinct(subject.words(own[:count]), 2)
    if varied > 0:
        found[f"judged_{name}_distinct_2"] = entry(
            metrics.distinct(subject.words(samples[:count]), 2) / varied, "of real text's",
            f"different pairs of words of all among {count:,} of these samples, as a share of that of as many test "
            "sequences of the same side")
    others = [subject.texts[row] for row in np.flatnonzero(known & (has == far) & subject.fits)]
    sources = [others[row] for row in subject.pick(np.arange(len(others)), config.sources, f"turned-{name}")]
    turned = subject.writer.vary_many(sources, config.variations, seed=subject.child(f"turn-{name}"),
                                      strength=config.strength, temperature=config.temperature, **asked)
    groups = [(source, [item.text for item in group]) for source, group in zip(sources, turned, strict=True) if group]
    if groups:
        found[f"turned_{name}"] = entry(
            metrics.mean(np.array([right(group).mean() for _, group in groups]), seed=seed), "share",
            f"variations with {name!r} of {len(groups):,} test sequences of the other side that are, {how}")
        matches = np.stack([np.sum([metrics.ngram_matches(text, source) for text in subject.words(group)], axis=0)
                            for source, (_, group) in zip(subject.words([own for own, _ in groups]), groups,
                                                          strict=True)])
        found[f"turned_{name}_bleu"] = entry(
            metrics.estimate(matches, metrics.bleu, seed=seed), "BLEU, 0 to 100",
            "content kept: corpus BLEU (exponential smoothing) of the same against their sources")
    return found
