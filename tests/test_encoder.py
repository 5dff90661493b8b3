"""Encoders: padding changes nothing, every kind reads the whole sequence, and gradients reach every weight."""

import itertools

import keras
import numpy as np
import pytest

KINDS = [("lstm", 1, False, False), ("gru", 2, False, True), ("lstm", 2, True, True), ("gru", 1, True, False),
         ("conv", 3, False, True), ("conv", 1, False, False)]
SUMMARIES = [("lstm", 1, False, False, "last"), ("gru", 2, True, False, "last"), ("lstm", 1, True, True, "both")]


def made(kind: str, depth: int, both: bool, norm: bool, summary: str = "mean", **more):
    from textvae.nn.encoder import ConvolutionalEncoder, RecurrentEncoder

    keras.utils.set_random_seed(1)
    layer = (ConvolutionalEncoder(hidden=6, depth=depth, layer_norm=norm) if kind == "conv" else
             RecurrentEncoder(kind, hidden=6, depth=depth, bidirectional=both, summary=summary, layer_norm=norm,
                              seed=1, **more))
    layer(np.zeros((2, 3, 4), np.float32), np.ones((2, 3), np.float32))
    return layer


def texts(width: int) -> tuple[np.ndarray, np.ndarray]:
    embedded = np.random.default_rng(0).standard_normal((3, width, 4), np.float32)
    embedded[:, :5] = np.random.default_rng(1).standard_normal((3, 5, 4), np.float32)
    real = np.zeros((3, width), np.float32)
    for row, length in enumerate((5, 2, 4)):
        real[row, :length] = 1
    return embedded, real


@pytest.mark.parametrize(("kind", "depth", "both", "norm", "summary"), [*((*kind, "mean") for kind in KINDS),
                                                                        *SUMMARIES])
def test_what_stands_behind_a_sequence_changes_nothing(kind, depth, both, norm, summary):
    layer = made(kind, depth, both, norm, summary)
    found = [np.asarray(layer(*texts(width))) for width in (5, 6, 9)]
    assert found[0].shape == (3, 6 * (1 + both) * (1 + (summary == "both")))
    for other in found[1:]:
        assert other == pytest.approx(found[0], abs=1e-5)


@pytest.mark.parametrize(("kind", "depth", "both", "norm", "summary"), [*((*kind, "mean") for kind in KINDS),
                                                                        *SUMMARIES])
def test_every_token_is_read(kind, depth, both, norm, summary):
    layer = made(kind, depth, both, norm, summary)
    embedded, real = texts(5)
    first = np.asarray(layer(embedded, real))
    for row, place in itertools.product(range(3), range(5)):
        changed = embedded.copy()
        changed[row, place] += 1.0
        moved = np.abs(np.asarray(layer(changed, real)) - first).max(axis=1) > 1e-4
        assert moved.tolist() == [row == own and bool(real[row, place]) for own in range(3)]


def test_both_directions_tell_a_text_from_its_reverse_in_the_same_way():
    layer = made("lstm", 1, True, False)
    for one, two in zip(layer.onward[0].weights, layer.backward[0].weights, strict=True):
        two.assign(one)
    embedded, real = texts(5)
    ahead, behind = np.split(np.asarray(layer(embedded, real)), 2, axis=-1)
    turned = embedded.copy()
    for row, length in enumerate((5, 2, 4)):
        turned[row, :length] = embedded[row, :length][::-1]
    ahead_turned, behind_turned = np.split(np.asarray(layer(turned, real)), 2, axis=-1)
    assert ahead == pytest.approx(behind_turned, abs=1e-5) and behind == pytest.approx(ahead_turned, abs=1e-5)


def test_the_last_states_are_what_each_direction_says_at_its_end():
    last, both = (made("lstm", 1, True, False, summary) for summary in ("last", "both"))
    embedded, real = texts(7)
    found = np.asarray(last(embedded, real))
    for row, length in enumerate((5, 2, 4)):
        own = embedded[row:row + 1, :length]
        ahead, behind = (np.asarray(layer[0](words))[0, -1]
                         for layer, words in ((last.onward, own), (last.backward, own[:, ::-1])))
        assert found[row] == pytest.approx(np.concatenate([ahead, behind]), abs=1e-5)
    mean = np.asarray(made("lstm", 1, True, False)(embedded, real))
    assert np.asarray(both(embedded, real)) == pytest.approx(np.concatenate([mean, found], axis=-1), abs=1e-5)


def test_weight_drop_changes_training_alone():
    layer = made("lstm", 1, False, False, weight_drop=0.5)
    inputs = texts(5)
    still = np.asarray(layer(*inputs))
    assert np.array_equal(still, np.asarray(layer(*inputs, training=False)))
    one, two = (np.asarray(layer(*inputs, training=True)) for _ in range(2))
    assert np.abs(one - two).max() > 1e-3 and np.abs(one - still).max() > 1e-3
