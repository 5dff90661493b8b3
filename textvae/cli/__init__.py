"""The command line: parse, call one function, print. Only here is anything printed or exited."""

import errno
import gc
import importlib
import keyword
import os
import sys
from pathlib import Path
from typing import NoReturn

import click

# Commands in the order in which a new user meets them, and the module of each: only the one that is called is imported.
COMMANDS = {
    "run": "run",
    "evaluate": "measure",
    "status": "status", "show": "look", "runs": "look",
    "vary": "write", "sample": "write", "encode": "write",
    "interpolate": "between", "blend": "between", "analogy": "between", "complete": "between",
    "augment": "table",
    "diff": "trace", "lineage": "trace",
    "promote": "keep", "rollback": "keep", "pin": "keep", "unpin": "keep", "verify": "keep", "prune": "keep",
    "convert": "convert", "track": "convert",
    "export": "share", "import": "share", "push": "share", "pull": "share",
    "retrain": "retrain", "watch": "retrain", "schedule": "schedule",
}
INTERRUPTED = 130  # 128 + SIGINT, what shells report for Ctrl-C
PIPE_CLOSED = 141  # 128 + SIGPIPE, what shells report for a program whose reader went away
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO)


class Commands(click.Group):
    """A click group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; a name that does not exist is a usage error that suggests another."""
        if cmd_name not in COMMANDS:
            import difflib

            close = difflib.get_close_matches(cmd_name, COMMANDS, n=1)
            ctx.fail(f"no such command: {cmd_name}" + (f" (did you mean {close[0]}?)" if close else ""))
        function = cmd_name + "_" * keyword.iskeyword(cmd_name)  # import is import_ in Python
        command: click.Command = getattr(importlib.import_module(f"textvae.cli.{COMMANDS[cmd_name]}"), function)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="textvae", message="%(prog)s %(version)s")
def textvae() -> None:
    """Train variational autoencoders on your own texts and write variations of them, offline.

    PIPELINE is a TOML file, the name of one in pipelines/ or of a recipe that comes with textvae (quickstart, blog,
    blog-bpe, csv, ptb, ptb-reconstruction, yelp), or a folder of the store
    such as models/blog.

    \b
    Example:
        textvae run quickstart
        textvae vary quickstart "The government said the talks would go on." -n 5

    Results go to standard output, progress and errors to standard error. Exit codes: 0 done, 1 the input or the state
    is wrong, 2 wrong usage, 75 another process is writing the pipeline, 130 stopped with Ctrl-C.
    """


def main(args: list[str] | None = None) -> NoReturn:
    """Run one command and exit with its code.

    Args:
        args: The words after ``textvae``; those of the process when None.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # it is closed; no file that is opened later may take its number
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that lacks a character gets its escape, not a traceback
            stream.reconfigure(errors="backslashreplace")
    code = _run(sys.argv[1:] if args is None else args)
    gc.freeze()  # or Python looks for garbage for seconds on its way out
    sys.exit(code)


def _run(args: list[str]) -> int:
    from textvae.errors import TextvaeError

    try:
        with textvae.make_context("textvae", list(args)) as ctx:
            textvae.invoke(ctx)
        sys.stdout.flush()
        return 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except TextvaeError as error:
        _tell(error.message, error.hint)
        return error.exit_code
    except (KeyboardInterrupt, click.exceptions.Abort):
        click.echo("stopped; the next run resumes here" if args and args[0] == "run" else "stopped", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # Python flushes standard output once more on its way out: let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except MemoryError as error:
        _tell(f"there is too little memory: {error}".rstrip(": "), "ask for fewer texts, or train on smaller batches")
        return TextvaeError.exit_code
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        where = f": {error.filename}" if error.filename else ""
        resumed = "; a run resumes where it stopped" if args[0] in ("run", "retrain", "watch") else ""
        _tell(f"{error.strerror}{where}", f"mend the disk or the permissions{resumed}")
        return TextvaeError.exit_code


def _tell(message: str, hint: str) -> None:
    from textvae.cli.console import clean

    click.echo("error: " + clean(message, keep="\n"), err=True)
    if hint:
        click.echo("hint: " + clean(hint, keep="\n"), err=True)
