"""Schedules on this machine: units of systemd's user manager, and marked lines of the user's crontab."""

import os
import re
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from textvae.errors import InputError, StoreError
from textvae.scheduling.schedule import Job, cron_line, for_cron, mark, unit, units
from textvae.store import Store

ELSE = "textvae schedule print shows what another scheduler would need"


@dataclass(frozen=True)
class Installed:
    """A schedule that is in force.

    Args:
        scheduler: ``systemd`` or ``cron``.
        when: The timer's OnCalendar, or the crontab's five fields.
        where: The files, or ``crontab``.
    """

    scheduler: str
    when: str
    where: tuple[str, ...]


def usual() -> str:
    """The scheduler to take where the user names none: ``systemd`` where its user manager answers, else ``cron``.

    Raises:
        InputError: There is neither.
    """
    with suppress(InputError):
        _ask_systemd()
        return "systemd"
    if shutil.which("crontab"):
        return "cron"
    raise InputError("neither systemctl --user nor crontab works here", ELSE)


def install(job: Job, scheduler: str) -> Installed:
    """Put a job into force, in place of the pipeline's earlier one, whichever scheduler had it.

    Args:
        job: What to start and when.
        scheduler: ``systemd`` or ``cron``.

    Raises:
        InputError: The scheduler is not there or refuses.
        StoreError: A unit of this name is another pipeline's.
    """
    if scheduler == "systemd":
        _install_units(job)
    else:
        _install_line(job)
    found = installed(job.store)
    for other in found:
        if other.scheduler != scheduler:
            _take_out(job.store, other)
    return next(own for own in found if own.scheduler == scheduler)


def remove(store: Store) -> list[Installed]:
    """Take a pipeline's schedule out of force; what it is doing at the moment goes on to its end.

    Raises:
        StoreError: There is none.
        InputError: The scheduler refuses.
    """
    found = installed(store)
    if not found:
        raise StoreError(f"nothing is scheduled for {store.folder.absolute()}",
                         "--store DIR names another store; textvae schedule install starts one")
    for own in found:
        _take_out(store, own)
    return found


def installed(store: Store) -> list[Installed]:
    """What is in force for a pipeline; nothing is changed."""
    files = [path for path in _unit_files(store.pipeline) if path.is_file() and _first_line(path) == mark(store)]
    found = []
    if files:
        times = re.findall("^OnCalendar=(.*)$", files[-1].read_text(encoding="utf-8"), re.M)
        found.append(Installed("systemd", "".join(times), tuple(map(str, files))))
    with suppress(InputError):  # who may not use cron has nothing there
        found += [Installed("cron", " ".join(line.decode(errors="replace").split()[:5]), ("crontab",))
                  for line in _crontab().split(b"\n") if _is_of(store, line)][:1]
    return found


def units_folder() -> Path:
    """Where systemd's user manager finds the user's own units."""
    given = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".config") / "systemd" / "user"


def _take_out(store: Store, own: Installed) -> None:
    if own.scheduler == "systemd":
        _remove_units(store)
    else:
        _remove_line(store)


# systemd


def _install_units(job: Job) -> None:
    files = _unit_files(job.name)
    for path in files:
        if path.is_file() and _first_line(path) != job.mark:
            raise StoreError(f"{path} is there already, and not for {job.store.folder.absolute()}: "
                             f"its first line is {_first_line(path)!r}",
                             "remove that schedule first, or give one of the pipelines another name")
    _ask_systemd()
    for path, text in zip(files, units(job).values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    try:
        _systemctl("daemon-reload")
        _systemctl("enable", "--now", files[-1].name)
        _systemctl("restart", files[-1].name)  # an earlier timer that is active may wait for its old time
    except InputError:
        with suppress(InputError):
            _remove_units(job.store)
        raise


def _remove_units(store: Store) -> None:
    service, timer = _unit_files(store.pipeline)
    try:
        if timer.is_file():
            _systemctl("disable", "--now", timer.name)
    finally:
        timer.unlink(missing_ok=True)
        service.unlink(missing_ok=True)
    _systemctl("daemon-reload")


def _unit_files(pipeline: str) -> tuple[Path, Path]:
    """The service and the timer."""
    return units_folder() / f"{unit(pipeline)}.service", units_folder() / f"{unit(pipeline)}.timer"


def _first_line(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]


def _ask_systemd() -> None:
    """Raise InputError where systemd's user manager does not answer."""
    _systemctl("show", "--property=Version")


def _systemctl(*words: str) -> None:
    _call("systemctl", "--user", *words)


# cron


def _install_line(job: Job) -> None:
    before = _crontab()
    line = cron_line(job).encode()
    lines = before.split(b"\n")
    places = [place for place, old in enumerate(lines) if _is_of(job.store, old)]
    if places:
        lines[places[0]] = line
        lines = [old for place, old in enumerate(lines) if place not in places[1:]]
    else:
        lines[-1:] = [line, b""] if not lines[-1] else [lines[-1], line, b""]
    job.store.root.mkdir(parents=True, exist_ok=True)  # the log stands there
    _call("crontab", "-", stdin=b"\n".join(lines))


def _remove_line(store: Store) -> None:
    kept = b"\n".join(line for line in _crontab().split(b"\n") if not _is_of(store, line))
    if kept:
        _call("crontab", "-", stdin=kept)
    else:
        _call("crontab", "-r")


def _is_of(store: Store, line: bytes) -> bool:
    """Whether a line of a crontab is this pipeline's; one that somebody made a comment is not."""
    return line.rstrip().endswith(b" " + for_cron(mark(store)).encode()) and not line.lstrip().startswith(b"#")


def _crontab() -> bytes:
    """The user's crontab, empty where there is none.

    Raises:
        InputError: There is no cron, or it refuses: then nothing may be written either, or the lines there were lost.
    """
    try:
        return _call("crontab", "-l")
    except InputError as error:
        if re.search("no crontab|no such file", error.message.lower()) and shutil.which("crontab"):
            return b""
        raise


def _call(*words: str, stdin: bytes = b"") -> bytes:
    """Run a scheduler's program; its standard output.

    Raises:
        InputError: It is not there, may not be run, or fails.
    """
    try:
        done = subprocess.run(words, input=stdin, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError as error:
        raise InputError(f"there is no {words[0]} on this machine", ELSE) from error
    except OSError as error:
        raise InputError(f"{words[0]} cannot be run: {error.strerror}", ELSE) from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        raise InputError(f"{' '.join(words)}: {said}", ELSE)
    return done.stdout
