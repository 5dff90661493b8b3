"""Run records: which artefacts belong together, and which run is current."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from textvae import holding, manifests, pipeline, planning
from textvae.config import PipelineConfig, as_dict, parse
from textvae.errors import ConfigError, StoreError
from textvae.pipeline import Finished, Result
from textvae.planning import Planned
from textvae.progress import Progress
from textvae.store import Store
from textvae.workers import Workers

PROMISED = "promised"  # the number of a run between its record and its promotion
LINE = "promotions.json"  # the runs that were promoted one after the other, the current one last
GENERATES = "sequence_vae"  # a run with this stage can write texts, so it may become current
TRIES = 100  # to hold a run that is just being deleted, which takes moments: a second in all


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
        replaced: The run that was current when this one was recorded; None where there was none. ``line`` knows
            of later promotions.
        packages, python, commit: What made it.
        gate: What a retraining compared before it promoted this run or did not, for
            ``textvae.retraining``; empty where nothing was compared.
        origin: Of a run that came from elsewhere: ``{"from", "pipeline", "run", "imported", "left_out"}``.
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
    origin: dict[str, Any] = field(default_factory=dict)
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
class Rollback:
    """What ``rollback`` did: the run that was current, the one that is now, and those passed over as incomplete."""

    before: int
    now: int
    passed: tuple[int, ...]


@dataclass(frozen=True)
class Execution:
    """What ``execute`` did: the run that now holds these artefacts, whether it is new, and what each stage did."""

    run: Run
    recorded: bool
    result: Result


def execute(config: PipelineConfig, store: Store, *, until: str | None = None, force: tuple[str, ...] = (),
            device: str = "auto", precision: str = "auto", workers: Workers | None = None,
            progress: Progress | None = None, why: str = "") -> Execution:
    """Run what is stale, record the run and make it current.

    Nothing is recorded where the current run already holds the very same artefacts. A run that stops before the
    sequence VAE is recorded but does not become current, since nothing can be generated from it.

    Args:
        config, store, until, force, device, precision, workers, progress: As for ``pipeline.run``.
        why: Kept in the record.

    Raises:
        TextvaeError: As ``pipeline.run``.
    """
    started = manifests.now()
    with store.lock():
        settle(store)
        before, known = current(store), records(store)  # a damaged record is told before hours of training
        result = pipeline.run(config, store, until=until, force=force, held=before.held if before else None,
                              device=device, precision=precision, workers=workers, progress=progress)
        stages = facts_of(result)
        for run in (before, *known[-1:]):
            if run is not None and holds(run, stages):
                return Execution(run, False, result)
        run = record(config, store, result, why=why, started=started, promised=GENERATES in stages)
        if GENERATES in stages:
            _point(store, run)
    return Execution(run, True, result)


def facts_of(result: Result) -> dict[str, dict[str, Any]]:
    """What a record keeps of each stage of a result."""
    return {item.stage: {"key": item.key, "content": item.content, "ran": item.ran, "reason": item.reason,
                         "seconds": item.seconds, "metrics": item.metrics} for item in result.stages}


def record(config: PipelineConfig, store: Store, result: Result, *, why: str, started: str,
           gate: dict[str, Any] | None = None, promised: bool = False) -> Run:
    """Keep what a run made, under the lock and the next number; who reads still reads the run before.

    Args:
        promised: Whether it is made current next: where a kill comes between, ``settle`` makes up for it.
    """
    return add(store, Run(0, store.pipeline, facts_of(result), why, started, round(result.seconds, 3), as_dict(config),
                          result.device, None, **manifests.provenance(), gate=gate or {}), promised=promised)


def settle(store: Store) -> Run | None:
    """Under the lock, make the run current that a writer was killed before it could; gives it, None where all is well.

    A promise that cannot be read, or whose run was never recorded, is void.
    """
    path = store.folder / PROMISED
    if not path.is_file():
        return None
    said = path.read_text(encoding="utf-8", errors="replace").strip()
    if not said.isdecimal() or int(said) not in numbers(store):
        path.unlink()
        return None
    return promote(store, int(said))


def plan(config: PipelineConfig, store: Store, until: str | None = None, force: tuple[str, ...] = ()) -> list[Planned]:
    """Say what ``execute`` would do; as ``planning.plan``."""
    before = current(store)
    return planning.plan(config, store, until, force, held=before.held if before else None)


def add(store: Store, run: Run, *, promised: bool = False) -> Run:
    """Record a run under the next number, as what replaces the current one; its artefacts are there already.

    Raises:
        LockedError: Another process is writing.
    """
    with store.lock():
        settle(store)  # or this run would get what was promised to one that was never recorded
        known, before = numbers(store), current(store)
        own = replace(run, number=known[-1] + 1 if known else 1, pipeline=store.pipeline,
                      replaced=before.number if before else None)
        if promised:
            store.put_text(PROMISED, f"{own.number}\n")
        store.put(file_of(own.number), asdict(own))
    return own


def records(store: Store) -> list[Run]:
    """Every run record, oldest first.

    Raises:
        StoreError: One of them is damaged; the message names it.
    """
    found = []
    for number in numbers(store):
        try:
            found.append(read(store, number))
        except StoreError:
            if (store.folder / file_of(number)).exists():  # else it was pruned meanwhile
                raise
    return found


def read(store: Store, number: int) -> Run:
    """Read one run record.

    Raises:
        StoreError: There is no such run, or its record is damaged.
    """
    if number not in numbers(store):
        known = ", ".join(map(str, numbers(store))) or "none"
        raise StoreError(f"{store.pipeline} has no run {number}", f"its runs are: {known}")
    return Run(**store.get(file_of(number)))


def current(store: Store) -> Run | None:
    """The run that generation reads; None where there is none yet.

    Raises:
        StoreError: The pointer or the record is damaged.
    """
    path, before = store.folder / "current", ""
    remedy = f"set it anew with: {store.command('promote', 'RUN')}"
    while True:
        try:
            text = path.read_text(encoding="utf-8")
            return read(store, int(text))
        except FileNotFoundError:
            return None
        except StoreError as error:
            if text == before:
                raise StoreError(f"{path} names a run that cannot be read: {error.message}", remedy) from error
            before = text  # unless another run became current just now, and this one was pruned: once more
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} is damaged: it must hold the number of a run", remedy) from error


def latest(store: Store) -> Run | None:
    """The newest run, current or not; None where there is none."""
    known = numbers(store)
    return read(store, known[-1]) if known else None


def choose(store: Store, run: int | None = None) -> Run:
    """The current run, or the one with this number.

    Raises:
        StoreError: There is no such run, or none that generation can read.
    """
    chosen = read(store, run) if run is not None else current(store)
    if chosen is None:
        raise StoreError(f"{store.folder} has no finished run", f"make one with: {store.command('run')}")
    return chosen


@contextmanager
def reading(store: Store, run: int | None = None) -> Iterator[Run]:
    """Choose a run and hold it while it is read: pruning leaves it alone, and all that it needs.

    Args:
        store: Where.
        run: A run's number; the current run where None, or the one that is current by the time that it is held.

    Raises:
        StoreError: As ``choose``.
    """
    for _ in range(TRIES):
        chosen = choose(store, run)
        with holding.held(store.folder / file_of(chosen.number)) as here:
            if here:
                yield chosen
                return
        time.sleep(0.01)
    raise StoreError(f"run {chosen.number} of {store.pipeline} is being deleted", "try again, or read another run")


def shown(store: Store, run: int | None = None) -> Run:
    """As ``choose``, for looking at: the newest run where none is current yet."""
    newest = latest(store) if run is None and current(store) is None else None
    return newest or choose(store, run)


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
    type_ = planning.artefact_type(stage)
    with reading(store, run) as chosen:
        if stage not in chosen.stages:
            raise StoreError(f"run {chosen.number} of {store.pipeline} holds no {stage}: it has "
                             f"{', '.join(chosen.stages)}", remedy(store, chosen, stage))
        return store.load(stage, chosen.stages[stage]["key"], type_)


def remedy(store: Store, run: Run, stage: str) -> str:
    """What the user can do about a stage that a run lacks: what was left out where it came from cannot be made here."""
    return ("it came without its data, which are where it was trained" if stage in run.origin.get("left_out", ())
            else f"make it with: {store.command('run')}")


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
    with reading(store, run) as chosen:
        return chosen, _evaluate(store, chosen, overrides, device=device, precision=precision, progress=progress)


def _evaluate(store: Store, chosen: Run, overrides: tuple[str, ...], **options: Any) -> Finished:
    row = planning.stage("evaluation")
    left = [name for name in chosen.origin.get("left_out", ()) if name in row.inputs]
    lacks = (*left, *(name for name in row.inputs if name not in chosen.stages))
    if lacks:
        raise StoreError(f"run {chosen.number} of {store.pipeline} has no {lacks[0]}, which the evaluation reads",
                         remedy(store, chosen, lacks[0]))
    known = {"evaluation": chosen.config.get("evaluation", {}), "seed": chosen.config["seed"]}
    config = parse({"name": store.pipeline, **known}, overrides, where=f"run {chosen.number} of {store.pipeline}")
    return pipeline.make(config, store, row.name, {name: chosen.stages[name]["key"] for name in row.inputs}, **options)


def promote(store: Store, number: int) -> Run:
    """Make a run the current one, forwards or back.

    Raises:
        StoreError: There is no such run, it cannot generate, or one of its artefacts is gone.
        LockedError: Another process is writing.
    """
    read(store, number)  # before the lock, which makes the folder
    with store.lock():
        run = read(store, number)
        if GENERATES not in run.stages:
            raise StoreError(f"run {number} of {store.pipeline} stops before {GENERATES}, so nothing can be generated "
                             "from it", f"finish it with: {store.command('run')}")
        if gone := lost(store, run):
            raise StoreError(f"run {number} of {store.pipeline} is incomplete: {', '.join(gone)} is gone",
                             "promote another run")
        _point(store, run)
    return run


def rollback(store: Store) -> Rollback:
    """Make the run current that was so before the current one; one whose artefacts are gone is passed over.

    Raises:
        StoreError: No run is current, it replaced none, or nothing before it is whole.
        LockedError: Another process is writing.
    """
    choose(store)  # before the lock, which makes the folder
    with store.lock():
        now, passed = choose(store), list[int]()
        earlier, left = line(store, now), f"run {now.number} of {store.pipeline} replaced no other"
        for place, number in enumerate(earlier):
            if number not in numbers(store):
                left = f"run {number} of {store.pipeline} is gone"
                break
            if not (gone := lost(store, read(store, number))):
                _set_current(store, number)
                store.put(LINE, {"runs": earlier[place:][::-1]})
                return Rollback(now.number, number, tuple(passed))
            passed.append(number)
            left = f"run {number} of {store.pipeline} is incomplete: {', '.join(gone)} is gone"
    others = [str(run.number) for run in records(store) if run.number != now.number and GENERATES in run.stages
              and not lost(store, run)]
    raise StoreError(f"there is nothing to go back to: {left}",
                     f"promote one of: {', '.join(others)}" if others else "run again with older settings")


def line(store: Store, run: Run) -> list[int]:
    """The numbers of the runs that were promoted one after the other until a run was, the latest first.

    A promotion is written down before it happens and a rollback afterwards, so that what stands behind the current run
    is of one that was killed half-way. Before what is written down, and in an older store, each run's record counts.

    Raises:
        StoreError: The list of promotions is damaged.
    """
    latest = store.get(LINE)["runs"][::-1] if (store.folder / LINE).exists() else []
    found: list[int] = latest[latest.index(run.number) + 1:] if run.number in latest else []
    with suppress(StoreError):  # a record that is gone or damaged ends it, which whoever reads that one is told
        while (number := read(store, (found or [run.number])[-1]).replaced) is not None:
            found.append(number)
    return found


def lost(store: Store, run: Run) -> list[str]:
    """What of a run is no longer in the store, as ``stage/key``."""
    return sorted(f"{stage}/{key}" for stage, key in run.artefacts if not store.has(stage, key))


def numbers(store: Store) -> list[int]:
    """The numbers of all runs, oldest first."""
    return sorted(int(path.stem) for path in (store.folder / "runs").glob("*.json") if path.stem.isdigit())


def file_of(number: int) -> str:
    """The record of a run, for ``Store.get``."""
    return f"runs/{number:04d}.json"


def holds(run: Run, stages: dict[str, dict[str, Any]]) -> bool:
    """Whether a run is made of these very artefacts, as ``facts_of`` gives them."""
    return all(stage in run.stages and all(run.stages[stage][fact] == made[fact] for fact in ("key", "content"))
               for stage, made in stages.items())


def _point(store: Store, run: Run) -> None:
    """Make a run current, and keep after which one."""
    try:
        before = current(store)
        promoted = [*line(store, before)[::-1], before.number] if before else []
    except StoreError:  # the pointer or the list is damaged: written anew
        promoted = []
    if promoted[-1:] != [run.number]:
        promoted.append(run.number)
    store.put(LINE, {"runs": promoted})
    _set_current(store, run.number)


def _set_current(store: Store, number: int) -> None:
    store.put_text("current", f"{number}\n")
    (store.folder / PROMISED).unlink(missing_ok=True)
