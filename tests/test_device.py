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
for words in sys.argv[1:]:
    choice, _, precision = words.partition(" ")
    try:
        told.append(device.use(choice, precision=precision or "auto").describe())
    except TextvaeError as error:
        told.append([error.message, error.hint])
print(json.dumps(told))
"""


def tell(*choices: str, **environment: str) -> list:
    """Use devices one after the other in a child process; ``"cpu bfloat16"`` names a precision too."""
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


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_starts_without_tensorflow_which_can_be_imported_all_the_same(backend):
    pytest.importorskip(backend)
    code = ("import sys; from textvae import device; device.use('cpu'); import keras; keras.utils.set_random_seed(1); "
            "print('tensorflow' in sys.modules); import tensorflow; print(tensorflow.constant(1.0).dtype.name)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "KERAS_BACKEND": backend})
    assert (done.returncode, done.stdout.split()) == (0, ["False", "float32"]), done.stderr


FEW = """
import os, sys, warnings
warnings.simplefilter("error")
from textvae import device
print(device.use(few=True).backend, device.use("cpu", few=True).backend, "KERAS_BACKEND" in os.environ)
from textvae import nn
import keras
print(keras.config.backend(), "tensorflow" in sys.modules, device.on_gpu())
import threadpoolctl
print(*{pool["num_threads"] for pool in threadpoolctl.threadpool_info()})
try:
    device.use()
except device.TextvaeError as error:
    print(error.message)
