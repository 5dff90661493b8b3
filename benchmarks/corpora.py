"""The corpora that the benchmarks run on, read by the pipeline's own stages, and the samples of them."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from textvae.config import PipelineConfig, load
from textvae.data import END, SPLITS, Tokens
from textvae.progress import Progress

ROOT = Path(__file__).parents[1]
# The literature's files are not ours to hand on; TEXTVAE_PTB says where train.txt, valid.txt and test.txt are.
PTB = Path(os.environ.get("TEXTVAE_PTB", ROOT.parent / "shared" / "data" / "sentences" / "ptb"))

BLOGS = Path(os.environ.get("TEXTVAE_BLOGS", ROOT.parent / "shared" / "data" / "blogs"))  # a folder each


def ptb_overrides(folder: Path = PTB) -> tuple[str, ...]:
    """The settings that say where the Penn Treebank is."""
    files = {"path": "train", "validation": "valid", "test": "test"}
    return tuple(f'corpus.{key}="{folder / name}.txt"' for key, name in files.items())


def ptb(folder: Path) -> Path:
    """Write the tokens of the Penn Treebank, by the recipe ``ptb``, into a folder; gives it back."""
    return _write(load(ROOT / "pipelines" / "ptb.toml", ptb_overrides()), folder)


def lee(folder: Path) -> Path:
    """The same of the sample corpus, by the recipe ``quickstart``."""
    return _write(load(ROOT / "pipelines" / "quickstart.toml"), folder)


def blog(folder: Path, name: str, vocabulary: int) -> Path:
    """The same of one of ``BLOGS``, by the recipe ``blog`` but for the size of the vocabulary."""
    return _write(load(ROOT / "pipelines" / "blog.toml", (f"corpus.path={json.dumps(str(BLOGS / name))}",
                                                          f"tokens.vocabulary={vocabulary}")), folder)


def _write(config: PipelineConfig, folder: Path) -> Path:
    from textvae.stages import corpus, tokens

    kwargs: dict[str, Any] = {"seed": 1, "progress": Progress(), "scratch": folder}
    folder.mkdir(parents=True, exist_ok=True)
    tokens.run(config.tokens, corpus.run(config.corpus, **kwargs), **kwargs).save(folder)
    return folder


def sample(tokens: Tokens, batch: int, steps: int, *, shortest: int = 1, longest: int = 10**6) -> np.ndarray:
    """Training sequences with the corpus's mix of lengths, that make whole batches of one length.

    All batches of one length that the training split has stand in a row by length, and evenly spaced ones are taken.
    So every way of batching meets the same sequences, and the yardstick that wants equal lengths has no batch with few.

    Args:
        batch: Sequences per batch.
        steps: How many batches.
        shortest, longest: Lengths that are taken.

    Returns:
        int64 [at most batch * steps], shuffled.
    """
    rng = np.random.default_rng(1)
    rows = rng.permutation(tokens.rows("train"))
    lengths = tokens.lengths[rows]
    whole = [rows[lengths == length][start:start + batch] for length in range(shortest, min(longest, lengths.max()) + 1)
             for start in range(0, int((lengths == length).sum()) // batch * batch, batch)]
    places = np.linspace(0, len(whole) - 1, min(steps, len(whole))).round().astype(int)
    return rng.permutation(np.concatenate([whole[place] for place in places]))


def held_out(tokens: Tokens, count: int, longest: int = 10**6) -> np.ndarray:
    """Test sequences evenly spaced by length, as the corpus mixes them: int64 [count]."""
    rows = tokens.rows("test")
    rows = rows[tokens.lengths[rows] <= longest]
    rows = rows[np.argsort(tokens.lengths[rows], kind="stable")]
    return rows[((np.arange(count) + 0.5) / count * len(rows)).astype(int)]


def only(tokens: Tokens, rows: np.ndarray, split: str | None = None) -> Tokens:
    """Tokens of some sequences alone, all in one split, or each in its own where None."""
    sequences = [np.asarray(tokens.sequence(row)) for row in rows]
    return dataclasses.replace(
        tokens, ids=np.concatenate(sequences), offsets=np.cumsum([0, *map(len, sequences)], dtype=np.int64),
        post=tokens.post[rows], position=tokens.position[rows],
        split=tokens.split[rows] if split is None else np.full(len(rows), SPLITS.index(split), np.uint8))


def thinned(tokens: Tokens, part: int, test: int) -> Tokens:
    """Every so manieth sequence of the training and validation splits, and the first so many of the test split."""
    kept = [tokens.rows("train")[::part], tokens.rows("validation")[::part], tokens.rows("test")[:test]]
    return only(tokens, np.concatenate(kept))


def predictions(tokens: Tokens, rows: np.ndarray) -> int:
    """What a rate counts: the tokens of sequences and one end each, never padding."""
    return int(tokens.lengths[rows].sum()) + len(rows)


def log_shares(tokens: Tokens) -> np.ndarray:
    """Log of each token's share of the training split's predictions: float32 [vocabulary].

    As the first bias of a softmax, it gives untrained networks a vocabulary with frequent and rare words.
    """
    rows = tokens.rows("train")
    counts = np.bincount(tokens.ids, minlength=tokens.vocabulary_size) + 0.1
    counts[END] += len(rows)
    return np.log(counts / counts.sum()).astype(np.float32)
