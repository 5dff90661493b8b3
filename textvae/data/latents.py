"""The posterior of every sequence."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from textvae.data._files import check_array, read_json, write_json


@dataclass(frozen=True)
class Latents:
    """Diagonal Gaussian posteriors, rows aligned with ``Tokens``.

    Args:
        mean: float32 [sequences, latent].
        log_var: float32 [sequences, latent]; natural logarithm of the variance.
        metrics: Active units and mutual information (nats) over the validation split.
    """

    mean: np.ndarray
    log_var: np.ndarray
    metrics: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_array("Latents", "mean", self.mean, np.float32, "sequences, latent", (None, None))
        check_array("Latents", "log_var", self.log_var, np.float32, "sequences, latent", self.mean.shape)

    def save(self, folder: Path) -> None:
        """Write ``mean.npy``, ``log_var.npy`` and ``metrics.json``."""
        np.save(folder / "mean.npy", self.mean, allow_pickle=False)
        np.save(folder / "log_var.npy", self.log_var, allow_pickle=False)
        write_json(folder / "metrics.json", self.metrics)

    @classmethod
    def load(cls, folder: Path) -> "Latents":
        """Read what ``save`` wrote, memory-mapped."""
        return cls(np.load(folder / "mean.npy", mmap_mode="r", allow_pickle=False),
                   np.load(folder / "log_var.npy", mmap_mode="r", allow_pickle=False),
                   read_json(folder / "metrics.json"))
