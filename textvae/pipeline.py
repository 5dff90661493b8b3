"""The stages in order, what of them must run and why, and running it."""

import difflib
import errno
import importlib
import json
import time
from dataclasses import dataclass, replace
from typing import Any

from textvae import catalogue, manifests, seeds
from textvae.config import PipelineConfig, as_dict
from textvae.errors import ConfigError, InputError, StoreError
from textvae.meter import Meter
from textvae.progress import Progress
from textvae.store import Store


@dataclass(frozen=True)
class Stage:
    """One row of the table.

    Args:
        name: Its module in ``textvae.stages``, its section of the config, its folder in the store.
        inputs: The stages whose artefacts it takes, in the order of its arguments.
        artefact: The class in ``textvae.data`` that it makes; a word, so that nothing heavy is imported.
        tensors: Whether it computes on the device; None where its settings decide, which its module's ``on_device``
            reads.
        version: Raised when its code makes something else from the same inputs.
        warm: Whether it can go on from what an earlier run left.
    """

    name: str
    inputs: tuple[str, ...]
    artefact: str
    tensors: bool | None = True
    version: int = 1
    warm: bool = False


STAGES: tuple[Stage, ...] = (
    Stage("corpus", (), "Corpus", tensors=False),
    Stage("tokens", ("corpus",), "Tokens", tensors=False),
    Stage("word_vectors", ("tokens",), "WordVectors", tensors=None, version=2),
    Stage("embedding_vae", ("word_vectors",), "CompressedVectors"),
    Stage("sequence_vae", ("tokens", "word_vectors", "embedding_vae"), "TrainedNetwork", version=4,
          warm=True),
    Stage("latents", ("tokens", "sequence_vae"), "Latents"),
    Stage("latent_transformer", ("tokens", "latents"), "TrainedNetwork"),
    Stage("word_transformer", ("tokens", "embedding_vae"), "TrainedNetwork", version=3),
    Stage("language_model", ("tokens", "sequence_vae"), "TrainedNetwork", version=2),
    Stage("autoencoder", ("tokens", "sequence_vae"), "TrainedNetwork", version=2),
    Stage("evaluation", ("tokens", "embedding_vae", "sequence_vae", "latents", "latent_transformer",
                         "word_transformer", "language_model", "autoencoder"), "Evaluation", version=5),
)

# Settings that no artefact depends on. The paths are here because the corpus key holds a fingerprint of the names and
# contents that they lead to, so that a folder may move; logs for TensorBoard change nothing that is stored.
UNKEYED = {"corpus": {"path", "validation", "test"}, "sequence_vae": {"tensorboard"}}


Held = dict[str, str]  # stage -> key of what a run holds


@dataclass(frozen=True)
class Start:
    """What the sequence VAE goes on from, in the place of fresh weights; part of its key.

    Args:
        sequence_vae, tokens: Keys of the earlier artefacts.
        epochs, replay, fresh: As for ``textvae.data.Start``.
    """

    sequence_vae: str
    tokens: str
    epochs: int
    replay: float = 1.0
    fresh: tuple[str, ...] = ()


@dataclass(frozen=True)
class Planned:
    """One stage of a plan.

    Args:
        stage: Its name.
        key: What the artefact is called in the store.
        inputs: stage -> key of what it takes.
        state: ``"done"`` or ``"to run"``.
        reason: Why it must run, in words; empty where it is done. A stage that is done runs all the same where a
            forced stage before it comes out different.
    """

    stage: str
    key: str
    inputs: dict[str, str]
    state: str
    reason: str


