"""Running the stages that must run, and storing what they make."""

import errno
import importlib
import json
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from textvae import catalogue, device, planning, seeds
from textvae.config import PipelineConfig, as_dict, parse
from textvae.errors import InputError, StoreError
from textvae.meter import Meter
from textvae.planning import Held, Planned, Stage, Start
from textvae.progress import Progress
from textvae.store import Store
from textvae.workers import Workers

LATE = 60.0  # seconds after which a shared folder shows what another machine has written: NFS keeps its lists as long


@dataclass(frozen=True)
class Finished:
    """One stage after a run.

    Args:
        stage, key: Which artefact.
        ran: Whether it ran now.
        reason: Why it ran.
        seconds: How long it took, now or when it ran; processes that were stopped in it count to their last checkpoint.
        content: The hash of the artefact's files.
        metrics: What it measured.
        usage: What it used now, as ``textvae.meter`` tells it; empty where it did not run.
    """

    stage: str
    key: str
    ran: bool
    reason: str
    seconds: float
    content: str
    metrics: dict[str, Any]
    usage: dict[str, Any]


@dataclass(frozen=True)
class Result:
    """What a run did.

    Args:
        stages: What became of each, in order.
        seconds: How long it took in all.
        planning: The seconds of it that it took to see what is stale: hashing the corpus and reading manifests.
        device: What tensors were computed on; empty where none were.
    """

    stages: tuple[Finished, ...]
    seconds: float
    planning: float
    device: dict[str, Any]

    @property
    def ran(self) -> tuple[str, ...]:
        """The stages that ran."""
        return tuple(finished.stage for finished in self.stages if finished.ran)


def run(config: PipelineConfig, store: Store, *, until: str | None = None, force: tuple[str, ...] = (),
        start: Start | None = None, held: Held | None = None, device: str = "auto", precision: str = "auto",
        workers: Workers | None = None, progress: Progress | None = None) -> Result:
    """Bring a pipeline's artefacts up to date: run the stages whose artefact is not there.

    A stage that is interrupted leaves its checkpoints, and the next run goes on from them.

    Args:
        config, store, until, force, start, held: As for ``plan``.
        device: ``"auto"``, ``"cpu"`` or ``"gpu"``.
        precision: ``"auto"``, ``"float32"`` or ``"bfloat16"``. Like the device it is told in the manifests of what is
            made now, and makes nothing stale.
        workers: The processes that train together, of which this is the first one; the others call ``join``.
        progress: Who is told.

    Raises:
        TextvaeError: A setting, an input or the store is wrong, another process holds the store (LockedError), there
            is no GPU and one was asked for, or another worker is gone.
    """
    started = time.monotonic()
    with store.lock():
        chain = planning.chain(config, store, until, force, start, held)
        planned = planning.judge(chain, store, force)
        planned_in = time.monotonic() - started
        catalogue.remember(config, store)
        runner = _Runner(config, store, (device, precision), progress or Progress(), workers)
        # A GPU or a worker that is not there is told at once, not after the corpus has been read.
        if workers is not None or (device == "gpu" and any(
                runner.settled(item.stage).tensors for item in planned if item.state == "to run")):
            runner.start_device()
        finished: list[Finished] = []
        while (done := len(finished)) < len(chain):
            if planning.stranded(store, *chain[done]):  # since a stage before it came out different just now
                chain = planning.chain(config, store, until, force, start, held, chain[:done])
                planned = planned[:done] + planning.judge(chain[done:], store, force)
            made = runner.finish(planned[done], chain[done][1])
            if made.stage == "corpus" and (own := planning.stand_in(store, made.key, held)) != made.key:
                made = replace(made, key=own, metrics=store.manifest("corpus", own)["metrics"])
                chain = planning.chain(config, store, until, force, start, held, [(own, chain[0][1])])
                planned = planned[:1] + planning.judge(chain[1:], store, force)
            finished.append(made)
        runner.dismiss()
    return Result(tuple(finished), time.monotonic() - started, planned_in, runner.describe())


def join(config: PipelineConfig, store: Store, workers: Workers, *, device: str = "auto", precision: str = "auto",
         progress: Progress | None = None) -> tuple[str, ...]:
    """Train along with the first worker until it has ended; nothing is written.

    Args:
        config, device, precision, progress: As for ``run``; of the settings those of the first worker count.
        store: The folder that the first worker writes, which this one reads.
        workers: The processes that train together, of which this is not the first one.

    Returns:
        The stages that it trained.

    Raises:
        TextvaeError: The first worker is gone, the folder is another one, or as ``run``.
    """
    runner = _Runner(config, store, (device, precision), progress or Progress(), workers)
    runner.start_device()
    trained: list[str] = []
    while news := runner.devices.tell({}):
        runner.help(news)
        trained.append(news["stage"])
    return tuple(trained)


