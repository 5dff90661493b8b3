"""Where a run comes from: which artefact was made from which, by what, and the runs that replaced each other."""

from dataclasses import dataclass, replace
from typing import Any

from textvae import runs
from textvae.errors import StoreError
from textvae.runs import Run
from textvae.store import Store

GONE, CHANGED = "gone", "made again since"  # in ``Made.trouble``, beside what is wrong with a damaged manifest


@dataclass(frozen=True)
class Made:
    """How one artefact of a run came to be.

    Args:
        stage, key: Which one.
        inputs: stage -> key of what it was made from.
        when: UTC.
        seed: The pipeline's; every stage derives its own from it.
        version: Of the stage's code.
        commit, python, packages: What made it.
        fingerprint: Of the corpus's file names and contents; empty for other stages.
        trouble: What is wrong with it; empty where nothing is, and the rest is then empty as well.
    """

    stage: str
    key: str
    inputs: dict[str, str]
    when: str = ""
    seed: int | None = None
    version: int | None = None
    commit: str = ""
    python: str = ""
    packages: dict[str, str] | None = None
    fingerprint: str = ""
    trouble: str = ""


@dataclass(frozen=True)
class Lineage:
    """A run with all that it was made from, and the runs before it: each replaced the one that follows here."""

    run: Run
    made: tuple[Made, ...]
    before: tuple[Run, ...]
    lost: int | None  # the run that the last of these replaced, where its record is gone


def trace(store: Store, run: int | None = None) -> Lineage:
    """Follow a run back to its corpus, and to the first of the runs that replaced each other.

    Args:
        store: Where.
        run: A run's number; where None the current run, or the newest while none is.

    Raises:
        StoreError: There is no such run. Artefacts that are gone are told, not raised.
    """
    chosen = runs.shown(store, run)
    line, known = runs.line(store, chosen), runs.numbers(store)
    lost = next((number for number in line if number not in known), None)
    whole = line[:line.index(lost)] if lost is not None else line
    linked = [replace(own, replaced=number) for own, number in zip(
        (chosen, *(runs.read(store, number) for number in whole)), (*line, None), strict=False)]
    return Lineage(linked[0], tuple(_made(store, stage, fact) for stage, fact in chosen.stages.items()),
                   tuple(linked[1:]), lost)


def _made(store: Store, stage: str, fact: dict[str, Any]) -> Made:
    key = fact["key"]
    try:
        manifest = store.manifest(stage, key)
    except StoreError as error:
        return Made(stage, key, {}, trouble=error.message if store.has(stage, key) else GONE)
    return Made(stage, key, {name: own["key"] for name, own in manifest["inputs"].items()}, manifest["made"],
                manifest["seed"], manifest["version"], manifest["commit"], manifest["python"], manifest["packages"],
                manifest["fingerprint"], "" if manifest["content"] == fact["content"] else CHANGED)
