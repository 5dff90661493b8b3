"""What starts ``textvae retrain`` regularly, as text: systemd's units, a line of a crontab, a GitHub Actions workflow.

A scheduled job has another working folder, another PATH and no shell of yours: paths are absolute, and each word is
quoted as the one who reads it wants. Whoever starts it, the pipeline's lock lets only one work at a time.
"""

import os
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from textvae.errors import InputError
from textvae.scheduling.calendars import Calendar
from textvae.store import Store

PLAIN = re.compile(r"[\w@+=:,./-]+", re.ASCII)  # words that systemd takes as they are
AS_GIVEN = ("/bin/sh", "-c", 'exec "$0" "$@"')  # what starts a program whose path systemd cannot take


@dataclass(frozen=True)
class Job:
    """The retraining of one pipeline, to be started by whichever scheduler.

    Args:
        pipeline: As the user named it: a TOML file, a recipe, or a folder of a store.
        store: The pipeline's store.
        calendar: When it starts.
        options: What ``retrain`` is given besides the pipeline and the store.
        folder: The working folder, absolute: the one in which the user named the pipeline.

    Raises:
        InputError: A word or a path holds what a scheduler's file cannot.
    """

    pipeline: str
    store: Store
    calendar: Calendar
    options: tuple[str, ...]
    folder: Path

    def __post_init__(self) -> None:
        for text in (*self.command(), str(self.folder)):
            if not text.isprintable():  # a line end would end the line, and bytes that are no text have no place in one
                raise InputError(f"{text!r} cannot stand in a schedule: it holds a character that cannot be printed",
                                 "rename it, or give it through a pipeline of your own")

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self.store.pipeline

    @property
    def by_name(self) -> bool:
        """Whether the pipeline is a recipe's or a stored one's name, not the path of a file or folder."""
        path = Path(self.pipeline)
        return path.name == self.pipeline and path.suffix != ".toml" and not (self.folder / path).is_file()

    @property
    def mark(self) -> str:
        """The comment that tells whose schedule it is: pipelines of two stores may have one name."""
        return mark(self.store)

    def command(self) -> list[str]:
        """The words that start it from anywhere: every path is absolute."""
        return [*program(), *self.retrain(self.absolute)]

    def retrain(self, placed: Callable[[str], str]) -> list[str]:
        """The words after ``textvae``.

        Args:
            placed: What is made of a path.
        """
        options = []
        for before, option in zip(("", *self.options), self.options, strict=False):
            key, equals, value = option.partition("=")
            if key == "--corpus" and equals:
                option = f"--corpus={_corpus(value, placed)}"
            options.append(_corpus(option, placed) if before == "--corpus" else option)
        # A name is looked up when the job runs, as it would be now: the working folder is the same.
        return ["retrain", self.pipeline if self.by_name else placed(self.pipeline),
                "--store", placed(str(self.store.root)), *options]

    def absolute(self, path: str) -> str:
        """A path as it is found from anywhere."""
        return os.path.normpath(self.folder / path)

    def within(self, path: str) -> str:
        """A path as it is found in a copy of the working folder.

        Raises:
            InputError: It lies elsewhere.
        """
        inner = os.path.relpath(self.folder / path, self.folder)
        if Path(inner).parts[:1] == (os.pardir,):
            raise InputError(f"{path} lies outside of {self.folder}, where a workflow of this repository cannot see it",
                             "call it in the repository's folder, with the posts and the pipeline in it")
        return inner


def program() -> list[str]:
    """The words that start this textvae from any folder."""
    script = Path(sys.executable).with_name("textvae")
    return [str(script)] if os.access(script, os.X_OK) else [sys.executable, "-m", "textvae"]


def mark(store: Store) -> str:
    """The comment that tells whose schedule a file or a line is.

    Example:
        >>> mark(Store(Path("/home/ann/models"), "blog"))
        '# textvae /home/ann/models/blog'
    """
    return f"# textvae {shlex.quote(str(store.folder.resolve()))}"


def unit(pipeline: str) -> str:
    r"""The name of a pipeline's units, without ``.service`` and ``.timer``; other bytes as systemd-escape writes them.

    Example:
        >>> unit("blog"), unit("my blog")
        ('textvae-blog', 'textvae-my\\x20blog')
    """
    return "textvae-" + re.sub(rb"[^A-Za-z0-9:_.-]", lambda found: b"\\x%02x" % ord(found[0]),
                               pipeline.encode()).decode()


def units(job: Job) -> dict[str, str]:
    """A systemd service and its timer: file name -> content.

    A oneshot service that still runs is not started again. Retrain keeps its exit codes, so that the journal has them;
    those of a night without news count as success. A timer that was missed, the machine being off, elapses at the next
    start.
    """
    started = () if PLAIN.fullmatch(program()[0]) else AS_GIVEN
    service = f"""\
{job.mark}
[Unit]
Description=Retrain {job.name.replace("%", "%%")} with textvae

[Service]
Type=oneshot
WorkingDirectory={_of_systemd_path(job.folder)}
ExecStart={" ".join(map(_of_systemd, (*started, *job.command())))}
# Nothing changed or not due, not promoted, locked: no failures.
SuccessExitStatus=10 11 75
Nice=10
IOSchedulingClass=idle
"""
    timer = f"""\
{job.mark}
[Unit]
Description=Retrain {job.name.replace("%", "%%")} with textvae, {job.calendar}

[Timer]
OnCalendar={job.calendar.on_calendar()}
Persistent=true
RandomizedDelaySec=5min

[Install]
WantedBy=timers.target
"""
    return {f"{unit(job.name)}.service": service, f"{unit(job.name)}.timer": timer}


