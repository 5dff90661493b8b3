"""Markdown to prose: rendered by markdown-it-py, then reduced like any HTML."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from textvae.readers.html import html_to_text
from textvae.readers.normalise import normalise

# Dialects that CommonMark does not know, removed before it is parsed; each would come out as prose. In front of each
# pattern stands what every match of it holds: most posts hold none of these, and are not searched any further.
_BEFORE = (
    ("{", re.compile(r"\{:[^{}\n]{0,200}\}"), ""),                                    # kramdown attributes
    ("{", re.compile(r"^(#{1,6} [^\n{]*)\{[^{}\n]{0,200}\}[ \t]*$", re.M), r"\1"),    # Pandoc heading attributes
    ("{", re.compile(r"(?<=[)\]])\{[#.:\w][^{}\n]{0,200}\}"), ""),                    # Pandoc link attributes
    ("{", re.compile(r"(?:^|(?<=\s))\{\s*[.#][\w-]+(?:[ \t][^{}\n]{0,200})?\}", re.M), ""),  # markdown-it-attrs
    ("[^", re.compile(r"^ {0,3}\[\^[^\]\n]{1,80}\]:[ \t]*", re.M), ""),  # the mark before a footnote's text
    ("[^", re.compile(r"\[\^[^\]\n]{1,80}\]"), ""),                                   # the mark in the text
    ("@", re.compile(r"\[-?@[\w:.#$%&+?<>~/-]{1,80}(?:[;,][^\]\n]{0,200})?\](?![(\[])"), ""),  # Pandoc citations
    ("[caption", re.compile(r"\[caption[^\]\n]{0,500}\].{0,2000}?\[/caption\]", re.S), ""),  # WordPress shortcodes
    ("[", re.compile(r"\[/?(?:audio|embed|gallery|slideshare|soundcloud|tweet|video|vimeo|youtube)\b[^\]\n]{0,500}\]"),
     ""),
    (":", re.compile(r"(?<![\w:`]):[a-z][a-z0-9_+-]{1,40}:(?![\w:`])"), ""),          # emoji by name
    (":::", re.compile(r"^[ \t]*:{3,}.*$", re.M), ""),                                # fenced divisions
    ("", re.compile(r"^[*+-] (?:TOC|toc)[ \t]*$", re.M), ""),                         # kramdown's table of contents
    ("`r ", re.compile(r"`r [^`\n]+`"), ""),                                          # R Markdown's inline code
)
# Markdown inside an HTML block is not parsed; and a reference may lack its definition.
_AFTER = (
    ("![", re.compile(r"!\[[^\[\]\n]*\]\([^()\s]*(?:\s+\"[^\"\n]*\")?\)"), ""),
    ("](", re.compile(r"\[([^\[\]\n]+)\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)?(?:\s+\"[^\"\n]*\")?\)"), r"\1"),
    ("][", re.compile(r"\[([^\[\]\n]+)\]\[[^\[\]\n]*\]"), r"\1"),
    ("](", re.compile(r"\[([^\[\]\n]{1,200})\]\((?:#|/|mailto:|[\w-]+\.[\w.]+)[^()\n]{0,300}\)"), r"\1"),
    ("**", re.compile(r"(?<!\w)\*\*+|\*\*+(?!\w)"), ""),
    ("__", re.compile(r"(?<![\w_])__(?=[A-Z])|(?<=[.,;:)])__(?!\w)|^__$", re.M), ""),
    ("", re.compile(r"^#{2,6} *|^[*•·▪●] +", re.M), ""),
)
_CAPTION = re.compile(r"(<p>\s*(?:<a\b[^>]*>\s*)?<img\b[^>]*>\s*(?:</a>\s*)?(?:<br\s*/?>\s*)?(?:</p>\s*<p>)?)\s*"
                      r"<em>(?:(?!</?(?:p|em)>).){1,400}</em>\s*</p>", re.S)


def markdown_to_text(markdown: str) -> str:
    """Reduce Markdown to prose; see ``html_to_text`` for what stays.

    Args:
        markdown: CommonMark, and the usual dialects of blogs; front matter and template code taken out.

    Returns:
        Prose in normal form.

    Raises:
        NestedError: HTML in it that is nested beyond reason.

    Example:
        >>> markdown_to_text("# Bread\\n\\nMix *flour* and [water](https://w.org).[^1]\\n\\n- knead\\n- wait")
        'Bread\\n\\nMix flour and water.\\n\\nknead\\n\\nwait'
    """
    html = _CAPTION.sub("", parser().render(_replaced(_BEFORE, markdown)))
    return normalise(_replaced(_AFTER, html_to_text(html)))


def _replaced(table: Sequence[tuple[str, re.Pattern[str], str]], text: str) -> str:
    for sign, pattern, replacement in table:
        if sign in text:
            text = pattern.sub(replacement, text)
    return text


@cache
def parser() -> Any:
    """CommonMark with tables, strikethrough and HTML: what all of textvae reads Markdown with."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
