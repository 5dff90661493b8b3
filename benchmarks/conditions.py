"""Texts under conditions: do all meet them? Words are searched for, labels judged by a classifier without a part in it.

    python -m benchmarks.conditions yelp [--store models] [--run N] [--texts 1000] [--sources 100]

Writes benchmarks/results/conditions-<pipeline>.json. Sources are test sentences. The judge is logistic regression on
pieces of two to five letters, trained on other test sentences; what ``--judged`` asks is one on words and pairs of
words, trained on the training split. So the two share neither texts nor features.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import of_run
from benchmarks.machine import describe
from benchmarks.variations import EACH, SEED, Judges, chosen
from textvae import catalogue, device, metrics, runs
from textvae.constraints import keyed, members
from textvae.data import Tokens
from textvae.seeds import child
from textvae.text import tokenizer
from textvae.text.lexicon import Lexicon
from textvae.writing.conditions import Conditions
from textvae.writing.found import Found
from textvae.writing.writer import STRENGTH, Writer

KINDS = ("must", "avoid", "max_words", "must, avoid", "avoid, max_words", "must, max_words", "must, avoid, max_words")
FREQUENT = 500  # words of which one must be had
SHORTER = 3  # words at most that a text must be shorter than its source
NOUNS = ("food", "place", "time", "people")  # of which the first that is known must be had beside a label
JUDGED = 40_000  # held-out texts that the judge reads


class Judge:
    """Which of two sides a text is on, by the pieces of its words.

    Args:
        texts: Real texts.
        sides: Whether each has the label.
    """

    def __init__(self, texts: Sequence[str], sides: np.ndarray) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        self._model = make_pipeline(
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2),
            LogisticRegression(C=4.0, max_iter=1000, class_weight="balanced"))
        self._model.fit(list(texts), sides)

    def holds(self, texts: Sequence[str]) -> np.ndarray:
        """Whether each text has the label: bool [texts]."""
        return np.asarray(self._model.predict(list(texts)), bool) if texts else np.zeros(0, bool)


class Unled(Writer):
    """A writer that only tests what it wrote for its labels: nothing is opened for them, and no latent moved."""

    def _turned(self, labels: Sequence[str], words: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], np.ndarray]:
        return super()._turned((), words)


# -- words -------------------------------------------------------------------------------------------------------------


def drawn(source: str, kind: str, frequent: Sequence[str], rng: np.random.Generator) -> Conditions:
    """Conditions of one kind: a frequent word that the source lacks, one or two of its words, as few words or fewer."""
    own = plain(source).split()
    lacks = [word for word in frequent if word not in own]
    has = sorted({word for word in own if word.isalpha()})
    must = (lacks[int(rng.integers(len(lacks)))],) if "must" in kind else ()
    some = map(str, rng.choice(has, min(len(has), int(rng.integers(1, 3))), replace=False))
    avoid = tuple(some) if "avoid" in kind else ()
    fewer = max(3, len(source.split()) - int(rng.integers(SHORTER + 1))) if "max_words" in kind else 0
    return Conditions(must=must, avoid=avoid, max_words=fewer)


def met(text: str, conditions: Conditions) -> bool:
    """Whether a text meets conditions on words, by plain search.

    Example:
        >>> met("The food, cold.", Conditions(must=("Food",), avoid=("col",), max_words=3))
        True
        >>> met("The food, cold.", Conditions(avoid=("cold",)))
        False
    """
    words = plain(text).split()
    return (all(plain(word) in words for word in conditions.must)
            and not any(plain(word) in words for word in conditions.avoid)
            and (not conditions.max_words or len(text.split()) <= conditions.max_words))


def plain(text: str) -> str:
    """Small letters, digits and _, with a space for everything else."""
    return "".join(one if one.isalnum() or one == "_" else " " for one in text.lower())


def words(writer: Writer, judges: Judges, sources: list[str], texts: int) -> dict[str, Any]:
    """Variations of each source under conditions of one kind after the other, until so many are written."""
    rng = np.random.default_rng(child(SEED, "conditions"))
    known = {piece.strip() for piece in writer.tokenizer.pieces}
    frequent = [word for word, _ in judges.counts.most_common() if word.isalpha() and word in known][:FREQUENT]
    found = {kind: {"asked": 0, "came": 0, "met": 0} for kind in KINDS}
    for number, source in enumerate(sources):
        if sum(own["came"] for own in found.values()) >= texts:
            break
        kind = KINDS[number % len(KINDS)]
        conditions = drawn(source, kind, frequent, rng)
        written = [own.text for own in writer.vary(source, EACH, seed=SEED + number, conditions=conditions)]
        found[kind]["asked"] += EACH
        found[kind]["came"] += len(written)
        found[kind]["met"] += sum(met(text, conditions) for text in written)
    for kind, own in found.items():
        print(f"{kind:24} asked {own['asked']} came {own['came']} met {own['met']}", flush=True)
    return found


# -- labels ------------------------------------------------------------------------------------------------------------


def labels(writer: Writer, unled: Writer, bare: Writer, judges: Judges, tokens: Tokens, count: int
           ) -> Iterator[dict[str, Any]]:
    """Sources of the other side varied towards each label that a near constraint is defined by, in several ways."""
    for own in writer.constraints:
        if own["kind"] != "near" or not own.get("label"):
            continue
        label, rng = own["label"], np.random.default_rng(child(SEED, own["label"]))
        rows = rng.permutation(tokens.rows("test"))
        rows = rows[keyed(label, tokens, rows)]
        has = members({"label": label}, tokens, rows)
        decode = tokenizer.load(tokens.tokenizer).decode
        texts = [decode(tokens.sequence(row)) for row in rows]
        read = slice(len(rows) // 2, len(rows) // 2 + JUDGED)
        judge = Judge(texts[read], has[read])
        first = range(len(rows) // 2)
        able = set(chosen(writer, tokens, judges, len(rows)))
        sources = [texts[i] for i in first if not has[i] and texts[i] in able][:count]
        goal = next(texts[i] for i in first if has[i] and texts[i] in able)
        right = judge.holds([texts[i] for i in first[:5000]]) == has[:len(first[:5000])]
        word = next(word for word in NOUNS if not writer.unknown(word))
        yield {"label": label, "accuracy": metrics.mean(right, seed=SEED)._asdict(), "sources": len(sources),
               "must": word, "ways": dict(_ways(writer, unled, bare, judges, judge, sources, own["name"], label, word,
                                                goal))}


def _ways(writer: Writer, unled: Writer, bare: Writer, judges: Judges, judge: Judge, sources: list[str], name: str,
          label: str, word: str, goal: str) -> Iterator[tuple[str, dict[str, Any]]]:
    asked = {
        "region alone": (bare, Conditions(constraints=(name,))),
        "constraint": (writer, Conditions(constraints=(name,))),
        "judged, nothing led to it": (unled, Conditions(judged=(label,))),
        "judged": (writer, Conditions(judged=(label,))),
        f"constraint, must {word!r}": (writer, Conditions(constraints=(name,), must=(word,))),
        f"judged, must {word!r}": (writer, Conditions(judged=(label,), must=(word,))),
        "judged, near a text": (writer, Conditions(judged=(label,), near=(goal,), distance=_half(writer, sources)))}
    for way, (who, conditions) in asked.items():
        found = [own for start in range(0, len(sources), 25)
                 for own in who.vary_many(sources[start:start + 25], EACH, seed=SEED, conditions=conditions)]
        yield _told(way, {"sources": len(sources), **_measured(writer, judges, judge, sources, found, conditions)})
    for way, who, conditions in (("sample, region alone", bare, Conditions(constraints=(name,))),
                                 ("sample, constraint", writer, Conditions(constraints=(name,))),
                                 ("sample, judged", writer, Conditions(judged=(label,)))):
        drawn = who.sample(EACH * len(sources), seed=SEED, conditions=conditions)
        yield _told(way, {"came": len(drawn) / (EACH * len(sources)), "held": metrics.mean(
            judge.holds([one.text for one in drawn]), seed=SEED)._asdict()})


def _told(way: str, own: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    print(f"{way:32} came {own['came']:.3f}  held {own['held']['value']:.3f}  "
          + (f"BLEU {own['bleu']['value']:.1f}  perplexity {own['to_real']:.2f}" if "bleu" in own else ""), flush=True)
    return way, own


def _half(writer: Writer, texts: Sequence[str]) -> float:
    """Half of the median distance of two texts."""
    means, _ = writer.encode(texts)
    return float(np.median(np.linalg.norm(means - np.roll(means, 1, axis=0), axis=1))) / 2


def _near(writer: Writer, texts: Sequence[str], conditions: Conditions) -> np.ndarray:
    """Whether texts, encoded as they are printed, lie near to what they are to be near to."""
    means, _ = writer.encode([*texts, *conditions.near])
    apart = np.linalg.norm(means[:len(texts), None] - means[None, len(texts):], axis=-1)
    return np.asarray((apart <= conditions.distance * 1.001).all(axis=1))


def _measured(writer: Writer, judges: Judges, judge: Judge, sources: list[str], found: Sequence[Found],
              conditions: Conditions) -> dict[str, Any]:
    groups = [[own.text for own in group] for group in found]
    texts = [text for group in groups for text in group]
    # An interval over sources: variations of one are alike.
    held = [np.mean(judge.holds(group) & _near(writer, group, conditions) & [met(text, conditions) for text in group])
            for group in groups if group]
    matches = np.stack([np.sum([metrics.ngram_matches(text, source) for text in judges.cut(group)], axis=0)
                        for source, group in zip(judges.cut(sources), groups, strict=True) if group])
    real, written = judges.nats(sources), judges.nats(texts)
    return {"came": len(texts) / (EACH * len(sources)),
            "held": metrics.mean(np.array(held), seed=SEED)._asdict(),
            "bleu": metrics.estimate(matches, metrics.bleu, seed=SEED)._asdict(),
            "to_real": float(np.exp(written[0] / written[1] - real[0] / real[1]))}


def collect(pipeline: str, root: Path, number: int | None, texts: int, count: int) -> Path:
    """Measure one run; the current one where number is None."""
    used = device.use("auto")
    store = catalogue.locate(pipeline, root)
    run = runs.choose(store, number)
    tokens, trained, latents = (runs.load(store, stage, run.number) for stage in ("tokens", "sequence_vae", "latents"))
    writer, unled = (kind.of(tokens, trained, latents=latents) for kind in (Writer, Unled))
    bare = Writer(tokens.tokenizer, trained, lexicon=Lexicon.of(tokens))  # told of no labels
    judges = Judges(tokens, tokens.tokenizer["level"] == "whitespace")
    record = {"pipeline": run.pipeline, "run": run.number, "each": EACH, "strength": STRENGTH,
              "device": used.describe(), "machine": describe(),
              "words": words(writer, judges, chosen(writer, tokens, judges, 2 * texts // EACH), texts),
              "labels": list(labels(writer, unled, bare, judges, tokens, count))}
    return of_run.written(f"conditions-{run.pipeline}", record)


if __name__ == "__main__":
    parser = of_run.arguments(__doc__)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--sources", type=int, default=100)
    given = parser.parse_args()
    of_run.tell(collect, given.pipeline, given.store, given.run, given.texts, given.sources)