def make(config: PipelineConfig, store: Store, name: str, inputs: dict[str, str], *, device: str = "auto",
         precision: str = "auto", progress: Progress | None = None) -> Finished:
    """Make the artefact of one stage from given artefacts, whatever the corpus is by now; kept if it is there.

    Args:
        config: The settings; of them only the stage's own section and the seed count.
        store: Where the inputs are, and where it goes.
        name: The stage.
        inputs: stage -> key of what it takes.
        device, precision, progress: As for ``run``.

    Raises:
        TextvaeError: As ``run``.
    """
    key, facts = planning.link(planning.stage(name), config, inputs)
    with store.lock():
        (item,) = planning.judge([(key, facts)], store, ())
        return _Runner(config, store, (device, precision), progress or Progress()).finish(item, facts)


class _Runner:
    """Finishes one planned stage after the other."""

    def __init__(self, config: PipelineConfig, store: Store, choice: tuple[str, str], progress: Progress,
                 workers: Workers | None = None) -> None:
        self.config, self.store, self.choice, self.progress, self.workers = config, store, choice, progress, workers
        self.device: Any = None  # a textvae.device.Device, once one was needed
        self.devices: Any = None  # a textvae.distribution.Devices, where there are several

    def start_device(self) -> None:
        from textvae import distribution

        if self.device is None:
            choice, precision = self.choice
            self.device = device.use(choice, precision=precision)
            if self.workers is not None:
                self.progress.say(f"worker {self.workers.index} of {len(self.workers.hosts)}: waiting for the others")
            self.devices = distribution.start(self.device, self.workers)

    def dismiss(self) -> None:
        """Tell the other workers that this was all."""
        if self.devices is not None:
            self.devices.tell({})

    def help(self, news: dict[str, Any]) -> None:
        """Train what the first worker trains; what comes of it is there and not here."""
        self.config, row = parse(news["config"]), planning.stage(news["stage"])
        self.progress.say(f"{row.name}: training along")
        inputs = [self._awaited(name, **told) for name, told in news["inputs"].items()]
        with tempfile.TemporaryDirectory() as scratch:
            self._work(row, inputs, Meter(self.progress), news, Path(scratch))

    def _awaited(self, name: str, key: str, content: str) -> Any:
        """An artefact that the first worker has made; a file system over a network may show it a little later.

        A store of this worker's own may hold one of the same settings, with other bytes.
        """
        until = time.monotonic() + LATE
        while not self.store.has(name, key) or self.store.manifest(name, key)["content"] != content:
            if time.monotonic() > until:
                raise StoreError(f"{self.store.folder} holds no {name} {key} such as the first worker has",
                                 "give every worker the same --store, in a folder that all of them see")
            time.sleep(0.1)
        return self.store.load(name, key, planning.artefact_type(name))

    def settled(self, name: str) -> Stage:
        """A row of the table that says whether its stage computes on the device with this config."""
        row = planning.stage(name)
        if row.tensors is not None:
            return row
        module = importlib.import_module(f"textvae.stages.{name}")
        return replace(row, tensors=module.on_device(getattr(self.config, name), self.choice[0]))

    def describe(self) -> dict[str, Any]:
        """The device, and where several train together, how many."""
        return {**(self.device.describe() if self.device else {}), **(self.devices.describe() if self.devices else {})}

    def finish(self, item: Planned, facts: dict[str, Any]) -> Finished:
        reason = item.reason if item.state == "to run" else planning.outdated(item, self.store, ())
        if reason:
            manifest, usage, before = self._run(item, facts, reason)
        else:
            manifest, usage, before = self.store.manifest(item.stage, item.key), {}, 0.0
        return Finished(item.stage, item.key, bool(reason), reason, usage.get("seconds", manifest["seconds"]) + before,
                        manifest["content"], manifest["metrics"], usage)

    def _run(self, item: Planned, facts: dict[str, Any], reason: str) -> tuple[dict[str, Any], dict[str, Any], float]:
        """The manifest of what was made, what was used for it, storing it included, and the seconds that processes
        before this one put into it."""
        device.give_freed()  # what a stage before kept would count for this one's peak
        row, store, meter = self.settled(item.stage), self.store, Meter(self.progress)
        self.progress.say(f"{row.name}: {reason}")
        # Inputs always come from the store, even those made a moment ago, so that a resumed run sees the same bytes.
        with meter.part("load inputs"):
            inputs = [store.load(name, key, planning.artefact_type(name)) for name, key in item.inputs.items()]
        made_from = {name: {"key": key, "content": store.manifest(name, key)["content"]}
                     for name, key in item.inputs.items()}
        if row.tensors:
            with meter.part("start the backend"):
                self.start_device()
        if row.shared and self.devices is not None:
            self.devices.tell({"stage": row.name, "inputs": made_from, "start": facts.get("start"),
                               "config": as_dict(self.config)})
        earlier = [store.manifest(name, facts["start"][name])["content"]
                   for name in (planning.EARLIER if facts.get("start") else ())]
        scratch, before = _begin(store, item, [*(own["content"] for own in made_from.values()), *earlier])
        started = time.monotonic()
        with meter.part("work"):
            artefact = self._work(row, inputs, meter, facts, scratch)
        seconds = round(time.monotonic() - started, 3)
        used = self._usage(row, meter, seconds)
        with meter.part("store"):
            manifest = store.write(
                row.name, item.key, artefact, replace=True, version=row.version,
                config=as_dict(getattr(self.config, row.name)), seed=self.config.seed, inputs=made_from,
                fingerprint=facts.get("fingerprint", ""), start=facts.get("start"), cold=facts.get("cold", item.key),
                reason=reason, seconds=round(before + seconds, 3),
                device=self._of(row), usage=used)
        return manifest, self._usage(row, meter, seconds), before

    def _of(self, row: Stage) -> dict[str, Any]:
        if not row.tensors:
            return {"kind": "cpu"}
        return self.describe() if row.shared else dict(self.device.describe())

    def _work(self, row: Stage, inputs: list[Any], meter: Meter, facts: dict[str, Any], scratch: Path) -> Any:
        if row.tensors:
            self.device.forget_peak_memory()
        section = getattr(self.config, row.name)
        module = importlib.import_module(f"textvae.stages.{row.name}")
        more = {"start": self._start(facts["start"])} if facts.get("start") else {}
        if row.shared and self.devices is not None:
            more["devices"] = self.devices
        try:
            artefact = module.run(section, *inputs, seed=seeds.child(self.config.seed, row.name), progress=meter,
                                  scratch=scratch, **more)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise self.store.trouble(error, "write") from error
            raise
        if row.name == "corpus" and module.fingerprint(section) != facts["fingerprint"]:
            raise InputError(f"the corpus {section.path} changed while it was being read", "run again")
        return artefact

    def _start(self, facts: dict[str, Any]) -> Any:
        """What a stage goes on from, a ``textvae.data.Start``."""
        from textvae.data import Start as Loaded

        before = {name: self.store.load(name, facts[name], planning.artefact_type(name)) for name in planning.EARLIER}
        return Loaded(before["sequence_vae"], before["tokens"], facts["epochs"], facts["replay"],
                      tuple(facts["fresh"]))

    def _usage(self, row: Stage, meter: Meter, seconds: float) -> dict[str, Any]:
        """What the meter tells, tokens per second of work, and the GPU's memory; never part of an artefact's key."""
        used = meter.usage()
        rate = round(used["tokens"] / seconds) if used["tokens"] and seconds else None
        gpu = self.device.peak_memory() if row.tensors else None
        return {**used, "tokens_per_second": rate, "gpu_peak_memory": gpu}


def _begin(store: Store, item: Planned, contents: list[str]) -> tuple[Path, float]:
    """The folder for a stage's checkpoints, with a note that it begins to work, and the seconds that processes that
    were stopped before have put into what it finds there: from their beginning to the last checkpoint. What was made
    from other contents, or nobody knows from which, has gone: a forced stage before it keeps its key.
    """
    scratch, spent, goes_on = store.scratch(item.stage, item.key), 0.0, False
    mark = scratch / ".began.json"
    with suppress(OSError, ValueError, KeyError):  # there is none, or a kill left half of one
        told = json.loads(mark.read_text(encoding="utf-8"))
        goes_on = told["contents"] == contents
        last = max((path.stat().st_mtime for path in scratch.rglob("*") if path != mark), default=0.0)
        spent = told["before"] + max(0.0, last - told["began"])
    if not goes_on:
        scratch, spent = store.scratch(item.stage, item.key, empty=True), 0.0
    with suppress(OSError):  # of a full disk the stage tells, and in better words
        mark.write_text(json.dumps({"before": spent, "began": time.time(), "contents": contents}), encoding="utf-8")
    return scratch, spent
