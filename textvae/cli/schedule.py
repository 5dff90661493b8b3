"""schedule print, install, remove: have retrain run regularly."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from textvae.cli import options
from textvae.cli.retrain import given, retrain_options

if TYPE_CHECKING:
    from textvae.scheduling.schedule import Job
    from textvae.scheduling.schedulers import Installed
    from textvae.store import Store

every = click.option("--every", metavar="WHEN", default="weekly", show_default=True,
                     help="hourly, daily, weekly, monthly, '03:30', 'Sun 03:00' or 'Mon,Thu 03:00'.")


@click.group()
def schedule() -> None:
    """Retrain regularly, by systemd, cron or GitHub.

    \b
    Example:
        textvae schedule print quickstart --with systemd
        textvae schedule print quickstart --with cron --every 'Sun 03:00'
    """


@schedule.command("print")
@options.pipeline
@given
@click.option("--with", "scheduler", type=click.Choice(["systemd", "cron", "github"]), required=True,
              help="A systemd timer, a line for cron, or a GitHub Actions workflow.")
@every
@options.store
@options.as_json
def print_(pipeline: str, given: tuple[str, ...], scheduler: str, every: str, store: Path, as_json: bool) -> None:
    """Print what a scheduler needs; change nothing.

    For GitHub, call it in the repository that holds the posts. Times are those of the machine, GitHub's are UTC.

    \b
    Example:
        textvae schedule print quickstart --with systemd --every daily
        textvae schedule print quickstart --with cron --every 'Mon,Thu 03:00' -- --if-new-posts 5
        textvae schedule print quickstart --with github -- --corpus posts > textvae.yml
    """
    from textvae.cli.console import say, say_json
    from textvae.scheduling import schedule, schedulers

    job = _job(pipeline, given, every, store)
    if scheduler == "systemd":
        folder = schedulers.units_folder()
        files = {str(folder / name): text for name, text in schedule.units(job).items()}
    elif scheduler == "cron":
        files = {"crontab": schedule.cron_line(job) + "\n"}
    else:
        files = {f".github/workflows/{schedule.workflow_name(job)}.yml": schedule.workflow(job)}
    for number, (name, text) in enumerate(files.items()):
        if as_json:
            say_json({"file": name, "text": text})
            continue
        if number:
            say()
        if len(files) > 1:
            say(f"# {name}")
        for line in text.splitlines():
            say(line)


@schedule.command()
@options.pipeline
@given
@click.option("--with", "scheduler", type=click.Choice(["systemd", "cron"]),
              help="Who starts it.  [default: systemd where its user manager answers, else cron]")
@every
@options.store
@options.as_json
def install(pipeline: str, given: tuple[str, ...], scheduler: str | None, every: str, store: Path,
            as_json: bool) -> None:
    """Have retrain run regularly from now on.

    It replaces the pipeline's earlier schedule. Relative paths mean the folder in which this is called. Settings and
    corpus are those that retrain would take now.

    \b
    Example:
        textvae schedule install quickstart --every weekly
        textvae schedule install quickstart --with cron --every daily -- --if-new-posts 5
    """
    from textvae import catalogue
    from textvae.cli.console import say, tell
    from textvae.cli.run import expect_corpus
    from textvae.scheduling import schedulers

    config, folder = catalogue.find(pipeline, store, retrain_options(pipeline, given), again=True)
    expect_corpus(config, folder, "schedule install")
    job = _job(pipeline, given, every, store)
    done = schedulers.install(job, scheduler or schedulers.usual())
    if as_json:
        _say_installed(job.name, done)
        return
    say(f"{job.name}: retrain {job.calendar}, started by {done.scheduler}")
    for place in done.where:
        say("added a line to your crontab" if done.scheduler == "cron" else f"wrote {place}")
    if done.scheduler == "systemd":
        tell(f"next times: systemctl --user list-timers '{Path(done.where[-1]).name}'")
        tell("without `loginctl enable-linger` it runs only while you are logged in")


@schedule.command()
@options.pipeline
@options.store
@options.as_json
def remove(pipeline: str, store: Path, as_json: bool) -> None:
    """Undo what install did.

    A retrain that is running goes on to its end. Exits with 1 when nothing is scheduled.

    \b
    Example:
        textvae schedule remove quickstart
    """
    from textvae import catalogue
    from textvae.cli.console import say
    from textvae.errors import ConfigError
    from textvae.scheduling import schedulers

    try:
        folder = catalogue.locate(pipeline, store)
    except ConfigError:  # a pipeline that is gone can still be scheduled
        folder = _gone(pipeline, store)
        if not schedulers.installed(folder):
            raise
    removed = schedulers.remove(folder)
    for own in removed:
        if as_json:
            _say_installed(folder.pipeline, own)
            continue
        for place in own.where:
            say("removed its line from your crontab" if own.scheduler == "cron" else f"removed {place}")
    if not as_json:
        say(f"{folder.pipeline} is no longer retrained by {' and '.join(own.scheduler for own in removed)}")


def _job(pipeline: str, given: tuple[str, ...], every: str, store: Path) -> "Job":
    from textvae import catalogue
    from textvae.scheduling.calendars import Calendar
    from textvae.scheduling.schedule import Job
    from textvae.store import Store

    retrain_options(pipeline, given)
    calendar = Calendar.parse(every)
    folder = catalogue.locate(pipeline, store)
    root = Path(os.path.normpath(folder.root.absolute()))
    return Job(pipeline, Store(root, folder.pipeline), calendar, given, Path.cwd())


def _gone(pipeline: str, root: Path) -> "Store":
    """The store that a pipeline had whose file or folder is no longer there."""
    from textvae.store import Store

    path = Path(pipeline)
    if path.suffix == ".toml" or path.name == pipeline:
        return Store(root, path.name.removesuffix(".toml"))
    return Store(path.parent, path.name)


def _say_installed(pipeline: str, own: "Installed") -> None:
    from textvae.cli.console import say_json

    say_json({"pipeline": pipeline, "scheduler": own.scheduler, "when": own.when, "where": own.where})
