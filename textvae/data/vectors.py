"""Word vectors, and the same compressed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from textvae.data._files import check_array, read_json, write_json
from textvae.data.network import TrainedNetwork

# Formats of one token a line or between blanks split at white space, and some at whatever Python takes for the end of a
# line, so a token's own is written as visible signs.
SIGNS = str.maketrans({" ": "␣", "\n": "␤", "\t": "␉", "\r": "␍", "\u00a0": "⍽", "\v": "␋", "\f": "␌", "\x1c": "␜",
                       "\x1d": "␝", "\x1e": "␞", "\x1f": "␟", "\x85": "⏎", "\u2028": "↲", "\u2029": "↵"})


@dataclass(frozen=True)
class WordVectors:
    """One vector per token id.

    Args:
        vectors: float32 [vocabulary, dim]; rows of tokens never met in training are zero.
        vocabulary: The tokens as text, by id.
        counts: int64 [vocabulary]; how often each stands in the training split.
        metrics: What training measured.
    """

    vectors: np.ndarray
    vocabulary: tuple[str, ...]
    counts: np.ndarray
    metrics: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_array("WordVectors", "vectors", self.vectors, np.float32, "vocabulary, dim", (None, None))
        check_array("WordVectors", "counts", self.counts, np.int64, "vocabulary", (len(self.vectors),))
        if len(self.vocabulary) != len(self.vectors):
            raise ValueError(f"WordVectors has {len(self.vocabulary)} tokens for {len(self.vectors)} vectors")

    def save(self, folder: Path) -> None:
        """Write ``vectors.npy``, ``counts.npy``, ``vocabulary.json`` and ``vectors.txt`` (word2vec text format)."""
        np.save(folder / "vectors.npy", self.vectors, allow_pickle=False)
        np.save(folder / "counts.npy", self.counts, allow_pickle=False)
        write_json(folder / "vocabulary.json", list(self.vocabulary))
        write_json(folder / "metrics.json", self.metrics)
        write_word2vec(folder / "vectors.txt", self.vocabulary, self.vectors)

    @classmethod
    def load(cls, folder: Path) -> "WordVectors":
        """Read what ``save`` wrote."""
        return cls(np.load(folder / "vectors.npy", allow_pickle=False),
                   tuple(read_json(folder / "vocabulary.json")),
                   np.load(folder / "counts.npy", allow_pickle=False),
                   read_json(folder / "metrics.json"))


@dataclass(frozen=True)
class CompressedVectors:
    """Word vectors through the embedding VAE's encoder.

    Args:
        vectors: float32 [vocabulary, latent]; posterior means.
        network: The embedding VAE.
    """

    vectors: np.ndarray
    network: TrainedNetwork

    def __post_init__(self) -> None:
        check_array("CompressedVectors", "vectors", self.vectors, np.float32, "vocabulary, latent", (None, None))

    @property
    def metrics(self) -> dict[str, Any]:
        """What the embedding VAE measured."""
        return self.network.metrics

    def save(self, folder: Path) -> None:
        """Write ``vectors.npy`` beside the network's files."""
        np.save(folder / "vectors.npy", self.vectors, allow_pickle=False)
        self.network.save(folder)

    @classmethod
    def load(cls, folder: Path) -> "CompressedVectors":
        """Read what ``save`` wrote."""
        return cls(np.load(folder / "vectors.npy", allow_pickle=False), TrainedNetwork.load(folder))


def write_word2vec(path: Path, vocabulary: Sequence[str], vectors: np.ndarray) -> None:
    """Write vectors, float32 [vocabulary, dim], in word2vec's text format; white space of tokens as ``SIGNS``."""
    with path.open("w", encoding="utf-8", errors="backslashreplace") as out:
        out.write(f"{len(vectors)} {vectors.shape[1]}\n")
        for token, row in zip(vocabulary, vectors, strict=True):
            out.write(f"{token.translate(SIGNS)} {' '.join(f'{number:.6g}' for number in row)}\n")
