"""Metrics against hand-made values, closed forms and other implementations."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from textvae import metrics


def gaussians(count: int, latent: int, *, spread: float, log_var: float) -> tuple[np.ndarray, np.ndarray]:
    mean = (spread * np.random.default_rng(3).standard_normal((count, latent))).astype(np.float32)
    return mean, np.full((count, latent), log_var, np.float32)


# -- latents ---------------------------------------------------------------------------------------------------


def test_kl_is_the_monte_carlo_mean_of_the_log_ratio():
    mean, log_var = np.array([0.7, -1.2]), np.array([-1.0, 0.5])
    z = mean + np.exp(log_var / 2) * np.random.default_rng(1).standard_normal((400_000, 2))
    ratio = metrics.log_posterior(z, mean, log_var) - metrics.log_posterior(z, np.zeros(2), np.zeros(2))
    assert metrics.kl(mean, log_var).sum() == pytest.approx(ratio.mean(), abs=0.01)


def test_log_posterior_is_the_normal_density():
    own = metrics.log_posterior(np.array([[1.5]]), np.array([[1.0]]), np.array([[math.log(4.0)]]))
    assert own[0] == pytest.approx(-0.5 * math.log(2 * math.pi * 4) - 0.25 / 8)


def test_mutual_information_of_a_gaussian_channel():
    # x -> mean ~ N(0, s^2), z ~ N(mean, v): I = 0.5 log(1 + s^2 / v) per dimension.
    mean, log_var = gaussians(4000, 2, spread=1.5, log_var=math.log(0.5))
    found = metrics.mutual_information(mean, log_var, seed=1).mean()
    assert found == pytest.approx(2 * 0.5 * math.log(1 + 1.5**2 / 0.5), abs=0.06)


def test_mutual_information_agrees_with_the_double_loop(monkeypatch):
    monkeypatch.setattr(metrics.latent, "PAIRS", 7 * 30)  # several blocks, the last one short
    rng = np.random.default_rng(2)
    mean, log_var = rng.normal(size=(30, 3)), rng.normal(-2, 1, size=(30, 3))
    z = mean + np.exp(0.5 * log_var) * np.random.default_rng(5).standard_normal(mean.shape)
    wanted = []
    for i in range(30):
        densities = [math.exp(metrics.log_posterior(z[i], mean[j], log_var[j])) for j in range(30)]
        wanted.append(math.log(densities[i]) - math.log(sum(densities) / 30))
    np.testing.assert_allclose(metrics.mutual_information(mean, log_var, seed=5), wanted, rtol=1e-9)


def test_a_collapsed_posterior_has_no_information_and_no_active_units():
    mean, log_var = gaussians(500, 4, spread=0.0, log_var=0.0)
    assert metrics.mutual_information(mean, log_var, seed=1).mean() == pytest.approx(0.0, abs=1e-9)
    sums = np.concatenate([[500.0], mean.sum(axis=0), (mean**2).sum(axis=0)])
    assert metrics.active_units(sums) == 0


def test_posteriors_far_apart_carry_the_logarithm_of_their_number():
    mean = 100.0 * np.arange(64)[:, None] * np.ones(256)
    found = metrics.mutual_information(mean, np.zeros((64, 256)), seed=1)
    np.testing.assert_allclose(found, math.log(64), rtol=1e-5)  # each of them, however wide the latent is


def test_more_importance_samples_give_a_lower_bound_on_a_known_model():
    # p(z) = N(0, 1), p(x|z) = N(x; z, 1), so p(x) = N(x; 0, 2); q is deliberately off.
    x, rng = 1.0, np.random.default_rng(4)
    z = 0.2 + 1.3 * rng.standard_normal((4000, 50))
    zeros = np.zeros(1)
    log_weights = (metrics.log_posterior(np.full((4000, 50, 1), x), z[..., None], zeros)
                   + metrics.log_posterior(z[..., None], zeros, zeros)
                   - metrics.log_posterior(z[..., None], np.array([0.2]), np.array([2 * math.log(1.3)])))
    elbo, few, many = (metrics.importance_weighted(log_weights[:, :k]).mean() for k in (1, 5, 50))
    exact = 0.5 * math.log(2 * math.pi * 2) + x**2 / 4
    assert elbo > few > many > exact - 0.01
    assert many == pytest.approx(exact, abs=0.02)


def test_importance_weights_do_not_underflow():
    assert metrics.importance_weighted(np.array([[-2000.0, -2000.0]]))[0] == pytest.approx(2000.0)


# -- intervals -------------------------------------------------------------------------------------------------


def test_the_interval_of_a_mean_covers_it_about_95_times_in_100():
    rng = np.random.default_rng(8)
    inside = 0
    for seed in range(100):
        found = metrics.mean(rng.exponential(2.0, size=80), seed=seed)
        assert found.low <= found.value <= found.high
        inside += found.low <= 2.0 <= found.high
    assert 85 <= inside <= 100


def test_a_ratio_weighs_sequences_by_their_length():
    found = metrics.ratio(np.array([2.0, 10.0]), np.array([1.0, 4.0]), seed=1)
    assert found.value == pytest.approx(12 / 5)
    assert metrics.ratio(np.array([2.0, 10.0]), np.array([1.0, 4.0]), seed=1, exponential=True).value == pytest.approx(
        math.exp(12 / 5))


def test_the_same_seed_gives_the_same_interval_and_nothing_gives_no_number():
    values = np.random.default_rng(1).normal(size=50)
    assert metrics.mean(values, seed=3) == metrics.mean(values, seed=3) != metrics.mean(values, seed=4)
    assert all(math.isnan(number) for number in metrics.mean(np.zeros(0), seed=1))


# -- texts -----------------------------------------------------------------------------------------------------

WORD = st.sampled_from(["a", "b", "c", "d", "e"])
TEXT = st.lists(WORD, min_size=1, max_size=9)


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
def test_bleu_is_sacrebleus(pairs: list[tuple[list[str], list[str]]]):
    matches = np.stack([metrics.ngram_matches(own, other) for own, other in pairs])
    theirs = BLEU(tokenize="none").corpus_score([" ".join(own) for own, _ in pairs],
                                                [[" ".join(other) for _, other in pairs]])
    assert metrics.bleu(matches.sum(axis=0)) == pytest.approx(theirs.score, abs=1e-9)
    single = BLEU(tokenize="none", effective_order=True)
    for row, (own, other) in zip(matches, pairs, strict=True):
        wanted = single.sentence_score(" ".join(own), [" ".join(other)]).score
        assert metrics.bleu(row, effective_order=True) == pytest.approx(wanted, abs=1e-9)


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.lists(TEXT, min_size=2, max_size=7))
def test_self_bleu_is_sacrebleu_of_each_text_against_the_others(texts: list[list[str]]):
    single = BLEU(tokenize="none", effective_order=True)
    plain = [" ".join(text) for text in texts]
    wanted = [single.sentence_score(own, plain[:i] + plain[i + 1:]).score for i, own in enumerate(plain)]
    np.testing.assert_allclose(metrics.self_bleu(texts), wanted, atol=1e-9)


def test_self_bleu_at_its_ends():
    same = ["the", "cat", "sat", "down"]
    np.testing.assert_allclose(metrics.self_bleu([same, same, same]), 100.0)
    np.testing.assert_allclose(metrics.self_bleu([["a", "b"], ["c", "d"]]), 0.0)
    np.testing.assert_allclose(metrics.self_bleu([same]), 0.0)
    assert metrics.self_bleu([same, []])[1] == 0


def test_distinct_counts_over_all_texts():
    texts = [["the", "cat", "sat"], ["the", "cat", "ran"]]
    assert metrics.distinct(texts, 1) == pytest.approx(4 / 6)
    assert metrics.distinct(texts, 2) == pytest.approx(3 / 4)
    assert math.isnan(metrics.distinct([["one"]], 2))


def test_content_cosine():
    vectors = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
    first = [np.array([1, 1]), np.array([1, 2]), np.array([], np.int32)]
    second = [np.array([1, 2]), np.array([0, 0]), np.array([1])]
    np.testing.assert_allclose(metrics.content_cosine(first, second, vectors), [math.sqrt(0.5), 0, 0], atol=1e-6)
    assert metrics.content_cosine([], [], vectors).shape == (0,)
