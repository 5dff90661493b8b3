"""What dropout sets to zero: as many as asked for, wherever chance has it, and the same on backends that compile."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from textvae.nn.dropout import Dropout, dropped

RATES = (0.05, 0.3, 0.5, 0.9)


def zeros(seed: int, calls: int = 1, size: int = 40_000, rate: float = 0.3) -> np.ndarray:
    """Where the last of some calls put zeros, bool [size]."""
    generator = keras.random.SeedGenerator(seed)
    for _ in range(calls):
        found = dropped(np.ones(size, "float32"), rate, seed=generator)
    return np.asarray(found) == 0


@pytest.mark.parametrize("rate", RATES)
def test_as_many_are_zero_as_were_asked_for_and_the_others_are_scaled(rate):
    rng = np.random.default_rng(1)
    given = rng.normal(size=(200, 50, 4)).astype("float32")
    found = np.asarray(dropped(given, rate, seed=keras.random.SeedGenerator(1)))
    kept = found != 0
    five_deviations = 5 * np.sqrt(rate * (1 - rate) / given.size)
    assert abs(1 - kept.mean() - rate) < five_deviations
    np.testing.assert_allclose(found[kept], given[kept] / (1 - rate), rtol=1e-5)


def test_no_place_and_no_call_follows_another():
    """Of two masks, or of one and itself some places on, as many are zero together as by chance."""
    masks = [zeros(seed, calls) for seed in (1, 2, 3, 1_000_000_007) for calls in (1, 2, 3)]
    pairs = [(one, other) for number, one in enumerate(masks) for other in masks[:number]]
    pairs += [(masks[0][:-step], masks[0][step:]) for step in (1, 2, 3, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)]
    for one, other in pairs:
        five_deviations = 5 * np.sqrt(0.09 * 0.91 / len(one))
        assert abs((one & other).mean() - 0.09) < five_deviations


def test_the_mask_of_another_seed_is_not_this_one_moved():
    one, other = zeros(1), zeros(2)
    for step in range(-8, 9):
        moved = np.roll(other, step)
        assert abs((one & moved).mean() - 0.09) < 5 * np.sqrt(0.09 * 0.91 / len(one))


def test_one_seed_gives_one_mask():
    np.testing.assert_array_equal(zeros(5, calls=3), zeros(5, calls=3))


def test_a_mask_is_shared_along_an_axis_of_one():
    layer = Dropout(0.5, noise_shape=(None, 1, None), seed=1)
    found = np.asarray(layer(np.ones((8, 5, 6), "float32"), training=True))
    np.testing.assert_array_equal(found, np.broadcast_to(found[:, :1], found.shape))
    assert {0.0, 2.0} == set(found.ravel().tolist()) and len({row.tobytes() for row in found[:, 0]}) > 4


def test_nothing_is_dropped_outside_of_training():
    given = np.arange(6, dtype="float32")
    for layer, training in ((Dropout(0.5, seed=1), False), (Dropout(0.0, seed=1), True)):
        np.testing.assert_array_equal(np.asarray(layer(given, training=training)), given)


def test_lengths_may_be_open_when_a_step_is_traced():
    import tensorflow as tf

    layer = Dropout(0.5, noise_shape=(None, 1, None), seed=1)
    step = tf.function(lambda x: layer(x, training=True), input_signature=[tf.TensorSpec((None, None, 3))])
    assert step(np.ones((4, 7, 3), "float32")).shape == (4, 7, 3)


def test_jax_drops_what_tensorflow_does():
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, env={
        **os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(__file__).parents[1])})
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(place) for rate in RATES for place in np.flatnonzero(zeros(3, 2, 200, rate))]


if __name__ == "__main__":
    print(*(place for rate in RATES for place in np.flatnonzero(zeros(3, 2, 200, rate))))
