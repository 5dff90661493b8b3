"""Word vectors: speed and quality of the stage's engines beside gensim called directly.

    python -m benchmarks word_vectors        on whichever device and backend there is, such as KERAS_BACKEND=jax
"""

import importlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import corpora
from benchmarks.rows import brief, row, verdict
from benchmarks.turns import Clock, Subject, measure, spread
from textvae.config import CorpusConfig, TokensConfig, WordVectorsConfig
from textvae.data import Tokens
from textvae.progress import Progress

METHOD = (
    "Skip-gram, 128 numbers, window 5, 5 noise tokens, sample 1e-3, 5 epochs, on the training split. Speed: training "
    "tokens times epochs by seconds; gensim with as many workers as cores reads a file that is there, textvae's whole "
    "stage is timed, compilation included; `epochs` counts textvae's epochs after the first alone, and all of "
    "gensim's. Neighbours: of the 1,000 most frequent tokens the 10 nearest by cosine among tokens met 5 times or more;"
    " the overlap of textvae's with gensim's by that of gensim runs with other seeds. Held-out loss: of the validation "
    "split's pairs, thinned and windowed as in training, with 5 noise tokens each, the same for all; nats per pair; "
    "gensim's by textvae's.")
DIRECT, GENSIM, KERAS = "gensim", "textvae, engine gensim", "textvae, engine keras"
DIM, WINDOW, NEGATIVE, SAMPLE = 128, 5, 5, 1e-3
QUERIES, NEAREST, MET = 1000, 10, 5
WITHIN = 0.95  # quality must be within 5% of gensim's
Tables = tuple[np.ndarray, np.ndarray]  # vectors of contexts and of centres, float32 [vocabulary, dim] each


def run(scratch: Path, quick: bool) -> Iterator[dict[str, Any]]:
    """Measure speed and quality on every corpus that is there.

    Yields:
        After each corpus the record so far: ``rows`` for the table, and ``measured`` by corpus.
    """
    sources = {"lee": corpora.lee} if quick else {"PTB": corpora.ptb, "18f+digitalgov": blogs}
    rows: list[dict[str, Any]] = []
    measured: dict[str, Any] = {}
    for name, source in sources.items():
        try:
            folder = source(scratch / name)
        except (OSError, ValueError) as error:
            rows.append({"work": f"word vectors, {name}", "skipped": str(error)})
            yield {"method": METHOD, "rows": rows, "measured": measured}
            continue
        speed = _speed(folder, quick)
        found = quality(Tokens.load(folder), seeds=2 if quick else 3, epochs=2 if quick else 5)
        gpu = speed[KERAS]["warm_up"]["device"]["kind"] == "gpu"
        asked: dict[str, Any] = {"must": 5, "aim": 20} if gpu else {"must": 1, "aim": 1.5}
        unit = "tokens/s"
        rows += [row(f"word vectors, {name}, whole stage", unit, speed, number="tokens_per_second", ours=KERAS,
                     yardsticks=(DIRECT,), **asked),
                 row(f"word vectors, {name}, epochs", unit, speed, number="epoch_tokens_per_second", ours=KERAS,
                     yardsticks=(DIRECT,), **asked),
                 row(f"word vectors, {name}, whole stage with gensim", unit, speed, number="tokens_per_second",
                     ours=GENSIM, yardsticks=(DIRECT,), must=1, aim=1.5),
                 _beside(f"word vectors, {name}, overlap of neighbours", "of 10", found["overlap"], more=True),
                 _beside(f"word vectors, {name}, held-out loss", "nats per pair", found["loss"], more=False)]
        measured[name] = {"speed": speed, "quality": found}
        yield {"method": METHOD, "rows": rows, "measured": measured}


def blogs(folder: Path) -> Path:
    """Write the tokens of two agencies' blogs, with the default settings, into a folder; gives it back."""
    from textvae.stages import corpus, tokens

    posts = folder / "posts"
    for name in ("18f", "digitalgov"):
        shutil.copytree(corpora.BLOGS / name, posts / name)
    kwargs: dict[str, Any] = {"seed": 1, "progress": Progress(), "scratch": folder}
    tokens.run(TokensConfig(), corpus.run(CorpusConfig(path=str(posts)), **kwargs), **kwargs).save(folder)
    return folder


