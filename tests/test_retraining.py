"""Retraining: what changed, whether it is due, what is gone on from, and that nothing worse is promoted."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_stages import Fakes, Judge, folder_of_posts, tiny

from textvae import retraining, runs, upkeep
from textvae.data import Post, differ
from textvae.errors import InputError
from textvae.evaluate import gate
from textvae.retraining import DECLINED, NOT_DUE, PROMOTED, UNCHANGED, Due, Outcome
from textvae.stages import corpus
from textvae.store import Store


@pytest.fixture
def champion(fakes: Fakes, judge: Judge, posts: Path, store: Store) -> Store:
    """A store with one promoted run over two posts."""
    assert retraining.retrain(tiny(posts), store).result == PROMOTED
    fakes.take()
    return store


def numbers(store: Store) -> tuple[int, int]:
    """The promoted run and the newest one."""
    promoted, newest = runs.current(store), runs.latest(store)
    assert promoted and newest
    return promoted.number, newest.number


def test_posts_are_compared_by_id_and_text_and_labels():
    old = [Post("a", "one"), Post("b", "two", labels=("mood=calm",)), Post("c", "three")]
    new = [Post("a", "one"), Post("b", "two", labels=("mood=glad",)), Post("d", "four five")]
    found = differ(old, new)
    assert (found.new, found.changed, found.deleted, found.words) == (("d",), ("b",), ("c",), 3)
    assert str(found) == "posts: 1 new, 1 changed, 1 deleted" and found.counts()["deleted"] == 1
    assert str(differ(new, new)) == "no post differs"


def test_the_first_retraining_is_a_run(fakes: Fakes, judge: Judge, posts: Path, store: Store):
    outcome = retraining.retrain(tiny(posts), store)
    assert (outcome.result, outcome.run, outcome.code) == (PROMOTED, 1, 0)
    assert not judge.posts and fakes.starts == [None]


def test_nothing_changed_makes_nothing(fakes: Fakes, champion: Store, posts: Path):
    outcome = retraining.retrain(tiny(posts), champion)
    assert (outcome.result, outcome.code, outcome.run) == (UNCHANGED, 10, None)
    assert fakes.take() == [] and numbers(champion) == (1, 1)


@pytest.mark.parametrize(("name", "text"), [
    ("idea.md", "---\ndraft: true\n---\nNot yet."), ("README.md", "About."), ("zwei.md", "The second."),
    ("three.md", "---\nlastmod: 2026-12-01\n---\nThe third.")])
def test_a_file_that_makes_no_other_post_changes_nothing(
        fakes: Fakes, judge: Judge, posts: Path, store: Store, monkeypatch: pytest.MonkeyPatch, name: str, text: str):
    monkeypatch.setitem(sys.modules, corpus.__name__, corpus)  # the real readers
    (posts / "three.md").write_text("---\ndate: 2026-11-01\n---\nThe third.", encoding="utf-8")
    assert retraining.retrain(tiny(posts), store).result == PROMOTED
    fakes.take()
    (posts / name).write_text(text, encoding="utf-8")
    for due in (Due(), Due(new_posts=5)):
        outcome = retraining.retrain(tiny(posts), store, due=due)
        assert (outcome.result, outcome.why) == (UNCHANGED, "run 1 is up to date")
    assert fakes.take() == [] and numbers(store) == (1, 1)
    changed = tiny(posts, "latents.batch_size=3")
    assert retraining.retrain(changed, store, due=Due(new_posts=5)).run == 2, "settings are due at once"
    folder_of_posts(posts, four="A fourth post.")
    assert retraining.retrain(changed, store).changes["new"] == 1 and numbers(store) == (3, 3)


@pytest.mark.parametrize("damage", ["manifest.json", "mean.npy", ""])
def test_what_is_damaged_is_not_taken_for_a_run_of_the_same_posts(fakes: Fakes, judge: Judge, champion: Store,
                                                                  posts: Path, damage: str):
    run = runs.read(champion, 1)
    latents = champion.path("latents", run.held["latents"])
    (posts / "again.md").write_text("Not read by the fakes, and part of the corpus's key.", encoding="utf-8")
    if damage:
        (latents / damage).write_bytes(b"\0")
    else:
        champion.remove("latents", run.held["latents"])
    result = retraining.retrain(tiny(posts), champion).result
    assert result == (UNCHANGED if damage == "mean.npy" else PROMOTED), "only what is written with is read at night"


def test_new_posts_are_trained_on_from_the_promoted_weights(fakes: Fakes, judge: Judge, champion: Store, posts: Path):
    before = runs.load(champion, "sequence_vae")
    folder_of_posts(posts, three="A third post.", one="The first post, edited.")
    outcome = retraining.retrain(tiny(posts, "sequence_vae.epochs=9"), champion)
    assert (outcome.result, outcome.run, outcome.before) == (PROMOTED, 2, 1)
    assert outcome.changes == {"new": 1, "changed": 1, "deleted": 0, "words": 7}
    start = fakes.starts[-1]
    assert start is not None and start.epochs == 4
    assert (start.network.weights["kernel"] == before.weights["kernel"]).all()
    run = runs.read(champion, 2)
    assert run.why == "retrain: posts: 1 new, 1 changed" and run.gate["promoted"] and numbers(champion) == (2, 2)
    assert outcome.gate[0]["says"] == outcome.why == run.gate["checks"][0]["says"]


def test_runs_are_compared_on_posts_that_both_hold_out_and_nobody_changed(fakes: Fakes, judge: Judge, posts: Path,
                                                                          store: Store):
    folder_of_posts(posts, held_1="Kept away.", held_2="Kept away as well.", held_3="Gone later.")
    retraining.retrain(tiny(posts), store)
    folder_of_posts(posts, three="A third post.", held_2="Kept away, and edited.", held_4="New, and kept away.")
    (posts / "held_3.txt").unlink()
    assert retraining.retrain(tiny(posts), store).result == PROMOTED
    assert judge.posts == [["held_1.txt"]]


def test_a_run_after_it_has_nothing_to_do(fakes: Fakes, champion: Store, posts: Path):
    folder_of_posts(posts, three="A third post.")
    retraining.retrain(tiny(posts), champion)
    fakes.take()
    assert all(item.state == "done" for item in runs.plan(tiny(posts), champion))
    assert runs.execute(tiny(posts), champion).result.ran == () and numbers(champion) == (2, 2)
    forced = runs.execute(tiny(posts), champion, force=("sequence_vae",))
    assert "sequence_vae" in forced.result.ran and fakes.starts[-1] is None, "forced means from fresh weights"


@pytest.mark.parametrize("noticed", ["while it runs", "by the plan"])
def test_a_run_after_it_starts_cold_where_it_must_and_what_it_went_on_from_was_pruned(
        fakes: Fakes, champion: Store, posts: Path, noticed: str):
    folder_of_posts(posts, three="A third post.")
    retraining.retrain(tiny(posts), champion)
    upkeep.prune(champion, 1)
    assert runs.execute(tiny(posts), champion).result.ran == (), "it need not"
    fakes.salt["word_vectors"] = 1
    if noticed == "by the plan":
        fakes.halts["embedding_vae"] = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            runs.execute(tiny(posts), champion, force=("word_vectors",))
        fakes.halts["sequence_vae"] = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            runs.execute(tiny(posts), champion)
        reasons = {item.stage: item.reason for item in runs.plan(tiny(posts), champion)}
        assert reasons["sequence_vae"] == "what it went on from is gone"
    done = runs.execute(tiny(posts), champion, force=("word_vectors", "latents") if noticed == "while it runs" else ())
    reasons = {item.stage: item.reason for item in done.result.stages if item.ran}
    assert reasons["sequence_vae"] == "what it went on from is gone" and fakes.starts[-1] is None
    assert reasons["latents"] == ("forced" if noticed == "while it runs" else "follows sequence_vae")
    assert numbers(champion) == (3, 3) and runs.execute(tiny(posts), champion).result.ran == ()
    assert retraining.retrain(tiny(posts), champion).result == UNCHANGED


def test_what_is_worse_is_recorded_and_not_promoted(fakes: Fakes, judge: Judge, champion: Store, posts: Path):
    judge.passes = False
    folder_of_posts(posts, spam="Buy buy buy.")
    outcome = retraining.retrain(tiny(posts), champion)
    assert (outcome.result, outcome.code, outcome.run) == (DECLINED, 11, 2) and outcome.why == "90.00 -> 91.00 nats"
    assert numbers(champion) == (1, 2) and not runs.read(champion, 2).gate["promoted"]
    fakes.take()
    again = retraining.retrain(tiny(posts), champion)
    assert again.result == UNCHANGED and again.why == "run 2 is up to date, and not promoted: run 1 is"
    assert fakes.take() == []
    judge.passes = True
    (posts / "spam.txt").unlink()
    folder_of_posts(posts, three="A third post.")
    assert retraining.retrain(tiny(posts), champion).changes["new"] == 1
    start = fakes.starts[-1]
    assert start and (start.network.weights["kernel"] == runs.load(champion, "sequence_vae", 1).weights["kernel"]).all()
    assert numbers(champion) == (3, 3)


def test_the_promoted_run_is_up_to_date_once_what_was_declined_is_gone(fakes: Fakes, judge: Judge, champion: Store,
                                                                        posts: Path):
    folder_of_posts(posts, three="A third post.")
    assert retraining.retrain(tiny(posts), champion).run == 2
    judge.passes = False
    folder_of_posts(posts, spam="Buy buy buy.")
    assert retraining.retrain(tiny(posts), champion).run == 3
    judge.passes = True
    (posts / "spam.txt").unlink()
    fakes.take()
    outcome = retraining.retrain(tiny(posts), champion)
    assert (outcome.result, outcome.why) == (UNCHANGED, "run 2 is up to date")
    assert fakes.take() == [] and numbers(champion) == (2, 3)


@pytest.mark.parametrize(("due", "result"), [
    (Due(new_posts=3), NOT_DUE), (Due(new_posts=2), PROMOTED), (Due(new_words=6), NOT_DUE),
    (Due(new_words=5), PROMOTED), (Due(older_than=3600.0), NOT_DUE),
    (Due(older_than=3600.0, new_posts=1), PROMOTED), (Due(older_than=0.0), PROMOTED),
    (Due(), PROMOTED)])
def test_it_is_due_when_one_condition_holds(fakes: Fakes, champion: Store, posts: Path, due: Due, result: str):
    folder_of_posts(posts, three="A third.", four="A fourth post.")
    outcome = retraining.retrain(tiny(posts), champion, due=due)
    assert outcome.result == result and outcome.changes["new"] == 2
    if result == NOT_DUE:
        assert outcome.code == 10 and fakes.take() == ["corpus"] and numbers(champion) == (1, 1)


def test_a_run_from_the_future_counts_as_old(fakes: Fakes, champion: Store, posts: Path):
    record = champion.get("runs/0001.json")
    champion.put("runs/0001.json", {**record, "started": "2999-01-01T00:00:00.000000+00:00"})
    folder_of_posts(posts, three="A third post.")
    assert retraining.retrain(tiny(posts), champion, due=Due(older_than=3600.0)).result == PROMOTED


def test_from_scratch_goes_on_from_nothing(fakes: Fakes, champion: Store, posts: Path):
    folder_of_posts(posts, three="A third post.")
    retraining.retrain(tiny(posts), champion)
    outcome = retraining.retrain(tiny(posts), champion, from_scratch=True, due=Due(new_posts=99))
    assert outcome.run == 3 and fakes.starts[-1] is None and outcome.changes["new"] == 0
    assert retraining.retrain(tiny(posts), champion, from_scratch=True).result == UNCHANGED


@pytest.mark.parametrize(("setting", "warm"), [
    ("sequence_vae.hidden=99", False), ("tokens.level=word", False), ("embedding_vae.latent=3", False),
    ("sequence_vae.learning_rate=0.5", True), ("tokens.vocabulary=500", True), ("evaluation.samples=7", True)])
def test_a_setting_that_shapes_the_network_trains_from_scratch(fakes: Fakes, champion: Store, posts: Path, setting: str,
                                                               warm: bool):
    outcome = retraining.retrain(tiny(posts, setting), champion, due=Due(new_posts=99))
    assert outcome.run == 2, "a setting that changed is due at once"
    assert (fakes.starts[-1] is not None) is (warm and "evaluation" not in setting)


def test_a_replay_below_one_names_the_new_posts(fakes: Fakes, champion: Store, posts: Path):
    folder_of_posts(posts, three="A third post.", two="The second, edited.")
    retraining.retrain(tiny(posts, "retrain.replay=0.5", "retrain.epochs=3"), champion)
    start = fakes.starts[-1]
    assert start and (start.epochs, start.replay, start.fresh) == (3, 0.5, ("three.txt", "two.txt"))


@pytest.mark.parametrize("stage", ["corpus", "tokens", "sequence_vae", "evaluation"])
def test_one_that_is_stopped_ends_as_if_it_had_not(fakes: Fakes, judge: Judge, champion: Store, posts: Path,
                                                   tmp_path: Path, stage: str):
    folder_of_posts(posts, three="A third post.")
    fakes.halts[stage] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        retraining.retrain(tiny(posts), champion)
    assert numbers(champion) == (1, 1)
    assert retraining.retrain(tiny(posts), champion).result == PROMOTED and numbers(champion) == (2, 2)
    whole = Store(tmp_path / "other", "blog")
    (posts / "three.txt").unlink()
    retraining.retrain(tiny(posts), whole)
    folder_of_posts(posts, three="A third post.")
    retraining.retrain(tiny(posts), whole)
    assert runs.read(whole, 2).held == runs.read(champion, 2).held
    assert [fact["content"] for fact in runs.read(whole, 2).stages.values()] == [
        fact["content"] for fact in runs.read(champion, 2).stages.values()]


def test_one_that_is_stopped_before_the_promotion_is_promoted_by_the_next(fakes: Fakes, judge: Judge, champion: Store,
                                                                          posts: Path, monkeypatch: pytest.MonkeyPatch):
    folder_of_posts(posts, three="A third post.")

    def stop(*args: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(gate, "compare", stop)
        with pytest.raises(KeyboardInterrupt):
            retraining.retrain(tiny(posts), champion)
    fakes.take()
    assert retraining.retrain(tiny(posts), champion).result == PROMOTED and fakes.take() == []
    assert numbers(champion) == (2, 2)


def test_a_promotion_that_was_stopped_is_made_up_for_and_one_taken_back_is_not(
        fakes: Fakes, judge: Judge, champion: Store, posts: Path, monkeypatch: pytest.MonkeyPatch):
    folder_of_posts(posts, three="A third post.")

    def stop(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "promote", stop)
        with pytest.raises(KeyboardInterrupt):
            retraining.retrain(tiny(posts), champion)
    assert numbers(champion) == (1, 2)
    found = retraining.retrain(tiny(posts), champion)
    assert (found.result, found.run) == (PROMOTED, 2) and numbers(champion) == (2, 2)
    assert retraining.retrain(tiny(posts), champion).result == UNCHANGED and numbers(champion) == (2, 2)
    runs.promote(champion, 1)
    assert retraining.retrain(tiny(posts), champion).result == UNCHANGED and numbers(champion) == (1, 2)


def test_a_corpus_that_vanished_is_an_error_and_leaves_the_run(fakes: Fakes, champion: Store, posts: Path):
    for path in posts.iterdir():
        path.unlink()
    posts.rmdir()
    with pytest.raises(InputError):
        retraining.retrain(tiny(posts), champion)
    assert numbers(champion) == (1, 1)


def test_an_outcome_is_kept(store: Store):
    assert retraining.last(store) is None
    outcome = Outcome("blog", DECLINED, "90 -> 91", run=4, before=3, changes={"new": 2}, gate=({"name": "iw_nll"},))
    retraining.keep(store, outcome)
    found = retraining.last(store)
    assert found and json.dumps(vars(found)) == json.dumps(vars(outcome))
