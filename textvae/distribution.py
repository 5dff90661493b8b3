"""Training on several devices: the GPUs of one machine, or one process on each of several machines.

Every device computes the gradient of its rows of a batch; the sum of them is that of the whole batch, and every process
moves its own weights by it. Variables are ordinary ones, one set in each process: a step takes their values, and they
are changed outside of it, so that clipping sees the whole gradient and nothing else of textvae knows of strategies.
"""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from textvae.device import Device
from textvae.errors import TextvaeError
from textvae.seeds import child
from textvae.workers import Workers, meet

Step = Callable[..., dict[str, float]]
CHUNK = 2 ** 20  # numbers of 4 bytes that are sent at once where the first worker tells the others something


def start(device: Device, among: Workers | None) -> "Devices | None":
    """Prepare all devices that training can use; called after ``textvae.device.use``, before anything is computed.

    Args:
        device: What ``use`` found: where it is a GPU, all GPUs that TensorFlow sees train.
        among: The workers, which this waits for; None for one process.

    Returns:
        None where there is one device.

    Raises:
        TextvaeError: Workers are asked for and the backend is not TensorFlow, or they do not come.
    """
    if device.backend != "tensorflow":
        if among is not None:
            raise TextvaeError(f"several workers train on TensorFlow only, not on {device.backend}",
                               "unset KERAS_BACKEND, or train without --workers")
        return None
    if among is not None:
        return _across_machines(among)
    if device.kind != "gpu":
        return None
    import tensorflow as tf

    gpus = [f"GPU:{place}" for place in range(len(tf.config.get_visible_devices("GPU")))]
    return on_one_machine(gpus) if len(gpus) > 1 else None


def on_one_machine(names: list[str]) -> "Devices":
    """Several devices of this process, such as ``["GPU:0", "GPU:1"]``."""
    import tensorflow as tf

    return Devices(tf.distribute.MirroredStrategy(names), 1, 0)


def _across_machines(among: Workers) -> "Devices":
    import tensorflow as tf

    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": among.hosts},
                                          "task": {"type": "worker", "index": among.index}})
    meet(among)
    stops = signal.getsignal(signal.SIGTERM)
    with _company():
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    if stops is not None:
        # TensorFlow takes the signal for a notice that the machine will be taken away, and goes on.
        signal.signal(signal.SIGTERM, stops)
    return Devices(strategy, len(among.hosts), among.index)


