"""Which device computes: chosen once per process, before the backend starts, and told to every manifest."""

import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from textvae.errors import TextvaeError

CHOICES = ("auto", "cpu", "gpu")


@dataclass(frozen=True)
class Device:
    """What tensors are computed on.

    Args:
        kind: ``"cpu"`` or ``"gpu"``.
        name: The model, as the maker calls it.
        backend: ``"tensorflow"``, ``"jax"`` or ``"torch"``; chosen with the variable KERAS_BACKEND.
        precision: The dtype of weights and activations.
    """

    kind: str
    name: str
    backend: str
    precision: str

    def describe(self) -> dict[str, Any]:
        """The same as plain JSON values, for manifests."""
        return asdict(self)


def use(choice: str = "auto", *, seed: int | None = None) -> Device:
    """Start the backend on a device.

    Call it before anything else imports keras: a backend takes its devices when it starts and keeps them. On the CPU
    one seed gives the same bits every time; on a GPU sums may run in another order, so that last digits differ.

    Args:
        choice: ``"cpu"``, ``"gpu"``, or ``"auto"``, which takes a GPU where there is one.
        seed: Seeds Python, numpy and the backend where given; stages set their own.

    Returns:
        What will be used.

    Raises:
        TextvaeError: There is no GPU and one was asked for, or the backend already runs on another device.
    """
    if choice not in CHOICES:
        raise TextvaeError(f"unknown device {choice!r}", f"one of: {', '.join(CHOICES)}")
    if choice == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        os.environ["JAX_PLATFORMS"] = "cpu"
    # The backend's notes about its own build would drown the progress bars; errors still come through.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Without this, TensorFlow takes all of a GPU's memory from everyone else on the machine.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    with _hushed():
        import keras

        backend = keras.config.backend()
        gpus = _BACKENDS[backend](choice)
    if choice == "gpu" and not gpus:
        raise TextvaeError(f"no GPU: {backend} found only the CPU ({_processor()})", _hint(backend))
    if choice == "cpu" and gpus:
        raise TextvaeError(f"{backend} already runs on {gpus[0]} in this process", "choose the CPU in a new process")
    if seed is not None:
        keras.utils.set_random_seed(seed)
    kind, name = ("gpu", gpus[0]) if gpus else ("cpu", _processor())
    return Device(kind, name, backend, keras.config.dtype_policy().name)


@contextmanager
def _hushed() -> Iterator[None]:
    """Hold back what is written to standard error, and let it out only if starting fails.

    TensorFlow's C++ code writes notes about its build and about drivers before its log level applies.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except BaseException:
            notes.seek(0)
            os.write(kept, notes.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _tensorflow(choice: str) -> list[str]:
    import tensorflow as tf

    # Its warning that a function is traced again means a new length bucket here.
    tf.get_logger().setLevel("ERROR")
    if choice == "cpu" and tf.config.get_visible_devices("GPU"):
        # Imported by someone before the environment was set; refused where it has started as well, which use() tells.
        with suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")
    # enable_op_determinism() stays off: keras then drops XLA without a word (fit took the plain graph's time and bits),
    # and on the CPU training gives the same bits without it, measured with and without XLA on two threads.
    return [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
            for gpu in tf.config.get_visible_devices("GPU")]


def _jax(choice: str) -> list[str]:
    import jax

    if choice == "cpu":
        jax.config.update("jax_platforms", "cpu")  # in case jax was imported before the environment was set
    return [device.device_kind for device in jax.devices() if device.platform == "gpu"]


def _torch(choice: str) -> list[str]:
    import torch

    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


_BACKENDS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _hint(backend: str) -> str:
    if os.environ.get("CUDA_VISIBLE_DEVICES", "") in ("-1", "") and "CUDA_VISIBLE_DEVICES" in os.environ:
        return f"CUDA_VISIBLE_DEVICES={os.environ['CUDA_VISIBLE_DEVICES']!r} hides all GPUs; unset it"
    extra = "textvae[gpu]" if backend == "tensorflow" else f"{backend} with CUDA"
    return f"install {extra} and the NVIDIA driver, or take --device auto"
