"""evaluate: measure a finished run."""

from pathlib import Path

import click

from textvae.cli import options


@click.command()
@options.pipeline
@options.of_run
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Change a setting of the evaluation, such as evaluation.iw_samples=500; may be given again.")
@options.device
@options.precision
@options.store
@options.as_json
def evaluate(pipeline: str, run: int | None, overrides: tuple[str, ...], device: str, precision: str, store: Path,
             as_json: bool) -> None:
    """Print every metric of a run on its test split.

    The promoted run unless --run says otherwise. What was measured already is only printed; with other settings, or
    after an update of textvae, the run's models are measured again. The run itself stays as it is.

    \b
    Example:
        textvae evaluate quickstart
        textvae evaluate quickstart --set evaluation.iw_samples=200
    """
    from textvae import catalogue, runs
    from textvae.cli.bars import watcher
    from textvae.cli.console import say, say_json, say_table
    from textvae.cli.look import metric_row

    folder = catalogue.locate(pipeline, store)
    chosen, done = runs.evaluate(folder, run, overrides, device=device, precision=precision, progress=watcher())
    report = folder.path(done.stage, done.key) / "report.html"
    if as_json:
        say_json({"pipeline": chosen.pipeline, "run": chosen.number, "key": done.key, "ran": done.ran,
                  "metrics": done.metrics, "report": str(report)})
        return
    say_table(("metric", "value", ""), [metric_row(name, value) for name, value in done.metrics.items()])
    say(f"{chosen.pipeline}, run {chosen.number}; definitions, texts and plots: {report}")
