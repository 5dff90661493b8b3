"""Writes docs/cli.md from --help and docs/settings.md from the config: ``python -m textvae.cli.reference docs``."""

import dataclasses
import sys
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import click

from textvae import config
from textvae.cli import textvae
from textvae.cli.console import tell

WIDTH = 100  # of the help texts, whatever the terminal of whoever writes the pages


def command_page() -> str:
    """The page of every command, as its --help prints it."""
    parts = ["# The command line", "",
             "Written by `make docs` from `textvae --help`; a test fails when it is stale.", ""]
    root = click.Context(textvae, info_name="textvae", terminal_width=WIDTH, **textvae.context_settings)
    parts += _fenced(textvae.get_help(root)) + _commands(textvae, root)
    return "\n".join(parts).rstrip() + "\n"


def settings_page() -> str:
    """The page of every setting: its default, its bounds and what it means."""
    parts = ["# The settings", "", "Written by `make docs` from `textvae/config.py`; a test fails when it is stale.",
             "", "A pipeline is a TOML file with a section per stage. What it leaves out has the default;",
             "`--set section.key=value` changes one setting for one run.", "",
             "At the top of the file: `name` (the file's name without `.toml` when left out), `description` and `seed`",
             "(1; every stage derives its own from it)."]
    for section in dataclasses.fields(config.PipelineConfig):
        if dataclasses.is_dataclass(section.default):
            parts += ["", *_table(f"[{section.name}]", type(section.default))]
    parts += ["", *_table("[[sequence_vae.constraints]]", config.ConstraintConfig)]
    return "\n".join(parts) + "\n"


def main() -> None:
    """Write both pages into the folder that the command line names."""
    folder = Path(sys.argv[1])
    for name, page in (("cli.md", command_page()), ("settings.md", settings_page())):
        (folder / name).write_text(page, encoding="utf-8")
        tell(f"wrote {folder / name}")


def _commands(group: click.Group, parent: click.Context) -> list[str]:
    """The help of every command of a group, of one that is a group with its own behind it."""
    parts = []
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert command is not None  # it is in the list
        context = click.Context(command, parent, info_name=name, terminal_width=WIDTH)
        parts += [f"## {context.command_path}", "", *_fenced(command.get_help(context))]
        parts += _commands(command, context) if isinstance(command, click.Group) else []
    return parts


def _fenced(text: str) -> list[str]:
    return ["```text", text, "```", ""]


def _table(title: str, section: Any) -> list[str]:
    hints = get_type_hints(section)
    rows = [f"## `{title}`", "", section.__doc__, "",
            "| setting | default | values | what it is |", "|---|---|---|---|"]
    for field in dataclasses.fields(section):
        values = _values(hints[field.name], field.metadata)
        rows.append(f"| `{field.name}` | {_default(field.default)} | {values} | {field.metadata['help']} |")
    return rows


def _default(value: Any) -> str:
    if value in ("", ()):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _values(hint: Any, metadata: Any) -> str:
    if metadata["choices"]:
        return ", ".join(f"`{choice}`" for choice in metadata["choices"])
    least, most = metadata["least"], metadata["most"]
    if least is not None:
        return f"{least:g} to {most:g}" if most is not None else f"{least:g} or more"
    if get_origin(hint) is tuple:
        return "list of tables" if dataclasses.is_dataclass(get_args(hint)[0]) else "list"
    return {bool: "true or false", str: "text", int: "whole number", float: "number"}[hint]


if __name__ == "__main__":
    main()