def cron_line(job: Job) -> str:
    """The line of a crontab, without its end. What it prints is kept beside the pipeline's folder until the next."""
    log = job.absolute(f"{job.store.folder}.cron.log")
    command = (f"cd {shlex.quote(str(job.folder))} && nice -n 10 {shlex.join([*job.command(), '--quiet-codes'])}"
               f" > {shlex.quote(log)} 2>&1 {job.mark}")
    return f"{job.calendar.cron()} {for_cron(command)}"


def for_cron(command: str) -> str:
    r"""A shell's command as a crontab holds it; its backslashes are those of ``shlex.quote``, in single quotes.

    Cron takes % for a line end unless a backslash stands before it, and one cron makes two backslashes one where
    another leaves them: the quotes are closed and opened again after each, so that no two stand side by side.

    Example:
        >>> print(for_cron(r"date '+%Y \o/'"))
        date '+\%Y \''o/'
    """
    return command.replace("\\", "\\''").replace("%", "\\%")


def workflow_name(job: Job) -> str:
    """The name of a pipeline's workflow, of its file without ``.yml``, and of what it keeps."""
    return "textvae-" + re.sub(r"[^A-Za-z0-9_.-]+", "-", job.name)


def workflow(job: Job) -> str:
    """A GitHub Actions workflow for the repository that holds the posts, of which the working folder is a copy.

    The store travels from run to run as an artifact: a cache is dropped when nobody asks for it for seven days.

    Raises:
        InputError: The pipeline, the store or the corpus lies outside of the working folder, or the pipeline is a
            folder of the store, which a repository does not hold.
    """
    if not job.by_name and (job.folder / job.pipeline).is_dir():
        raise InputError(f"{job.pipeline} is a folder of the store, which a fresh copy of the repository lacks",
                         "name the recipe or the TOML file, and give the posts behind --, as in -- --corpus posts")
    name = workflow_name(job)
    store = _of_workflow([job.within(str(job.store.folder))])
    retrain = _of_workflow(["textvae", *job.retrain(job.within), "--quiet-codes"])
    return f"""\
# Save as .github/workflows/{name}.yml on the default branch. Times are UTC. GitHub stops the schedule of a public
# repository when nobody committed anything for 60 days.
name: {name}
on:
  schedule:
    - cron: "{job.calendar.cron()}"  # {job.calendar}
  workflow_dispatch:
permissions:
  contents: read
  actions: read  # to fetch what the last run kept
concurrency:  # a second run waits for the first
  group: {name}
  cancel-in-progress: false
jobs:
  retrain:
    runs-on: ubuntu-latest
    env:
      # What pip installs: a version, a wheel in the repository, or git+https://... of your copy.
      TEXTVAE: textvae=={version("textvae")}
    steps:
      - uses: actions/checkout@v6
        with:
          persist-credentials: false
      - uses: actions/setup-python@v6
        with:
          python-version: "3.11"
      - name: Install textvae
        run: pip install "$TEXTVAE"
      - name: Fetch the store of the last run
        id: fetch
        env:
          GH_TOKEN: ${{{{ github.token }}}}
        # Not from forks: whoever opens a pull request may keep an artifact of this name.
        run: |
          run=$(gh api "repos/$GITHUB_REPOSITORY/actions/artifacts?name={name}&per_page=100" --jq '
            [.artifacts[] | select((.expired | not)
              and .workflow_run.head_repository_id == .workflow_run.repository_id)]
            | sort_by(.created_at) | last | .workflow_run.id // empty')
          if [ -n "$run" ]; then
            gh run download "$run" --name {name}
            tar -xf {name}.tar
          fi
      - name: Retrain
        run: |
          {retrain}
      - name: Pack the store
        id: pack
        if: always() && steps.fetch.outcome == 'success'
        run: |
          tar -cf {name}.tar {store}
      - uses: actions/upload-artifact@v7
        if: always() && steps.pack.outcome == 'success'
        with:
          name: {name}
          path: {name}.tar
          retention-days: 90  # the most there is; fewer take less of a private repository's storage
"""


def _corpus(path: str, placed: Callable[[str], str]) -> str:
    """A corpus as retrain finds it: one that comes along has a name and no path."""
    if path.startswith("sample:"):
        return path
    try:
        return placed(str(Path(path).expanduser()))
    except RuntimeError as error:
        raise InputError(f"--corpus {path}: {error}", "give its whole path") from error


def _of_systemd(word: str) -> str:
    """A word of ExecStart: in quotes where it is not plain, and nothing in it is a specifier or a variable."""
    if PLAIN.fullmatch(word):
        return word
    for special, written in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        word = word.replace(special, written)
    return f'"{word}"'


def _of_systemd_path(folder: Path) -> str:
    """A path that is a setting's whole value: taken as it is; the / keeps a last space or \\ from the line's end."""
    return str(folder).replace("%", "%%").rstrip("/") + "/"


def _of_workflow(words: list[str]) -> str:
    """Words for the shell, in a step of a workflow; quotes come between what GitHub would take for an expression."""
    return shlex.join(words).replace("${{", "$''{{")