def direct(folder: str, workers: int, epochs: int) -> Iterator[dict[str, Any]]:
    """gensim as its users call it, on a file with a sequence a line; for ``benchmarks.turns``."""
    from gensim.models import Word2Vec

    tokens = Tokens.load(Path(folder))
    total = int(tokens.lengths[tokens.rows("train")].sum())
    with tempfile.TemporaryDirectory() as scratch:
        path = _text(tokens, Path(scratch))
        yield {"tokens": total, "workers": workers, "epochs": epochs}
        while True:
            clock = Clock()
            model = _untrained(workers, epochs, seed=1)
            model.build_vocab(corpus_file=str(path))
            training = Clock()
            model.train(corpus_file=str(path), total_examples=model.corpus_count, total_words=model.corpus_total_words,
                        epochs=epochs)
            assert isinstance(model, Word2Vec)
            yield {"tokens_per_second": total * epochs / clock.seconds,
                   "epoch_tokens_per_second": total * epochs / training.seconds}


def stage(folder: str, engine: str, workers: int, epochs: int) -> Iterator[dict[str, Any]]:
    """The stage, all of it; for ``benchmarks.turns``."""
    from textvae import device
    from textvae.stages import word_vectors

    tokens = Tokens.load(Path(folder))
    total = int(tokens.lengths[tokens.rows("train")].sum())
    used = {"kind": "cpu"}
    if engine == "keras":
        used = device.use().describe()
    else:
        importlib.import_module("gensim.models")  # seconds that gensim called directly takes before its clock, too
    config = _config(engine, epochs, workers)
    yield {"tokens": total, "workers": workers, "epochs": epochs, "device": used}
    while True:
        with tempfile.TemporaryDirectory() as scratch:
            watcher, clock = _Epochs(), Clock()
            word_vectors.run(config, tokens, seed=1, progress=watcher, scratch=Path(scratch))
            whole = clock.seconds
        # gensim's epochs are one task; keras compiles in its first.
        later = watcher.seconds[1:] or watcher.seconds
        worked = total * (epochs if engine == "gensim" else len(later))
        yield {"tokens_per_second": total * epochs / whole, "epoch_tokens_per_second": worked / sum(later)}


class _Epochs(Progress):
    """Notes how long each task that trains takes."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Any]:
        started = time.perf_counter()
        yield lambda steps=1, **shown: None
        if label.startswith("word vectors"):
            self.seconds.append(time.perf_counter() - started)


def _speed(folder: Path, quick: bool) -> dict[str, dict[str, Any]]:
    shared = {"folder": str(folder), "workers": os.cpu_count(), "epochs": 2 if quick else 5}
    own = "benchmarks.word_vectors"
    return measure([Subject(DIRECT, f"{own}:direct", shared),
                    Subject(GENSIM, f"{own}:stage", {**shared, "engine": "gensim"}),
                    Subject(KERAS, f"{own}:stage", {**shared, "engine": "keras"})], repeats=2 if quick else 5)


def quality(tokens: Tokens, *, seeds: int, epochs: int) -> dict[str, Any]:
    """Train both engines with several seeds, and compare what came out.

    Returns:
        ``overlap`` and ``loss``, each with ``ours`` and ``gensim``: one number per pair of runs, or per run.
    """
    trained = np.repeat(tokens.split == 0, tokens.lengths)
    counts = np.bincount(tokens.ids[trained], minlength=tokens.vocabulary_size)
    with tempfile.TemporaryDirectory() as scratch:
        path = _text(tokens, Path(scratch))
        theirs = [_gensim(path, seed, epochs, len(counts)) for seed in range(1, seeds + 1)]
        ours = [_keras(tokens, seed, epochs, Path(scratch) / str(seed)) for seed in range(1, seeds + 1)]
    held_out = _pairs(tokens, counts)
    near = [_nearest(vectors, counts) for vectors, _ in ours]
    near_theirs = [_nearest(vectors, counts) for vectors, _ in theirs]
    return {"overlap": {"ours": [_overlap(one, two) for one in near for two in near_theirs],
                        "gensim": [_overlap(one, two) for one, two in combinations(near_theirs, 2)]},
            "loss": {"ours": [_loss(*tables, *held_out) for tables in ours],
                     "gensim": [_loss(*tables, *held_out) for tables in theirs]},
            "held_out_pairs": len(held_out[0]), "epochs": epochs}


def _beside(work: str, unit: str, found: dict[str, list[float]], *, more: bool) -> dict[str, Any]:
    """A row of quality: how ours stands to gensim's, above 1 where ours is better."""
    own, other = (spread([{"value": value} for value in found[name]])["value"] for name in ("ours", "gensim"))
    ratio = own["median"] / other["median"]
    turns = [value / other["median"] for value in own["all"]]
    if not more:
        ratio, turns = 1 / ratio, [1 / turn for turn in turns]
    return {"work": work, "unit": unit, "ours": brief(KERAS, own), "yardstick": brief(DIRECT, other),
            **verdict("ratio", ratio, turns, WITHIN, 1.0)}


