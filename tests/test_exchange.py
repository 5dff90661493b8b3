"""A run goes out as one file and comes in elsewhere as it was; what a foreign hand changed is refused as a whole."""

import json
import shutil
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from commands import textvae
from hypothesis import given, settings
from hypothesis import strategies as st
from traded import FACTS, SECRET, filled

import textvae as package
from textvae import manifests, runs, upkeep
from textvae.errors import StoreError, TextvaeError
from textvae.sharing import bundle, exchange, zipped
from textvae.sharing.exchange import receive, send
from textvae.store import Store


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store that runs are exported from; nobody changes it."""
    return filled(tmp_path_factory.mktemp("home") / "models")


@pytest.fixture(scope="module")
def whole(home: Store) -> Path:
    """A run as ``export`` writes it."""
    path = home.root / "run.zip"
    with zipped.written(path) as target:
        send(home, target)
    return path


def take(file: Path, root: Path, **options: Any) -> exchange.Received:
    with zipped.opened(file) as source:
        return receive(source, root, **options)


def entries(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def spoilt(file: Path, to: Path, change: Callable[[dict[str, bytes], dict[str, Any]], None]) -> Path:
    """A copy with other contents, whose index is sealed again as whoever means harm would do."""
    files = entries(file)
    index = json.loads(files.pop(bundle.INDEX))
    change(files, index)
    index.pop("seal", None)
    with zipfile.ZipFile(to, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
        packed.writestr(bundle.INDEX, manifests.seal(index))
    return to


def renamed(files: dict[str, bytes], index: dict[str, Any], stage: str, contents: dict[str, bytes]) -> None:
    """Give an artefact other files, with all that must agree about them."""
    manifest = index["manifests"][stage]
    for file in manifest["files"]:
        del files[f"{stage}/{manifest['content'][:16]}/{file}"]
    manifest["files"] = {name: {"sha256": manifests.hashlib.sha256(content).hexdigest(), "size": len(content)}
                         for name, content in contents.items()}
    manifest["content"] = manifests.content(manifest["files"])
    index["run"]["stages"][stage]["content"] = manifest["content"]
    files |= {f"{stage}/{manifest['content'][:16]}/{name}": content for name, content in contents.items()}


def contents(file: Path, stage: str) -> dict[str, bytes]:
    """The files of a stage in a zip file."""
    return {name.rpartition("/")[2]: content for name, content in entries(file).items() if name.startswith(f"{stage}/")}


def nothing_visible(root: Path) -> bool:
    store = Store(root, "blog")
    return not store.artefacts() and not runs.numbers(store) and not (store.folder / "current").exists()


def test_a_run_comes_back_and_writes_the_same(home: Store, whole: Path, tmp_path: Path):
    received = take(whole, tmp_path)
    run, store = received.run, Store(tmp_path, "blog")
    assert received.recorded and received.current and (run.number, run.replaced, run.why) == (1, None, "first")
    assert list(run.stages) == ["tokens", "embedding_vae", "sequence_vae", "evaluation"]
    assert upkeep.verify(store) == [] and runs.current(store) == run
    assert run.origin["from"] == str(whole) and run.origin["left_out"] == ["corpus", "latents"]
    there, here = (package.open(own.folder) for own in (home, store))
    met, common = there.pairs.met, here.pairs.met
    assert np.array_equal(common, met[met[:, 2] > 1]) and 0 < len(common) < len(met)
    assert there.latents is not None and here.latents is None
    here.pairs, here.latents = there.pairs, there.latents
    wanted = there.vary("the cat sat on the mat", 4, seed=1, temperature=1.0)
    assert wanted and here.vary("the cat sat on the mat", 4, seed=1, temperature=1.0) == wanted
    assert here.lexicon.counts == there.lexicon.counts


def test_a_name_alone_is_no_folder_to_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=r"there is no folder blog \(give the pipeline's folder .*as models/blog"):
        package.open("blog")


def test_without_the_data_no_sentence_and_no_path_leaves(whole: Path):
    for name, content in entries(whole).items():
        assert SECRET.encode() not in content and b"/home/me" not in content, name
    texts = json.loads(contents(whole, "evaluation")["texts.json"])
    assert texts == {"samples": [{"text": "a cat"}]} and "report.html" not in contents(whole, "evaluation")


def test_a_retrained_run_names_no_post_and_no_path(tmp_path: Path):
    store = filled(tmp_path / "models")
    run = runs.read(store, 1)
    key, begun = run.held["sequence_vae"], {"epochs": 2, "fresh": ["drafts/layoffs.md"]}
    facts = FACTS | {"config": {"hidden": 8, "tensorboard": "/home/me/logs"}}
    store.write("sequence_vae", key, runs.load(store, "sequence_vae"), inputs={"x": 1}, replace=True, start=begun,
                cold="0" * 16, **facts)
    check = {"name": "strange_posts", "passed": True, "before": None, "after": 0.01}
    gate = {"promoted": True, "checks": [check | {"says": "1 of 1 new posts, such as drafts/layoffs.md"}]}
    made = runs.add(store, replace(run, why="retrain: posts: 1 new", gate=gate))
    with zipped.written(tmp_path / "run.zip") as target:
        send(store, target, made.number)
    text = entries(tmp_path / "run.zip")[bundle.INDEX]
    assert b"layoffs" not in text and b"/home/me" not in text
    index = json.loads(text)
    assert index["run"]["gate"] == {"promoted": True, "checks": [check]}
    assert index["manifests"]["sequence_vae"]["config"] == {"hidden": 8, "tensorboard": ""}
    assert runs.read(store, 2).gate == gate, "at home the words stay"


def test_with_the_data_all_but_the_report_leaves(home: Store, tmp_path: Path):
    with zipped.written(tmp_path / "run.zip") as target:
        assert send(home, target, with_data=True).left_out == ()
    run = take(tmp_path / "run.zip", tmp_path).run
    store = Store(tmp_path, "blog")
    assert list(run.stages) == list(runs.read(home, 1).stages)
    assert runs.load(store, "corpus") == runs.load(home, "corpus")
    assert len(runs.load(store, "tokens")) == 3 and runs.load(store, "tokens").words is None
    mine, theirs = runs.load(home, "evaluation"), runs.load(store, "evaluation")
    assert theirs.texts == mine.texts and mine.report and not theirs.report


def test_the_same_run_gives_the_same_file(home: Store, whole: Path, tmp_path: Path):
    with zipped.written(tmp_path / "again.zip") as target:
        send(home, target)
    assert (tmp_path / "again.zip").read_bytes() == whole.read_bytes()


def test_what_came_in_can_go_out_again(whole: Path, tmp_path: Path):
    take(whole, tmp_path / "one")
    with zipped.written(tmp_path / "again.zip") as target:
        assert send(Store(tmp_path / "one", "blog"), target).left_out == ("corpus", "latents")
    take(tmp_path / "again.zip", tmp_path / "two")
    assert Store(tmp_path / "two", "blog").artefacts() == Store(tmp_path / "one", "blog").artefacts()


def test_a_store_with_runs_keeps_its_own_until_told(whole: Path, tmp_path: Path):
    store = filled(tmp_path)
    before = runs.read(store, 1)
    received = take(whole, tmp_path)
    assert (received.run.number, received.run.replaced, received.current) == (2, 1, False)
    assert runs.current(store) == before == runs.read(store, 1) and upkeep.verify(store) == []
    assert runs.load(store, "tokens").words is None, "the whole tokens stay whole"
    again = take(whole, tmp_path, promote=True)
    assert not again.recorded and again.current and again.run.number == 2 and len(runs.records(store)) == 2
    other = take(whole, tmp_path, name="theirs")
    assert (other.run.number, other.run.pipeline, other.current) == (1, "theirs", True)


def test_other_bytes_under_the_same_key_are_refused(whole: Path, tmp_path: Path):
    store = filled(tmp_path)
    key = runs.read(store, 1).stages["sequence_vae"]["key"]
    store.write("sequence_vae", key, runs.load(store, "embedding_vae"), inputs={"x": 1}, replace=True)
    before = store.artefacts()
    with pytest.raises(StoreError, match=rf"another sequence_vae {key}.*--name"):
        take(whole, tmp_path)
    assert store.artefacts() == before and len(runs.records(store)) == 1


@pytest.mark.parametrize("file", ["weights.h5", "manifest.json"])
def test_what_is_damaged_here_is_mended_by_another_import(whole: Path, tmp_path: Path, file: str):
    store = Store(tmp_path, "blog")
    run = take(whole, tmp_path).run
    path = store.path("sequence_vae", run.held["sequence_vae"]) / file
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StoreError, match=rf"{file}.* is damaged.*import it again"):
        runs.load(store, "sequence_vae")
    with pytest.raises(StoreError, match="import it again"), zipped.written(tmp_path / "no.zip") as target:
        send(store, target)
    again = take(whole, tmp_path)
    assert (again.recorded, again.run.number, again.mended) == (False, 1, ("sequence_vae",))
    assert upkeep.verify(store) == [] and take(whole, tmp_path).mended == ()


def test_what_was_made_here_as_well_can_be_made_anew(whole: Path, tmp_path: Path):
    store = filled(tmp_path)
    key = take(whole, tmp_path).run.held["sequence_vae"]
    (store.path("sequence_vae", key) / "weights.h5").write_bytes(b"")
    with pytest.raises(StoreError, match="textvae run blog --force sequence_vae"):
        runs.load(store, "sequence_vae", 2)


def test_a_run_that_cannot_write_does_not_become_current(whole: Path, tmp_path: Path):
    def without(files: dict[str, bytes], index: dict[str, Any]) -> None:
        content = index["manifests"].pop("sequence_vae")["content"][:16]
        del index["run"]["stages"]["sequence_vae"]
        for name in [name for name in files if name.startswith(f"sequence_vae/{content}")]:
            del files[name]

    part = spoilt(whole, tmp_path / "part.zip", without)
    assert not take(part, tmp_path).current
    with pytest.raises(StoreError, match="holds no sequence_vae"):
        take(part, tmp_path, promote=True)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(whole: Path, tmp_path_factory: Any, data: st.DataObject):
    root = tmp_path_factory.mktemp("flipped")
    flipped = bytearray(whole.read_bytes())
    flipped[data.draw(st.integers(0, len(flipped) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (root / "run.zip").write_bytes(flipped)
    try:
        take(root / "run.zip", root)
    except TextvaeError:
        assert nothing_visible(root)
    else:  # a bit of zip's own that means nothing, such as of a time
        assert upkeep.verify(Store(root, "blog")) == [] and len(runs.records(Store(root, "blog"))) == 1


@settings(max_examples=30, deadline=None, derandomize=True)
@given(part=st.floats(0, 0.999))
def test_a_truncated_file_is_refused(whole: Path, tmp_path_factory: Any, part: float):
    root = tmp_path_factory.mktemp("cut")
    content = whole.read_bytes()
    (root / "run.zip").write_bytes(content[:int(len(content) * part)])
    with pytest.raises(TextvaeError, match="cut off"):
        take(root / "run.zip", root)
    assert nothing_visible(root)


@pytest.mark.parametrize("name", ["../outside.json", "/tmp/outside.json", "tokens/../../outside.json", "a\\..\\b.json",
                                  "run.sh"])
def test_what_is_no_part_of_a_run_is_refused(whole: Path, tmp_path: Path, name: str):
    bad = spoilt(whole, tmp_path / "bad.zip", lambda files, index: files.update({name: b"{}"}))
    with pytest.raises(TextvaeError, match="which is no part of the run"):
        take(bad, tmp_path / "models")
    assert nothing_visible(tmp_path / "models") and [path.name for path in tmp_path.iterdir()] == ["bad.zip"]


@pytest.mark.parametrize("name", ["../outside.json", "/tmp/outside.json", "sub/file.json", "..", "report.html",
                                  "manifest.json", "code.py", "weights.pkl", "a\0.json", ".hidden.json",
                                  "x" * 99 + ".json"])
def test_an_index_that_names_such_files_is_refused(whole: Path, tmp_path: Path, name: str):
    bad = spoilt(whole, tmp_path / "bad.zip", lambda files, index: renamed(
        files, index, "evaluation", contents(whole, "evaluation") | {name: b"{}"}))
    with pytest.raises(StoreError, match="is no name of a file that textvae writes"):
        take(bad, tmp_path / "models")
    assert nothing_visible(tmp_path / "models")


def test_a_link_is_refused(whole: Path, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as packed:
        for name, content in entries(whole).items():
            entry = zipfile.ZipInfo(name)
            if name.endswith("weights.h5"):
                entry.external_attr, content = (stat.S_IFLNK | 0o777) << 16, b"/etc/passwd".ljust(len(content))
            packed.writestr(entry, content)
    with pytest.raises(TextvaeError, match=r"weights.h5, which is a link"):
        take(tmp_path / "bad.zip", tmp_path / "models")


def test_an_entry_that_is_there_twice_is_refused(whole: Path, tmp_path: Path):
    shutil.copy(whole, tmp_path / "bad.zip")
    with zipfile.ZipFile(tmp_path / "bad.zip", "a") as packed, pytest.warns(UserWarning, match="Duplicate"):
        packed.writestr(bundle.INDEX, b"{}")
    with pytest.raises(TextvaeError):
        take(tmp_path / "bad.zip", tmp_path / "models")
    with zipfile.ZipFile(tmp_path / "bad.zip", "a") as packed, pytest.warns(UserWarning, match="Duplicate"):
        packed.writestr(bundle.INDEX, entries(whole)[bundle.INDEX])
    with pytest.raises(TextvaeError, match=r"textvae.json 3 times"):
        take(tmp_path / "bad.zip", tmp_path / "models")


def test_a_bomb_is_refused_before_it_unpacks(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def bomb(files: dict[str, bytes], index: dict[str, Any]) -> None:
        renamed(files, index, "evaluation", contents(whole, "evaluation") | {"zeros.npy": bytes(80 * 2**20)})

    spoilt(whole, tmp_path / "plain.zip", bomb)
    files = entries(tmp_path / "plain.zip")
    with zipfile.ZipFile(tmp_path / "bad.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    with pytest.raises(TextvaeError, match="that unpack to"):
        take(tmp_path / "bad.zip", tmp_path / "models")
    monkeypatch.setattr(bundle, "MOST", 70 * 2**20)
    with pytest.raises(StoreError, match="is the most"):
        take(tmp_path / "plain.zip", tmp_path / "models")
    monkeypatch.setattr(bundle, "INDEX_MOST", 100)
    with pytest.raises(StoreError, match="has more than 100 bytes"):
        take(whole, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_more_bytes_than_were_told_are_not_written(home: Store, whole: Path, tmp_path: Path):
    class Endless(zipped.Zipped):
        def chunks(self, name: str) -> Any:
            yield from super().chunks(name)
            while name != bundle.INDEX:
                yield bytes(2**20)

    with zipfile.ZipFile(whole) as packed, pytest.raises(StoreError, match="is damaged"):
        receive(Endless(packed, "endless"), tmp_path)
    assert nothing_visible(tmp_path)


def npy(array: np.ndarray) -> bytes:
    import io

    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def vast() -> bytes:
    """An array of which only the header is there."""
    return npy(np.zeros(2, np.float32)).replace(b"(2,), ", b"(2" + b"0" * 12 + b",), ")[:100]


@pytest.mark.parametrize("content", [npy(np.array([{"a": 1}], object)), vast(), b"PK\x03\x04", b"\x80\x04]\x94."])
def test_arrays_that_are_pickled_or_vast_are_refused(whole: Path, tmp_path: Path, content: bytes):
    for stage, file in (("embedding_vae", "vectors.npy"), ("tokens", "ids.npy"), ("tokens", "offsets.npy")):
        bad = spoilt(whole, tmp_path / "bad.zip", lambda files, index, stage=stage, file=file: renamed(
            files, index, stage, contents(whole, stage) | {file: content}))
        with pytest.raises(StoreError, match=f"cannot read its {stage}"):
            take(bad, tmp_path / "models")
        assert nothing_visible(tmp_path / "models")


def h5(path: Path, fill: Callable[[h5py.File], Any]) -> bytes:
    with h5py.File(path, "w") as file:
        fill(file)
    return path.read_bytes()


def harms(other: Path) -> dict[str, Callable[[h5py.File], Any]]:
    """Ways in which a file of weights can hold more than weights."""
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource(str(other), "kernel", (2,))
    return {
        "external link": lambda file: file.__setitem__("kernel", h5py.ExternalLink(str(other), "kernel")),
        "soft link": lambda file: file.__setitem__("kernel", h5py.SoftLink("/elsewhere")),
        "external storage": lambda file: file.create_dataset("kernel", (4,), "u1", external=[("/etc/hostname", 0, 4)]),
        "virtual": lambda file: file.create_virtual_dataset("kernel", layout),
        "bomb": lambda file: file.create_dataset("kernel", (10**10,), "f4", chunks=(10**6,), compression="gzip"),
        "not there": lambda file: file.create_dataset("kernel", (10**10,), "f4"),
        "objects": lambda file: file.create_dataset("kernel", data=["text"], dtype=h5py.string_dtype()),
        "nothing": lambda file: file.create_dataset("kernel", data=h5py.Empty("f4")),
    }


@pytest.mark.parametrize("harm", list(harms(Path("x"))))
def test_weights_that_stand_elsewhere_or_are_vast_are_refused(whole: Path, tmp_path: Path, harm: str):
    other = tmp_path / "other.h5"
    h5(other, lambda file: file.create_dataset("kernel", data=np.ones(2, np.float32)))
    content = h5(tmp_path / "bad.h5", harms(other)[harm])
    bad = spoilt(whole, tmp_path / "bad.zip", lambda files, index: renamed(
        files, index, "sequence_vae", contents(whole, "sequence_vae") | {"weights.h5": content}))
    with pytest.raises(StoreError, match="cannot read its sequence_vae: weights"):
        take(bad, tmp_path / "models")
    assert nothing_visible(tmp_path / "models")


@pytest.mark.parametrize(("change", "said"), [
    (lambda index: index.update(format=2), "has the format 2; this textvae reads 1"),
    (lambda index: index.pop("format"), "has the format None"),
    (lambda index: index["run"].update(number="1"), "number is '1'"),
    (lambda index: index["run"].update(number=True), "number is True"),
    (lambda index: index["run"].pop("commit"), "run has no commit"),
    (lambda index: index["run"].update(stages=[]), "stages is"),
    (lambda index: index["run"]["stages"]["tokens"].update(key="../../x"), "key is '../../x'"),
    (lambda index: index["manifests"]["tokens"].update(key="0" * 16), "is that of another artefact"),
    (lambda index: index["manifests"].pop("tokens"), "its artefacts are not those of its run"),
    (lambda index: [own.update({"../up": own.pop("tokens")}) for own in (index["manifests"], index["run"]["stages"])],
     "there is no stage '../up'"),
    (lambda index: index["run"]["config"].update(evil=1), "unknown setting evil"),
    (lambda index: index["run"].update(pipeline="../up"), "cannot be the name of a pipeline"),
])
def test_an_index_that_is_not_what_textvae_writes_is_refused(whole: Path, tmp_path: Path, change: Any, said: str):
    bad = spoilt(whole, tmp_path / "bad.zip", lambda files, index: change(index))
    with pytest.raises(TextvaeError, match="".join(f"[{char}]" if char in ".[]" else char for char in said)):
        take(bad, tmp_path / "models")
    assert nothing_visible(tmp_path / "models") and len(list(tmp_path.iterdir())) <= 2


def test_an_index_of_any_depth_is_refused(whole: Path, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as packed:
        packed.writestr(bundle.INDEX, b"[" * 100_000)
    with pytest.raises(StoreError, match=r"textvae.json is damaged"):
        take(tmp_path / "bad.zip", tmp_path / "models")


def test_paths_and_times_of_a_foreign_run_are_not_taken_over(whole: Path, tmp_path: Path):
    def change(files: dict[str, bytes], index: dict[str, Any]) -> None:
        index["run"]["started"] = "9999-01-01T00:00:00+00:00"
        index["run"]["config"]["corpus"]["path"] = "/etc"
        index["run"]["config"]["sequence_vae"]["tensorboard"] = "/etc/cron.d"

    run = take(spoilt(whole, tmp_path / "bad.zip", change), tmp_path).run
    assert run.started <= manifests.now() and "/etc" not in (tmp_path / "blog" / "pipeline.json").read_text()
    assert run.config["corpus"]["path"] == run.config["sequence_vae"]["tensorboard"] == ""


def test_a_damaged_run_is_not_exported(tmp_path: Path):
    store = filled(tmp_path)
    weights = next(store.folder.glob("sequence_vae/*/weights.h5"))
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"weights.h5: is damaged"), zipped.written(tmp_path / "run.zip") as target:
        send(store, target)
    assert not [path for path in tmp_path.iterdir() if "run.zip" in path.name]


def test_an_artefact_that_is_gone_while_it_is_exported_is_told(tmp_path: Path):
    store = filled(tmp_path)
    key = runs.read(store, 1).held["sequence_vae"]

    class Overtaken(zipped.Zipped):
        def put(self, name: str, source: Any) -> None:
            super().put(name, source)
            if store.has("sequence_vae", key):
                store.remove("sequence_vae", key)

    with zipfile.ZipFile(tmp_path / "run.zip", "w") as packed, pytest.raises(StoreError, match="was made anew while"):
        send(store, Overtaken(packed, "run.zip"))


IMPORT = """
import sys
from pathlib import Path
from textvae.sharing import zipped
from textvae.sharing.exchange import receive
for number in range(10_000):
    with zipped.opened(Path(sys.argv[1])) as source:
        receive(source, Path(sys.argv[2]), f"blog{number}")