@dataclass(frozen=True)
class Finished:
    """One stage after a run.

    Args:
        stage, key: Which artefact.
        ran: Whether it ran now.
        reason: Why it ran.
        seconds: How long it took, now or when it ran.
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


def stage(name: str) -> Stage:
    """Look a stage up.

    Raises:
        ConfigError: There is none of this name; the closest is suggested.
    """
    known = {row.name: row for row in STAGES}
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        raise ConfigError(f"there is no stage {name!r}",
                          f"did you mean {close[0]}?" if close else f"the stages are: {', '.join(known)}")
    return known[name]


def artefact_type(name: str) -> Any:
    """The class of ``textvae.data`` that a stage makes."""
    return getattr(importlib.import_module("textvae.data"), stage(name).artefact)


def plan(config: PipelineConfig, store: Store, until: str | None = None, force: tuple[str, ...] = (), *,
         start: Start | None = None, held: Held | None = None) -> list[Planned]:
    """Say what a run would do; nothing is run, loaded or written.

    Args:
        config: The settings.
        store: Where the artefacts are.
        until: Stop at this stage: only it and what it needs are planned.
        force: Stages to run although their artefacts exist.
        start: What the sequence VAE goes on from.
        held: The artefacts of a run whose word counts: where its sequence VAE went on from an earlier one, and else
            has these settings and inputs, it is not trained again from nothing.

    Raises:
        ConfigError: An unknown stage.
        InputError: The corpus cannot be found or read.
        StoreError: A manifest is damaged.
    """
    return _judge(_chain(config, store, until, force, start, held), store, force)


def run(config: PipelineConfig, store: Store, *, until: str | None = None, force: tuple[str, ...] = (),
        start: Start | None = None, held: Held | None = None, device: str = "auto", precision: str = "auto",
        progress: Progress | None = None) -> Result:
    """Bring a pipeline's artefacts up to date: run the stages whose artefact is not there.

    A stage that is interrupted leaves its checkpoints, and the next run goes on from them.

    Args:
        config, store, until, force, start, held: As for ``plan``.
        device: ``"auto"``, ``"cpu"`` or ``"gpu"``.
        precision: ``"auto"``, ``"float32"`` or ``"bfloat16"``. Like the device it is told in the manifests of what is
            made now, and makes nothing stale.
        progress: Who is told.

    Raises:
        TextvaeError: A setting, an input or the store is wrong, another process holds the store (LockedError), or
            there is no GPU and one was asked for.
    """
    started = time.monotonic()
    with store.lock():
        chain = _chain(config, store, until, force, start, held)
        planned = _judge(chain, store, force)
        planning = time.monotonic() - started
        catalogue.remember(config, store)
        runner = _Runner(config, store, (device, precision), progress or Progress())
        # A GPU that is not there is told at once, not after the corpus has been read.
        if device == "gpu" and any(runner.settled(item.stage).tensors for item in planned if item.state == "to run"):
            runner.start_device()
        finished = tuple(runner.finish(item, facts) for item, (_, facts) in zip(planned, chain, strict=True))
    return Result(finished, time.monotonic() - started, planning, runner.describe())


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
    key, facts = _link(stage(name), config, inputs)
    with store.lock():
        (item,) = _judge([(key, facts)], store, ())
        return _Runner(config, store, (device, precision), progress or Progress()).finish(item, facts)


class _Runner:
    """Finishes one planned stage after the other."""

    def __init__(self, config: PipelineConfig, store: Store, choice: tuple[str, str], progress: Progress) -> None:
        self.config, self.store, self.choice, self.progress = config, store, choice, progress
        self.device: Any = None  # a textvae.device.Device, once one was needed

    def start_device(self) -> None:
        from textvae import device

        choice, precision = self.choice
        self.device = self.device or device.use(choice, precision=precision)

    def settled(self, name: str) -> Stage:
        """A row of the table that says whether its stage computes on the device with this config."""
        row = stage(name)
        if row.tensors is not None:
            return row
        module = importlib.import_module(f"textvae.stages.{name}")
        return replace(row, tensors=module.on_device(getattr(self.config, name), self.choice[0]))

    def describe(self) -> dict[str, Any]:
        return self.device.describe() if self.device else {}

    def finish(self, item: Planned, facts: dict[str, Any]) -> Finished:
        reason = item.reason if item.state == "to run" else _outdated(item, self.store, ())
        if reason:
            manifest, usage = self._run(item, facts, reason)
        else:
            manifest, usage = self.store.manifest(item.stage, item.key), {}
        return Finished(item.stage, item.key, bool(reason), reason, usage.get("seconds", manifest["seconds"]),
                        manifest["content"], manifest["metrics"], usage)

    def _run(self, item: Planned, facts: dict[str, Any], reason: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The manifest of what was made, and what was used for it, storing it included."""
        row, store, meter = self.settled(item.stage), self.store, Meter(self.progress)
        self.progress.say(f"{row.name}: {reason}")
        # Inputs always come from the store, even those made a moment ago, so that a resumed run sees the same bytes.
        with meter.part("load inputs"):
            inputs = [store.load(name, key, artefact_type(name)) for name, key in item.inputs.items()]
        made_from = {name: {"key": key, "content": store.manifest(name, key)["content"]}
                     for name, key in item.inputs.items()}
        if row.tensors:
            with meter.part("start the backend"):
                self.start_device()
        started = time.monotonic()
        with meter.part("work"):
            artefact = self._work(row, item.key, inputs, meter, facts)
        seconds = round(time.monotonic() - started, 3)
        used = self._usage(row, meter, seconds)
        with meter.part("store"):
            manifest = store.write(
                row.name, item.key, artefact, replace=True, version=row.version,
                config=as_dict(getattr(self.config, row.name)), seed=self.config.seed, inputs=made_from,
                fingerprint=facts.get("fingerprint", ""), start=facts.get("start"), cold=facts.get("cold", item.key),
                reason=reason, seconds=seconds,
                device=self.describe() if row.tensors else {"kind": "cpu"}, usage=used)
        return manifest, self._usage(row, meter, seconds)

    def _work(self, row: Stage, key: str, inputs: list[Any], meter: Meter, facts: dict[str, Any]) -> Any:
        if row.tensors:
            self.device.forget_peak_memory()
        section = getattr(self.config, row.name)
        module = importlib.import_module(f"textvae.stages.{row.name}")
        more = {"start": self._start(facts["start"])} if facts.get("start") else {}
        try:
            artefact = module.run(section, *inputs, seed=seeds.child(self.config.seed, row.name), progress=meter,
                                  scratch=self.store.scratch(row.name, key), **more)
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

        before = {name: self.store.load(name, facts[name], artefact_type(name)) for name in ("sequence_vae", "tokens")}
        return Loaded(before["sequence_vae"], before["tokens"], facts["epochs"], facts["replay"],
                      tuple(facts["fresh"]))

    def _usage(self, row: Stage, meter: Meter, seconds: float) -> dict[str, Any]:
        """What the meter tells, tokens per second of work, and the GPU's memory; never part of an artefact's key."""
        used = meter.usage()
        rate = round(used["tokens"] / seconds) if used["tokens"] and seconds else None
        gpu = self.device.peak_memory() if row.tensors else None
        return {**used, "tokens_per_second": rate, "gpu_peak_memory": gpu}


