"""Variations of held-out texts: do they keep the content, differ, read well, and obey the constraints?"""

from typing import Any

import numpy as np

from textvae import metrics
from textvae.evaluate.fluency import DEFINITION, Judge
from textvae.evaluate.subject import Metrics, Rows, Subject, entry
from textvae.writing.conditions import Conditions

Groups = list[list[str]]


def variations(subject: Subject, judge: Judge, vectors: np.ndarray) -> tuple[Metrics, Rows]:
    """Vary test sequences and measure what comes.

    Args:
        judge: A language model of training sequences that the writer has counted nothing of.
        vectors: Word vectors of the vocabulary, float32 [vocabulary, dim], for the content that is kept.

    Returns:
        Metrics; rows for the report, one per source: ``source``, ``nats_per_token`` of it under the judge, and
        ``variations`` with ``text``, ``distance``, ``nats_per_token`` under the generator and ``constraints``.
    """
    config = subject.config
    sources = subject.sources
    written = subject.writer.vary_many(sources, config.variations, seed=subject.child("vary"),
                                       strength=config.strength, temperature=config.temperature)
    groups = [[item.text for item in own] for own in written]
    how = (f"{config.variations} variations of each of {len(sources):,} test sequences, at strength "
           f"{config.strength:g} and temperature {config.temperature:g}")
    found = {**_content(subject, vectors, sources, groups, how), **_fluency(subject, judge, sources, groups),
             **_constraints(subject, sources, written)}
    rows = [{"source": source,
             "variations": [{"text": item.text, "distance": item.distance, "nats_per_token": -item.log_prob,
                             "constraints": item.constraints} for item in own]}
            for source, own in zip(sources, written, strict=True)]
    return found, rows[:config.shown]


def _content(subject: Subject, vectors: np.ndarray, sources: list[str], groups: Groups, how: str) -> Metrics:
    seed = subject.child("bootstrap")
    cut = [subject.words(group) for group in groups]
    own = subject.words(sources)
    kept = [np.mean([metrics.bleu(metrics.ngram_matches(text, source), effective_order=True) for text in group])
            for source, group in zip(own, cut, strict=True) if group]
    texts = [[text for text in group if text] for group in cut]
    paired = [group for group in texts if len(group) > 1]
    many = "where at least two came; "
    return {
        "variation_found": entry(
            metrics.mean(np.array([len(group) / subject.config.variations for group in groups]), seed=seed), "share",
            f"variations that came, of those asked for: {how}"),
        "variation_bleu": entry(
            metrics.mean(np.array(kept), seed=seed), "BLEU, 0 to 100",
            f"content kept: mean sentence BLEU (exponential smoothing) of a variation against its source; {how}"),
        **_cosine(subject, vectors, sources, groups),
        "variation_distinct_2": entry(
            metrics.mean(np.array([metrics.distinct(group, 2) for group in paired]), seed=seed), "share",
            f"different pairs of words of all, among the variations of one source, {many}mean over sources"),
        "variation_diversity": entry(
            metrics.mean(np.array([1 - metrics.self_bleu(group).mean() / 100 for group in paired]), seed=seed),
            "0 to 1", "1 - self-BLEU (BLEU-4, exponential smoothing) among the variations of one source, "
            f"{many}mean over sources"),
        "variation_identical": entry(
            metrics.mean(np.array([np.mean([text == source for text in group])
                                   for source, group in zip(sources, groups, strict=True) if group]), seed=seed),
            "share", "variations that are their source, character for character"),
        "variation_duplicates": entry(
            metrics.mean(np.array([1 - len(set(group)) / len(group) for group in groups if group]), seed=seed),
            "share", "variations that stand already among those of the same source"),
    }


def _cosine(subject: Subject, vectors: np.ndarray, sources: list[str], groups: Groups) -> Metrics:
    """Of a variation and its source, and of a variation and another source as the anchor."""
    seed = subject.child("bootstrap")
    whose = [i for i, group in enumerate(groups) for _ in group]
    texts = subject.encode([text for group in groups for text in group])
    encoded = subject.encode(sources)
    owner = np.array(whose, np.int64)
    found = {}
    kinds = (("variation_cosine", 0, "content kept: cosine between the mean compressed word vectors of a variation and "
              "of its source"),
             ("other_cosine", 1, "the same between a variation and another source, for reference"))
    for name, shift, definition in kinds[:len(sources)]:  # a single one has no other
        others = [encoded[(i + shift) % len(encoded)] for i in whose]
        values = metrics.content_cosine(others, texts, vectors)
        sums = np.bincount(owner, values, len(sources)) if len(owner) else np.zeros(len(sources))
        counts = np.bincount(owner, minlength=len(sources))
        found[name] = entry(metrics.ratio(sums, counts, seed=seed), "cosine", definition)
    return found


def _fluency(subject: Subject, judge: Judge, sources: list[str], groups: Groups) -> Metrics:
    seed = subject.child("bootstrap")
    rng = subject.rng("shuffle")
    shuffled = [" ".join(rng.permutation(source.split())) for source in sources]
    # One row per source, so that the interval is over sources.
    nats, lengths = np.zeros(len(groups)), np.zeros(len(groups))
    for i, group in enumerate(groups):
        texts = subject.encode(group)
        nats[i], lengths[i] = judge.nats(texts).sum(), sum(len(text) + 1 for text in texts)
    return {
        "variation_ppl": entry(metrics.ratio(nats, lengths, seed=seed, exponential=True), "perplexity",
                               f"fluency: per token, {DEFINITION} of a half of the training split; the pairs of tokens "
                               "that gaps are filled by were counted in the other half"),
        "source_ppl": entry(judge.perplexity(subject.encode(sources), seed=seed), "perplexity",
                            "the same language model on the sources, for reference"),
        "shuffled_ppl": entry(judge.perplexity(subject.encode(shuffled), seed=seed), "perplexity",
                              "the same on the sources with their words shuffled, for reference"),
    }


def _constraints(subject: Subject, sources: list[str], written: list[list[Any]]) -> Metrics:
    config, seed = subject.config, subject.child("bootstrap")
    found: Metrics = {}
    for constraint in subject.writer.constraints:
        name, region = constraint["name"], subject.writer.region(constraint["name"])
        asked = subject.writer.vary_many(sources, config.variations, seed=subject.child(f"vary-{name}"),
                                         strength=config.strength, temperature=config.temperature,
                                         conditions=Conditions(constraints=(name,)))
        side = "at least" if region.kind == "far" else "at most"
        came = np.array([len(own) / config.variations for own in asked])
        unasked = [region.admits(np.array([item.constraints[name] for item in own])).mean() for own in written if own]
        inside = (f"whose text, encoded again, has a squared distance of {side} {region.threshold:g} from its centre")
        found[f"satisfied_{name}"] = entry(
            metrics.mean(came, seed=seed), "share",
            f"of {config.variations} variations asked for with constraint {name!r}, those that came: all of them texts "
            f"{inside}")
        found[f"unasked_{name}"] = entry(
            metrics.mean(np.array(unasked), seed=seed), "share",
            f"for reference, variations without a constraint {inside}")
    return found
