"""Arrays on disk, whole or not at all."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np


def packed(arrays: dict[str, Any]) -> memoryview:
    """The bytes of an npz file of these arrays."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getbuffer()


def write_aside(path: Path, contents: memoryview) -> None:
    """Write a file beside its place, force it to disk, then move it there: a kill leaves the old or the new."""
    aside = path.with_suffix(".tmp")
    with aside.open("wb") as out:
        out.write(contents)
        out.flush()
        os.fsync(out.fileno())
    aside.replace(path)
