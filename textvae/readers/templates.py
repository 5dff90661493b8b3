"""Take template code (Hugo shortcodes, Liquid, Nunjucks) and comments out of a post and leave its prose."""

import re
from collections.abc import Iterator

_OPEN = re.compile(r"\{\{[<%]|\{\{|\{%|\{#|<!--")
_CLOSE = {"{{<": ">}}", "{{%": "%}}", "{{": "}}", "{%": "%}", "{#": "#}", "<!--": "-->"}
_LONGEST = 4000  # characters of one tag; beyond that a stray "{{" would swallow prose
_LINK = re.compile(r"(?:\]\(\s*<?|=\s*[\"']?|\]:\s*<?)$")
_BLANK = re.compile(r"\n[ \t]*\n")
_NAME = re.compile(r"[-~*/\s]*([\w-]+)")
_SPOKEN = re.compile(r"""\b(?:text|label)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
# What stands between these and their end tags is code, a note to the author, or text made by a loop.
_LIQUID_DROPPED = frozenset((
    "capture", "comment", "for", "highlight", "javascript", "macro", "mermaid", "schema", "set", "style", "stylesheet"))
_HUGO_DROPPED = frozenset(("chart", "code", "codeblock", "comment", "gist", "highlight", "katex", "math", "mermaid"))
_BUTTONS = frozenset(("btn", "button"))
_LITERAL = re.compile(r"""\s*["']([A-Za-z][\w-]*)["']\s*\|""")


def strip_templates(text: str) -> str:
    """Remove template code and HTML comments.

    Tags go; what stands between a pair of tags stays, unless the pair marks code, comments or a loop. The text of
    ``{% raw %}`` stays as it is. A tag in the place of a link's address becomes ``#``, so that the link survives; a
    Hugo shortcode with ``text`` or ``label`` leaves that, and a name that is put through a filter stays. Time is linear
    in the text.

    Args:
        text: The body of a post, Markdown or HTML.

    Returns:
        The same without template code.

    Example:
        >>> strip_templates('Our [culture]({{ "/2014/" | url }}) {% image "a.png" %}{{< quote >}}grew{{< /quote >}}.')
        'Our [culture](#) grew.'
    """
    kept: list[str] = []
    at = 0
    for start, end, instead in cuts(text):
        kept += (text[at:start], instead)
        at = end
    kept.append(text[at:])
    return "".join(kept)


def cuts(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield where template code and comments begin and end, in order, and what ``strip_templates`` puts there.

    Example:
        >>> list(cuts("Mix {{ flour }} {# to taste #}."))
        [(4, 15, ''), (16, 30, '')]
    """
    endless: set[str] = set()  # pairs known to have no end tag further on, so that none is looked for twice
    at = 0
    while (opening := _OPEN.search(text, at)) is not None:
        start, sign = opening.start(), opening[0]
        end = _close(text, opening.end(), sign, endless)
        inside = text[opening.end():end]
        # In a code span the author shows the tag rather than using it.
        shown = start > 0 and text[start - 1] == "`" and sign in ("{{", "{%", "<!--") and "raw" not in inside
        if end < 0 or shown or (sign != "<!--" and _BLANK.search(inside)):
            at = opening.end()
            continue
        at = end + len(_CLOSE[sign])
        named = _NAME.match(inside)
        name = named[1].lower() if named and "/" not in named[0] else ""
        instead = ""
        if sign == "{%" and name == "raw":
            tail = _end(text, at, name, "{%", endless)
            if tail:
                yield start, at, ""
                start, at = tail
        elif _dropped(sign, name, inside):
            tail = _end(text, at, name, sign, endless)
            at = tail[1] if tail else at
        elif _LINK.search(text[max(start - 8, 0):start]):
            instead = "# " if text[at:at + 1] in ("'", '"') and "(" in text[max(start - 3, 0):start] else "#"
        elif sign == "{{" and (literal := _LITERAL.match(inside)):  # {{ "ann-lee" | team_link }}
            instead = literal[1].replace("-", " ").title()
        elif sign in ("{{<", "{{%") and name not in _BUTTONS and (spoken := _SPOKEN.search(inside)):
            instead = spoken[1] or spoken[2] or ""
        yield start, at, instead


def _close(text: str, at: int, sign: str, endless: set[str]) -> int:
    """Where the closing sign stands; -1 where there is none."""
    if sign != "<!--":
        return text.find(_CLOSE[sign], at, at + _LONGEST)
    end = -1 if sign in endless else text.find(_CLOSE[sign], at)
    if end < 0:
        endless.add(sign)
    return end


def _dropped(sign: str, name: str, inside: str) -> bool:
    if sign == "{%":
        return name in _LIQUID_DROPPED and not (name == "set" and "=" in inside)
    # A "highlight" without a language marks words of a sentence, one with a language is code.
    return sign in ("{{<", "{{%") and name in _HUGO_DROPPED and not inside.rstrip().endswith("/") and (
        name != "highlight" or len(inside.split()) > 1)


def _end(text: str, at: int, name: str, sign: str, endless: set[str]) -> tuple[int, int] | None:
    """Where the end tag of a pair begins and ends."""
    key = sign + name
    if key in endless:
        return None
    pattern = rf"\{{%-?\s*end{name}\s*-?%\}}" if sign == "{%" else rf"\{{\{{[<%]\s*/\s*{re.escape(name)}\s*[>%]\}}\}}"
    found = re.compile(pattern, re.IGNORECASE).search(text, at)
    if found is None:
        endless.add(key)
        return None
    return found.span()
