"""The sentences of a post where they stand, so that some can be written anew and all else stays byte for byte."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from textvae.errors import InputError
from textvae.readers.front_matter import HeaderError, split_front_matter
from textvae.readers.markdown import parser
from textvae.readers.templates import cuts
from textvae.text import sentences

_HIDDEN = "\ue000"  # stands for each character that is no prose; a private one, so that no text holds it
# Markup, template code, addresses, entities, formulas and hard line breaks: a sentence with one of these is left alone.
_MARKED = re.compile(r"[\ue000\[\]{}<>*`|\\^~#@]|\b_|_\b|https?://|\bwww\.|&#?\w+;|(?<!\w):[a-z_]+:(?!\w)"
                     r"|\$[^\s$][^$\n]*\$|  \n")
_WORD = re.compile(r"[^\W\d_]{2,}")
FEWEST = 3  # words of a sentence: shorter ones, such as "Read more.", say nothing that could be said otherwise


@dataclass(frozen=True)
class Sentence:
    """A sentence of a post.

    Args:
        start, end: Its place in the file's text, in characters.
        text: The sentence with its white space folded.
    """

    start: int
    end: int
    text: str


def find(post: str, *, markdown: bool, headings: bool = False) -> list[Sentence]:
    """Find the sentences of a post that are prose and nothing else.

    The header, code, quotes, tables, HTML, template code and comments are none, nor is a sentence with a link, an
    image, emphasis or an address in it, nor one of a list or paragraph that does not end like a sentence.

    Args:
        post: The file's text, with line ends of any kind.
        markdown: Whether it is Markdown; else all of it is plain text.
        headings: Whether to find headings too.

    Returns:
        In the order of the text.

    Raises:
        InputError: Its header does not parse, so that nobody knows where the prose begins.

    Example:
        >>> found = find("# Bread\\n\\nMix *flour* well. Wait for an hour.\\n> Do not wait.", markdown=True)
        >>> [sentence.text for sentence in found]
        ['Wait for an hour.']
    """
    # Of the same length as the post, so that places in one are places in the other.
    plain = post.replace("\r\n", " \n").replace("\r", "\n")
    try:
        body = len(plain) - len(split_front_matter(plain)[1])
    except HeaderError as error:
        raise InputError(f"the post cannot be read: {error}", "mend its header first") from error
    plain = plain[body:]
    for start, end, _ in list(cuts(plain)):
        plain = plain[:start] + re.sub(r"[^\n]", _HIDDEN, plain[start:end]) + plain[end:]
    blocks = _blocks(plain, headings) if markdown else [(range(len(plain)), False)]
    return [Sentence(body + start, body + end, text) for places, heading in blocks
            for start, end, text in _sentences(plain, places, heading)]


def replaced(post: str, others: Mapping[Sentence, str]) -> str:
    """The post with other texts in the place of some of its sentences."""
    parts: list[str] = []
    at = 0
    for sentence in sorted(others, key=lambda own: own.start):
        parts += (post[at:sentence.start], others[sentence])
        at = sentence.end
    return "".join([*parts, post[at:]])


def _blocks(plain: str, headings: bool) -> Iterator[tuple[Sequence[int], bool]]:
    """The places of the characters of each paragraph, and of each heading where they are wanted."""
    lines = plain.split("\n")
    begins = [0, *accumulate(len(line) + 1 for line in lines)]
    within: list[str] = []
    for token in parser().parse(plain):
        if token.nesting == 1:
            within.append(token.type)
        elif token.nesting == -1:
            within.pop()
        elif token.type == "inline" and not {"blockquote_open", "table_open"}.intersection(within):
            heading = within[-1] == "heading_open"
            if headings or not heading:
                yield _places(token, lines, begins), heading


def _places(token: Any, lines: list[str], begins: list[int]) -> list[int]:
    """Where each character of a block's content stands; empty where its lines do not end their rows of the file."""
    places: list[int] = []
    for row, content in enumerate(token.content.split("\n"), start=token.map[0]):
        line = lines[row].rstrip(" #") if token.markup == "#" else lines[row].rstrip()
        at = len(line) - len(content.rstrip())
        if at < 0 or not line.endswith(content.rstrip()):
            return []
        places += range(begins[row] + at, begins[row] + at + len(content) + 1)  # and its line's end
    return places


def _sentences(plain: str, places: Sequence[int], heading: bool) -> Iterator[tuple[int, int, str]]:
    """Cut a block into sentences, and put them where they came from by counting what is not white space."""
    # What is hidden parts sentences like white space; only those that go on behind it have it within.
    block = "".join(plain[place:place + 1] for place in places).replace(_HIDDEN, " ")
    solid = [place for place, sign in zip(places, block, strict=False) if not sign.isspace()]
    at = 0
    for text in sentences.split(block):
        start, at = at, at + sum(not character.isspace() for character in text)
        first, last = solid[start], solid[at - 1] + 1
        if ((sentences.ended(text) or heading) and len(_WORD.findall(text)) >= FEWEST
                and not _MARKED.search(plain[first:last])):
            yield first, last, text
