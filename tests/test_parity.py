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
    folder, found = tmp_path_factory.mktemp("networks"), networks.fitted_prior()
    for kind in networks.SETTINGS:
        trained = networks.trained(kind)
        (folder / kind).mkdir()
        trained.save(folder / kind)
        found |= networks.outputs(restore(kind, trained.settings, trained.weights))
    return folder, found


def elsewhere(backend):
    """The environment of a process that computes on the CPU with a backend."""
    return {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}  # halves JAX's time, which is spent compiling


@pytest.mark.parametrize(("backend", "kinds"), [("jax", networks.SETTINGS), ("torch", networks.SETTINGS),
                                                ("numpy", ["sequence_vae"])])  # which alone writes texts
def test_other_backends_compute_what_tensorflow_does(backend, kinds, here, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    folder, found = here
    environment = {**os.environ, **elsewhere(backend), "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "tests/networks.py", folder, tmp_path / "there.npz", *kinds],
                          env=environment, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "there.npz") as there:
        assert set(there.files) == {name for name in found if name.partition("/")[0] in ("fitted prior", *kinds)}
        for name in there.files:
            np.testing.assert_allclose(there[name], found[name], rtol=1e-4, atol=1e-5, err_msg=name)


TRAINED = """
import sys
from pathlib import Path
import keras, numpy as np
import networks
from textvae.nn.training import fit, mean, steps_of
from textvae.progress import Progress

def compiled():
    network = networks.build("language_model")
    network.compile(optimizer=keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9),
                    jit_compile=network.xla(False))
    network.optimizer.build(network.trainable_variables)
    return network

network = compiled()
batches = [networks.batch("language_model", np.random.default_rng(seed)) for seed in (1, 2)]
done = fit(network, lambda epoch: batches, lambda: batches, epochs=3, patience=3, steps=2, scratch=Path(sys.argv[1]),
           progress=Progress())
print(*(row["val_loss"] for row in done.history))

one, many = compiled(), compiled()
logs = [one.train_on_batch(batch, return_dict=True) for batch in batches * 6]
with steps_of(many) as step:
    got = mean(step, batches * 6)
for a, b in zip([*one.variables, *one.optimizer.variables], [*many.variables, *many.optimizer.variables], strict=True):
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(a.value), keras.ops.convert_to_numpy(b.value), a.path)
np.testing.assert_allclose(got["loss"], np.mean([row["loss"] for row in logs]), rtol=1e-6)

vae = networks.build("sequence_vae")
vae.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=vae.xla(False))
vae.penalty_weights.assign([0.0])
batch = networks.batch("sequence_vae", np.random.default_rng(1))
for beta in (0.0, 3.0):
    vae.beta.assign(beta)
    for logs in (vae.train_on_batch(batch, return_dict=True), vae.test_on_batch(batch, return_dict=True)):
        np.testing.assert_allclose(logs["loss"], logs["reconstruction"] + beta * logs["kl_free"], rtol=1e-5)
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_every_backend_trains_with_averaged_weights_many_steps_on_end_and_says_the_loss_it_has_now(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = subprocess.run([sys.executable, "-c", TRAINED, tmp_path], capture_output=True, text=True,
                          env={**os.environ, **elsewhere(backend), "PYTHONPATH": os.pathsep.join(
                              [str(Path(__file__).parents[1]), str(Path(__file__).parent)])})
    assert done.returncode == 0, done.stderr
    losses = [float(word) for word in done.stdout.split()]
    assert len(losses) == 3 and losses[2] < losses[0]


def test_on_jax_everything_is_compiled_and_no_cudnn_is_asked_for(monkeypatch):
    import keras

    from textvae.nn import recurrent

    network = networks.build("language_model")
    assert (network.xla(True), network.xla(False)) == (True, False)
    assert recurrent.LSTM(4, name="here").use_cudnn and not recurrent.LSTM(4, weight_drop=0.1, name="drop").use_cudnn
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    assert network.xla(False)
    assert not recurrent.LSTM(4, name="there").use_cudnn and not recurrent.GRU(4, name="too").use_cudnn
