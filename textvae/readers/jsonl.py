"""JSON Lines, or a JSON array, in a file of any name: one post per object."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from textvae.data import Post, Rejected
from textvae.readers.decode import UndecodableError, decode
from textvae.readers.records import LARGEST, USUAL, Columns, Ids, discover, to_post


def read(path: Path, name: str, *, encoding: str = "", wanted: Columns = USUAL) -> Iterator[Post | Rejected]:
    """Read JSON; every object gives a Post or a Rejected.

    Taken are: an object on each line; an array of objects; an object with one array of objects in it. A text in place
    of an object is a post of its own.

    Args:
        path: The file.
        name: What to call it in ids and rejections.
        encoding: Found from the bytes when empty.
        wanted: The keys that the settings name.

    Raises:
        InputError: No such key; see ``discover``.
    """
    try:
        text = decode(path.read_bytes(), encoding)
    except UndecodableError as error:
        yield Rejected(name, str(error))
        return
    found = list(items(text))
    keys = dict.fromkeys(key for _, item in found if isinstance(item, dict) for key in item)
    columns = discover(keys, wanted, name) if keys else Columns(text="text")
    ids = Ids(name)
    for place, item in found:
        where = f"{name}: {place}"
        if isinstance(item, dict):
            yield to_post(item, columns, name, where, ids)
        elif isinstance(item, str):
            yield to_post({columns.text: item}, columns, name, where, ids)
        else:
            yield Rejected(where, str(item) if isinstance(item, Exception) else "neither an object nor a text")


def items(text: str) -> Iterator[tuple[str, Any]]:
    """Each value with its place; an exception in place of one that does not parse."""
    first, _, rest = text.strip().partition("\n")
    if first.startswith("[") or isinstance(_parsed(first), Exception):
        whole = _parsed(text)
        if isinstance(whole, dict):
            arrays = [value for value in whole.values() if isinstance(value, list) and value
                      and all(isinstance(item, dict) for item in value)]
            whole = arrays[0] if len(arrays) == 1 else [whole]
        if isinstance(whole, list):
            yield from ((f"item {number}", item) for number, item in enumerate(whole, 1))
            return
        if not rest:
            yield "line 1", whole
            return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"line {number}", _parsed(line) if len(line) <= LARGEST else ValueError(
                f"longer than {LARGEST:,} characters")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        return ValueError("not valid JSON: nested too deeply")
    except ValueError as error:
        return ValueError(f"not valid JSON: {error}")
