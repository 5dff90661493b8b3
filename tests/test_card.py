"""The model card says what is known, leaves open what is not, and shows no post."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import textvae
from traded import SECRET, filled

from textvae import runs
from textvae.errors import StoreError
from textvae.formats import card
from textvae.runs import Run
from textvae.store import Store


def metric(value: Any, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "unit": "nats", "definition": "of | all"}


@pytest.fixture
def home(tmp_path: Path) -> Store:
    return filled(tmp_path / "models")


def measured(run: Run, corpus: str = "", **metrics: Any) -> Run:
    """The run with other metrics of its evaluation, and the corpus that its settings name."""
    stages = {**run.stages, "evaluation": {**run.stages["evaluation"], "metrics": metrics}}
    return replace(run, stages=stages, config={**run.config, "corpus": {**run.config["corpus"], "path": corpus}})


def test_it_says_what_is_not_known_and_shows_no_post(home: Store):
    text = card.render(home, runs.choose(home))
    front = yaml.safe_load(text.split("---\n")[1])
    assert (front["library_name"], front["license"]) == ("textvae", "unknown")
    assert "The licence of the posts is not known to textvae: say it here." in text
    assert "**Language:** Not known to textvae" in text
    assert SECRET not in text and "/home/me" not in text


def test_a_sample_corpus_has_its_data_sheets_licence(home: Store):
    text = card.render(home, measured(runs.choose(home), "sample:lee"))
    assert yaml.safe_load(text.split("---\n")[1])["license"] == "other"
    assert "**Licence:** gensim (LGPL-2.1)" in text and "300 headline stories" in text


@pytest.mark.parametrize(("path", "said"), [("sample:lee", "`sample:lee`"), ("/home/me/mails", "other texts")])
def test_background_texts_are_counted_and_their_folder_is_nobodys_business(home: Store, path: str, said: str):
    run = measured(runs.choose(home))
    read = {**run.stages["corpus"], "metrics": {"posts": 2, "words": 9, "background_words": 5000}}
    text = card.render(home, replace(run, stages={**run.stages, "corpus": read}, config={
        **run.config, "corpus": {**run.config["corpus"], "background": path}}))
    assert f"**Background:** 5,000 words of {said}, to learn the language from" in text and "/home/me" not in text
    assert "**Background:**" not in card.render(home, run)


def test_metrics_stand_with_their_intervals_and_break_no_table(home: Store):
    text = card.render(home, measured(runs.choose(home), elbo_nll=metric(132.156, 125.03, 138.86),
                                      satisfied_cats=metric(0.8)))
    assert r"| `elbo_nll` | 132.2 | [125, 138.9] | nats: of \| all |" in text
    assert r"| `satisfied_cats` | 0.8 |  | nats: of \| all |" in text


def test_what_came_from_elsewhere_brings_no_markup(home: Store):
    run = replace(measured(runs.choose(home), elbo_nll=metric("<b>1</b>")), commit="<script>", python="[a](b)",
                  packages={"numpy": "<img>"}, device={"name": "<i>"})
    text = card.render(home, run)
    assert r"commit: \<script>" in text and r"\[a\](b)" in text
    text = text.replace(r"\<", "").replace(r"\[", "")
    assert not [sign for sign in ("<b>", "<script>", "<img>", "<i>", "[a](b)") if sign in text]


@pytest.mark.parametrize(("active", "information", "said"), [
    (32, 5.0, "32 of 32 latent dimensions are in use, and z and text share 5.0 nats: the posterior did not collapse"),
    (3, 5.0, "the posterior collapsed in part"), (32, 0.2, "the posterior collapsed in part")])
def test_a_collapse_is_told(home: Store, active: int, information: float, said: str):
    run = measured(runs.choose(home), active_units=metric(active), mutual_information=metric(information))
    assert said in card.render(home, run)


def test_without_an_evaluation_it_says_that_nothing_was_measured(home: Store):
    assert "Nothing was measured" in card.render(home, measured(runs.choose(home)))


def test_a_run_that_cannot_write_has_no_card(home: Store):
    run = runs.choose(home)
    part = replace(run, stages={"tokens": run.stages["tokens"]})
    with pytest.raises(StoreError, match="has no sequence_vae"):
        card.render(home, part)


def test_the_command_prints_it(home: Store):
    done = textvae("convert", "blog", "--format", "card", "--store", str(home.root))
    assert (done.code, done.out) == (0, card.render(home, runs.choose(home)))
    (told,) = textvae("convert", "blog", "--format", "card", "--json", "--store", str(home.root)).json
    assert told == {"pipeline": "blog", "run": 1, "card": done.out}
