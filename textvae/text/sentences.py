"""Split text into sentences by a regex and lists of abbreviations; nothing but white space is ever lost."""

import re
from collections.abc import Iterator
from itertools import pairwise


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# A full stop after these never ends a sentence: a name, a number or an explanation follows.
_TITLES = _words(
    "mr mrs ms mx dr prof rev fr hon pres gov sen rep reps sens gen lt col maj capt cmdr sgt cpl pvt adm brig supt st "
    "mt ft messrs mme mlle vs v viz cf al e.g i.e eg ie approx ca resp incl esp asst assoc")
# Before a number these go on; otherwise they are words ("No.") or end a sentence like any other.
_NUMBERED = _words("no nos nr fig figs eq sec sect art arts p pp vol vols ch chap para ed "
                   "jan feb mar apr jun jul aug sep sept oct nov dec")
# These may end a sentence or stand inside a name; only a word that often begins a sentence after them decides.
_EITHER = _words("inc ltd co corp bros jr sr esq ave blvd rd dept dist univ est gmbh plc llc ph.d")
_STARTERS = _words(
    "The A An This That These Those It He She We They You I Its His Her Our Their Your My In On At By For From To With "
    "And But Or So If When While After Before Since As Although However There Here What Who Why How Where Which Not No "
    "Yes Then Now Also Still Yet Even Meanwhile Another Some Many Most All Both Each Every Because During Under Once "
    "Please Today Last One Two Through Using More Other Until Despite It's We're I'm")

_LINE = re.compile(r"\r\n|[\n\r\v\f\x85\u2028\u2029]")
# Every run is met once and looked past by a few signs only, so that no text costs more than linear time.
_STOP = re.compile(r"""(?<![.!?…])([.!?…]+)(["'”’»)\]}*_]*) (?=\W{0,8}(\w{0,30}))""")
_ENDED = re.compile(r"""[.!?…][\s"'”’»)\]]*$""")
_OPENERS = "\"'“‘«([{*_-–—"
_ACRONYM = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")


def split(text: str) -> list[str]:
    """Split text into sentences.

    A blank line always ends a sentence. So does a line break, unless the next line begins in lower case or the lines
    are wrapped at one width. White space is folded to single spaces; joining the sentences by spaces gives back the
    text with its white space folded. Scripts that write no space after a full stop are split at line breaks only.

    Args:
        text: Prose without markup.

    Returns:
        The sentences in order, none empty.

    Example:
        >>> split("Mr. Lee paid $3.50 at 18F.gov. Why? “No idea.” It's No. 5 of the U.S. Army.")
        ['Mr. Lee paid $3.50 at 18F.gov.', 'Why?', '“No idea.”', "It's No. 5 of the U.S. Army."]
    """
    return [sentence for block in _blocks(text) for sentence in _sentences(block)]


def units(unit: str, text: str) -> list[str]:
    """The texts of a post that become sequences: its sentences, or else the whole, which windows are cut from later."""
    if unit == "sentence":
        return split(text)
    text = text.strip()
    return [text] if text else []


def ended(text: str) -> bool:
    """Whether a text ends like a sentence, quotes and brackets behind its mark aside.

    Example:
        >>> ended("No idea.”"), ended("He said . "), ended("See below:")
        (True, True, False)
    """
    return bool(_ENDED.search(text))


def _blocks(text: str) -> Iterator[str]:
    """Stretches of text that no sentence crosses, white space folded."""
    paragraph: list[str] = []
    for line in [*_LINE.split(text), ""]:
        folded = " ".join(line.split())
        if folded:
            paragraph.append(folded)
        elif paragraph:
            yield from _joined(paragraph)
            paragraph = []


def _joined(lines: list[str]) -> Iterator[str]:
    wrapped = _wrapped(lines)
    block = lines[0]
    for line in lines[1:]:
        if wrapped or line[0].islower():
            block = f"{block} {line}"
        else:
            yield block
            block = line
    yield block


def _wrapped(lines: list[str]) -> bool:
    """Whether an editor wrapped these lines: the first word of no line would have fitted on the line before."""
    width = max(map(len, lines))
    return len(lines) > 2 and 40 <= width <= 100 and all(
        len(line) + 1 + len(after.split(" ", 1)[0]) > width for line, after in pairwise(lines))


def _sentences(block: str) -> Iterator[str]:
    start = 0
    for match in _STOP.finditer(block):
        if _ends(block, start, match):
            yield block[start:match.end() - 1]
            start = match.end()
    yield block[start:]


def _ends(block: str, start: int, match: re.Match[str]) -> bool:
    stop, closers, following = match.groups()
    if following[:1].islower() and not following[1:2].isupper():  # "iPhone" may begin a sentence
        return False
    if stop != "." or closers:
        return True
    # The last word before the stop; the search stays inside the sentence, so that long blocks cost linear time.
    word = block[max(block.rfind(" ", start, match.start()) + 1, start):match.start()]
    first = start + len(word) == match.start()
    word = word.lstrip(_OPENERS)
    lower = word.lower()
    if lower in _TITLES or (first and (word.isdecimal() or len(word) == 1)):  # "1." and "b." number the items of a list
        return False
    if lower in _NUMBERED:
        return not following[:1].isdecimal()
    if lower in _EITHER or (len(word) == 1 and word.isupper() and word != "I") or _ACRONYM.fullmatch(word):
        # "J. A. Smith": an initial is no first word.
        return following in _STARTERS and block[match.end(3):match.end(3) + 1] != "."
    return True
