"""Tokens that are words: by a regex, or whatever stands between white space."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from textvae.data import SPECIAL, UNKNOWN
from textvae.text.detokenise import detokenise

# Numbers with inner points or commas; words with inner apostrophes, hyphens or points ("github.com", "U.S"); else one
# sign at a time.
_TOKEN = re.compile(r"\d+(?:[.,:]\d+)+|\w+(?:['’‑.-]\w+)*|[^\w\s]")

# A straight quote's sides depend on whether it opens or closes, a slash's on what it divides.
_SIGN = re.compile(r"""[^\w\s"'/]""")
_CLOSING = re.compile(r"""(?<=[^\s(\[{])["'](?!\w)""")


class WordTokenizer:
    """The most frequent words of the training split; any other is unknown.

    Args:
        level: ``"word"`` (a regex that keeps "don't", "well-known" and "1,234.5" whole) or ``"whitespace"`` (every
            item between white space is one token, and ``<unk>`` in the text is the unknown token).
        words: The vocabulary, by id from 4 on.
        lowercase: Whether case is folded first.
    """

    def __init__(self, level: str, words: Sequence[str], lowercase: bool) -> None:
        if level not in ("word", "whitespace"):
            raise ValueError(f"level must be 'word' or 'whitespace', not {level!r}")
        self.level = level
        self.lowercase = lowercase
        self.pieces: tuple[str, ...] = (*SPECIAL, *words)
        self._ids = {word: n + len(SPECIAL) for n, word in enumerate(words)}

    @classmethod
    def train(cls, texts: Iterable[str], level: str, vocabulary: int, lowercase: bool) -> "WordTokenizer":
        """Count the words; of two as frequent, the one that is smaller as text comes first."""
        counter = cls(level, (), lowercase)
        counts = Counter(word for text in texts for word in counter.spelt(text))
        if level == "whitespace":
            del counts[SPECIAL[UNKNOWN]]
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return cls(level, ranked[:vocabulary - len(SPECIAL)], lowercase)

    @property
    def size(self) -> int:
        """How many ids there are, the special ones included."""
        return len(self.pieces)

    def spelt(self, text: str) -> list[str]:
        """The words of a text, known or not."""
        if self.lowercase:
            text = text.lower()
        return text.split() if self.level == "whitespace" else _TOKEN.findall(text)

    def encode(self, text: str) -> list[int]:
        """The token ids of a text, without begin and end."""
        known = self._ids.get
        return [known(word, UNKNOWN) for word in self.spelt(text)]

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: Iterable[int], names: Iterable[str] = (), like: str = "") -> str:
        """The text of token ids; padding, begin and end are left out, unknown reads as the next of ``names``, or
        ``<unk>``.

        Two words that follow each other in ``like`` as well have a space between them where it has one: its "C++" and
        "R&D", and its addresses, stay what they are. A sign and a word that do not are spaced as the sign and the words
        beside it are in ``like``, and a quotation that only ends there only ends in the text.
        """
        left = iter(names)
        words = [next(left, self.pieces[number]) if number == UNKNOWN else self.pieces[number]
                 for number in ids if number >= UNKNOWN]
        if self.level == "whitespace":
            return " ".join(words)
        known, opened = _apart(like.lower() if self.lowercase else like)
        apart = {pair: known.get(pair, known.get(_side(*pair))) for pair in pairwise(words)}
        return detokenise(words, {pair: way for pair, way in apart.items() if way is not None},
                          opened.difference(words[:1]))

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``textvae.text.tokenizer.load`` takes."""
        return {"level": self.level, "size": self.size, "lowercase": self.lowercase,
                "words": list(self.pieces[len(SPECIAL):])}


@lru_cache(maxsize=64)  # one source is asked of for each of its candidates
def _apart(text: str) -> tuple[dict[tuple[str, str], bool], frozenset[str]]:
    """Of words that follow each other in a text, and of each ``_side`` of a sign, whether a space stands between them,
    without those that it has in both ways; and the straight quotes that it closes before it opens any."""
    ways: dict[tuple[str, str], set[bool]] = {}
    tokens = list(_TOKEN.finditer(text))
    for one, two in pairwise(tokens):
        pair = (one.group(), two.group())
        for key in {pair, _side(*pair)}:
            ways.setdefault(key, set()).add(one.end() < two.start())
    first = {quote: next((token.start() for token in tokens if token.group() == quote), 0) for quote in "\"'"}
    return ({key: own.pop() for key, own in ways.items() if len(own) == 1},
            frozenset(quote for quote, at in first.items() if _CLOSING.match(text, at)))


def _side(one: str, two: str) -> tuple[str, str]:
    """Of a sign beside a word, the sign alone where it stands; other pairs as they are."""
    if _SIGN.fullmatch(one) and re.match(r"\w", two):
        return one, ""
    return ("", two) if re.match(r"\w", one) and _SIGN.fullmatch(two) else (one, two)
