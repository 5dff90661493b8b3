"""Variations of held-out sentences beside simpler ways to make some: content kept, diversity, fluency, over strengths.

    python -m benchmarks.variations yelp [--store models] [--run N] [--sources 500]

Writes benchmarks/results/variations-<pipeline>.json. The sources are test sentences that the run never saw. The judges
have no part in any way of making: Kneser-Ney trigrams over words for fluency, latent semantic analysis (tf-idf and a
singular value decomposition; Deerwester et al. 1990) for content. They are trained on half of the training split, and
the writer counts pairs of tokens in the other half. The refill reads what the judges read.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import of_run
from benchmarks.machine import describe
from textvae import catalogue, device, metrics, runs
from textvae.data import Tokens
from textvae.decoding import Sampling
from textvae.evaluate.subject import LONGEST, SHORTEST
from textvae.seeds import child
from textvae.text import tokenizer
from textvae.text.language_model import KneserNey, Mark
from textvae.text.lexicon import folded
from textvae.text.pairs import Pairs, halves
from textvae.writing.writer import STRENGTH, TEMPERATURE, Writer

EACH = 5  # variations of a source
SEED = 1
TOPICS = 200  # dimensions of the content judge
JUDGED = 100_000  # training sentences that the judges read
STRENGTHS = (0.1, 0.25, 0.35, 0.5, 0.7, 0.9)
SPREADS = (0.35, 0.7, 1.0, 1.5, 2.5)  # of unranked samples, in standard deviations of the posterior
NOISES = (0.1, 0.2, 0.4, 0.8)  # of the plain autoencoder, in standard deviations of its latents
CHANGED = (0.05, 0.1, 0.2, 0.3, 0.5)  # share of the words that easy data augmentation and refilling change

Groups = list[list[str]]


class Judges:
    """What the texts are judged by, and what the simple ways take their words from.

    Args:
        tokens: Every sequence with its split.
        spaced: Whether texts are tokens between blanks.
    """

    def __init__(self, tokens: Tokens, spaced: bool) -> None:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.spaced = spaced
        words = tokenizer.load(tokens.tokenizer)
        rows = tokens.rows("train")
        self.training = {folded(words.decode(tokens.sequence(row))) for row in rows}
        rows = halves(tokens)[1]  # of the others the writer counts which tokens stand beside each other
        rng = np.random.default_rng(child(SEED, "judges"))
        some = rows if len(rows) <= JUDGED else rng.choice(rows, JUDGED, replace=False)
        self.texts = [words.decode(tokens.sequence(row)) for row in some]
        cut = self.cut(self.texts)
        self._fluency = KneserNey.train(cut, order=3)
        self._words = TfidfVectorizer(token_pattern=r"(?u)\w+|[^\w\s]", sublinear_tf=True, min_df=2)
        table = self._words.fit_transform(self.texts)
        self._topics = TruncatedSVD(min(TOPICS, table.shape[1] - 1), random_state=SEED).fit(table)
        self.counts = Counter(word for text in cut for word in text)
        self.after: dict[str, Counter[str]] = defaultdict(Counter)
        for text in cut:
            for one, two in zip(["", *text], [*text, ""], strict=True):
                self.after[one][two] += 1

    def cut(self, texts: Sequence[str]) -> list[list[str]]:
        """The words of texts."""
        return metrics.words(list(texts), split=self.spaced)

    def nats(self, texts: Sequence[str]) -> tuple[float, int]:
        """Nats of all texts together, and how many predictions they take."""
        cut = self.cut(texts)
        return sum(self._fluency.nll(own) for own in cut), sum(len(own) + 1 for own in cut)

    def step_nats(self, words: Sequence[str], place: int) -> float:
        """Nats of one word behind those before it; of the end, where the place is behind the last."""
        word = words[place] if place < len(words) else Mark.END
        return -math.log(self._fluency.probability(word, words[:place]))

    def content(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, float64 [texts, topics]; zero for a text of unknown words."""
        found = np.asarray(self._topics.transform(self._words.transform(list(texts))))
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


