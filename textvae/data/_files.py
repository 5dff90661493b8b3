"""Small writers that give the same bytes for the same values."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

from textvae.errors import StoreError


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value, one key a line, in the order given; numbers that are not finite become null."""
    path.write_text(json.dumps(_plain(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file; a damaged one is a StoreError that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {path}: {error}") from error


def write_csv(path: Path, rows: list[dict[str, float]]) -> None:
    """Write rows as CSV under a header of every key met, in the order met."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, keys, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(out.getvalue(), encoding="utf-8")


def read_csv(path: Path) -> list[dict[str, float]]:
    """Read what ``write_csv`` wrote; empty cells are left out."""
    with path.open(encoding="utf-8", newline="") as lines:
        return [{key: float(cell) for key, cell in row.items() if cell != ""} for row in csv.DictReader(lines)]


def check_array(owner: str, name: str, array: Any, dtype: type, axes: str, shape: tuple[int | None, ...]) -> None:
    """Raise ValueError unless the array has this dtype and shape; None stands for any length."""
    import numpy as np  # here, since who reads posts alone need not wait for it

    expected = f"{np.dtype(dtype).name} [{axes}]"
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != len(shape):
        got = f"{array.dtype.name} {list(array.shape)}" if isinstance(array, np.ndarray) else type(array).__name__
        raise ValueError(f"{owner}.{name} must be {expected}, not {got}")
    if any(want is not None and want != have for want, have in zip(shape, array.shape, strict=True)):
        raise ValueError(f"{owner}.{name} must be {expected} with shape {list(shape)}, not {list(array.shape)}")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):  # numpy's numbers
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
