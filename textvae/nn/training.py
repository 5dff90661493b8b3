"""The training loop: validation, early stopping, best weights, and a checkpoint that resumes exactly."""

import io
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from textvae.errors import TextvaeError
from textvae.nn.ahead import ahead
from textvae.nn.checkpoint import packed, write_aside
from textvae.nn.network import Network
from textvae.progress import Progress

Batch = dict[str, np.ndarray]
Step = Callable[[Batch], dict[str, Any]]  # takes a batch, gives each term's mean, which may still be on its way

LATE = 8  # steps that may be under way while Python goes on to the next batch


@dataclass(frozen=True)
class Fitted:
    """What a training did.

    Args:
        history: One row per epoch: ``epoch``, every term, and every term on the validation split as ``val_...``.
        best_epoch: The epoch whose weights the network now has, from 1.
    """

    history: tuple[dict[str, float], ...]
    best_epoch: int

    @property
    def best(self) -> dict[str, float]:
        """The history's row of the best epoch."""
        return self.history[self.best_epoch - 1]


def fit(network: Network, train: Callable[[int], Iterable[Batch]], validation: Callable[[], Iterable[Batch]], *,
        epochs: int, patience: int, steps: int, scratch: Path, progress: Progress, label: str = "",
        monitor: Callable[[dict[str, float]], float] = lambda row: row["val_loss"], settle: int = 0,
        before_epoch: Callable[[int, list[dict[str, float]]], None] | None = None,
        after_epoch: Callable[[int], dict[str, float]] | None = None, trainer: Any = None, devices: Any = None,
        logger: keras.callbacks.Callback | None = None) -> Fitted:
    """Train a compiled network, and leave it with the weights of its best epoch.

    Everything random derives from the epoch's number or lives in the network's variables, so a training that is
    killed and called again with the same arguments ends with the weights of one that was not.

    Args:
        network: Compiled and built.
        train: Epoch, from 0 -> that epoch's batches.
        validation: -> the validation batches; where there are none, every epoch counts as better.
        epochs: The most epochs.
        patience: Epochs without a better ``monitor`` before stopping.
        steps: Batches per epoch, for the progress bar.
        scratch: Folder for ``checkpoint.npz``.
        monitor: A history row -> the number to make small.
        settle: First epochs that cannot be the best, such as a KL warm-up.
        before_epoch: Called with the epoch, from 0, and the history before it, before its first batch.
        after_epoch: Called with the epoch after validation; what it returns is added to the history's row.
        trainer: What trains on a batch in the network's place, such as ``textvae.nn.aggressive.Aggressive``, with
            ``train_on_batch`` and ``variables`` of its own for the checkpoint.
        devices: What a step is shared by, a ``textvae.distribution.Devices``; None where there is one.
        logger: A keras callback told of each epoch's end, such as TensorBoard.

    Returns:
        The history and the best epoch.

    Raises:
        TextvaeError: The loss is no longer a number.
    """
    network.optimizer.build(network.trainable_variables)
    other: Step | None = None if trainer is None else trainer.train_on_batch
    test: Step = partial(network.test_on_batch, return_dict=True)
    if devices is not None:
        other, test = devices.steps(network)

    def training() -> AbstractContextManager[Step]:
        return steps_of(network) if other is None else nullcontext(other)

    # `variables` holds the seeds of dropout and sampling as well, the optimizer its moments and step.
    variables = [*network.variables, *network.optimizer.variables, *(trainer.variables if trainer else ())]
    state: dict[str, Any] = {"history": [], "best_epoch": 0, "best_value": None}
    best: list[np.ndarray] = []
    path = scratch / "checkpoint.npz"
    if path.exists() or devices is not None:
        now, state, best = _begun(path, variables, state, devices)
        if state["history"]:
            if devices is not None and len(state["history"]) < epochs and not _stale(state, patience):
                with training() as step:
                    _trace(step, test, train, validation)
            progress.say(f"{label or network.name}: resuming after epoch {len(state['history'])}")
        _put(variables, now)
    met: set[tuple[tuple[int, ...], ...]] = set()
    if logger is not None:
        logger.set_model(network)
        logger.on_train_begin()
    for epoch in range(len(state["history"]), epochs):
        if _stale(state, patience):
            break
        if before_epoch is not None:
            before_epoch(epoch, state["history"])
        with progress.task(f"{label or network.name} epoch {epoch + 1}/{epochs}", steps) as advance:
            with training() as step:
                row = mean(step, train(epoch), advance, progress, met)
            raw = _average(network)
            with progress.part("validation"):
                tested = mean(test, validation())
            row = {"epoch": epoch + 1, **row, **{f"val_{name}": value for name, value in tested.items()}}
            if after_epoch is not None and np.isfinite(row["loss"]):
                row |= after_epoch(epoch)
            advance(0, **{name: row[name] for name in ("loss", "val_loss") if name in row})
        state["history"].append(row)
        if not np.isfinite(row["loss"]):
            raise TextvaeError(f"{label or network.name}: the loss became {row['loss']} in epoch {epoch + 1}",
                               "lower its learning_rate or clip")
        value = monitor(row) if tested else -float(epoch)
        if epoch < settle or state["best_value"] is None or value < state["best_value"]:
            state["best_epoch"] = epoch + 1
            state["best_value"] = None if epoch < settle else value
            best = [keras.ops.convert_to_numpy(variable.value).copy() for variable in network.weights]
        for variable, array in zip(network.trainable_variables, raw, strict=False):
            variable.assign(array)
        reached = _packed(variables, state, best)
        if devices is None or devices.writes:
            write_aside(path, reached)
        if devices is not None:
            # Machines that differ may round otherwise: what the first one has is what all go on with.
            now, state, best = _unpacked(devices.agree(reached))
            _put(variables, now)
        if logger is not None:
            logger.on_epoch_end(epoch, row)
    for variable, array in zip(network.weights, best, strict=True):
        variable.assign(array)
    return Fitted(tuple(state["history"]), state["best_epoch"])


