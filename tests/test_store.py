"""What is in the store is whole or not there, and a changed byte is found and named."""

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textvae import manifests
from textvae.data import Corpus, Evaluation, Latents, Post, Rejected, TrainedNetwork
from textvae.errors import LockedError, StoreError
from textvae.store import Problem, Store

PROPERTY = settings(max_examples=40, deadline=None, derandomize=True)


def latents(value: float = 0.0) -> Latents:
    return Latents(np.full((3, 2), value, np.float32), np.zeros((3, 2), np.float32), {"active_units": np.int64(2)})


ARTEFACTS = {
    "corpus": Corpus((Post("a", "One."), Post("b", "Two.", labels=("x=y",))), (Rejected("c", "empty"),), {"posts": 2}),
    "latents": latents(),
    "sequence_vae": TrainedNetwork("sequence_vae", {"latent": 2}, {"lstm/kernel": np.ones((2, 3), np.float32)},
                                   {"kl": 1.5}, ({"loss": 2.0}, {"loss": 1.0}), b"PNG"),
    "evaluation": Evaluation({"bleu": {"value": 1.0}}, {"samples": []}, "<html>é</html>"),
}


@dataclass(frozen=True)
class Files:
    """An artefact of plain files that fails before the one named in ``fails``."""

    contents: dict[str, bytes]
    fails: str = ""
    error: BaseException | None = None
    metrics: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        for name, content in self.contents.items():
            if name == self.fails and self.error is not None:
                (folder / name).write_bytes(content[:1])
                raise self.error
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)

    @classmethod
    def load(cls, folder: Path) -> "Files":
        return cls({name: (folder / name).read_bytes() for name in manifests.files(folder) if name != "manifest.json"})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models", "blog")


def left(store: Store) -> list[str]:
    """Everything in the pipeline's folder but the lock."""
    return [name for name in manifests.files(store.folder) if name != ".lock"]


@pytest.mark.parametrize("stage", ARTEFACTS)
def test_an_artefact_comes_back_equal_and_its_manifest_says_how_it_was_made(store: Store, stage: str):
    artefact = ARTEFACTS[stage]
    written = store.write(stage, "k1", artefact, config={"dim": 4, "paths": Path("a") and ("x",)}, seed=7, seconds=1.5)
    loaded = store.load(stage, "k1", type(artefact))
    assert loaded.metrics == artefact.metrics
    assert [np.array_equal(a, b) for a, b in zip(_arrays(loaded), _arrays(artefact), strict=True)].count(False) == 0
    manifest = store.manifest(stage, "k1")
    assert manifest == written
    assert manifest | {"stage": stage, "key": "k1", "config": {"dim": 4, "paths": ["x"]}, "seed": 7,
                       "seconds": 1.5} == manifest
    assert manifest["packages"]["textvae"] and manifest["python"].startswith("3.")
    assert {"made", "commit", "metrics", "content", "files"} <= manifest.keys()
    sizes = {path.name: path.stat().st_size for path in store.path(stage, "k1").iterdir()}
    del sizes["manifest.json"]
    assert {name: fact["size"] for name, fact in manifest["files"].items()} == sizes
    assert store.verify() == []


def _arrays(artefact: Any) -> list[np.ndarray]:
    values = vars(artefact).values()
    return [array for value in values for array in (value.values() if isinstance(value, dict) else [value])
            if isinstance(array, np.ndarray)]


def test_reading_what_is_whole_looks_at_no_other_record(store: Store, monkeypatch: pytest.MonkeyPatch):
    store.write("latents", "k1", latents(1))
    store.put("runs/0001.json", {"stages": {"latents": {"key": "k1"}}, "origin": {}})
    read: list[str] = []
    monkeypatch.setattr(Store, "get", lambda self, name: read.append(name))
    assert store.manifest("latents", "k1")["key"] == "k1" and store.load("latents", "k1", Latents).mean[0, 0] == 1
    assert read == []


def test_what_was_stored_first_stays(store: Store):
    first = store.write("latents", "k1", latents(1), seed=1)
    assert store.write("latents", "k1", latents(2), seed=2) == first
    assert store.load("latents", "k1", Latents).mean[0, 0] == 1