"""


@pytest.mark.skipif(HAS_GPU, reason="this machine has a GPU")
def test_few_texts_are_left_to_numpy_and_nothing_else_is():
    clean = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    done = subprocess.run([sys.executable, "-c", FEW], capture_output=True, text=True, timeout=120, env=clean)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["numpy numpy False", "numpy False False", "1",
                                        "keras runs on NumPy in this process, which is for a few texts alone"]
    told = subprocess.run([sys.executable, "-c", FEW], capture_output=True, text=True, timeout=120,
                          env={**clean, "KERAS_BACKEND": "torch"})
    assert told.stdout.splitlines()[:2] == ["torch torch True", "torch False False"], "who names a backend gets it"


def test_numpy_is_taken_where_it_will_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(device, "GPUS", (str(tmp_path / "gpu"),))
    assert device._numpy_will_do("auto", "auto") and device._numpy_will_do("cpu", "float32")
    assert not device._numpy_will_do("gpu", "auto"), "which must say that there is none"
    assert not device._numpy_will_do("auto", "bfloat16")
    (tmp_path / "gpu").touch()
    assert not device._numpy_will_do("auto", "auto") and device._numpy_will_do("cpu", "auto")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert device._numpy_will_do("auto", "auto")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not device._numpy_will_do("auto", "auto"), "keras' NumPy imports JAX"
    monkeypatch.undo()
    import keras
    assert keras and not device._numpy_will_do("cpu", "auto"), "keras runs on something else here"


@pytest.mark.parametrize(("choice", "told", "then"), [
    ("auto", None, device.LEAVE_TO_CUBLAS),
    ("gpu", "--xla_gpu_autotune_level=0", f"--xla_gpu_autotune_level=0 {device.LEAVE_TO_CUBLAS}"),
    ("auto", "--xla_gpu_enable_triton_gemm=true", "--xla_gpu_enable_triton_gemm=true"),
    ("cpu", "--xla_gpu_autotune_level=0", "--xla_gpu_autotune_level=0")])
def test_on_jax_cublas_multiplies_on_a_gpu_unless_the_user_says_otherwise(choice, told, then):
    pytest.importorskip("jax")
    code = "import os, sys; from textvae import device; device._jax(sys.argv[1]); print(os.environ['XLA_FLAGS'])"
    clean = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run([sys.executable, "-c", code, choice], capture_output=True, text=True, timeout=120,
                          env=clean | ({"XLA_FLAGS": told} if told else {}))
    assert (done.returncode, done.stdout.strip()) == (0, then), done.stderr


COMPILE = """
import sys
from textvae import device
device.use("cpu")
import jax, keras
print(jax.config.values["jax_compilation_cache_dir"], keras.ops.sum(keras.ops.tanh(keras.ops.ones(3))))
"""


def test_what_jax_compiled_is_kept_for_the_next_process_unless_the_user_says_where(tmp_path):
    pytest.importorskip("jax")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}

    def compiled(**told: str) -> tuple[str, str]:
        done = subprocess.run([sys.executable, "-c", COMPILE], capture_output=True, text=True, timeout=120,
                              env={**clean, "KERAS_BACKEND": "jax", "XDG_CACHE_HOME": str(tmp_path / "cache"), **told})
        assert (done.returncode, done.stderr) == (0, "")
        where, _, value = done.stdout.strip().rpartition(" ")
        return where, value

    where, value = compiled()
    assert Path(where).parent == tmp_path / "cache" / "textvae" and Path(where).stat().st_mode & 0o77 == 0
    kept = {path: path.read_bytes() for path in Path(where).glob("*-cache")}
    assert kept
    next(iter(kept)).write_bytes(b"cut off")
    assert compiled() == (where, value)
    assert len(list(Path(where).glob("*-cache"))) == len(kept)  # found again, each by its key
    assert compiled(JAX_COMPILATION_CACHE_DIR=str(tmp_path / "own"))[0] == str(tmp_path / "own")
    (tmp_path / "file").touch()
    assert compiled(XDG_CACHE_HOME=str(tmp_path / "file")) == ("None", value)  # no folder, and no complaint


FREED = """
import json, os
from pathlib import Path
from textvae import device
def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
keeps, before = device.keep_freed(), held()
large = b"x" * (96 << 20)
used = held()
del large
freed = held()
device.give_freed()
print(json.dumps([keeps, used - before > 90, freed - before > 90, held() - before > 90]))
"""


@pytest.mark.skipif(not hasattr(device.ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc")
@pytest.mark.parametrize(("told", "then"), [
    ({}, [True, True, True, False]), ({"MALLOC_TOP_PAD_": "0"}, [False, True, False, False]),
    ({"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=131072"}, [False, True, False, False])])
def test_freed_memory_is_kept_until_it_is_given_back_unless_the_user_says_otherwise(told, then):
    clean = {name: value for name, value in os.environ.items()
             if not name.startswith("MALLOC_") and name != "GLIBC_TUNABLES"}
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True, timeout=60,
                          env={**clean, **told})
    assert json.loads(done.stdout) == then


def test_without_glibc_nothing_is_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(device, "_of_glibc", lambda name: None)
    assert not device.keep_freed()
    device.give_freed()


def test_the_precision_is_chosen_and_told():
    auto, half, full = tell("cpu", "cpu bfloat16", "cpu float32")
    assert [own["precision"] for own in (auto, half, full)] == ["float32", "mixed_bfloat16", "float32"]


def test_an_impossible_precision_is_refused(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(TextvaeError, match=r"unknown precision 'float16'.*auto, float32, bfloat16"):
        device.use("cpu", precision="float16")
    monkeypatch.setattr(device, "_CAPABILITIES", {"tensorflow": lambda: 7.0, "jax": lambda: 9.0, "torch": lambda: None})
    with pytest.raises(TextvaeError, match=r"V100 has no bfloat16 \(compute capability 7.0.*--precision float32"):
        device._policy("gpu", "V100", "tensorflow", "bfloat16")
    assert device._policy("gpu", "V100", "tensorflow", "auto") == "float32"
    assert device._policy("gpu", "H200", "jax", "auto") == "mixed_bfloat16"
    assert device._policy("gpu", "another maker's", "torch", "auto") == "mixed_bfloat16"


def test_a_backend_that_does_not_exist_or_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    with pytest.raises(TextvaeError, match=r"KERAS_BACKEND is 'theano' \(one of: tensorflow, jax, torch\)"):
        device.use("cpu")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TextvaeError, match="'jax', which is not installed"):
        device.use("cpu")


def test_a_cpu_has_no_gpu_memory():
    cpu = device.Device("cpu", "a chip", "tensorflow", "float32")
    cpu.forget_peak_memory()
    assert cpu.peak_memory() is None


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


def test_a_backend_starts_where_standard_error_is_closed():
    code = "from textvae import device\nwith device._hushed():\n    print('started')"
    done = subprocess.run(["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, code], capture_output=True, text=True,
                          check=False)
    assert (done.returncode, done.stdout) == (0, "started\n")


STARTED = r"""
import gc, sys
{first}
from textvae import device
device.use("cpu")
print(*sorted({{"sklearn", "matplotlib"}} & sys.modules.keys()), gc.isenabled(), gc.get_freeze_count() > 100_000)
import matplotlib, sklearn
"""


@pytest.mark.parametrize("first, said", [("import textvae.cli", "True True"), ("", "matplotlib sklearn True True")])
def test_a_command_starts_without_what_keras_imports_for_others_and_can_import_it_all_the_same(first, said):
    done = subprocess.run([sys.executable, "-c", STARTED.format(first=first)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == said.split()
