"""Every network computes the same from the same weights: after saving and loading, and on another backend."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import networks
import numpy as np
import pytest

from textvae.data import TrainedNetwork
from textvae.errors import StoreError


@pytest.mark.parametrize("kind", networks.SETTINGS)
def test_saved_and_loaded_networks_give_equal_outputs(kind, tmp_path):
    from textvae.nn.weights import assign, gather, restore

    trained = networks.trained(kind)
    network = networks.build(kind)
    assign(network, trained.weights)
    trained.save(tmp_path)
    loaded = TrainedNetwork.load(tmp_path)
    again = restore(loaded.kind, loaded.settings, loaded.weights)
    before, after = networks.outputs(network), networks.outputs(again)
    for name, array in before.items():
        assert np.isfinite(array).all(), name
        np.testing.assert_array_equal(after[name], array, name)
    assert network.settings == again.settings and loaded.settings.items() <= network.settings.items()
    assert gather(again).keys() == trained.weights.keys()


@pytest.mark.parametrize("kind", networks.SETTINGS)
def test_weights_follow_from_the_seed_and_no_path_comes_twice(kind):
    from textvae.nn.weights import gather

    one, same, other = (gather(networks.build(kind, seed)) for seed in (1, 1, 2))
    assert one.keys() == same.keys() == other.keys()
    for path, array in one.items():
        np.testing.assert_array_equal(array, same[path], path)
    assert any(np.any(array != other[path]) for path, array in one.items())


def test_weights_that_do_not_fit_are_refused_by_name():
    from textvae.nn.weights import restore

    trained = networks.trained("word_transformer")
    short = dict(trained.weights)
    del short["word_transformer/token_bias"]
    with pytest.raises(StoreError, match="word_transformer/token_bias"):
        restore(trained.kind, trained.settings, short)
    with pytest.raises(StoreError, match=r"token_bias have shape \[3\], not \[11\]"):
        restore(trained.kind, trained.settings, {**trained.weights, "word_transformer/token_bias": np.zeros(3, "f4")})


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with every kind of network, trained, and what each gives on TensorFlow."""
    import keras

    from textvae.nn.weights import restore

    assert keras.config.backend() == "tensorflow"
    folder, found = tmp_path_factory.mktemp("networks"), {}
    for kind in networks.SETTINGS:
        trained = networks.trained(kind)
        (folder / kind).mkdir()
        trained.save(folder / kind)
        found |= networks.outputs(restore(kind, trained.settings, trained.weights))
    return folder, found


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_compute_what_tensorflow_does(backend, here, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    folder, found = here
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1",
                   "PYTHONPATH": str(Path(__file__).parents[1]),
                   "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}  # halves the time, which is spent compiling
    done = subprocess.run([sys.executable, "tests/networks.py", folder, tmp_path / "there.npz"], env=environment,
                          cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "there.npz") as there:
        assert set(there.files) == set(found)
        for name, array in found.items():
            np.testing.assert_allclose(there[name], array, rtol=1e-4, atol=1e-5, err_msg=name)
