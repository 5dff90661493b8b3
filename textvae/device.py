"""Which device computes, and how precisely: chosen before the backend starts, and told to every manifest."""

import ctypes
import gc
import hashlib
import importlib.util
import os
import platform
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from textvae.errors import TextvaeError

CHOICES = ("auto", "cpu", "gpu")
PRECISIONS = ("auto", "float32", "bfloat16")
# XLA tries products of its own beside cuBLAS's, for minutes; untried, the large ones are far slower.
LEAVE_TO_CUBLAS = "--xla_gpu_enable_triton_gemm=false"
# glibc gives large buffers back to the system when they are freed, and a training step faults all of theirs in anew,
# which is dear where the machine is a virtual one. See mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT, MOST_KEPT = 1 << 30, (1 << 31) - 1  # bytes: of a buffer, and of what is free in all
MOST_COMPILED = 1 << 30  # bytes of compiled code on disk; what was not used for longest goes first
SPARED = {"sklearn", "matplotlib"}  # keras takes a second and a half to import them for its wrappers and galleries
GPUS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # where Linux has NVIDIA's and AMD's, and Windows' Linux has any
BFLOAT16_SINCE = 8.0  # NVIDIA's compute capability from which there are units for it; older chips imitate it slowly


@dataclass(frozen=True)
class Device:
    """What tensors are computed on.

    Args:
        kind: ``"cpu"`` or ``"gpu"``.
        name: The model, as the maker calls it.
        backend: ``"tensorflow"``, ``"jax"`` or ``"torch"``, chosen with the variable KERAS_BACKEND; or ``"numpy"``, for
            few texts.
        precision: ``"float32"``, or ``"mixed_bfloat16"``: float32 weights and losses, bfloat16 in between.
    """

    kind: str
    name: str
    backend: str
    precision: str

    def describe(self) -> dict[str, Any]:
        """The same as plain JSON values, for manifests."""
        return asdict(self)

    def forget_peak_memory(self) -> None:
        """Measure a GPU's peak memory from now on, where the backend can; JAX's is of the whole process."""
        if self.kind == "gpu" and self.backend == "tensorflow":
            import tensorflow as tf

            tf.config.experimental.reset_memory_stats("GPU:0")
        elif self.kind == "gpu" and self.backend == "torch":
            import torch

            torch.cuda.reset_peak_memory_stats()

    def peak_memory(self) -> int | None:
        """Bytes of a GPU's memory that the backend held at most; None on the CPU, and where it does not tell."""
        return _PEAKS[self.backend]() if self.kind == "gpu" else None


def use(choice: str = "auto", *, precision: str = "auto", seed: int | None = None, few: bool = False) -> Device:
    """Start the backend on a device, and have every network made from now on compute with a precision.

    Call it before anything else imports keras: a backend takes its devices when it starts and keeps them. On the CPU
    one seed gives the same bits every time; on a GPU sums may run in another order, so that last digits differ.

    Args:
        choice: ``"cpu"``, ``"gpu"``, or ``"auto"``, which takes a GPU where there is one.
        precision: ``"float32"``, ``"bfloat16"``, or ``"auto"``: bfloat16 on a GPU that has units for it, float32
            elsewhere. Other digits come out, so the manifest says which it was.
        seed: Seeds Python, numpy and the backend where given; stages set their own.
        few: Whether this process will do no more than write a few texts. NumPy can do that: it compiles nothing, so
            that it starts in less than half the time, takes a third of the memory, and writes the same texts. It is
            taken where there is neither a GPU nor a KERAS_BACKEND to be used.

    Returns:
        What will be used.

    Raises:
        TextvaeError: There is no GPU and one was asked for, the backend already runs on another device or is not
            installed, the GPU has no bfloat16, or this process was to write a few texts and now something else.
    """
    if choice not in CHOICES:
        raise TextvaeError(f"unknown device {choice!r}", f"one of: {', '.join(CHOICES)}")
    if precision not in PRECISIONS:
        raise TextvaeError(f"unknown precision {precision!r}", f"one of: {', '.join(PRECISIONS)}")
    if "KERAS_BACKEND" in os.environ:
        _check_backend(os.environ["KERAS_BACKEND"])
    elif few and _numpy_will_do(choice, precision):
        os.environ["KERAS_BACKEND"] = "numpy"
    if choice == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        os.environ["JAX_PLATFORMS"] = "cpu"
    # The backend's notes about its own build would drown the progress bars, and what it logs as an error on some
    # processors is none; what fails is raised.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Without these, TensorFlow and JAX take most of a GPU's memory from everyone else on the machine; PyTorch takes
    # what it needs.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    keep_freed()
    with _hushed():
        with _swiftly():
            import keras

            backend = keras.config.backend()
            if backend == "numpy":
                gpus = _numpy(few)
            else:
                _check_backend(backend)  # a file in the home folder may choose one too
                gpus = _BACKENDS[backend](choice)
        if "tensorflow" not in sys.modules:
            _spare_tensorflow(keras)
    if choice == "gpu" and not gpus:
        raise TextvaeError(f"no GPU: {backend} found only the CPU ({_processor()})", _hint(backend))
    if choice == "cpu" and gpus:
        raise TextvaeError(f"{backend} already runs on {gpus[0]} in this process", "choose the CPU in a new process")
    if seed is not None:
        keras.utils.set_random_seed(seed)
    kind, name = ("gpu", gpus[0]) if gpus else ("cpu", _processor())
    keras.config.set_dtype_policy(_policy(kind, name, backend, precision))
    return Device(kind, name, backend, keras.config.dtype_policy().name)