def _config(engine: str, epochs: int, workers: int = 1) -> WordVectorsConfig:
    return WordVectorsConfig(engine=engine, dim=DIM, window=WINDOW, negative=NEGATIVE, sample=SAMPLE, epochs=epochs,
                             workers=workers)


def _untrained(workers: int, epochs: int, seed: int) -> Any:
    from gensim.models import Word2Vec

    return Word2Vec(vector_size=DIM, window=WINDOW, min_count=1, sg=1, negative=NEGATIVE, sample=SAMPLE, epochs=epochs,
                    workers=workers, seed=seed)


def _text(tokens: Tokens, folder: Path) -> Path:
    path = folder / "text.txt"
    with path.open("w", encoding="ascii") as out:
        for number in tokens.rows("train"):
            out.write(" ".join(map(str, tokens.sequence(number).tolist())) + "\n")
    return path


def _gensim(path: Path, seed: int, epochs: int, vocabulary: int) -> Tables:
    model = _untrained(1, epochs, seed)
    model.build_vocab(corpus_file=str(path))
    model.train(corpus_file=str(path), total_examples=model.corpus_count, total_words=model.corpus_total_words,
                epochs=epochs)
    rows = [int(word) for word in model.wv.index_to_key]
    vectors, targets = (np.zeros((vocabulary, DIM), np.float32) for _ in range(2))
    vectors[rows], targets[rows] = model.wv.vectors, model.syn1neg
    return vectors, targets


def _keras(tokens: Tokens, seed: int, epochs: int, scratch: Path) -> Tables:
    from textvae.stages import word_vectors

    scratch.mkdir()
    found = word_vectors.run(_config("keras", epochs), tokens, seed=seed, progress=Progress(), scratch=scratch)
    with np.load(scratch / "checkpoint.npz") as arrays:  # the artefact leaves the vectors of centres out
        return found.vectors, arrays["targets"]


def _nearest(vectors: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The nearest tokens of the most frequent ones, int64 [queries, nearest]."""
    from textvae.stages.embedding_vae import nearest

    met = np.flatnonzero(counts >= MET)
    queries = np.argsort(-counts[met], kind="stable")[:QUERIES]
    return nearest(vectors[met], queries, NEAREST)


def _overlap(one: np.ndarray, two: np.ndarray) -> float:
    """How many neighbours both have, on average."""
    return float(np.mean([len(np.intersect1d(a, b)) for a, b in zip(one, two, strict=True)]))


def _pairs(tokens: Tokens, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Contexts and centres int64 [pairs] of the validation split, and noise int64 [pairs, negative]; for all runs."""
    rng = np.random.default_rng(1)
    frequency = np.maximum(counts, 1) / counts.sum()
    kept = np.minimum((np.sqrt(frequency / SAMPLE) + 1) * SAMPLE / frequency, 1)
    pairs = []
    for number in tokens.rows("validation"):
        own = np.asarray(tokens.sequence(number), np.int64)
        own = own[(rng.random(len(own)) < kept[own]) & (counts[own] > 0)]
        for place, reach in enumerate(rng.integers(1, WINDOW + 1, len(own))):
            around = [*own[max(0, place - reach):place], *own[place + 1:place + reach + 1]]
            pairs += [(context, own[place]) for context in around]
    contexts, centres = np.array(pairs, np.int64).T
    share = counts ** 0.75 / (counts ** 0.75).sum()
    return contexts, centres, rng.choice(len(counts), (len(pairs), NEGATIVE), p=share)


def _loss(vectors: np.ndarray, targets: np.ndarray, contexts: np.ndarray, centres: np.ndarray, noise: np.ndarray
          ) -> float:
    """``-log sigmoid(context . centre) - sum(log sigmoid(-context . noise))``, in nats per pair."""
    total = 0.0
    for start in range(0, len(contexts), 20_000):
        own = slice(start, start + 20_000)
        context = vectors[contexts[own]]
        total += np.logaddexp(0, -(context * targets[centres[own]]).sum(axis=1)).sum()
        total += np.logaddexp(0, np.einsum("pd,pnd->pn", context, targets[noise[own]])).sum()
    return float(total / len(contexts))
