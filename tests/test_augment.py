"""Augmenting labelled tables, and reading and writing them."""

import json
from types import SimpleNamespace

import networks
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from textvae.errors import InputError
from textvae.writing import frames
from textvae.writing.augment import CANDIDATES, VARIED_FROM, augment
from textvae.writing.conditions import Conditions
from textvae.writing.found import Variation
from textvae.writing.model import Model


class Scripted:
    """Knows one label, and one region of another; writes a text and a number, the first of three of the other mood."""

    labels = ("mood=good",)
    known = SimpleNamespace(names=("mood=bad", "mood=fair"))
    constraints = ({"name": "sad", "kind": "near", "label": "mood=bad"},)
    max_length = 6
    tokenizer = SimpleNamespace(encode=str.split)
    too_long = Model.too_long

    def __init__(self):
        self.asked = []

    @staticmethod
    def features(texts):
        return np.array([["good" in text, "bad" in text] for text in texts], float).reshape(-1, 2)

    def vary_many(self, texts, n, **asked):
        self.asked.append(asked)
        other = {"good": "bad", "bad": "good"}
        return [[Variation(text, " ".join(other.get(word, word) if i % 3 == 0 else word for word in text.split())
                           + f" {i}", 0.0, -1.0, {}, 1, "") for i in range(n)] for text in texts]


ROWS = pd.DataFrame({"id": ["7", "8", "9", "10"], "mood": ["good", "bad", "good", "bad"],
                     "text": ["good food here", "bad food here", "", "bad staff and a very very long wait"]})


def test_rows_stay_and_variations_keep_their_label():
    writer = Scripted()
    done = augment(writer, ROWS, text="text", label="mood", n=2, seed=1)
    pd.testing.assert_frame_equal(done.frame.iloc[:4].drop(columns=VARIED_FROM), ROWS)
    assert (done.frame[VARIED_FROM][:4] == "").all()
    assert done.frame.iloc[4:].to_dict("records") == [
        {"id": id, "mood": mood, "text": f"{mood} food here {i}", VARIED_FROM: row}
        for id, mood, row in (("7", "good", "1"), ("8", "bad", "2")) for i in (1, 2)]
    assert done.written == 4 and done.asked == 8 and done.doubtful == 4 and set(done.left) == {3, 4}
    assert "8 tokens" in done.left[4] and all(asked["candidates"] == CANDIDATES for asked in writer.asked)
    assert [(asked["label"], asked["conditions"]) for asked in writer.asked] == [
        ("mood=good", Conditions()), (None, Conditions(constraints=("sad",), judged=("mood=bad",)))]
    plain = augment(Scripted(), ROWS, text="text", n=3, seed=1)
    assert plain.written == 6 and plain.doubtful == 0


def test_variations_that_another_label_fits_better_may_have_that_one():
    rows = ROWS.assign(mood=[1, 0, 1, 0])  # as the table has them, and not as text
    done = augment(Scripted(), rows, text="text", label="mood", n=3, relabel=True, seed=1)
    new = done.frame.iloc[4:]
    assert list(zip(new["text"], new["mood"], strict=True)) == [
        ("bad food here 0", 0), ("good food here 1", 1), ("good food here 2", 1),
        ("good food here 0", 1), ("bad food here 1", 0), ("bad food here 2", 0)]
    assert done.doubtful == 2 and done.frame["mood"].tolist()[:4] == [1, 0, 1, 0]
    with pytest.raises(InputError, match="no label to give anew"):
        augment(Scripted(), ROWS, text="text", relabel=True, seed=1)


def test_rows_without_a_label_are_varied_and_teach_nothing():
    rows = pd.concat([ROWS, pd.DataFrame({"id": ["11", "12"], "mood": ["", None], "text": ["good bad food", None]})],
                     ignore_index=True)
    writer = Scripted()
    done = augment(writer, rows, text="text", label="mood", n=3, relabel=True, seed=1)
    new = done.frame.iloc[6:]
    assert new[new[VARIED_FROM] == "5"][["text", "mood"]].to_numpy().tolist() == [
        ["bad good food 0", ""], ["good bad food 1", ""], ["good bad food 2", ""]]
    assert set(done.left) == {3, 4, 6} and done.doubtful == 2  # "nan" is no text
    assert not {"label", "conditions"} & writer.asked[-1].keys()


