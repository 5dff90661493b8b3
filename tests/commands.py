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
    with group.make_context("textvae", list(words), resilient_parsing=False) as root:
        if not words or words[0].startswith("-"):
            return root
        name, command, rest = group.resolve_command(root, words)
        assert command is not None
        return command.make_context(name, rest, parent=root)


def examples(command: str) -> list[list[str]]:
    """The commands of a help text's example, as the words after ``textvae``, without redirections."""
    ctx = click.Context(group)
    found = group.get_command(ctx, command)
    assert found is not None and found.help is not None
    block = found.help.partition("Example:")[2]
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


__all__ = ["COMMANDS", "Done", "console_lines", "examples", "parses", "textvae", "words"]


def seconds_of_children() -> float:
    """CPU seconds of the processes that have ended: other than the time that passes, the same on a busy machine."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