"""


def test_an_import_that_is_killed_leaves_no_run_or_a_whole_one(whole: Path, tmp_path: Path):
    for turn in range(3):
        root = tmp_path / str(turn)
        process = subprocess.Popen([sys.executable, "-c", IMPORT, str(whole), str(root)])
        patience = time.monotonic() + 60
        while not (root / "blog0" / "runs").exists() and time.monotonic() < patience:
            time.sleep(0.01)
        time.sleep(0.05 + turn * 0.017)
        process.kill()
        process.wait()
        names = sorted((path.name for path in root.iterdir()), key=lambda name: int(name[4:]))
        for name in names:
            store = Store(root, name)
            with store.lock():
                assert upkeep.verify(store) == [] and (len(runs.records(store)) == 1 or name == names[-1])
        assert take(whole, root, name=names[-1]).run.number == 1
        assert upkeep.verify(store) == [] and not list((store.folder / "tmp").iterdir())


def test_the_commands(home: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    out = textvae("export", "blog", "-o", "run.zip", "--store", str(home.root))
    assert out.code == 0, out.err
    assert out.out.startswith("run.zip: run 1 of blog, ") and out.out.endswith("; without corpus and latents\n")
    (told,) = textvae("export", "blog", "-o", "data.zip", "--with-data", "--json", "--store", str(home.root)).json
    assert (told["run"], told["left_out"], told["size"]) == (1, [], Path("data.zip").stat().st_size)
    came = textvae("import", "run.zip")
    assert came.code == 0, came.err
    assert came.out.splitlines() == ["run 1 of blog came from run.zip, there run 1 of blog",
                                     'next: textvae vary models/blog "a sentence of your own"']
    assert "came from run.zip, there run 1 of blog, without corpus and latents" in textvae("show", "blog").out
    assert textvae("import", "run.zip").out.startswith("nothing new: run 1 of blog holds the same\n")
    next(Path("models/blog/sequence_vae").glob("*/weights.h5")).write_bytes(b"")
    assert textvae("import", "run.zip").out.startswith("run 1 of blog is whole again: sequence_vae\n")
    assert textvae("status", "blog").out.splitlines()[0] == (
        "no corpus is set, so that nothing would run; to train on one: textvae run blog --corpus PATH")
    assert textvae("status", "blog", "--json").json[0]["retrained"] is None
    (told,) = textvae("import", "data.zip", "--json").json
    assert (told["run"], told["new"], told["current"], told["origin"]["left_out"]) == (2, True, False, [])
    assert "it came without its data" in textvae("evaluate", "blog", "--run", "1").err
    assert "it came without its data" in textvae("show", "blog", "latents", "--run", "1").err
    with pytest.raises(StoreError, match="it came without its data"):
        runs.load(Store(Path("models"), "blog"), "latents", 1)
    assert textvae("import", "run.zip", "--store", "my models").out.endswith(
        "next: textvae vary 'my models/blog' \"a sentence of your own\"\n")
    assert textvae("status", "my models/blog").out.splitlines()[0].endswith(
        f"textvae run 'my models/blog' --corpus PATH --store '{tmp_path}/my models'")
    assert textvae("sample", "blog", "-n", "1").code == 0


@pytest.mark.parametrize(("words", "said"), [
    (("import", "gone.zip"), "no such file: gone.zip"), (("import", "."), ". is no regular file"),
    (("import", "text.zip"), "text.zip is no file that textvae export wrote"),
    (("export", "blog", "-o", "no/run.zip"), "there is no folder no"),
    (("export", "blog", "-o", "run.zip", "--run", "7"), "blog has no run 7")])
def test_what_cannot_go_out_or_come_in_is_told(home: Store, tmp_path: Path, monkeypatch: Any, words: Any, said: str):
    monkeypatch.chdir(tmp_path)
    Path("text.zip").write_text("a text")
    done = textvae(*words, "--store", str(home.root))
    assert (done.code, done.out) == (1, "") and said in done.err and "hint: " in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["text.zip"]
