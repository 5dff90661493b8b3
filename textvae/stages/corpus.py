"""Read posts from files, drop duplicates, and say what could not be read."""

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Container, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from textvae.config import CorpusConfig
from textvae.data import BACKGROUND, Corpus, Post, Rejected
from textvae.errors import ConfigError, InputError
from textvae.progress import Progress
from textvae.readers.files import Source, find

TOP_LABELS = 50  # the most frequent labels that the metrics count
ALONE = 3_000_000  # bytes: one process reads as much in 1 s, and workers take 0.4 s to start
FEW_WORDS = 50_000  # of a blog of 20,000, one variation in eight read well; beside other texts one in two
CHUNK = 250_000  # bytes of files handed to a worker at once: 0.1 s of work


def run(config: CorpusConfig, *, seed: int, progress: Progress, scratch: Path) -> Corpus:
    """Read a corpus, and the background texts beside it.

    Posts keep the order of their files' names and of the rows in them. Where validation or test files are given,
    every post's ``split`` is set. Of texts that are equal in every character the first is kept, unless
    ``config.duplicates`` is "keep". Between splits that are given by files, a text of the test split leaves the other
    two and one of the validation split leaves the training split, while repeats inside a split stay: nothing that is
    evaluated on was trained on, and the evaluation sets stay as published (but for what both of them hold). The tokens
    stage keeps repeats together where it splits.

    Args:
        config: Where the posts are.
        seed: Unused: reading has nothing random in it.
        progress: Shows a bar of files.
        scratch: Unused: reading again is quick.

    Returns:
        The posts, the rejected inputs with their reasons, and counts.

    Raises:
        InputError: Nothing is there, nothing in it can be read, or two posts have one id.
    """
    endings = _endings(config)
    sources = _sources(config)
    found: dict[str, Post] = {}
    rejected: list[Rejected] = []
    files = 0
    listed = [(split, source) for split, own in sources.items() for source in own]
    with (progress.task("reading", total=len(listed)) as advance,
          closing(_read_all([source for _, source in listed], config)) as read):
        for (split, source), items in zip(listed, read, strict=True):
            files += isinstance(source, Source)
            for item in items:
                if isinstance(item, Rejected):
                    rejected.append(item)
                    continue
                item = _placed(item, split, endings, found)
                if item.id in found:
                    raise InputError(f"two posts have the id {item.id!r}: one of {found[item.id].source}, one of "
                                     f"{item.source}", "rename one of them")
                found[item.id] = item
            advance(posts=len(found))
    if not found:
        reasons = "; ".join(f"{item.source}: {item.reason}" for item in rejected[:3])
        why = f"{len(rejected)} inputs rejected ({reasons})" if rejected else "it holds none"
        raise InputError(f"no text could be read from {config.path}: {why}",
                         "mend these, or check corpus.format, corpus.encoding and corpus.text_column")
    kept = _distinct(list(found.values())) if config.duplicates == "drop" else list(found.values())
    counts = {"files": files, **_metrics(kept, rejected), "duplicates": len(found) - len(kept)}
    if counts["words"] < FEW_WORDS and not config.background:
        progress.say(f"{counts['words']:,} words are few to learn a language from: beside other texts in it variations "
                     "read far better (--set corpus.background=PATH, or sample:lee, English news that come along)")
    return Corpus(tuple(kept), tuple(rejected), counts)


