"""Do variations help a classifier that has few labelled texts? Beside no augmentation and easy data augmentation.

    python -m benchmarks.augmentation yelp sentiment [--store models] [--run N] [--each 50 200] [--draws 10] [-n 4]

Writes benchmarks/results/augmentation-<pipeline>.json. So many texts of each class are drawn from the training split,
enlarged, learnt from, and the classifier tested on the test split. The model read all of the training split. It is told
nothing of the labels when it augments, but one with constraints or labels has learnt from them: the results say so.
Each draw's scores are kept, and a measurement that was stopped goes on behind the last of them, by the same commit.
All are trained first, without labels, in a quarter of an hour (AG news) to an hour (yelp) on two cores:

    textvae run csv --corpus Tweets.csv --set 'sequence_vae.constraints=[]'
    textvae run yelp --corpus 'yelp/sentiment.test.*' --set 'corpus.test="yelp/sentiment.dev.*"' \\
        --set 'sequence_vae.constraints=[]'
    textvae run ag_news.toml --corpus ag_news/test.csv

where ``ag_news.toml`` is what ``textvae show csv --toml`` prints, with ``columns = ["topic", "title", "text"]`` and
``label_columns = ["topic"]`` of ``[corpus]``, ``max_length = 64`` and ``test = 0.2`` of ``[tokens]``, and 10 epochs and
no constraints of ``[sequence_vae]``.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score

from benchmarks import of_run
from benchmarks.machine import describe
from benchmarks.variations import SEED, Judges, easy
from textvae import catalogue, device, metrics, runs
from textvae.classifier import Classifier
from textvae.data import Tokens
from textvae.seeds import child
from textvae.text import tokenizer
from textvae.writing.augment import VARIED_FROM, augment
from textvae.writing.writer import Writer

TESTED = 5000  # test texts at most
CHANGED = 0.1  # share of the words that easy data augmentation changes, as Wei & Zou 2019 take it for few texts
WIDTH, EPOCHS, PATIENCE = 64, 60, 5  # of the LSTM, which stops by a fifth of the real texts that it does not learn from

HELD = 5  # each such real text is held out by the LSTM, with all that was made of it

Table = tuple[list[str], list[str]]  # texts, and the label of each
Made = tuple[list[str], list[str], list[int]]  # the same, with the place of the real text that each is or was made of
Scores = dict[str, dict[str, float]]  # way -> metric -> what one draw gave


def labelled(tokens: Tokens, split: str, key: str) -> Table:
    """A split's sequences whose post has exactly one label of this key, and that label's value."""
    words = tokenizer.load(tokens.tokenizer)
    own = [[label.partition("=")[2] for label in labels if label.startswith(f"{key}=")]
           for labels in tokens.post_labels]
    rows = [row for row in tokens.rows(split) if len(own[tokens.post[row]]) == 1]
    return [words.decode(tokens.sequence(row)) for row in rows], [own[tokens.post[row]][0] for row in rows]


def drawn(table: Table, each: int, draw: int) -> Table:
    """So many texts of each class at random."""
    rng = np.random.default_rng(child(SEED, f"draw-{each}-{draw}"))
    labels = np.array(table[1])
    rows = np.concatenate([rng.choice(np.flatnonzero(labels == label), each, replace=False)
                           for label in sorted(set(table[1]))])
    return [table[0][row] for row in rows], [table[1][row] for row in rows]


# -- the ways, each real texts and what was made of them ---------------------------------------------------------------


def bare(few: Table) -> Made:
    """No augmentation."""
    return (*few, list(range(len(few[0]))))


def varied(writer: Writer, few: Table, n: int, relabel: bool) -> Made:
    """``textvae augment``; the column's name says nothing to the model, which so is not told the labels."""
    frame = pd.DataFrame({"text": few[0], "of a row": few[1]})
    whole = augment(writer, frame, text="text", label="of a row", n=n, relabel=relabel, seed=SEED).frame
    places = [int(row or place) - 1 for place, row in enumerate(whole[VARIED_FROM], start=1)]
    return list(whole["text"]), list(whole["of a row"]), places


def eased(judges: Judges, few: Table, n: int) -> Made:
    """Easy data augmentation with as many texts for each."""
    made = [(text, place) for place, group in enumerate(easy(judges, few[0], CHANGED)) for text in group[:n]]
    texts, labels, places = bare(few)
    return ([*texts, *(text for text, _ in made)], [*labels, *(few[1][place] for _, place in made)],
            [*places, *(place for _, place in made)])


# -- the classifiers ---------------------------------------------------------------------------------------------------


def regression(train: Made, few: Table, texts: Sequence[str]) -> list[str]:
    """Logistic regression on tf-idf."""
    return list(Classifier(*train[:2], seed=SEED).predict(texts))


