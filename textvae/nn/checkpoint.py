"""Arrays on disk, whole or not at all."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np


def write_aside(path: Path, arrays: dict[str, Any]) -> None:
    """Write an npz file beside its place, force it to disk, then move it there: a kill leaves the old or the new."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    aside = path.with_suffix(".tmp")
    with aside.open("wb") as out:
        out.write(buffer.getbuffer())
        out.flush()
        os.fsync(out.fileno())
    aside.replace(path)
