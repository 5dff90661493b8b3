"""retrain, watch: train on as the corpus grows, and promote what is as good."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from textvae.cli import options

if TYPE_CHECKING:
    from textvae.config import PipelineConfig
    from textvae.journal import Journal
    from textvae.progress import Progress
    from textvae.retraining import Due, Outcome
    from textvae.store import Store

given = click.argument("given", nargs=-1, type=click.UNPROCESSED, metavar="[-- RETRAIN OPTIONS]")
PATIENCE = 10.0  # seconds that a web hook may take
QUIET = (10, 11, 75)  # codes that --quiet-codes makes 0: nothing is broken


@click.command()
@options.pipeline
@options.corpus
@options.overrides
@click.option("--if-older-than", type=options.Age(), metavar="AGE",
              help="Only if the promoted run is older than this, such as 7d, or another --if holds.")
@click.option("--if-new-posts", type=click.IntRange(min=1), metavar="N",
              help="Only if so many posts are new or changed, or another --if holds.")
@click.option("--if-new-words", type=click.IntRange(min=1), metavar="N",
              help="Only if so many words are in them, or another --if holds.")
@click.option("--from-scratch", is_flag=True, help="Train from fresh weights, due or not.")
@click.option("--keep", type=click.IntRange(min=1), metavar="N",
              help="Delete older runs afterwards, as prune --keep N does.")
@click.option("--on-success", metavar="COMMAND", help="Run this in a shell after a promotion; it reads the result.")
@click.option("--on-failure", metavar="COMMAND", help="Run this after a failure, or where the new run is not promoted.")
@click.option("--webhook", metavar="URL", help="Post the result there as JSON, in both cases.")
@click.option("--quiet-codes", is_flag=True, help="Exit with 0 unless something failed, for schedulers that mail.")
@options.device
@options.precision
@options.store
@options.as_json
@click.pass_context
def retrain(ctx: click.Context, pipeline: str, corpus: str | None, overrides: tuple[str, ...],
            if_older_than: float | None, if_new_posts: int | None, if_new_words: int | None, from_scratch: bool,
            keep: int | None, on_success: str | None, on_failure: str | None, webhook: str | None, quiet_codes: bool,
            device: str, precision: str, store: Path, as_json: bool) -> None:
    """Train on as the corpus grows; keep the better run.

    Does nothing where nothing changed. Else the sequence VAE goes on from the promoted run's weights, both runs are
    compared on the same held-out posts, and the new one is promoted only if it is as good: docs/retraining.md. A recipe
    that was run before keeps the settings of its last run, the corpus among them; a TOML file has its own.

    Exit codes: 0 promoted, 10 nothing changed or not due, 11 not promoted, 75 another process is at work, 1 failed.

    \b
    Example:
        textvae retrain quickstart
        textvae retrain quickstart --if-older-than 7d --if-new-posts 50 --keep 5
    """
    from contextlib import closing
    from dataclasses import replace

    from textvae import catalogue, manifests
    from textvae.cli.bars import watcher
    from textvae.errors import LockedError
    from textvae.journal import Journal
    from textvae.retraining import Due

    due, hooks = Due(if_older_than, if_new_posts, if_new_words), (on_success, on_failure, webhook)
    try:
        more = options.given(corpus, overrides)
        config, folder = catalogue.find(pipeline, store, more, again=True)
        own, _ = catalogue.find(pipeline, store, more)
        journal = Journal(folder.folder, watcher())
    except Exception as error:  # there is nowhere to write it down
        _notify(_failure(pipeline, error, manifests.now()), hooks, watcher())
        raise
    try:
        with closing(journal):
            if replace(own, corpus=config.corpus) != config:
                journal.say("the settings are those of the last run, and not the recipe's; to train with these: "
                            + folder.command("run"))
            outcome = _attempt(config, folder, due, from_scratch, keep, (device, precision), hooks, journal)
    except LockedError:
        if quiet_codes:
            ctx.exit(0)
        raise
    _say(outcome, as_json)
    ctx.exit(0 if quiet_codes and outcome.code in QUIET else outcome.code)


@click.command()
@options.pipeline
@given
@click.option("--every", type=options.Age(), default="15m", show_default=True, metavar="AGE",
              help="How long to wait after each look.")
@options.store
@options.as_json
def watch(pipeline: str, given: tuple[str, ...], every: float, store: Path, as_json: bool) -> None:
    """Retrain as posts come, until Ctrl-C.

    Looks again and again whether retrain has something to do, and does it. What fails is told, and tried again.

    \b
    Example:
        textvae watch quickstart --every 1h -- --if-new-posts 5
    """
    import time

    from textvae import catalogue
    from textvae.cli.console import tell

    retrain_options(pipeline, given)
    catalogue.find(pipeline, store)  # a name that is none will be none the next time
    words = [pipeline, "--store", str(store), *(["--json"] if as_json else []), *given]
    while True:
        try:
            retrain.main(words, "retrain", standalone_mode=False)
        except click.Abort:  # Ctrl-C
            raise
        except Exception as error:
            tell(f"error: {_words(error)}")
        time.sleep(every)


def retrain_options(pipeline: str, given: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse now what retrain would refuse later; what stays are the settings that it would change."""
    if given and not given[0].startswith("-"):
        raise click.UsageError(f"unexpected argument {given[0]!r}: options of retrain stand behind --")
    if any(option.partition("=")[0] == "--store" for option in given):
        raise click.UsageError("--store stands before --: it is the same store for both")
    ctx = retrain.make_context("retrain", [pipeline, *given], parent=click.get_current_context().find_root())
    return options.given(ctx.params["corpus"], ctx.params["overrides"])


