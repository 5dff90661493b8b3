"""Train word vectors on the training split: with gensim's Word2Vec, or the same objective on the device."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from textvae import seeds
from textvae.config import WordVectorsConfig
from textvae.data import Tokens, WordVectors
from textvae.device import on_gpu
from textvae.errors import ConfigError, TextvaeError
from textvae.progress import Progress
from textvae.text import tokenizer

LONGEST_LINE = 10_000  # gensim reads no further in a line
RATES = 0.025, 0.0001  # word2vec's learning rate at the beginning and at the end, which gensim's defaults are too
LETTERS = np.frombuffer(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_", np.uint8)
WRITTEN = 1 << 20  # tokens turned into text at once
# Where Linux shows that there may be a GPU: NVIDIA's driver, the same in a container, in WSL, and AMD's.
GPU_SIGNS = ("/proc/driver/nvidia", "/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


def on_device(config: WordVectorsConfig, choice: str) -> bool:
    """Whether a backend must start before this stage: gensim needs none, and starting one takes seconds.

    Args:
        config: The stage's settings.
        choice: ``"auto"``, ``"cpu"`` or ``"gpu"``, as the user chose the device.

    Raises:
        ConfigError: The engine does not offer the algorithm.
    """
    if config.engine == "keras" and config.algorithm != "skip-gram":
        raise ConfigError(f"word_vectors.engine keras does not offer word_vectors.algorithm {config.algorithm}",
                          "set word_vectors.engine to gensim, or word_vectors.algorithm to skip-gram")
    if config.engine != "auto" or config.algorithm != "skip-gram":
        return config.engine == "keras"
    return choice == "gpu" or (choice == "auto" and (sys.platform != "linux" or any(map(os.path.exists, GPU_SIGNS))))


def run(config: WordVectorsConfig, tokens: Tokens, *, seed: int, progress: Progress, scratch: Path) -> WordVectors:
    """Train one vector per token id.

    The same seed gives the same bytes with gensim and one worker, and with keras on the CPU.

    Args:
        config: Engine, width, objective, window, noise tokens, epochs, threads. The engine auto is keras where this
            process computes on a GPU, else gensim.
        tokens: The sequences; only the training split is read.
        seed: Seed of the start and of every draw.
        progress: Who watches.
        scratch: Where gensim's training text is written, and the checkpoint of keras.

    Returns:
        float32 vectors [vocabulary, dim]; rows of ids that the training split lacks are zero. The metrics say which
        engine made them.

    Raises:
        ConfigError: The engine does not offer the algorithm.

    Reference: Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their Compositionality".
    """
    on_device(config, "auto")  # refuses what no engine offers
    engine = config.engine
    if engine == "auto":
        engine = "keras" if config.algorithm == "skip-gram" and on_gpu() else "gensim"
    counts = tokens.counts("train")
    starts, lengths = _pieces(tokens)
    vectors = _ENGINES[engine](config, tokens.ids, starts, lengths, counts, seed, progress, scratch)
    vectors[counts == 0] = 0
    metrics = {"tokens": int(counts.sum()), "vocabulary": len(counts), "covered": int((counts > 0).sum()),
               "engine": engine}
    return WordVectors(vectors, tokenizer.load(tokens.tokenizer).pieces, counts, metrics)


def _pieces(tokens: Tokens) -> tuple[np.ndarray, np.ndarray]:
    """Where the training sequences start and their lengths, int64 [pieces] each; long ones are cut."""
    rows = tokens.rows("train")
    starts, lengths = tokens.offsets[rows], tokens.lengths[rows]
    count = -(-lengths // LONGEST_LINE)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return (np.repeat(starts, count) + place * LONGEST_LINE,
            np.minimum(np.repeat(lengths, count) - place * LONGEST_LINE, LONGEST_LINE))


def _gensim(config: WordVectorsConfig, ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray, counts: np.ndarray,
            seed: int, progress: Progress, scratch: Path) -> np.ndarray:
    from gensim.models import Word2Vec

    path, total = scratch / "train.txt", int(lengths.sum())
    names = [bytes(own).decode("ascii") for own in _spelt(np.arange(len(counts)), _width(len(counts)))]
    with progress.task("writing the training text"):
        _write(ids, starts, lengths, _width(len(counts)), path)
    with progress.task("word vectors", total=config.epochs) as advance:
        model = Word2Vec(vector_size=config.dim, window=config.window, min_count=1, sample=config.sample,
                         sg=int(config.algorithm == "skip-gram"), negative=config.negative, epochs=config.epochs,
                         workers=config.workers, seed=seeds.child(seed, "word2vec"))
        # The counts are known; gensim would read the whole text in Python to find them.
        model.build_vocab_from_freq({names[number]: int(counts[number]) for number in np.flatnonzero(counts)},
                                    corpus_count=len(lengths))

        def epoch_ended() -> None:
            advance(1)
            progress.count(total)

        model.train(corpus_file=str(path), total_examples=len(lengths), total_words=total, epochs=config.epochs,
                    callbacks=[_epoch_callback(epoch_ended)])
    vectors = np.zeros((len(counts), config.dim), np.float32)
    rows = {name: number for number, name in enumerate(names)}
    vectors[[rows[name] for name in model.wv.index_to_key]] = model.wv.vectors
    return vectors


def _keras(config: WordVectorsConfig, ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray, counts: np.ndarray,
           seed: int, progress: Progress, scratch: Path) -> np.ndarray:
    from textvae.nn.checkpoint import packed, write_aside
    from textvae.nn.skip_gram import SkipGram

    network = SkipGram(counts, dim=config.dim, window=config.window, negative=config.negative, sample=config.sample,
                       seed=seeds.child(seed, "weights"))
    path = scratch / "checkpoint.npz"
    first = _resume(path, network)
    if first:
        progress.say(f"word vectors: resuming after epoch {first}")
    for epoch in range(first, config.epochs):
        before, after = (float(rate) for rate in np.interp([epoch, epoch + 1], [0, config.epochs], RATES))
        with progress.task(f"word vectors epoch {epoch + 1}/{config.epochs}", total=int(lengths.sum())) as advance:

            def read(tokens: int, advance: Any = advance) -> None:
                advance(tokens)
                progress.count(tokens)

            network.epoch(ids, starts, lengths, rates=(before, after), seed=seeds.child(seed, f"epoch-{epoch}"),
                          advance=read)
        tables = network.tables()
        if not all(np.isfinite(table).all() for table in tables):
            raise TextvaeError(f"word vectors: they stopped being numbers in epoch {epoch + 1}",
                               "set word_vectors.engine to gensim, and tell us")
        write_aside(path, packed({"vectors": tables[0], "targets": tables[1], "epochs": np.array(epoch + 1)}))
    return network.tables()[0]


_ENGINES = {"gensim": _gensim, "keras": _keras}


def _resume(path: Path, network: Any) -> int:
    """Give a network the tables of its checkpoint; the epochs that were done, 0 where there is none."""
    if not path.exists():
        return 0
    with np.load(path, allow_pickle=False) as arrays:
        network.set_tables(arrays["vectors"], arrays["targets"])
        return int(arrays["epochs"])


def _width(vocabulary: int) -> int:
    """How many of 64 letters spell every id."""
    return max(1, -(-(vocabulary - 1).bit_length() // 6))


def _spelt(ids: np.ndarray, width: int) -> np.ndarray:
    """Ids as words of ``width`` letters, uint8 [tokens, width].

    Example:
        >>> [bytes(word) for word in _spelt(np.array([5, 64]), 2)]
        [b'05', b'10']
    """
    return LETTERS[(ids[:, None] >> np.arange(6 * (width - 1), -1, -6)) & 63]


def _write(ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray, width: int, path: Path) -> None:
    """Write one sequence a line. All words are of one width, so the bytes of many lines are one array."""
    ends = np.cumsum(lengths)
    shift = starts - (ends - lengths)  # from a place in the training text to one in ids
    first = 0
    with path.open("wb") as out:
        while first < len(lengths):
            before = ends[first - 1] if first else 0
            last = max(first + 1, int(np.searchsorted(ends, before + WRITTEN, side="right")))
            own, stop = slice(first, last), ends[first:last] - before - 1
            places = np.repeat(shift[own], lengths[own]) + np.arange(before, ends[last - 1])
            text = np.full((len(places), width + 1), ord(" "), np.uint8)
            text[:, :width] = _spelt(ids[places], width)
            text[stop, width] = ord("\n")
            out.write(text.tobytes())
            first = last


def _epoch_callback(ended: Any) -> Any:
    from gensim.models.callbacks import CallbackAny2Vec

    class Epoch(CallbackAny2Vec):
        """Tells the end of each pass."""

        def on_epoch_end(self, model: Any) -> None:
            ended()

    return Epoch()
