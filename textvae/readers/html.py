"""HTML to prose, through selectolax's Lexbor parser."""

import re
from collections.abc import Iterator
from typing import Any

from textvae.readers.normalise import normalise

_DROPPED = frozenset((
    "aside", "audio", "button", "canvas", "del", "dialog", "embed", "figcaption", "figure", "footer", "form", "head",
    "iframe", "img", "input", "link", "math", "meta", "nav", "noscript", "object", "picture", "pre", "s", "script",
    "select", "strike", "style", "svg", "template", "textarea", "video"))
_BLOCKS = frozenset((
    "address", "article", "blockquote", "body", "center", "dd", "details", "div", "dl", "dt", "fieldset", "h1", "h2",
    "h3", "h4", "h5", "h6", "header", "hr", "html", "li", "main", "ol", "p", "section", "summary", "table", "tbody",
    "td", "th", "thead", "tr", "ul"))
_HIDDEN = re.compile(r"\b(?:sr-only|usa-sr-only|visually-hidden|screen-reader-text|footnote-ref|headerlink|anchor)\b")
_FORMATTING = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*+)[^<>]*?(/?)>")
_UNNESTED = frozenset((
    "area", "base", "br", "col", "dd", "dt", "hr", "img", "input", "li", "link", "meta", "option", "p", "source", "td",
    "th", "tr", "track", "wbr"))  # void, or closed by the next of its kind
# Lexbor takes time quadratic in the depth: 10,000 levels cost 0.08 s, 50,000 cost 2 s.
MAX_DEPTH = 5000
_URL = re.compile(r"(?<![\w@/.])(?:https?://|www\.)(?:www\.)?([\w.-]*\w)(?::\d+)?(?:[/?#](?:[^\s<>\"”]|<[\w-]+>)*)?",
                  re.IGNORECASE)
_CREDIT = re.compile(
    r"^\W{0,3}(?:(?:top |header |banner |featured? )?(?:image|photo|photograph|picture|illustration|graphic|"
    r"screenshot|figure)s?[ :]+(?:credits?|courtesy|by|via|source|from|copyright|©)\b|(?:credits?|source)\s*:|©)",
    re.IGNORECASE)
# What dropped pictures and formulas leave behind, and sentences that lost the space between them.
_HOLES = (
    (re.compile(r"(?<=[\s(])(?:\(\s*\)|\[\s*\])"), ""),
    (re.compile(r"(?<=\() +| +(?=\))"), ""),
    (re.compile(r"(?<=[\w)\]”\"']) (?=[,;.](?:\s|$))"), ""),
    (re.compile(r",(?: ,)+(?=\s)"), ","),
    (re.compile(r"(?<=[a-z][.!?])(?=(?:This|These|The|We|You|It|If|In|However|There|To|For|More|What|When|How|And|But|As|"
                r"They|Learn|Read|Join|See) )"), " "),
)
_SPACE = str.maketrans("\n\r\f", "   ")  # a line end in HTML is a space
_LONGEST_CREDIT = 240  # characters; a longer paragraph that begins like a credit is prose


class NestedError(Exception):
    """HTML nested deeper than any page that a person wrote."""


def html_to_text(html: str, *, page: bool = False) -> str:
    """Reduce HTML to prose.

    Paragraphs, headings and items of lists are separated by blank lines, so that no sentence crosses them. Code blocks,
    scripts, pictures and their captions, tables of data, forms, navigation and hidden parts are dropped; links leave
    their text, and an address that stands in the text leaves its host name.

    Args:
        html: A page, or a part of one.
        page: Whether it is a whole page, of which only the main part is read.

    Returns:
        Prose in normal form.

    Raises:
        NestedError: Elements nested more than ``MAX_DEPTH`` deep.

    Example:
        >>> html_to_text("<h1>Bread</h1><p>Flour &amp; <a href='/w'>water</a>.</p><pre>code</pre>")
        'Bread\\n\\nFlour & water.'
    """
    tree = parse(html)
    return _page(tree) if page else _prose(tree.body or tree.root)


def parse(html: str) -> Any:
    """Parse HTML into a selectolax tree; see ``html_to_text`` for what is raised."""
    from selectolax.lexbor import LexborHTMLParser

    depth = 0
    for tag in _FORMATTING.finditer(html):
        if tag[2].lower() not in _UNNESTED and not tag[3]:
            depth = max(depth + (-1 if tag[1] else 1), 0)
            if depth > MAX_DEPTH:
                raise NestedError(f"its HTML is nested more than {MAX_DEPTH} deep")
    return LexborHTMLParser(html)


def _page(tree: Any) -> str:
    """The prose of a page's main part, or of its only article if that is most of it: a comment may be one too."""
    root = tree.css_first("main") or tree.body or tree.root
    prose = _prose(root)
    articles = root.css("article") if root is not None else []
    own = _prose(articles[0]) if len(articles) == 1 else ""
    return own if 2 * len(own) > len(prose) else prose


def _prose(root: Any) -> str:
    if root is None:
        return ""
    out: list[str] = []
    # A stack and not recursion: a page may be nested deeper than Python's own stack.
    stack: list[Any] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            out.append(node)
            continue
        tag = node.tag
        if tag == "-text":
            out.append((node.text_content or "").translate(_SPACE))
        elif tag == "br":
            out.append("\n")
        elif tag[0] not in "-!" and not _skipped(node, tag, out):
            before, after = ("“", "”") if tag == "q" else ("\n\n", "\n\n") if tag in _BLOCKS else ("", "")
            out.append(before)
            stack.append(after)
            stack.extend(reversed(list(_children(node))))
    return _tidy("".join(out))


def _children(node: Any) -> Iterator[Any]:
    child = node.child
    while child is not None:
        yield child
        child = child.next


def _skipped(node: Any, tag: str, out: list[str]) -> bool:
    if tag in _DROPPED:
        out.append("\n\n" if tag in ("pre", "figure", "aside", "form", "iframe") else " ")
        return True
    if tag == "table":  # data; but old pages lay their prose out in tables
        return node.css_first("p, div, ul, blockquote") is None
    if tag == "sup":
        return node.css_first("a[href^='#']") is not None
    attributes = node.attributes
    if not attributes:
        return False
    style = (attributes.get("style") or "").replace(" ", "").lower()
    return ("hidden" in attributes or attributes.get("aria-hidden") == "true" or "display:none" in style
            or bool(_HIDDEN.search(attributes.get("class") or "")))


def _tidy(text: str) -> str:
    lines = []
    for line in normalise(text).split("\n"):
        if _only_urls(line) or (len(line) <= _LONGEST_CREDIT and _CREDIT.match(line)):
            continue
        line = _URL.sub(_host, line)
        for pattern, replacement in _HOLES:
            line = pattern.sub(replacement, line)
        if not line or any(map(str.isalnum, line)):  # a line of signs only is what a dropped part leaves
            lines.append(line)
    return normalise("\n".join(lines))


def _only_urls(line: str) -> bool:
    return bool(_URL.search(line)) and not _URL.sub("", line).strip(" ,;.")


def _host(match: re.Match[str]) -> str:
    tail = re.search(r"[.,;:!?)\]'’*_]*$", match[0])
    return match[1] + (tail[0] if tail and match[0] != match[1] else "")
