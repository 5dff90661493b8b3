"""Looking after a store: what may be thrown away, whether every byte is as written, and how much there is."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from textvae import holding, manifests, runs
from textvae.errors import ConfigError, StoreError
from textvae.store import Problem, Store

PINS = "pins.json"  # the runs that are never thrown away
GIVEN_UP = timedelta(days=14)  # whoever stops a run to try another one first comes back to it sooner


@dataclass(frozen=True)
class Pruned:
    """What ``prune`` removed, or would remove: runs, artefacts as (stage, key), leftover checkpoints, and bytes.

    ``reading`` are the runs that stay only because somebody is reading them.
    """

    runs: tuple[int, ...]
    artefacts: tuple[tuple[str, str], ...]
    scratch: tuple[str, ...]
    bytes: int
    reading: tuple[int, ...] = ()


@dataclass(frozen=True)
class Status:
    """Where a pipeline stands: its current and its newest run, how many there are, artefacts, and bytes on disk."""

    pipeline: str
    folder: str
    current: int | None
    latest: int | None
    runs: int
    artefacts: int
    bytes: int


def there(store: Store) -> None:
    """See that a pipeline's folder is there, which no command for looking or tidying makes.

    Raises:
        StoreError: It is not.
    """
    if not store.folder.is_dir():
        raise StoreError(f"there is no {store.folder}", f"make it with: {store.command('run')}")


def pinned(store: Store) -> frozenset[int]:
    """The runs that are never thrown away.

    Raises:
        StoreError: The list of them is damaged.
    """
    return frozenset(store.get(PINS)["runs"]) if (store.folder / PINS).exists() else frozenset()


def pin(store: Store, number: int, *, on: bool = True) -> bool:
    """Keep a run, and all that it needs, from being thrown away; or no longer.

    Returns:
        Whether that changed anything.

    Raises:
        StoreError: There is no such pipeline or run, or it is incomplete already.
        LockedError: Another process is writing.
    """
    there(store)
    with store.lock():
        before = pinned(store)
        if on and (gone := runs.lost(store, runs.read(store, number))):
            raise StoreError(f"run {number} of {store.pipeline} is incomplete: {', '.join(gone)} is gone",
                             "pin another run")
        after = before | {number} if on else before - {number}
        if not on and after == before:
            runs.read(store, number)  # a number that is no run's is a mistake
        if after != before:
            store.put(PINS, {"runs": sorted(after)})
    return after != before


def prune(store: Store, keep: int, dry_run: bool = False) -> Pruned:
    """Throw away all but the newest runs, the current and the pinned ones, and what only those thrown away need.

    A run that somebody is reading stays as well. What no run has recorded, artefacts and checkpoints, stays where it is
    newer than the newest run or than ``GIVEN_UP``: it belongs to a run that was stopped, which may yet go on.

    Args:
        store: Where.
        keep: How many of the newest runs stay; at least 1.
        dry_run: Only say what would go.

    Raises:
        ConfigError: keep is less than 1.
        StoreError: There is no such pipeline, or a run record is damaged, so that nobody can say what it needs; nothing
            is removed then.
        LockedError: Another process is writing.
    """
    if keep < 1:
        raise ConfigError(f"--keep must be at least 1, not {keep}")
    there(store)
    with store.lock():
        known, promoted, pins = runs.records(store), runs.current(store), pinned(store)
        stay = pins | {run.number for run in (*known[-keep:], promoted) if run}
        old = [run.number for run in known if run.number not in stay]
        # Records go first: a kill half-way leaves artefacts without a run, never a run without its artefacts. A run
        # whose record is held is being read: it stays with all that it needs.
        gone = [number for number in old if holding.delete(store.folder / runs.file_of(number), dry_run=dry_run)]
        needed = {artefact for run in known if run.number not in gone for artefact in run.artefacts}
        recorded = {artefact for run in known for artefact in run.artefacts}
        newest = known[-1].started if known else ""
        until = min(newest, (datetime.now(UTC) - GIVEN_UP).isoformat(timespec="microseconds"))
        goes = [artefact for artefact in store.artefacts() if artefact not in needed
                and (artefact in recorded or _made(store, *artefact) < until)]
        stale = [path for path in sorted((store.folder / "scratch").glob("*")) if _changed(path) < until]
        pruned = Pruned(tuple(gone), tuple(goes), tuple(path.name for path in stale),
                        sum(_size(path) for path in (*(store.path(*artefact) for artefact in goes), *stale)),
                        tuple(number for number in old if number not in gone))
        if not dry_run:
            for artefact in goes:
                store.remove(*artefact)
            for path in stale:
                manifests.discard(path)
    return pruned


def verify(store: Store) -> list[Problem]:
    """Check every artefact and every record; an empty list means that every byte is as it was written.

    Raises:
        StoreError: There is nothing to check.
    """
    there(store)
    problems = store.verify()
    for number in runs.numbers(store):
        path = store.folder / runs.file_of(number)
        try:
            run = runs.read(store, number)
        except StoreError as error:
            problems.append(Problem(path, error.message.removeprefix(f"{path} ")))
            continue
        for stage, fact in run.stages.items():
            if not store.has(stage, fact["key"]):
                problems.append(Problem(path, f"needs {stage}/{fact['key']}, which is gone"))
    looks: dict[str, Callable[[], Any]] = {"current": partial(runs.current, store)}
    looks |= {path.name: partial(store.get, path.name) for path in sorted(store.folder.glob("[!.]*.json"))}
    for name, look in looks.items():
        try:
            look()
        except StoreError as error:
            problems.append(Problem(store.folder / name, error.message.removeprefix(f"{store.folder / name} ")))
    return problems


def status(store: Store) -> Status:
    """Count what a pipeline's store holds; a pipeline that never ran has zeros."""
    promoted, known = runs.current(store), runs.numbers(store)
    return Status(store.pipeline, str(store.folder), promoted.number if promoted else None,
                  known[-1] if known else None, len(known), len(store.artefacts()), _size(store.folder))


def _changed(folder: Path) -> str:
    newest = max((path.lstat().st_mtime for path in (folder, *folder.rglob("*"))), default=0.0)
    return datetime.fromtimestamp(newest, UTC).isoformat(timespec="microseconds")


def _made(store: Store, stage: str, key: str) -> str:
    try:
        return str(store.manifest(stage, key)["made"])
    except StoreError:  # damaged, and no run needs it
        return ""


def _size(folder: Path) -> int:
    total = 0
    for name in manifests.files(folder):
        with suppress(OSError):  # a writer may take files away while a reader counts
            total += (folder / name).lstat().st_size
    return total
