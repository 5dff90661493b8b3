"""Run records: which artefacts belong together, which run is current, and what may be thrown away."""

import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from textvae import manifests, pipeline
from textvae.config import PipelineConfig, as_dict, parse
from textvae.errors import ConfigError, StoreError
from textvae.pipeline import Finished, Planned, Result
from textvae.progress import Progress
from textvae.store import Problem, Store

GENERATES = "sequence_vae"  # a run with this stage can write texts, so it may become current


@dataclass(frozen=True)
class Run:
    """One run record.

    Args:
        number: Counts up from 1; never used twice.
        pipeline: The pipeline's name.
        stages: stage -> ``{"key", "content", "ran", "reason", "seconds", "metrics"}``, in order.
        why: Why it was started, such as ``"retrain: 12 new posts"``; may be empty.
        started: UTC.
        seconds: How long it took.
        config: The settings, for ``textvae.config.parse``.
        device: What tensors were computed on; empty where none were.
        replaced: The run that was current when this one was recorded; None where there was none.
        packages, python, commit: What made it.
        gate: What a retraining compared before it promoted this run or did not, for
            ``textvae.retraining``; empty where nothing was compared.
    """

    number: int
    pipeline: str
    stages: dict[str, dict[str, Any]]
    why: str
    started: str
    seconds: float
    config: dict[str, Any]
    device: dict[str, Any]
    replaced: int | None
    packages: dict[str, str] = field(default_factory=dict)
    python: str = ""
    commit: str = ""
    gate: dict[str, Any] = field(default_factory=dict)

    @property
    def held(self) -> dict[str, str]:
        """stage -> key of its artefact."""
        return {stage: fact["key"] for stage, fact in self.stages.items()}

    @property
    def artefacts(self) -> set[tuple[str, str]]:
        """What it is made of, as (stage, key)."""
        return set(self.held.items())


@dataclass(frozen=True)
class Execution:
    """What ``execute`` did: the run that now holds these artefacts, whether it is new, and what each stage did."""

    run: Run
    recorded: bool
    result: Result


@dataclass(frozen=True)
class Pruned:
    """What ``prune`` removed, or would remove: runs, artefacts as (stage, key), leftover checkpoints, and bytes."""

    runs: tuple[int, ...]
    artefacts: tuple[tuple[str, str], ...]
    scratch: tuple[str, ...]
    bytes: int


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


def execute(config: PipelineConfig, store: Store, *, until: str | None = None, force: tuple[str, ...] = (),
            device: str = "auto", precision: str = "auto", progress: Progress | None = None,
            why: str = "") -> Execution:
    """Run what is stale, record the run and make it current.

    Nothing is recorded where the current run already holds the very same artefacts. A run that stops before the
    sequence VAE is recorded but does not become current, since nothing can be generated from it.

    Args:
        config, store, until, force, device, precision, progress: As for ``pipeline.run``.
        why: Kept in the record.

    Raises:
        TextvaeError: As ``pipeline.run``.
    """
    started = manifests.now()
    with store.lock():
        before, known = current(store), records(store)  # a damaged record is told before hours of training
        result = pipeline.run(config, store, until=until, force=force, held=before.held if before else None,
                              device=device, precision=precision, progress=progress)
        stages = facts_of(result)
        for run in (before, *known[-1:]):
            if run is not None and holds(run, stages):
                return Execution(run, False, result)
        run = record(config, store, result, why=why, started=started)
        if GENERATES in stages:
            _point(store, run)
    return Execution(run, True, result)


def facts_of(result: Result) -> dict[str, dict[str, Any]]:
    """What a record keeps of each stage of a result."""
    return {item.stage: {"key": item.key, "content": item.content, "ran": item.ran, "reason": item.reason,
                         "seconds": item.seconds, "metrics": item.metrics} for item in result.stages}


def record(config: PipelineConfig, store: Store, result: Result, *, why: str, started: str,
           gate: dict[str, Any] | None = None) -> Run:
    """Keep what a run made, under the lock and the next number; who reads still reads the run before."""
    before, known = current(store), _numbers(store)
    run = Run(known[-1] + 1 if known else 1, store.pipeline, facts_of(result), why, started, round(result.seconds, 3),
              as_dict(config), result.device, before.number if before else None, **manifests.provenance(),
              gate=gate or {})
    store.put(_name(run.number), asdict(run))
    return run


