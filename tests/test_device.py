"""The device is chosen before the backend starts, and a GPU that is not there is told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from textvae import device
from textvae.errors import TextvaeError

HAS_GPU = Path("/proc/driver/nvidia").exists() or Path("/dev/nvidia0").exists()
SCRIPT = """
import json, sys
from textvae import device
assert not {"keras", "tensorflow", "jax"} & set(sys.modules), "importing the module must be cheap"
from textvae.errors import TextvaeError
told = []
for choice in sys.argv[1:]:
    try:
        told.append(device.use(choice).describe())
    except TextvaeError as error:
        told.append([error.message, error.hint])
print(json.dumps(told))
"""


def tell(*choices: str, **environment: str) -> list:
    """Use devices one after the other in a child process."""
    clean = {name: value for name, value in os.environ.items() if name not in ("CUDA_VISIBLE_DEVICES", "KERAS_BACKEND")}
    done = subprocess.run([sys.executable, "-c", SCRIPT, *choices], capture_output=True, text=True, timeout=120,
                          env={**clean, **environment})
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "a backend starts in silence"
    return json.loads(done.stdout.splitlines()[-1])


def test_an_unknown_device_is_refused_without_starting_a_backend():
    with pytest.raises(TextvaeError, match=r"unknown device 'tpu'.*auto, cpu, gpu"):
        device.use("tpu")


@pytest.mark.skipif(HAS_GPU, reason="this machine has a GPU")
def test_without_a_gpu_asking_for_one_says_what_was_found_or_hidden():
    (message, hint), auto, cpu, hidden = tell("gpu", "auto", "cpu", "gpu")
    assert message.startswith("no GPU: tensorflow found only the CPU")
    assert "textvae[gpu]" in hint and "--device auto" in hint
    assert auto == cpu
    assert {"kind": "cpu", "backend": "tensorflow", "precision": "float32"}.items() <= cpu.items()
    assert cpu["name"]
    assert hidden == [message, "CUDA_VISIBLE_DEVICES='-1' hides all GPUs; unset it"]


def test_jax_is_used_where_it_is_asked_for():
    pytest.importorskip("jax")
    (cpu,) = tell("cpu", KERAS_BACKEND="jax")
    assert (cpu["kind"], cpu["backend"]) == ("cpu", "jax")


BROKEN = r"""
import os, sys
from textvae import device
with device._hushed():
    os.write(2, b"a note\n")
os.write(2, b"a word\n")
sys.modules["keras"] = None
device.use("cpu")
"""


def test_a_backend_that_fails_to_start_is_heard():
    done = subprocess.run([sys.executable, "-c", BROKEN], capture_output=True, text=True, timeout=60)
    assert "a note" not in done.stderr and "a word" in done.stderr
    assert done.returncode == 1 and "ModuleNotFoundError" in done.stderr
