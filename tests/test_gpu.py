"""On a GPU every network computes what it does on the CPU, and trains in bfloat16; left out where there is none."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import networks
import numpy as np
import pytest
from test_device import HAS_GPU
from test_precision import measured

pytestmark = pytest.mark.skipif(not HAS_GPU, reason="no GPU")
BACKENDS = ("tensorflow", "jax", "torch")
SEEN = {"tensorflow": "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))",
        "jax": "import jax; print(sum(device.platform == 'gpu' for device in jax.devices()))",
        "torch": "import torch; print(torch.cuda.device_count())"}
# TF32 keeps ten bits of a factor; what is compared here are the networks, so products are whole.
WHOLE = {"NVIDIA_TF32_OVERRIDE": "0", "JAX_DEFAULT_MATMUL_PRECISION": "highest",
         "XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
CPU = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request):
    """A backend that sees a GPU."""
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    done = subprocess.run([sys.executable, "-c", SEEN[request.param]], capture_output=True, text=True)
    if done.returncode or int(done.stdout.split()[-1]) == 0:
        pytest.skip(f"{request.param} sees no GPU")
    return request.param


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Every kind of network, saved."""
    where = tmp_path_factory.mktemp("networks")
    for kind in networks.SETTINGS:
        (where / kind).mkdir()
        networks.trained(kind).save(where / kind)
    return where


def test_a_gpu_computes_what_the_cpu_does(backend, folder, tmp_path):
    found = {}
    for name, environment in {"gpu": WHOLE, "cpu": CPU}.items():
        out = tmp_path / f"{name}.npz"
        done = subprocess.run([sys.executable, "tests/networks.py", folder, out], capture_output=True, text=True,
                              env={**os.environ, "KERAS_BACKEND": backend, **environment,
                                   "PYTHONPATH": os.pathsep.join([".", os.environ.get("PYTHONPATH", "")])},
                              cwd=Path(__file__).parents[1])
        assert done.returncode == 0, done.stderr
        with np.load(out) as arrays:
            found[name] = dict(arrays)
    assert found["gpu"].keys() == found["cpu"].keys()
    for name, array in found["cpu"].items():
        np.testing.assert_allclose(found["gpu"][name], array, rtol=1e-3, atol=1e-4, err_msg=name)


def test_bfloat16_trains_on_a_gpu_from_about_the_same_loss(backend):
    exact, mixed = (measured(policy, backend=backend) for policy in ("float32", "mixed_bfloat16"))
    for kind in exact:
        assert set(mixed[kind]["dtypes"].values()) == {"float32"}, mixed[kind]["dtypes"]
        assert mixed[kind]["before"] == pytest.approx(exact[kind]["before"], rel=0.02)
        for name, value in exact[kind]["after"].items():
            assert mixed[kind]["after"][name] == pytest.approx(value, rel=0.1, abs=0.1), (kind, name)
