"""Runs textvae's command line inside the test process, as a shell would see it."""

import io
import json
import re
import resource
import shlex
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from textvae.cli import COMMANDS, main
from textvae.cli import textvae as group


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> list[Any]:
        """Standard output as JSON, one value a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def textvae(*args: str, stdin: bytes = b"") -> Done:
    """Run ``textvae ARGS...`` in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main([str(arg) for arg in args])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    finally:
        sys.stdin = before
    written = []
    for stream in (out, err):
        stream.flush()
        written.append(stream.buffer.getvalue().decode("utf-8"))  # type: ignore[attr-defined]
    return Done(code, *written)


def parses(words: list[str]) -> click.Context:
    """Parse the words after ``textvae`` with the real command line, running nothing."""
    return _parse(group, "textvae", words)


def _parse(command: click.Command, name: str | None, words: list[str],
           parent: click.Context | None = None) -> click.Context:
    with command.make_context(name, list(words), parent=parent) as ctx:
        if not isinstance(command, click.Group) or not words or words[0].startswith("-"):
            return ctx
        inner, found, rest = command.resolve_command(ctx, words)
        assert found is not None
        return _parse(found, inner, rest, ctx)


def find(name: str) -> click.Command:
    """The command of a name such as ``run`` or ``schedule print``."""
    found: click.Command | None = group
    for word in name.split():
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), word)
    assert found is not None
    return found


def names() -> list[str]:
    """Every command, and behind one that is a group those in it."""
    listed = []
    for name in COMMANDS:
        command = find(name)
        listed += [name, *(f"{name} {inner}" for inner in getattr(command, "commands", ()))]
    return listed


def examples(command: str) -> list[list[str]]:
    """The commands of a help text's example, as the words after ``textvae``, without redirections."""
    block = (find(command).help or "").partition("Example:")[2]
    return [words(line) for line in block.splitlines() if line.strip().startswith("textvae ")]


def words(line: str) -> list[str]:
    """The words of a shell line after ``textvae``, without redirections and what follows a pipe."""
    parts = shlex.split(re.sub(r"\s[<>]\s*\S+", "", line.partition(" | ")[0]))
    assert parts[0] == "textvae"
    return parts[1:]


def console_lines(page: Path) -> list[str]:
    """The commands of a page's ``console`` blocks: its lines that begin with ``$``."""
    blocks = re.findall(r"^```console\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


__all__ = ["COMMANDS", "Done", "console_lines", "examples", "find", "names", "parses", "textvae",
           "words"]


def seconds_of_children() -> float:
    """CPU seconds of the processes that have ended: other than the time that passes, the same on a busy machine."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
