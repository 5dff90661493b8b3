"""Runs are recorded, one of them is current, and pruning keeps what a kept run needs."""

from pathlib import Path

import pytest
from fake_stages import Fakes, tiny

from textvae import lineage, runs, upkeep
from textvae.config import parse
from textvae.data import Latents, TrainedNetwork
from textvae.errors import ConfigError, StoreError
from textvae.store import Store


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


def test_a_corpus_that_comes_out_the_same_is_read_and_nothing_follows(fakes: Fakes, posts: Path, store: Store):
    first = runs.execute(tiny(posts), store).run
    (posts / "note.md").write_text("Part of the corpus's key, and not read by the fakes.", encoding="utf-8")
    assert {item.state for item in runs.plan(tiny(posts), store)} == {"to run"}, "before it is read nobody knows"
    again = runs.execute(tiny(posts), store)
    assert again.result.ran == ("corpus",) and not again.recorded
    assert runs.facts_of(again.result)["corpus"]["key"] == first.held["corpus"] and len(store.keys("corpus")) == 2
    assert {item.state for item in runs.plan(tiny(posts), store)} == {"done"}
    assert runs.execute(tiny(posts), store).result.ran == ()
    assert runs.execute(tiny(posts, "corpus.drafts=true"), store, force=("corpus",)).result.ran == ("corpus",)
    second = runs.execute(tiny(posts, "latents.batch_size=8"), store)
    assert second.result.ran == ("latents", "latent_transformer", "evaluation")
    assert second.run.held["corpus"] == first.held["corpus"] and upkeep.verify(store) == []
    made = {own.stage: own for own in lineage.trace(store).made}
    assert made["tokens"].inputs == {"corpus": made["corpus"].key} and not any(own.trouble for own in made.values())
    # What is damaged stands in for nothing.
    (store.path("corpus", first.held["corpus"]) / "rejected.jsonl").write_text("damage")
    assert next(item.reason for item in runs.plan(tiny(posts), store) if item.state == "to run") == "follows corpus"


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


def test_rolling_back_goes_to_what_the_current_run_replaced(three: Store):
    assert runs.rollback(three) == runs.Rollback(3, 2, ())
    assert runs.rollback(three) == runs.Rollback(2, 1, ())
    with pytest.raises(StoreError, match=r"go back to: run 1 of blog replaced no other.*promote one of: 2, 3"):
        runs.rollback(three)
    assert number_of(runs.current(three)) == 1


def test_rolling_back_passes_over_what_is_incomplete_and_stops_where_a_record_is_gone(three: Store):
    three.remove("latents", runs.read(three, 2).stages["latents"]["key"])
    assert runs.rollback(three) == runs.Rollback(3, 1, (2,))
    runs.promote(three, 3)
    three.remove("latents", runs.read(three, 1).stages["latents"]["key"])
    with pytest.raises(StoreError, match=r"run 1 of blog is incomplete: latents/\w+ is gone \(run again"):
        runs.rollback(three)
    (three.folder / runs.file_of(1)).unlink()
    with pytest.raises(StoreError, match="nothing to go back to: run 1 of blog is gone"):
        runs.rollback(three)
    assert number_of(runs.current(three)) == 3


@pytest.mark.parametrize("older", [False, True], ids=["", "in a store that knows no promotions"])
def test_rolling_back_goes_to_the_run_that_was_promoted_before(three: Store, older: bool):
    if older:
        (three.folder / runs.LINE).unlink()
    for number in (1, 3, 2, 2):
        runs.promote(three, number)
    assert runs.line(three, runs.read(three, 2)) == [3, 1, 3, 2, 1]
    assert [runs.rollback(three).now for _ in range(5)] == [3, 1, 3, 2, 1]
    with pytest.raises(StoreError, match="run 1 of blog replaced no other"):
        runs.rollback(three)


def test_a_promotion_or_a_rollback_that_was_killed_half_way_changes_no_line(three: Store,
                                                                            monkeypatch: pytest.MonkeyPatch):
    put_text, kills = Store.put_text, ["current", runs.LINE]

    def killed(self: Store, name: str, text: str) -> None:
        if name == kills[0]:
            del kills[0]
            raise KeyboardInterrupt
        put_text(self, name, text)

    runs.promote(three, 1)
    monkeypatch.setattr(Store, "put_text", killed)
    with pytest.raises(KeyboardInterrupt):
        runs.promote(three, 2)
    found = runs.choose(three)
    assert (found.number, runs.line(three, found)) == (1, [3, 2, 1])
    with pytest.raises(KeyboardInterrupt):
        runs.rollback(three)
    found = runs.choose(three)
    assert (found.number, runs.line(three, found), kills) == (3, [2, 1], [])


def test_a_damaged_pointer_or_line_is_mended_by_a_promotion(three: Store):
    for name in ("current", runs.LINE):
        (three.folder / name).write_text("99")
        assert runs.promote(three, 3) == runs.current(three)
        assert runs.rollback(three).now == 2, "the run's record still knows"
        runs.promote(three, 3)


def test_rolling_back_needs_a_current_run(fakes: Fakes, posts: Path, store: Store):
    runs.execute(tiny(posts), store, until="tokens")
    with pytest.raises(StoreError, match="has no finished run"):
        runs.rollback(store)


def test_a_run_that_is_pruned_as_it_is_looked_up_is_looked_up_again(three: Store, monkeypatch: pytest.MonkeyPatch):
    real, read = runs.read, []

    def late(store: Store, number: int) -> runs.Run:
        read.append(number)
        if len(read) == 1:  # as if another process had promoted and pruned since the pointer was read
            (store.folder / "current").write_text("2\n")
            (store.folder / runs.file_of(3)).unlink()
        return real(store, number)

    monkeypatch.setattr(runs, "read", late)
    assert number_of(runs.current(three)) == 2 and read == [3, 2]
    (three.folder / "current").write_text("3\n")
    with pytest.raises(StoreError, match="blog has no run 3"):
        runs.current(three)


def test_a_run_that_was_killed_before_its_promotion_gets_it(fakes: Fakes, posts: Path, store: Store,
                                                            monkeypatch: pytest.MonkeyPatch):
    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "_point", stop)
        with pytest.raises(KeyboardInterrupt):
            runs.execute(tiny(posts), store)
    assert runs.current(store) is None and number_of(runs.latest(store)) == 1
    assert not runs.execute(tiny(posts), store).recorded and number_of(runs.current(store)) == 1
    for said in ("9\n", "x"):  # killed before run 9 was recorded; damaged
        store.put_text(runs.PROMISED, said)
        with store.lock():
            assert runs.settle(store) is None and runs.settle(store) is None and number_of(runs.current(store)) == 1


def test_what_was_promised_to_a_run_goes_to_no_other(three: Store):
    three.put_text(runs.PROMISED, "4\n")  # killed before run 4 was recorded
    other = runs.add(three, runs.read(three, 1))
    with three.lock():
        assert other.number == 4 and runs.settle(three) is None and number_of(runs.current(three)) == 3
    three.put_text(runs.PROMISED, "2\n")  # killed after run 2 was recorded
    assert (runs.add(three, other).replaced, number_of(runs.current(three))) == (2, 2)
