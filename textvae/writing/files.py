"""Files that a user names for what was written: all of them, or what was there before."""

import os
import shutil
from pathlib import Path

from textvae.errors import InputError


def replace(path: Path, contents: bytes) -> None:
    """Write a file; one that was there keeps its permissions, and stays until all is written.

    A link stays, and what it leads to is written. A pipe, a device, and a file in a folder that nothing can be put
    into are written where they are.

    Raises:
        InputError: It cannot be written.
    """
    try:
        if path.exists() and not (path.is_file() and os.access(path.resolve().parent, os.W_OK)):
            path.write_bytes(contents)
        else:
            _aside(path.resolve(), contents)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}", "give another file") from error


def _aside(path: Path, contents: bytes) -> None:
    aside = path.with_name(f".textvae.{os.getpid()}")
    try:
        aside.touch()
        if path.exists():
            shutil.copymode(path, aside)
        aside.write_bytes(contents)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