def averaging(optimizer: type[keras.optimizers.Optimizer], *, most: float, after: int = 0) -> Callable[..., Any]:
    """The kind of optimizer that keeps averages of weights as well, which are used after training.

    An average of momentum ``most`` alone would be the first weights for the first ``1 / (1 - most)`` steps, and small
    corpora have no more. So it rises from 0.1 with the steps that are averaged, as TensorFlow's
    ``ExponentialMovingAverage`` has it with ``num_updates``: min(most, (1 + t) / (10 + t)).

    Args:
        optimizer: A class of keras.
        most: The momentum that it comes to, below 1.
        after: Steps before those that are averaged: what weights were up to there, the average forgets.
    """

    class Averaging(optimizer):
        @property
        def ema_momentum(self) -> Any:
            steps = keras.ops.maximum(keras.ops.cast(self.iterations, "float32") - after, 0.0)
            return keras.ops.minimum(most, (1.0 + steps) / (10.0 + steps))

        @ema_momentum.setter
        def ema_momentum(self, value: float) -> None:
            """keras sets its own, which stands for none here."""

    return partial(Averaging, use_ema=True)


def _average(network: Network) -> list[np.ndarray]:
    """Put the averaged weights in place, where the optimizer keeps such; gives the others back, else nothing."""
    if not network.optimizer.use_ema:
        return []
    raw = [keras.ops.convert_to_numpy(variable.value).copy() for variable in network.trainable_variables]
    network.optimizer.finalize_variable_values(network.trainable_variables)
    for variable in network.trainable_variables:
        # On JAX it is the average's own buffer now, which the next step would give away.
        variable.assign(keras.ops.copy(variable.value))
    return raw


def _trace(training: Step, test: Step, train: Callable[[int], Iterable[Batch]],
           validation: Callable[[], Iterable[Batch]]) -> None:
    """Step once through every shape of batch, in the order of the first epoch.

    TensorFlow traces a step of several devices for general shapes once it has met a second one, and rounds otherwise
    there. A resumed training must come to it in the order of the one that was stopped; what the steps change is
    overwritten after it.
    """
    for step, batches in ((training, train(0)), (test, validation())):
        seen: set[tuple[tuple[int, ...], ...]] = set()
        for batch in batches:
            shapes = _shapes(batch)
            if shapes not in seen:
                step(batch)
                seen.add(shapes)


def _stale(state: dict[str, Any], patience: int) -> bool:
    return state["best_value"] is not None and len(state["history"]) - state["best_epoch"] >= patience


