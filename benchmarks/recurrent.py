"""The LSTM layer by itself, forwards and backwards, beside keras' own, which is cuDNN's on a GPU; on JAX."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rows import row
from benchmarks.turns import Clock, Subject, measure

METHOD = (
    "One LSTM layer on random sequences of 22 vectors of 256 numbers, forwards and backwards, compiled by JAX in "
    "float32 (TF32 products on a GPU); keras' layer calls cuDNN on a GPU, ours loops over the recurrence in compiled "
    "code.")
OURS, KERAS = "textvae", "keras"
EMBEDDING = 256  # numbers of a vector


def run(scratch: Path, quick: bool) -> dict[str, Any]:
    """Measure some sizes.

    Returns:
        ``rows`` for the table, and ``measured`` by size.
    """
    rows, measured = [], {}
    for hidden, batch in ((256, 32),) if quick else ((256, 32), (256, 128), (512, 32)):
        given = {"hidden": hidden, "batch": batch, "steps": 22}
        size = f"hidden {hidden}, batch {batch}"
        found = measure([Subject(OURS, "benchmarks.recurrent:recurrence", {**given, "own": True}),
                         Subject(KERAS, "benchmarks.recurrent:recurrence", {**given, "own": False})], 2 if quick else 3)
        measured[size] = found
        rows.append(row(f"an LSTM layer, {size}", "passes/s", found, number="passes_per_second", ours=OURS,
                        yardsticks=(KERAS,), must=1, aim=2))
    return {"method": METHOD, "rows": rows, "measured": measured}


def recurrence(*, own: bool, hidden: int, batch: int, steps: int) -> Iterator[dict[str, Any]]:
    """An LSTM layer forwards and backwards on JAX, in float32: ours, or keras' own.

    Yields:
        ``passes_per_second``.
    """
    from textvae import device

    used = device.use("auto", precision="float32")
    if used.backend != "jax":
        yield {"skipped": f"keras computes with {used.backend}; set KERAS_BACKEND=jax"}
        return
    import jax
    import keras

    from textvae.nn.recurrent import LSTM

    layer = LSTM(hidden, name="lstm") if own else keras.layers.LSTM(hidden, return_sequences=True)
    inputs = np.random.default_rng(1).standard_normal((batch, steps, EMBEDDING), np.float32)
    layer.build(inputs.shape)
    weights = [variable.value for variable in layer.trainable_variables]
    others = [variable.value for variable in layer.non_trainable_variables]

    def loss(weights: Any, inputs: Any) -> Any:
        return (layer.stateless_call(weights, others, inputs)[0] ** 2).sum()

    both = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    inputs = jax.block_until_ready(jax.numpy.asarray(inputs))
    clock = Clock()
    jax.block_until_ready(both(weights, inputs))
    yield {"first_pass_seconds": round(clock.seconds, 2), "device": used.describe()}
    count = 200 if used.kind == "gpu" else 5
    while True:
        clock = Clock()
        for _ in range(count):
            found = both(weights, inputs)
        jax.block_until_ready(found)
        yield {"passes_per_second": count / clock.seconds}
