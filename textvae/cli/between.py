"""interpolate, blend, analogy, complete: texts between texts."""

from pathlib import Path

import click

from textvae.cli import options
from textvae.cli.given import FEW_CANDIDATES, opened

cool = click.option("--temperature", type=click.FloatRange(min=0.0), default=0.0, show_default=True, metavar="T",
                    help="0 takes the likeliest word every time.")


@click.command()
@options.pipeline
@click.argument("a", type=options.TEXT)
@click.argument("b", type=options.TEXT)
@click.option("--steps", type=click.IntRange(2, options.COUNT.max), default=7, show_default=True, metavar="N",
              help="Texts to write, both ends included.")
@click.option("--spherical/--straight", default=None,
              help="Go along the sphere or the straight line.  [default: the sphere where z lies on one]")
@cool
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

    writer = opened(pipeline, store, run, device, few=steps <= FEW_CANDIDATES)
    for step, text in enumerate(writer.interpolate(a, b, steps, spherical=spherical, temperature=temperature,
                                                   seed=seed)):
        if as_json:
            say_json({"step": step, "text": text, "share": step / (steps - 1)})
        else:
            say(text)


@click.command()
@options.pipeline
@click.argument("text", type=options.TEXT, nargs=-1, required=True)
@click.option("--weights", metavar="W,W,...", default="",
              help="How much of each text, such as 2,1,1.  [default: as much of all]")
@cool
@options.seed
@options.of_run
@options.device
@options.store
@options.as_json
def blend(pipeline: str, text: tuple[str, ...], weights: str, temperature: float, seed: int, run: int | None,
          device: str, store: Path, as_json: bool) -> None:
    """Write what lies in the middle of several texts.

    \b
    Example:
        textvae blend quickstart "The talks will go on." "Rain stopped the game." --weights 2,1
    """
    from textvae.cli.console import say, say_json

    try:
        shares = [float(weight) for weight in weights.split(",")] if weights else []
    except ValueError as error:
        raise click.BadParameter(f"{weights!r} is not numbers with commas between them",
                                 param_hint="--weights") from error
    written = opened(pipeline, store, run, device, few=True).blend(text, shares, temperature=temperature, seed=seed)
    if as_json:
        say_json({"texts": list(text), "weights": shares or [1.0] * len(text), "text": written})
    else:
        say(written)


@click.command()
@options.pipeline
@click.argument("a", type=options.TEXT)
@click.argument("b", type=options.TEXT)
@click.argument("c", type=options.TEXT)
@cool
@options.seed
@options.of_run
@options.device
@options.store
@options.as_json
def analogy(pipeline: str, a: str, b: str, c: str, temperature: float, seed: int, run: int | None, device: str,
            store: Path, as_json: bool) -> None:
    """Write what is to C as B is to A.

    \b
    Example:
        textvae analogy quickstart "The talks will go on." "The talks are over." "The game will go on."
    """
    from textvae.cli.console import say, say_json

    written = opened(pipeline, store, run, device, few=True).analogy(a, b, c, temperature=temperature, seed=seed)
    if as_json:
        say_json({"a": a, "b": b, "c": c, "text": written})
    else:
        say(written)


@click.command()
@options.pipeline
@click.argument("text", type=options.TEXT)
@click.option("-n", "count", type=options.COUNT, default=5, show_default=True, metavar="N",
              help="How many ways to fill it.")
@options.judged
@options.temperature
@options.seed
@options.of_run
@options.device
@options.store
@options.as_json
def complete(pipeline: str, text: str, count: int, judged: tuple[str, ...], temperature: float, seed: int,
             run: int | None, device: str, store: Path, as_json: bool) -> None:
    """Fill the gaps of TEXT, each written ___.

    All else stays as it is. A gap takes one to four tokens.

    \b
    Example:
        textvae complete quickstart "The ___ said the talks would ___ on." -n 3
    """
    from textvae.cli.console import say, say_json, tell
    from textvae.writing.gaps import complete as fill

    writer = opened(pipeline, store, run, device, few=True)
    found = fill(writer, text, count, seed=seed, temperature=temperature, judged=judged)
    if len(found) < count:
        tell(f"{len(found)} of the {count} asked for; {found.reason()}; raise --temperature")
    for own in found:
        if as_json:
            say_json({"source": text, "text": own.text, "log_prob": own.log_prob, "seed": seed, "run": own.run})
        else:
            say(own.text)