def measured(judges: Judges, sources: list[str], groups: Groups) -> dict[str, Any]:
    """Every number of one way at one strength."""
    seed = child(SEED, "bootstrap")
    whose = np.array([i for i, group in enumerate(groups) for _ in group], int)
    texts = [text for group in groups for text in group]
    own, other = judges.content(sources), judges.content(texts)
    cosine = (own[whose] * other).sum(axis=1)
    paired = [cut for group in groups if len(cut := [own for own in judges.cut(group) if own]) > 1]
    real, written = judges.nats(sources), judges.nats(texts)
    found = {
        "came": len(texts) / (EACH * len(sources)),
        "content": metrics.mean(cosine, seed=seed),
        "diversity": metrics.mean(np.array([1 - metrics.self_bleu(group).mean() / 100 for group in paired]), seed=seed),
        "perplexity": float(np.exp(written[0] / written[1])),
        "to_real": float(np.exp(written[0] / written[1] - real[0] / real[1])),
        "identical": metrics.mean(np.array([folded(text) == folded(sources[i]) for i, text in
                                            zip(whose, texts, strict=True)], float), seed=seed),
        "of_training": metrics.mean(np.array([folded(text) in judges.training for text in texts], float), seed=seed),
        "all_distinct": metrics.mean(np.array([len(set(map(folded, group))) == EACH for group in groups], float),
                                     seed=seed)}
    return {name: value._asdict() if isinstance(value, metrics.Estimate) else value for name, value in found.items()}


# -- the ways ----------------------------------------------------------------------------------------------------------


def ours(writer: Writer, sources: list[str], strength: float) -> Groups:
    """``vary_many``: many are written, the best are kept."""
    return [[own.text for own in found] for start in range(0, len(sources), 50)
            for found in writer.vary_many(sources[start:start + 50], EACH, seed=SEED, strength=strength)]


def unranked(writer: Writer, sources: list[str], strength: float) -> Groups:
    """Posterior samples as they come."""
    rng = np.random.default_rng(child(SEED, "unranked"))
    q = writer.posterior(writer.ids(sources))
    z = writer.draw({name: np.repeat(own, EACH, axis=0) for name, own in q.items()}, rng, strength)
    texts = writer.texts(writer.write(writer.code(z), Sampling(temperature=TEMPERATURE), rng)[0])
    return [texts[start:start + EACH] for start in range(0, len(texts), EACH)]


def noisy(autoencoder: Writer, sources: list[str], noise: float) -> Groups:
    """A plain autoencoder with noise on its latents."""
    rng = np.random.default_rng(child(SEED, "noisy"))
    mean = autoencoder.posterior(autoencoder.ids(sources))["mean"]
    z = np.repeat(mean, EACH, axis=0)
    z = (z + noise * mean.std(axis=0) * rng.standard_normal(z.shape)).astype(np.float32)
    texts = autoencoder.texts(autoencoder.write(autoencoder.code(z), Sampling(temperature=TEMPERATURE), rng)[0])
    return [texts[start:start + EACH] for start in range(0, len(texts), EACH)]


def easy(judges: Judges, sources: list[str], share: float) -> Groups:
    """Easy data augmentation (Wei & Zou 2019) without synonyms: in each text words are swapped, deleted or inserted."""
    rng = np.random.default_rng(child(SEED, "easy"))
    words = list(judges.counts)
    chance = np.array([judges.counts[word] for word in words], float)
    chance /= chance.sum()

    def change(text: list[str], kind: int) -> list[str]:
        text, count = list(text), max(1, round(share * len(text)))
        for _ in range(count):
            if kind == 0 and len(text) > 1:
                one, two = rng.choice(len(text), 2, replace=False)
                text[one], text[two] = text[two], text[one]
            elif kind == 1 and len(text) > 1:
                del text[int(rng.integers(len(text)))]
            else:
                text.insert(int(rng.integers(len(text) + 1)), words[int(rng.choice(len(words), p=chance))])
        return text

    return [[" ".join(change(own, n % 3)) for n in range(EACH)] for own in judges.cut(sources)]


