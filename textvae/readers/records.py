"""From named values, a table's row or a post's header, to the fields of a Post."""

import difflib
import html
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from textvae.data import Post, Rejected
from textvae.errors import InputError
from textvae.readers.html import NestedError, html_to_text
from textvae.readers.normalise import broken, normalise

# Usual names, the surest first; a name that ends in one ("review_text") counts after the exact ones.
_TEXT = ("text", "body", "content", "post", "full_text", "tweet", "message", "review", "comment", "sentence", "article",
         "document", "story", "haiku", "poem", "verse", "quote", "abstract", "description", "summary", "caption")
_TITLE = ("title", "headline", "subject", "heading")
_AUTHOR = ("author", "authors", "byline", "creator", "writer", "user", "username", "user_name", "screen_name")
_DATE = ("date", "datetime", "published", "published_at", "created", "created_at", "timestamp", "time", "pubdate")
_LABEL = ("label", "labels", "sentiment", "category", "categories", "class", "topic", "topics", "tag", "tags", "genre",
          "emotion", "intent", "language", "lang", "rating", "stars", "airline", "brand", "product", "source")
_LABEL_ENDINGS = ("_label", "_sentiment", "_category", "_class", "_topic", "_genre", "reason")
_DATE_ENDINGS = ("_date", "_created", "_at")
_LISTS = {"tags": "tag", "topics": "topic", "categories": "category", "labels": "label", "keywords": "tag",
          "tag": "tag", "topic": "topic", "category": "category", "label": "label"}
