"""Pruning keeps what a kept run needs, pins are kept, and verify names what is wrong."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import pytest
from commands import textvae
from fake_stages import Fakes, tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from textvae import catalogue, manifests, retraining, runs, upkeep
from textvae.data import Evaluation
from textvae.errors import ConfigError, StoreError
from textvae.store import Store


def test_pruning_keeps_the_newest_and_the_current_and_all_they_need(three: Store):
    runs.promote(three, 1)
    second = runs.read(three, 2)
    only_second = sorted(second.artefacts - runs.read(three, 1).artefacts - runs.read(three, 3).artefacts)
    assert [stage for stage, _ in only_second] == ["evaluation", "latent_transformer", "latents"]
    before = three.artefacts()
    dry = upkeep.prune(three, 1, dry_run=True)
    assert three.artefacts() == before and len(runs.records(three)) == 3
    done = upkeep.prune(three, 1)
    assert done == dry and done.runs == (2,) and sorted(done.artefacts) == only_second and done.bytes > 0
    assert [run.number for run in runs.records(three)] == [1, 3] and upkeep.verify(three) == []
    assert upkeep.prune(three, 1) == upkeep.Pruned((), (), (), 0)
    assert runs.load(three, "latents", run=1) and runs.load(three, "latents", run=3)


def test_run_numbers_are_not_used_twice(three: Store, posts: Path):
    upkeep.prune(three, 1)
    assert runs.execute(tiny(posts, "latents.batch_size=9"), three).run.number == 4


def test_pruning_leaves_an_unfinished_run_alone_and_takes_old_leftovers(three: Store, fakes: Fakes, posts: Path):
    old = three.scratch("latents", "0123")
    (old / "checkpoint").write_text("of a run given up long ago")
    for path in (old / "checkpoint", old):
        os.utime(path, (0, 0))
    fakes.halts["latent_transformer"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        runs.execute(tiny(posts, "latents.batch_size=7"), three)
    unfinished = set(three.artefacts()) - {artefact for run in runs.records(three) for artefact in run.artefacts}
    assert [stage for stage, _ in unfinished] == ["latents"]
    assert upkeep.prune(three, 3).scratch == (old.name,) and not old.exists()
    assert unfinished < set(three.artefacts())
    fakes.take()
    runs.execute(tiny(posts, "latents.batch_size=7"), three)
    assert fakes.take() == ["latent_transformer", "evaluation"]
    assert fakes.found["latent_transformer"] == ["checkpoint"]


def test_pruning_leaves_what_a_run_that_was_stopped_lately_goes_on_from(
        three: Store, fakes: Fakes, posts: Path, monkeypatch: pytest.MonkeyPatch):
    fakes.halts["sequence_vae"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        runs.execute(tiny(posts, "sequence_vae.hidden=99", "embedding_vae.latent=9"), three)
    (left,) = (three.folder / "scratch").iterdir()
    runs.execute(tiny(posts, "latents.batch_size=4"), three)
    recorded = {artefact for run in runs.records(three) for artefact in run.artefacts}
    (finished,) = set(three.artefacts()) - recorded
    assert finished[0] == "embedding_vae"
    assert upkeep.prune(three, 9) == upkeep.Pruned((), (), (), 0) and left.exists() and three.has(*finished)
    long_ago = time.time() - upkeep.GIVEN_UP.total_seconds() - 60
    for path in (*left.iterdir(), left):
        os.utime(path, (long_ago, long_ago))
    assert upkeep.prune(three, 9).scratch == (left.name,) and not left.exists()
    monkeypatch.setattr(upkeep, "GIVEN_UP", timedelta())
    assert upkeep.prune(three, 9).artefacts == (finished,) and not three.has(*finished)


def test_pruning_takes_a_stray_file_and_a_link_to_nowhere_among_the_checkpoints(three: Store):
    left = three.scratch("latents", "0123")
    (left / "link").symlink_to("nowhere")
    stray = left.parent / ".DS_Store"
    stray.write_text("x")
    for path in (left / "link", left, stray):
        os.utime(path, (0, 0), follow_symlinks=False)
    assert upkeep.prune(three, 3).scratch == (stray.name, left.name) and not list(stray.parent.iterdir())


def test_pruning_needs_a_number_and_whole_records(three: Store):
    with pytest.raises(ConfigError, match="--keep must be at least 1, not 0"):
        upkeep.prune(three, 0)
    (three.folder / "runs" / "0002.json").write_text("{}")
    before = three.artefacts()
    with pytest.raises(StoreError, match=r"0002.json is damaged"):
        upkeep.prune(three, 1)
    assert three.artefacts() == before


def test_verify_names_what_is_wrong(three: Store):
    assert upkeep.verify(three) == []
    (three.folder / "runs" / "0002.json").write_text("{}")
    (three.folder / "current").write_text("7\n")
    gone = runs.read(three, 3).stages["latents"]["key"]
    three.remove("latents", gone)
    key = runs.read(three, 1).stages["latents"]["key"]
    (three.path("latents", key) / "mean.npy").write_bytes(b"\0")
    problems = [str(problem).removeprefix(f"{three.folder}/") for problem in upkeep.verify(three)]
    size = three.manifest("latents", key)["files"]["mean.npy"]["size"]
    assert problems == [f"latents/{key}/mean.npy: is damaged: 1 bytes instead of {size}",
                        "runs/0002.json: is damaged: its contents changed since it was written",
                        f"runs/0003.json: needs latents/{gone}, which is gone",
                        "current: names a run that cannot be read: blog has no run 7"]


@pytest.mark.parametrize("name", [catalogue.LAST, retraining.LAST, runs.LINE])
def test_verify_reads_every_record(three: Store, name: str):
    retraining.keep(three, retraining.Outcome("blog", retraining.UNCHANGED, "run 3 is up to date"))
    assert upkeep.verify(three) == []
    path = three.folder / name
    path.write_text(path.read_text(encoding="utf-8") + "x", encoding="utf-8")
    assert [str(problem) for problem in upkeep.verify(three)] == [
        f"{path}: is damaged: its contents changed since it was written"]


def test_nothing_to_verify_is_told(store: Store):
    with pytest.raises(StoreError, match=r"there is no .*blog"):
        upkeep.verify(store)


def test_status_counts(three: Store, tmp_path: Path):
    runs.promote(three, 2)
    told = asdict(upkeep.status(three))
    assert told.pop("bytes") >= sum(fact["size"] for stage, key in three.artefacts()
                                    for fact in three.manifest(stage, key)["files"].values())
    assert told == {"pipeline": "blog", "folder": str(three.folder), "current": 2, "latest": 3, "runs": 3,
                    "artefacts": 17}
    empty = upkeep.status(Store(tmp_path / "models", "new"))
    assert (empty.current, empty.latest, empty.runs, empty.artefacts, empty.bytes) == (None, None, 0, 0, 0)


def test_a_pinned_run_and_all_it_needs_outlive_pruning(three: Store):
    assert upkeep.pinned(three) == frozenset()
    assert upkeep.pin(three, 1) and not upkeep.pin(three, 1) and upkeep.pinned(three) == {1}
    assert upkeep.prune(three, 1).runs == (2,)
    assert upkeep.verify(three) == [] and runs.load(three, "latents", run=1)
    assert upkeep.pin(three, 1, on=False) and not upkeep.pin(three, 1, on=False)
    assert upkeep.prune(three, 1).runs == (1,) and upkeep.verify(three) == []


def test_only_a_whole_run_can_be_pinned(three: Store):
    for on in (True, False):
        with pytest.raises(StoreError, match="blog has no run 7"):
            upkeep.pin(three, 7, on=on)
    three.remove("latents", runs.read(three, 2).stages["latents"]["key"])
    with pytest.raises(StoreError, match=r"run 2 of blog is incomplete: latents/\w+ is gone"):
        upkeep.pin(three, 2)
    assert upkeep.pinned(three) == frozenset()


def test_damaged_pins_stop_pruning(three: Store):
    upkeep.pin(three, 1)
    (three.folder / "pins.json").write_text("{}")
    with pytest.raises(StoreError, match=r"pins.json is damaged"):
        upkeep.prune(three, 1)
    assert len(runs.records(three)) == 3
    assert [str(problem) for problem in upkeep.verify(three)] == [
        f"{three.folder / 'pins.json'}: is damaged: its contents changed since it was written"]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_whatever_is_pinned_promoted_and_pruned_what_stays_is_whole(data: st.DataObject):
    numbers = range(1, data.draw(st.integers(1, 6)) + 1)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), "blog")
        for number in numbers:
            keys = {stage: f"{data.draw(st.integers(0, 2)):016x}" for stage in ("tokens", "sequence_vae")}
            for stage, key in keys.items():
                store.write(stage, key, Evaluation({}, {}, ""))
            made = {stage: {"key": key, "content": key} for stage, key in keys.items()}
            run = runs.Run(number, "blog", made, "", manifests.now(), 0.0, {}, {}, None)
            store.put(runs.file_of(number), asdict(run))
        current = data.draw(st.sampled_from(numbers))
        pins = data.draw(st.sets(st.sampled_from(numbers)))
        runs.promote(store, current)
        for number in pins:
            upkeep.pin(store, number)
        keep = data.draw(st.integers(1, 6))
        upkeep.prune(store, keep)
        assert {run.number for run in runs.records(store)} == {*numbers[-keep:], current, *pins}
        assert upkeep.verify(store) == []
        assert set(store.artefacts()) == {own for run in runs.records(store) for own in run.artefacts}


HOLD = """
import sys, time
from pathlib import Path
from textvae import runs
from textvae.store import Store
store = Store(Path(sys.argv[1]), "blog")
with runs.reading(store, int(sys.argv[2])) as run:
    print("held", flush=True)
    sys.stdin.readline()
    print(runs.load(store, "latents", run.number).mean.shape, flush=True)
