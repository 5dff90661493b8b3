"""convert, track: a run for other tools: in their formats, and on an MLflow server."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from textvae.cli import options

if TYPE_CHECKING:
    from textvae.formats.folder import Converted

FORMATS = ("keras", "savedmodel", "onnx", "vectors", "card")  # of textvae.formats.folder, which is slow to import


@click.command()
@options.pipeline
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FOLDER",
              help="The folder to make. Without it, --format card prints the card.")
@click.option("--format", "formats", type=click.Choice(FORMATS), multiple=True,
              help="What to write; may be given again.  [default: all that can be written here]")
@options.of_run
@options.store
@options.as_json
def convert(pipeline: str, output: Path | None, formats: tuple[str, ...], run: int | None, store: Path,
            as_json: bool) -> None:
    """Write a run for other tools: keras, ONNX, a model card.

    The encoder (token ids to posterior means) and the decoder (a latent and the tokens so far to logits) as .keras
    files of plain layers, as SavedModels and as ONNX, which needs textvae[onnx]; the word vectors in word2vec's text
    format; and a model card in Markdown. Every file is loaded again and held against the run before any of it appears.

    \b
    Example:
        textvae convert quickstart -o quickstart-models
        textvae convert quickstart -o quickstart-onnx --format onnx --format card
        textvae convert quickstart --format card
    """
    from dataclasses import asdict

    from textvae import catalogue, device, runs
    from textvae.cli.console import say_json
    from textvae.cli.given import writable
    from textvae.formats import card, folder

    where = catalogue.locate(pipeline, store)
    if output is None:
        if formats != ("card",):
            raise click.UsageError("-o FOLDER says where the files go; only --format card alone is printed without it")
        with runs.reading(where, run) as chosen:
            text = card.render(where, chosen)
        if as_json:
            say_json({"pipeline": where.pipeline, "run": chosen.number, "card": text})
        else:
            click.echo(text, nl=False)
        return
    writable(output)
    device.use("cpu")  # what is compared must not depend on a GPU's precision
    done = folder.convert(where, output, run, formats)
    if as_json:
        say_json(asdict(done))
    else:
        _say(done)


def _say(done: "Converted") -> None:
    from textvae.cli.console import say, say_table, tell

    for name, lacks in done.left_out.items():
        tell(f"{name} was left out: it needs {', '.join(lacks)}: pip install 'textvae[{name}]'")
    say_table(("file", "bytes", "loaded again, differs by"),
              [(name, f"{size:,}", f"{done.differences[name]:.1g}" if name in done.differences else "")
               for name, size in done.files.items()])
    say(f"{done.folder}: run {done.run} of {done.pipeline}, {sum(done.files.values()) / 1e6:.1f} MB")


@click.command()
@options.pipeline
@click.option("--to", "uri", required=True, envvar="MLFLOW_TRACKING_URI", show_envvar=True, metavar="URI",
              help="The MLflow server, such as http://127.0.0.1:5000.")
@click.option("--experiment", default="", metavar="NAME", help="The MLflow experiment.  [default: the pipeline's name]")
@click.option("--model", default="", metavar="NAME",
              help="Register a version of this model, with what convert writes.  [default: none]")
@click.option("--alias", default="champion", show_default=True, metavar="NAME",
              help="What the promoted run's version is called; no other run's is.")
@click.option("--with-report", is_flag=True, help="The report as well, which shows sentences of the test split.")
@options.of_run
@options.store
@options.as_json
def track(pipeline: str, uri: str, experiment: str, model: str, alias: str, with_report: bool, run: int | None,
          store: Path, as_json: bool) -> None:
    """Tell an MLflow server of a run.

    Its settings, metrics, the course of every training by epoch, the report, and the model card become an MLflow run;
    with --model what convert writes becomes a version of a registered model. The same run is told once, however often
    this is called. Needs textvae[mlflow].

    \b
    Example:
        textvae track quickstart --to http://127.0.0.1:5000
        textvae track quickstart --to http://127.0.0.1:5000 --model news
    """
    from dataclasses import asdict

    from textvae import catalogue, device, tracking
    from textvae.cli.console import say, say_json

    where = catalogue.locate(pipeline, store)
    if model:
        device.use("cpu")
    told = tracking.track(where, uri, run, experiment=experiment, model=model, alias=alias, report=with_report)
    if as_json:
        say_json(asdict(told))
        return
    known = "" if told.new else ", which was there already"
    say(f"run {told.run} of {told.pipeline} is MLflow run {told.mlflow_run}{known}")
    if told.version:
        say(f"{model} version {told.version}" + (f", {told.alias}" if told.alias else
                                                 f"; {alias} stays where it is, since the run is not promoted"))
