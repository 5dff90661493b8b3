"""Retrain on a corpus that grows: what changed, is it due, train on from the promoted run, and replace it or not."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from textvae import manifests, pipeline, planning, runs, seeds
from textvae.config import PipelineConfig, as_dict
from textvae.errors import StoreError
from textvae.pipeline import Result
from textvae.planning import Start
from textvae.progress import Progress
from textvae.runs import Run
from textvae.store import Store

if TYPE_CHECKING:  # numpy, which it starts, takes longer than to say how the last retraining went
    from textvae.data import Changes, Check, Corpus, Post, Tokens

PROMOTED, UNCHANGED, NOT_DUE, DECLINED, FAILED = "promoted", "nothing changed", "not due", "not promoted", "failed"
CODES = {PROMOTED: 0, UNCHANGED: 10, NOT_DUE: 10, DECLINED: 11, FAILED: 1}
LAST = "retrain.json"  # the outcome of the last retraining, in the pipeline's folder
DAY = 86400.0
# What must be as it was for the weights to mean the same; the sequence VAE's own are ``SHAPED_BY`` of its stage.
ALIKE = {"tokens": ("unit", "level", "lowercase"), "word_vectors": ("dim",), "embedding_vae": ("latent",)}


@dataclass(frozen=True)
class Due:
    """When a retraining is due, where anything changed at all: with any of these, or always where none is given.

    Args:
        older_than: Seconds since the promoted run began.
        new_posts: Posts that are new or changed.
        new_words: Words in them.
    """

    older_than: float | None = None
    new_posts: int | None = None
    new_words: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What a retraining came to.

    Args:
        pipeline: Its name.
        result: ``PROMOTED``, ``UNCHANGED``, ``NOT_DUE``, ``DECLINED`` or ``FAILED``.
        why: In words.
        run: The new run; None where none was made.
        before: The run that was promoted before; None where there was none.
        changes: From ``Changes.counts``; empty where nobody looked.
        gate: The conditions of the promotion, each as ``textvae.data.Check`` has it.
        started: UTC.
        seconds: How long it took.
    """

    pipeline: str
    result: str
    why: str
    run: int | None = None
    before: int | None = None
    changes: dict[str, int] = field(default_factory=dict)
    gate: tuple[dict[str, Any], ...] = ()
    started: str = ""
    seconds: float = 0.0

    @property
    def code(self) -> int:
        """What the process exits with."""
        return CODES[self.result]


def retrain(config: PipelineConfig, store: Store, *, due: Due = Due(), from_scratch: bool = False,
            device: str = "auto", precision: str = "auto", progress: Progress | None = None) -> Outcome:
    """Bring a pipeline up to date with its corpus, and promote the new run only if it is as good as the old one.

    The new sequence VAE goes on from the promoted run's weights where the settings that shape it are the same.
    Stopped at any point and called again, it ends as if it had not been stopped.

    Args:
        config, store, device, precision, progress: As for ``runs.execute``.
        due: When there is enough to do.
        from_scratch: Train from fresh weights, due or not.

    Raises:
        TextvaeError: As ``runs.execute``.
    """
    started, clock = manifests.now(), time.monotonic()
    with store.lock():
        outcome = _retrain(config, store, due, from_scratch, (device, precision), progress or Progress(), started)
        outcome = replace(outcome, started=started, seconds=round(time.monotonic() - clock, 3))
        keep(store, outcome)
    return outcome


def keep(store: Store, outcome: Outcome) -> None:
    """Write an outcome down, for ``last``."""
    store.put(LAST, asdict(outcome))


def last(store: Store) -> Outcome | None:
    """The outcome of the last retraining; None where there was none.

    Raises:
        StoreError: Its record is damaged.
    """
    if not (store.folder / LAST).is_file():
        return None
    return Outcome(**store.get(LAST))


