"""The sentences of a post where they stand, so that some can be written anew and all else stays byte for byte."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from textvae.errors import InputError
from textvae.readers.front_matter import HeaderError, split_front_matter
from textvae.readers.markdown import parser
from textvae.readers.templates import cuts
from textvae.text import sentences

_HIDDEN = "\ue000"  # stands for each character that is no prose; a private one, so that no text holds it
# Markup, template code, addresses, entities, formulas, hard line breaks, and marks that a line begins with, such as
# those of an admonition, a definition or an item: a sentence with one of these is left alone.
_MARKED = re.compile(r"[\ue000\[\]{}<>*`|\\^~#@]|\b_|_\b|https?://|\bwww\.|&#?\w+;|(?<!\w):[a-z_]+:(?!\w)"
                     r"|\$[^\s$][^$\n]*\$|\$\$|  \n|(?m:^[ \t]*(?:([^\w\s.])\1\1|(?:[:+•·▪●-]|\d+[.)])[ \t]))")
# Displayed formulas, what stands in braces (attributes, and MDX's comments and values), and MDX's imports and exports.
_FOREIGN = re.compile(r"\$\$(?:.|\n(?!\s*\n))*?\$\$|\{(?:[^{}\n]|\n(?!\s*\n))*\}"
                      r"|^(?:import\b.*[\"']|export (?:async|class|const|default|function|let)\b)(?:.|\n(?!\s*\n))*",
                      re.MULTILINE)
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

    The header, code, quotes, tables, HTML, template code, formulas and comments are none, nor is a sentence with a
    link, an image, emphasis or an address in it or one inside these, nor one of a list or paragraph that does not end
    like a sentence.

    Args:
        post: The file's text, with line ends of any kind.
        markdown: Whether it is Markdown; else all of it is plain text.
        headings: Whether to find headings too.

    Returns:
        In the order of the text.

    Raises:
        InputError: It is Markdown whose header does not parse, so that nobody knows where the prose begins.

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
        if markdown:
            raise InputError(f"the post cannot be read: {error}", "mend its header first") from error
        body = 0
    plain = _hidden(plain[body:], [(start, end) for start, end, _ in cuts(plain[body:])])
    blocks = list(_blocks(plain, headings)) if markdown else [(range(len(plain)), False, [])]
    # Sentences are cut with these in place, unlike template code: hidden they would join the sentences around them.
    foreign = [match.span() for match in _FOREIGN.finditer(plain)] + [span for *_, spans in blocks for span in spans]
    shown = _hidden(plain, foreign)
    return [Sentence(body + start, body + end, text) for places, heading, _ in blocks
            for start, end, text in _sentences(plain, shown, places, heading)]


def replaced(post: str, others: Mapping[Sentence, str]) -> str:
    """The post with other texts in the place of some of its sentences."""
    parts: list[str] = []
    at = 0
    for sentence in sorted(others, key=lambda own: own.start):
        parts += (post[at:sentence.start], others[sentence])
        at = sentence.end
    return "".join([*parts, post[at:]])


def _hidden(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """A text with all signs between these places hidden."""
    signs = list(text)
    for start, end in spans:
        signs[start:end] = re.sub(r"[^\n]", _HIDDEN, text[start:end])
    return "".join(signs)


def _blocks(plain: str, headings: bool) -> Iterator[tuple[Sequence[int], bool, list[tuple[int, int]]]]:
    """Of each paragraph, and each heading where they are wanted: the places of its characters, whether it is a heading,
    and where its code spans, links, images and tags begin and end."""
    env: dict[str, Any] = {}
    lines = plain.split("\n")
    begins = [0, *accumulate(len(line) + 1 for line in lines)]
    within: list[str] = []
    for token in parser().parse(plain, env):
        if token.nesting == 1:
            within.append(token.type)
        elif token.nesting == -1:
            within.pop()
        elif token.type == "inline" and not {"blockquote_open", "table_open"}.intersection(within):
            heading = within[-1] == "heading_open"
            if headings or not heading:
                places = _places(token, lines, begins)
                yield places, heading, [(places[start], places[end - 1] + 1)
                                        for start, end in _spans(token.content, env) if places]


def _places(token: Any, lines: list[str], begins: list[int]) -> list[int]:
    """Where each character of a block's content stands; empty where its lines do not end their rows of the file."""
    places: list[int] = []
    for row, content in enumerate(token.content.split("\n"), start=token.map[0]):
        line, end = lines[row].rstrip(), content.rstrip()
        if not line.endswith(end):
            line = line.rstrip("#").rstrip()  # a heading that is closed
        at = len(line) - len(end)
        if at < 0 or not line.endswith(end):
            return []
        places += range(begins[row] + at, begins[row] + at + len(content) + 1)  # and its line's end
    return places


def _spans(content: str, env: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """Where the code spans, links, images and tags of a block begin and end."""
    from markdown_it.rules_inline import StateInline

    state = StateInline(content, parser(), env, [])
    while state.pos < state.posMax:
        start = state.pos
        parser().inline.skipToken(state)
        if content[start] in "`[!<" and state.pos > start + 1:
            yield start, state.pos


def _sentences(plain: str, shown: str, places: Sequence[int], heading: bool) -> Iterator[tuple[int, int, str]]:
    """Cut a block into sentences, and put them where they came from by counting what is not white space.

    Those of which something is marked or hidden in ``shown`` are left out.
    """
    # What is hidden parts sentences like white space; only those that go on behind it have it within.
    block = "".join(plain[place:place + 1] for place in places).replace(_HIDDEN, " ")
    solid = [place for place, sign in zip(places, block, strict=False) if not sign.isspace()]
    at = 0
    for text in sentences.split(block):
        start, at = at, at + sum(not character.isspace() for character in text)
        first, last = solid[start], solid[at - 1] + 1
        if ((sentences.ended(text) or heading) and len(_WORD.findall(text)) >= FEWEST
                and not _MARKED.search(shown[first:last])):
            yield first, last, text