def _chain(config: PipelineConfig, store: Store, until: str | None, force: tuple[str, ...], start: Start | None,
           held: Held | None) -> list[tuple[str, dict[str, Any]]]:
    """The key of every wanted stage, and the facts that it is the hash of, in order."""
    wanted = {row.name for row in STAGES}
    if until is not None:
        wanted = {stage(until).name}
        for row in reversed(STAGES):
            wanted |= set(row.inputs) if row.name in wanted else set()
    for name in force:
        if stage(name).name not in wanted:
            raise ConfigError(f"stage {name} is forced, but --until {until} does not need it", "leave one of them out")
    chain: dict[str, tuple[str, dict[str, Any]]] = {}
    for row in (row for row in STAGES if row.name in wanted):
        key, facts = _link(row, config, {name: chain[name][0] for name in row.inputs})
        if row.warm:
            begin = as_dict(start) if start else None if row.name in force else _began(store, row.name, key, held)
            if begin:
                facts |= {"start": begin, "cold": key}
                key = _hashed(facts)
        chain[row.name] = key, facts
    return list(chain.values())


def _began(store: Store, name: str, key: str, held: Held | None) -> dict[str, Any] | None:
    """What a run's artefact went on from, if that is all it differs in from the one of this key."""
    own = (held or {}).get(name)
    if own is None or not store.has(name, own):
        return None
    manifest = store.manifest(name, own)
    begin: dict[str, Any] | None = manifest.get("start") if manifest.get("cold") == key else None
    return begin


