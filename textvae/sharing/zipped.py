"""A zip file as a place for a run: written whole or not at all, and read without trusting it."""

import os
import shutil
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from textvae.errors import InputError

CHUNK = 2**20
# Weights hardly shrink, and tables of zeros by a few hundred times at most: a file of which more comes out is a bomb.
RATIO, SMALL = 100, 64 * 2**20
LINKS = (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK)
TROUBLE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError, ValueError, KeyError)


class Zipped:
    """An open zip file, with the name that messages call it."""

    def __init__(self, file: zipfile.ZipFile, name: str) -> None:
        self.name = name
        self._file = file

    def put(self, name: str, source: BinaryIO) -> None:
        """Add a file."""
        with self._file.open(_entry(name), "w", force_zip64=True) as entry:
            shutil.copyfileobj(source, entry, CHUNK)

    def finish(self, name: str, text: str) -> None:
        """Add the index, after all that it names."""
        self._file.writestr(_entry(name), text)

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file.

        Raises:
            InputError: It is not there, or damaged.
        """
        try:
            with self._file.open(name) as entry:
                while piece := entry.read(CHUNK):
                    yield piece
        except TROUBLE as error:
            raise InputError(f"{self.name}: cannot read {name}: {error}", "export the run again") from error

    def expect(self, files: dict[str, dict[str, Any]], index: str) -> None:
        """See that the zip file holds these files and its index, plain ones, and nothing else.

        Raises:
            InputError: It does not, or it unpacks to more than such files ever do.
        """
        found = self._file.infolist()
        names = Counter(entry.filename for entry in found)
        problems = [f"holds {name!r}, which is no part of the run" for name in names if name not in files | {index: {}}]
        problems += [f"holds {name} {times} times" for name, times in names.items() if times > 1]
        problems += [f"does not hold {name}" for name in files if name not in names]
        for entry in found:
            if stat.S_IFMT(entry.external_attr >> 16) in LINKS:
                problems.append(f"holds {entry.filename}, which is a link")
            elif entry.filename in files and entry.file_size != files[entry.filename]["size"]:
                problems.append(f"holds {entry.filename} with {entry.file_size} bytes, not "
                                f"{files[entry.filename]['size']}")
        packed, size = Path(str(self._file.filename)).stat().st_size, sum(entry.file_size for entry in found)
        if size > max(SMALL, RATIO * packed):
            problems.append(f"has {packed:,} bytes that unpack to {size:,}")
        if problems:
            raise InputError(f"{self.name} {problems[0]}", "import only what textvae exported")


@contextmanager
def written(path: Path) -> Iterator[Zipped]:
    """A new zip file; it appears when all is in it, and replaces one that was there.

    Raises:
        InputError: It cannot be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(aside, "w") as file:
            yield Zipped(file, str(path))
        aside.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}", "give another file with -o") from error
    finally:
        with suppress(FileNotFoundError):
            aside.unlink()


@contextmanager
def opened(path: Path) -> Iterator[Zipped]:
    """A zip file to read.

    Raises:
        InputError: It is not there, or no zip file.
    """
    if not path.is_file():
        raise InputError(f"no such file: {path}" if not path.exists() else f"{path} is no regular file",
                         "give a file that textvae export wrote")
    try:
        file = zipfile.ZipFile(path)
    except TROUBLE as error:
        raise InputError(f"{path} is no file that textvae export wrote, or was cut off: {error}",
                         "export or copy it again") from error
    with file:
        yield Zipped(file, str(path))


def _entry(name: str) -> zipfile.ZipInfo:
    # The time is always the same, so that a run gives the same bytes whenever it is exported.
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    return entry
