"""What convert writes gives the run's own numbers where there is no textvae, and is there as a whole or not at all."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import textvae
from traded import SECRET, filled

import textvae as package
from textvae import nn
from textvae.data import WordVectors
from textvae.data.vectors import SIGNS
from textvae.errors import InputError, TextvaeError
from textvae.formats import files, folder, vectors
from textvae.store import Store
from textvae.text import tokenizer

FAMILIES: dict[str, dict[str, Any]] = {
    "gru": {"encoder": "gru", "encoder_layers": 2, "bidirectional": True, "layer_norm": True, "skip": True},
    "conv": {"encoder": "conv", "encoder_layers": 2, "layer_norm": True, "decoder": "gru"},
    "labels": {"posterior": "full", "prior": "vamp", "labels": ["a=b", "a=c"]},
    "vmf": {"posterior": "vmf", "weight_drop": 0.3, "bidirectional": True},
    "categorical": {"posterior": "categorical"},
    "mean_gamma": {"mean_gamma": 0.6},
}


def network(**settings: Any) -> Any:
    """A tiny sequence VAE all of whose weights matter."""
    built = nn.NETWORKS["sequence_vae"](**{"vocabulary": 30, "embedding": 5, "hidden": 6, "latent": 3, "max_length": 7,
                                           "seed": 1, **settings})
    rng = np.random.default_rng(5)
    for variable in built.weights:
        variable.assign(np.abs(np.asarray(variable) + rng.normal(0, 0.3, variable.shape))
                        if variable.path.endswith("variance") else
                        np.asarray(variable) + rng.normal(0, 0.3, variable.shape))
    return built


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return filled(tmp_path_factory.mktemp("home") / "models")


@pytest.fixture(scope="module")
def made(home: Store) -> Path:
    """A run in every format, as the command writes it."""
    out = home.root / "blog-models"
    done = textvae("convert", "blog", "-o", str(out), "--store", str(home.root))
    assert done.code == 0, done.err
    return out


@pytest.fixture(scope="module")
def batch(home: Store) -> tuple[np.ndarray, np.ndarray]:
    """Token ids of texts of different lengths, padded, and their posterior means as textvae gives them."""
    writer = package.open(home.folder)
    own = writer.ids(["the cat sat on the mat", "a dog", "the bird sang in the old tree"])
    ids = np.zeros((len(own), max(map(len, own))), np.int32)
    for row, sequence in enumerate(own):
        ids[row, :len(sequence)] = sequence
    return ids, writer.posterior(own)["mean"]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_loaded_again_as_it_was(family: str, tmp_path: Path):
    found = files.write(network(**FAMILIES[family]), tmp_path, ["keras"], seed=1)
    assert list(found) == ["encoder.keras", "decoder.keras"] and max(found.values()) <= files.TOLERANCE


def test_convolutions_have_no_part_that_onnx_lacks(tmp_path: Path):
    assert files.write(network(**FAMILIES["conv"]), tmp_path, ["onnx"], seed=1)["encoder.onnx"] <= files.TOLERANCE


def test_a_file_with_other_numbers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def wrong(graph: Any, path: Path) -> files.Loaded:
        graph.layers[-1].set_weights([weight + 0.001 for weight in graph.layers[-1].get_weights()])
        return files._keras(graph, path)

    monkeypatch.setitem(files.WRITERS, "keras", wrong)
    with pytest.raises(TextvaeError, match=r"encoder\.keras, loaded again, differs from the network by 0\.00"):
        files.write(network(), tmp_path, ["keras"], seed=1)


def test_the_saved_models_read_a_batch_of_different_lengths(made: Path, batch: tuple[np.ndarray, np.ndarray]):
    import tensorflow as tf

    ids, means = batch
    serve = tf.saved_model.load(str(made / "encoder.savedmodel")).signatures["serving_default"]
    np.testing.assert_allclose(serve(ids=tf.constant(ids))["mean"].numpy(), means, atol=1e-5)


def test_onnx_reads_a_batch_of_different_lengths_and_any_padding(made: Path, batch: tuple[np.ndarray, np.ndarray]):
    import onnxruntime

    ids, means = batch
    session = onnxruntime.InferenceSession(str(made / "encoder.onnx"))
    assert [item.name for item in (*session.get_inputs(), *session.get_outputs())] == ["ids", "mean"]
    for more in (0, 3):
        given = session.run(None, {"ids": np.pad(ids, ((0, 0), (0, more)))})[0]
        np.testing.assert_allclose(given, means, atol=1e-5)


KERAS = """
import json, sys
import keras, numpy as np
loaded = keras.saving.load_model("encoder.keras"), keras.saving.load_model("decoder.keras")
mean = np.asarray(loaded[0]({"ids": np.array(json.loads(sys.argv[1]), np.int32)})["mean"])
logits = loaded[1]({"z": mean, "tokens": np.ones((len(mean), 1), np.int32)})["logits"]
assert not [name for name in sys.modules if name.startswith("textvae")]
print(json.dumps([np.asarray(mean).tolist(), np.asarray(logits).tolist()]))
"""


def test_the_keras_files_load_without_textvae(home: Store, made: Path, batch: tuple[np.ndarray, np.ndarray]):
    ids, means = batch
    done = subprocess.run([sys.executable, "-c", KERAS, json.dumps(ids.tolist())], cwd=made, capture_output=True,
                          text=True, check=True)
    mean, logits = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(mean, means, atol=1e-5)
    writer = package.open(home.folder)
    first = [writer.token_nats([np.array([token], np.int32)], means[:1])[0][0] for token in (4, 5)]
    shares = np.array(logits)[0, 0] - np.log(np.sum(np.exp(np.array(logits)[0, 0])))
    np.testing.assert_allclose(-shares[[4, 5]], first, atol=1e-4)


def test_the_guides_ten_lines_write_what_textvae_writes(home: Store, made: Path, monkeypatch: pytest.MonkeyPatch):
    guide = (Path(__file__).parent.parent / "docs" / "guide.md").read_text(encoding="utf-8")
    (lines,) = [block for block in re.findall(r"^```python\n(.*?)^```", guide, re.S | re.M) if "onnxruntime" in block]
    monkeypatch.chdir(made.parent)
    names: dict[str, Any] = {}
    exec(lines, names)
    writer = package.open(home.folder)
    mean, _ = writer.encode(["the cat sat on the mat"])
    (wanted,) = writer.decode_ids(mean, seed=1)
    assert len(wanted) > 2 and [token for token in names["tokens"][1:] if token != 2] == wanted.tolist()


def test_words_and_vectors_are_those_of_the_run(home: Store, made: Path):
    from gensim.models import KeyedVectors

    words = (made / "words.txt").read_text(encoding="utf-8").splitlines()
    assert words[:4] == ["<pad>", "<s>", "</s>", "<unk>"] and "cat" in words
    loaded = KeyedVectors.load_word2vec_format(str(made / "compressed_vectors.txt"), binary=False)
    assert list(loaded.index_to_key) == words and loaded["cat"].tolist() == [1.0, 1.0]
    assert json.loads((made / "model.json").read_text())["special"]["end"] == words.index("</s>")


def test_every_token_of_bytes_is_one_line(tmp_path: Path):
    words = tokenizer.train(["The cat sat on the mat.", "one\x85two\u2028three\u2029"], level="bpe", vocabulary=300)
    lines = "".join(piece.translate(SIGNS) + "\n" for piece in (*words.pieces, "\x85", "\u2028", "\u2029"))
    assert len(lines.splitlines()) == words.size + 3
    assert len({piece.translate(SIGNS) for piece in map(chr, range(0x3000)) if piece.translate(SIGNS) != piece}) == 14
    WordVectors(np.ones((words.size, 2), np.float32), words.pieces, np.zeros(words.size, np.int64)).save(tmp_path)
    assert len((tmp_path / "vectors.txt").read_text(encoding="utf-8").splitlines()) == words.size + 1


def test_vectors_of_tokens_that_read_alike_are_those_of_the_first(tmp_path: Path):
    own = np.array([[1.0, 2.0], [3.0, 4.0], [0.1234567, 6.0]], np.float32)
    assert vectors.write(tmp_path / "v.txt", ["␣a", " a", "b"], own) < 1e-6
    assert (tmp_path / "v.txt").read_text(encoding="utf-8").splitlines() == ["2 2", "␣a 1 2", "b 0.123457 6"]


def test_no_post_is_in_the_folder(made: Path):
    for path in made.rglob("*"):
        assert path.is_dir() or (SECRET.encode() not in path.read_bytes() and b"/home/me" not in path.read_bytes())


def test_a_folder_that_holds_something_is_left_as_it_is(home: Store, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    done = textvae("convert", "blog", "-o", str(tmp_path / "mine"), "--store", str(home.root))
    assert (done.code, done.out) == (1, "") and "is there already, and not empty" in done.err
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "notes.txt"]


def test_an_empty_folder_that_is_there_is_filled_and_stays_what_it_is(home: Store, tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    folder.convert(home, tmp_path / "link", formats=["card"])
    assert (tmp_path / "link").is_symlink() and [path.name for path in (tmp_path / "real").iterdir()] == ["README.md"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_what_fails_half_way_leaves_nothing(home: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "TOLERANCE", -1.0)
    with pytest.raises(TextvaeError, match="differs from the network"):
        folder.convert(home, tmp_path / "out", formats=["vectors", "keras"])
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty").mkdir()
    with pytest.raises(TextvaeError, match="differs from the network"):
        folder.convert(home, tmp_path / "empty", formats=["vectors", "keras"])
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_format_whose_packages_are_missing_is_left_out_unless_asked_for(home: Store, tmp_path: Path,
                                                                          monkeypatch: pytest.MonkeyPatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else real(name))
    with pytest.raises(InputError, match=r"onnx needs tf2onnx.*pip install 'textvae\[onnx\]'"):
        folder.convert(home, tmp_path / "out", formats=["onnx"])
    monkeypatch.setattr(folder, "FORMATS", ("onnx", "card"))
    assert folder.convert(home, tmp_path / "out").left_out == {"onnx": ["tf2onnx"]}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["README.md"]


def test_the_command(home: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (told,) = textvae("convert", "blog", "-o", "out", "--format", "vectors", "--format", "card", "--json", "--store",
                      str(home.root)).json
    assert (told["pipeline"], told["run"], told["folder"], told["left_out"]) == ("blog", 1, "out", {})
    assert sorted(told["files"]) == ["README.md", "compressed_vectors.txt", "tokenizer.json", "words.txt"]
    assert textvae("convert", "blog", "--format", "card", "--store", str(home.root)).out.startswith("---\n")
    assert textvae("convert", "blog", "--format", "onnx", "--store", str(home.root)).code == 2
    done = textvae("convert", "blog", "-o", "no/out", "--format", "card", "--store", str(home.root))
    assert done.code == 1 and "there is no folder no" in done.err
