"""show, runs: what there is in the store; nothing is changed."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textvae.cli import options

if TYPE_CHECKING:
    from textvae.runs import Run
    from textvae.store import Store


@click.command()
@options.pipeline
@click.argument("stage", required=False)
@options.of_run
@click.option("--path", "only_path", is_flag=True, help="Print only the folder of the stage's artefact.")
@click.option("--toml", "only_toml", is_flag=True, help="Print only the pipeline's TOML file, to start your own from.")
@options.store
@options.as_json
def show(pipeline: str, stage: str | None, run: int | None, only_path: bool, only_toml: bool, store: Path,
         as_json: bool) -> None:
    """Show what a run or one of its stages measured.

    The promoted run, or the newest where none is promoted yet, unless --run says otherwise.

    \b
    Example:
        textvae show quickstart
        textvae show quickstart sequence_vae
        textvae show quickstart evaluation --path
    """
    from textvae import catalogue, runs
    from textvae.cli.console import say, say_json

    if only_toml:
        if stage is not None or run is not None or only_path or as_json:
            raise click.UsageError("--toml prints a file as it is: neither STAGE nor another option goes with it")
        _toml(pipeline)
        return
    if only_path and stage is None:
        raise click.UsageError("--path needs a STAGE")
    folder = catalogue.locate(pipeline, store)
    chosen = runs.shown(folder, run)
    if stage is None:
        _show_run(chosen, as_json)
        return
    key = _key(folder, chosen, stage)
    if only_path and as_json:
        say_json({"path": str(folder.path(stage, key))})
    elif only_path:
        say(str(folder.path(stage, key)))
    elif as_json:
        say_json(folder.manifest(stage, key))
    else:
        _show_stage(folder, chosen, stage, key)


@click.command()
@options.pipeline
@options.store
@options.as_json
def runs(pipeline: str, store: Path, as_json: bool) -> None:
    """List the runs of a pipeline.

    The newest stands last; * marks the promoted one, which vary and its siblings read, and "pinned" those that prune
    never deletes.

    \b
    Example:
        textvae runs quickstart
    """
    from dataclasses import asdict

    from textvae import catalogue, upkeep
    from textvae import runs as recorded
    from textvae.cli.console import duration, say_json, say_table
    from textvae.cli.highlights import highlights

    folder = catalogue.locate(pipeline, store)
    upkeep.there(folder)
    promoted, pins = recorded.current(folder), upkeep.pinned(folder)
    rows = []
    for run in recorded.records(folder):
        is_current = promoted is not None and run.number == promoted.number
        if as_json:
            say_json(asdict(run) | {"current": is_current, "pinned": run.number in pins})
            continue
        ran = [name for name, fact in run.stages.items() if fact["ran"]]
        said = next((text for name in ("evaluation", "sequence_vae", *reversed(run.stages))
                     if name in run.stages and (text := highlights(name, run.stages[name]["metrics"]))), "")
        marks = ["*"] * is_current + ["pinned"] * (run.number in pins)
        rows.append((" ".join(marks), str(run.number), _when(run),
                     duration(run.seconds), ", ".join(ran) if len(ran) < len(run.stages) else "all",
                     run.why + ("" if run.gate.get("promoted", True) else ", not promoted"), said))
    if not as_json:
        say_table(("", "run", "started (UTC)", "time", "stages that ran", "why", "result"), rows)


def metric_row(name: str, value: Any) -> tuple[str, str, str]:
    """A row: a metric of evaluation has an interval and a unit, every other one is its value."""
    from textvae.cli.console import number

    if not isinstance(value, dict) or "value" not in value:
        return name, _short(value), ""
    bounds = f"[{number(value['low'])}, {number(value['high'])}] " if value.get("low") is not None else ""
    return name, _short(value["value"]), f"{bounds}{value.get('unit') or ''}".strip()


def came(run: "Run") -> str:
    """Where a run came from that was not made here."""
    return f"came from {run.origin['from']}, there run {run.origin['run']} of {run.origin['pipeline']}"


def say_origin(run: "Run") -> None:
    """Say where a run came from; nothing of one that was made here."""
    from textvae.cli.console import say

    if run.origin:
        left = f", without {' and '.join(run.origin['left_out'])}" if run.origin["left_out"] else ""
        say(came(run) + left)


def _toml(pipeline: str) -> None:
    from textvae import catalogue
    from textvae.errors import ConfigError

    file = catalogue.recipes().get(pipeline, Path(pipeline))
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        known = ", ".join(catalogue.recipes())
        raise ConfigError(f"{pipeline} is neither a TOML file nor a recipe", f"recipes: {known}") from error
    click.echo(text, nl=False)


def _when(run: "Run") -> str:
    return run.started[:16].replace("T", " ")


def _key(store: "Store", run: "Run", stage: str) -> str:
    from textvae import planning, runs
    from textvae.errors import StoreError

    if planning.stage(stage).name not in run.stages:
        raise StoreError(f"run {run.number} of {run.pipeline} has no {stage}: it has {', '.join(run.stages)}",
                         runs.remedy(store, run, stage))
    key: str = run.stages[stage]["key"]
    return key


def _show_run(run: "Run", as_json: bool) -> None:
    from dataclasses import asdict

    from textvae.cli.console import duration, say, say_json, say_table
    from textvae.cli.highlights import highlights

    if as_json:
        say_json(asdict(run))
        return
    device = run.device.get("name") or run.device.get("kind") or "no device"
    say(f"{run.pipeline}, run {run.number}: {_when(run)} UTC, {duration(run.seconds)}, {device}")
    say_origin(run)
    say_table(("stage", "key", "time", "result"),
              [(name, fact["key"], duration(fact["seconds"]), highlights(name, fact["metrics"]))
               for name, fact in run.stages.items()])


def _show_stage(store: "Store", run: "Run", stage: str, key: str) -> None:
    from textvae.cli.console import duration, say, say_table

    facts = store.manifest(stage, key)
    say(f"{run.pipeline}, run {run.number}, {stage} {key}: {duration(facts['seconds'])}{_usage(facts)}")
    say(f"folder: {store.path(stage, key)}")
    if facts["metrics"]:
        say()
        say_table(("metric", "value", ""), [metric_row(name, value) for name, value in facts["metrics"].items()])
    if facts["config"]:
        say()
        say_table(("setting", "value"), settings_rows(facts["config"]))
    say()
    say_table(("file", "bytes"), [(name, f"{fact['size']:,}") for name, fact in facts["files"].items()])


def settings_rows(config: dict[str, Any]) -> list[tuple[str, str]]:
    """Settings as TOML has them; of tables in a list, such as constraints, a row each that says what is set."""
    rows = []
    for name, value in config.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            for number, table in enumerate(value, start=1):
                told = [f"{key} = {_toml_value(own)}" for key, own in table.items()
                        if key != "name" and own not in ("", [], 0)]
                rows.append((f"{name}: {table.get('name', number)}", ", ".join(told)))
        else:
            rows.append((name, _toml_value(value)))
    return rows


def _toml_value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _usage(facts: dict[str, Any]) -> str:
    """What a stage took beside time, and where it ran; manifests of older versions say less."""
    from textvae.cli.console import number

    used, device = facts.get("usage", {}), facts["device"]
    said = [f"{number(used['tokens_per_second'])} tokens/s" if used.get("tokens_per_second") else "",
            f"{used['peak_memory'] / 1e6:,.0f} MB of memory at most" if used.get("peak_memory") else "",
            f"{used['gpu_peak_memory'] / 1e6:,.0f} MB of the GPU's" if used.get("gpu_peak_memory") else "",
            device.get("name") or device.get("kind", ""), device.get("backend", ""), device.get("precision", "")]
    return "".join(f", {item}" for item in said if item)


def _short(value: Any) -> str:
    """A metric on one line: a list by its ends, counts by name with the largest few."""
    from textvae.cli.console import number

    if isinstance(value, list) and value and all(isinstance(item, int | float) for item in value):
        return f"{number(min(value))} to {number(max(value))} ({len(value)})"
    if isinstance(value, dict):
        shown = ", ".join(f"{name} {number(item)}" for name, item in list(value.items())[:5])
        return shown + (f" and {len(value) - 5} more" if len(value) > 5 else "")
    return number(value)
