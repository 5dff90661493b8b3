"""The recurrent layers say and learn what keras' own do, on every backend.

Usage: python tests/test_recurrent.py, which prints the largest difference on the backend that runs.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TIMES, BATCH, WIDTH, UNITS = (5, 1), 3, 4, 6


def difference(kind: str, time: int) -> float:
    """The largest relative difference to keras' layer: of outputs, and of all weights after a step of descent."""
    import keras
    from keras import layers

    from textvae.nn import recurrent

    rng = np.random.default_rng(time)
    states = 2 if kind == "LSTM" else 1
    arrays = [rng.normal(size=shape).astype("f4") for shape in ((BATCH, time, WIDTH), *[(BATCH, UNITS)] * states)]
    wanted = rng.normal(size=(BATCH, time, UNITS)).astype("f4")
    models = []
    for layer in (getattr(recurrent, kind)(UNITS, name="own"),
                  getattr(layers, kind)(UNITS, return_sequences=True, use_cudnn=False, name="keras")):
        inputs = [keras.Input(array.shape[1:]) for array in arrays]
        # A product before the layer and one for each state, so that gradients to inputs and first states show as well.
        fed = [layers.Dense(array.shape[-1])(each) for array, each in zip(arrays, inputs, strict=True)]
        models.append(keras.Model(inputs, layer(fed[0], initial_state=fed[1:])))
        models[-1].compile(optimizer=keras.optimizers.SGD(0.5), loss="mse")
    models[1].set_weights([rng.normal(0, 0.5, weight.shape) for weight in models[1].get_weights()])
    models[0].set_weights(models[1].get_weights())
    found = []
    for model in models:
        before = model.predict_on_batch(arrays)
        start = [array.copy() for array in model.get_weights()]
        model.train_on_batch(arrays, wanted)
        steps = [after - first for after, first in zip(model.get_weights(), start, strict=True)]
        assert all(np.abs(step).max() > 1e-4 for step in steps)
        found.append([before, *steps])
    return max(float(np.abs(one - two).max() / np.abs(two).max()) for one, two in zip(*found, strict=True))


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_outputs_and_gradients_are_those_of_keras(kind, time):
    assert difference(kind, time) < 1e-4


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_outputs_and_gradients_are_those_of_keras_elsewhere(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu",
                   "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 1e-4


if __name__ == "__main__":
    print(max(difference(kind, time) for kind in ("LSTM", "GRU") for time in TIMES))
