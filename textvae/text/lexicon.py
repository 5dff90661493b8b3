"""The words that a corpus is written in, to tell invented ones apart."""

import re
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from itertools import pairwise

from textvae.data import Tokens
from textvae.text import tokenizer

# A number is never misspelt, so words of letters alone are looked up.
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


SHORT = 3  # letters of words such as "the", which stand twice in any sentence
COMMON = 1e-3  # share of a corpus from which a word may come twice in a sentence: some 130 words of English have it
COLLISION = re.compile(r"[,;:/](?:\s*[,;:/.])+|\.(?:\s*[,;:/])+")
BRACKETS = (("“", "”"), ("«", "»"), ("(", ")"), ("[", "]"))
NEGATIONS = frozenset(("no", "not", "never", "none", "nothing", "nobody", "nowhere", "neither", "nor", "cannot",
                       "without"))


class Lexicon:
    """Every word of some texts, case folded.

    A tokenizer of word pieces can put pieces together that make no word; this finds those. The texts are read when the
    words are first asked for, so that what writes no variations does not wait for them.

    Example:
        >>> Lexicon(["The cat sat."]).invented("The cat satter, the catsat.")
        ['satter', 'catsat']
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = texts

    @classmethod
    def of(cls, tokens: Tokens) -> "Lexicon":
        """The words of a training split, or those that were counted before its sequences were left out."""
        if tokens.words is None:
            words = tokenizer.load(tokens.tokenizer)
            return cls(words.decode(tokens.sequence(row)) for row in tokens.rows("train"))
        lexicon = cls(())
        lexicon.counts = Counter(tokens.words)
        return lexicon

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each word is met, case folded."""
        return Counter(word for text in self._texts for word in WORD.findall(text.casefold()))

    def invented(self, text: str) -> list[str]:
        """The words of a text that the corpus does not have, in order."""
        return [word for word in WORD.findall(text.casefold()) if word not in self.counts]

    def echoed(self, text: str, source: str) -> int:
        """How often a text says a word again that its source does not, such words aside as stand everywhere.

        Example:
            >>> Lexicon(["and of the town " * 999, "people"]).echoed("the people of the town and people", "the people")
            1
        """
        said, own = (Counter(WORD.findall(words.casefold())) for words in (text, source))
        return sum(count - max(own[word], 1) for word, count in said.items()
                   if count > max(own[word], 1) and self.counts[word] < COMMON * self._total)

    @cached_property
    def _total(self) -> int:
        return self.counts.total()


def whole(phrase: str) -> re.Pattern[str]:
    """What finds a word or phrase that stands by itself, in any case, however its words are spaced.

    A sign at its edge, as in "@" or "C++", stands by itself beside a word, too.

    Example:
        >>> [bool(whole("open source").search(text)) for text in ("Open  source.", "open sources")]
        [True, False]
        >>> bool(whole("@").search("@united")), bool(whole("#no").search("so #nothing"))
        (True, False)
    """
    words = r"\s+".join(re.escape(word) for word in phrase.split())
    before, after = r"(?<!\w)" if re.match(r"\s*\w", phrase) else "", r"(?!\w)" if re.search(r"\w\s*$", phrase) else ""
    return re.compile(before + words + after, re.IGNORECASE)


def folded(text: str) -> str:
    """What two texts share that differ in case, spacing and punctuation alone.

    Example:
        >>> folded("Don't stop!") == folded("DONT STOP")
        True
    """
    return "".join(character for character in text.casefold() if character.isalnum())


def unbalanced(text: str) -> int:
    """How many quotes and brackets of a text are opened and not closed, or the other way round.

    Example:
        >>> unbalanced('He said "no".'), unbalanced("a new app.”"), unbalanced("(see below")
        (0, 1, 1)
    """
    return sum((abs(text.count(one) - text.count(other)) for one, other in BRACKETS), text.count('"') % 2)


def collisions(text: str) -> int:
    """How many marks that part clauses stand right behind another.

    Example:
        >>> collisions("No.:: a website///or app"), collisions("Well, and so on...")
        (2, 0)
    """
    return len(COLLISION.findall(text))


def negations(text: str) -> int:
    """How many English words of a text say no.

    Example:
        >>> negations("It isn't hard, and nobody said so."), negations("It is hard.")
        (2, 0)
    """
    return sum(word in NEGATIONS or word.endswith(("n't", "n’t")) for word in WORD.findall(text.casefold()))


def repeated(text: str) -> int:
    """How many pairs of neighbouring words come again in a text, and how many words directly follow themselves, or
    stand on both sides of another and have four letters or more.

    Example:
        >>> repeated("a good point to make a good point"), repeated("it is often often so"), repeated("warm and warm")
        (2, 1, 1)
    """
    words = WORD.findall(text.casefold())
    pairs = list(pairwise(words))
    around = {(one, middle) for one, middle, other in zip(words, words[1:], words[2:], strict=False)
              if one == other != middle and len(one) > SHORT}
    return len(pairs) - len(set(pairs)) + sum(one == two for one, two in set(pairs)) + len(around)
