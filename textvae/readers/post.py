"""A file that holds one post: text, Markdown or HTML, with or without front matter."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from textvae.data import Post, Rejected
from textvae.readers.decode import UndecodableError, decode
from textvae.readers.files import HTML, MARKDOWN, PLAIN
from textvae.readers.front_matter import HeaderError, split_front_matter
from textvae.readers.html import NestedError, html_to_text, parse
from textvae.readers.markdown import markdown_to_text
from textvae.readers.normalise import broken, normalise
from textvae.readers.records import labels_of, names_of, scalar
from textvae.readers.templates import strip_templates

LARGEST = 4_000_000  # bytes: the longest of 3,600 real posts has 200,000; what is larger is no post

_LABELS = ("tags", "tag", "topics", "topic", "categories", "category", "labels", "label", "keywords")
_AUTHORS = ("author", "authors", "byline", "by", "creator")
_DATES = ("date", "publishdate", "pubdate", "published", "published_at", "created", "created_at", "lastmod")
_DAY = re.compile(r"(?<!\d)((?:19|20)\d\d)[-_/](\d{1,2})[-_/](\d{1,2})(?!\d)")


def read(path: Path, name: str, *, encoding: str = "", drafts: bool = False) -> Iterator[Post | Rejected]:
    """Read one file; it gives one Post or one Rejected.

    Markup is reduced to prose. A header that does not parse rejects a Markdown or HTML file, for it may say that the
    post is a draft; in plain text it is taken as text.

    Args:
        path: The file; its suffix says which markup it holds.
        name: Its path below the corpus folder, which becomes the post's id.
        encoding: Found from the bytes when empty.
        drafts: Read unpublished posts too.
    """
    yield _post(path, name, encoding, drafts)


def _post(path: Path, name: str, encoding: str, drafts: bool) -> Post | Rejected:
    if (size := path.stat().st_size) > LARGEST:
        return Rejected(name, f"{size:,} bytes; a post has {LARGEST:,} at most")
    try:
        text = decode(path.read_bytes(), encoding)
    except UndecodableError as error:
        return Rejected(name, str(error))
    if reason := broken(text):
        return Rejected(name, reason)
    text = re.sub(r"\r\n?", "\n", text)
    suffix = path.suffix.lower()
    try:
        header, body = split_front_matter(text)
    except HeaderError as error:
        if suffix not in PLAIN:
            return Rejected(name, str(error))
        header, body = {}, text
    if not drafts and _unpublished(header):
        return Rejected(name, "draft")
    try:
        if suffix in HTML:
            header = {**_page(body), **header}
        prose = _prose(body, suffix)
    except NestedError as error:
        return Rejected(name, str(error))
    if not prose:
        return Rejected(name, "no text")
    labels = [label for key in _LABELS if key in header for label in labels_of(key, header[key])]
    return Post(id=name, text=prose, title=_title(header), author=_first(header, _AUTHORS, names_of),
                date=_date(header, name), labels=tuple(dict.fromkeys(labels)), source=name)


def _prose(body: str, suffix: str) -> str:
    if suffix in MARKDOWN:
        return markdown_to_text(strip_templates(body))
    return html_to_text(strip_templates(body), page=True) if suffix in HTML else normalise(body)


def _unpublished(header: Mapping[str, Any]) -> bool:
    return (scalar(header.get("draft")).lower() in ("true", "yes", "on", "1")
            or scalar(header.get("published")).lower() in ("false", "no", "off", "0")
            or scalar(header.get("status")).lower() in ("draft", "private", "pending", "trash"))


def _title(header: Mapping[str, Any]) -> str:
    title = scalar(header.get("title"))
    return html_to_text(title) if "&" in title or "<" in title else title


def _first(header: Mapping[str, Any], keys: tuple[str, ...], read_value: Any) -> str:
    return next((found for key in keys if (found := read_value(header.get(key)))), "")


def _date(header: Mapping[str, Any], name: str) -> str:
    for key in _DATES:
        if (value := scalar(header.get(key))) and re.search(r"\d", value):
            return value
    # The file's name, then its folders: 2014-12-23-hub.md, 2014/12/23/hub.md.
    for part in (PurePosixPath(name).name, name):
        if match := _DAY.search(part):
            return f"{match[1]}-{int(match[2]):02d}-{int(match[3]):02d}"
    return ""


def _page(html: str) -> dict[str, Any]:
    """What a page's head says of it."""
    tree = parse(html)
    found: dict[str, Any] = {}
    if (title := tree.css_first("title")) is not None:
        found["title"] = title.text()
    for meta in tree.css("meta[content]"):
        key = (meta.attributes.get("name") or meta.attributes.get("property") or "").lower()
        if key in ("author", "date", "keywords", "article:published_time"):
            found["date" if ":" in key else key] = meta.attributes["content"]
    if "date" not in found and (time := tree.css_first("time[datetime]")) is not None:
        found["date"] = time.attributes["datetime"]
    return found
