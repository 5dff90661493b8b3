"""A trained network as plain data: its settings, weights, metrics and history."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from textvae.data._files import read_csv, read_json, write_csv, write_json
from textvae.errors import StoreError


@dataclass(frozen=True)
class TrainedNetwork:
    """What a training stage leaves behind; no keras is needed to hold, save, load or check it.

    Args:
        kind: Which network: a key of ``textvae.nn.NETWORKS``, such as ``"sequence_vae"``.
        settings: The plain numbers and words that the network's constructor takes.
        weights: Arrays by the path of their variable; empty where training was declined (``metrics`` says why).
        metrics: What training measured, on the validation split.
        history: One row of numbers per epoch.
        plot: The history drawn, PNG bytes; empty where there is none.
    """

    kind: str
    settings: dict[str, Any]
    weights: dict[str, np.ndarray]
    metrics: dict[str, Any] = field(default_factory=dict)
    history: tuple[dict[str, float], ...] = ()
    plot: bytes = b""

    def __post_init__(self) -> None:
        for path, array in self.weights.items():
            if not isinstance(array, np.ndarray):
                raise ValueError(f"TrainedNetwork.weights[{path!r}] must be an array, not {type(array).__name__}")

    def save(self, folder: Path) -> None:
        """Write ``config.json``, ``weights.h5``, ``metrics.json``, ``history.csv`` and ``history.png``."""
        import h5py

        write_json(folder / "config.json", {"kind": self.kind, "settings": self.settings})
        write_json(folder / "metrics.json", self.metrics)
        write_csv(folder / "history.csv", list(self.history))
        if self.plot:
            (folder / "history.png").write_bytes(self.plot)
        with h5py.File(folder / "weights.h5", "w") as file:
            for path, array in self.weights.items():
                file.create_dataset(path, data=array, track_times=False)

    @classmethod
    def load(cls, folder: Path) -> "TrainedNetwork":
        """Read what ``save`` wrote."""
        import h5py

        config = read_json(folder / "config.json")
        weights: dict[str, np.ndarray] = {}
        try:
            with h5py.File(folder / "weights.h5", "r") as file:
                file.visititems(lambda path, item: weights.update({path: np.asarray(item[()])})
                                if isinstance(item, h5py.Dataset) else None)
        except OSError as error:
            raise StoreError(f"cannot read {folder / 'weights.h5'}: {error}") from error
        plot = folder / "history.png"
        return cls(config["kind"], config["settings"], weights, read_json(folder / "metrics.json"),
                   tuple(read_csv(folder / "history.csv")), plot.read_bytes() if plot.exists() else b"")