def lstm(train: Made, few: Table, texts: Sequence[str]) -> list[str]:
    """A small LSTM in both directions, classes weighed alike as the regression does; each fifth real text says when to
    stop, and neither it nor what was made of it is learnt from."""
    import keras

    keras.utils.set_random_seed(SEED)
    names = sorted(set(few[1]))
    kept = [i for i, place in enumerate(train[2]) if place % HELD]
    cut = keras.layers.TextVectorization(max_tokens=5000, output_sequence_length=32)
    cut.adapt([train[0][i] for i in kept])

    def arrays(own: Sequence[str]) -> np.ndarray:
        return np.asarray(cut(list(own)))

    model = keras.Sequential([keras.layers.Embedding(cut.vocabulary_size(), WIDTH, mask_zero=True),
                              keras.layers.Dropout(0.3),
                              keras.layers.Bidirectional(keras.layers.LSTM(WIDTH)), keras.layers.Dropout(0.3),
                              keras.layers.Dense(len(names), activation="softmax")])
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    target = np.array([names.index(train[1][i]) for i in kept])
    # Of one label more variations are left out than of another.
    weights = dict(enumerate(len(target) / len(names) / np.bincount(target, minlength=len(names))))
    real = arrays(few[0][::HELD]), np.array([names.index(label) for label in few[1][::HELD]])
    stop = keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)
    model.fit(arrays([train[0][i] for i in kept]), target, validation_data=real, epochs=EPOCHS, batch_size=32,
              class_weight=weights, verbose=0, callbacks=[stop])
    return [names[place] for place in model.predict(arrays(texts), verbose=0, batch_size=512).argmax(axis=1)]


def scored(predicted: Sequence[str], real: Sequence[str]) -> dict[str, float]:
    """Accuracy, and F1 averaged over classes."""
    return {"accuracy": float(accuracy_score(real, predicted)),
            "macro_f1": float(f1_score(real, predicted, average="macro"))}


def summed(draws: Sequence[Scores]) -> dict[str, Any]:
    """Way -> metric -> its mean over draws and what it gained on no augmentation, draw by draw."""
    return {way: {name: {"mean": metrics.mean(np.array([own[way][name] for own in draws]), seed=SEED)._asdict(),
                         "gain": metrics.mean(np.array([own[way][name] - own["none"][name] for own in draws]),
                                              seed=SEED)._asdict()} for name in draws[0][way]} for way in draws[0]}


def measured(found: dict[str, Any], commit: str) -> list[Scores]:
    """The draws that one classifier's record holds, where the same commit measured them."""
    return list(found["scores"]) if found.get("commit") == commit else []


def collect(pipeline: str, key: str, root: Path, number: int | None, each: Sequence[int], draws: int, n: int,
            judges_of: Sequence[str]) -> Path:
    """Measure one run; the current one where number is None."""
    used = device.use("auto")
    store = catalogue.locate(pipeline, root)
    run = runs.choose(store, number)
    tokens, trained, latents = (runs.load(store, stage, run.number) for stage in ("tokens", "sequence_vae", "latents"))
    writer = Writer.of(tokens, trained, latents=latents)
    judges = Judges(tokens, tokens.tokenizer["level"] == "whitespace")
    able: dict[str, Callable[[Made, Table, Sequence[str]], list[str]]] = {"regression": regression, "lstm": lstm}
    table, test = labelled(tokens, "train", key), labelled(tokens, "test", key)
    some = np.random.default_rng(child(SEED, "test")).permutation(len(test[0]))[:TESTED]
    texts, real = [test[0][i] for i in some], [test[1][i] for i in some]
    told = [own["label"] for own in writer.constraints if own.get("label")] + list(writer.labels)
    record: dict[str, Any] = {
        "pipeline": run.pipeline, "run": run.number, "label": key, "classes": sorted(set(real)), "tested": len(texts),
        "n": n, "labels_seen_by_the_model": told, "device": used.describe(), "machine": describe(), "found": {}}
    record["found"] = of_run.kept(f"augmentation-{run.pipeline}", record, but=("found", "device", "machine"))
    commit = record["machine"]["commit"].removesuffix("-dirty")  # by the file that the first draws wrote
    path = of_run.written(f"augmentation-{run.pipeline}", record)
    for count in each:
        own = record["found"].setdefault(str(count), {})
        done = {name: measured(own.get(name, {}), commit) for name in judges_of}
        for draw in range(min(map(len, done.values())), draws):
            start = time.monotonic()
            few = drawn(table, count, draw)
            ways = {"none": bare(few), "easy data augmentation": eased(judges, few, n),
                    "textvae": varied(writer, few, n, relabel=False),
                    "textvae, labelled anew": varied(writer, few, n, relabel=True)}
            for name in judges_of:
                done[name][draw:] = [{way: scored(able[name](made, few, texts), real) for way, made in ways.items()}]
                print(count, name, draw, {way: round(made["macro_f1"], 3) for way, made in done[name][-1].items()},
                      f"{time.monotonic() - start:.0f} s each, {draws - draw - 1} to go", flush=True)
                own[name] = {"draws": draw + 1, "commit": commit, "scores": done[name], **summed(done[name])}
            of_run.written(f"augmentation-{run.pipeline}", record)
    return path


if __name__ == "__main__":
    parser = of_run.arguments(__doc__)
    parser.add_argument("label", help="the label's key, such as sentiment")
    parser.add_argument("--each", type=int, nargs="+", default=[50, 200], help="labelled texts of each class")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("-n", type=int, default=4, choices=range(1, 6), help="texts made of each")
    parser.add_argument("--lstm", action="store_true", help="an LSTM beside the logistic regression")
    given = parser.parse_args()
    of_run.tell(collect, given.pipeline, given.label, given.store, given.run, given.each, given.draws, given.n,
                ("regression", "lstm") if given.lstm else ("regression",))