def test_replacing_swaps_other_bytes_and_keeps_equal_ones(store: Store):
    first = store.write("latents", "k1", latents(1), inputs={"tokens": "t1"})
    assert store.write("latents", "k1", latents(1), replace=True, inputs={"tokens": "t1"}) == first
    assert store.write("latents", "k1", latents(1), replace=True, inputs={"tokens": "t2"}) != first
    second = store.write("latents", "k1", latents(2), replace=True, inputs={"tokens": "t1"})
    assert second["content"] != first["content"]
    assert store.load("latents", "k1", Latents).mean[0, 0] == 2
    assert store.verify() == [] and not list((store.folder / "tmp").iterdir())


def test_replacing_mends_a_damaged_artefact(store: Store):
    store.write("latents", "k1", latents(1))
    (store.path("latents", "k1") / "mean.npy").write_bytes(b"")
    store.write("latents", "k1", latents(1), replace=True)
    assert store.verify() == []


def test_an_open_memory_map_outlives_a_replacement(store: Store):
    store.write("latents", "k1", latents(1))
    reading = store.load("latents", "k1", Latents)
    store.write("latents", "k1", latents(2), replace=True)
    assert reading.mean[0, 0] == 1


def meanwhile(happens: Callable[[], Any]) -> Any:
    """A type of artefacts of which the first is read just when something happens to it."""
    class Meanwhile(Latents):
        times = 0

        @classmethod
        def load(cls, folder: Path) -> Latents:
            cls.times += 1
            loaded = Latents.load(folder)
            if cls.times == 1:
                happens()
            return loaded

    return Meanwhile


def test_what_is_replaced_while_it_is_read_is_read_again(store: Store):
    store.write("latents", "k1", latents(1))
    type_ = meanwhile(lambda: store.write("latents", "k1", latents(2), replace=True))
    assert store.load("latents", "k1", type_).mean[0, 0] == 2 and type_.times == 2


