"""Turn text into token ids and back; ids 0 to 3 are padding, begin, end and unknown at every level."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from textvae.text.bpe import BPETokenizer
from textvae.text.words import WordTokenizer

LEVELS = ("bpe", "word", "whitespace")


class Tokenizer(Protocol):
    """What every tokenizer can do."""

    @property
    def pieces(self) -> tuple[str, ...]:
        """What each token reads as, by id."""

    @property
    def size(self) -> int:
        """How many ids there are, the special ones included."""

    def encode(self, text: str) -> list[int]:
        """The token ids of a text, without begin and end."""

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text; faster than one by one."""

    def spelt(self, text: str) -> list[str]:
        """What stands in the text for each of its token ids, unknown words as they are written."""

    def decode(self, ids: Iterable[int], names: Iterable[str] = (), like: str = "") -> str:
        """The text of token ids; padding, begin and end are left out, unknown reads as the next of ``names``, or
        ``<unk>``. Where ``like`` has the same two words one after the other, it says whether they are spaced."""

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``load`` turns into an equal tokenizer."""


def train(texts: Iterable[str], *, level: str, vocabulary: int, lowercase: bool = False) -> Tokenizer:
    """Learn a tokenizer from texts; the same texts in the same order give the same tokenizer.

    Args:
        texts: The training split only, so that nothing leaks from the others.
        level: ``"bpe"`` (lossless), ``"word"`` (words and punctuation), or ``"whitespace"`` (for corpora that are
            split into tokens already, such as PTB).
        vocabulary: Most ids, the four special ones included; a small corpus gives fewer.
        lowercase: Fold case first; not for ``"bpe"``, which is lossless.

    Example:
        >>> words = train(["a cat sat", "a dog sat"], level="word", vocabulary=300)
        >>> words.pieces[4:], words.decode(words.encode("A cat sat, a cow sat"))
        (('a', 'sat', 'cat', 'dog'), '<unk> cat sat <unk> a <unk> sat')
    """
    if level == "bpe":
        if lowercase:
            raise ValueError("level 'bpe' keeps the case: lowercase must be False")
        return BPETokenizer.train(texts, vocabulary)
    return WordTokenizer.train(texts, level, vocabulary, lowercase)


def load(content: dict[str, Any]) -> Tokenizer:
    """Rebuild a tokenizer from what its ``to_json`` gave.

    Example:
        >>> words = train(["a cat sat"], level="whitespace", vocabulary=300)
        >>> load(words.to_json()).encode("cat sat") == words.encode("cat sat")
        True
    """
    if content["level"] == "bpe":
        return BPETokenizer(content["pieces"], content["merges"])
    return WordTokenizer(content["level"], content["words"], content["lowercase"])