def test_a_model_makes_latents_of_a_text_and_the_mean_of_its_tokens_by_their_rarity():
    writer = networks.writer()
    text = "the cat sat"
    (ids,), vectors = writer.ids([text]), np.asarray(writer.network.embedding.embeddings)
    (found,) = writer.features([text])
    np.testing.assert_allclose(found[:3], writer.encode([text])[0][0], atol=1e-6)
    np.testing.assert_allclose(found[3:], vectors[ids].mean(axis=0), atol=1e-6)  # of a corpus that nobody counted
    writer.pairs = SimpleNamespace(rarity=np.where(np.arange(len(vectors)) == ids[1], 5.0, 0.0))
    np.testing.assert_allclose(writer.features([text])[0, 3:], vectors[ids[1]], atol=1e-3)
    long = " ".join(["cat"] * 30)
    np.testing.assert_array_equal(writer.features([long]), writer.features([" ".join(["cat"] * writer.max_length)]))
    assert writer.features([]).shape == (0, 11) and found.dtype == np.float32


def test_tables_that_cannot_be_augmented_are_refused():
    for frame, message in ((ROWS[:0], "has no rows"), (ROWS.drop(columns="text"), "no column 'text'"),
                           (ROWS.assign(varied_from=""), "a column 'varied_from' already")):
        with pytest.raises(InputError, match=message):
            augment(Scripted(), frame, text="text", seed=1)
    with pytest.raises(InputError, match="'text' cannot be both the texts and their labels"):
        augment(Scripted(), ROWS, text="text", label="text", seed=1)


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_tables_come_back_as_they_were(tmp_path, ending):
    frame = pd.DataFrame({"text": ["a, \"b\"\nc", "NA", "", "naïve", "-5"], "n": ["1", "null", "02", "", "+3.5"]})
    path = tmp_path / f"table.{ending}"
    assert frames.write(frame, path) == 0
    again, left = frames.read(path)
    assert left == []
    pd.testing.assert_frame_equal(again, frame, check_dtype=False)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_table_of_any_types_is_written(tmp_path, ending):
    given, out = tmp_path / "in.parquet", tmp_path / f"out.{ending}"
    pd.DataFrame({"text": pd.array(["a", None, "b"], dtype="string"), "n": pd.array([1, None, 3], dtype="Int64"),
                  "tags": [["x"], [], ["y", "z"]], "when": pd.to_datetime(["2020-01-02", None, "2021-01-01"]),
                  "share": [0.5, np.nan, 2.0], "ok": pd.array([True, None, False], dtype="boolean")}).to_parquet(given)
    frames.write(frames.read(given)[0], out)
    if ending == "csv":
        assert out.read_text().splitlines() == [
            "text,n,tags,when,share,ok", "a,1,['x'],2020-01-02 00:00:00,0.5,True", ",,[],,,",
            "b,3,\"['y', 'z']\",2021-01-01 00:00:00,2.0,False"]
    elif ending == "jsonl":
        assert list(map(json.loads, out.read_text().splitlines())) == [
            {"text": "a", "n": 1, "tags": ["x"], "when": "2020-01-02 00:00:00", "share": 0.5, "ok": True},
            {"text": None, "n": None, "tags": [], "ok": None},
            {"text": "b", "n": 3, "tags": ["y", "z"], "when": "2021-01-01 00:00:00", "share": 2.0, "ok": False}]
    else:
        pd.testing.assert_frame_equal(pd.read_parquet(out), pd.read_parquet(given))


def test_cells_that_a_spreadsheet_would_run_are_made_safe(tmp_path):
    frame = pd.DataFrame({"text": ["=1+1", "@sum(a)", "-x", "+y", "\tz", "a=b", "-5"]})
    assert frames.write(frame, tmp_path / "a.csv") == 5
    assert list(frames.read(tmp_path / "a.csv")[0]["text"]) == ["'=1+1", "'@sum(a)", "'-x", "'+y", "'\tz", "a=b", "-5"]
    assert frames.write(frame, tmp_path / "a.csv", raw=True) == 0
    assert list(frames.read(tmp_path / "a.csv")[0]["text"]) == list(frame["text"])
    assert frames.write(frame, tmp_path / "a.jsonl") == 0
    assert [json.loads(line)["text"] for line in (tmp_path / "a.jsonl").read_text().splitlines()] == list(frame["text"])


