"""Who reads a file: readers hold it together, and whoever wants to delete it can tell that they do.

By ``flock``, which the system lets go of when a process ends, however it ends. Nobody waits.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

BUSY = (errno.EWOULDBLOCK, errno.EACCES)  # somebody else holds it; any other error: this disk knows no locks


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold a file while a block runs.

    Returns:
        Whether it is there and held; False where it is gone or just being deleted.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield False
        return
    with file:
        yield _lock(file, fcntl.LOCK_SH) and os.fstat(file.fileno()).st_nlink > 0


def delete(path: Path, *, dry_run: bool = False) -> bool:
    """Delete a file that nobody holds.

    Returns:
        Whether it was deleted, or with ``dry_run`` would have been.
    """
    with path.open("rb+") as file:
        if not _lock(file, fcntl.LOCK_EX):
            return False
        if not dry_run:
            path.unlink()
    return True


def _lock(file: IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in BUSY
    return True