def keep_freed() -> bool:
    """Have glibc keep the memory of freed buffers for the next ones, until ``give_freed``.

    Returns:
        Whether it does: there are other libraries of C, and who has told glibc otherwise, with ``MALLOC_*`` or
        ``GLIBC_TUNABLES``, knows better.
    """
    told = any(name.startswith("MALLOC_") for name in os.environ) or "malloc" in os.environ.get("GLIBC_TUNABLES", "")
    mallopt = None if told else _of_glibc("mallopt")
    return mallopt is not None and all([mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT), mallopt(M_TRIM_THRESHOLD, MOST_KEPT)])


def give_freed() -> None:
    """Give back to the system what ``keep_freed`` kept, so that it does not count for what comes next."""
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(ctypes.c_size_t(0))


def _of_glibc(name: str) -> Any:
    """A function of glibc; None where the process runs on another library."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def on_gpu() -> bool:
    """Whether this process computes on a GPU; a backend that has not started does not, and asking would start it."""
    keras = sys.modules.get("keras")
    # numpy's arrays say where they are since numpy 2.
    return keras is not None and "cpu" not in str(getattr(keras.ops.convert_to_tensor(0.0), "device", "cpu")).lower()


def _check_backend(backend: str) -> None:
    """Refuse a backend in words, before keras refuses it with a traceback."""
    if backend not in _BACKENDS:
        raise TextvaeError(f"KERAS_BACKEND is {backend!r}", f"one of: {', '.join(_BACKENDS)}")
    if backend not in sys.modules and importlib.util.find_spec(backend) is None:
        raise TextvaeError(f"KERAS_BACKEND is {backend!r}, which is not installed",
                           f"pip install {backend}, or unset KERAS_BACKEND")


def _numpy_will_do(choice: str, precision: str) -> bool:
    """Whether NumPy can compute in this process: keras has not started, no GPU is to be used, and JAX is installed,
    parts of which keras' NumPy takes.
    """
    gpu = choice == "gpu" or (choice == "auto" and not _hidden() and any(Path(path).exists() for path in GPUS))
    return not gpu and precision != "bfloat16" and "keras" not in sys.modules and bool(importlib.util.find_spec("jax"))


def _hidden() -> bool:
    """Whether the user, or ``use("cpu")``, hid all GPUs."""
    return os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")


def _policy(kind: str, name: str, backend: str, precision: str) -> str:
    """The keras dtype policy of a precision on a device."""
    if precision == "float32" or (precision == "auto" and kind == "cpu"):
        return "float32"
    capability = _CAPABILITIES[backend]() if kind == "gpu" else None
    if capability is None or capability >= BFLOAT16_SINCE:  # other makers' chips do not tell, and CPUs all can
        return "mixed_bfloat16"
    if precision == "bfloat16":
        raise TextvaeError(f"{name} has no bfloat16 (compute capability {capability:.1f}, {BFLOAT16_SINCE:.1f} is the "
                           "first that has)", "take --precision float32")
    return "float32"


@contextmanager
def _hushed() -> Iterator[None]:
    """Hold back what is written to standard error, and let it out only if starting fails.

    TensorFlow's C++ code writes notes about its build and about drivers before its log level applies.
    """
    if sys.stderr is None:  # closed when Python began, so that nobody reads it
        yield
        return
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


@contextmanager
def _swiftly() -> Iterator[None]:
    """Import a backend sooner, and have the process end at once later on.

    Python would look for garbage all the while among what is imported, and once more when it ends; there is none. And a
    command has no use for those parts of keras that import ``SPARED``.
    """
    spared = SPARED - sys.modules.keys() if "textvae.cli" in sys.modules else ()
    sys.modules.update(dict.fromkeys(spared))  # type: ignore[arg-type]  # of None, which cannot be imported
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        for name in spared:
            del sys.modules[name]
        gc.freeze()
        if enabled:
            gc.enable()


def _spare_tensorflow(keras: Any) -> None:
    """Have keras learn that there is no TensorFlow: it seeds TensorFlow too, beside another backend, and importing it
    for that takes seconds. Whoever needs it may import it after this.
    """
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    try:
        keras.utils.set_random_seed(0)
    finally:
        del sys.modules["tensorflow"]


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

    told = os.environ.get("XLA_FLAGS", "")
    if choice != "cpu" and "triton_gemm" not in told:
        os.environ["XLA_FLAGS"] = f"{told} {LEAVE_TO_CUBLAS}".strip()
    if choice == "cpu":
        jax.config.update("jax_platforms", "cpu")  # in case jax was imported before the environment was set
    if not jax.config.values["jax_compilation_cache_dir"]:
        _keep_compiled(jax)
    return [device.device_kind for device in jax.devices() if device.platform == "gpu"]


def _keep_compiled(jax: Any) -> None:
    """Have JAX keep on disk what it compiled, for the processes to come: it compiles everything, and most of a short
    command is that.

    The folder is the user's, and has the processor's instructions in its name, which JAX's keys have not.
    """
    import platformdirs

    instructions = hashlib.sha256(_cpuinfo("flags").encode()).hexdigest()[:8]
    folder = platformdirs.user_cache_path("textvae") / f"jax-{platform.machine()}-{instructions}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return  # a home that cannot be written to
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", MOST_COMPILED)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    # Of what was cut off while it was written, or found no room, there is nothing to do but to compile it again.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache", UserWarning)


def _numpy(few: bool) -> list[str]:
    if not few:
        raise TextvaeError("keras runs on NumPy in this process, which is for a few texts alone",
                           "do this in another process; keras.json must not name numpy")
    import threadpoolctl

    os.environ.pop("KERAS_BACKEND", None)  # no process that this one starts shall take it
    # Threads of its BLAS wait for one another by working: beside a training, that takes three times as long as one.
    threadpoolctl.threadpool_limits(1)
    warnings.filterwarnings("ignore", "`custom_gradient` for the numpy backend", UserWarning)
    return []


def _torch(choice: str) -> list[str]:
    import torch

    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def _tensorflow_capability() -> float | None:
    import tensorflow as tf

    gpu = tf.config.get_visible_devices("GPU")[0]
    found = tf.config.experimental.get_device_details(gpu).get("compute_capability")
    return float(f"{found[0]}.{found[1]}") if found else None


def _jax_capability() -> float | None:
    import jax

    found = getattr(jax.devices()[0], "compute_capability", None)
    return float(found) if found and re.fullmatch(r"\d+\.\d+", str(found)) else None


def _torch_capability() -> float | None:
    import torch

    major, minor = torch.cuda.get_device_capability()
    return None if torch.version.hip else float(f"{major}.{minor}")


def _tensorflow_peak() -> int | None:
    import tensorflow as tf

    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])


def _jax_peak() -> int | None:
    import jax

    stats = jax.devices()[0].memory_stats() or {}  # None where the platform keeps none
    return stats.get("peak_bytes_in_use")


def _torch_peak() -> int | None:
    import torch

    return int(torch.cuda.max_memory_allocated())


_BACKENDS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
_CAPABILITIES = {"tensorflow": _tensorflow_capability, "jax": _jax_capability, "torch": _torch_capability}
_PEAKS = {"tensorflow": _tensorflow_peak, "jax": _jax_peak, "torch": _torch_peak}

def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(name: str) -> str:
    """What Linux tells of the first core; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith(name))
    except (OSError, StopIteration):
        return ""


def _hint(backend: str) -> str:
    if _hidden():
        return f"CUDA_VISIBLE_DEVICES={os.environ['CUDA_VISIBLE_DEVICES']!r} hides all GPUs; unset it"
    extra = "textvae[gpu]" if backend == "tensorflow" else f"{backend} with CUDA"
    return f"install {extra} and the NVIDIA driver, or take --device auto"
