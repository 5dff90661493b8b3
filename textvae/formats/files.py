"""The encoder and the decoder in a file each, loaded again as whoever gets them loads them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from textvae.data import BEGIN, UNKNOWN
from textvae.errors import TextvaeError
from textvae.formats import graphs

Loaded = Callable[[dict[str, np.ndarray]], np.ndarray]
TOLERANCE = 1e-4  # of the largest number; float32 in another order of sums differs by some 1e-6
NEEDED = {"onnx": ("onnx", "onnxruntime", "tf2onnx")}  # format -> packages that do not come with textvae


def missing(format: str) -> list[str]:
    """The packages that a format needs and that are not here."""
    from importlib.util import find_spec

    return [name for name in NEEDED.get(format, ()) if find_spec(name) is None]


def write(network: Any, folder: Path, formats: Sequence[str], *, seed: int) -> dict[str, float]:
    """Write a network's encoder and decoder, load each file again and hold it against the network.

    Args:
        network: A ``textvae.nn.SequenceVAE``, in float32.
        folder: Where the files go.
        formats: Of ``WRITERS``.
        seed: For the sequences that are compared.

    Returns:
        File -> the largest difference of any number in it, as a part of the largest number.

    Raises:
        TextvaeError: A file gives other numbers than the network, or keras does not run on TensorFlow.
    """
    import keras

    if keras.config.backend() != "tensorflow":
        raise TextvaeError(f"networks are converted with TensorFlow, and keras runs on {keras.config.backend()}",
                           "unset KERAS_BACKEND")
    found, rng = {}, np.random.default_rng(seed)
    for graph, (inputs, wanted) in ((graphs.encoder(network), _read(network, rng)),
                                    (graphs.decoder(network), _written(network, rng))):
        graph(inputs)  # keras exports no graph that was never called
        for format in formats:
            path = folder / f"{graph.name}.{format}"
            found[path.name] = _compare(path.name, WRITERS[format](graph, path)(inputs), wanted)
    return found


def _compare(name: str, given: np.ndarray, wanted: np.ndarray) -> float:
    difference = float(np.max(np.abs(given - wanted)) / max(1.0, float(np.max(np.abs(wanted)))))
    if not difference <= TOLERANCE:  # not a number is none either
        raise TextvaeError(f"{name}, loaded again, differs from the network by {difference:.2g}",
                           f"at most {TOLERANCE:g} is right: leave this --format out, and report it")
    return difference


def _read(network: Any, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Sequences of different lengths, and their posterior means as the network has them."""
    from keras import ops

    lengths = np.array([1, 2, network.settings["max_length"], 1 + network.settings["max_length"] // 2])
    real = np.arange(lengths.max())[None] < lengths[:, None]
    ids = rng.integers(UNKNOWN, network.settings["vocabulary"], real.shape) * real
    inputs = {"ids": ids.astype(np.int32), **_labels(network, rng, len(ids))}
    return inputs, ops.convert_to_numpy(network.posterior(inputs)["mean"])


def _written(network: Any, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Latents with tokens, and the logits after each as generation has them, step by step."""
    from keras import ops

    shape = (4, min(6, network.settings["max_length"]))
    tokens = rng.integers(UNKNOWN, network.settings["vocabulary"], shape).astype(np.int32)
    tokens[:, 0] = BEGIN
    z = rng.standard_normal((len(tokens), network.latent), np.float32)
    label = _labels(network, rng, len(tokens))
    code = network.code(z, label.get("label"))
    state, logits = network.first_state(code), []
    for step in tokens.T:
        outputs, state = network.advance(step, code, state)
        logits.append(ops.convert_to_numpy(network.logits(outputs)))
    return {"z": z, "tokens": tokens, **label}, np.stack(logits, axis=1)


def _labels(network: Any, rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    return {"label": rng.integers(0, len(network.labels) + 1, count).astype(np.int32)} if network.labels else {}


def _keras(graph: Any, path: Path) -> Loaded:
    from keras.saving import load_model

    graph.save(path)
    loaded = load_model(path)
    return lambda inputs: np.asarray(_only(loaded(inputs)))


def _saved_model(graph: Any, path: Path) -> Loaded:
    import tensorflow as tf

    graph.export(str(path), format="tf_saved_model", verbose=False)
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    return lambda inputs: _only(serve(**{name: tf.constant(array) for name, array in inputs.items()})).numpy()


def _onnx(graph: Any, path: Path) -> Loaded:
    import logging
    import warnings

    import onnxruntime

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():  # keras' mending of tf2onnx for numpy 2 warns about itself
        warnings.simplefilter("ignore")
        graph.export(str(path), format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda inputs: np.asarray(session.run(None, inputs)[0])


def _only(outputs: dict[str, Any]) -> Any:
    (output,) = outputs.values()
    return output


WRITERS: dict[str, Callable[[Any, Path], Loaded]] = {"keras": _keras, "savedmodel": _saved_model, "onnx": _onnx}
