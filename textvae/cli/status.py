"""status: what is done, what would run, and whether retraining goes well."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from textvae.cli import options

if TYPE_CHECKING:
    from textvae.retraining import Outcome
    from textvae.scheduling.schedulers import Installed

MONTH = 35 * 86_400.0  # seconds after which every schedule has come round


@click.command()
@click.argument("pipeline", required=False)
@click.option("--stale-after", type=options.Age(), metavar="AGE",
              help="Call it stale where the last retraining is older, such as 8d.  [default: 5w where it is scheduled]")
@options.store
@options.as_json
@click.pass_context
def status(ctx: click.Context, pipeline: str | None, stale_after: float | None, store: Path, as_json: bool) -> None:
    """Show what is done, what would run, and how it went.

    A pipeline that was run before is compared with the settings of its last run, a TOML file with its own. Says when it
    was last retrained, and why the new run was or was not promoted. Without PIPELINE, one line for each pipeline of the
    store, with what is wrong. Exits with 1 where the last retraining failed or is too long ago.

    \b
    Example:
        textvae status
        textvae status quickstart
    """
    if _all(store, stale_after, as_json) if pipeline is None else _one(pipeline, store, stale_after, as_json):
        ctx.exit(1)


def _all(store: Path, stale_after: float | None, as_json: bool) -> list[str]:
    """Say how each pipeline is; what is wrong with them comes back."""
    from dataclasses import asdict

    from textvae import catalogue, retraining, upkeep
    from textvae.cli.console import number, say, say_json, say_table
    from textvae.errors import StoreError
    from textvae.scheduling import schedulers
    from textvae.store import Store

    rows, told, wrong = [], [], []
    # A pipeline whose first run was stopped has settings and no run yet.
    for name in sorted({path.parent.name for pattern in ("*/runs/", f"*/{catalogue.LAST}")
                        for path in store.glob(pattern)}):
        folder = Store(store, name)
        try:
            item, last = upkeep.status(folder), retraining.last(folder)
        except StoreError as error:
            wrong.append(str(error))
            told.append({"pipeline": name, "problem": str(error)})
            rows.append((name, "-", "-", "-", "-", str(error)))
            continue
        problems = _problems(last, bool(last and schedulers.installed(folder)), stale_after)
        wrong += problems
        told.append(asdict(item) | {"problems": problems})
        rows.append((name, number(item.current), str(item.runs), str(item.artefacts), f"{item.bytes / 1e6:.1f}",
                     "; ".join(f"PROBLEM: {problem}" for problem in problems)))
    if as_json:
        for one in told:
            say_json(one)
    elif not rows:
        say(f"no pipeline was run in {store} yet; start with: {Store(store, 'quickstart').command('run')}")
    else:
        say_table(("pipeline", "current run", "runs", "artefacts", "MB", ""), rows)
    return wrong


def _one(pipeline: str, store: Path, stale_after: float | None, as_json: bool) -> list[str]:
    """Say how a pipeline is; what is wrong with its retraining comes back."""
    from dataclasses import asdict

    from textvae import catalogue, retraining, upkeep
    from textvae import runs as recorded
    from textvae.cli.console import number, say, say_json, say_table
    from textvae.scheduling import schedulers

    folder = catalogue.locate(pipeline, store)
    known = Path(pipeline).suffix != ".toml" and (folder.folder / catalogue.LAST).is_file()
    config, _ = catalogue.find(str(folder.folder) if known else pipeline, store)
    planned = recorded.plan(config, folder) if config.corpus.path else []
    last, scheduled = retraining.last(folder), schedulers.installed(folder)
    problems = _problems(last, bool(scheduled), stale_after)
    if as_json:
        for item in planned:
            say_json(asdict(item))
        say_json({"retrained": asdict(last) if last else None, "scheduled": [asdict(own) for own in scheduled],
                  "problems": problems})
        return problems
    if planned:
        say_table(("stage", "state", "key", "why"),
                  [(item.stage, item.state, item.key, item.reason) for item in planned])
    else:
        say("no corpus is set, so that nothing would run; to train on one: "
            + folder.command("run", "--corpus PATH", named=pipeline))
    counted = upkeep.status(folder)
    say(f"{folder.folder}: current run {number(counted.current)}, {counted.runs} run{'s' * (counted.runs != 1)} in "
        f"all, {counted.artefacts} artefacts, {counted.bytes / 1e6:.1f} MB")
    _say_retraining(last, scheduled, problems)
    return problems


def _problems(last: "Outcome | None", scheduled: bool, stale_after: float | None) -> list[str]:
    from datetime import UTC, datetime

    from textvae.cli.console import duration
    from textvae.retraining import FAILED

    if last is None:
        return []
    longest = MONTH if stale_after is None and scheduled else stale_after
    age = (datetime.now(UTC) - datetime.fromisoformat(last.started)).total_seconds()
    found = [f"the last retraining failed: {last.why}"] if last.result == FAILED else []
    if longest is not None and age > longest:
        found.append(f"the last retraining is {duration(age)} ago, more than {duration(longest)}")
    return found


def _say_retraining(last: "Outcome | None", scheduled: "list[Installed]", problems: list[str]) -> None:
    from textvae.cli.console import say

    if last is not None:
        made = f" run {last.run}" if last.run else ""
        say(f"last retrained {last.started[:16].replace('T', ' ')} UTC: {last.result}{made}: {last.why}")
    for own in scheduled:
        say(f"scheduled by {own.scheduler}: {own.when}")
    for problem in problems:
        say(f"PROBLEM: {problem}")
