"""Train word vectors on the training split with gensim's Word2Vec."""

from pathlib import Path
from typing import Any

import numpy as np

from textvae import seeds
from textvae.config import WordVectorsConfig
from textvae.data import SPLITS, Tokens, WordVectors
from textvae.progress import Advance, Progress
from textvae.text import tokenizer

LONGEST_LINE = 10_000  # gensim reads no further in a line


def run(config: WordVectorsConfig, tokens: Tokens, *, seed: int, progress: Progress, scratch: Path) -> WordVectors:
    """Train one vector per token id; with one worker the same seed gives the same bytes.

    gensim's running loss is left out of the metrics: it is summed in single precision and stops growing.

    Args:
        config: Width, objective, window, noise tokens, epochs, threads.
        tokens: The sequences; only the training split is read.
        seed: Seed of the start and of every draw.
        progress: Who watches.
        scratch: Where the training text is written, one sequence of ids a line.

    Returns:
        float32 vectors [vocabulary, dim]; rows of ids that the training split lacks are zero.

    Reference: Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their Compositionality".
    """
    from gensim.models import Word2Vec

    rows = tokens.rows("train")
    lines = scratch / "train.txt"
    with progress.task("writing the training text", total=len(rows)) as advance:
        _write(tokens, rows, lines, advance)
    with progress.task("word vectors", total=config.epochs) as advance:
        model = Word2Vec(corpus_file=str(lines), vector_size=config.dim, window=config.window, min_count=1,
                         sg=int(config.algorithm == "skip-gram"), negative=config.negative, epochs=config.epochs,
                         workers=config.workers, seed=seeds.child(seed, "word2vec"),
                         callbacks=[_epoch_callback(advance)])
    vectors = np.zeros((tokens.vocabulary_size, config.dim), np.float32)
    vectors[[int(word) for word in model.wv.index_to_key]] = model.wv.vectors
    trained = np.repeat(tokens.split == SPLITS.index("train"), tokens.lengths)
    counts = np.bincount(tokens.ids[trained], minlength=tokens.vocabulary_size).astype(np.int64)
    metrics = {"tokens": int(counts.sum()), "vocabulary": len(counts), "covered": int((counts > 0).sum())}
    return WordVectors(vectors, tokenizer.load(tokens.tokenizer).pieces, counts, metrics)


def _write(tokens: Tokens, rows: np.ndarray, path: Path, advance: Advance) -> None:
    with path.open("w", encoding="ascii") as out:
        for row in rows:
            ids = tokens.sequence(row).tolist()
            for start in range(0, len(ids), LONGEST_LINE):
                out.write(" ".join(map(str, ids[start:start + LONGEST_LINE])) + "\n")
            advance(1)


def _epoch_callback(advance: Advance) -> Any:
    from gensim.models.callbacks import CallbackAny2Vec

    class Epoch(CallbackAny2Vec):
        """Moves the bar on after each pass."""

        def on_epoch_end(self, model: Any) -> None:
            advance(1)

    return Epoch()
