"""Versioned folders of artefacts: written aside, synced, renamed, never edited, and verified whenever they are read.

``<root>/<pipeline>/<stage>/<key>/`` holds an artefact's files and ``manifest.json``; what is half done lies in
``scratch/`` (checkpoints, kept) and ``tmp/`` (copies being written, cleaned by whoever locks next).
"""

import errno
import json
import os
import shlex
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self, TypeVar

from textvae import manifests
from textvae.errors import LockedError, StoreError

RESERVED = ("scratch", "tmp", "runs")  # folders of a pipeline that are no stage's
MANIFEST = "manifest.json"
USUAL = Path("models")  # the root that commands take where --store names none
TRIES = 5  # to read what is being replaced: a writer would have to replace it every time


class Artefact(Protocol):
    """What a stage makes: any type of ``textvae.data``."""

    @property
    def metrics(self) -> dict[str, Any]: ...

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path) -> Self: ...


A = TypeVar("A", bound=Artefact)


class Problem(NamedTuple):
    """A file that is not as it was written, and what is wrong with it."""

    path: Path
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


class Store:
    """The artefacts and records of one pipeline.

    Args:
        root: The folder of all pipelines, such as ``models/``; made when something is first written.
        pipeline: The pipeline's name: a folder below root.

    Raises:
        StoreError: The name cannot be a folder's name.

    Example:
        >>> Store(Path("models"), "blog").has("tokens", "0123456789abcdef")
        False
    """

    def __init__(self, root: Path, pipeline: str) -> None:
        if not pipeline or pipeline.startswith(".") or set(pipeline) & set('/\\\0:*?"<>|\n'):
            raise StoreError(f"{pipeline!r} cannot be the name of a pipeline", "use letters, digits, - and _")
        self.root = Path(root)
        self.pipeline = pipeline
        self.folder = self.root / pipeline
        self._lock: Any = None

    def command(self, verb: str, *more: str, named: str = "") -> str:
        """A command on this pipeline, to be typed in the folder that this process works in.

        Args:
            verb: Which command.
            more: What stands behind the pipeline's name, as a shell takes it.
            named: The pipeline as the user named it; its name where empty.

        Example:
            >>> Store(Path("models"), "blog").command("promote", "2"), Store(Path("my models"), "blog").command("run")
            ('textvae promote blog 2', "textvae run blog --store 'my models'")
        """
        where = () if self.root.absolute() == USUAL.absolute() else ("--store", shlex.quote(str(self.root)))
        return " ".join(("textvae", verb, shlex.quote(named or self.pipeline), *more, *where))

    # Reading: never waits for a writer, never changes anything.

    def path(self, stage: str, key: str) -> Path:
        """The folder of an artefact, whether it exists or not."""
        return self.folder / stage / key

    def has(self, stage: str, key: str) -> bool:
        """Whether the artefact exists, which is when its manifest does."""
        return (self.path(stage, key) / MANIFEST).is_file()

    def keys(self, stage: str) -> list[str]:
        """The keys of a stage's artefacts, in alphabetical order."""
        return sorted(path.parent.name for path in (self.folder / stage).glob(f"*/{MANIFEST}"))

    def artefacts(self) -> list[tuple[str, str]]:
        """Every artefact as (stage, key)."""
        stages = sorted(path.name for path in self.folder.glob("*/") if path.name not in RESERVED)
        return [(stage, key) for stage in stages for key in self.keys(stage)]

    def manifest(self, stage: str, key: str) -> dict[str, Any]:
        """How an artefact came to be: config, inputs, seed, metrics, seconds, device, versions and its files.

        Raises:
            StoreError: There is no such artefact, or its manifest is damaged.
        """
        path = self.path(stage, key) / MANIFEST
        if not path.is_file():
            raise StoreError(f"{self.folder} holds no {stage} {key}", f"make it with: {self.command('run')}")
        try:
            return manifests.unseal(path, "")
        except StoreError as error:  # only now, since it reads every run's record
            raise StoreError(error.message, self.remedy(stage, key)) from error

    def load(self, stage: str, key: str, type_: type[A]) -> A:
        """Read an artefact after checking every byte of it.

        Args:
            stage, key: Which one.
            type_: Its class in ``textvae.data``.

        Raises:
            StoreError: It is missing, or a file of it is damaged, missing or extra; the message names the file.
        """
        for _ in range(TRIES):
            before, error = self._stamp(stage, key), None
            try:
                artefact = self._load(stage, key, type_)
            except StoreError as failed:
                error = failed
            # What was replaced or removed meanwhile may be read half and half: then it is read again.
            if before == self._stamp(stage, key) and not self._aside(stage, key, "old").exists():
                break
            time.sleep(0.01)
        if error:
            raise error
        return artefact

    def check(self, stage: str, key: str) -> list[Problem]:
        """Compare an artefact's files with its manifest; an empty list means that every byte is as written."""
        try:
            files = self.manifest(stage, key)["files"]
        except StoreError as error:
            return [Problem(self.path(stage, key) / MANIFEST, error.message)]
        folder = self.path(stage, key)
        problems = [Problem(folder / name, what) for name, fact in files.items()
                    if (what := manifests.difference(folder / name, fact))]
        extra = sorted(set(manifests.files(folder)) - set(files) - {MANIFEST})
        return problems + [Problem(folder / name, "is not part of the artefact") for name in extra]

    def verify(self) -> list[Problem]:
        """Check every artefact of the pipeline, and that no folder is without a manifest."""
        put_aside = list(self._put_aside())
        problems = [problem for stage, key in self.artefacts() for problem in self.check(stage, key)
                    if self.path(stage, key).exists()]  # what is pruned meanwhile is no problem
        bare = [path for path in sorted(self.folder.glob("*/*/"))
                if path.parent.name not in RESERVED and not (path / MANIFEST).is_file()]
        problems += [Problem(path / MANIFEST, "is missing") for path in bare
                     if path.exists() and not (path / MANIFEST).is_file()]  # nor is what is made anew
        return problems + [Problem(target, "was put aside by a writer that was killed; whoever writes next puts it "
                                           f"back, such as: {self.command('prune', '--keep', '9', '--dry-run')}")
                           for old, target in put_aside if old.exists() and not target.exists()]

    def get(self, name: str) -> dict[str, Any]:
        """Read a record that ``put`` wrote, such as ``runs/0001.json``.

        Raises:
            StoreError: It is missing or damaged.
        """
        return manifests.unseal(self.folder / name, "restore it from a backup, or remove it")

    def remedy(self, stage: str, key: str) -> str:
        """What the user can do about a damaged artefact: one that only runs from elsewhere hold cannot be made here."""
        origins = []
        for path in (self.folder / "runs").glob("*.json"):
            with suppress(StoreError, KeyError):
                record = self.get(f"runs/{path.name}")
                origins += [record["origin"]] if record["stages"][stage]["key"] == key else []
        return ("import it again, from where it came" if origins and all(origins)
                else f"make it anew with: {self.command('run', '--force', stage)}")

    # Writing: under the lock.

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep every other writer of this pipeline out; one thread may nest it.

        Raises:
            LockedError: Another process holds it; the message says which one and where.
            StoreError: The store cannot be written.
        """
        import filelock

        with self._writing("lock"):
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._lock is None:
                self._lock = filelock.FileLock(self.folder / ".lock", timeout=0)
            outermost = not self._lock.is_locked
            try:
                self._lock.acquire()
            except filelock.Timeout:
                raise LockedError(f"{self.folder} is being written by {self._holder()}",
                                  "wait until it ends, or use another --store") from None
        try:
            if outermost:
                with self._writing("tidy"):
                    self._recover()
                self._sign()
            yield
        finally:
            if outermost:
                with suppress(OSError):
                    (self.folder / ".lock.json").unlink()
            self._lock.release()

    def scratch(self, stage: str, key: str, *, empty: bool = False) -> Path:
        """An existing folder for checkpoints; it outlives a killed process and goes when the artefact is stored.

        Args:
            stage, key: Of what is being made.
            empty: Throw away what is in it.

        Raises:
            StoreError: It cannot be made, or emptied.
        """
        folder = self.folder / "scratch" / f"{stage}-{key}"
        with self._writing("make"):
            if empty and folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def write(self, stage: str, key: str, artefact: Artefact, *, replace: bool = False,
              **manifest: Any) -> dict[str, Any]:
        """Store an artefact: either all of it becomes visible at once, or nothing.

        Args:
            stage, key: Which one.
            artefact: What to save.
            replace: Put it in the place of an existing one where their bytes differ; else the existing one stays.
            manifest: Facts for the manifest, JSON values: config, inputs, seed, seconds, device and the like.

        Returns:
            The manifest of the artefact that is in the store now.

        Raises:
            LockedError: Another process is writing.
            StoreError: The disk is full or the folder cannot be written; nothing half done stays behind.
        """
        with self.lock(), self._writing("write"):
            if self.has(stage, key) and not replace:
                self._drop_scratch(stage, key)
                return self.manifest(stage, key)
            aside = self._aside(stage, key, "new")
            try:
                shutil.rmtree(aside, ignore_errors=True)
                aside.mkdir(parents=True)
                artefact.save(aside)
                files = manifests.facts(aside)
                if not self._same(stage, key, files, manifest.get("inputs")):
                    facts = {"stage": stage, "key": key, **manifest, "metrics": artefact.metrics,
                             "made": manifests.now(), **manifests.provenance(),
                             "content": manifests.content(files), "files": files}
                    (aside / MANIFEST).write_text(manifests.seal(facts), encoding="utf-8")
                    manifests.settle(aside)
                    self._swap(aside, stage, key)
            except OSError as error:  # put into words before the half artefact goes and its space is free again
                raise self.trouble(error, "write") from error
            finally:
                shutil.rmtree(aside, ignore_errors=True)
            self._drop_scratch(stage, key)
            return self.manifest(stage, key)

    def adopt(self, folder: Path, manifest: dict[str, Any]) -> None:
        """Make a folder on the same disk, whose files were checked, the artefact that its manifest tells of."""
        with self.lock(), self._writing("write"):
            (folder / MANIFEST).write_text(manifests.seal(manifest), encoding="utf-8")
            manifests.settle(folder)
            self._swap(folder, manifest["stage"], manifest["key"])

    def remove(self, stage: str, key: str) -> None:
        """Delete an artefact: it disappears at once, its files right after."""
        with self.lock(), self._writing("remove from"):
            gone = self._aside(stage, key, "gone")
            gone.parent.mkdir(exist_ok=True)
            self.path(stage, key).rename(gone)
            shutil.rmtree(gone)

    def put(self, name: str, record: dict[str, Any]) -> None:
        """Write a record as JSON with a seal, in one step; readers see the old one or the new one."""
        self.put_text(name, manifests.seal(record))

    def put_text(self, name: str, text: str) -> None:
        """Write a small file in one step."""
        with self.lock(), self._writing("write"):
            aside, path = self._aside("record", uuid.uuid4().hex, "new"), self.folder / name
            aside.mkdir(parents=True)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                (aside / "text").write_text(text, encoding="utf-8")
                manifests.settle(aside)
                (aside / "text").replace(path)
                manifests.sync(path.parent)
            finally:
                shutil.rmtree(aside, ignore_errors=True)

    def trouble(self, error: OSError, doing: str) -> StoreError:
        """Put a failed write into words: the folder, and how much space is left."""
        home = next(path for path in (self.folder, *self.folder.absolute().parents) if path.exists())
        free = shutil.disk_usage(home).free
        # numpy and HDF5 report a full disk without its number, so the space left decides.
        if error.errno in (errno.ENOSPC, errno.EDQUOT) or (error.errno is None and free < 2**20):
            return StoreError(f"the disk is full: cannot {doing} {self.folder}, {free / 2**20:,.1f} MB free",
                              "make room (textvae prune) or use another --store; nothing stored was lost")
        return StoreError(f"cannot {doing} {self.folder}: {error}", "check that the folder exists and is yours")

    def _load(self, stage: str, key: str, type_: type[A]) -> A:
        problems = self.check(stage, key)
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise StoreError(f"{problems[0]}{more}", self.remedy(stage, key))
        try:
            return type_.load(self.path(stage, key))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self.path(stage, key)} is whole but this version of textvae cannot read it: {error}",
                             self.remedy(stage, key)) from error

    def _stamp(self, stage: str, key: str) -> tuple[int, int] | None:
        """What tells whether an artefact was put in the place of another; None where there is none."""
        try:
            manifest = (self.path(stage, key) / MANIFEST).stat()
        except OSError:
            return None
        return manifest.st_ino, manifest.st_mtime_ns

    @contextmanager
    def _writing(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self.trouble(error, doing) from error

    def _aside(self, stage: str, key: str, kind: str) -> Path:
        return self.folder / "tmp" / f"{stage}={key}={kind}"

    def _same(self, stage: str, key: str, files: dict[str, Any], inputs: Any) -> bool:
        if not self.has(stage, key) or self.check(stage, key):
            return False
        manifest = self.manifest(stage, key)
        return bool(manifest["files"] == files and manifest.get("inputs") == inputs)

    def _swap(self, aside: Path, stage: str, key: str) -> None:
        target, old = self.path(stage, key), self._aside(stage, key, "old")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        try:
            aside.rename(target)
        except OSError:
            with suppress(OSError):  # there was none, or the next lock puts it back
                old.rename(target)
            raise
        manifests.sync(target.parent)
        manifests.sync(self.folder)
        shutil.rmtree(old, ignore_errors=True)

    def _recover(self) -> None:
        """Clean up after a writer that was killed; one that died between two renames gets its old artefact back."""
        for old, target in self._put_aside():
            old.rename(target)
        for aside in (self.folder / "tmp").glob("*"):
            manifests.discard(aside)

    def _put_aside(self) -> Iterator[tuple[Path, Path]]:
        """Artefacts that a writer took out of their place without putting others into it, and that place."""
        for old in (self.folder / "tmp").glob("*=*=old"):
            stage, _, key = old.name.removesuffix("=old").partition("=")
            if old.is_dir() and not self.path(stage, key).exists():
                yield old, self.path(stage, key)

    def _drop_scratch(self, stage: str, key: str) -> None:
        shutil.rmtree(self.folder / "scratch" / f"{stage}-{key}", ignore_errors=True)

    def _sign(self) -> None:
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": manifests.now()}
        with suppress(OSError):  # only a courtesy, and prune must be able to lock a full disk
            (self.folder / ".lock.json").write_text(json.dumps(holder), encoding="utf-8")

    def _holder(self) -> str:
        try:
            holder = json.loads((self.folder / ".lock.json").read_text(encoding="utf-8"))
            return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
        except (OSError, ValueError, KeyError):
            return "another process"
