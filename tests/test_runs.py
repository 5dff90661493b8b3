"""Runs are recorded, one of them is current, and pruning keeps what a kept run needs."""

import os
from dataclasses import asdict
from pathlib import Path

import pytest
from fake_stages import Fakes, tiny

from textvae import runs
from textvae.config import parse
from textvae.data import Latents, TrainedNetwork
from textvae.errors import ConfigError, StoreError
from textvae.store import Store


@pytest.fixture
def three(fakes: Fakes, posts: Path, store: Store) -> Store:
    """A store with three runs that differ from the latents on; the third is current."""
    for size in (1, 2, 3):
        runs.execute(tiny(posts, f"latents.batch_size={size}"), store)
    return store


def number_of(run: runs.Run | None) -> int | None:
    return run.number if run else None


def test_a_run_is_recorded_and_becomes_current(fakes: Fakes, posts: Path, store: Store):
    config = tiny(posts, "seed=4")
    assert runs.current(store) is None and runs.latest(store) is None and runs.records(store) == []
    done = runs.execute(config, store, why="first try")
    run = done.run
    assert done.recorded and (run.number, run.pipeline, run.why, run.replaced) == (1, "blog", "first try", None)
    assert parse(run.config) == config and run.packages["textvae"] and run.seconds >= 0
    assert list(run.stages) == [item.stage for item in done.result.stages]
    assert run.stages["corpus"]["metrics"] == {"posts": 2} and run.stages["corpus"]["ran"]
    assert run.artefacts == set(store.artefacts())
    assert runs.current(store) == runs.latest(store) == runs.read(store, 1) == run
    assert (store.folder / "current").read_text() == "1\n" and (store.folder / "runs" / "0001.json").is_file()


def test_nothing_to_do_makes_no_record(fakes: Fakes, posts: Path, store: Store):
    runs.execute(tiny(posts), store)
    again = runs.execute(tiny(posts), store)
    assert not again.recorded and again.run.number == 1 and again.result.ran == () and len(runs.records(store)) == 1
    forced = runs.execute(tiny(posts), store, force=("latents",))
    assert not forced.recorded and forced.result.ran == ("latents",), "the bytes are the same"
    part = runs.execute(tiny(posts), store, until="tokens")
    assert not part.recorded and part.run.number == 1


def test_a_changed_setting_makes_a_run_and_changing_it_back_another(fakes: Fakes, posts: Path, store: Store):
    runs.execute(tiny(posts), store)
    second = runs.execute(tiny(posts, "latents.batch_size=8"), store).run
    assert (second.number, second.replaced) == (2, 1)
    assert [stage for stage, fact in second.stages.items() if fact["ran"]] == ["latents", "latent_transformer",
                                                                              "evaluation"]
    third = runs.execute(tiny(posts), store)
    assert third.recorded and third.result.ran == () and third.run.artefacts == runs.read(store, 1).artefacts
    assert number_of(runs.current(store)) == 3


def test_a_forced_stage_that_comes_out_different_makes_a_run(fakes: Fakes, posts: Path, store: Store):
    runs.execute(tiny(posts), store)
    fakes.salt["evaluation"] = 1
    assert runs.execute(tiny(posts), store, force=("evaluation",)).run.number == 2


def test_a_run_that_stops_early_becomes_current_only_if_it_can_generate(fakes: Fakes, posts: Path, store: Store):
    assert runs.execute(tiny(posts), store, until="tokens").recorded
    assert runs.current(store) is None and number_of(runs.latest(store)) == 1
    assert not runs.execute(tiny(posts), store, until="tokens").recorded
    with pytest.raises(StoreError, match=r"has no finished run.*textvae run blog"):
        runs.load(store, "tokens")
    runs.execute(tiny(posts), store, until="sequence_vae")
    assert number_of(runs.current(store)) == 2
    with pytest.raises(StoreError, match="run 2 of blog holds no latents"):
        runs.load(store, "latents")
    with pytest.raises(StoreError, match="run 1 of blog stops before sequence_vae"):
        runs.promote(store, 1)
    assert runs.execute(tiny(posts), store).run.number == 3


