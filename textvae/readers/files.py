"""Which files a corpus path stands for, each with the reader it needs."""

import errno
import glob
import importlib.util
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from textvae.data import Rejected
from textvae.errors import InputError

PLAIN = frozenset((".txt", ".text"))
MARKDOWN = frozenset((".md", ".markdown", ".mdown", ".mkd", ".mkdn", ".rmd", ".qmd"))
HTML = frozenset((".html", ".htm", ".xhtml"))
POSTS = PLAIN | MARKDOWN | HTML
TABLES = frozenset((".csv", ".tsv", ".tab"))
JSON = frozenset((".jsonl", ".ndjson", ".json"))
_SUFFIXES = {"folder": POSTS, "table": TABLES, "jsonl": JSON}
_NO_POSTS = frozenset(("_data", "_includes", "_layouts", "_plugins", "_sass", "_site", "archetypes", "node_modules"))
# Papers that lie beside posts; a post may well be called security-tips.md or license-plates.md.
_PAPERS = re.compile(r"(?i:readme|licen[cs]e|copying|contributing|code_of_conduct|changelog)\.\w+$"
                     r"|(?:README|LICEN[CS]E)[._-]|SOURCE\.txt$")


@dataclass(frozen=True)
class Source:
    """A file to read.

    Args:
        path: Where it is.
        name: Its name below the corpus path.
        format: The reader, a value of ``corpus.format``.
        encoding: What it is written in; found from its bytes when empty.
    """

    path: Path
    name: str
    format: str
    encoding: str = ""


def locate(path: str) -> Path:
    """Turn a setting's path into a real one; ``sample:lee`` and ``sample:posts`` are the corpora that come along.

    Raises:
        InputError: No path, a sample that is not there, or the home of a user that is not.
    """
    if not path:
        raise InputError("no corpus is given", "give one with --corpus PATH, or set corpus.path")
    if not path.startswith("sample:"):
        try:
            return Path(path).expanduser()
        except RuntimeError as error:
            raise InputError(f"no such file or folder: {path}: {error}", "give its whole path") from error
    name = path.removeprefix("sample:")
    if name == "lee":
        spec = importlib.util.find_spec("gensim")  # finds the folder without the seconds that an import takes
        if spec is None or spec.origin is None:
            raise InputError("sample:lee comes with gensim, which is not installed", "pip install gensim")
        return Path(spec.origin).parent / "test" / "test_data" / "lee_background.cor"
    package = Path(__file__).resolve().parent.parent
    for home in (package / "samples", package.parent / "corpora"):
        if name in ("posts", "tables") and (home / name).is_dir():
            return home / name
    raise InputError(f"there is no sample corpus {name!r}", "known: sample:lee, sample:posts")


def find(path: str, format: str = "auto", drafts: bool = False, setting: str = "path") -> list[Source | Rejected]:
    """List what a corpus path stands for, in a fixed order.

    A folder is searched to its depth. Hidden files, list pages (``_index.md``), templates, licences and links that
    leave the folder are not posts; those that look like one are listed as rejected, and so are folders that cannot be
    read and links to folders, which are not followed.

    Args:
        path: A folder, a file, a sample, or a pattern such as ``yelp/sentiment.test.*``.
        format: A value of ``corpus.format``.
        drafts: Read folders named ``_drafts`` and ``drafts`` too.
        setting: That of ``[corpus]`` which gave the path, for errors.

    Returns:
        The files. Of a pattern's matches, those of one name are told apart by the folders that the pattern leaves open.

    Raises:
        InputError: Nothing is there, nothing of this format, or nothing that one may look at.

    Example:
        >>> [source.name for source in find("sample:lee")]
        ['lee_background.cor']
    """
    root = locate(path)
    try:
        return _found(path, root, format, drafts, setting)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "give a path that can be read") from error


def _found(path: str, root: Path, format: str, drafts: bool, setting: str) -> list[Source | Rejected]:
    if root.is_dir():
        return _folder(root, format, drafts)
    if root.is_file():
        return [Source(root, _encodable(root.name), _format(root, format))]
    if root.exists():
        raise InputError(f"{path} is neither a folder nor a regular file", "give a folder of posts or a file")
    # Path.glob takes no absolute pattern.
    matches = sorted(glob.glob(str(root), recursive=True)) if glob.has_magic(path) else []  # noqa: PTH207
    files = [Path(match) for match in matches if Path(match).is_file()]
    if not files:
        raise InputError(f"no such file or folder: {path}", _nearest(root, setting))
    fixed = Path(*takewhile(lambda part: not glob.has_magic(part), root.parts))
    times = Counter(file.name for file in files)
    return [Source(file, _encodable(file.name if times[file.name] == 1 else file.relative_to(fixed).as_posix()),
                   _format(file, format)) for file in files]


