"""Runs that leave a store and come into one: packed, checked byte for byte, and visible only as a whole."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from textvae import catalogue, manifests, planning, runs
from textvae.errors import StoreError, TextvaeError
from textvae.runs import Run
from textvae.sharing.bundle import INDEX, Bundle, compared, dump, known_of, read, settings
from textvae.sharing.lean import DATA, is_reduced, lean
from textvae.store import Store

ASIDE = "import"  # below tmp/, which whoever locks the store next clears


class Target(Protocol):
    """Where a run goes."""

    name: str

    def put(self, name: str, source: BinaryIO) -> None: ...

    def finish(self, name: str, text: str) -> None: ...


class Source(Protocol):
    """Where a run comes from; nothing of it is trusted."""

    name: str

    def chunks(self, name: str) -> Iterator[bytes]: ...

    def expect(self, files: dict[str, dict[str, Any]], index: str) -> None: ...


@dataclass(frozen=True)
class Sent:
    """What left: of which run, how many files and bytes, and the stages that were left out."""

    pipeline: str
    run: int
    files: int
    bytes: int
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Received:
    """What came in: the run that now holds it, whether it is new, whether it is the current one, and what was mended.

    ``mended`` are the stages whose artefacts were damaged here.
    """

    run: Run
    recorded: bool
    current: bool
    mended: tuple[str, ...] = ()


def send(store: Store, target: Target, run: int | None = None, *, with_data: bool = False) -> Sent:
    """Write a run to a place: its artefacts first, then the index that names them.

    Args:
        store: Where it is.
        target: Where it goes.
        run: Its number; the current run where None.
        with_data: The posts as well, their tokens and latents, and the evaluation's sentences of the test split.

    Raises:
        StoreError: There is no such run, or a file of it is damaged, or made anew meanwhile.
        TextvaeError: The place cannot be written.
    """
    with runs.reading(store, run) as chosen, tempfile.TemporaryDirectory() as aside:
        bundle, folders = _pack(store, chosen, Path(aside), with_data)
        for stage, folder in folders.items():
            for file, fact in bundle.manifests[stage]["files"].items():
                with _as_written(folder / file, fact) as source:
                    target.put(bundle.place(stage, file), source)
        target.finish(INDEX, dump(bundle))
    return Sent(store.pipeline, chosen.number, len(bundle.files), bundle.bytes, bundle.left_out)


def receive(source: Source, root: Path, name: str = "", *, promote: bool = False) -> Received:
    """Take a run from a place into a store.

    Every name, size and hash is checked, and every artefact read once, before any of it becomes visible. Where a run
    holds the very same artefacts already, none is added, and those that are damaged here are put in their place.

    Args:
        source: Where it comes from.
        root: The store, such as ``models/``.
        name: What to call its pipeline; the name that it had where empty.
        promote: Make it the current run; it becomes that in any case where there is none.

    Raises:
        TextvaeError: It is damaged, not what textvae writes, or cannot go into this store.
    """
    bundle = read(source.chunks(INDEX), source.name)
    source.expect(bundle.files, INDEX)
    if promote and runs.GENERATES not in bundle.run.stages:
        raise StoreError(f"{source.name} holds no {runs.GENERATES}, so nothing can be generated from it",
                         "leave --promote out")
    store = Store(root, name or bundle.run.pipeline)
    with store.lock():
        mended = _take(source, store, bundle)
        if not (store.folder / catalogue.LAST).exists():
            store.put(catalogue.LAST, bundle.run.config | {"name": store.pipeline})
        held = [run for run in runs.records(store) if _stages(run) == _stages(bundle.run)]
        origin = {"from": source.name, "pipeline": bundle.run.pipeline, "run": bundle.run.number,
                  "imported": manifests.now(), "left_out": list(bundle.left_out)}
        run = held[-1] if held else runs.add(store, replace(bundle.run, origin=origin))
        before = runs.current(store)
        if promote or (before is None and runs.GENERATES in run.stages):
            before = runs.promote(store, run.number)
    return Received(run, not held, before is not None and before.number == run.number, mended)


def _pack(store: Store, run: Run, aside: Path, with_data: bool) -> tuple[Bundle, dict[str, Path]]:
    """The bundle of a run, and the folder of each of its artefacts."""
    made, folders, stages = {}, {}, {}
    for stage, fact in run.stages.items():
        if stage in DATA and not with_data:
            continue
        folder, manifest = store.path(stage, fact["key"]), store.manifest(stage, fact["key"])
        if is_reduced(stage, with_data=with_data):
            artefact = lean(store.load(stage, fact["key"], planning.artefact_type(stage)), with_data=with_data)
            folder = aside / stage
            folder.mkdir()
            artefact.save(folder)
            if (files := manifests.facts(folder)) != manifest["files"]:
                content = manifests.content(files)
                # Another key, so that no store ever takes it for the whole artefact.
                key = manifests.sha256(f"{fact['key']} {content}")[:16]
                manifest |= {"key": key, "files": files, "content": content}
        elif problems := store.check(stage, fact["key"]):
            raise StoreError(str(problems[0]), store.remedy(stage, fact["key"]))
        made[stage], folders[stage] = known_of(manifest), folder
        stages[stage] = fact | {"key": manifest["key"], "content": manifest["content"]}
    left_out = (*run.origin.get("left_out", ()), *(stage for stage in run.stages if stage not in stages))
    plain = settings(run.config, f"run {run.number} of {run.pipeline}")
    own = replace(run, pipeline=store.pipeline, stages=stages, config=plain, origin={},
                  gate=compared(run.gate))
    return Bundle(own, made, left_out), folders


@contextmanager
def _as_written(path: Path, fact: dict[str, Any]) -> Iterator[BinaryIO]:
    """A file whose bytes are those of its hash, open: whatever takes its place from now on, they are what is read."""
    changed = StoreError(f"{path} was made anew while the run was being copied", "export or push the run again")
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise changed from error
    with file:
        if hashlib.file_digest(file, "sha256").hexdigest() != fact["sha256"]:
            raise changed
        file.seek(0)
        yield file


def _take(source: Source, store: Store, bundle: Bundle) -> tuple[str, ...]:
    """Bring every artefact into the store that it lacks: all are checked before the first becomes visible.

    Returns:
        The stages whose artefacts were there, and damaged.
    """
    lacks = []
    for stage, manifest in bundle.manifests.items():
        key = manifest["key"]
        try:
            other = store.manifest(stage, key)["content"] != manifest["content"]
        except StoreError:  # there is none, or a damaged one
            other = False
        if other:
            raise StoreError(f"{store.folder} has another {stage} {key}: of the same settings, with other bytes",
                             "give the run a pipeline of its own with --name, or take another --store")
        if store.check(stage, key):
            lacks.append(stage)
    damaged = tuple(stage for stage in lacks if store.path(stage, bundle.manifests[stage]["key"]).exists())
    need = sum(fact["size"] for stage in lacks for fact in bundle.manifests[stage]["files"].values())
    if need > (free := shutil.disk_usage(store.folder).free):
        raise StoreError(f"{source.name} needs {need / 2**20:,.1f} MB, and {store.folder} has {free / 2**20:,.1f} free",
                         "make room (textvae prune) or use another --store")
    aside = store.folder / "tmp" / ASIDE
    try:
        for stage in lacks:
            (aside / stage).mkdir(parents=True)
            for file, fact in bundle.manifests[stage]["files"].items():
                _fetch(source, bundle.place(stage, file), aside / stage / file, fact)
            _try_to_load(source, stage, aside / stage)
        for stage in lacks:
            store.adopt(aside / stage, bundle.manifests[stage])
    except OSError as error:
        raise store.trouble(error, "write") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return damaged


def _fetch(source: Source, name: str, target: Path, fact: dict[str, Any]) -> None:
    """Copy one file, and stop at the first byte too many."""
    digest, left = hashlib.sha256(), fact["size"]
    with target.open("xb") as out:
        for piece in source.chunks(name):
            left -= len(piece)
            if left < 0:
                break
            digest.update(piece)
            out.write(piece)
    if left or digest.hexdigest() != fact["sha256"]:
        raise StoreError(f"{source.name}: {name} is damaged: its bytes are not those that its hash was taken of",
                         "export it again, or delete that file there and push it again")


def _try_to_load(source: Source, stage: str, folder: Path) -> None:
    try:
        planning.artefact_type(stage).load(folder)
    # What a stranger's file makes a reader raise cannot be foreseen; whatever it is, the file is not taken.
    except Exception as error:
        reason = error.message if isinstance(error, TextvaeError) else str(error) or type(error).__name__
        raise StoreError(f"{source.name}: this version of textvae cannot read its {stage}: "
                         f"{reason.replace(str(folder), stage)}", "import only what textvae exported") from error


def _stages(run: Run) -> dict[str, tuple[str, str]]:
    return {stage: (fact["key"], fact["content"]) for stage, fact in run.stages.items()}
