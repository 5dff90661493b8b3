"""An address that fsspec knows, such as ``s3://bucket/blog`` or a folder, as a place for a run."""

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from textvae.errors import InputError, TextvaeError
from textvae.sharing.bundle import INDEX, Bundle, read
from textvae.sharing.zipped import CHUNK


class Address:
    """A folder somewhere, with the name that messages call it: the address without a password.

    Args:
        address: As fsspec takes it.

    Raises:
        InputError: It is empty; fsspec, or what it needs for such an address, is not installed; or there is no such
            kind.
    """

    def __init__(self, address: str) -> None:
        self.name = without_password(address)
        if not address.strip():  # which would be the working folder; a variable that is not set gives it
            raise InputError("the address is empty", "give a folder, or an address such as s3://bucket/name")
        try:
            import fsspec
        except ImportError as error:
            raise InputError("addresses need fsspec, which is not here", "pip install 'textvae[remote]'") from error
        try:
            self._files, root = fsspec.core.url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise InputError(f"cannot use the address {self.name}: {without_password(str(error))}",
                             "give a folder, or an address such as s3://bucket/name") from error
        self._root = root.rstrip("/")

    def put(self, name: str, source: BinaryIO) -> None:
        """Add a file; one of this name and size is there from before, since names are by contents."""
        path = self._path(name)
        with self._told("write"):
            if self._files.exists(path) and self._files.size(path) == os.fstat(source.fileno()).st_size:
                return
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            with self._files.open(path, "wb") as file:
                shutil.copyfileobj(source, file, CHUNK)

    def finish(self, name: str, text: str) -> None:
        """Put the index in its place in one step, after all that it names."""
        path = self._path(name)
        aside = f"{path}.{uuid.uuid4().hex}"  # another one for each who pushes at the same time
        with self._told("write"):
            self._files.pipe_file(aside, text.encode())
            self._files.mv(aside, path)

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file.

        Raises:
            InputError: It is not there, or cannot be read.
        """
        with self._told("read", f"/{name}"), self._files.open(self._path(name), "rb") as file:
            while piece := file.read(CHUNK):
                yield piece

    def expect(self, files: dict[str, dict[str, Any]], index: str) -> None:
        """See that these files are there, with their sizes.

        Raises:
            InputError: They are not.
        """
        for name, fact in files.items():
            with self._told("read", f"/{name}"):
                size = self._files.size(self._path(name))
            if size != fact["size"]:
                raise InputError(f"{self.name}/{name} has {size} bytes, not {fact['size']}",
                                 "delete it there and push the run again")

    def reserve(self, pipeline: str) -> None:
        """See that no other pipeline's run is there.

        Raises:
            InputError: There is one.
        """
        there = self._bundle()
        if there and there.run.pipeline != pipeline:
            raise InputError(f"{self.name} holds a run of {there.run.pipeline}, not of {pipeline}",
                             "push to another address: one holds the runs of one pipeline")

    def _bundle(self) -> Bundle | None:
        try:
            return read(self.chunks(INDEX), self.name)
        except TextvaeError:  # none is there, or it is damaged, which another one mends
            return None

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _told(self, doing: str, name: str = "") -> Iterator[None]:
        try:
            yield
        # What stores elsewhere raise cannot be foreseen: each has its own kinds of errors.
        except Exception as error:
            if name and isinstance(error, FileNotFoundError):
                what = "no run was pushed to" if name == f"/{INDEX}" else f"there is no {name.lstrip('/')} in"
                raise InputError(f"{what} {self.name}", "push one with: textvae push PIPELINE ADDRESS") from error
            why = without_password(str(error)) or type(error).__name__
            raise InputError(f"cannot {doing} {self.name}{name}: {why}",
                             "check the address, your rights and the network, and try again") from error


def without_password(text: str) -> str:
    """A text without the names and passwords of the addresses in it.

    Example:
        >>> without_password("no answer from https://me:secret@host/path")
        'no answer from https://host/path'
    """
    return re.sub(r"://[^/@\s]*@", "://", text)