def test_what_is_removed_while_it_is_read_is_told_to_be_gone(store: Store):
    store.write("latents", "k1", latents(1))
    with pytest.raises(StoreError, match="holds no latents k1"):
        store.load("latents", "k1", meanwhile(lambda: store.remove("latents", "k1")))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with one artefact of each kind; whoever changes it puts it back."""
    store = Store(tmp_path_factory.mktemp("filled"), "blog")
    for name, artefact in ARTEFACTS.items():
        store.write(name, "k1", artefact, config={"note": "two  blanks, a slash / and é"})
    return store


@PROPERTY
@given(stage=st.sampled_from(sorted(ARTEFACTS)), data=st.data())
def test_a_flipped_bit_in_any_file_is_found_and_named(filled: Store, stage: str, data: st.DataObject):
    folder = filled.path(stage, "k1")
    path = folder / data.draw(st.sampled_from(manifests.files(folder)))
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(flipped)
    try:
        assert [problem.path for problem in filled.verify()] == [path]
        with pytest.raises(StoreError) as caught:
            filled.load(stage, "k1", type(ARTEFACTS[stage]))
        assert str(path) in caught.value.message and f"textvae run blog --force {stage}" in caught.value.hint
    finally:
        path.write_bytes(whole)
    assert filled.verify() == []


@PROPERTY
@given(contents=st.dictionaries(st.sampled_from(["a", "b.txt", "c/d", "e"]), st.binary(max_size=50), min_size=1),
       data=st.data())
def test_any_files_come_back_and_a_missing_cut_or_extra_one_is_named(contents: dict[str, bytes], data: st.DataObject):
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), "blog")
        store.write("tokens", "k1", Files(contents))
        assert store.load("tokens", "k1", Files).contents == contents
        name = data.draw(st.sampled_from(sorted(contents)))
        path = store.path("tokens", "k1") / name
        harm = data.draw(st.sampled_from(["gone", "longer", "extra", "folder"]))
        if harm == "longer":
            path.write_bytes(contents[name] + b"!")
        elif harm == "extra":
            path = path.with_name("notes.txt")
            path.symlink_to("nowhere")
        else:
            path.unlink()
            if harm == "folder":
                path.mkdir()
        assert [problem.path for problem in store.check("tokens", "k1")] == [path]
        with pytest.raises(StoreError, match=str(path)):
            store.load("tokens", "k1", Files)


@pytest.mark.parametrize("content", [b"", b"{", b"[]\n", b"null\n", b"\xff\xfe"])
def test_a_damaged_manifest_is_named(store: Store, content: bytes):
    store.write("latents", "k1", latents())
    path = store.path("latents", "k1") / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"manifest.json is damaged"):
        store.load("latents", "k1", Latents)
    assert [problem.path for problem in store.verify()] == [path]
    path.unlink()
    assert store.verify() == [Problem(path, "is missing")]


def test_whole_files_that_this_version_cannot_read_are_told(store: Store):
    store.write("latents", "k1", Files({"mean.npy": b"no array"}))
    with pytest.raises(StoreError, match="is whole but this version of textvae cannot read it"):
        store.load("latents", "k1", Latents)


def test_an_artefact_that_is_not_there_is_told(store: Store):
    with pytest.raises(StoreError, match=r"holds no latents k1.*textvae run blog"):
        store.manifest("latents", "k1")
    with pytest.raises(StoreError, match="holds no latents k1"):
        store.load("latents", "k1", Latents)
    assert not store.folder.exists(), "reading makes no folders"


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a\nb", "a:b"])
def test_a_pipeline_name_that_is_no_folder_name_is_refused(tmp_path: Path, name: str):
    with pytest.raises(StoreError, match="cannot be the name of a pipeline"):
        Store(tmp_path, name)


@PROPERTY
@given(names=st.lists(st.sampled_from("abcdef"), min_size=1, unique=True), data=st.data(), again=st.booleans())
def test_a_write_that_is_interrupted_anywhere_never_becomes_visible(names: list[str], data: st.DataObject, again: bool):
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), "blog")
        if again:
            store.write("tokens", "k1", Files({"old": b"old"}))
        error = data.draw(st.sampled_from([KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device"),
                                           ValueError("a bug"), OSError("an HDF5 without a number")]))
        halting = Files(dict.fromkeys(names, b"xyz"), fails=data.draw(st.sampled_from(names)), error=error)
        with pytest.raises(StoreError if isinstance(error, OSError) else type(error)):
            store.write("tokens", "k1", halting, replace=True)
        assert store.has("tokens", "k1") is again
        assert store.verify() == []
        assert left(store) == (["tokens/k1/manifest.json", "tokens/k1/old"] if again else [])
        store.write("tokens", "k1", Files(halting.contents), replace=True)
        assert store.load("tokens", "k1", Files).contents == halting.contents


def test_a_full_disk_says_where_and_how_much_is_free(store: Store):
    full = Files({"a": b"1", "b": b"2"}, fails="b", error=OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(StoreError) as caught:
        store.write("tokens", "k1", full)
    assert "the disk is full" in caught.value.message and str(store.folder) in caught.value.message
    assert "MB free" in caught.value.message and "textvae prune" in caught.value.hint


def test_a_root_that_is_a_file_is_told(tmp_path: Path):
    (tmp_path / "models").write_text("not a folder")
    with pytest.raises(StoreError, match="cannot lock"):
        Store(tmp_path / "models", "blog").write("latents", "k1", latents())


def test_others_may_read_what_was_written(store: Store):
    before = os.umask(0o027)
    try:
        store.write("latents", "k1", Files({"private": b"", "sub/file": b""}))
    finally:
        os.umask(before)
    folder = store.path("latents", "k1")
    assert {oct(path.stat().st_mode & 0o777) for path in folder.rglob("*") if path.is_file()} == {"0o640"}
    assert {oct(path.stat().st_mode & 0o777) for path in (folder, folder / "sub")} == {"0o750"}


def test_scratch_survives_until_the_artefact_is_stored(store: Store):
    checkpoint = store.scratch("latents", "k1") / "checkpoint"
    checkpoint.write_text("epoch 3")
    with store.lock():  # a later process tidies up; checkpoints stay
        assert store.scratch("latents", "k1") == checkpoint.parent and checkpoint.read_text() == "epoch 3"
    store.write("latents", "k1", latents())
    assert not checkpoint.parent.exists()


def test_the_next_lock_tidies_up_after_a_killed_writer(store: Store):
    store.write("latents", "k1", latents(1))
    half = store.folder / "tmp" / "latents=k2=new"
    half.mkdir(parents=True)
    (half / "mean.npy").write_bytes(b"half")
    store.path("latents", "k1").rename(store.folder / "tmp" / "latents=k1=old")  # killed between the two renames
    (problem,) = store.verify()
    assert str(problem).startswith(f"{store.path('latents', 'k1')}: was put aside by a writer that was killed")
    assert "textvae prune blog --keep 9 --dry-run" in problem.what
    with Store(store.root, "blog").lock():
        pass
    assert store.load("latents", "k1", Latents).mean[0, 0] == 1 and store.verify() == []
    assert not list((store.folder / "tmp").iterdir()) and store.artefacts() == [("latents", "k1")]


def test_a_replacement_that_fails_half_way_leaves_the_old_one(store: Store, monkeypatch: pytest.MonkeyPatch):
    store.write("latents", "k1", latents(1))
    rename = os.rename

    def failing(source: Path, target: Path) -> None:
        if source.name.endswith("=new"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source))
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    for key in ("k1", "k2"):
        with pytest.raises(StoreError, match="the disk is full"):
            store.write("latents", key, latents(2), replace=True)
        assert store.load("latents", "k1", Latents).mean[0, 0] == 1 and store.artefacts() == [("latents", "k1")]


def test_a_stray_file_among_what_is_half_written_stops_nobody(store: Store, tmp_path: Path):
    store.write("latents", "k1", latents(1))
    (tmp_path / "elsewhere").mkdir()
    for name in (".DS_Store", "latents=k2=old"):
        (store.folder / "tmp" / name).write_text("x")
    (store.folder / "tmp" / "link").symlink_to(tmp_path / "elsewhere")
    store.write("latents", "k2", latents(2))
    assert not list((store.folder / "tmp").iterdir()) and store.verify() == [] and (tmp_path / "elsewhere").is_dir()


def test_removing(store: Store):
    store.write("latents", "k1", latents())
    store.write("latents", "k2", latents())
    store.remove("latents", "k1")
    assert store.artefacts() == [("latents", "k2")] and store.keys("latents") == ["k2"]
    assert not store.path("latents", "k1").exists() and not list((store.folder / "tmp").iterdir())


def test_records_come_back_and_a_changed_one_is_found(store: Store):
    store.put("runs/0001.json", {"number": 1, "loss": float("nan")})
    assert store.get("runs/0001.json") == {"number": 1, "loss": None}
    path = store.folder / "runs" / "0001.json"
    path.write_text(path.read_text().replace("1", "2", 1))
    with pytest.raises(StoreError, match=r"0001.json is damaged"):
        store.get("runs/0001.json")
    with pytest.raises(StoreError, match=r"cannot read .*0002.json"):
        store.get("runs/0002.json")


HOLD = """
import sys, time
from pathlib import Path
from textvae.store import Store
with Store(Path(sys.argv[1]), "blog").lock():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_told_who_is_writing_and_readers_never_wait(store: Store):
    store.write("latents", "k1", latents())
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(store.root)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=f"is being written by process {other.pid} on ") as caught:
            store.write("latents", "k2", latents())
        assert caught.value.exit_code == 75
        assert store.load("latents", "k1", Latents) and store.verify() == []
        Store(store.root, "other").write("latents", "k1", latents())  # the lock is per pipeline
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert other.stdout is not None
        other.stdout.close()
    store.write("latents", "k2", latents())  # a killed holder holds nothing
    assert not (store.folder / ".lock.json").exists()


