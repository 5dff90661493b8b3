"""Tables of any kind to a pandas DataFrame and back: CSV, JSON Lines, Parquet."""

import csv
import io
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from textvae.data import Rejected
from textvae.errors import InputError
from textvae.readers import jsonl, table
from textvae.readers.decode import UndecodableError, decode
from textvae.readers.files import JSON, TABLES
from textvae.writing import files

if TYPE_CHECKING:
    import pandas as pd

PARQUET = frozenset((".parquet", ".pq"))
_RUN = re.compile(r"^[=+\-@\t\r]")  # what makes a spreadsheet compute a cell (OWASP, CSV injection)
_NUMBER = re.compile(r"^[+-]?[\d.,]+(?:[eE][+-]?\d+)?%?$")


def read(path: Path, columns: tuple[str, ...] = ()) -> tuple["pd.DataFrame", list[Rejected]]:
    """Read a table; of CSV every cell is text, "NA" and "null" too. An index of Parquet's becomes a column.

    Args:
        path: The file; its ending says what it is.
        columns: Names of a CSV file's columns where it has no header line.

    Returns:
        The rows, and those that could not be read.

    Raises:
        InputError: No such file or kind of file, one that does not hold what its ending says, two columns of one name,
            or names for what is no CSV.
    """
    import pandas as pd

    suffix = path.suffix.lower()
    if not path.is_file():
        raise InputError(f"no such file: {path}", "give the path of a table")
    if suffix not in TABLES | JSON | PARQUET:
        raise InputError(f"{path} is no table that can be read", "give .csv, .tsv, .jsonl or .parquet")
    if columns and suffix not in TABLES:
        raise InputError(f"{path} has names of columns", "only those of a CSV file can be given")
    if suffix in PARQUET:
        return _parquet(path), []
    try:
        text = decode(path.read_bytes())
    except UndecodableError as error:
        raise InputError(f"{path}: {error}", "save it as UTF-8") from error
    left: list[Rejected] = []
    rows: list[dict[str, object]] = []
    if suffix in JSON:
        for place, item in jsonl.items(text):
            if isinstance(item, dict):
                rows.append(item)
            else:
                why = str(item) if isinstance(item, Exception) else "no object"
                left.append(Rejected(f"{path.name}: {place}", why))
        return pd.DataFrame(rows, dtype=object), left
    header = _distinct(path, columns)
    for number, row in table.cells(text):
        where = f"{path.name}: row {number}"
        if isinstance(row, str):
            left.append(Rejected(where, row))
        elif not header:
            header = _distinct(path, row)
        elif len(row) != len(header):
            left.append(Rejected(where, f"{len(row)} cells where {len(header)} columns are"))
        else:
            rows.append(dict(zip(header, row, strict=True)))
    return pd.DataFrame(rows, columns=header, dtype=object), left


def ending(path: Path) -> str:
    """The ending of a file, lower case, that a table can be written to.

    Raises:
        InputError: No such kind of file.

    Example:
        >>> ending(Path("more.CSV"))
        '.csv'
    """
    suffix = path.suffix.lower()
    if suffix not in PARQUET | JSON | TABLES:
        raise InputError(f"{path.name} is no kind of table that can be written",
                         "call it .csv, .tsv, .jsonl, .json or .parquet")
    return suffix


def write(frame: "pd.DataFrame", path: Path, *, raw: bool = False, header: bool = True) -> int:
    """Write a table as its file's ending says; a file that was there stays until all is written.

    Args:
        raw: In CSV, leave cells as they are that a spreadsheet would compute (``=HYPERLINK(...)``); else an apostrophe
            is put before them.
        header: In CSV, whether the columns' names are written.

    Returns:
        How many cells were given an apostrophe.

    Raises:
        InputError: As ``packed``, or it cannot be written.
    """
    contents, changed = packed(frame, path, raw=raw, header=header)
    files.replace(path, contents)
    return changed


def packed(frame: "pd.DataFrame", path: Path, *, raw: bool = False, header: bool = True) -> tuple[bytes, int]:
    """The bytes that ``write`` writes, and how many cells were given an apostrophe.

    Bytes of CSV that are no UTF-8, see ``textvae.readers.decode``, are what they were. Half of a surrogate pair, which
    JSON may hold, stays an escape in JSON.

    Raises:
        InputError: No such kind of file, or one that cannot hold what is in the table.
    """
    suffix = ending(path)
    if suffix in PARQUET:
        return _columnar(frame, path), 0
    if suffix in JSON:
        lines = (json.dumps({name: value for name, value in row.items() if value is None or not _missing(value)},
                            ensure_ascii=False, default=_plain) for row in frame.to_dict("records"))
        text = ("[\n" + ",\n".join(lines) + "\n]\n") if suffix == ".json" else "".join(f"{line}\n" for line in lines)
        return text.encode("utf-8", "backslashreplace"), 0
    changed = 0
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter="," if suffix == ".csv" else "\t", lineterminator="\n")
    for row in ([list(frame.columns)] if header else []) + frame.to_numpy(object).tolist():
        cells = list(map(cell, row))
        safe = cells if raw else list(_safe(cells))
        changed += sum(one != two for one, two in zip(cells, safe, strict=True))
        writer.writerow(safe)
    try:
        return out.getvalue().encode("utf-8", "surrogateescape"), changed
    except UnicodeEncodeError as error:
        raise _halved(path, error) from error


def cell(value: Any) -> str:
    """What a cell of a table says; nothing where there is no value."""
    return "" if _missing(value) else str(_plain(value))


def _parquet(path: Path) -> "pd.DataFrame":
    import pandas as pd
    from pyarrow import ArrowException, parquet

    try:
        # As floats, whole numbers with gaps between them would lose digits.
        with parquet.ParquetFile(path) as file:
            frame = file.read().to_pandas(integer_object_nulls=True)
        _distinct(path, frame.columns)
        if frame.index.names != [None] or not isinstance(frame.index, pd.RangeIndex):
            frame = frame.reset_index()
    except (OSError, ValueError, ArrowException) as error:
        raise InputError(f"{path} is no Parquet file that can be read: {error}",
                         "give the file as it was written") from error
    return frame


def _columnar(frame: "pd.DataFrame", path: Path) -> bytes:
    from pyarrow import ArrowException

    try:
        return frame.to_parquet(None, index=False)
    except UnicodeEncodeError as error:
        raise _halved(path, error) from error
    except (ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path.name} cannot hold this table: {'; '.join(map(str, error.args))}",
                         "a column of Parquet holds one kind of value: write .jsonl or .csv") from error


def _halved(path: Path, error: UnicodeEncodeError) -> InputError:
    return InputError(f"{path.name} cannot hold {error.object[error.start]!r}, which is no whole character",
                      "mend it in the table, or write .jsonl, which has escapes")


def _distinct(path: Path, names: Iterable[Any]) -> list[Any]:
    """The names of columns, as a list."""
    header = list(names)
    if len(set(header)) < len(header):
        raise InputError(f"{path}: two columns have one name: {', '.join(map(str, header))}", "rename one of them")
    return header


def _missing(value: Any) -> bool:
    import pandas as pd

    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _plain(value: Any) -> Any:
    """A list of what Parquet gives as an array, numbers of numpy's as Python's, and else what it reads as."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def _safe(cells: Iterable[str]) -> Iterable[str]:
    return (f"'{own}" if _RUN.match(own) and not _NUMBER.match(own) else own for own in cells)
