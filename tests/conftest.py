"""Fixtures that several test files share: stages that run in no time, a store and posts for them, and a tiny corpus."""

import os
from pathlib import Path

# Commands are run in this process, and must not choose NumPy for all that comes after them.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import networks
import pets
import pytest
from fake_stages import Fakes, Judge, folder_of_posts, tiny

from textvae import runs
from textvae.data import CompressedVectors, Tokens, TrainedNetwork, WordVectors
from textvae.evaluate import gate
from textvae.store import Store
from textvae.writing.writer import Writer

# Begun first, so that neither of two processes waits for the other at the end.
LONGEST = ("test_whole_pipeline", "test_overnight", "test_sequence_kinds", "test_sequence_vae", "test_precision")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    return Fakes(monkeypatch)


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Judge:
    judge = Judge()
    monkeypatch.setattr(gate, "compare", judge.compare)
    return judge


@pytest.fixture
def posts(tmp_path: Path) -> Path:
    return folder_of_posts(tmp_path / "posts", one="The first post.", two="The second.")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models", "blog")


@pytest.fixture
def three(fakes: Fakes, posts: Path, store: Store) -> Store:
    """A store with three runs that differ from the latents on; the third is current."""
    for size in (1, 2, 3):
        runs.execute(tiny(posts, f"latents.batch_size={size}"), store)
    return store


@pytest.fixture(scope="session")
def writer() -> Writer:
    """What it writes is noise, how it writes it is not."""
    return networks.writer(constraints=[{"name": "cats", "kind": "near", "threshold": 0.25},
                                        {"name": "away", "kind": "far", "threshold": 4.0}])


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return pets.tokens()


@pytest.fixture(scope="module")
def vectors() -> tuple[WordVectors, CompressedVectors]:
    return pets.vectors()


@pytest.fixture(scope="module")
def trained(tokens, vectors, tmp_path_factory) -> TrainedNetwork:
    return pets.train(pets.TINY, tokens, vectors, tmp_path_factory.mktemp("trained") / "scratch")
