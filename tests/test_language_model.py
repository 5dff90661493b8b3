"""Kneser-Ney: probabilities that sum to one, known values, and perplexity."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textvae.text.language_model import KneserNey, Mark

RNG = np.random.default_rng(0)
CHAIN = {word: RNG.dirichlet(np.full(12, 0.2)) for word in range(12)}


def sequences(count: int, seed: int) -> list[list[int]]:
    """Drawn from a Markov chain over 12 words."""
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(count):
        words = [int(rng.integers(12))]
        while len(words) < 8:
            words.append(int(rng.choice(12, p=CHAIN[words[-1]])))
        drawn.append(words)
    return drawn


MODELS = {order: KneserNey.train(sequences(200, 1), order) for order in (1, 2, 3)}


@settings(max_examples=50, derandomize=True)
@given(st.sampled_from([1, 2, 3]), st.lists(st.integers(0, 14), max_size=5))
def test_probabilities_sum_to_one_in_every_context(order: int, history: list[int]) -> None:
    model = MODELS[order]
    total = sum(model.probability(word, history) for word in model.vocabulary)
    assert total == pytest.approx(1)
    assert model.probability(99, history) == model.probability(Mark.UNSEEN, history) > 0


@settings(max_examples=50, derandomize=True)
@given(st.lists(st.lists(st.sampled_from("abc"), max_size=4), min_size=1, max_size=4),
       st.lists(st.sampled_from("abcd")))
def test_tiny_corpora_give_finite_numbers(corpus: list[list[str]], text: list[str]) -> None:
    model = KneserNey.train(corpus)
    assert sum(model.probability(word, text) for word in model.vocabulary) == pytest.approx(1)
    assert 0 < model.nll(text) < math.inf


def test_a_bigram_by_hand() -> None:
    # Bigrams: (B,a) 2, (a,b) 1, (a,c) 1, (b,E) 1, (c,E) 1, so D = 4 / (4 + 2 * 1) = 2/3.
    # Words by how many different words stand before them: a 1, b 1, c 1, E 2, so D = 3 / (3 + 2) = 3/5 there.
    model = KneserNey.train([["a", "b"], ["a", "c"]], order=2)
    lower = (1 - 3 / 5 + 3 / 5 * 4 / 5) / 5
    assert model.probability("b", ["a"]) == pytest.approx((1 - 2 / 3 + 2 / 3 * 2 * lower) / 2)
    assert model.probability("a", []) == pytest.approx((2 - 2 / 3 + 2 / 3 * lower) / 2)


def test_longer_contexts_help_and_all_beat_the_uniform_model() -> None:
    held_out = sequences(100, 2)
    one, two, three = (MODELS[order].perplexity(held_out) for order in (1, 2, 3))
    assert two < one < 14 and two < 0.6 * one
    assert three < 1.1 * two  # the chain has no more to tell


def test_perplexity_counts_the_end_of_each_sequence() -> None:
    model = MODELS[3]
    pair = [[1, 2, 3], [4]]
    assert model.perplexity(pair) == pytest.approx(math.exp((model.nll(pair[0]) + model.nll(pair[1])) / 6))
    assert model.nll([]) == pytest.approx(-math.log(model.probability(Mark.END, [])))


def test_words_never_clash_with_the_marks() -> None:
    model = KneserNey.train([["begin", "end", "<end>"]])
    assert model.probability("end", ["begin"]) != model.probability(Mark.END, ["begin"])


def test_nothing_to_train_or_judge_on_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one training sequence"):
        KneserNey.train([])
    with pytest.raises(ValueError, match="order must be at least 1, not 0"):
        KneserNey.train([["a"]], order=0)
    with pytest.raises(ValueError, match="at least one sequence"):
        MODELS[2].perplexity([])
