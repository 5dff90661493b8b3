"""What commands that write texts are given: a run to open, texts, files."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textvae.cli.options import CONVERT

if TYPE_CHECKING:
    from textvae.writing.writer import Writer


# Up to here NumPy, which begins at once, is done before TensorFlow, which is faster once it has begun.
FEW_SOURCES, FEW_SENTENCES, FEW_CANDIDATES = 8, 24, 400
READ = 1 << 16  # bytes of standard input that are taken at once, where there are as many


def opened(pipeline: str, store: Path, run: int | None, device: str, *, few: bool) -> "Writer":
    """The writer of a pipeline's run; ``few`` as in ``textvae.open``."""
    import textvae
    from textvae import catalogue

    return textvae.open(catalogue.locate(pipeline, store).folder, run=run, device=device, few=few)


def few(candidates: int, sampler: str) -> bool:
    """Whether NumPy writes so many candidates as soon; beam search sorts, which it is slow at."""
    return sampler != "beam" and candidates <= FEW_CANDIDATES


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
        InputError: There is no such folder, or nothing may be written there.
    """
    from textvae.errors import InputError

    there = path.exists()
    folder = path.resolve().parent if path.is_symlink() else path.parent  # of what it leads to
    if not (there or folder.is_dir()):
        raise InputError(f"there is no folder {folder} for {path.name}", "make it first")
    if not os.access(path if there else folder, os.W_OK):
        raise InputError(f"cannot write {path}: {path if there else folder} is read-only", "give another file")


def texts(given: tuple[str, ...], leave: Callable[[str], None] | None = None) -> Iterator[list[str]]:
    """Yield the texts as given, with - replaced by the lines of standard input.

    Those come together that are there together: of standard input the lines that came while others were worked on, so
    that nobody who writes one line and waits for its answer waits for ever.

    Args:
        given: The texts.
        leave: Is told why a text is left out that is empty, or a line of standard input that is not UTF-8; empty lines
            are passed over. Without it every text and line is needed, and each of these is an error.

    Raises:
        InputError: All of it is empty; or, without ``leave``, what is to be left out.
    """
    from textvae.errors import InputError

    none = True

    def left(why: str) -> None:
        nonlocal none
        none = False
        if leave:
            leave(why)

    for dash, items in groupby(enumerate(given, start=1), key=lambda item: item[1] == "-"):
        for some in _lines(left if leave else None) if dash else [_arguments(items, leave)]:
            if some:
                none = False
                yield some
    if none:
        raise InputError("there is no text: all that was given is empty", "give a text, or one per line with -")


def _arguments(items: Iterable[tuple[int, str]], leave: Callable[[str], None] | None) -> list[str]:
    from textvae.errors import InputError

    able = []
    for number, text in items:
        if text.strip():
            able.append(text.strip())
            continue
        why = f"text {number} of those given is empty"
        if leave is None:
            raise InputError(why, "leave it out")
        leave(why)
    return able


def _lines(leave: Callable[[str], None] | None) -> Iterator[list[str]]:
    from textvae.errors import InputError

    stdin: Any = sys.stdin.buffer  # a BufferedReader, whose read1 waits for no more than there is
    row, begun, some = 0, b"", b"-"
    while some:
        some = stdin.read1(READ)
        *whole, begun = (begun + some).split(b"\n") if some else (begun, b"")
        lines: list[str] = []
        for line in whole:
            row += 1
            try:
                text = line.decode("utf-8-sig" if row == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                why = f"standard input, line {row}: not UTF-8: byte {error.object[error.start]:#x}"
                if leave is None:
                    yield lines
                    raise InputError(why, CONVERT) from error
                leave(why)
                continue
            if text:
                lines.append(text)
            elif leave is None and (some or line):  # behind the last line's end there is none
                raise InputError(f"standard input, line {row}: no text, the line is empty", "take the line out")
        yield lines
