"""Read posts from files, drop duplicates, and say what could not be read."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from textvae.config import CorpusConfig
from textvae.data import Corpus, Post, Rejected
from textvae.errors import ConfigError, InputError
from textvae.progress import Progress
from textvae.readers import jsonl, lines, post, table
from textvae.readers.files import Source, find
from textvae.readers.records import Columns

TOP_LABELS = 50  # the most frequent labels that the metrics count


def run(config: CorpusConfig, *, seed: int, progress: Progress, scratch: Path) -> Corpus:
    """Read a corpus.

    Posts keep the order of their files' names and of the rows in them. Where validation or test files are given,
    every post's ``split`` is set. Of texts that are equal in every character the first is kept, unless
    ``config.duplicates`` is "keep". Between splits that are given by files, a text of the test split leaves the other
    two and one of the validation split leaves the training split, while repeats inside a split stay: nothing that is
    evaluated on was trained on, and the evaluation sets stay as published (but for what both of them hold).

    Args:
        config: Where the posts are.
        seed: Unused: reading has nothing random in it.
        progress: Shows a bar of files.
        scratch: Unused: reading again is quick.

    Returns:
        The posts, the rejected inputs with their reasons, and counts.

    Raises:
        InputError: Nothing is there, or nothing in it can be read.
    """
    endings = _endings(config)
    sources = _sources(config)
    found: list[Post] = []
    rejected: list[Rejected] = []
    files = 0
    with progress.task("reading", total=sum(len(own) for own in sources.values())) as advance:
        for split, own in sources.items():
            for source in own:
                files += isinstance(source, Source)
                for item in _read(source, config):
                    if isinstance(item, Post):
                        found.append(_placed(item, split, endings))
                    else:
                        rejected.append(item)
                advance(posts=len(found))
    if not found:
        reasons = "; ".join(f"{item.source}: {item.reason}" for item in rejected[:3])
        raise InputError(f"no text could be read from {config.path}: {len(rejected)} inputs rejected ({reasons})",
                         "mend these, or check corpus.format, corpus.encoding and corpus.text_column")
    kept = _distinct(found) if config.duplicates == "drop" else found
    counts = {"files": files, **_metrics(kept, rejected), "duplicates": len(found) - len(kept)}
    return Corpus(tuple(kept), tuple(rejected), counts)


def fingerprint(config: CorpusConfig) -> str:
    """Hash the names and contents of every file that the settings read.

    Args:
        config: Where the posts are.

    Returns:
        sha256 in hex; the same as long as no file to read is added, removed, renamed or changed.

    Raises:
        InputError: Nothing is there.
    """
    digest = hashlib.sha256()
    for split, own in _sources(config).items():
        for source in own:
            if not isinstance(source, Source):
                digest.update(f"{split}\0{source.source}\0{source.reason}\0".encode())
                continue
            try:
                with source.path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                content = f"cannot be read: {error.strerror}"
            digest.update(f"{split}\0{source.name}\0{content}\0".encode())
    return digest.hexdigest()


def _sources(config: CorpusConfig) -> dict[str, list[Source | Rejected]]:
    """Files by the split that they are for; it is empty where splits are not given by files."""
    given = {"validation": config.validation, "test": config.test}
    main = "train" if any(given.values()) else ""
    return {split: find(path, config.format, config.drafts)
            for split, path in {main: config.path, **given}.items() if path or split == main}


def _read(source: Source | Rejected, config: CorpusConfig) -> Iterator[Post | Rejected]:
    if isinstance(source, Rejected):
        yield source
        return
    wanted = Columns(config.text_column, config.title_column, config.author_column, config.date_column,
                     config.id_column, config.label_columns)
    path, name, encoding = source.path, source.name, config.encoding
    try:
        if source.format == "table":
            yield from table.read(path, name, encoding=encoding, wanted=wanted, columns=config.columns)
        elif source.format == "jsonl":
            yield from jsonl.read(path, name, encoding=encoding, wanted=wanted)
        elif source.format == "lines":
            yield from lines.read(path, name, encoding=encoding)
        else:
            yield from post.read(path, name, encoding=encoding, drafts=config.drafts)
    except OSError as error:
        yield Rejected(name, f"cannot be read: {error.strerror or error}")


def _endings(config: CorpusConfig) -> list[tuple[str, str]]:
    pairs = []
    for setting in config.file_labels:
        ending, _, label = setting.partition(" ")
        if not ending or "=" not in label:
            raise ConfigError(f"corpus.file_labels: {setting!r} is not of the form 'ENDING KEY=VALUE'",
                              "such as '.0 sentiment=negative'")
        pairs.append((ending, label.strip()))
    return pairs


def _placed(item: Post, split: str, endings: list[tuple[str, str]]) -> Post:
    labels = tuple(label for ending, label in endings if item.source.endswith(ending) and label not in item.labels)
    if not split and not labels:
        return item
    # Files of two splits may have one name.
    identity = item.id if split in ("", "train") else f"{split}/{item.id}"
    return replace(item, id=identity, split=split, labels=item.labels + labels)


def _distinct(posts: list[Post]) -> list[Post]:
    """The posts without texts met before, or without those that a split to be evaluated on holds."""
    rank = {"test": 0, "validation": 1, "train": 2, "": 2}
    owner: dict[str, Post] = {}
    for item in sorted(posts, key=lambda item: rank[item.split]):  # stable: the first of a split stays
        owner.setdefault(item.text, item)
    return [item for item in posts if owner[item.text] is item or (item.split and owner[item.text].split == item.split)]


def _metrics(posts: list[Post], rejected: list[Rejected]) -> dict[str, Any]:
    labels = Counter(label for item in posts for label in item.labels)
    reasons = Counter(item.reason for item in rejected)
    splits = Counter(item.split for item in posts if item.split)
    return {
        "posts": len(posts),
        "words": sum(len(item.text.split()) for item in posts),
        "characters": sum(len(item.text) for item in posts),
        "rejected": len(rejected),
        "empty": reasons["no text"],
        "rejected_reasons": dict(reasons.most_common(20)),
        "splits": dict(sorted(splits.items())),
        "authors": len({item.author for item in posts if item.author}),
        "labels": len(labels),
        "top_labels": dict(sorted(labels.items(), key=lambda pair: (-pair[1], pair[0]))[:TOP_LABELS]),
    }
