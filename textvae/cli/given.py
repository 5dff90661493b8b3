"""What commands that write texts are given: a run to open, texts, files."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textvae.writing.writer import Writer


# Up to here NumPy, which begins at once, is done before TensorFlow, which is faster once it has begun.
FEW_SOURCES, FEW_SENTENCES, FEW_CANDIDATES = 8, 24, 400


def opened(pipeline: str, store: Path, run: int | None, device: str, *, few: bool) -> "Writer":
    """The writer of a pipeline's run; ``few`` as in ``textvae.open``."""
    import textvae
    from textvae import catalogue

    return textvae.open(catalogue.locate(pipeline, store).folder, run=run, device=device, few=few)


def readable(path: Path) -> bytes:
    """The bytes of a file that was named.

    Raises:
        InputError: It is not there, or no regular file.
    """
    from textvae.errors import InputError

    if not path.is_file():
        raise InputError(f"no such file: {path}" if not path.exists() else f"{path} is no regular file",
                         "give the path of a file")
    return path.read_bytes()


def writable(path: Path) -> None:
    """See that a file can be put there before there is something to put.

    Raises:
        InputError: There is no such folder.
    """
    from textvae.errors import InputError

    if not path.absolute().parent.is_dir():
        raise InputError(f"there is no folder {path.parent} for {path.name}", "make it first")


def texts(given: tuple[str, ...]) -> Iterable[str]:
    """Yield the texts as given, with - replaced by the lines of standard input that hold more than white space.

    Raises:
        InputError: All of it is empty, or standard input is not UTF-8.
    """
    from textvae.errors import InputError

    none = True
    for item in given:
        for text in _lines() if item == "-" else (item,):
            if text.strip():
                none = False
                yield text.strip()
    if none:
        raise InputError("there is no text: all that was given is empty", "give a text, or one per line with -")


def _lines() -> Iterable[str]:
    from textvae.errors import InputError

    for row, line in enumerate(sys.stdin.buffer, start=1):
        try:
            yield line.decode("utf-8-sig" if row == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"standard input, line {row}: not UTF-8: byte {error.object[error.start]:#x}",
                             "convert it first, for example with iconv -f latin1 -t utf-8") from error