def _write_many(root: str, writer: int) -> None:
    store, turn = Store(Path(root), "blog"), 0
    while True:
        turn += 1
        try:
            store.write("latents", f"k{turn % 3}", latents(turn), replace=True, seed=turn)
        except LockedError:
            time.sleep(0.001)


def _since(store: Store) -> int:
    return (store.folder / "latents").stat().st_mtime_ns


def test_writers_killed_at_any_moment_leave_a_whole_store(store: Store):
    context = multiprocessing.get_context("spawn")
    for key in ("k0", "k1", "k2"):
        store.write("latents", key, latents(), seed=0)
    for turn in range(3):
        before, patience = _since(store), time.monotonic() + 30
        writers = [context.Process(target=_write_many, args=(str(store.root), writer)) for writer in (1, 2)]
        for writer in writers:
            writer.start()
        while _since(store) == before and time.monotonic() < patience:
            time.sleep(0.01)
        time.sleep(0.1 + turn * 0.013)
        for writer in writers:
            writer.kill()
            writer.join()
        assert _since(store) != before, "the writers never wrote"
        with store.lock():
            pass
        assert store.keys("latents") == ["k0", "k1", "k2"]
        assert store.verify() == []
        for key in store.keys("latents"):
            assert store.load("latents", key, Latents).mean[0, 0] == store.manifest("latents", key)["seed"]


def test_the_manifest_is_readable_json(store: Store):
    store.write("latents", "k1", latents(), config={"name": "blog"})
    text = (store.path("latents", "k1") / "manifest.json").read_text()
    assert list(json.loads(text))[:3] == ["stage", "key", "config"] and text.endswith("}\n")