def _link(row: Stage, config: PipelineConfig, inputs: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """The key of one stage, made from inputs of these keys, and the facts that it is the hash of."""
    section = getattr(config, row.name)
    kept = {name: value for name, value in as_dict(section).items() if name not in UNKEYED.get(row.name, ())}
    facts = {"stage": row.name, "version": row.version, "config": kept, "seed": config.seed, "inputs": inputs}
    if row.name == "corpus":
        facts["fingerprint"] = importlib.import_module("textvae.stages.corpus").fingerprint(section)
    return _hashed(facts), facts


def _hashed(facts: dict[str, Any]) -> str:
    return manifests.sha256(json.dumps(facts, sort_keys=True))[:16]


def _judge(chain: list[tuple[str, dict[str, Any]]], store: Store, force: tuple[str, ...]) -> list[Planned]:
    planned: list[Planned] = []
    for key, facts in chain:
        name, again = facts["stage"], {item.stage for item in planned if item.state == "to run"}
        item = Planned(name, key, facts["inputs"], "done", "")
        if name in force:
            reason = "forced"
        elif store.has(name, key):
            reason = _outdated(item, store, tuple(again))
        else:
            reason = _why(facts, store, again)
        planned.append(replace(item, state="to run", reason=reason) if reason else item)
    return planned


def _outdated(item: Planned, store: Store, unknown: tuple[str, ...]) -> str:
    """Say which inputs changed since an artefact was made from them; empty where none did.

    A forced stage keeps its key, so what follows from it is judged by contents. Inputs in ``unknown`` are about to be
    made anew, which mostly gives the same bytes: they are judged afterwards.
    """
    made_from = store.manifest(item.stage, item.key)["inputs"]
    changed = [name for name, key in item.inputs.items() if name not in unknown and store.has(name, key)
               and store.manifest(name, key)["content"] != made_from[name]["content"]]
    return f"{' and '.join(changed)} came out different" if changed else ""


def _why(facts: dict[str, Any], store: Store, again: set[str]) -> str:
    """Say why there is no artefact of these facts, by comparing them with the newest one of the stage."""
    name, older = facts["stage"], []
    for key in store.keys(name):
        try:
            older.append(store.manifest(name, key))
        except StoreError:  # a damaged one is told by verify; here it only explains nothing
            continue
    if not older:
        return "never run"
    last = max(older, key=lambda manifest: str(manifest["made"]))
    reasons = [f"code version {facts['version']}"] if last["version"] != facts["version"] else []
    if facts.get("start") != last.get("start"):
        reasons.append("goes on from earlier weights" if facts.get("start") else "from fresh weights")
    if last["seed"] != facts["seed"]:
        reasons.append(f"seed {last['seed']} -> {facts['seed']}")
    if last["fingerprint"] != facts.get("fingerprint", ""):
        reasons.append("corpus changed")
    for setting, value in facts["config"].items():
        before = last["config"].get(setting)
        if before != value:
            short = f" {before} -> {value}" if isinstance(value, str | int | float) else ""
            reasons.append(f"setting {name}.{setting} changed{short}")
    follows = [source for source, key in facts["inputs"].items() if source in again
               or key != last["inputs"].get(source, {}).get("key")]
    if follows:
        reasons.append(f"follows {' and '.join(follows)}")
    return ", ".join(reasons) or "not in the store"
