"""promote, rollback, pin, unpin, verify, prune: looking after the store."""

from pathlib import Path

import click

from textvae.cli import options


@click.command()
@options.pipeline
@click.argument("run", type=click.IntRange(min=1))
@options.store
@options.as_json
def promote(pipeline: str, run: int, store: Path, as_json: bool) -> None:
    """Make RUN the one that is read.

    vary and its siblings read the promoted run. Any run that can write texts can be promoted, an older one too.

    \b
    Example:
        textvae promote quickstart 1
    """
    from textvae import catalogue, runs
    from textvae.cli.console import say, say_json
    from textvae.errors import StoreError

    folder = catalogue.locate(pipeline, store)
    try:
        before = runs.current(folder)
    except StoreError:  # which this mends
        before = None
    promoted = runs.promote(folder, run)
    replaced = before.number if before and before.number != promoted.number else None
    if as_json:
        say_json({"pipeline": folder.pipeline, "run": promoted.number, "replaced": replaced})
    else:
        say(f"{folder.pipeline} reads run {promoted.number} now" + (f", before it was {replaced}" if replaced else ""))


@click.command()
@options.pipeline
@options.store
@options.as_json
def rollback(pipeline: str, store: Path, as_json: bool) -> None:
    """Go back to the run that the promoted one replaced.

    A run whose artefacts are gone is passed over. Called again, it goes back one more.

    \b
    Example:
        textvae rollback quickstart
    """
    from dataclasses import asdict

    from textvae import catalogue, runs
    from textvae.cli.console import say, say_json, tell

    folder = catalogue.locate(pipeline, store)
    done = runs.rollback(folder)
    if as_json:
        say_json({"pipeline": folder.pipeline, **asdict(done)})
        return
    for number in done.passed:
        tell(f"passed over run {number}: some of its artefacts are gone")
    say(f"{folder.pipeline} reads run {done.now} again, before it was {done.before}; "
        f"to undo: {folder.command('promote', str(done.before))}")


@click.command()
@options.pipeline
@click.argument("run", type=click.IntRange(min=1))
@options.store
@options.as_json
def pin(pipeline: str, run: int, store: Path, as_json: bool) -> None:
    """Keep RUN from ever being pruned.

    Neither the run nor anything that it needs is deleted until it is unpinned.

    \b
    Example:
        textvae pin quickstart 1
    """
    _pin(pipeline, run, store, as_json, on=True)


@click.command()
@options.pipeline
@click.argument("run", type=click.IntRange(min=1))
@options.store
@options.as_json
def unpin(pipeline: str, run: int, store: Path, as_json: bool) -> None:
    """Let RUN be pruned again.

    \b
    Example:
        textvae unpin quickstart 1
    """
    _pin(pipeline, run, store, as_json, on=False)


def _pin(pipeline: str, run: int, store: Path, as_json: bool, *, on: bool) -> None:
    from textvae import catalogue, upkeep
    from textvae.cli.console import say, say_json

    folder = catalogue.locate(pipeline, store)
    changed = upkeep.pin(folder, run, on=on)
    if as_json:
        say_json({"pipeline": folder.pipeline, "run": run, "pinned": on, "changed": changed})
    else:
        word = "pinned: prune leaves it alone" if on else "not pinned: prune may delete it once it is old"
        say(f"run {run} of {folder.pipeline} is {'' if changed else 'already '}{word}")


@click.command()
@options.pipeline
@options.store
@options.as_json
@click.pass_context
def verify(ctx: click.Context, pipeline: str, store: Path, as_json: bool) -> None:
    """Check every byte in the store.

    Prints the files that are not as they were written, and exits with 1 when there are any.

    \b
    Example:
        textvae verify quickstart
    """
    from textvae import catalogue, upkeep
    from textvae.cli.console import say, say_json

    folder = catalogue.locate(pipeline, store)
    problems = upkeep.verify(folder)
    count = len(folder.artefacts())
    if as_json:
        say_json({"pipeline": folder.pipeline, "artefacts": count,
                  "problems": [{"file": str(problem.path), "what": problem.what} for problem in problems]})
    elif not problems:
        say(f"{folder.pipeline}: {count} artefacts, every byte is as it was written")
    else:
        for problem in problems:
            say(str(problem))
    if problems:
        ctx.exit(1)


@click.command()
@options.pipeline
@click.option("--keep", type=click.IntRange(min=1), required=True, metavar="N",
              help="Keep this many of the newest runs, the promoted one, and those that are pinned.")
@click.option("--dry-run", is_flag=True, help="Say what would go; delete nothing.")
@options.store
@options.as_json
def prune(pipeline: str, keep: int, dry_run: bool, store: Path, as_json: bool) -> None:
    """Delete old runs and what only they need.

    A run that is just being read stays, and so does what a run that was stopped left for the next one, until it is 14
    days old.

    \b
    Example:
        textvae prune quickstart --keep 2 --dry-run
    """
    from dataclasses import asdict

    from textvae import catalogue, upkeep
    from textvae.cli.console import say, say_json, tell

    folder = catalogue.locate(pipeline, store)
    pruned = upkeep.prune(folder, keep, dry_run)
    if as_json:
        say_json(asdict(pruned) | {"dry_run": dry_run})
        return
    verb = "would delete" if dry_run else "deleted"
    for number in pruned.runs:
        say(f"{verb} run {number}")
    for stage, key in pruned.artefacts:
        say(f"{verb} {stage}/{key}")
    for name in pruned.scratch:
        say(f"{verb} the checkpoints of {name}")
    for number in pruned.reading:
        tell(f"run {number} stays: it is being read")
    gone = len(pruned.runs) + len(pruned.artefacts) + len(pruned.scratch)
    say(f"{verb} {pruned.bytes / 1e6:.1f} MB" if gone else "nothing to delete")
