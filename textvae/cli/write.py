"""vary, sample, interpolate, encode: texts out of a finished run."""

import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textvae.cli import options

if TYPE_CHECKING:
    from textvae.writer import Found, Variation, Writer


@click.command()
@options.pipeline
@click.argument("text", nargs=-1, required=True)
@click.option("-n", "count", type=click.IntRange(min=1), default=5, show_default=True, metavar="N",
              help="Variations per text.")
@click.option("--strength", type=click.FloatRange(min=0.0), metavar="S", default=0.7, show_default=True,
              help="How far to go, in standard deviations of the posterior.")
@options.temperature
@options.sampler
@options.constraint
@options.label
@options.must
@options.avoid
@options.max_words
@options.seed
@options.of_run
@options.device
@options.store
@options.as_json
def vary(pipeline: str, text: tuple[str, ...], count: int, strength: float, temperature: float,
         sampler: str, constraint: str | None, label: str | None, must: tuple[str, ...], avoid: tuple[str, ...],
         max_words: int | None, seed: int, run: int | None, device: str, store: Path, as_json: bool) -> None:
    """Write variations of texts.

    The numbers beside each variation are its distance from the source, L2 between the means of the two in the latent
    space, and with --constraint the squared distance from the constraint's centre. TEXT - reads standard input, one
    text a line. Where too few texts meet what is asked for, fewer come, and a message says what the others failed.

    \b
    Example:
        textvae vary quickstart "The government said the talks would go on." -n 3
        textvae vary quickstart "The talks would go on." --must peace --avoid war --max-words 12
        textvae vary quickstart - --json < sentences.txt
    """
    from textvae.cli.console import number, say, say_json, tell
    from textvae.conditions import Conditions

    conditions = Conditions(must, avoid, max_words or 0)
    writer = _open(pipeline, store, run, device)
    for source in texts(text):
        if unknown := writer.unknown(source):
            tell(f"the vocabulary lacks {unknown} of the tokens of {source!r}: they are read as unknown")
        found = writer.vary(source, count, seed=seed, strength=strength, temperature=temperature, sampler=sampler,
                            constraint=constraint, label=label, conditions=conditions)
        if len(found) < count:
            tell(f"{_too_few(found, count)}, as variations of {source!r}; raise --strength or --temperature")
        if as_json:
            for variation in found:
                say_json(_plain(variation))
            continue
        say(source)
        for variation in found:
            region = f"  {number(variation.constraints[constraint])}" if constraint else ""
            say(f"  {variation.distance:.2f}{region}  {variation.text}")
        sys.stdout.flush()


@click.command()
@options.pipeline
@click.option("-n", "count", type=click.IntRange(min=1), default=5, show_default=True, metavar="N",
              help="How many texts.")
@options.temperature
@options.sampler
@options.constraint
@options.label
@options.must
@options.avoid
@options.max_words
@options.seed
@options.of_run
@options.device
@options.store
@options.as_json
def sample(pipeline: str, count: int, temperature: float, sampler: str, constraint: str | None, label: str | None,
           must: tuple[str, ...], avoid: tuple[str, ...], max_words: int | None, seed: int, run: int | None,
           device: str, store: Path, as_json: bool) -> None:
    """Write new texts from nothing, one a line.

    Where too few meet what is asked for, fewer come, and a message says what the others failed.

    \b
    Example:
        textvae sample quickstart -n 3 --temperature 0.7
    """
    from textvae.cli.console import say, say_json, tell
    from textvae.conditions import Conditions

    conditions = Conditions(must, avoid, max_words or 0)
    found = _open(pipeline, store, run, device).sample(
        count, seed=seed, temperature=temperature, sampler=sampler, constraint=constraint, label=label,
        conditions=conditions)
    if len(found) < count:
        tell(f"{_too_few(found, count)}; raise --temperature")
    for drawn in found:
        if as_json:
            say_json(_plain(drawn))
        else:
            say(drawn.text)


