"""Cut long token sequences where a reader would pause."""

from collections.abc import Sequence

_CLAUSE_END = tuple(",;:.!?…)]—–")


class Cutter:
    """Cuts sequences into parts of about equal length: after a clause where it can, else before a word.

    Args:
        pieces: What each token reads as, by id.
        longest: Most tokens in a part.
        spaced: Whether a token that begins a word begins with its space, as in BPE; else every token is a word.

    Example:
        >>> cutter = Cutter(["I", " came", ",", " I", " saw"], 4, spaced=True)
        >>> cutter.cut([0, 1, 2, 3, 4])
        [[0, 1, 2], [3, 4]]
    """

    def __init__(self, pieces: Sequence[str], longest: int, *, spaced: bool) -> None:
        self._longest = longest
        self._ends_clause = [piece.endswith(_CLAUSE_END) for piece in pieces]
        self._begins_word = [not spaced or piece[:1].isspace() for piece in pieces]
        # A piece that goes on with a character, in scripts without spaces: its first byte is shown as \x80 to \xbf.
        self._inside = [piece.startswith(("\\x8", "\\x9", "\\xa", "\\xb")) for piece in pieces]

    def cut(self, ids: Sequence[int]) -> list[list[int]]:
        """Split token ids into parts of at most ``longest``; the parts joined are the ids.

        Args:
            ids: Token ids of one sequence.
        """
        parts: list[list[int]] = []
        start = 0
        while len(ids) - start > self._longest:
            end = self._place(ids, start)
            parts.append(list(ids[start:end]))
            start = end
        return [*parts, list(ids[start:])]

    def _place(self, ids: Sequence[int], start: int) -> int:
        """Where to cut: the best kind of place, and of those the one nearest to parts of equal length."""
        rest = len(ids) - start
        equal = -(-rest // -(-rest // self._longest))
        # A part under half the equal one would be a scrap; it is made only to keep a word whole.
        scrap = start + equal // 2
        return min(range(start + 1, start + self._longest + 1),
                   key=lambda place: (self._badness(ids, place, place <= scrap), abs(place - start - equal)))

    def _badness(self, ids: Sequence[int], place: int, scrap: bool) -> int:
        before, after = ids[place - 1], ids[place]
        if not self._begins_word[after]:
            return 4 if self._inside[after] else 3
        if scrap:
            return 2
        return 0 if self._ends_clause[before] else 1
