"""Retraining when things go wrong around it: disks, clocks, lost and damaged files, settings that change meanwhile."""

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_stages import Fakes, Judge, folder_of_posts, tiny

from textvae import config, manifests, retraining, runs
from textvae.errors import TextvaeError
from textvae.planning import STAGES
from textvae.retraining import PROMOTED, UNCHANGED, Due
from textvae.store import Store


@pytest.fixture
def champion(fakes: Fakes, judge: Judge, posts: Path, store: Store) -> Store:
    """A store with one promoted run, and a third post that it has not seen."""
    retraining.retrain(tiny(posts), store)
    folder_of_posts(posts, three="A third post.")
    fakes.take()
    return store


def promoted(store: Store) -> int:
    """The number of the promoted run, every artefact of which can be read."""
    run = runs.current(store)
    assert run
    for stage in run.held:
        runs.load(store, stage, run.number)
    return run.number


class Disk:
    """Renames that fail: every thing that becomes visible in a store does so by one.

    Attributes:
        renames: How many there have been.
        fails: The number of the one that fails, from 1; 0 for none.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.renames, self.fails, self.number = 0, 0, errno.ENOSPC
        for name in ("rename", "replace"):
            monkeypatch.setattr(os, name, self._failing(getattr(os, name)))

    def _failing(self, rename: Any) -> Any:
        def failing(source: Any, target: Any, **more: Any) -> None:
            self.renames += 1
            if self.renames == self.fails:
                raise OSError(self.number, os.strerror(self.number), str(source))
            rename(source, target, **more)
        return failing


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    yield Disk(monkeypatch)


def test_a_disk_that_is_full_for_any_one_write_loses_nothing(champion: Store, posts: Path, disk: Disk, tmp_path: Path):
    untouched = shutil.copytree(champion.folder, tmp_path / "untouched")
    assert retraining.retrain(tiny(posts), champion).result == PROMOTED
    whole, written = contents(champion), disk.renames
    assert written >= 15, "eleven artefacts, a promise, the run's record, the promotion and the outcome"
    for number in range(1, written + 1):
        shutil.rmtree(champion.folder)
        shutil.copytree(untouched, champion.folder)
        disk.renames, disk.fails = 0, number
        with pytest.raises(TextvaeError, match="the disk is full"):
            retraining.retrain(tiny(posts), champion)
        assert champion.verify() == [] and promoted(champion) in (1, 2)
        outcome = retraining.retrain(tiny(posts), champion)
        assert outcome.result == PROMOTED or (outcome.result == UNCHANGED and number == written), number
        assert promoted(champion) == 2 and contents(champion) == whole


def contents(store: Store) -> list[str]:
    """The contents of the newest run's artefacts, by hash."""
    run = runs.latest(store)
    assert run
    return [fact["content"] for fact in run.stages.values()]


def test_a_store_that_cannot_be_written_is_said_before_any_work(fakes: Fakes, champion: Store, posts: Path,
                                                                monkeypatch: pytest.MonkeyPatch):
    def refused(self: Path, *args: Any, **more: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refused)
        with pytest.raises(TextvaeError, match="Read-only file system"):
            retraining.retrain(tiny(posts), champion)
    assert fakes.take() == [] and promoted(champion) == 1


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES])
def test_an_artefact_of_the_promoted_run_that_is_gone_is_told_before_training_or_not_missed(
        fakes: Fakes, champion: Store, posts: Path, stage: str):
    run = runs.current(champion)
    assert run
    shutil.rmtree(champion.path(stage, run.held[stage]))
    if stage in ("tokens", "sequence_vae"):
        with pytest.raises(TextvaeError, match=rf"run 1 is promoted, and damaged: .*{stage}.*textvae rollback blog"):
            retraining.retrain(tiny(posts), champion)
        assert "sequence_vae" not in fakes.take() and champion.folder.joinpath("current").read_text().strip() == "1"
        assert runs.execute(tiny(posts), champion).run.number == 2, "the way out that the message names"
    else:
        assert retraining.retrain(tiny(posts), champion).result == PROMOTED
    assert promoted(champion) == 2


def files_of(store: Store) -> list[str]:
    """Every file of a store, by its name in it."""
    return sorted(str(path.relative_to(store.folder)) for path in store.folder.rglob("*") if path.is_file())


def test_a_flipped_bit_in_any_file_is_told_or_made_up_for(fakes: Fakes, champion: Store, posts: Path, tmp_path: Path):
    untouched = shutil.copytree(champion.folder, tmp_path / "untouched")
    names = [name for name in files_of(champion) if not name.startswith((".lock", "tmp"))]
    kinds = {Path(name).name for name in names}
    assert {"manifest.json", "0001.json", "current", "retrain.json", "ids.npy"} <= kinds and len(kinds) > 10
    told = []
    for name in names:
        shutil.rmtree(champion.folder)
        shutil.copytree(untouched, champion.folder)
        path = champion.folder / name
        whole = path.read_bytes()
        path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:] if whole else b"x")
        try:
            outcome = retraining.retrain(tiny(posts), champion)
        except TextvaeError as error:
            told.append(name)
            assert error.hint and (name in error.message or Path(name).name in error.message), (name, error.message)
            assert runs.read(champion, 1) if name != "runs/0001.json" else True
        else:
            assert outcome.result == PROMOTED, (name, outcome)
            assert promoted(champion) == 2
    assert any("sequence_vae/" in name for name in told) and "current" in told and "runs/0001.json" in told
    assert len(told) < len(names)


@pytest.mark.parametrize("year", ["1970", "2999"])
def test_a_clock_that_jumps_changes_no_order(champion: Store, posts: Path, monkeypatch: pytest.MonkeyPatch, year: str):
    monkeypatch.setattr(manifests, "now", lambda: f"{year}-01-01T00:00:00.000000+00:00")
    outcome = retraining.retrain(tiny(posts), champion, due=Due(older_than=3600.0))
    assert (outcome.result, outcome.run, promoted(champion)) == (PROMOTED, 2, 2)
    monkeypatch.undo()
    folder_of_posts(posts, four="A fourth post.")


@pytest.mark.parametrize("stage", ["corpus", "word_vectors", "sequence_vae", "evaluation"])
def test_settings_that_are_edited_midway_count_from_the_next_time_on(
        fakes: Fakes, champion: Store, posts: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stage: str):
    recipe = tmp_path / "blog.toml"
    recipe.write_text(f'name = "blog"\ncorpus = {{ path = "{posts}" }}\n', encoding="utf-8")
    module = sys.modules[f"textvae.stages.{stage}"]
    run = module.run

    def edited(*args: Any, **named: Any) -> Any:
        recipe.write_text(recipe.read_text(encoding="utf-8") + "latents = { batch_size = 7 }\n", encoding="utf-8")
        return run(*args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(module, "run", edited)
        assert retraining.retrain(config.load(recipe), champion).result == PROMOTED
    assert runs.read(champion, 2).config["latents"]["batch_size"] != 7
    fakes.take()
    outcome = retraining.retrain(config.load(recipe), champion, due=Due(new_posts=99))
    assert outcome.run == 3 and runs.read(champion, 3).config["latents"]["batch_size"] == 7
    assert "latents" in fakes.take()