def plan(config: PipelineConfig, store: Store, until: str | None = None, force: tuple[str, ...] = ()) -> list[Planned]:
    """Say what ``execute`` would do; as ``pipeline.plan``."""
    before = current(store)
    return pipeline.plan(config, store, until, force, held=before.held if before else None)


def records(store: Store) -> list[Run]:
    """Every run record, oldest first.

    Raises:
        StoreError: One of them is damaged; the message names it.
    """
    return [read(store, number) for number in _numbers(store)]


def read(store: Store, number: int) -> Run:
    """Read one run record.

    Raises:
        StoreError: There is no such run, or its record is damaged.
    """
    if number not in _numbers(store):
        known = ", ".join(map(str, _numbers(store))) or "none"
        raise StoreError(f"{store.pipeline} has no run {number}", f"its runs are: {known}")
    return Run(**store.get(_name(number)))


def current(store: Store) -> Run | None:
    """The run that generation reads; None where there is none yet.

    Raises:
        StoreError: The pointer or the record is damaged.
    """
    path = store.folder / "current"
    try:
        text = path.read_text(encoding="utf-8")
        return read(store, int(text))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} is damaged: it must hold the number of a run",
                         f"set it anew with: textvae promote {store.pipeline} RUN") from error


def latest(store: Store) -> Run | None:
    """The newest run, current or not; None where there is none."""
    numbers = _numbers(store)
    return read(store, numbers[-1]) if numbers else None


def choose(store: Store, run: int | None = None) -> Run:
    """The current run, or the one with this number.

    Raises:
        StoreError: There is no such run, or none that generation can read.
    """
    chosen = read(store, run) if run is not None else current(store)
    if chosen is None:
        raise StoreError(f"{store.folder} has no finished run", f"make one with: textvae run {store.pipeline}")
    return chosen


def load(store: Store, stage: str, run: int | None = None) -> Any:
    """Read the artefact of a stage as a run holds it.

    Args:
        store: Where.
        stage: The stage's name.
        run: A run's number; the current run where None.

    Raises:
        ConfigError: There is no such stage.
        StoreError: There is no such run, it did not get as far as this stage, or the artefact is damaged.
    """
    chosen, type_ = choose(store, run), pipeline.artefact_type(stage)
    if stage not in chosen.stages:
        raise StoreError(f"run {chosen.number} of {store.pipeline} holds no {stage}: it has "
                         f"{', '.join(chosen.stages)}", f"make it with: textvae run {store.pipeline}")
    return store.load(stage, chosen.stages[stage]["key"], type_)


def evaluate(store: Store, run: int | None = None, overrides: tuple[str, ...] = (), *, device: str = "auto",
             precision: str = "auto", progress: Progress | None = None) -> tuple[Run, Finished]:
    """Measure a run as it stands, with other settings of the evaluation or by newer code; the run stays as it is.

    Args:
        store: Where.
        run: A run's number; the current run where None.
        overrides: ``"evaluation.key=value"`` each.
        device, precision, progress: As for ``pipeline.run``.

    Returns:
        The run, and the evaluation's artefact: a new one, or that of the run where nothing is different.

    Raises:
        ConfigError: A setting is unknown or not of the evaluation.
        StoreError: There is no such run, or it lacks a stage that the evaluation reads.
        TextvaeError: As ``pipeline.run``.
    """
    for own in overrides:
        if not own.startswith("evaluation."):
            raise ConfigError(f"--set {own}: a run is measured as it stands",
                              "only settings of evaluation can change here; for others: textvae run")
    chosen = choose(store, run)
    row = pipeline.stage("evaluation")
    missing = [name for name in row.inputs if name not in chosen.stages]
    if missing:
        raise StoreError(f"run {chosen.number} of {store.pipeline} has no {missing[0]}, which the evaluation reads",
                         f"make it with: textvae run {store.pipeline}")
    known = {"evaluation": chosen.config.get("evaluation", {}), "seed": chosen.config["seed"]}
    config = parse({"name": store.pipeline, **known}, overrides, where=f"run {chosen.number} of {store.pipeline}")
    return chosen, pipeline.make(config, store, row.name, {name: chosen.stages[name]["key"] for name in row.inputs},
                                 device=device, precision=precision, progress=progress)


