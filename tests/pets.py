"""A small corpus of cats and dogs, and trainings of a tiny sequence VAE on it."""

from pathlib import Path

import numpy as np

from textvae.config import ConstraintConfig, SequenceVAEConfig
from textvae.data import CompressedVectors, Tokens, TrainedNetwork, WordVectors
from textvae.progress import Progress
from textvae.stages import sequence_vae

NEAR = ConstraintConfig(name="cats", label="pet=cat", threshold=0.1, weight=1.0)
FAR = ConstraintConfig(name="away", keyword="dog", kind="far", threshold=9.0, weight=1.0, applies_to="all")
TINY = SequenceVAEConfig(hidden=12, latent=4, epochs=4, pretrain_epochs=1, warmup_epochs=2, batch_size=8, jit=False,
                         dropout=0.2, noise=0.2, beta=0.6, constraints=(NEAR, FAR))


def tokens() -> Tokens:
    """Forty posts of two sentences each, of cats and of dogs, in three widths of batch; every third post held out."""
    words = ["cat", "sat", "dog", "ran", "far", "home"]
    texts = [([4, 5, 8, 9] if i % 2 else [6, 7, 8, 9]) * (1 + i % 3) for i in range(80)]
    lengths = [len(text) for text in texts]
    return Tokens(ids=np.concatenate(texts).astype(np.int32), offsets=np.cumsum([0, *lengths]).astype(np.int64),
                  post=(np.arange(80) // 2).astype(np.int32), position=(np.arange(80) % 2).astype(np.int32),
                  split=np.array([(0, 0, 1)[i // 2 % 3] for i in range(80)], np.uint8),
                  post_ids=tuple(f"post-{i}" for i in range(40)),
                  post_labels=tuple(("pet=cat",) if i % 2 else () for i in range(40)),
                  tokenizer={"level": "whitespace", "size": 10, "words": words, "lowercase": False})


def vectors() -> tuple[WordVectors, CompressedVectors]:
    rng = np.random.default_rng(0)
    words = WordVectors(rng.normal(size=(10, 6)).astype("f4"), tuple("abcdefghij"), np.ones(10, np.int64))
    return words, CompressedVectors(words.vectors[:, :3].copy(), TrainedNetwork("embedding_vae", {}, {}))


def train(config, tokens, vectors, folder: Path, seed=1, progress=None, start=None) -> TrainedNetwork:
    folder.mkdir(exist_ok=True)
    return sequence_vae.run(config, tokens, *vectors, seed=seed, progress=progress or Progress(), scratch=folder,
                            start=start)


def same(one: TrainedNetwork, two: TrainedNetwork) -> bool:
    return all(np.array_equal(one.weights[path], two.weights[path]) for path in one.weights)


class Listener(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


class Killed(Listener):
    """Interrupts like Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def task(self, label, total=None):
        if f"epoch {self.epoch}/" in label:
            raise KeyboardInterrupt
        return super().task(label, total)
