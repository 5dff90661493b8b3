"""The one normal form that every text is brought to before anything else sees it."""

import re
import unicodedata

# Line ends of every system and Unicode's own become "\n".
_BREAKS = re.compile("\r\n|[\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]")
# Control characters carry no text; zero-width spaces, soft hyphens and byte order marks split words unseen.
# The zero-width joiners stay: emoji and several scripts are spelled with them.
_UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u200b\u2060\ufeff\ufff9-\ufffb]")
# Single spaces and bare line ends are as they should be: to match those too took a tenth of all reading.
_SPACE = "[\t \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]"
_SPACES = re.compile(f" {_SPACE}+|{_SPACE.replace(' ', '', 1)}{_SPACE}*")
_EDGES = re.compile(" \n ?|\n ")
_GAPS = re.compile("\n{3,}")


def normalise(text: str) -> str:
    """Bring a text to normal form.

    Unicode NFC; line ends as ``"\\n"``; control and zero-width characters dropped; every run of spaces and tabs one
    space; no space at the edges of lines; at most one blank line in a row; nothing around the text. Quotes and dashes
    stay as they are. Doing it twice changes nothing.

    Args:
        text: Any text.

    Returns:
        The text in normal form; empty where nothing visible was in it.

    Example:
        >>> normalise("\\ufeffcafe\\u0301 \\t au  lait\\r\\n\\r\\n\\r\\n\\r\\n“yes”\\x00 ")
        'café au lait\\n\\n“yes”'
    """
    text = _UNSEEN.sub("", _BREAKS.sub("\n", text))
    text = unicodedata.normalize("NFC", text)
    return _GAPS.sub("\n\n", _EDGES.sub("\n", _SPACES.sub(" ", text))).strip()


def broken(text: str) -> str:
    """Say why a text cannot be trusted, or nothing.

    Args:
        text: A text that ``decode`` gave.

    Example:
        >>> broken("fine"), broken("na\\udcefve")
        ('', 'byte 0xef is not valid in its encoding (save the file as UTF-8, or give corpus.encoding)')
    """
    bad = re.search("[\ud800-\udfff]", text)
    if bad is None:
        return ""
    code = ord(bad[0])
    what = f"byte 0x{code - 0xdc00:02x}" if 0xdc80 <= code <= 0xdcff else f"half a character (U+{code:04X})"
    return f"{what} is not valid in its encoding (save the file as UTF-8, or give corpus.encoding)"
