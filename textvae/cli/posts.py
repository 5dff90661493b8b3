"""vary --file: read a post, vary it, and write or show what became of it."""

import difflib
import html
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textvae.cli.console import as_json, clean, say, tell
from textvae.cli.options import CONVERT

if TYPE_CHECKING:
    from textvae.writing.rewrite import Rewritten
    from textvae.writing.writer import Writer

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:48em;margin:2em auto;padding:0 1em;white-space:pre-wrap;
overflow-wrap:anywhere}}del{{background:#fdd}}ins{{background:#dfd;text-decoration:none}}@media(prefers-color-scheme:dark)
{{body{{background:#111;color:#ddd}}del{{background:#511}}ins{{background:#141}}}}</style>
<body>{body}</body></html>
"""


def read(file: Path) -> tuple[str, bool]:
    """A post's text, its line ends as they are, and whether it is Markdown.

    Raises:
        InputError: It is not there, not UTF-8, HTML, or has an ending that does not tell what it is.
    """
    from textvae.cli.given import readable
    from textvae.errors import InputError
    from textvae.readers.files import HTML, MARKDOWN, PLAIN

    suffix = file.suffix.lower()
    if suffix in HTML:
        raise InputError(f"{file}: sentences of HTML cannot be varied in place", "give Markdown or plain text")
    post = readable(file)
    markdown = suffix in MARKDOWN or suffix == ".mdx"
    if not markdown and suffix not in PLAIN:
        raise InputError(f"{file}: {suffix or 'no ending'} says neither Markdown nor plain text",
                         "give a file that ends in .md, .mdx or .txt")
    try:
        return post.decode("utf-8"), markdown
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not UTF-8: byte {error.object[error.start]:#x} at {error.start}", CONVERT) from error


def vary_file(opened: Callable[[bool], "Writer"], file: Path, *, output: Path | None, page: Path | None, diff: bool,
              lines: bool, share: float, headings: bool, **asked: Any) -> None:
    """Vary a file's sentences and say what was done.

    Args:
        opened: Gives the writer; told whether there are few sentences to vary.
        output: Where the post goes; standard output where None, unless ``diff`` or ``lines`` is printed there.
        page: Where a page that shows the changes goes.
        diff: Print the changes.
        lines: Print the variations as JSON, one a line.
        share, headings, asked: What ``textvae.writing.rewrite.rewrite`` takes.
    """
    from textvae.cli.bars import watcher
    from textvae.cli.given import FEW_SENTENCES, writable
    from textvae.writing import files
    from textvae.writing.rewrite import rewrite, sentences

    for path in filter(None, (output, page)):
        writable(path)
    post, markdown = read(file)
    found = sentences(post, markdown=markdown, headings=headings)
    done = rewrite(opened(share * len(found) <= FEW_SENTENCES), post, share=share, markdown=markdown, headings=headings,
                   progress=watcher(), **asked)
    if output:
        files.replace(output, done.text.encode("utf-8"))
    if page:
        files.replace(page, _page(done, file.name).encode("utf-8", "backslashreplace"))  # a name may be no UTF-8
    if lines:
        for sentence, own in done.varied.items():
            click.echo(as_json({"line": done.line(sentence), **asdict(own)}))
    elif diff:
        for sentence, own in done.varied.items():
            say(f"{file.name}, line {done.line(sentence)}")
            click.echo(_shown("- ", sentence.text, own.text, "red"))
            click.echo(_shown("+ ", own.text, sentence.text, "green"))
    elif not output:
        # Bytes as they are for a file or a program; a terminal is not to be steered by what a post holds.
        if sys.stdout.isatty():
            click.echo(clean(done.text, keep="\n\t"), nl=False)
        else:
            sys.stdout.buffer.write(done.text.encode("utf-8"))
    tell(f"varied {len(done.varied)} of {done.sentences} sentences of prose")
    for sentence, why in done.left.items():
        tell(f"left as it is, line {done.line(sentence)}: {why}")


def _pieces(text: str) -> list[str]:
    return re.findall(r"\w+|\s+|[^\w\s]", text)


def _changes(old: str, new: str) -> Iterator[tuple[str, str, str]]:
    """Yield what is kept and what is not: equal, replace, delete or insert, with the old words and the new."""
    one, two = _pieces(old), _pieces(new)
    for kind, a, b, c, d in difflib.SequenceMatcher(None, one, two, autojunk=False).get_opcodes():
        yield kind, "".join(one[a:b]), "".join(two[c:d])


def _shown(sign: str, text: str, other: str, colour: str) -> str:
    """One side of a change for the terminal, with the words that the other side lacks in colour."""
    return click.style(sign, fg=colour) + "".join(
        click.style(clean(own), fg=colour, bold=True) if kind != "equal" else clean(own)
        for kind, own, _ in _changes(text, other) if own)


def _page(done: "Rewritten", title: str) -> str:
    """The whole post with its changes, as a page that needs nothing else."""
    parts: list[str] = []
    at = 0
    for sentence, own in done.varied.items():
        parts.append(html.escape(done.source[at:sentence.start]))
        for kind, old, new in _changes(done.source[sentence.start:sentence.end], own.text):
            if kind == "equal":
                parts.append(html.escape(old))
            else:
                parts += [f"<{tag}>{html.escape(text)}</{tag}>" for tag, text in (("del", old), ("ins", new)) if text]
        at = sentence.end
    parts.append(html.escape(done.source[at:]))
    return _PAGE.format(title=html.escape(title), body="".join(parts))
