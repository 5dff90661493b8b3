"""Constraints and labels: does a region hold the texts that it should, and is what is written there what was asked?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from textvae import metrics
from textvae.constraints import members
from textvae.evaluate.subject import Metrics, Subject, entry

MOST = 50_000  # training texts of the classifier: more change its accuracy by less than a point
SAMPLER = "nucleus"


class Classifier:
    """Says which value of a label a text has: logistic regression on words and pairs of words, each by tf-idf.

    It is trained on real texts of the training split alone, and the generator has no part in it.

    Args:
        texts: Real texts.
        values: The label's value of each.
        seed: Of the solver.

    Reference: the baseline of Wang & Manning 2012, section 2.2, with tf-idf in place of log-count ratios.
    """

    def __init__(self, texts: Sequence[str], values: Sequence[str], *, seed: int) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        self._model: Any = make_pipeline(
            TfidfVectorizer(token_pattern=r"(?u)\w+|[^\w\s]", ngram_range=(1, 2), sublinear_tf=True),
            LogisticRegression(C=4.0, max_iter=1000, class_weight="balanced", random_state=seed))
        self._model.fit(texts, values)

    def values(self, texts: Sequence[str]) -> np.ndarray:
        """The likeliest value of each text, str [texts]."""
        return np.asarray(self._model.predict(texts)) if len(texts) else np.zeros(0, str)


def constraints(subject: Subject) -> Metrics:
    """Measure every constraint, and every label that the network is told.

    Returns:
        Of each constraint the share of held-out sequences inside its region, with and without what defines it; where
        a label defines it, how a classifier that was trained apart labels what is written in the region, and what
        held-out texts without the label become when they are varied into it.
    """
    found: Metrics = {}
    named = [own["label"] for own in subject.writer.constraints if own.get("label")]
    judges = {key: one for key in dict.fromkeys(_key(label) for label in [*named, *subject.writer.labels])
              if (one := _judge(subject, key)) is not None}
    for key, (_, accuracy) in judges.items():
        found[f"classifier_{key}"] = accuracy
    for own in subject.writer.constraints:
        if own.get("label") or own.get("keyword"):
            found |= _held_out(subject, own)
        if own.get("label") and _key(own["label"]) in judges:
            found |= _written(subject, own["name"], judges[_key(own["label"])][0], own["label"],
                              far=own["kind"] == "far", asked={"constraint": own["name"]})
    for label in subject.writer.labels:
        if _key(label) in judges:
            found |= _written(subject, label, judges[_key(label)][0], label, far=False, asked={"label": label})
    return found


def _key(label: str) -> str:
    return label.partition("=")[0]


def _values(subject: Subject, rows: np.ndarray, key: str) -> np.ndarray:
    """The value of a label that each sequence's post has, empty where it has none: str [rows]."""
    start = f"{key}="
    of_post = np.array([next((own.removeprefix(start) for own in labels if own.startswith(start)), "")
                        for labels in subject.tokens.post_labels])
    return np.asarray(of_post[subject.tokens.post[rows]])


def _judge(subject: Subject, key: str) -> tuple[Classifier, dict[str, Any]] | None:
    """A classifier of one label with its accuracy; None where the training split has fewer than two values."""
    seed = subject.child(f"classifier-{key}")
    rows = subject.tokens.rows("train")
    values = _values(subject, rows, key)
    rows = subject.pick(rows[values != ""], MOST, f"classifier-{key}")
    values = _values(subject, rows, key)
    if len(set(values.tolist())) < 2:
        return None
    judge = Classifier(subject.decode(subject.sequences_of(rows)), values.tolist(), seed=seed)
    real = _values(subject, subject.rows, key)
    right = judge.values(subject.texts)[real != ""] == real[real != ""]
    return judge, entry(
        metrics.mean(right, seed=seed), "share",
        f"held-out texts whose {key} a classifier finds: logistic regression on words and pairs of words, trained on "
        f"{len(rows):,} texts of the training split and nothing that was generated; {len(right):,} test sequences")


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
             asked: dict[str, str]) -> Metrics:
    """What is written with a constraint or a label, from the prior and from texts of the other side."""
    config, seed = subject.config, subject.child("bootstrap")
    key, _, wanted = label.partition("=")

    def right(texts: Sequence[str]) -> np.ndarray:
        return np.asarray((judge.values(texts) == wanted) != far)

    samples = [item.text for item in subject.writer.sample(
        config.samples, seed=subject.child(f"sample-{name}"), temperature=config.temperature, **asked)]
    real = _values(subject, subject.rows, key)
    own = [text for text, value in zip(subject.texts, real, strict=True) if value and (value == wanted) != far]
    count = min(len(samples), len(own))
    how = f"by the classifier of {key}, {'not ' if far else ''}{wanted}"
    found = {f"judged_{name}": entry(
        metrics.mean(right(samples), seed=seed), "share", f"{len(samples):,} samples with {name!r} that are, {how}")}
    if count > 1:
        found[f"judged_{name}_distinct_2"] = entry(
            metrics.distinct(subject.words(samples[:count]), 2) / metrics.distinct(subject.words(own[:count]), 2),
            "of real text's", f"different pairs of words of all among {count:,} of these samples, as a share of that "
            "of as many test sequences of the same side")
    others = [text for text, value, ids in zip(subject.texts, real, subject.sequences, strict=True)
              if value and (value == wanted) == far and 0 < len(ids) <= subject.writer.max_length]
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