def test_bad_tables_say_what_is_wrong(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n3\n4,5\n", encoding="utf-8")
    frame, left = frames.read(tmp_path / "a.csv")
    assert frame.to_dict("list") == {"a": ["1", "4"], "b": ["2", "5"]}
    assert [(own.source, own.reason) for own in left] == [("a.csv: row 3", "1 cells where 2 columns are")]
    assert list(frames.read(tmp_path / "a.csv", ("x", "y"))[0]["x"]) == ["a", "1", "4"]
    (tmp_path / "a.jsonl").write_text('{"a": 1}\nno\n[2]\n', encoding="utf-8")
    frame, left = frames.read(tmp_path / "a.jsonl")
    assert frame.to_dict("list") == {"a": [1]} and len(left) == 2
    (tmp_path / "b.csv").write_text("a,a\n1,2\n", encoding="utf-8")
    (tmp_path / "c.parquet").write_bytes(b"no")
    (tmp_path / "d.csv").write_bytes(b"\x00\x01\x02" * 50)
    (tmp_path / "e.xls").touch()
    for name, message in (("b.csv", "two columns have one name"), ("c.parquet", "is no Parquet file"),
                          ("d.csv", "binary data"), ("e.xls", "no table that can be read"), ("g.csv", "no such file")):
        with pytest.raises(InputError, match=message):
            frames.read(tmp_path / name)
    with pytest.raises(InputError, match="two columns have one name"):
        frames.read(tmp_path / "a.csv", ("x", "x"))
    parquet.write_table(pa.Table.from_arrays([pa.array([1])] * 2, ["n", "n"]), tmp_path / "h.parquet")
    with pytest.raises(InputError, match="two columns have one name"):
        frames.read(tmp_path / "h.parquet")
    with pytest.raises(InputError, match=r"h\.parquet has names of columns"):
        frames.read(tmp_path / "h.parquet", ("n", "m"))
    with pytest.raises(InputError, match="no kind of table"):
        frames.write(frame, tmp_path / "f.xls")


def test_bytes_that_are_no_utf8_stay_as_they_are(tmp_path):
    given = "text,n\né é,1\ncaf".encode() + b"\xe9,2\n"
    path = tmp_path / "a.csv"
    path.write_bytes(given)
    path.chmod(0o600)
    (tmp_path / "link.csv").symlink_to(path)
    assert frames.write(frames.read(path)[0], tmp_path / "link.csv") == 0
    assert path.read_bytes() == given and path.stat().st_mode & 0o777 == 0o600 and (tmp_path / "link.csv").is_symlink()
    line = '{"text": "half \\ud83d", "n": 1}\n'
    (tmp_path / "a.jsonl").write_text(line)
    frame, _ = frames.read(tmp_path / "a.jsonl")
    frames.write(frame, tmp_path / "b.jsonl")
    assert (tmp_path / "b.jsonl").read_text() == line
    frames.write(frame, tmp_path / "b.json")
    assert json.loads((tmp_path / "b.json").read_text()) == [json.loads(line)]


@pytest.mark.parametrize(("name", "cells", "message"), [
    ("a.csv", ["\ud83d"], r"cannot hold '\\ud83d'"), ("a.parquet", ["\ud83d"], r"cannot hold '\\ud83d'"),
    ("a.parquet", [1, "b2"], "Could not convert 'b2'"), ("a.parquet", [2**70], "too large")])
def test_a_file_stays_where_another_cannot_be_written(tmp_path, name, cells, message):
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=message):
        frames.write(pd.DataFrame({"text": cells}, dtype=object), tmp_path / name)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        frames.write(ROWS, tmp_path / "folder.csv")
    assert (tmp_path / name).read_text() == "mine" and len(list(tmp_path.iterdir())) == 2


def test_whole_numbers_and_an_index_of_parquet_stay(tmp_path):
    frame = pd.DataFrame({"text": ["a", "b"], "n": pd.array([2**53 + 1, None], dtype="Int64")},
                         index=pd.Index([7, 8], name="id"))
    table = pa.Table.from_pandas(frame).replace_schema_metadata(None)  # as one that pandas did not write
    parquet.write_table(table, tmp_path / "n.parquet")
    frame.to_parquet(tmp_path / "id.parquet")
    for name in ("n", "id"):
        frames.write(frames.read(tmp_path / f"{name}.parquet")[0], tmp_path / "out.parquet")
        out = parquet.read_table(tmp_path / "out.parquet")
        assert out.to_pydict() == {"text": ["a", "b"], "n": [2**53 + 1, None], "id": [7, 8]}
        assert out.schema.field("n").type == pa.int64()