def _retrain(config: PipelineConfig, store: Store, due: Due, from_scratch: bool, where: tuple[str, str],
             progress: Progress, started: str) -> Outcome:
    from textvae.data import Corpus, differ

    device, precision = where
    before, late = runs.current(store), runs.settle(store)
    if late is not None:
        return Outcome(store.pipeline, PROMOTED, "the last retraining was stopped when only this was left",
                       late.number, before.number if before else None)
    champion, newest = before, runs.latest(store)
    if champion is None or newest is None:
        first = runs.execute(config, store, device=device, precision=precision, progress=progress,
                             why="retrain: the first run")
        return Outcome(store.pipeline, PROMOTED, "the first run", first.run.number)
    outcome = Outcome(store.pipeline, UNCHANGED, "", before=champion.number)
    # A batch that was declined and is gone again leaves the promoted run up to date, though it is not the newest.
    known = (champion, newest) if newest.number != champion.number else (champion,)
    for run in known:
        held = {} if from_scratch else run.held
        planned = {item.stage: item for item in planning.plan(config, store, held=held)}
        if all(item.state == "done" and item.key == run.held.get(stage) for stage, item in planned.items()):
            return replace(outcome, why=_unchanged(champion, run))
    _whole(store, champion)
    (read,) = pipeline.run(config, store, until="corpus", held=newest.held, progress=progress).stages
    corpus = store.load("corpus", read.key, Corpus)
    old = _posts(store, champion)
    changes = differ(old, corpus.posts)
    outcome = replace(outcome, changes=changes.counts())
    for run in () if from_scratch else known:
        with suppress(StoreError):  # what is damaged vouches for nothing
            # A draft, a README or front matter that nobody reads makes another corpus, and no other post.
            if planning.alike(config, store, run.held) and not any(
                    (changes if run is champion else differ(_posts(store, run), corpus.posts)).counts().values()):
                return replace(outcome, why=_unchanged(champion, run))
    # Settings or code that changed are due at once.
    same = read.key == newest.held.get("corpus") or not any(outcome.changes.values())
    early = "" if from_scratch or same else _early(due, champion, changes, started)
    if early:
        return replace(outcome, result=NOT_DUE, why=early)
    checks = _screen(config, old, corpus, changes)
    if not all(check.passed for check in checks):
        return _settled(outcome, checks)
    start = None
    if planned[runs.GENERATES].state != "done":
        start, cold = (None, "as asked") if from_scratch else _start(config, store, champion, changes)
        progress.say(f"{changes}; " + (f"from scratch: {cold}" if cold else f"going on from run {champion.number}"))
    result = pipeline.run(config, store, start=start, held=held, device=device, precision=precision, progress=progress)
    if runs.holds(champion, runs.facts_of(result)):
        return replace(outcome, why=f"it came out as run {champion.number}, which is promoted")
    with progress.task(f"comparing with run {champion.number}"):
        compared = _compare(config, store, champion, result, corpus, changes, where)
    outcome = _settled(outcome, [*compared, *checks])
    run = runs.record(config, store, result, why=f"retrain: {changes}", started=started,
                      gate={"promoted": outcome.result == PROMOTED, "checks": list(outcome.gate)},
                      promised=outcome.result == PROMOTED)
    if outcome.result == PROMOTED:
        runs.promote(store, run.number)
    return replace(outcome, run=run.number)


def _whole(store: Store, champion: Run) -> None:
    """Make sure before hours of training that there will be something to compare with.

    Raises:
        StoreError: What the promoted run writes with is damaged or gone.
    """
    for stage in ("tokens", runs.GENERATES):
        for problem in store.check(stage, champion.held[stage]):
            raise StoreError(f"run {champion.number} is promoted, and damaged: {problem}",
                             f"go back with: {store.command('rollback')}, or train one that nothing is compared "
                             f"with: {store.command('run')}")


def _settled(outcome: Outcome, checks: "Sequence[Check]") -> Outcome:
    """Promoted where every condition holds; what fails is why, else the first of them."""
    failed = [check.says for check in checks if not check.passed]
    return replace(outcome, result=DECLINED if failed else PROMOTED, why="; ".join(failed) or checks[0].says,
                   gate=tuple(asdict(check) for check in checks))


def _screen(config: PipelineConfig, old: "Sequence[Post]", corpus: "Corpus", changes: "Changes") -> "list[Check]":
    """Whether the new posts belong to the corpus."""
    from textvae.data import BACKGROUND
    from textvae.text import screening

    fresh = {*changes.new, *changes.changed}
    old, new = ([post for post in posts if post.split != BACKGROUND] for posts in (old, corpus.posts))
    return screening.screen(old, [post for post in new if post.id in fresh], most=config.retrain.strange)