def _attempt(config: "PipelineConfig", store: "Store", due: "Due", from_scratch: bool, keep: int | None,
             where: tuple[str, str], hooks: tuple[str | None, str | None, str | None], journal: "Journal") -> "Outcome":
    """Retrain once, and leave the outcome in the log, in the store and with those who asked to be told."""
    from contextlib import suppress

    from textvae import manifests, retraining, upkeep
    from textvae.cli.run import expect_corpus
    from textvae.errors import LockedError, TextvaeError

    device, precision = where
    began = manifests.now()
    try:
        expect_corpus(config, store, "retrain")
        outcome = retraining.retrain(config, store, due=due, from_scratch=from_scratch, device=device,
                                     precision=precision, progress=journal)
        journal.note(f"{outcome.result}: {outcome.why}")
    except LockedError as error:
        journal.note(f"locked: {error.message}")
        raise
    except Exception as error:  # whatever it is: nobody sees a traceback at night
        outcome = _failure(store.pipeline, error, began)
        journal.note(f"failed: {outcome.why}")
        with suppress(TextvaeError):  # the store may be what is broken
            retraining.keep(store, outcome)
        _notify(outcome, hooks, journal)
        raise
    _notify(outcome, hooks, journal)
    if keep is not None:
        try:
            upkeep.prune(store, keep)
        except (TextvaeError, OSError) as error:  # which makes the outcome no other one
            journal.say(f"older runs were not deleted: {error}")
    return outcome


def _failure(pipeline: str, error: Exception, began: str) -> "Outcome":
    from textvae import retraining

    return retraining.Outcome(pipeline, retraining.FAILED, _words(error), started=began)


def _words(error: Exception) -> str:
    """An error in words; one that nobody foresaw says its kind as well."""
    from textvae.errors import TextvaeError

    return str(error) if isinstance(error, TextvaeError | OSError) else f"{type(error).__name__}: {error}"


def _notify(outcome: "Outcome", hooks: tuple[str | None, str | None, str | None], journal: "Progress") -> None:
    """Tell who asked to be told; a hook that fails is news, and changes nothing."""
    from dataclasses import asdict

    from textvae import retraining
    from textvae.cli.console import as_json

    on_success, on_failure, webhook = hooks
    if outcome.result in (retraining.UNCHANGED, retraining.NOT_DUE):
        return
    command = on_success if outcome.result == retraining.PROMOTED else on_failure
    text = as_json(asdict(outcome))
    for trouble in (_run(command, text), _post(webhook, text)):
        if trouble:
            journal.say(trouble)


def _run(command: str | None, text: str) -> str:
    import subprocess

    if not command:
        return ""
    done = subprocess.run(command, shell=True, input=text, text=True, check=False)
    return f"the command {command!r} ended with {done.returncode}" if done.returncode else ""


def _post(url: str | None, text: str) -> str:
    import http.client
    import urllib.request

    if not url:
        return ""
    try:
        request = urllib.request.Request(url, text.encode(), {"Content-Type": "application/json"})
        if request.type not in ("http", "https"):
            return f"{url} is no web address: nothing was posted"
        with urllib.request.urlopen(request, timeout=PATIENCE):
            return ""
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"posting to {url} failed: {error}"


def _say(outcome: "Outcome", as_json: bool) -> None:
    from dataclasses import asdict

    from textvae.cli.console import say, say_json

    if as_json:
        say_json(asdict(outcome) | {"code": outcome.code})
        return
    number = f" run {outcome.run}" if outcome.run else ""
    say(f"{outcome.pipeline}: {outcome.result}{number}: {outcome.why}")
    for check in outcome.gate:
        say(f"  {'yes' if check['passed'] else 'NO '} {check['says']}")