"""


def test_a_run_that_another_process_reads_stays_until_it_was_read(three: Store):
    words = [sys.executable, "-c", HOLD, str(three.root), "1"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdin is not None and reader.stdout is not None and reader.stdout.readline() == "held\n"
        assert upkeep.prune(three, 1, dry_run=True).reading == (1,)
        pruned = upkeep.prune(three, 1)
        assert (pruned.runs, pruned.reading) == ((2,), (1,)) and upkeep.verify(three) == []
        done = textvae("prune", "blog", "--keep", "1", "--store", str(three.root))
        assert (done.code, done.out, done.err) == (0, "nothing to delete\n", "run 1 stays: it is being read\n")
        reader.stdin.write("go on\n")
        reader.stdin.flush()
        assert reader.stdout.readline() == "(2, 2)\n"
    assert upkeep.prune(three, 1).runs == (1,)


def test_a_reader_that_was_killed_holds_nothing(three: Store):
    words = [sys.executable, "-c", HOLD, str(three.root), "1"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None and reader.stdout.readline() == "held\n"
        reader.kill()
    assert upkeep.prune(three, 1).runs == (1, 2)


READ = """
import sys
from pathlib import Path
from textvae import runs
from textvae.store import Store
store, times = Store(Path(sys.argv[1]), "blog"), 0
print("ready", flush=True)
while not (store.folder / "stop").exists():
    with runs.reading(store) as run:
        for stage in ("latents", "evaluation", "tokens", "sequence_vae"):
            runs.load(store, stage, run.number)
    assert (bad := store.verify()) == [], bad
    assert runs.records(store)
    times += 1
print(times, flush=True)
"""


def test_readers_never_fail_while_runs_come_go_and_are_made_again(three: Store, fakes: Fakes, posts: Path):
    with subprocess.Popen([sys.executable, "-c", READ, str(three.root)], stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None and reader.stdout.readline() == "ready\n"
        end, turn, pruned = time.monotonic() + 4, 3, 0
        while time.monotonic() < end:
            turn += 1
            fakes.salt["latents"] = turn
            runs.execute(tiny(posts, f"latents.batch_size={turn}"), three)
            fakes.salt["evaluation"] = turn
            runs.execute(tiny(posts, f"latents.batch_size={turn}"), three, force=("latents", "evaluation"))
            pruned += len(upkeep.prune(three, 1).runs)
        (three.folder / "stop").touch()
        times = int(reader.stdout.readline() or 0)
    assert reader.returncode == 0 and times > 3 and pruned > 3
    assert upkeep.verify(three) == []
