"""The sampled softmax: inclusion probabilities, draws, and an estimate of the normaliser with the true mean."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textvae.nn import sampled_softmax

COUNTS = np.random.default_rng(0).zipf(1.3, 60).clip(max=10_000)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(counts=st.lists(st.integers(0, 10**6), min_size=3, max_size=50), data=st.data())
def test_a_sample_has_its_size_and_no_token_twice(counts, data):
    samples = data.draw(st.integers(1, len(counts) - 1))
    chances = sampled_softmax.inclusion(np.array(counts), samples)
    assert chances.sum() == pytest.approx(samples) and chances.min() > 0 and chances.max() <= 1
    for seed in range(5):
        drawn = sampled_softmax.draw(chances, np.random.default_rng(seed))
        assert len(drawn) == samples == len(set(drawn.tolist()))
        assert set(np.flatnonzero(chances >= 1)) <= set(drawn.tolist())


def test_tokens_are_drawn_as_often_as_their_chance_says():
    chances = sampled_softmax.inclusion(COUNTS, 20)
    drawn = np.zeros(len(COUNTS))
    rng = np.random.default_rng(1)
    for _ in range(4000):
        drawn[sampled_softmax.draw(chances, rng)] += 1
    # Five standard errors of a share of 4,000 draws.
    assert np.abs(drawn / 4000 - chances).max() < 5 * 0.5 / np.sqrt(4000)


def test_the_estimated_normaliser_has_the_true_mean():
    rng = np.random.default_rng(2)
    chances = sampled_softmax.inclusion(COUNTS, 20)
    hidden, table = rng.normal(size=(5, 8)).astype("f4"), rng.normal(size=(60, 8)).astype("f4")
    bias, target = np.log((COUNTS + 1) / COUNTS.sum()).astype("f4"), np.array([0, 7, 30, 59, 12])
    logits = hidden @ table.T + bias
    exact = np.exp(logits).sum(axis=1)
    found = []
    for _ in range(3000):
        arrays = sampled_softmax.arrays(dict.fromkeys(("encoder", "decoder", "target"), target), chances, rng, 1)
        rows = arrays["rows"]
        nats = np.asarray(sampled_softmax.crossentropy(hidden, table[rows], bias[rows], arrays["place"][target],
                                                       arrays["shift"]))
        found.append(np.exp(nats + logits[np.arange(5), target]))
    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - exact) < 5 * error + 1e-4 * exact).all()
    assert (np.std(found, axis=0) > 0.01 * exact).any()


def test_with_nearly_all_tokens_it_is_the_exact_softmax():
    rng = np.random.default_rng(3)
    chances = np.ones(60)
    hidden, table = rng.normal(size=(4, 8)).astype("f4"), rng.normal(size=(60, 8)).astype("f4")
    bias, target = rng.normal(size=60).astype("f4"), np.array([3, 9, 0, 59])
    logits = (hidden @ table.T + bias).astype(np.float64)
    exact = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(4), target]
    found = sampled_softmax.crossentropy(hidden, table, bias, target, -np.log(chances).astype("f4"))
    np.testing.assert_allclose(np.asarray(found), exact, rtol=1e-5)


def test_rows_hold_the_sample_first_and_everything_that_the_batch_reads():
    chances = sampled_softmax.inclusion(COUNTS, 20)
    batch = {"encoder": np.array([[50, 0]]), "decoder": np.array([[1, 55]]), "target": np.array([[55, 2]])}
    arrays = sampled_softmax.arrays(batch, chances, np.random.default_rng(0), 6)
    rows, place = arrays["rows"], arrays["place"]
    assert len(rows) == len(set(rows.tolist())) == 20 + 6 + 4
    assert (rows[:20] == sampled_softmax.draw(chances, np.random.default_rng(0))).all()
    for ids in batch.values():
        assert (rows[place[ids]] == ids).all()
    assert arrays["shift"] == pytest.approx(-np.log(chances[rows[:20]]), rel=1e-6)
