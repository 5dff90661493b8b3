"""The stages in order, the keys of what they make, and what of them must run and why; nothing is run."""

import difflib
import importlib
import json
from dataclasses import dataclass, replace
from typing import Any

from textvae import manifests
from textvae.config import PipelineConfig, as_dict
from textvae.errors import ConfigError, StoreError
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
        shared: Whether several devices train it together, and other workers with the first one.
    """

    name: str
    inputs: tuple[str, ...]
    artefact: str
    tensors: bool | None = True
    version: int = 1
    warm: bool = False
    shared: bool = False


STAGES: tuple[Stage, ...] = (
    Stage("corpus", (), "Corpus", tensors=False, version=2),
    Stage("tokens", ("corpus",), "Tokens", tensors=False, version=3),
    Stage("word_vectors", ("tokens",), "WordVectors", tensors=None, version=3),
    Stage("embedding_vae", ("word_vectors",), "CompressedVectors", version=2),
    Stage("sequence_vae", ("tokens", "word_vectors", "embedding_vae"), "TrainedNetwork", version=6,
          warm=True, shared=True),
    Stage("latents", ("tokens", "sequence_vae"), "Latents", version=3),
    Stage("latent_transformer", ("tokens", "latents"), "TrainedNetwork", version=2, shared=True),
    Stage("word_transformer", ("tokens", "embedding_vae"), "TrainedNetwork", version=5, shared=True),
    Stage("language_model", ("tokens", "sequence_vae"), "TrainedNetwork", version=4, shared=True),
    Stage("autoencoder", ("tokens", "sequence_vae"), "TrainedNetwork", version=4, shared=True),
    Stage("evaluation", ("tokens", "embedding_vae", "sequence_vae", "latents", "latent_transformer",
                         "word_transformer", "language_model", "autoencoder"), "Evaluation", version=15),
)

# Settings that no artefact depends on. The paths are here because the corpus key holds a fingerprint of the names,
# formats and contents that they lead to, so that a folder may move; logs for TensorBoard change nothing that is stored.
UNKEYED = {"corpus": {"path", "validation", "test", "background"}, "sequence_vae": {"tensorboard"}}


EARLIER = ("sequence_vae", "tokens")  # the stages whose earlier artefacts one goes on from
Held = dict[str, str]  # stage -> key of what a run holds
Chain = list[tuple[str, dict[str, Any]]]  # a key and the facts that it is the hash of, of each stage in order


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
            has these settings and inputs, it is not trained again from nothing, unless it must run and what it went on
            from is gone. Its corpus stands in for one that came out the same; before that is read nobody knows, and
            all that follows is planned.

    Raises:
        ConfigError: An unknown stage.
        InputError: The corpus cannot be found or read.
        StoreError: A manifest is damaged.
    """
    return judge(chain(config, store, until, force, start, held), store, force)


def chain(config: PipelineConfig, store: Store, until: str | None, force: tuple[str, ...], start: Start | None,
          held: Held | None, made: Chain | None = None) -> Chain:
    """The key of every wanted stage, and the facts that it is the hash of, in order.

    Args:
        config, store, until, force, start, held: As for ``plan``.
        made: The links that stay as they are, from the first on.

    Raises:
        TextvaeError: As ``plan``.
    """
    wanted = {row.name for row in STAGES}
    if until is not None:
        wanted = {stage(until).name}
        for row in reversed(STAGES):
            wanted |= set(row.inputs) if row.name in wanted else set()
    for name in force:
        if stage(name).name not in wanted:
            raise ConfigError(f"stage {name} is forced, but --until {until} does not need it", "leave one of them out")
    links = {facts["stage"]: (key, facts) for key, facts in made or ()}
    for row in (row for row in STAGES if row.name in wanted - links.keys()):
        key, facts = link(row, config, {name: links[name][0] for name in row.inputs})
        if row.name == "corpus" and row.name not in force:
            key = stand_in(store, key, held)
        if row.warm:
            begin = as_dict(start) if start else None if row.name in force else _began(store, row.name, key, held)
            if begin:
                warm = facts | {"start": begin, "cold": key}
                if stranded(store, _hashed(warm), warm):
                    facts["gone"] = True
                else:
                    key, facts = _hashed(warm), warm
        links[row.name] = key, facts
    return list(links.values())


def stand_in(store: Store, key: str, held: Held | None) -> str:
    """The key of the corpus that what follows is made from: a run's, where it is whole and byte for byte the one of
    this key, though made of other files, by other settings or other code; else this one."""
    own = (held or {}).get("corpus", key)
    if own == key or not (store.has("corpus", key) and store.has("corpus", own)) or store.check("corpus", own):
        return key
    made, before = (store.manifest("corpus", name)["content"] for name in (key, own))
    return own if made == before else key


def stranded(store: Store, key: str, facts: dict[str, Any]) -> bool:
    """Whether a stage that goes on from an earlier run must run though that is gone, as after ``prune``."""
    begin = facts.get("start")
    if not begin or all(store.has(name, begin[name]) for name in EARLIER):
        return False
    item = Planned(facts["stage"], key, facts["inputs"], "", "")
    return not store.has(item.stage, key) or bool(outdated(item, store, ()))


def _began(store: Store, name: str, key: str, held: Held | None) -> dict[str, Any] | None:
    """What a run's artefact went on from, if that is all it differs in from the one of this key."""
    own = (held or {}).get(name)
    if own is None or not store.has(name, own):
        return None
    manifest = store.manifest(name, own)
    begin: dict[str, Any] | None = manifest.get("start") if manifest.get("cold") == key else None
    return begin


def alike(config: PipelineConfig, store: Store, held: Held) -> bool:
    """Whether the artefacts of a run are there, made by these settings and this code, whatever the corpus is by now.

    Raises:
        TextvaeError: As ``plan``.
    """
    if "corpus" not in held:
        return False
    _, *links = chain(config, store, None, (), None, held, [(held["corpus"], {"stage": "corpus"})])
    return all(item.state == "done" and item.key == held.get(item.stage) for item in judge(links, store, ()))


def link(row: Stage, config: PipelineConfig, inputs: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """The key of one stage, made from inputs of these keys, and the facts that it is the hash of."""
    section = getattr(config, row.name)
    kept = {name: value for name, value in as_dict(section).items() if name not in UNKEYED.get(row.name, ())}
    facts = {"stage": row.name, "version": row.version, "config": kept, "seed": config.seed, "inputs": inputs}
    if row.name == "corpus":
        facts["fingerprint"] = importlib.import_module("textvae.stages.corpus").fingerprint(section)
    return _hashed(facts), facts


def _hashed(facts: dict[str, Any]) -> str:
    return manifests.sha256(json.dumps(facts, sort_keys=True))[:16]


def judge(keyed: Chain, store: Store, force: tuple[str, ...]) -> list[Planned]:
    """Say of each link of a chain whether it is in the store, and if not why."""
    planned: list[Planned] = []
    for key, facts in keyed:
        name, again = facts["stage"], {item.stage for item in planned if item.state == "to run"}
        item = Planned(name, key, facts["inputs"], "done", "")
        if name in force:
            reason = "forced"
        elif store.has(name, key):
            reason = outdated(item, store, tuple(again))
        else:
            reason = _why(facts, store, again)
        planned.append(replace(item, state="to run", reason=reason) if reason else item)
    return planned


def outdated(item: Planned, store: Store, unknown: tuple[str, ...]) -> str:
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
        reasons.append("goes on from earlier weights" if facts.get("start")
                       else "what it went on from is gone" if facts.get("gone") else "from fresh weights")
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