def _nearest(path: Path, setting: str) -> str:
    parent = next((parent for parent in path.absolute().parents if parent.is_dir()), Path("/"))
    return f"{parent} is there; give " + ("the corpus with --corpus PATH or corpus.path" if setting == "path" else
                                          f"corpus.{setting} another path")


def _format(path: Path, format: str) -> str:
    if format != "auto":
        return format
    suffix = path.suffix.lower()
    if suffix in TABLES:
        return "table"
    if suffix in JSON:
        return "jsonl"
    return "folder" if suffix in MARKDOWN | HTML else "lines"


def _folder(root: Path, format: str, drafts: bool) -> list[Source | Rejected]:
    real = root.resolve()
    format = "folder" if format == "auto" else format
    suffixes = _SUFFIXES.get(format)
    found: list[Source | Rejected] = []
    others: Counter[str] = Counter()
    lost: list[Rejected] = []
    for name, path, plain in sorted(_walk(real, lost)):
        suffix = path.suffix.lower()
        if suffixes is not None and suffix not in suffixes:
            others[suffix or "no ending"] += 1
        elif reason := _unfit(path, name, real, plain, drafts, format):
            found.append(Rejected(name, reason))
        else:
            found.append(Source(path, name, format))
    lost.sort(key=lambda item: item.source)
    found += lost
    if not any(isinstance(item, Source) for item in found):
        held = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(5))
        kinds = {"folder": ".txt, .md and .html", "table": ".csv and .tsv", "jsonl": ".jsonl and .json"}
        hint = f"read are {kinds[format]} files" if format in kinds else "put a text into it"
        if format == "folder" and others.keys() & (TABLES | JSON):
            hint += "; for its tables give one of them, or set corpus.format to table or jsonl"
        left = f", {len(found)} left out ({found[0].reason})" if found and isinstance(found[0], Rejected) else ""
        raise InputError(f"no posts in the folder {root}: it holds {held or 'nothing to read'}{left}", hint)
    return _without_twins(found)


def _walk(root: Path, lost: list[Rejected]) -> Iterator[tuple[str, Path, bool]]:
    """Name, path, and whether it is a regular file and no link, which the folder tells without a look at the file.

    Folders that were not looked into are added to ``lost``.
    """
    folders = [(str(root), "")]
    while folders:
        folder, above = folders.pop()
        try:
            with os.scandir(folder) as entries:
                inside = list(entries)
        except OSError as error:
            lost.append(Rejected(_encodable(above), f"cannot be read: {error.strerror}"))
            continue
        for entry in inside:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _NO_POSTS:
                    folders.append((entry.path, f"{above}{entry.name}/"))
                continue
            name = _encodable(above + entry.name)
            # It may lead anywhere, also back here; Path.is_dir would raise where it leads nowhere.
            if entry.is_symlink() and os.path.isdir(entry.path):  # noqa: PTH112
                if entry.name not in _NO_POSTS:
                    lost.append(Rejected(f"{name}/", "a link to a folder, which is not followed"))
                continue
            yield name, Path(entry.path), entry.is_file(follow_symlinks=False)


def _encodable(name: str) -> str:
    """A name that is not UTF-8 could not be written into the artefact."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _unfit(path: Path, name: str, root: Path, plain: bool, drafts: bool, format: str) -> str:
    """Why a file is not read; empty where it is."""
    try:
        # A plain file of a folder that was walked lies in it; to resolve all of them took half of a run's start.
        target = path if plain else path.resolve(strict=True)
        if not target.is_relative_to(root):
            return "a link that leaves the folder"
        if not plain and not stat.S_ISREG(target.stat().st_mode):
            return "not a regular file"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except RuntimeError:  # what Python 3.11 and 3.12 say of a link that leads to itself
        return f"cannot be read: {os.strerror(errno.ELOOP)}"
    if format != "folder":
        return ""
    if path.name.startswith("_"):
        return "a list page or template, not a post"
    if _PAPERS.match(path.name):
        return "about the folder, not a post"
    if not drafts and not {"_drafts", "drafts"}.isdisjoint(Path(name).parts[:-1]):
        return "draft"
    return ""


def _without_twins(found: list[Source | Rejected]) -> list[Source | Rejected]:
    """Leave out R Markdown sources that stand beside the Markdown made from them."""
    names = {item.name for item in found if isinstance(item, Source)}

    def twin(item: Source | Rejected) -> bool:
        return (isinstance(item, Source) and item.path.suffix.lower() in (".rmd", ".qmd")
                and str(Path(item.name).with_suffix(".md").as_posix()) in names)

    return [Rejected(item.name, "the .md file made from it is read instead")
            if isinstance(item, Source) and twin(item) else item for item in found]