@click.command()
@options.pipeline
@click.argument("a")
@click.argument("b")
@click.option("--steps", type=click.IntRange(min=2), default=7, show_default=True, metavar="N",
              help="Texts to write, both ends included.")
@click.option("--spherical/--straight", default=None,
              help="Go along the sphere or the straight line.  [default: the sphere where z lies on one]")
@click.option("--temperature", type=click.FloatRange(min=0.0), default=0.0, show_default=True, metavar="T",
              help="0 takes the likeliest word every time.")
@options.seed
@options.of_run
@options.device
@options.store
@options.as_json
def interpolate(pipeline: str, a: str, b: str, steps: int, spherical: bool | None, temperature: float, seed: int,
                run: int | None, device: str, store: Path, as_json: bool) -> None:
    """Write the texts on the way from A to B.

    \b
    Example:
        textvae interpolate quickstart "The talks will go on." "Rain stopped the game." --steps 5
    """
    from textvae.cli.console import say, say_json

    writer = _open(pipeline, store, run, device)
    for step, text in enumerate(writer.interpolate(a, b, steps, spherical=spherical, temperature=temperature,
                                                   seed=seed)):
        if as_json:
            say_json({"step": step, "text": text, "share": step / (steps - 1)})
        else:
            say(text)


@click.command()
@options.pipeline
@click.argument("text", nargs=-1, required=True)
@options.of_run
@options.device
@options.store
@options.as_json
def encode(pipeline: str, text: tuple[str, ...], run: int | None, device: str, store: Path, as_json: bool) -> None:
    """Print the latent vectors of texts.

    Prints the posterior means, separated by tabs, one text a line; --json adds the texts and the log-variances.
    TEXT - reads standard input, one text a line.

    \b
    Example:
        textvae encode quickstart "The talks will go on."
        textvae encode quickstart - --json < sentences.txt
    """
    from textvae.cli.console import say_json

    writer = _open(pipeline, store, run, device)
    sources = list(texts(text))
    means, log_vars = writer.encode(sources)
    for source, mean, log_var in zip(sources, means, log_vars, strict=True):
        if as_json:
            say_json({"text": source, "mean": mean.tolist(), "log_var": log_var.tolist()})
        else:
            click.echo("\t".join(f"{value:.6g}" for value in mean.tolist()))


def _too_few(found: "Found", count: int) -> str:
    """What a message says of fewer texts than were asked for."""
    failed = sorted(found.failed.items(), key=lambda item: -item[1])
    return (f"{len(found)} of the {count} asked for; of {found.written} texts that were written, "
            + ", ".join(f"{times} fail {condition}" for condition, times in failed))


def _open(pipeline: str, store: Path, run: int | None, device: str) -> "Writer":
    import textvae
    from textvae import catalogue

    return textvae.open(catalogue.locate(pipeline, store).folder, run=run, device=device)


def texts(given: tuple[str, ...]) -> Iterable[str]:
    """Yield the texts as given, with - replaced by the lines of standard input that hold more than white space.

    Raises:
        InputError: All of it is empty, or standard input is not UTF-8.
    """
    from textvae.errors import InputError

    none = True
    for item in given:
        for text in _lines() if item == "-" else (item,):
            if text.strip():
                none = False
                yield text.strip()
    if none:
        raise InputError("there is no text: all that was given is empty", "give a text, or one per line with -")


def _lines() -> Iterable[str]:
    from textvae.errors import InputError

    for row, line in enumerate(sys.stdin.buffer, start=1):
        try:
            yield line.decode("utf-8-sig" if row == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"standard input, line {row}: not UTF-8: byte {error.object[error.start]:#x}",
                             "convert it first, for example with iconv -f latin1 -t utf-8") from error


def _plain(variation: "Variation") -> dict[str, Any]:
    plain = asdict(variation)
    first = ("source", "text", "distance", "constraints", "seed", "run")
    return {key: plain[key] for key in first} | {key: value for key, value in plain.items() if key not in first}
