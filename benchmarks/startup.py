"""How long commands take that compute nothing or next to nothing, beside Python alone and beside importing keras."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.rows import row, slower
from benchmarks.turns import ROOT, Clock, spread

METHOD = (
    "Seconds from start to exit in turns, each a new process, files in the system's cache; the store holds a finished "
    "run of `quickstart` with tiny settings. Where there is no GPU a few texts are written with NumPy: beside that the "
    "same command on TensorFlow. On JAX, a command that finds what it needs compiled by one before it, beside one that "
    "compiles it itself.")
NOTHING, KERAS = "python -c pass", "python -c 'import keras'"
TENSORFLOW, AGAIN, ANEW = "textvae vary, TensorFlow", "textvae vary, kept", "textvae vary, compiling"
SENTENCE = "The company says it will cut jobs next year."
# Settings with which the quick start's nine stages take seconds.
TINY = ("tokens.vocabulary=500", "word_vectors.dim=8", "word_vectors.epochs=1", "embedding_vae.latent=4",
        "embedding_vae.hidden=8", "embedding_vae.epochs=1", "sequence_vae.hidden=16", "sequence_vae.latent=4",
        "sequence_vae.epochs=1", "sequence_vae.jit=false", "latent_transformer.layers=1", "latent_transformer.width=8",
        "latent_transformer.heads=2", "word_transformer.layers=1", "word_transformer.width=8",
        "word_transformer.heads=2", "word_transformer.epochs=1", "evaluation.sequences=10", "evaluation.iw_samples=2",
        "evaluation.iw_sequences=5", "evaluation.samples=4", "evaluation.sources=2")


def run(scratch: Path, quick: bool) -> dict[str, Any]:
    """Train the tiny run, then time the commands.

    Returns:
        ``rows`` for the table, and ``measured`` by command.
    """
    store = str(scratch / "models")
    settings = [word for setting in TINY for word in ("--set", setting)]
    trained = ["run", "quickstart", "--store", store, *settings]
    commands = {
        NOTHING: [sys.executable, "-c", "pass"],
        KERAS: [sys.executable, "-c", "import keras"],
        "textvae --help": _textvae("--help"),
        "textvae status": _textvae("status", "quickstart", "--store", store),
        "textvae runs": _textvae("runs", "quickstart", "--store", store),
        "textvae run": _textvae(*trained),
        "textvae vary": _textvae("vary", "quickstart", SENTENCE, "-n", "5", "--store", store)}
    on_jax = {"KERAS_BACKEND": "jax", "XDG_CACHE_HOME": str(scratch / "cache"), "JAX_ENABLE_COMPILATION_CACHE": "true"}
    environments = {TENSORFLOW: {"KERAS_BACKEND": "tensorflow"},
                    AGAIN: on_jax, ANEW: {**on_jax, "JAX_ENABLE_COMPILATION_CACHE": "false"}}
    commands |= dict.fromkeys(environments, commands["textvae vary"])
    clock = Clock()
    subprocess.run(commands["textvae run"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    trained_in = clock.seconds
    for name, command in commands.items():
        _seconds(command, environments.get(name, {}))
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(3 if quick else 7):
        for name, command in commands.items():
            seconds = _seconds(command, environments.get(name, {}))
            turns[name].append({"seconds": seconds, "per_minute": 60 / seconds})
    measured: dict[str, Any] = {name: spread(own) for name, own in turns.items()}
    rows = [slower(f"`{name}`", measured, ours=name, yardstick=NOTHING, must=0.3, aim=0.3)
            for name in ("textvae --help", "textvae status", "textvae runs")]
    rows.append(slower("`textvae run` with nothing to do", measured, ours="textvae run", yardstick=NOTHING, must=1.0,
                       aim=0.3))
    rows.append(slower("`textvae vary` of one sentence", measured, ours="textvae vary", yardstick=KERAS, must=5.0,
                       aim=0.0))
    rows += [row(f"`textvae vary` of one sentence{where}", "commands/min", measured, number="per_minute", ours=ours,
                 yardsticks=(yardstick,), must=1.5, aim=2.5)
             for where, ours, yardstick in ((", beside TensorFlow", "textvae vary", TENSORFLOW),
                                            (", on JAX", AGAIN, ANEW))]
    return {"method": METHOD, "rows": rows, "measured": measured, "training_seconds": round(trained_in, 1)}


def _textvae(*words: str) -> list[str]:
    script = Path(sys.executable).with_name("textvae")
    return [*([str(script)] if script.exists() else [sys.executable, "-m", "textvae"]), *words]


def _seconds(command: list[str], environment: dict[str, str]) -> float:
    clock = Clock()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env={**os.environ, **environment})
    return clock.seconds