def _unchanged(champion: Run, run: Run) -> str:
    if run.number == champion.number:
        return f"run {champion.number} is up to date"
    return f"run {run.number} is up to date, and not promoted: run {champion.number} is"


def _posts(store: Store, run: Run) -> "tuple[Post, ...]":
    """The posts of a run; none where its corpus was not kept, so that every post is new."""
    from textvae.data import Corpus

    key = run.held.get("corpus", "")
    return store.load("corpus", key, Corpus).posts if store.has("corpus", key) else ()


def _early(due: Due, champion: Run, changes: "Changes", now: str) -> str:
    """Why it is too early; empty where it is due."""
    age = (datetime.fromisoformat(now) - datetime.fromisoformat(champion.started)).total_seconds()
    posts = len(changes.new) + len(changes.changed)
    conditions = [
        # A run from the future means that a clock was wrong: nobody can say how old it is, so it counts as old.
        (due.older_than, 0 <= age < (due.older_than or 0), f"run {champion.number} is {age / DAY:.1f} days old, not "
         f"{(due.older_than or 0) / DAY:g}"),
        (due.new_posts, posts < (due.new_posts or 0), f"{posts:,} new or changed posts, not {due.new_posts}"),
        (due.new_words, changes.words < (due.new_words or 0), f"{changes.words:,} words in them, not {due.new_words}")]
    asked = [(early, why) for wanted, early, why in conditions if wanted is not None]
    return "; ".join(why for _, why in asked) if asked and all(early for early, _ in asked) else ""


def _start(config: PipelineConfig, store: Store, champion: Run, changes: "Changes") -> tuple[Start | None, str]:
    """What the sequence VAE can go on from, or why it cannot."""
    from textvae.stages.sequence_vae import SHAPED_BY

    now = as_dict(config)
    for section, names in {**ALIKE, "sequence_vae": SHAPED_BY}.items():
        before = champion.config.get(section, {})
        for name in names:
            if before.get(name) != now[section][name]:
                return None, f"setting {section}.{name} changed"
    held = {name: champion.held[name] for name in ("sequence_vae", "tokens")}
    for stage, key in held.items():
        if not store.has(stage, key):
            return None, f"{stage}/{key} of run {champion.number} is gone"
    if store.manifest("sequence_vae", held["sequence_vae"])["version"] != planning.stage("sequence_vae").version:
        return None, "textvae's sequence VAE is another one by now"
    own = config.retrain
    fresh = (*changes.new, *changes.changed) if own.replay < 1 else ()
    return Start(**held, epochs=own.epochs or max(1, config.sequence_vae.epochs // 2), replay=own.replay,
                 fresh=fresh), ""


def _compare(config: PipelineConfig, store: Store, champion: Run, result: Result, corpus: "Corpus",
             changes: "Changes", where: tuple[str, str]) -> "list[Check]":
    """The gate's conditions, on the posts that both runs hold out and that nobody changed in between."""
    from textvae import device
    from textvae.data import Tokens, TrainedNetwork
    from textvae.evaluate import gate

    device.use(where[0], precision=where[1])
    challenger = {item.stage: item.key for item in result.stages}
    measured = {item.stage: item.metrics for item in result.stages}
    before, after = (
        gate.Side(store.load("tokens", held["tokens"], Tokens),
                  store.load("sequence_vae", held["sequence_vae"], TrainedNetwork), metrics)
        for held, metrics in ((champion.held, champion.stages.get("evaluation", {}).get("metrics", {})),
                              (challenger, measured.get("evaluation", {}))))
    both = (_held_out(before.tokens) & _held_out(after.tokens)) - set(changes.changed)
    return gate.compare(before, after, [post for post in corpus.posts if post.id in both], config,
                        seed=seeds.child(config.seed, "retrain"))


def _held_out(tokens: "Tokens") -> set[str]:
    """The ids of the test split's posts."""
    from textvae.data import SPLITS

    return {tokens.post_ids[row] for row in set(tokens.post[tokens.split == SPLITS.index("test")].tolist())}