def promote(store: Store, number: int) -> Run:
    """Make a run the current one, forwards or back.

    Raises:
        StoreError: There is no such run, it cannot generate, or one of its artefacts is gone.
        LockedError: Another process is writing.
    """
    with store.lock():
        run = read(store, number)
        if GENERATES not in run.stages:
            raise StoreError(f"run {number} of {store.pipeline} stops before {GENERATES}, so nothing can be generated "
                             "from it", f"finish it with: textvae run {store.pipeline}")
        gone = [f"{stage}/{key}" for stage, key in run.artefacts if not store.has(stage, key)]
        if gone:
            raise StoreError(f"run {number} of {store.pipeline} is incomplete: {', '.join(sorted(gone))} is gone",
                             "promote another run")
        _point(store, run)
    return run


def prune(store: Store, keep: int, dry_run: bool = False) -> Pruned:
    """Throw away all but the newest runs and the current one, and what only those thrown away need.

    Artefacts and checkpoints newer than the newest run stay: they belong to a run that is not finished.

    Args:
        store: Where.
        keep: How many of the newest runs stay; at least 1.
        dry_run: Only say what would go.

    Raises:
        ConfigError: keep is less than 1.
        StoreError: A run record is damaged, so that nobody can say what it needs; nothing is removed then.
    """
    if keep < 1:
        raise ConfigError(f"--keep must be at least 1, not {keep}")
    with store.lock():
        known, promoted = records(store), current(store)
        kept = [run for run in known if run in known[-keep:] or (promoted and run.number == promoted.number)]
        needed = {artefact for run in kept for artefact in run.artefacts}
        recorded = {artefact for run in known for artefact in run.artefacts}
        newest = known[-1].started if known else ""
        goes = [artefact for artefact in store.artefacts() if artefact not in needed
                and (artefact in recorded or _made(store, *artefact) < newest)]
        stale = [path for path in sorted((store.folder / "scratch").glob("*")) if _changed(path) < newest]
        pruned = Pruned(tuple(run.number for run in known if run not in kept), tuple(goes),
                        tuple(path.name for path in stale),
                        sum(_size(path) for path in (*(store.path(*artefact) for artefact in goes), *stale)))
        if not dry_run:
            # Records go first: a kill half-way leaves artefacts without a run, never a run without its artefacts.
            for number in pruned.runs:
                (store.folder / _name(number)).unlink()
            for artefact in goes:
                store.remove(*artefact)
            for path in stale:
                shutil.rmtree(path)
    return pruned


def verify(store: Store) -> list[Problem]:
    """Check every artefact and every run record; an empty list means that every byte is as it was written.

    Raises:
        StoreError: There is nothing to check.
    """
    if not store.folder.is_dir():
        raise StoreError(f"there is no {store.folder}", f"make it with: textvae run {store.pipeline}")
    problems = store.verify()
    for number in _numbers(store):
        path = store.folder / _name(number)
        try:
            run = read(store, number)
        except StoreError as error:
            problems.append(Problem(path, error.message.removeprefix(f"{path} ")))
            continue
        for stage, fact in run.stages.items():
            if not store.has(stage, fact["key"]):
                problems.append(Problem(path, f"needs {stage}/{fact['key']}, which is gone"))
    try:
        current(store)
    except StoreError as error:
        problems.append(Problem(store.folder / "current", error.message))
    return problems


def status(store: Store) -> Status:
    """Count what a pipeline's store holds; a pipeline that never ran has zeros."""
    promoted, numbers = current(store), _numbers(store)
    return Status(store.pipeline, str(store.folder), promoted.number if promoted else None,
                  numbers[-1] if numbers else None, len(numbers), len(store.artefacts()), _size(store.folder))


def holds(run: Run, stages: dict[str, dict[str, Any]]) -> bool:
    """Whether a run is made of these very artefacts, as ``facts_of`` gives them."""
    return all(stage in run.stages and all(run.stages[stage][fact] == made[fact] for fact in ("key", "content"))
               for stage, made in stages.items())


def _point(store: Store, run: Run) -> None:
    store.put_text("current", f"{run.number}\n")


def _numbers(store: Store) -> list[int]:
    return sorted(int(path.stem) for path in (store.folder / "runs").glob("*.json") if path.stem.isdigit())


def _name(number: int) -> str:
    return f"runs/{number:04d}.json"


def _changed(folder: Path) -> str:
    newest = max((path.stat().st_mtime for path in (folder, *folder.rglob("*"))), default=0.0)
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
