"""Weights out of a network and back, as plain arrays."""

from typing import Any

import keras
import numpy as np

from textvae.errors import StoreError


def gather(network: keras.Model) -> dict[str, np.ndarray]:
    """Copy a network's weights: arrays by the path of their variable, without optimizer and random state."""
    weights = {variable.path: keras.ops.convert_to_numpy(variable.value).copy() for variable in network.weights}
    if len(weights) != len(network.weights):
        raise ValueError(f"{network.name} has two variables of one path")
    return weights


def assign(network: keras.Model, weights: dict[str, np.ndarray]) -> None:
    """Put arrays into a built network's variables.

    Raises:
        StoreError: A variable has no array, or one of another shape.
    """
    variables = {variable.path: variable for variable in network.weights}
    if variables.keys() != weights.keys():
        odd = sorted(variables.keys() ^ weights.keys())
        raise StoreError(f"the weights do not fit the network {network.name}: {', '.join(odd[:3])}",
                         "they come from another version of textvae; run the stage again with --force")
    for path, variable in variables.items():
        if tuple(variable.shape) != weights[path].shape:
            raise StoreError(f"weights {path} have shape {list(weights[path].shape)}, not {list(variable.shape)}",
                             "they come from another version of textvae; run the stage again with --force")
        variable.assign(weights[path])


def restore(kind: str, settings: dict[str, Any], weights: dict[str, np.ndarray]) -> Any:
    """Build a network of ``NETWORKS`` from its settings and give it its weights.

    Args:
        kind: A key of ``textvae.nn.NETWORKS``.
        settings: What its constructor takes, without the seed.
        weights: Arrays by variable path, as ``gather`` gave them.
    """
    from textvae.nn import NETWORKS

    network = NETWORKS[kind](**settings, seed=0)
    assign(network, weights)
    return network