def refilled(judges: Judges, sources: list[str], share: float) -> Groups:
    """Words dropped, and others drawn in their place that are met between the same neighbours."""
    rng = np.random.default_rng(child(SEED, "refilled"))

    def change(text: list[str]) -> list[str]:
        text = list(text)
        for place in rng.choice(len(text), max(1, round(share * len(text))), replace=False):
            before = text[place - 1] if place else ""
            behind = text[place + 1] if place + 1 < len(text) else ""
            options = judges.after[before]
            names = [word for word in options if word]
            if names:
                chance = np.array([options[word] * (judges.after[word][behind] + 0.01) for word in names])
                text[place] = names[int(rng.choice(len(names), p=chance / chance.sum()))]
        return text

    return [[" ".join(change(own)) for _ in range(EACH)] for own in judges.cut(sources)]


def collect(pipeline: str, root: Path, number: int | None, count: int) -> Path:
    """Measure every way on one run; the current one where number is None."""
    used = device.use("auto")
    store = catalogue.locate(pipeline, root)
    run = runs.choose(store, number)
    tokens, trained, autoencoder, latents = (runs.load(store, stage, run.number)
                                             for stage in ("tokens", "sequence_vae", "autoencoder", "latents"))
    writer = Writer.of(tokens, trained, latents=latents)
    writer.pairs = Pairs(tokens, halves(tokens)[0])
    judges = Judges(tokens, tokens.tokenizer["level"] == "whitespace")
    sources = chosen(writer, tokens, judges, count)
    ways: list[tuple[str, Callable[[Any, list[str], float], Groups], Any, Sequence[float]]] = [
        ("textvae", ours, writer, STRENGTHS), ("posterior samples, unranked", unranked, writer, SPREADS),
        ("easy data augmentation", easy, judges, CHANGED), ("n-gram refill", refilled, judges, CHANGED)]
    if autoencoder.weights:
        ways.append(("autoencoder with noise", noisy, Writer.of(tokens, autoencoder), NOISES))
    shifted = judges.content([*sources[1:], sources[0]])
    record: dict[str, Any] = {
        "pipeline": run.pipeline, "run": run.number, "sources": len(sources), "each": EACH, "default": STRENGTH,
        "temperature": TEMPERATURE, "device": used.describe(), "machine": describe(),
        "real_perplexity": float(np.exp(np.divide(*judges.nats(sources)))),
        "random_pair": metrics.mean((judges.content(sources) * shifted).sum(axis=1), seed=SEED)._asdict()}
    record["ways"] = dict(_measure(judges, sources, ways))
    return of_run.written(f"variations-{run.pipeline}", record)


def _measure(judges: Judges, sources: list[str], ways: Sequence[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, way, tool, amounts in ways:
        found = {}
        for amount in amounts:
            own = found[f"{amount:g}"] = measured(judges, sources, way(tool, sources, amount))
            print(f"{name:28} {amount:4g}  content {own['content']['value']:.3f}  diversity "
                  f"{own['diversity']['value']:.3f}  perplexity {own['to_real']:.2f} of real  came {own['came']:.2f}  "
                  f"of training {own['of_training']['value']:.3f}", flush=True)
        yield name, found


def chosen(writer: Writer, tokens: Tokens, judges: Judges, count: int) -> list[str]:
    """Test sentences of medium length with words that the model knows, drawn at random."""
    rows = tokens.rows("test")
    texts = writer.texts([np.asarray(tokens.sequence(row)) for row in rows])
    able = [text for text, own in zip(texts, judges.cut(texts), strict=True) if SHORTEST <= len(own) <= LONGEST
            and not writer.unknown(text) and len(writer.tokenizer.encode(text)) <= writer.max_length]
    rng = np.random.default_rng(child(SEED, "held-out"))
    return [able[row] for row in np.sort(rng.choice(len(able), min(count, len(able)), replace=False))]


if __name__ == "__main__":
    parser = of_run.arguments(__doc__)
    parser.add_argument("--sources", type=int, default=500)
    given = parser.parse_args()
    of_run.tell(collect, given.pipeline, given.store, given.run, given.sources)
