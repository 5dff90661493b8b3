"""Put words and punctuation together again, with spaces where English has them."""

from collections.abc import Iterable, Mapping

_NO_SPACE_BEFORE = frozenset(",.!?;:)]}%…’”»")
_NO_SPACE_AFTER = frozenset("([{$£€#@“‘«¿¡")
_NO_SPACE_AROUND = frozenset("/—_\\")
_QUOTES = frozenset("\"'")


def detokenise(words: Iterable[str], apart: Mapping[tuple[str, str], bool] | None = None,
               opened: Iterable[str] = ()) -> str:
    """Join words into a text.

    Args:
        words: Words and punctuation, each sign a word of its own.
        apart: Of words that follow each other, whether a space stands between them, where that is known.
        opened: Straight quotes that are open where the text begins.

    Returns:
        The text; straight quotes are taken to open and close by turns.

    Example:
        >>> detokenise(["He", "said", ":", '"', "don't", "pay", "$", "5", "(", "yet", ")", "!", '"'])
        'He said: "don\\'t pay $5 (yet)!"'
        >>> detokenise(["R", "&", "D", "&", "you"], {("R", "&"): False, ("&", "D"): False})
        'R&D & you'
        >>> detokenise(["So", "long", ",", '"', "he", "said", "."], opened='"')
        'So long," he said.'
    """
    known = apart or {}
    within = set(opened)
    parts: list[str] = []
    glued = True  # whether the next word follows without a space
    before = ""
    for word in words:
        closing = word in within
        rule = not (glued or closing or word in _NO_SPACE_BEFORE or word in _NO_SPACE_AROUND)
        if known.get((before, word), rule):
            parts.append(" ")
        before = word
        parts.append(word)
        glued = word in _NO_SPACE_AFTER or word in _NO_SPACE_AROUND or (word in _QUOTES and not closing)
        if word in _QUOTES:
            within ^= {word}
    return "".join(parts)
