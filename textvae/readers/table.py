"""CSV and TSV: one post per row."""

import csv
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from textvae.data import Post, Rejected
from textvae.errors import InputError
from textvae.readers.decode import UndecodableError, decode
from textvae.readers.records import LARGEST, USUAL, Columns, Ids, discover, to_post

_DELIMITERS = (",", "\t", ";", "|")
_SNIFFED = 50  # records looked at to find the delimiter
_NONE = "\x1f"  # a delimiter that no text has, for tables of one column


def read(path: Path, name: str, *, encoding: str = "", wanted: Columns = USUAL,
         columns: tuple[str, ...] = ()) -> Iterator[Post | Rejected]:
    """Read a table; every row gives a Post or a Rejected.

    The delimiter (comma, tab, semicolon or bar) is found from the first rows. Cells may hold line feeds in quotes.
    Every cell is text: "NA" and "null" stay what they are. Rows are not the same as lines, so both count from 1 with
    the header as row 1, as spreadsheets do.

    Args:
        path: The file.
        name: What to call it in ids and rejections.
        encoding: Found from the bytes when empty.
        wanted: The columns that the settings name.
        columns: The columns' names, where the file has no header line.

    Raises:
        InputError: No such column; see ``discover``.
    """
    try:
        text = decode(path.read_bytes(), encoding)
    except UndecodableError as error:
        yield Rejected(name, str(error))
        return
    rows = cells(text)
    header = [cell.strip() for cell in columns]
    if not header:
        header = next(([cell.strip() for cell in row] for _, row in rows if isinstance(row, list)), [])
    if not header:
        yield Rejected(name, "an empty table")
        return
    found = discover(header, wanted, name)
    ids = Ids(name)
    for number, row in rows:
        where = f"{name}: row {number}"
        if isinstance(row, str):
            yield Rejected(where, row)
        elif len(row) != len(header):
            if number == 1:
                raise InputError(f"{name} has {len(row)} columns but corpus.columns names {len(header)}",
                                 "name every column, in order")
            yield Rejected(where, f"{len(row)} cells where the header has {len(header)}")
        else:
            yield to_post(dict(zip(header, row, strict=True)), found, name, where, ids)


def cells(text: str) -> Iterator[tuple[int, list[str] | str]]:
    """Each row of a table that is not blank with its number, or the reason why it cannot be read."""
    lines = io.StringIO(text, newline="").readlines()
    delimiter = _delimiter(lines)
    csv.field_size_limit(LARGEST * 4)
    number = start = 0
    while start < len(lines):
        reader = csv.reader(islice(lines, start, None), delimiter=delimiter)
        before = 0
        for row in reader:
            number += 1
            first, before = before, reader.line_num
            if start + before == len(lines) and before - first > 1 and _unclosed(lines[start + first:], delimiter):
                # Without this, a single stray quote would make one text of the rest of the file.
                yield number, "a quote is opened in this row and never closed"
                start += first + 1
                break
            if row:
                yield number, row
        else:
            return


def _unclosed(lines: list[str], delimiter: str) -> bool:
    try:
        list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error as error:
        return "end of data" in str(error)
    return False


def _delimiter(lines: list[str]) -> str:
    """The delimiter under which most of the first rows have as many cells as the first one."""
    best, choice = (0.0, 0), _NONE
    for delimiter in _DELIMITERS:
        rows = [row for row in islice(csv.reader(lines, delimiter=delimiter), _SNIFFED) if row]
        width = len(rows[0]) if rows else 0
        if width > 1:
            score = (sum(len(row) == width for row in rows) / len(rows), width)
            if score > best:
                best, choice = score, delimiter
    return choice
