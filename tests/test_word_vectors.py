"""The word_vectors stage: rows by id, meaning, repeatability across processes."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textvae.config import WordVectorsConfig
from textvae.data import UNKNOWN, Tokens
from textvae.errors import ConfigError
from textvae.meter import Meter
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


CONFIG = WordVectorsConfig(engine="gensim", dim=8, epochs=8)


@pytest.mark.parametrize(("engine", "algorithm"), [("gensim", "skip-gram"), ("gensim", "cbow"), ("keras", "skip-gram")])
def test_words_of_one_kind_are_near_and_rows_follow_the_ids(tmp_path: Path, engine: str, algorithm: str) -> None:
    found = word_vectors.run(WordVectorsConfig(engine=engine, dim=8, epochs=100, algorithm=algorithm), tokens(), seed=1,
                             progress=Progress(), scratch=tmp_path)
    assert found.metrics["engine"] == engine
    assert found.vocabulary == ("<pad>", "<s>", "</s>", "<unk>", *WORDS)
    assert found.vectors.shape == (14, 8)
    zero = [row for row in range(14) if not found.vectors[row].any()]
    assert zero == [0, 1, 2, UNKNOWN, 12, 13]  # the special tokens, "never", and "test" of the test split
    assert found.counts.sum() == 2400 == found.metrics["tokens"] and found.counts[zero].sum() == 0
    assert found.metrics["covered"] == 8 and found.metrics["vocabulary"] == 14
    unit = found.vectors[4:12] / np.linalg.norm(found.vectors[4:12], axis=1, keepdims=True)
    near = unit @ unit.T
    assert near[:4, :4].min() > near[:4, 4:].max()


@pytest.mark.parametrize("engine", ["gensim", "keras"])
def test_another_seed_gives_other_vectors(tmp_path: Path, engine: str) -> None:
    config = WordVectorsConfig(engine=engine, dim=8, epochs=2)
    for seed in (1, 2):
        (tmp_path / str(seed)).mkdir()
    one, two = (word_vectors.run(config, tokens(), seed=seed, progress=Progress(), scratch=tmp_path / str(seed)).vectors
                for seed in (1, 2))
    assert not np.array_equal(one, two)


def test_auto_is_keras_where_a_gpu_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def engine(algorithm: str = "skip-gram") -> str:
        config = WordVectorsConfig(dim=4, epochs=1, algorithm=algorithm)
        return word_vectors.run(config, tokens(40), seed=1, progress=Progress(), scratch=tmp_path).metrics["engine"]

    import keras

    assert keras.ops.convert_to_tensor(0.0) is not None, "a backend runs"
    assert engine() == "gensim"
    monkeypatch.setattr(word_vectors, "on_gpu", lambda: True)
    assert (engine(), engine("cbow")) == ("keras", "gensim")


def test_a_backend_starts_only_where_it_may_be_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    auto, gensim, keras, cbow = (WordVectorsConfig(engine=engine, algorithm=algorithm) for engine, algorithm in (
        ("auto", "skip-gram"), ("gensim", "skip-gram"), ("keras", "skip-gram"), ("auto", "cbow")))
    monkeypatch.setattr(sys, "platform", "linux")
    for signs, there in (((), False), (("/",), True)):
        monkeypatch.setattr(word_vectors, "GPU_SIGNS", signs)
        assert [word_vectors.on_device(auto, choice) for choice in ("auto", "cpu", "gpu")] == [there, False, True]
        assert [word_vectors.on_device(config, "auto") for config in (gensim, keras, cbow)] == [False, True, False]


def test_gensim_starts_no_backend(tmp_path: Path) -> None:
    code = ("import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]); import test_word_vectors as t\n"
            "from textvae.stages import word_vectors\n"
            "word_vectors.run(t.CONFIG, t.tokens(), seed=7, progress=t.Progress(), scratch=Path(sys.argv[1]))\n"
            "print(*sorted({'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)], check=True,
                          capture_output=True, text=True)
    assert done.stdout.strip() == ""


def test_keras_does_not_offer_cbow(tmp_path: Path) -> None:
    config = WordVectorsConfig(engine="keras", algorithm="cbow")
    with pytest.raises(ConfigError, match=r"word_vectors\.engine keras.*cbow.*to gensim"):
        word_vectors.run(config, tokens(40), seed=1, progress=Progress(), scratch=tmp_path)
    with pytest.raises(ConfigError, match="cbow"):
        word_vectors.on_device(config, "auto")


def test_a_killed_training_with_keras_ends_as_one_that_was_not(tmp_path: Path) -> None:
    class Killed(Progress):
        """Stops the job when its third epoch begins."""

        def task(self, label: str, total: int | None = None) -> Any:
            if "epoch 3/" in label:
                raise KeyboardInterrupt
            return super().task(label, total)

    config = WordVectorsConfig(engine="keras", dim=8, epochs=4)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    expected = word_vectors.run(config, tokens(), seed=3, progress=Progress(), scratch=whole).vectors
    with pytest.raises(KeyboardInterrupt):
        word_vectors.run(config, tokens(), seed=3, progress=Killed(), scratch=parts)
    resumed = word_vectors.run(config, tokens(), seed=3, progress=Progress(), scratch=parts).vectors
    np.testing.assert_array_equal(resumed, expected)


def test_both_engines_tell_how_many_tokens_they_worked_on(tmp_path: Path) -> None:
    for engine in ("gensim", "keras"):
        (tmp_path / engine).mkdir()
        meter = Meter(Progress())
        config = WordVectorsConfig(engine=engine, dim=4, epochs=3)
        word_vectors.run(config, tokens(100), seed=1, progress=meter, scratch=tmp_path / engine)
        assert meter.usage()["tokens"] == 3 * 600


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
