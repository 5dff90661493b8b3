"""diff, lineage: how runs differ and where they come from."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textvae.cli import options

if TYPE_CHECKING:
    from textvae.compare import Comparison, Metric, Written
    from textvae.lineage import Lineage


@click.command()
@options.pipeline
@click.argument("before", type=click.IntRange(min=1), metavar="RUN")
@click.argument("after", type=click.IntRange(min=1), metavar="RUN")
@click.option("-n", "count", type=click.IntRange(min=0), default=3, show_default=True, metavar="N",
              help="Texts of each kind to show side by side.")
@options.store
@options.as_json
def diff(pipeline: str, before: int, after: int, count: int, store: Path, as_json: bool) -> None:
    """Show two runs side by side.

    The settings that differ, the posts that came, changed or went, every number that is another one, and texts that
    both wrote. An ! marks a change where the two 95% intervals do not meet.

    \b
    Example:
        textvae diff quickstart 1 2
    """
    from textvae import catalogue
    from textvae.cli.console import say, say_json
    from textvae.compare import compare

    found = compare(catalogue.locate(pipeline, store), before, after)
    if as_json:
        say_json(_as_json(found))
        return
    names = (f"run {before}", f"run {after}")
    say(f"{found.before.pipeline}, run {before} and run {after}")
    for title, pairs in (("setting", found.settings), ("made by", found.makers)):
        _say_table((title, *names), [(pair.name, _short(pair.before), _short(pair.after)) for pair in pairs])
    say()
    if not found.settings:
        say("no setting differs")
    _say_posts(found)
    rows = [metric for metric in found.metrics if metric.before != metric.after]
    _say_table(("metric", *names, "change", ""), [_row(metric) for metric in rows])
    say()
    say(f"{len(found.metrics) - len(rows)} of {len(found.metrics)} numbers are the same")
    _say_texts(found.texts, names, count)


def _as_json(found: "Comparison") -> dict[str, Any]:
    from dataclasses import asdict

    plain = asdict(found)
    for side in ("before", "after"):
        run = plain.pop(side)
        plain[side] = {name: run[name] for name in ("number", "started", "why")}
    return plain | {"metrics": [asdict(metric) | {"change": metric.change} for metric in found.metrics]}


def _say_posts(found: "Comparison") -> None:
    from textvae.cli.console import say

    if found.posts is None:
        say("posts: unknown, since a run has no corpus")
        return
    posts = found.posts
    told = [("new", posts.new), ("changed", posts.changed), ("deleted", posts.deleted)]
    say("posts: " + ", ".join(f"{len(ids):,} {word}" for word, ids in told) + f", {posts.same:,} the same")
    for word, ids in told:
        for name in ids[:5]:
            say(f"  {word}: {name}")
        if len(ids) > 5:
            say(f"  {word}: and {len(ids) - 5:,} more; --json names all")


def _row(metric: "Metric") -> tuple[str, ...]:
    from textvae.cli.console import number

    change = ""
    if metric.change is not None:
        part = f" ({metric.change / abs(metric.before):+.1%})" if metric.before else ""
        change = f"{'+' if metric.change > 0 else ''}{number(metric.change)}{part}"
    return metric.name, number(metric.before), number(metric.after), change, "!" if metric.clear else ""


def _say_texts(texts: "tuple[Written, ...]", names: tuple[str, str], count: int) -> None:
    from textvae.cli.console import say

    for kind in dict.fromkeys(own.kind for own in texts):
        for own in [own for own in texts if own.kind == kind][:count]:
            say()
            say(f"{kind} of: {own.source}" if own.source else kind)
            sides = list(zip(names, (own.before[:count], own.after[:count]), strict=True))
            if sides[0][1] == sides[1][1]:
                sides = [("both", own.before[:count])]
            for name, written in sides:
                for text in written:
                    say(f"  {name}  {text}")


def _say_table(headers: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from textvae.cli.console import say, say_table

    if rows:
        say()
        say_table(headers, rows)


def _short(value: Any) -> str:
    from textvae.cli.console import as_json, number

    text = as_json(value) if isinstance(value, list | dict) else number(value)
    return text if len(text) <= 60 else text[:57] + "..."


@click.command()
@options.pipeline
@options.of_run
@options.store
@options.as_json
def lineage(pipeline: str, run: int | None, store: Path, as_json: bool) -> None:
    """Show what a run was made from, and by what.

    Every artefact with those it was made from, down to the fingerprint of the corpus; then the runs that replaced each
    other.

    \b
    Example:
        textvae lineage quickstart
    """
    from textvae import catalogue
    from textvae.cli.console import number, say, say_json, say_table
    from textvae.cli.look import say_origin
    from textvae.lineage import trace

    found = trace(catalogue.locate(pipeline, store), run)
    if as_json:
        say_json(_lineage_json(found))
        return
    say(f"{found.run.pipeline}, run {found.run.number}")
    say_origin(found.run)
    keys = {own.stage: own.key for own in found.made}
    say_table(("stage", "key", "made (UTC)", "seed", "commit", "from"),
              [(own.stage, own.key, own.when[:16].replace("T", " "), number(own.seed), _commit(own.commit),
                own.trouble or ", ".join(stage if keys.get(stage) == key else f"{stage} {key}"
                                         for stage, key in own.inputs.items())) for own in found.made])
    say()
    for own in found.made:
        if own.fingerprint:
            say(f"corpus fingerprint: {own.fingerprint}")
    for line in dict.fromkeys(f"packages: Python {own.python}, " + ", ".join(
            f"{name} {version}" for name, version in (own.packages or {}).items()) for own in found.made if own.python):
        say(line)
    say()
    for one in (found.run, *found.before):
        why = f", {one.why}" if one.why else ""
        replaced = "" if one.replaced is None else f", replaced run {one.replaced}"
        say(f"run {one.number}: {one.started[:16].replace('T', ' ')} UTC{why}{replaced}")
    if found.lost is not None:
        say(f"run {found.lost}: its record is gone")


def _lineage_json(found: "Lineage") -> dict[str, Any]:
    from dataclasses import asdict

    told = [{name: getattr(run, name) for name in ("number", "started", "why", "replaced")}
            for run in (found.run, *found.before)]
    return {"pipeline": found.run.pipeline, "run": found.run.number, "artefacts": [asdict(own) for own in found.made],
            "runs": told, "lost": found.lost}


def _commit(commit: str) -> str:
    """Ten characters of a commit, and whether files were changed."""
    return commit[:10] + ("+" if commit.endswith("-dirty") else "")
