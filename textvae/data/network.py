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
        path = folder / "weights.h5"
        try:
            with h5py.File(path, "r") as file:
                weights = {name: np.asarray(item[()]) for name, item in _plain(file, path.stat().st_size)}
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error}") from error
        plot = folder / "history.png"
        return cls(config["kind"], config["settings"], weights, read_json(folder / "metrics.json"),
                   tuple(read_csv(folder / "history.csv")), plot.read_bytes() if plot.exists() else b"")


def _plain(file: Any, size: int) -> list[tuple[str, Any]]:
    """The datasets of an HDF5 file of this many bytes, by name.

    Raises:
        ValueError: They are not as ``save`` writes them, with all their numbers in the file, byte for byte. Links and
            external storage could read any other file, and what is packed or missing could take any memory.
    """
    import h5py

    links: list[str] = []
    found: list[tuple[str, Any]] = []
    file.visititems_links(lambda name, link: None if isinstance(link, h5py.HardLink) else links.append(name))
    file.visititems(lambda name, item: found.append((name, item)) if isinstance(item, h5py.Dataset) else None)
    if links:
        raise ValueError(f"weights {links[0]} are a link")
    for name, item in found:
        if item.chunks or item.external or item.is_virtual or item.dtype.hasobject or item.shape is None:
            raise ValueError(f"weights {name} are no plain array")
        if item.id.get_storage_size() != item.nbytes:
            raise ValueError(f"weights {name} are {item.nbytes} bytes, of which {item.id.get_storage_size()} are there")
    if sum(item.nbytes for _, item in found) > size:
        raise ValueError("weights share their bytes with each other")
    return found