_LONGEST_LABEL = 80  # characters: what is longer is a text, not a label
LARGEST = 4_000_000  # characters of one text: 30 times the longest post met; what is longer is no post
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});")
_MARKUP = re.compile(r"</(?:p|div|a|li|h[1-6]|em|strong|span|b|i)>|<(?:p|br|div|li)\s*/?>", re.IGNORECASE)
_BLOCK = re.compile(r"<(?:p|br|div|h[1-6]|[ou]l|li|table)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Columns:
    """Which column or key holds what; empty where none does."""

    text: str = ""
    title: str = ""
    author: str = ""
    date: str = ""
    id: str = ""
    labels: tuple[str, ...] = ()


USUAL = Columns()  # nothing asked for: every column by its usual name


def discover(names: Iterable[str], wanted: Columns, where: str) -> Columns:
    """Settle which columns to read: those that are wanted, else those with a usual name, in any case.

    Args:
        names: The columns that there are.
        wanted: What the settings ask for.
        where: The file, for the error.

    Raises:
        InputError: A wanted column that is not there, or no column that could be the text.

    Example:
        >>> discover(["ID", "Review Text", "Sentiment"], Columns(), "a.csv")
        Columns(text='Review Text', title='', author='', date='', id='', labels=('Sentiment',))
    """
    names = [name for name in names if name]
    for setting, column in [("text_column", wanted.text), ("title_column", wanted.title), ("date_column", wanted.date),
                            ("author_column", wanted.author), ("id_column", wanted.id),
                            *(("label_columns", label) for label in wanted.labels)]:
        if column and column not in names:
            close = difflib.get_close_matches(column, names, n=1, cutoff=0.7)
            raise InputError(f"{where} has no column {column!r} (corpus.{setting}); it has: {', '.join(names)}",
                             (f"did you mean {close[0]!r}? " if close else "")
                             + f"name one of these with --set corpus.{setting}=NAME")
    plain = {name: re.sub(r"[\s-]+", "_", name.strip().lower()) for name in names}
    text = wanted.text or _named(plain, _TEXT, tuple("_" + usual for usual in _TEXT))
    if not text and len(names) == 1:
        text = names[0]
    if not text:
        raise InputError(f"{where}: no column has a usual name for the text; it has: {', '.join(names)}",
                         "name one with --set corpus.text_column=NAME, or all with corpus.columns where the file has "
                         "no header line")
    rest = {name: usual for name, usual in plain.items() if name != text}
    labels = wanted.labels or tuple(name for name, usual in rest.items()
                                    if usual in _LABEL or usual.endswith(_LABEL_ENDINGS))
    return Columns(text=text, title=wanted.title or _named(rest, _TITLE), author=wanted.author or _named(rest, _AUTHOR),
                   date=wanted.date or _named(rest, _DATE, _DATE_ENDINGS), id=wanted.id, labels=labels)


def _named(plain: Mapping[str, str], usual: tuple[str, ...], endings: tuple[str, ...] = ()) -> str:
    for want in usual:
        for name, have in plain.items():
            if have == want:
                return name
    return next((name for name, have in plain.items() if endings and have.endswith(endings)), "")


def labels_of(key: str, value: Any) -> list[str]:
    """Turn one named value into labels.

    Args:
        key: Its name; ``tags``, ``topics`` and ``categories`` hold lists, and name each item in the singular.
        value: A scalar, a list, or a text with commas where the name is one of these.

    Example:
        >>> labels_of("tags", "bread, rye"), labels_of("sentiment", "positive"), labels_of("topics", ["design"])
        (['tag=bread', 'tag=rye'], ['sentiment=positive'], ['topic=design'])
    """
    single = _LISTS.get(key.strip().lower())
    if isinstance(value, list | tuple):
        items = [scalar(item) for item in value]
    elif single:
        items = re.split(r"[,;|]", scalar(value).strip("[]"))
    else:
        items = [scalar(value)]
    found = [item.strip().strip("'\"").strip() if single else item for item in items]
    return [f"{single or key}={item}" for item in dict.fromkeys(found) if item and len(item) <= _LONGEST_LABEL]


def scalar(value: Any) -> str:
    """A value as one line of text; empty for nothing, and for what is no scalar."""
    if value is None or isinstance(value, Mapping | list | tuple) or _no_number(value):
        return ""
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    text = " ".join(normalise(text.encode("utf-8", "ignore").decode()).split())
    return "" if text in ("~", "null") else text


def names_of(value: Any) -> str:
    """The names in an author's entry, which may be a text, a list, or have a ``name`` key.

    Example:
        >>> names_of(["Ann Ash", {"name": "Bo Birch"}])
        'Ann Ash, Bo Birch'
    """
    if isinstance(value, Mapping):
        return scalar(value.get("name") or value.get("display_name"))
    if isinstance(value, list | tuple):
        return ", ".join(name for item in value if (name := scalar(item) or (
            names_of(item) if isinstance(item, Mapping) else "")))
    return scalar(value)


def to_post(record: Mapping[str, Any], columns: Columns, name: str, where: str, ids: "Ids") -> Post | Rejected:
    """Make a post of one row.

    Entities in the text are decoded, and a text that is HTML is reduced to prose.

    Args:
        record: The row's values by column.
        columns: Which column holds what.
        name: The file's name, which begins the post's id.
        where: The row, for a rejection.
        ids: The ids given so far in this file.
    """
    record = {key: value for key, value in record.items() if key}  # "" stands for a column that there is not
    value = record.get(columns.text)
    if value is not None and (isinstance(value, bool) or not isinstance(value, str | int | float)):
        return Rejected(where, f"{columns.text!r} holds no text but a {type(value).__name__}")
    raw = "" if value is None or _no_number(value) else str(value)
    if len(raw) > LARGEST:
        return Rejected(where, f"longer than {LARGEST:,} characters")
    if reason := broken(raw):
        return Rejected(where, reason)
    try:
        text = _prose(raw) if _is_html(raw) else _entities(raw)
    except NestedError as error:
        return Rejected(where, str(error))
    if not text:
        return Rejected(where, "no text")
    labels = [label for column in columns.labels for label in labels_of(column, record.get(column))]
    post = Post(id="", text=text, title=scalar(record.get(columns.title)), author=names_of(record.get(columns.author)),
                date=scalar(record.get(columns.date)), labels=tuple(dict.fromkeys(labels)), source=name)
    return ids.give(post, scalar(record.get(columns.id)) if columns.id else "")


def _no_number(value: Any) -> bool:
    """Whether it is how JSON and data frames write that there is no value."""
    return isinstance(value, float) and not math.isfinite(value)


def _is_html(text: str) -> bool:
    """Whether it holds two tags, or one that breaks a line or ends what another began."""
    tags = list(islice(_MARKUP.finditer(text), 2))
    if len(tags) != 1:
        return len(tags) > 1
    tag = tags[0][0].lower()
    begun = rf"<{tag[2:-1]}[\s>]" if tag.startswith("</") else ""
    return tag.startswith("<br") or bool(begun and re.search(begun, text[:tags[0].start()], re.IGNORECASE))


def _prose(text: str) -> str:
    """Of HTML whose paragraphs are no elements, the line ends stay."""
    return html_to_text(text if _BLOCK.search(text) else text.replace("\n", "<br>"))


def _entities(text: str) -> str:
    return normalise(_ENTITY.sub(lambda entity: html.unescape(entity[0]), text))


class Ids:
    """Gives each row of one file an id that stays when rows are put in before it: its own, or its text's hash.

    Example:
        >>> Ids("a.csv").give(Post("", "Hello."), "").id
        'a.csv#2d8bd7d9bb5f'
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._given: dict[str, int] = {}

    def give(self, post: Post, own: str) -> Post:
        """Return the post with its id; a repeated one gets a number."""
        key = unused = own or post.hash[:12]
        while unused in self._given:
            self._given[key] += 1
            unused = f"{key}-{self._given[key]}"
        self._given[unused] = 1
        return replace(post, id=f"{self._name}#{unused}")
