"""Byte-level BPE: every text comes back exactly, whatever it holds."""

from collections.abc import Iterable, Sequence
from typing import Any

from textvae.data import SPECIAL, UNKNOWN


def _byte_signs() -> dict[str, int]:
    """GPT-2's printable sign for each byte: itself where it is visible, else one from U+0100 on."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(256 + n): byte for n, byte in enumerate(hidden)}


_BYTES = _byte_signs()


class BPETokenizer:
    """Byte-pair encoding over the bytes of UTF-8 (Hugging Face ``tokenizers``); a piece begins with its space.

    No text encodes to the unknown token, and text such as ``</s>`` encodes to ordinary tokens.

    Args:
        pieces: Each token in GPT-2's byte signs, by id from 4 on.
        merges: Pairs of pieces, the ones merged first in front.

    Reference: Sennrich et al. 2016; Radford et al. 2019, section 2.2.
    """

    level = "bpe"

    def __init__(self, pieces: Sequence[str], merges: Sequence[Sequence[str]]) -> None:
        from tokenizers import Tokenizer, models, pre_tokenizers

        self._signs = tuple(pieces)
        self._merges = [(left, right) for left, right in merges]
        vocabulary = {piece: n + len(SPECIAL) for n, piece in enumerate(self._signs)}
        self._engine = Tokenizer(models.BPE(vocab=vocabulary, merges=self._merges))
        self._engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self._bytes = [b"", b"", b"", SPECIAL[UNKNOWN].encode(),
                       *(bytes(_BYTES[sign] for sign in piece) for piece in self._signs)]
        # A byte that is no whole character is shown as \xe2.
        self.pieces: tuple[str, ...] = (
            *SPECIAL, *(piece.decode("utf-8", "backslashreplace") for piece in self._bytes[len(SPECIAL):]))

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary: int) -> "BPETokenizer":
        """Learn the merges; all 256 bytes are in the vocabulary, so that it covers characters never met."""
        import json

        from tokenizers import Tokenizer, models, pre_tokenizers, trainers

        engine = Tokenizer(models.BPE())
        engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(vocab_size=vocabulary - len(SPECIAL), min_frequency=2, show_progress=False,
                                      special_tokens=[], initial_alphabet=sorted(_BYTES))
        engine.train_from_iterator((_valid(text) for text in texts), trainer)
        model = json.loads(engine.to_str())["model"]
        return cls(sorted(model["vocab"], key=model["vocab"].get), model["merges"])

    @property
    def size(self) -> int:
        """How many ids there are, the special ones included."""
        return len(self.pieces)

    def encode(self, text: str) -> list[int]:
        """The token ids of a text, without begin and end; a lone surrogate is read as U+FFFD."""
        ids: list[int] = self._engine.encode(_valid(text)).ids
        return ids

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text, on all cores."""
        return [encoding.ids for encoding in self._engine.encode_batch_fast([_valid(text) for text in texts])]

    def spelt(self, text: str) -> list[str]:
        """What stands in the text for each of its token ids; no word is unknown."""
        return [self.pieces[number] for number in self.encode(text)]

    def decode(self, ids: Iterable[int], names: Iterable[str] = (), like: str = "") -> str:
        """The text of token ids; padding, begin and end are left out. No word is unknown, and pieces have their spaces:
        ``names`` and ``like`` are for tokenizers of words."""
        return b"".join([self._bytes[number] for number in ids]).decode("utf-8", "replace")

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``textvae.text.tokenizer.load`` takes."""
        return {"level": self.level, "size": self.size, "pieces": list(self._signs),
                "merges": [list(pair) for pair in self._merges]}


def _valid(text: str) -> str:
    """Half of a surrogate pair, which JSON may hold, is no character and has no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
