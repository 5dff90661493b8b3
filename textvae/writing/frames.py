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

if TYPE_CHECKING:
    import pandas as pd

PARQUET = frozenset((".parquet", ".pq"))
_RUN = re.compile(r"^[=+\-@\t\r]")  # what makes a spreadsheet compute a cell (OWASP, CSV injection)
_NUMBER = re.compile(r"^[+-]?[\d.,]+(?:[eE][+-]?\d+)?%?$")


def read(path: Path, columns: tuple[str, ...] = ()) -> tuple["pd.DataFrame", list[Rejected]]:
    """Read a table; of CSV every cell is text, "NA" and "null" too.

    Args:
        path: The file; its ending says what it is.
        columns: Names of a CSV file's columns where it has no header line.

    Returns:
        The rows, and those that could not be read.

    Raises:
        InputError: No such file or kind of file, or one that does not hold what its ending says.
    """
    import pandas as pd

    suffix = path.suffix.lower()
    if not path.is_file():
        raise InputError(f"no such file: {path}", "give the path of a table")
    if suffix in PARQUET:
        try:
            return pd.read_parquet(path), []
        except (OSError, ValueError) as error:
            raise InputError(f"{path} is no Parquet file: {error}", "give the file as it was written") from error
    if suffix not in TABLES | JSON:
        raise InputError(f"{path} is no table that can be read", "give .csv, .tsv, .jsonl or .parquet")
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
    header = list(columns)
    for number, row in table.cells(text):
        where = f"{path.name}: row {number}"
        if isinstance(row, str):
            left.append(Rejected(where, row))
        elif not header:
            header = row
            if len(set(header)) < len(header):
                raise InputError(f"{path}: two columns have one name: {', '.join(header)}", "rename one of them")
        elif len(row) != len(header):
            left.append(Rejected(where, f"{len(row)} cells where {len(header)} columns are"))
        else:
            rows.append(dict(zip(header, row, strict=True)))
    return pd.DataFrame(rows, columns=header, dtype=object), left


def write(frame: "pd.DataFrame", path: Path, *, raw: bool = False, header: bool = True) -> int:
    """Write a table as its file's ending says.

    Args:
        raw: In CSV, leave cells as they are that a spreadsheet would compute (``=HYPERLINK(...)``); else an apostrophe
            is put before them.
        header: In CSV, whether the columns' names are written.

    Returns:
        How many cells were given an apostrophe.

    Raises:
        InputError: No such kind of file.
    """
    suffix = path.suffix.lower()
    if suffix in PARQUET:
        frame.to_parquet(path, index=False)
        return 0
    if suffix in JSON:
        lines = (json.dumps({name: value for name, value in row.items() if value is None or not _missing(value)},
                            ensure_ascii=False, default=_plain) for row in frame.to_dict("records"))
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return 0
    if suffix not in TABLES:
        raise InputError(f"{path.name} is no kind of table that can be written",
                         "call it .csv, .tsv, .jsonl or .parquet")
    changed = 0
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter="," if suffix == ".csv" else "\t", lineterminator="\n")
    for row in ([list(frame.columns)] if header else []) + frame.to_numpy(object).tolist():
        cells = list(map(cell, row))
        safe = cells if raw else list(_safe(cells))
        changed += sum(one != two for one, two in zip(cells, safe, strict=True))
        writer.writerow(safe)
    path.write_text(out.getvalue(), encoding="utf-8", newline="")
    return changed


def cell(value: Any) -> str:
    """What a cell of a table says; nothing where there is no value."""
    return "" if _missing(value) else str(_plain(value))


def _missing(value: Any) -> bool:
    import pandas as pd

    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _plain(value: Any) -> Any:
    """A list of what Parquet gives as an array, numbers of numpy's as Python's, and else what it reads as."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def _safe(cells: Iterable[str]) -> Iterable[str]:
    return (f"'{own}" if _RUN.match(own) and not _NUMBER.match(own) else own for own in cells)
