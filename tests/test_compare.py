"""Two runs side by side, whatever stages they have."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import textvae
from fake_stages import Fakes, folder_of_posts, tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from textvae import runs
from textvae.compare import Metric, Pair, Written, _metrics, compare
from textvae.data import Changes, Evaluation
from textvae.errors import StoreError
from textvae.runs import Run
from textvae.store import Store


def test_settings_and_makers_that_differ_are_named(three: Store):
    found = compare(three, 1, 3)
    assert (found.before.number, found.after.number) == (1, 3)
    assert found.settings == (Pair("latents.batch_size", 1, 3),) and found.makers == ()
    assert compare(three, 2, 2).settings == ()
    with pytest.raises(StoreError, match="blog has no run 4"):
        compare(three, 1, 4)


def test_posts_are_told_apart_by_id_and_hash(fakes: Fakes, posts: Path, store: Store):
    runs.execute(tiny(posts), store)
    folder_of_posts(posts, one="The first post, mended.", three="The third.")
    (posts / "two.txt").unlink()
    runs.execute(tiny(posts), store)
    assert compare(store, 1, 2).posts == Changes(("three.txt",), ("one.txt",), ("two.txt",), 0, 6)
    assert compare(store, 2, 1).posts == Changes(("two.txt",), ("one.txt",), ("three.txt",), 0, 5)
    assert compare(store, 2, 2).posts == Changes((), (), (), 2)


def test_numbers_have_their_change(three: Store):
    found = {metric.name: metric for metric in compare(three, 1, 2).metrics}
    assert (found["corpus.posts"].before, found["corpus.posts"].change) == (2, 0)
    kl = found["evaluation.kl"]
    assert kl.change == pytest.approx(kl.after - kl.before) and kl.clear is None


def run_with(number: int, **metrics: Any) -> Run:
    made = {"evaluation": {"key": "k", "content": "c", "metrics": metrics}}
    return Run(number, "blog", made, "", "", 0.0, {}, {}, None)


def test_numbers_inside_of_tables_and_those_that_one_run_lacks():
    one = run_with(1, kl={"value": 2.0, "low": 1.0, "high": 3.0}, tokens={"train": 5}, only=1, names=["a"], done=True)
    two = run_with(2, kl={"value": 6.0, "low": 5.0, "high": 7.0}, tokens={"train": 7, "test": 1}, only=None)
    assert list(_metrics(one, two)) == [
        Metric("evaluation.kl", 2.0, 6.0, True), Metric("evaluation.tokens.train", 5, 7, None),
        Metric("evaluation.only", 1, None, None), Metric("evaluation.tokens.test", None, 1, None)]


@settings(max_examples=50, derandomize=True)
@given(st.lists(st.floats(-100, 100), min_size=4, max_size=4))
def test_intervals_are_apart_in_either_direction_or_not(ends: list[float]):
    (a, b), (c, d) = sorted(ends[:2]), sorted(ends[2:])
    one, two = (run_with(1, x={"value": low, "low": low, "high": high}) for low, high in ((a, b), (c, d)))
    (there,), (back,) = _metrics(one, two), _metrics(two, one)
    assert there.clear == back.clear == (not any(c <= end <= d for end in (a, b)) and not a <= c <= b)


def evaluated(store: Store, number: int, texts: dict[str, Any]) -> None:
    """Give a run an evaluation with these texts."""
    key = f"{number:016x}"
    content = store.write("evaluation", key, Evaluation({}, texts, ""))["content"]
    run = runs.read(store, number)
    fact = run.stages["evaluation"] | {"key": key, "content": content}
    store.put(runs.file_of(number), vars(replace(run, stages=run.stages | {"evaluation": fact})))


def test_texts_are_laid_side_by_side_by_their_source(three: Store):
    rows = {"variations": [{"source": "s", "variations": [{"text": "one"}]}, {"source": "gone", "variations": []}]}
    evaluated(three, 1, {"samples": [{"text": "a"}], **rows, "interpolations": [{"a": "x", "b": "y", "texts": ["p"]}]})
    rows = {"variations": [{"source": "s", "variations": [{"text": "two"}]}], "reconstructions": []}
    evaluated(three, 2, {"samples": [{"text": "b"}], **rows, "interpolations": [{"a": "x", "b": "y", "texts": ["q"]}]})
    assert compare(three, 1, 2).texts == (
        Written("samples", "", ("a",), ("b",)), Written("variations", "s", ("one",), ("two",)),
        Written("interpolations", "x – y", ("p",), ("q",)))
    shown = textvae("diff", "blog", "1", "2", "--store", str(three.root)).out
    assert "samples\n  run 1  a\n  run 2  b\n" in shown and "variations of: s\n  run 1  one\n  run 2  two\n" in shown
    assert "samples" not in textvae("diff", "blog", "1", "2", "-n", "0", "--store", str(three.root)).out


def test_texts_of_another_shape_are_told(three: Store):
    evaluated(three, 1, {"variations": [{"source": "s"}], "samples": ["a"]})
    with pytest.raises(StoreError, match="texts of run 1's or run 1's evaluation are not"):
        compare(three, 1, 1)


def test_runs_that_lack_stages_are_compared_all_the_same(fakes: Fakes, posts: Path, store: Store):
    runs.execute(tiny(posts), store, until="corpus")
    runs.execute(tiny(posts), store)
    found = compare(store, 1, 2)
    assert found.posts == Changes((), (), (), 2) and found.texts == ()
    run = runs.read(store, 1)
    store.put(runs.file_of(1), vars(replace(run, stages={})))
    assert compare(store, 1, 2).posts is None
    assert "posts: unknown" in textvae("diff", "blog", "1", "2", "--store", str(store.root)).out


def test_the_command_prints_what_differs_and_json_all(three: Store):
    done = textvae("diff", "blog", "1", "3", "--store", str(three.root))
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "blog, run 1 and run 3"
    assert [line.split() for line in lines[2:4]] == [["setting", "run", "1", "run", "3"],
                                                     ["latents.batch_size", "1", "3"]]
    assert "posts: 0 new, 0 changed, 0 deleted, 2 the same" in lines
    assert "corpus.posts" not in done.out, "what is the same is only counted"
    (told,) = textvae("diff", "blog", "1", "3", "--store", str(three.root), "--json").json
    assert (told["before"]["number"], told["after"]["number"]) == (1, 3)
    assert told["settings"] == [{"name": "latents.batch_size", "before": 1, "after": 3}]
    assert {"corpus.posts", "evaluation.kl"} <= {metric["name"] for metric in told["metrics"]}
    wrong = textvae("diff", "blog", "1", "9", "--store", str(three.root))
    assert (wrong.code, wrong.out) == (1, "") and "blog has no run 9" in wrong.err
