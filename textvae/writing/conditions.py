"""What every text must meet: words that it has and has not, its length, and where it lies in the latent space."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from textvae.data import SPECIAL
from textvae.decoding import FREE, UNKNOWN, Steering
from textvae.errors import TextvaeError
from textvae.text.detokenise import detokenise
from textvae.text.lexicon import whole


def several(name: str, given: Sequence[str]) -> None:
    """See that texts are no single one, whose letters would be taken for them.

    Raises:
        TextvaeError: They are.
    """
    if isinstance(given, str):
        raise TextvaeError(f"{name} takes several texts, and {given[:40]!r} is one", "put it into a tuple or a list")


@dataclass(frozen=True)
class Conditions:
    """What every text must meet; words and phrases count whole, in any case.

    Args:
        must: Words or phrases that it has.
        avoid: Words or phrases that it has not, and regular expressions between slashes that it does not match.
        max_words: Most words, as white space divides them; 0 for any number.
        constraints: Names of trained constraints, in whose regions it lies when it is encoded again.
        near: Texts that its posterior mean lies within ``distance`` of.
        far: Texts that it lies at least ``distance`` from.
        distance: L2, as in ``Variation.distance``; where 0, half of the median distance of two samples of the prior
            for ``near``, and all of it for ``far``.
        judged: Labels of the corpus, ``key=value``, that a classifier of its training posts takes it to have.

    Raises:
        TextvaeError: A word is empty or both wanted and avoided, an expression is none, a number is below 0, or a text
            stands where a tuple of them should.

    Example:
        >>> Conditions(must=("cold",), avoid=("rude", r"/\\d/"), max_words=4).failed("It was not COLD for 3 days.")
        ["avoid '/\\\\\\\\d/'", 'max_words 4']
    """

    must: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()
    max_words: int = 0
    constraints: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    far: tuple[str, ...] = ()
    distance: float = 0.0
    judged: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("must", "avoid", "constraints", "near", "far", "judged"):
            several(name, getattr(self, name))
        if not 0 <= self.distance < math.inf:
            raise TextvaeError(f"there is no distance {self.distance:g}", "give a number above 0")
        if self.max_words < 0:
            raise TextvaeError(f"a text cannot have {self.max_words} words at most", "give a number from 1")
        for word in (*self.must, *self.avoid):
            if not word.replace("/", " ").strip():
                raise TextvaeError(f"{word!r} is no word", "give one to have or to avoid")
        for word in self.avoid:
            try:
                _pattern(word)
            except re.error as error:
                raise TextvaeError(f"{word} is not a regular expression: {error}",
                                   "leave the slashes out to avoid a word") from error
        for word in self.must:
            if any(_pattern(other).search(word) for other in self.avoid):
                raise TextvaeError(f"no text can both have and avoid {word!r}", "leave one of the two out")

    def failed(self, text: str) -> list[str]:
        """The conditions on words that a text does not meet, as a message calls them."""
        return [*(f"must {word!r}" for word in self.must if not whole(word).search(text)),
                *(f"avoid {word!r}" for word in self.avoid if _pattern(word).search(text)),
                *([f"max_words {self.max_words}"] if 0 < self.max_words < len(text.split()) else [])]

    def surplus(self, text: str) -> int:
        """How many words a variation of a text must lose, those counted that it must have besides.

        Example:
            >>> Conditions(must=("warm",), max_words=4).surplus("It was not cold for 3 days.")
            4
        """
        lacking = sum(len(word.split()) for word in self.must if not whole(word).search(text))
        return max(len(text.split()) + lacking - self.max_words, 0) if self.max_words else 0

    def phrases(self, tokenizer: Any) -> list[list[int]]:
        """Token ids of what must be had, behind another word; in another case where the vocabulary has only that."""
        known = {piece.casefold(): number for number, piece in enumerate(tokenizer.pieces)}
        # A sign such as "?" stands right behind a word, and all else behind a space.
        led = [" " * (" " in detokenise(("a", phrase.strip()[0]))) + phrase.strip() for phrase in self.must]
        return [[known.get(word.casefold(), UNKNOWN) if number == UNKNOWN else number for number, word in
                 zip(tokenizer.encode(own), tokenizer.spelt(own), strict=True)] for own in led]

    def steering(self, tokenizer: Any) -> Steering:
        """How a decoder is led to texts that meet them; what it writes is to be tested all the same.

        Args:
            tokenizer: Whose tokens the decoder writes.

        Raises:
            TextvaeError: The vocabulary lacks a word that must be had.
        """
        if not (self.must or self.avoid):
            return FREE
        tokens: dict[str, list[int]] = {}
        for number, piece in enumerate(tokenizer.pieces):
            tokens.setdefault(piece.strip().casefold(), []).append(number)
        avoided = [_pattern(word) for word in self.avoid if not _expression(word)]
        barred = [number for number, piece in enumerate(tokenizer.pieces)
                  if number >= len(SPECIAL) and any(pattern.search(piece) for pattern in avoided)]
        wanted = []
        for word in (own for phrase in self.must for own in phrase.split()):
            # A word that is no token of its own begins with its first piece; the decoder has to find the others.
            own = tokens.get(word.casefold()) or tokenizer.encode(f" {word}")
            if own[0] == UNKNOWN:
                raise TextvaeError(f"this model's vocabulary lacks {word!r}: it cannot write it",
                                   "ask for a word of the corpus")
            wanted.append(own[0])
        return Steering(tuple(barred), tuple(dict.fromkeys(wanted)))


def _expression(avoided: str) -> str:
    return avoided[1:-1] if len(avoided) > 2 and avoided[0] == avoided[-1] == "/" else ""


def _pattern(avoided: str) -> re.Pattern[str]:
    expression = _expression(avoided)
    return re.compile(expression, re.IGNORECASE) if expression else whole(avoided)