def test_an_interrupted_run_is_not_recorded(fakes: Fakes, posts: Path, store: Store):
    fakes.halts["latents"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        runs.execute(tiny(posts), store)
    assert runs.records(store) == []
    assert runs.execute(tiny(posts), store).run.number == 1


def test_loading_from_the_current_run_and_from_a_named_one(three: Store):
    newest, oldest = runs.load(three, "latents"), runs.load(three, "latents", run=1)
    assert isinstance(newest, Latents) and isinstance(runs.load(three, "sequence_vae"), TrainedNetwork)
    assert newest.mean.tolist() == runs.load(three, "latents", run=3).mean.tolist()
    assert oldest.mean.shape == newest.mean.shape
    with pytest.raises(StoreError, match=r"blog has no run 4.*1, 2, 3"):
        runs.load(three, "latents", run=4)
    with pytest.raises(ConfigError, match="did you mean latents"):
        runs.load(three, "latent")


def test_promoting_goes_back_and_forth(three: Store, fakes: Fakes, posts: Path):
    assert runs.promote(three, 1).number == 1 and number_of(runs.current(three)) == 1
    kept = runs.execute(tiny(posts, "latents.batch_size=3"), three)
    assert not kept.recorded and kept.run.number == 3 and number_of(runs.current(three)) == 1
    changed = runs.execute(tiny(posts, "latents.batch_size=4"), three).run
    assert (changed.number, changed.replaced) == (4, 1)
    three.remove("latents", runs.read(three, 2).stages["latents"]["key"])
    with pytest.raises(StoreError, match=r"run 2 of blog is incomplete: latents/\w+ is gone"):
        runs.promote(three, 2)
    assert number_of(runs.current(three)) == 4


def test_pruning_keeps_the_newest_and_the_current_and_all_they_need(three: Store):
    runs.promote(three, 1)
    second = runs.read(three, 2)
    only_second = sorted(second.artefacts - runs.read(three, 1).artefacts - runs.read(three, 3).artefacts)
    assert [stage for stage, _ in only_second] == ["evaluation", "latent_transformer", "latents"]
    before = three.artefacts()
    dry = runs.prune(three, 1, dry_run=True)
    assert three.artefacts() == before and len(runs.records(three)) == 3
    done = runs.prune(three, 1)
    assert done == dry and done.runs == (2,) and sorted(done.artefacts) == only_second and done.bytes > 0
    assert [run.number for run in runs.records(three)] == [1, 3] and runs.verify(three) == []
    assert runs.prune(three, 1) == runs.Pruned((), (), (), 0)
    assert runs.load(three, "latents", run=1) and runs.load(three, "latents", run=3)


def test_run_numbers_are_not_used_twice(three: Store, posts: Path):
    runs.prune(three, 1)
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
    assert runs.prune(three, 3).scratch == (old.name,) and not old.exists()
    assert unfinished < set(three.artefacts())
    fakes.take()
    runs.execute(tiny(posts, "latents.batch_size=7"), three)
    assert fakes.take() == ["latent_transformer", "evaluation"]
    assert fakes.found["latent_transformer"] == ["checkpoint"]


def test_pruning_needs_a_number_and_whole_records(three: Store):
    with pytest.raises(ConfigError, match="--keep must be at least 1, not 0"):
        runs.prune(three, 0)
    (three.folder / "runs" / "0002.json").write_text("{}")
    before = three.artefacts()
    with pytest.raises(StoreError, match=r"0002.json is damaged"):
        runs.prune(three, 1)
    assert three.artefacts() == before


def test_verify_names_what_is_wrong(three: Store):
    assert runs.verify(three) == []
    (three.folder / "runs" / "0002.json").write_text("{}")
    (three.folder / "current").write_text("7\n")
    gone = runs.read(three, 3).stages["latents"]["key"]
    three.remove("latents", gone)
    key = runs.read(three, 1).stages["latents"]["key"]
    (three.path("latents", key) / "mean.npy").write_bytes(b"\0")
    problems = [str(problem).removeprefix(f"{three.folder}/") for problem in runs.verify(three)]
    size = three.manifest("latents", key)["files"]["mean.npy"]["size"]
    assert problems == [f"latents/{key}/mean.npy: is damaged: 1 bytes instead of {size}",
                        "runs/0002.json: is damaged: its contents changed since it was written",
                        f"runs/0003.json: needs latents/{gone}, which is gone",
                        "current: blog has no run 7"]


def test_a_damaged_pointer_is_named(three: Store):
    (three.folder / "current").write_text("the best one")
    with pytest.raises(StoreError, match=r"current is damaged.*textvae promote blog RUN"):
        runs.current(three)
    runs.promote(three, 2)
    assert number_of(runs.current(three)) == 2


def test_a_damaged_record_is_told_before_anything_runs(three: Store, fakes: Fakes, posts: Path):
    fakes.take()
    (three.folder / "runs" / "0002.json").write_text("{}")
    with pytest.raises(StoreError, match=r"0002.json is damaged.*remove it"):
        runs.execute(tiny(posts, "latents.batch_size=9"), three)
    assert fakes.take() == []


def test_nothing_to_verify_is_told(store: Store):
    with pytest.raises(StoreError, match=r"there is no .*blog"):
        runs.verify(store)


def test_status_counts(three: Store, tmp_path: Path):
    runs.promote(three, 2)
    told = asdict(runs.status(three))
    assert told.pop("bytes") >= sum(fact["size"] for stage, key in three.artefacts()
                                    for fact in three.manifest(stage, key)["files"].values())
    assert told == {"pipeline": "blog", "folder": str(three.folder), "current": 2, "latest": 3, "runs": 3,
                    "artefacts": 17}
    empty = runs.status(Store(tmp_path / "models", "new"))
    assert (empty.current, empty.latest, empty.runs, empty.artefacts, empty.bytes) == (None, None, 0, 0, 0)


def test_a_run_that_stopped_early_cannot_be_measured(fakes: Fakes, posts: Path, store: Store):
    runs.execute(tiny(posts), store, until="sequence_vae")
    with pytest.raises(StoreError, match="has no latents"):
        runs.evaluate(store)


def test_an_older_run_is_measured_by_its_own_settings(three: Store):
    run, done = runs.evaluate(three, 1)
    assert (run.number, done.ran, done.key) == (1, False, run.stages["evaluation"]["key"])
    _, other = runs.evaluate(three, 1, ("evaluation.samples=7",))
    assert other.ran and other.key != done.key
    assert three.manifest("evaluation", other.key)["inputs"]["latents"]["key"] == run.stages["latents"]["key"]
    assert runs.evaluate(three, 1, ("evaluation.samples=7",))[1].ran is False
    assert number_of(runs.current(three)) == 3
