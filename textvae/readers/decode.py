"""Bytes to text: UTF-8, then a byte order mark, then detection."""

import codecs
import re
from contextlib import suppress

from textvae.errors import ConfigError

# UTF-32 first: its little-endian mark begins with UTF-16's.
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
          (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DETECTED = 200_000  # bytes shown to the detector: more costs time and changes no answer
# Of texts of three to twelve words in cp1252 the detector takes one in four for something exotic, with a confidence
# below 0.2. There it is believed only where it says one of these, of which it was right more often than not.
_SURE, _FEW = 0.2, 100
_LIKELY = ("Windows-1250", "Windows-1254", "Windows-1257", "MacRoman")


class UndecodableError(Exception):
    """The bytes are no text in any encoding that could be found."""


def decode(data: bytes, encoding: str = "") -> str:
    """Turn a file's bytes into text.

    Where a text is UTF-8 but for a few stray bytes, these come out as lone surrogates (``surrogateescape``), so that
    one bad row does not cost the file: ``broken`` finds the rows that hold them.

    Args:
        data: The bytes.
        encoding: What they are written in; found from the bytes when empty.

    Returns:
        The text, without a byte order mark.

    Raises:
        UndecodableError: Binary data, or bytes that fit no encoding.
        ConfigError: An encoding that Python does not know.

    Example:
        >>> decode("déjà vu".encode("utf-16"))
        'déjà vu'
    """
    if encoding:
        try:
            return data.decode(encoding).removeprefix("\ufeff")
        except LookupError as error:
            raise ConfigError(f"unknown corpus.encoding {encoding!r}", "such as utf-8, cp1252, latin-1") from error
        except UnicodeDecodeError as error:
            raise UndecodableError(f"byte 0x{data[error.start]:02x} at {error.start} is not {encoding}") from error
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _strict(data[len(mark):], name)
    text = data.decode("utf-8", "surrogateescape")
    bad = len(re.findall("[\udc80-\udcff]", text))
    good = len(re.findall("[^\x00-\x7f]", text)) - bad if bad else 0
    # Text in another encoding hardly ever forms UTF-8 sequences by chance; stray bytes in UTF-8 are rarer than these.
    if good >= bad:
        if text.count("\0", 0, _DETECTED) * 100 > len(text[:_DETECTED]):  # a stray one in a large table is no matter
            raise UndecodableError("binary data, not text")
        return text
    return _detected(data)


def _strict(data: bytes, name: str) -> str:
    try:
        return data.decode(name)
    except UnicodeDecodeError as error:
        raise UndecodableError(f"byte 0x{data[error.start]:02x} at {error.start} is not {name}") from error


def _detected(data: bytes) -> str:
    import chardet

    first = next(place.start() for place in re.finditer(rb"[\x80-\xff]", data))
    shown = data[max(first - _DETECTED // 2, 0):][:_DETECTED]
    found = chardet.detect(shown)
    name, signs = found["encoding"], len(re.findall(rb"[\x80-\xff]", shown))
    names = [] if name is None else [name]
    if 2 * signs < len(shown) and b"\0" not in shown:  # Latin letters and no binary data
        unsure = signs < _FEW and (found["confidence"] or 0) < _SURE and name not in _LIKELY
        names.insert(0 if unsure else 1, "cp1252")
    for one in names:
        with suppress(LookupError, UnicodeDecodeError):
            return data.decode(one)
    raise UndecodableError(f"it looks like {name}, but some bytes do not fit" if name else "no encoding fits its bytes")
