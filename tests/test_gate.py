"""The gate: two runs on the same held-out posts, whatever their vocabularies."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import networks
import numpy as np
import pytest

from textvae import evaluate
from textvae.config import parse
from textvae.data import Check, Post, Tokens, TrainedNetwork
from textvae.evaluate import gate
from textvae.text import tokenizer
from textvae.writing.model import UNBOUND, Model

POSTS = [Post(f"{number}.md", f"{text}. The cat ran home.") for number, text in enumerate(networks.TEXTS)]
CONFIG = parse({"tokens": {"level": "word", "min_length": 2},
                "evaluation": {"samples": 20, "iw_samples": 4, "iw_sequences": 3, "sequences": 0}})


def side(texts: list[str] = networks.TEXTS, measured: dict[str, Any] | None = None, **settings: Any) -> gate.Side:
    """A run with an untrained network over the words of some texts."""
    from textvae.nn.weights import gather

    own = networks.writer(texts=[f"{text} ." for text in texts], max_length=12, **settings)
    empty = np.zeros(0, np.int32)
    tokens = Tokens(empty, np.zeros(1, np.int64), empty, empty, np.zeros(0, np.uint8), (), (), own.tokenizer.to_json())
    trained = TrainedNetwork("sequence_vae", own.network.settings, gather(own.network))
    return gate.Side(tokens, trained, measured or {})


def but(own: gate.Side, path: str, change: Callable[[np.ndarray], np.ndarray]) -> gate.Side:
    """The same run with one of its weights changed."""
    weights = own.network.weights
    return replace(own, network=replace(own.network, weights={**weights, path: change(weights[path])}))


def likelier(own: gate.Side, word: str, nats: float) -> gate.Side:
    """The same run, for which one word is likelier by so many nats."""
    row = tokenizer.load(own.tokens.tokenizer).pieces.index(word)
    return but(own, "sequence_vae/token_bias", lambda bias: bias + nats * (np.arange(len(bias)) == row).astype("f4"))


def compared(before: gate.Side, after: gate.Side, posts: list[Post] = POSTS, **retrain: float) -> dict[str, Check]:
    config = replace(CONFIG, retrain=replace(CONFIG.retrain, **retrain))
    return {check.name: check for check in gate.compare(before, after, posts, config, seed=1)}


def test_a_run_is_as_good_as_itself():
    own = side(measured={"satisfied_cats": {"value": 0.9}})
    found = compared(own, own, margin=0.0, constraints=0.0)
    assert set(found) == {"iw_nll", "active_units", "mutual_information", "distinct_2", "satisfied_cats"}
    assert all(check.passed and check.before == check.after for check in found.values())
    assert "+0.00% [+0.00%, +0.00%]" in found["iw_nll"].says and "of 3 posts" in found["iw_nll"].says


def test_a_run_that_predicts_worse_does_not_pass_and_the_upper_end_counts():
    own = side()
    worse = compared(own, likelier(own, "mat", 5.0))["iw_nll"]
    assert not worse.passed and worse.after > worse.before
    assert compared(likelier(own, "mat", 5.0), own, margin=0.0)["iw_nll"].passed
    high = float(re.search(r"\+([\d.]+)%\];", worse.says)[1]) / 100
    mean = worse.after / worse.before - 1
    assert high > mean + 0.005
    assert not compared(own, likelier(own, "mat", 5.0), margin=(high + mean) / 2)["iw_nll"].passed
    assert compared(own, likelier(own, "mat", 5.0), margin=high + 0.001)["iw_nll"].passed


def test_a_collapsed_run_and_one_that_always_says_the_same_do_not_pass():
    alive = but(side(), "sequence_vae/posterior/mean/kernel", lambda kernel: kernel * 30)
    dead = but(alive, "sequence_vae/posterior/mean/kernel", np.zeros_like)
    found = compared(alive, likelier(dead, "the", 30.0), margin=99.0)
    assert found["active_units"].before >= 1 and found["active_units"].after == 0
    assert not found["active_units"].passed and not found["mutual_information"].passed
    assert not found["distinct_2"].passed


def test_samples_are_drawn_as_the_evaluation_draws_them(monkeypatch: pytest.MonkeyPatch):
    asked, decode = [], Model.decode_ids

    def told(self: Model, z: np.ndarray, **given: Any) -> list[np.ndarray]:
        asked.append(given["fluency"])
        return decode(self, z, **given)

    monkeypatch.setattr(Model, "decode_ids", told)
    compared(side(latent_dropout=0.1), side())
    assert asked == [UNBOUND, 0.0]


def test_constraints_that_both_have_are_compared():
    had, has = ({"satisfied_cats": {"value": value}, name: {"value": 1.0}}
                for value, name in ((0.9, "satisfied_gone"), (0.85, "satisfied_new")))
    own = side()
    champion, challenger = replace(own, measured=had), replace(own, measured=has)
    found = compared(champion, challenger, constraints=0.01)
    assert not found["satisfied_cats"].passed and not {"satisfied_gone", "satisfied_new"} & set(found)
    assert compared(champion, challenger, constraints=0.1)["satisfied_cats"].passed


@pytest.mark.parametrize("posts", [[], POSTS[:1], [Post("a", "word " * 50), Post("b", "")]])
def test_too_few_posts_decide_nothing(posts: list[Post]):
    (check,) = gate.compare(side(), side(), posts, CONFIG, seed=1)
    assert not check.passed and check.before is None and "too few to compare on" in check.says


def test_unknown_words_are_spelt_out():
    few, all_ = side(["the cat sat"]), side()
    nats = np.zeros(2)
    texts = ["the cat sat", "a dog sat on a dog"]
    assert gate.spelt(nats, all_.tokens, texts).tolist() == [0.0, 0.0]
    # Five of the words are unknown, and they are three different ones.
    assert gate.spelt(nats, few.tokens, texts).tolist() == pytest.approx([0.0, 5 * np.log(3)])


def test_a_small_vocabulary_does_not_win_by_knowing_nothing():
    ignorant = likelier(side(["the"]), "<unk>", 3.0)  # it says little but the unknown word, and is right
    text = "the cat sat on the mat."
    nats = [evaluate.iw_nll(gate._subject(own, POSTS, [(0, text)], CONFIG, 1)) for own in (side(), ignorant)]
    whole = [gate.spelt(own, of.tokens, [text])[0] for own, of in zip(nats, (side(), ignorant), strict=True)]
    assert nats[1][0] < nats[0][0] == whole[0] and whole[1] == pytest.approx(nats[1][0] + 4 * np.log(4))


@pytest.mark.parametrize(("found", "passed"), [((6.0, 4.3), True), ((6.0, 4.1), False), ((-0.11, -0.08), True),
                                               ((-0.11, -0.2), True), ((0.0, 0.0), True)])
def test_nothing_can_be_lost_of_nothing(found, passed):
    check = gate._kept("mutual_information", "MI in nats", found, 0.7)
    assert check.passed is passed and (check.says.endswith("nothing to keep") is (found[0] <= 0))