def fingerprint(config: CorpusConfig) -> str:
    """Hash the names and contents of every file that the settings read, and what each is read as.

    Args:
        config: Where the posts are.

    Returns:
        sha256 in hex; the same as long as no file is added, removed, renamed, changed or read as another format.

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
            digest.update(f"{split}\0{source.name}\0{source.format}\0{content}\0".encode())
    return digest.hexdigest()


def _sources(config: CorpusConfig) -> dict[str, list[Source | Rejected]]:
    """Files by the split that they are for; it is empty where splits are not given by files."""
    given = {"validation": config.validation, "test": config.test}
    main = "train" if any(given.values()) else ""
    paths = {main: config.path, **given, BACKGROUND: config.background}
    found = {split: find(path, "auto" if split == BACKGROUND else config.format, config.drafts,
                         split if split != main else "path")
             for split, path in paths.items() if path or split == main}
    for split in found.keys() - {BACKGROUND}:
        found[split] = [replace(item, encoding=config.encoding) if isinstance(item, Source) else item
                        for item in found[split]]
    return found


def _read_all(sources: list[Source | Rejected], config: CorpusConfig) -> Generator[list[Post | Rejected], None, None]:
    """What each source holds, in order; large corpora are read by a process per core."""
    chunks = list(_chunks(sources))
    cores = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, len(chunks))
    if cores < 2 or sum(_size(source) for source in sources) < ALONE:
        yield from (list(_read(source, config)) for source in sources)
        return
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    # Spawned and not forked: a process that runs threads, as the backends do, cannot be forked safely.
    pool = ProcessPoolExecutor(cores, mp_context=get_context("spawn"), initializer=_start_worker)
    try:
        for found in pool.map(partial(_read_chunk, config), chunks):
            yield from found
    except BrokenProcessPool as error:
        raise InputError("a process that was reading the corpus died",
                         'free some memory and run again; in a script of your own, keep calls under '
                         'if __name__ == "__main__"') from error
    finally:  # also on Ctrl-C: what has begun takes a fraction of a second, nothing else begins
        pool.shutdown(cancel_futures=True)


def _chunks(sources: list[Source | Rejected]) -> Iterator[list[Source | Rejected]]:
    chunk: list[Source | Rejected] = []
    size = 0
    for source in sources:
        chunk.append(source)
        size += _size(source)
        if size >= CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _size(source: Source | Rejected) -> int:
    with suppress(OSError):  # what cannot be read is told when it is read
        return source.path.stat().st_size if isinstance(source, Source) else 0
    return 0


def _read_chunk(config: CorpusConfig, chunk: list[Source | Rejected]) -> list[list[Post | Rejected]]:
    return [list(_read(source, config)) for source in chunk]


def _start_worker() -> None:
    """Leave Ctrl-C to the process that started this one, and end with it, however it ends."""
    import signal
    import threading
    from multiprocessing import parent_process

    def follow() -> None:
        if parent := parent_process():
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=follow, daemon=True).start()


def _read(source: Source | Rejected, config: CorpusConfig) -> Iterator[Post | Rejected]:
    if isinstance(source, Rejected):
        yield source
        return
    from textvae.readers import jsonl, lines, post, table
    from textvae.readers.records import Columns

    wanted = Columns(config.text_column, config.title_column, config.author_column, config.date_column,
                     config.id_column, config.label_columns)
    path, name, encoding = source.path, source.name, source.encoding
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
    except csv.Error as error:
        yield Rejected(name, f"cannot be read any further: {error}")


def _endings(config: CorpusConfig) -> list[tuple[str, str]]:
    pairs = []
    for setting in config.file_labels:
        ending, _, label = setting.partition(" ")
        if not ending or "=" not in label:
            raise ConfigError(f"corpus.file_labels: {setting!r} is not of the form 'ENDING KEY=VALUE'",
                              "such as '.0 sentiment=negative'")
        pairs.append((ending, label.strip()))
    return pairs


def _placed(item: Post, split: str, endings: list[tuple[str, str]], before: Container[str]) -> Post:
    labels = tuple(label for ending, label in endings if item.source.endswith(ending) and label not in item.labels)
    if not split and not labels:
        return item
    # Files of two splits may have one name; and there may be a folder called as a split, but no path has two slashes.
    identity = item.id if split in ("", "train") else f"{split}/{item.id}"
    if split and identity in before:
        identity = f"{split}//{item.id}"
    return replace(item, id=identity, split=split, labels=item.labels + labels)


def _distinct(posts: list[Post]) -> list[Post]:
    """The posts without texts met before, or without those that a split to be evaluated on holds."""
    rank = {"test": 0, "validation": 1, "train": 2, "": 2, BACKGROUND: 3}
    owner: dict[str, Post] = {}
    for item in sorted(posts, key=lambda item: rank[item.split]):  # stable: the first of a split stays
        owner.setdefault(item.text, item)
    return [item for item in posts if owner[item.text] is item or (item.split and owner[item.text].split == item.split)]


def _metrics(posts: list[Post], rejected: list[Rejected]) -> dict[str, Any]:
    aside = [item for item in posts if item.split == BACKGROUND]
    every, posts = posts, [item for item in posts if item.split != BACKGROUND]
    labels = Counter(label for item in posts for label in item.labels)
    reasons = Counter(item.reason for item in rejected)
    splits = Counter(item.split for item in every if item.split)
    return {
        "posts": len(posts),
        "words": sum(len(item.text.split()) for item in posts),
        **({"background_words": sum(len(item.text.split()) for item in aside)} if aside else {}),
        "characters": sum(len(item.text) for item in posts),
        "rejected": len(rejected),
        "empty": reasons["no text"],
        "rejected_reasons": dict(reasons.most_common(20)),
        "splits": dict(sorted(splits.items())),
        "authors": len({item.author for item in posts if item.author}),
        "labels": len(labels),
        "top_labels": dict(sorted(labels.items(), key=lambda pair: (-pair[1], pair[0]))[:TOP_LABELS]),
    }
