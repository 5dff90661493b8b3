"""A run is followed back to its corpus and to the runs before it."""

from pathlib import Path

import pytest
from commands import textvae
from fake_stages import Fakes, tiny

from textvae import runs
from textvae.errors import StoreError
from textvae.lineage import CHANGED, GONE, trace
from textvae.planning import STAGES
from textvae.store import Store


def test_every_artefact_names_those_it_was_made_from(three: Store):
    found = trace(three, 2)
    made = {own.stage: own for own in found.made}
    assert list(made) == [stage.name for stage in STAGES]
    for stage in STAGES:
        own = made[stage.name]
        assert own.inputs == {name: made[name].key for name in stage.inputs}
        assert own.when and own.seed == 1 and own.packages and own.packages["textvae"] and not own.trouble
    assert made["corpus"].fingerprint and not made["tokens"].fingerprint


def test_the_runs_before_are_followed_until_one_is_gone(three: Store):
    assert [run.number for run in trace(three).before] == [2, 1] and trace(three).lost is None
    assert trace(three, 1).before == ()
    (three.folder / runs.file_of(1)).unlink()
    found = trace(three)
    assert [run.number for run in found.before] == [2] and found.lost == 1
    with pytest.raises(StoreError, match="blog has no run 1"):
        trace(three, 1)


def test_the_runs_before_are_those_that_rollback_goes_to(three: Store):
    runs.promote(three, 1)
    runs.promote(three, 2)
    found = trace(three)
    assert [(run.number, run.replaced) for run in (found.run, *found.before)] == [
        (2, 1), (1, 3), (3, 2), (2, 1), (1, None)] and found.lost is None
    assert textvae("lineage", "blog", "--store", str(three.root)).out.count("replaced run 3") == 1
    (three.folder / runs.file_of(3)).unlink()
    found = trace(three)
    assert [run.number for run in found.before] == [1] and found.lost == 3


def test_the_newest_run_is_shown_while_none_is_current(fakes: Fakes, posts: Path, store: Store):
    with pytest.raises(StoreError, match="has no finished run"):
        trace(store)
    runs.execute(tiny(posts), store, until="tokens")
    assert [own.stage for own in trace(store).made] == ["corpus", "tokens"]


def test_what_is_gone_damaged_or_made_again_is_told(three: Store, fakes: Fakes, posts: Path):
    fakes.salt["evaluation"] = 1
    runs.execute(tiny(posts, "latents.batch_size=3"), three, force=("evaluation",))
    three.remove("latents", runs.read(three, 3).stages["latents"]["key"])
    key = runs.read(three, 3).stages["tokens"]["key"]
    (three.path("tokens", key) / "manifest.json").write_text("{}")
    trouble = {own.stage: own.trouble for own in trace(three, 3).made if own.trouble}
    assert trouble.keys() == {"tokens", "latents", "evaluation"}
    assert "manifest.json is damaged" in trouble["tokens"]
    assert (trouble["latents"], trouble["evaluation"]) == (GONE, CHANGED)


def test_the_command_prints_the_way_back_and_json_all_of_it(three: Store):
    done = textvae("lineage", "blog", "--store", str(three.root))
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "blog, run 3" and lines[4].split()[:2] == [
        "word_vectors", runs.read(three, 3).stages["word_vectors"]["key"]] and lines[4].endswith("tokens")
    assert sum(line.startswith("corpus fingerprint: ") for line in lines) == 1
    assert [line.split(":")[0] for line in lines[-3:]] == ["run 3", "run 2", "run 1"]
    assert lines[-3].endswith("replaced run 2")
    (told,) = textvae("lineage", "blog", "--run", "1", "--store", str(three.root), "--json").json
    assert told["run"] == 1 and len(told["artefacts"]) == len(STAGES) and len(told["runs"]) == 1
