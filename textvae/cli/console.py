"""Printing: results to standard output, news to standard error, and nothing that could steer the terminal."""

import json
import unicodedata
from collections.abc import Sequence
from typing import Any

import click

# Format characters that reorder what a reader sees, and separators that some programs take for line ends.
STEERING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")


def clean(text: str, *, keep: str = "") -> str:
    r"""Write control characters as visible escapes, so that a text cannot move the cursor or hide itself.

    Args:
        text: Any text, such as a post's or a model's.
        keep: Control characters to leave as they are.

    Example:
        >>> clean("red \x1b[31malert\n")
        'red \\x1b[31malert\\n'
    """
    return "".join(char if char in keep or not _steers(char) else _escape(char) for char in text)


def as_json(value: Any) -> str:
    r"""One line of JSON; characters that could steer a terminal are written as ``\uXXXX``.

    Example:
        >>> as_json({"text": "naïve \x9b"})
        '{"text": "naïve \\u009b"}'
    """
    line = json.dumps(value, ensure_ascii=False, default=str)
    return "".join(f"\\u{ord(char):04x}" if _steers(char) else char for char in line)


def say(text: str = "") -> None:
    """Print one result line to standard output."""
    click.echo(clean(text))


def say_json(value: Any) -> None:
    """Print one JSON line to standard output."""
    click.echo(as_json(value))


def tell(text: str) -> None:
    """Print one line of news to standard error."""
    click.echo(clean(text), err=True)


def say_table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, err: bool = False) -> None:
    """Print rows under their headers in aligned columns; columns of numbers stand to the right.

    Args:
        headers: One per column.
        rows: A cell per column each.
        err: Print to standard error, as news.
    """
    cells = [[clean(cell) for cell in row] for row in [headers, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [bool(rows) and all(not row[i] or _number(row[i]) for row in rows) for i in range(len(headers))]
    for row in cells:
        line = "  ".join(cell.rjust(width) if to_right else cell.ljust(width)
                         for cell, width, to_right in zip(row, widths, right, strict=True))
        click.echo(line.rstrip(), err=err)


def number(value: Any) -> str:
    """A metric in few characters.

    Example:
        >>> number(1234567), number(0.123456), number(None), number("x")
        ('1,234,567', '0.1235', '-', 'x')
    """
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """Seconds as people say them.

    Example:
        >>> duration(4.25), duration(75), duration(7260)
        ('4.2 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _steers(char: str) -> bool:
    return char in STEERING or unicodedata.category(char) in ("Cc", "Cs")


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def _number(text: str) -> bool:
    return text == "-" or text.replace(",", "").replace(".", "").replace("-", "").replace("e", "").isdigit()
