"""The header of a post: YAML between ``---``, TOML between ``+++``, or JSON in braces."""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

_YAML = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.S | re.M)
_TOML = re.compile(r"\A\+\+\+[ \t]*\n(.*?)^\+\+\+[ \t]*(?:\n|\Z)", re.S | re.M)
MAX_HEADER = 64_000  # characters; the longest header of 3,600 real posts has 9,000, an alias bomb needs few more


class HeaderError(Exception):
    """A header that does not parse."""


def split_front_matter(text: str) -> tuple[dict[str, Any], str]:
    """Separate a post's header from its body.

    YAML scalars stay the text that they are written as, so that ``title: no`` is "no" and ``id: 010`` is "010". No tag
    is honoured, so that a header cannot construct anything.

    Args:
        text: A post, line ends as ``"\\n"``.

    Returns:
        The header's values by lower-case key (a key that is there twice keeps its last value), and the body. A text
        without a header gives an empty dict and itself.

    Raises:
        HeaderError: A header that does not parse, or is longer than ``MAX_HEADER``.

    Example:
        >>> split_front_matter("---\\nTitle: no\\ntags: [a, b]\\n---\\nHello.")
        ({'title': 'no', 'tags': ['a', 'b']}, 'Hello.')
    """
    text = text.lstrip("\ufeff\n")
    if text.startswith("{"):
        return _json(text)
    for pattern, kind, load in ((_YAML, "YAML", _yaml), (_TOML, "TOML", tomllib.loads)):
        match = pattern.match(text)
        if match is None:
            continue
        header = match[1]
        if len(header) > MAX_HEADER:
            raise HeaderError(f"its {kind} header is longer than {MAX_HEADER:,} characters")
        try:
            values = load(header)
        except (ValueError, RecursionError) as error:
            raise HeaderError(f"its header is not valid {kind}: {_oneline(error)}") from error
        if values is None:
            values = {}
        if not isinstance(values, Mapping):
            if kind == "YAML":  # a text that opens with a ruled line
                return {}, text
            raise HeaderError(f"its {kind} header holds no keys")
        return _lower(values), text[match.end():]
    return {}, text


def _yaml(header: str) -> Any:
    import yaml

    try:
        # The C loader is eight times faster; it comes with PyYAML's wheels.
        return yaml.load(header, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except yaml.MarkedYAMLError as error:
        # Line 1 of the file is the ruled line before the header.
        where = f"line {error.problem_mark.line + 2}: " if error.problem_mark else ""
        raise ValueError(f"{where}{error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ValueError(error) from error


def _json(text: str) -> tuple[dict[str, Any], str]:
    try:
        values, end = json.JSONDecoder().raw_decode(text[:MAX_HEADER])
    except (ValueError, RecursionError):
        return {}, text  # a post may begin with a brace
    if not isinstance(values, dict) or text[end:end + 1] not in ("", "\n"):
        return {}, text
    return _lower(values), text[end:]


def _lower(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key).strip().lower(): value for key, value in values.items()}


def _oneline(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
