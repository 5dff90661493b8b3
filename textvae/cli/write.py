"""vary, sample, encode: texts out of a finished run."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from textvae.cli import options
from textvae.cli.given import FEW_SOURCES, few, opened, texts

if TYPE_CHECKING:
    from textvae.writing.conditions import Conditions
    from textvae.writing.found import Variation
    from textvae.writing.writer import Writer


@click.command()
@options.pipeline
@click.argument("text", type=options.TEXT, nargs=-1)
@click.option("-n", "count", type=options.COUNT, default=5, show_default=True, metavar="N",
              help="Variations per text.")
@options.strength
@options.temperature
@options.sampler
@options.fluency
@options.candidates
@options.constraint
@options.label
@options.judged
@options.must
@options.avoid
@options.max_words
@options.near
@options.far
@options.distance
@click.option("--file", "file", type=click.Path(path_type=Path), metavar="POST",
              help="Vary sentences of this post, Markdown or plain text, where they stand.")
@click.option("--share", type=click.FloatRange(min=0.0, max=1.0, min_open=True), default=0.3, show_default=True,
              metavar="S", help="With --file: share of the sentences to vary, one at least.")
@click.option("--headings", is_flag=True, help="With --file: headings too.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="With --file: where the post goes, instead of standard output.")
@click.option("--diff", is_flag=True, help="With --file: print what changed.")
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="With --file: write a page that shows what changed.")
@options.seed
@options.of_run
@options.device
@options.store
@options.as_json
def vary(pipeline: str, text: tuple[str, ...], count: int, strength: float, temperature: float, sampler: str,
         fluency: float | None, candidates: int, label: str | None, file: Path | None, share: float, headings: bool,
         output: Path | None, diff: bool, page: Path | None, seed: int, run: int | None, device: str, store: Path,
         as_json: bool, **given: Any) -> None:
    """Write variations of texts, or of a post's sentences.

    The numbers beside each variation are its distance from the source, L2 between the means of the two in the latent
    space, and with --constraint the squared distance from the constraint's centre. TEXT - reads standard input, one
    text a line, and prints the variations of what has come before it reads on. Where too few texts meet what is asked
    for, fewer come, and a message says what the others failed.

    With --file, header, code, quotes, tables, HTML, and sentences with links or other markup stay byte for byte.

    \b
    Example:
        textvae vary quickstart "The government said the talks would go on." -n 3
        textvae vary quickstart "The talks would go on." --must peace --avoid war --max-words 12
        textvae vary quickstart - --json < sentences.txt
        textvae vary quickstart --file post.md --share 0.5 -o varied.md --diff
    """
    from textvae.cli.bars import beside_results
    from textvae.cli.console import tell
    from textvae.cli.posts import vary_file
    from textvae.errors import InputError
    from textvae.progress import Progress

    if bool(text) == bool(file):
        raise click.UsageError("give a TEXT or --file POST" + (", not both" if file else ""))
    if not file and (output or page or diff or headings or _was_given("share")):
        raise click.UsageError("--share, --output, --html, --diff and --headings go with --file")
    if file and _was_given("count"):
        raise click.UsageError("-n goes with TEXT: a sentence of a post is varied once")
    if diff and as_json:
        raise click.UsageError("give --diff or --json, not both")
    if page and page.resolve() in {path.resolve() for path in (file, output) if path}:
        raise click.UsageError(f"--html {page} is where the post is, or goes: give the page a file of its own")
    asked: dict[str, Any] = {"seed": seed, "strength": strength, "temperature": temperature, "sampler": sampler,
                             "fluency": fluency, "candidates": candidates, "label": label,
                             "conditions": _conditions(**given)}
    quick = few(count * candidates, sampler)
    if file:
        vary_file(lambda short: opened(pipeline, store, run, device, few=short and quick), file, output=output,
                  page=page, diff=diff, lines=as_json, share=share, headings=headings, **asked)
        return
    writer = opened(pipeline, store, run, device, few=quick and "-" not in text and len(text) <= FEW_SOURCES)
    done = left = 0
    start = time.monotonic()

    def leave(why: str) -> None:
        nonlocal left
        left += 1
        tell(f"left out: {why}")

    with (beside_results() if "-" in text else Progress()).task("varying texts") as advance:
        for some in _together(text, leave):
            able = []
            for source in some:
                try:
                    writer.ids([source])
                    able.append(source)
                except InputError as error:
                    if "-" not in text:
                        raise
                    leave(error.message)
            _say_variations(writer, able, count, as_json, asked)
            done += len(able)
            advance(len(some), **{"a second": (done + left) / (time.monotonic() - start)})
    if left and not done:
        raise InputError(f"none of the {left:,} texts could be read", "see the lines above")


def _was_given(option: str) -> bool:
    return click.get_current_context().get_parameter_source(option) is not ParameterSource.DEFAULT


def _together(given: tuple[str, ...], leave: Callable[[str], None]) -> Iterator[list[str]]:
    """The texts that were given, not too many at once; ``leave`` as in ``texts``."""
    from textvae.writing.writer import TOGETHER

    for sources in texts(given, leave):
        for start in range(0, len(sources), TOGETHER):
            yield sources[start:start + TOGETHER]


def _say_variations(writer: "Writer", sources: list[str], count: int, as_json: bool, asked: dict[str, Any]) -> None:
    from textvae.cli.console import number, say, say_json, tell

    for source in sources:
        if unknown := writer.unknown(source):
            tell(f"the vocabulary lacks {unknown} of the tokens of {source!r}: they are read as unknown")
    for source, found in zip(sources, writer.vary_many(sources, count, **asked), strict=True):
        if len(found) < count:
            tell(f"{len(found)} of the {count} asked for as variations of {source!r}; {found.reason()}; raise "
                 "--strength, --temperature or --candidates")
        if as_json:
            for variation in found:
                say_json(_plain(variation))
            continue
        say(source)
        for variation in found:
            regions = "".join(f"  {number(variation.constraints[name])}" for name in asked["conditions"].constraints)
            say(f"  {variation.distance:.2f}{regions}  {variation.text}")
    sys.stdout.flush()


@click.command()
@options.pipeline
@click.option("-n", "count", type=options.COUNT, default=5, show_default=True, metavar="N",
              help="How many texts.")
@click.option("--candidates", type=options.CANDIDATES, default=4, show_default=True, metavar="N",
              help="Texts written for each one that comes: one without repeats, open quotes and odd pairs of words.")
@options.temperature
@options.sampler
@options.fluency
@options.constraint
@options.label
@options.judged
@options.must
@options.avoid
@options.max_words
@options.near
@options.far
@options.distance
@options.seed
@options.of_run
@options.device
@options.store
@options.as_json
def sample(pipeline: str, count: int, candidates: int, temperature: float, sampler: str, fluency: float | None,
           label: str | None, seed: int, run: int | None, device: str, store: Path, as_json: bool,
           **given: Any) -> None:
    """Write new texts from nothing, one a line.

    Where too few meet what is asked for, fewer come, and a message says what the others failed.

    \b
    Example:
        textvae sample quickstart -n 3 --temperature 0.7
        textvae sample quickstart --near "The talks will go on."
    """
    from textvae.cli.console import say, say_json, tell

    conditions = _conditions(**given)
    found = opened(pipeline, store, run, device, few=few(count * candidates, sampler)).sample(
        count, seed=seed, temperature=temperature, sampler=sampler, fluency=fluency, candidates=candidates, label=label,
        conditions=conditions)
    if len(found) < count:
        tell(f"{len(found)} of the {count} asked for; {found.reason()}; raise --temperature")
    for drawn in found:
        if as_json:
            say_json(_plain(drawn))
        else:
            say(drawn.text)


@click.command()
@options.pipeline
@click.argument("text", type=options.TEXT, nargs=-1, required=True)
@options.of_run
@options.device
@options.store
@options.as_json
def encode(pipeline: str, text: tuple[str, ...], run: int | None, device: str, store: Path, as_json: bool) -> None:
    """Print the latent vectors of texts.

    Prints the posterior means, separated by tabs, one text a line; --json adds the texts and the log-variances.
    TEXT - reads standard input, one text a line. An empty line is an error, since rows would no longer match lines, but
    with --json, where each row has its text: there it is passed over.

    \b
    Example:
        textvae encode quickstart "The talks will go on."
        textvae encode quickstart - --json < sentences.txt
    """
    from textvae.cli.console import say_json, tell

    def leave(why: str) -> None:
        tell(f"left out: {why}")

    writer = opened(pipeline, store, run, device, few="-" not in text)
    sources = [source for some in texts(text, leave if as_json else None) for source in some]
    means, log_vars = writer.encode(sources)
    for source, mean, log_var in zip(sources, means, log_vars, strict=True):
        if as_json:
            say_json({"text": source, "mean": mean.tolist(), "log_var": log_var.tolist()})
        else:
            click.echo("\t".join(f"{value:.6g}" for value in mean.tolist()))


def _conditions(constraints: tuple[str, ...], must: tuple[str, ...], avoid: tuple[str, ...], max_words: int | None,
                near: tuple[str, ...], far: tuple[str, ...], distance: float | None, judged: tuple[str, ...]
                ) -> "Conditions":
    """What was asked of every text, checked before a model is loaded."""
    from textvae.writing.conditions import Conditions

    if distance and not (near or far):
        raise click.UsageError("--distance goes with --near or --far")
    return Conditions(must, avoid, max_words or 0, constraints, near, far, distance or 0.0, judged)


def _plain(variation: "Variation") -> dict[str, Any]:
    plain = asdict(variation)
    first = ("source", "text", "distance", "constraints", "seed", "run")
    return {key: plain[key] for key in first} | {key: value for key, value in plain.items() if key not in first}