def _shapes(batch: Batch) -> tuple[tuple[int, ...], ...]:
    return tuple(array.shape for array in batch.values())


@contextmanager
def steps_of(network: Network) -> Iterator[Step]:
    """The training step of a compiled network, for many steps on end.

    ``train_on_batch`` waits for each step's numbers, and on JAX hands the network its state back after each, which
    keras' ``fit`` avoids as well. On JAX the network has its weights again when this ends, and not before.
    """
    network.make_train_function()
    if keras.config.backend() == "tensorflow":
        yield lambda batch: network.train_function(iter([(batch, None, None)]))
    elif keras.config.backend() == "jax":
        kept = (network.trainable_variables, network.non_trainable_variables, network.optimizer.variables,
                network.metrics_variables)
        state = tuple([variable.value for variable in group] for group in kept)

        def step(batch: Batch) -> dict[str, Any]:
            nonlocal state
            logs, state = network.train_function(state, iter([(batch, None, None)]))
            return logs

        yield step
        for group, values in zip(kept, state, strict=True):
            _put(group, values)
    else:
        yield partial(network.train_on_batch, return_dict=True)


def mean(step: Step, batches: Iterable[Batch], advance: Any = None, progress: Progress | None = None,
         met: set[tuple[tuple[int, ...], ...]] | None = None) -> dict[str, float]:
    """Run a step over batches and average what it returns over sequences.

    Args:
        step: From ``steps_of``, or such as ``test_on_batch``.
        batches: A thread makes them ahead.
        advance: Told of each step, with the mean loss up to the last step whose numbers are there.
        progress: Told of the tokens and of the parts that time goes to.
        met: Gathers the shapes that the step has been compiled for, so that a profile tells compiling apart.
    """
    progress, met = progress or Progress(), set() if met is None else met
    sums: dict[str, float] = {}
    count = 0
    under_way: deque[tuple[int, dict[str, Any]]] = deque()

    def arrive(left: int) -> None:
        nonlocal count
        while len(under_way) > left:
            size, logs = under_way.popleft()
            for name, value in logs.items():
                sums[name] = sums.get(name, 0.0) + float(value) * size
            count += size

    coming = ahead(batches)
    while True:
        with progress.part("input"):
            batch = next(coming, None)
        if batch is None:
            break
        size, shapes = len(next(iter(batch.values()))), _shapes(batch)
        with progress.part("steps" if shapes in met else "first steps of a shape"):
            under_way.append((size, step(batch)))
            progress.count(int(np.count_nonzero(batch["target"])) if "target" in batch else 0)
            arrive(LATE)
        met.add(shapes)
        if advance is not None:
            advance(1, **({"loss": sums["loss"] / count} if count else {}))
    with progress.part("steps"):
        arrive(0)
    return {name: total / count for name, total in sums.items()}


def _begun(path: Path, variables: list[Any], state: dict[str, Any], devices: Any
           ) -> tuple[list[np.ndarray], dict[str, Any], list[np.ndarray]]:
    """What a training goes on from: its checkpoint; among several workers, what the first one has."""
    if devices is None:
        return _unpacked(path.read_bytes())
    return _unpacked(devices.agree(path.read_bytes() if path.exists() else _packed(variables, state, [])))


def _packed(variables: list[Any], state: dict[str, Any], best: list[np.ndarray]) -> memoryview:
    arrays = {f"now{i:04d}": keras.ops.convert_to_numpy(v.value) for i, v in enumerate(variables)}
    arrays |= {f"best{i:04d}": value for i, value in enumerate(best)}
    return packed({**arrays, "state": np.frombuffer(json.dumps(state).encode(), np.uint8)})


def _unpacked(checkpoint: bytes | memoryview) -> tuple[list[np.ndarray], dict[str, Any], list[np.ndarray]]:
    with np.load(io.BytesIO(checkpoint), allow_pickle=False) as arrays:
        now, best = ([arrays[name] for name in sorted(arrays.files) if name.startswith(kind)]
                     for kind in ("now", "best"))
        state: dict[str, Any] = json.loads(arrays["state"].tobytes())
    return now, state, best


def _put(variables: list[Any], arrays: list[np.ndarray]) -> None:
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
