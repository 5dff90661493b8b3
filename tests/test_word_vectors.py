"""The word_vectors stage: rows by id, meaning, repeatability across processes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from textvae.config import WordVectorsConfig
from textvae.data import UNKNOWN, Tokens
from textvae.progress import Progress
from textvae.stages import word_vectors
from textvae.text.words import WordTokenizer

WORDS = ("cat", "dog", "sat", "ran", "pear", "plum", "ripe", "sour", "never", "test")


def tokens(sentences: int = 400) -> Tokens:
    """Animals that move and fruits that taste, never mixed; "test" stands in the test split only."""
    words = WordTokenizer("word", WORDS, False)
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS[:4] if n % 2 else WORDS[4:8], 6)) for n in range(sentences)]
    rows = [words.encode(text) for text in [*texts, "test cat zebra"]]
    ids = np.array([number for row in rows for number in row], np.int32)
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    count = len(rows)
    split = np.zeros(count, np.uint8)
    split[-1] = 2
    return Tokens(ids, offsets, np.arange(count, dtype=np.int32), np.zeros(count, np.int32), split,
                  tuple(map(str, range(count))), ((),) * count, words.to_json())


CONFIG = WordVectorsConfig(dim=8, epochs=8)


@pytest.mark.parametrize("algorithm", ["skip-gram", "cbow"])
def test_words_of_one_kind_are_near_and_rows_follow_the_ids(tmp_path: Path, algorithm: str) -> None:
    found = word_vectors.run(WordVectorsConfig(dim=8, epochs=100, algorithm=algorithm), tokens(), seed=1,
                             progress=Progress(), scratch=tmp_path)
    assert found.vocabulary == ("<pad>", "<s>", "</s>", "<unk>", *WORDS)
    assert found.vectors.shape == (14, 8)
    zero = [row for row in range(14) if not found.vectors[row].any()]
    assert zero == [0, 1, 2, UNKNOWN, 12, 13]  # the special tokens, "never", and "test" of the test split
    assert found.counts.sum() == 2400 == found.metrics["tokens"] and found.counts[zero].sum() == 0
    assert found.metrics["covered"] == 8 and found.metrics["vocabulary"] == 14
    unit = found.vectors[4:12] / np.linalg.norm(found.vectors[4:12], axis=1, keepdims=True)
    near = unit @ unit.T
    assert near[:4, :4].min() > near[:4, 4:].max()


def test_another_seed_gives_other_vectors(tmp_path: Path) -> None:
    one, two = (word_vectors.run(CONFIG, tokens(), seed=seed, progress=Progress(), scratch=tmp_path).vectors
                for seed in (1, 2))
    assert not np.array_equal(one, two)


def test_two_processes_give_the_same_bytes(tmp_path: Path) -> None:
    code = ("import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]); import test_word_vectors as t\n"
            "from textvae.stages import word_vectors\n"
            "word_vectors.run(t.CONFIG, t.tokens(), seed=7, progress=t.Progress(), scratch=Path(sys.argv[1]))"
            ".save(Path(sys.argv[1]))")
    for salt in ("1", "2"):
        (tmp_path / salt).mkdir()
        subprocess.run([sys.executable, "-c", code, str(tmp_path / salt), str(Path(__file__).parent)], check=True,
                       env={**os.environ, "PYTHONHASHSEED": salt})
    names = {path.name for path in (tmp_path / "1").iterdir()}
    assert {"vectors.npy", "vectors.txt", "counts.npy"} <= names
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_sequences_longer_than_a_line_of_gensim_are_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_vectors, "LONGEST_LINE", 4)
    found = word_vectors.run(CONFIG, tokens(20), seed=1, progress=Progress(), scratch=tmp_path)
    lines = (tmp_path / "train.txt").read_text(encoding="ascii").splitlines()
    assert [len(line.split()) for line in lines] == [4, 2] * 20
    assert found.metrics["tokens"] == 120