class Devices:
    """What computes the steps of a training together.

    Args:
        strategy: A ``tf.distribute.Strategy``, whose ``run`` and reductions are used.
        workers: How many processes there are.
        index: Which of them this is.
    """

    def __init__(self, strategy: Any, workers: int, index: int) -> None:
        self.strategy, self.workers, self.index = strategy, workers, index
        self._first: Any = None

    @property
    def replicas(self) -> int:
        """How many parts a batch is cut into."""
        return int(self.strategy.num_replicas_in_sync)

    @property
    def writes(self) -> bool:
        """Whether this process is the one that writes."""
        return self.index == 0

    def describe(self) -> dict[str, int]:
        """For manifests."""
        return {"replicas": self.replicas, "workers": self.workers}

    def steps(self, network: Any) -> tuple[Step, Step]:
        """What stands for ``train_on_batch`` and ``test_on_batch`` of a compiled and built network.

        XLA compiles neither: means over a batch are taken over all devices in the middle of a step.
        """
        return self._step(network, True), self._step(network, False)

    def agree(self, said: bytes | memoryview) -> bytes | memoryview:
        """What the first worker says, the same in all of them."""
        if self.workers == 1:
            return said
        size = int(self._of_first(np.array([len(said)], np.int64))[0])
        own = np.frombuffer(said, np.uint8) if self.writes else np.zeros(0, np.uint8)
        found = []
        for begin in range(0, size, 4 * CHUNK):
            chunk = np.zeros(4 * CHUNK, np.uint8)
            part = own[begin:begin + 4 * CHUNK]
            chunk[:len(part)] = part
            found.append(self._of_first(chunk.view(np.int32)).view(np.uint8))
        return np.concatenate(found)[:size].tobytes() if found else b""

    def tell(self, news: dict[str, Any]) -> dict[str, Any]:
        """What the first worker tells, JSON values, the same in all of them; the others wait for it."""
        told: dict[str, Any] = json.loads(bytes(self.agree(json.dumps(news).encode())))
        return told

    def _of_first(self, numbers: np.ndarray) -> np.ndarray:
        """Integers of the first worker, of one shape in all of them."""
        import tensorflow as tf

        if self._first is None:
            def replica(own: Any) -> Any:
                return tf.distribute.get_replica_context().all_reduce("sum", tf.identity(own))  # of a device

            # The others add zeros.
            self._first = tf.function(lambda own: self.strategy.run(replica, args=(own,)), autograph=False)
        with _company():
            own = self.strategy.experimental_distribute_values_from_function(
                lambda place: tf.constant(numbers if place.replica_id_in_sync_group == 0 else np.zeros_like(numbers)))
            return np.asarray(self.strategy.experimental_local_results(self._first(own))[0])

    def _step(self, network: Any, training: bool) -> Step:
        import tensorflow as tf

        from textvae.nn.batching import part

        salts = [0, *(child(0, f"replica-{place}") for place in range(1, self.replicas))]
        step = tf.function(self._traced(network, training), autograph=False, reduce_retracing=True)

        def on_batch(batch: dict[str, np.ndarray], *, return_dict: bool = True) -> dict[str, float]:
            parts = [part(batch, place, self.replicas) for place in range(self.replicas)]
            rows = np.float32(sum(len(next(iter(own.values()))) for own in parts))

            def given(place: Any) -> dict[str, Any]:
                at = place.replica_id_in_sync_group
                return {"batch": {name: tf.constant(array) for name, array in parts[at].items()},
                        "rows": tf.constant(rows), "salt": tf.constant(salts[at], tf.int64)}

            with _company():
                logs = step(self.strategy.experimental_distribute_values_from_function(given))
                return {name: float(value) for name, value in logs.items()}

        return on_batch

    def _traced(self, network: Any, training: bool) -> Callable[[Any], dict[str, Any]]:
        """A step as a function of what each device is given."""
        import keras
        import tensorflow as tf

        from textvae.nn import across

        weights = network.trainable_variables
        others = network.non_trainable_variables
        # Every device draws noise of its own: its seeds are those of the first one, shifted by its salt.
        seeds = [place for place, variable in enumerate(others) if variable.name == "seed_generator_state"]

        def replica(given: dict[str, Any]) -> tuple[list[Any], list[Any], dict[str, Any]]:
            context = tf.distribute.get_replica_context()
            values = [tf.identity(variable.value) for variable in weights]
            shift = tf.stack([given["salt"], tf.zeros_like(given["salt"])])
            state = [variable.value + tf.cast(shift, variable.dtype) if place in seeds else
                     tf.identity(variable.value) for place, variable in enumerate(others)]
            with tf.GradientTape() as tape, keras.StatelessScope(
                    state_mapping=list(zip([*weights, *others], [*values, *state], strict=True))) as scope, \
                    across.several(lambda own: context.all_reduce("sum", own), given["rows"]):
                tape.watch(values)
                terms = network(given["batch"], training=training)
                # Means are over all devices' rows, so each device has the whole loss: their sum is to be it once.
                loss = network.compute_loss(x=given["batch"], y_pred=terms, training=training) / self.replicas
                with tape.stop_recording():
                    logs = network.compute_metrics(given["batch"], None, terms)
                    after = [scope.get_current_value(others[place]) for place in seeds]
            after = [own - tf.cast(shift, own.dtype) for own in after]
            if not training:
                return [], after, logs
            gradients = [tf.convert_to_tensor(own) for own in tape.gradient(
                loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)]
            return list(context.all_reduce("sum", gradients)), after, logs

        def step(given: Any) -> dict[str, Any]:
            said = self.strategy.run(replica, args=(given,))
            gradients, after, logs = tf.nest.map_structure(
                lambda own: self.strategy.experimental_local_results(own)[0], said,
                expand_composites=False)
            for place, value in zip(seeds, after, strict=True):
                others[place].assign(value)
            if training:
                network.optimizer.apply(gradients, weights)
            found: dict[str, Any] = logs
            return found

        return step


@contextmanager
def _company() -> Iterator[None]:
    """Tell in words that another worker is gone."""
    import tensorflow as tf

    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError,
            tf.errors.DeadlineExceededError) as error:
        raise TextvaeError("another worker is gone, and no step can be done without it",
                           "start all of them again with the same command: training goes on from the last epoch that "
                           "was kept") from error
