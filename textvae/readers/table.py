"""CSV and TSV: one post per row."""

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from textvae.data import Post, Rejected
from textvae.errors import InputError
from textvae.readers.decode import UndecodableError, decode
from textvae.readers.records import USUAL, Columns, Ids, discover, to_post

_DELIMITERS = (",", "\t", ";", "|")
_SNIFFED = 50  # records looked at to find the delimiter
_NONE = "\x1f"  # a delimiter that no text has, for tables of one column
_SAID = re.compile(r"sep=([^\w\s\x22]|\t)[ \t]*(?:\r\n?|\n)", re.IGNORECASE)  # Excel's first line, which is no row


def read(path: Path, name: str, *, encoding: str = "", wanted: Columns = USUAL,
         columns: tuple[str, ...] = ()) -> Iterator[Post | Rejected]:
    """Read a table; every row gives a Post or a Rejected.

    The delimiter (comma, tab, semicolon or bar) is found from the first rows, or said by a line ``sep=;`` above them.
    Cells may hold line feeds in quotes; where a quote is opened and not closed, that row's first line is rejected, and
    the next line begins a row. Of a tab-separated file that is not quoted, quotes are signs like others.
    Every cell is text: "NA" and "null" stay what they are. Rows are not the same as lines, so both count from 1 with
    the header as row 1, as spreadsheets do.

    Args:
        path: The file.
        name: What to call it in ids and rejections.
        encoding: Found from the bytes when empty.
        wanted: The columns that the settings name.
        columns: The columns' names, where the file has no header line.

    Raises:
        InputError: No such column, or two of one name; see ``discover``.
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
    for column in (found.text, found.title, found.author, found.date, found.id, *found.labels):
        if column and header.count(column) > 1:
            raise InputError(f"{name} has two columns called {column!r}", "rename one of them")
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
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    said = _SAID.match(text)
    lines = io.StringIO(text[said.end():] if said else text, newline="").readlines()
    delimiter = said[1] if said else _delimiter(lines)
    if delimiter == "\t" and _fault(lines, delimiter) and not lines[0].startswith('"'):
        plain = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
        yield from ((number, row) for number, row in enumerate(plain, 1) if row)
        return
    number = start = width = 0
    while start < len(lines):
        reader = _rows(lines, start, delimiter)
        before = 0
        for row in reader:
            number += 1
            first, before = before, reader.line_num
            width = width or len(row)
            if before - first > 1 and _swallows(lines, start + first, start + before, delimiter, row, width):
                # Without this, a single stray quote would make one text of all rows up to the next quote.
                yield number, "a quote is opened in this row and never closed"
                start += first + 1
                break
            if row:
                yield number, row
        else:
            return


def _rows(lines: list[str], start: int, delimiter: str) -> Any:
    return csv.reader(map(lines.__getitem__, range(start, len(lines))), delimiter=delimiter)


def _swallows(lines: list[str], first: int, end: int, delimiter: str, row: list[str], width: int) -> bool:
    """Whether a row of several lines, badly quoted or of the wrong width, has another row in it."""
    fault = _fault(lines[first:end], delimiter)
    if not fault and len(row) == width:
        return False
    return "end of data" in fault or len(next(_rows(lines, first + 1, delimiter))) == width


def _fault(lines: list[str], delimiter: str) -> str:
    """What a strict reader says against the lines; nothing where they are well quoted."""
    try:
        for _ in csv.reader(lines, delimiter=delimiter, strict=True):
            pass
    except csv.Error as error:
        return str(error)
    return ""


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
