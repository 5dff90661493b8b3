"""Stages that make tiny real artefacts in no time, in the place of the real ones."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from textvae import planning
from textvae.config import PipelineConfig, parse
from textvae.data import (
    SPLITS,
    Check,
    CompressedVectors,
    Corpus,
    Evaluation,
    Latents,
    Post,
    Start,
    Tokens,
    TrainedNetwork,
    WordVectors,
)
from textvae.stages.corpus import fingerprint
from textvae.stages.sequence_vae import SHAPED_BY


class Fakes:
    """The fake stages and what happened to them.

    Attributes:
        ran: The stages that ran, in order.
        found: What each found in its scratch folder, for a resumed one.
        halts: stage -> the exception that it raises half-way, once.
        salt: stage -> a number that its artefact depends on beside its key, as code that changed would do.
        starts: What each sequence VAE went on from; None for fresh weights.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ran: list[str] = []
        self.found: dict[str, list[str]] = {}
        self.halts: dict[str, BaseException] = {}
        self.salt: dict[str, int] = {}
        self.starts: list[Start | None] = []
        for name in _MAKERS:
            module: Any = ModuleType(f"textvae.stages.{name}")
            module.run = self._runner(name)
            module.fingerprint = fingerprint
            module.on_device = lambda config, choice: False
            module.SHAPED_BY = SHAPED_BY
            monkeypatch.setitem(sys.modules, module.__name__, module)
        # What a power cut would lose is tested nowhere; waiting for the disk would take most of these tests' time.
        monkeypatch.setattr("os.fsync", lambda handle: None)
        # No fake computes on tensors, so no backend need start.
        monkeypatch.setattr(planning, "STAGES", tuple(replace(row, tensors=False) for row in planning.STAGES))

    def take(self) -> list[str]:
        """The stages that ran since the last call."""
        ran, self.ran = self.ran, []
        return ran

    def _runner(self, name: str) -> Any:
        def run(config: Any, *inputs: Any, seed: int, progress: Any, scratch: Path, start: Start | None = None
                ) -> Any:
            self.ran.append(name)
            if name == "sequence_vae":
                self.starts.append(start)
            self.found[name] = sorted(path.name for path in scratch.iterdir() if path.name != ".began.json")
            (scratch / "checkpoint").write_text("epoch 1")
            if name in self.halts:
                raise self.halts.pop(name)
            earlier = [start.network] if start else []
            numbers = np.random.default_rng((seed, self.salt.get(name, 0), *map(_weight, (*inputs, *earlier))))
            return _MAKERS[name](config, numbers, *inputs)
        return run


class Judge:
    """A gate that says what it is told to, and remembers whom it compared."""

    def __init__(self) -> None:
        self.passes = True
        self.posts: list[list[str]] = []

    def compare(self, champion: Any, challenger: Any, posts: Sequence[Post], config: Any, *, seed: int
                ) -> list[Check]:
        self.posts.append([post.id for post in posts])
        return [Check("iw_nll", self.passes, 90.0, 91.0, "90.00 -> 91.00 nats")]


def folder_of_posts(folder: Path, **posts: str) -> Path:
    """Write one text file per post."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in posts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


def tiny(posts: Path, *overrides: str) -> PipelineConfig:
    """The settings of a pipeline called blog over a folder of posts."""
    return parse({"name": "blog", "corpus": {"path": str(posts)}}, overrides)


def _weight(artefact: Any) -> int:
    """A number that depends on an artefact's contents."""
    if isinstance(artefact, Corpus):
        return sum(post.text.__len__() * (1 + row) for row, post in enumerate(artefact.posts))
    if isinstance(artefact, Tokens):
        return int(artefact.ids.sum()) + artefact.vocabulary_size
    arrays = artefact.weights.values() if isinstance(artefact, TrainedNetwork) else [
        artefact.mean if isinstance(artefact, Latents) else artefact.vectors]
    return int(sum(np.abs(array).sum() * 1e6 for array in arrays))


def _corpus(config: Any, numbers: Any) -> Corpus:
    posts = tuple(Post(path.name, path.read_text(encoding="utf-8")) for path in sorted(Path(config.path).glob("*.txt")))
    return Corpus(posts, metrics={"posts": len(posts)})


def _tokens(config: Any, numbers: Any, corpus: Corpus) -> Tokens:
    own = [np.frombuffer(post.text.encode(), np.uint8).astype(np.int32) for post in corpus.posts]
    count = len(own)
    split = np.array([SPLITS.index("test") if post.id.startswith("held") else 0 for post in corpus.posts], np.uint8)
    return Tokens(np.concatenate(own), np.cumsum([0, *map(len, own)]).astype(np.int64),
                  np.arange(count, dtype=np.int32), np.zeros(count, np.int32), split,
                  tuple(post.id for post in corpus.posts), ((),) * count, {"size": config.vocabulary})


def _vectors(config: Any, numbers: Any, tokens: Tokens) -> WordVectors:
    return WordVectors(numbers.random((4, config.dim), np.float32), ("a", "b", "c", "d"), np.ones(4, np.int64))


def _compressed(config: Any, numbers: Any, vectors: WordVectors) -> CompressedVectors:
    return CompressedVectors(numbers.random((4, config.latent), np.float32), _network(config, numbers))


def _network(config: Any, numbers: Any, *inputs: Any) -> TrainedNetwork:
    return TrainedNetwork("fake", {}, {"kernel": numbers.random((2, 2), np.float32)}, {"loss": numbers.random()})


def _latents(config: Any, numbers: Any, tokens: Tokens, network: TrainedNetwork) -> Latents:
    return Latents(numbers.random((len(tokens), 2), np.float32), np.zeros((len(tokens), 2), np.float32))


def _evaluation(config: Any, numbers: Any, *inputs: Any) -> Evaluation:
    return Evaluation({"kl": {"value": numbers.random()}}, {}, "<html></html>")


_MAKERS: dict[str, Any] = {
    "corpus": _corpus, "tokens": _tokens, "word_vectors": _vectors, "embedding_vae": _compressed,
    "sequence_vae": _network, "latents": _latents, "latent_transformer": _network, "word_transformer": _network,
    "language_model": _network, "autoencoder": _network,
    "evaluation": _evaluation,
}
