"""A file with one text per line."""

import re
from collections.abc import Iterator
from pathlib import Path

from textvae.data import Post, Rejected
from textvae.readers.decode import UndecodableError, decode
from textvae.readers.normalise import broken, normalise
from textvae.readers.records import LARGEST, Ids


def read(path: Path, name: str, *, encoding: str = "") -> Iterator[Post | Rejected]:
    """Read lines; each that is not blank gives a Post or a Rejected.

    Args:
        path: The file.
        name: What to call it in ids and rejections.
        encoding: Found from the bytes when empty.
    """
    try:
        text = decode(path.read_bytes(), encoding)
    except UndecodableError as error:
        yield Rejected(name, str(error))
        return
    ids = Ids(name)
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if not line.strip():
            continue  # a blank line separates; it is no lost text
        where = f"{name}: line {number}"
        if len(line) > LARGEST:
            yield Rejected(where, f"longer than {LARGEST:,} characters")
        elif reason := broken(line):
            yield Rejected(where, reason)
        elif not (clean := " ".join(normalise(line).split())):
            yield Rejected(where, "no text")
        else:
            yield ids.give(Post("", clean, source=name), "")
