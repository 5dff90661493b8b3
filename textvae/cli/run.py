"""run: bring a pipeline's artefacts up to date."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textvae.cli import options

if TYPE_CHECKING:
    from textvae.config import PipelineConfig
    from textvae.planning import Planned
    from textvae.runs import Execution
    from textvae.store import Store


@click.command()
@options.pipeline
@options.corpus
@options.overrides
@click.option("--until", metavar="STAGE", help="Stop after this stage.")
@click.option("--force", multiple=True, metavar="STAGE", help="Run this stage although nothing changed.")
@options.device
@options.precision
@click.option("--workers", metavar="HOST:PORT,...", help="Train in several processes, one of each address.")
@click.option("--worker", type=click.IntRange(min=0), metavar="N", help="Which of them this is; 0 writes.")
@options.store
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Change the seed.  [default: the pipeline's]")
@click.option("--dry-run", is_flag=True, help="Say what would run and why; run nothing.")
@click.option("--profile", "with_profile", is_flag=True, help="Say where time and memory went, part by part.")
@options.as_json
def run(pipeline: str, corpus: str | None, overrides: tuple[str, ...], until: str | None, force: tuple[str, ...],
        device: str, precision: str, workers: str | None, worker: int | None, store: Path, seed: int | None,
        dry_run: bool, with_profile: bool, as_json: bool) -> None:
    """Run the stages that something changed for.

    Stages: corpus, tokens, word_vectors, embedding_vae, sequence_vae, latents, latent_transformer, word_transformer,
    language_model, autoencoder, evaluation. A run that is stopped resumes the next time.

    All GPUs of a machine train together. For several machines, run the same command on each, with another --worker and
    a --store that all of them see.

    \b
    Example:
        textvae run quickstart
        textvae run quickstart --set sequence_vae.latent=16 --dry-run
        textvae run quickstart --until tokens --profile
    """
    from textvae import catalogue, runs
    from textvae import pipeline as pipelines
    from textvae.cli import profile
    from textvae.cli.bars import watcher
    from textvae.workers import named

    seeded = (f"seed={seed}",) if seed is not None else ()
    config, folder = catalogue.find(pipeline, store, (*options.given(corpus, overrides), *seeded))
    expect_corpus(config, folder, "run")
    if dry_run:
        _say_plan(runs.plan(config, folder, until, force), as_json)
        return
    among = named(workers, worker)
    if among is not None and among.index:
        _say_joined(pipelines.join(config, folder, among, device=device, precision=precision, progress=watcher()),
                    as_json)
        return
    done = runs.execute(config, folder, until=until, force=force, device=device, precision=precision, workers=among,
                        progress=watcher())
    if with_profile and not as_json:
        profile.tell(done.result)
    if as_json:
        _say_done_json(done, folder, {"profile": profile.as_json(done.result)} if with_profile else {})
    else:
        _say_done(done, folder)


def expect_corpus(config: "PipelineConfig", store: "Store", verb: str) -> None:
    """See that the corpus is there, where the last run read another one, which the pipeline's folder remembers.

    Raises:
        InputError: It is not; the hint says how ``verb`` reads the other one.
    """
    import shlex

    from textvae import catalogue
    from textvae.errors import InputError
    from textvae.readers import files

    last = catalogue.remembered(store)
    if last is None or last.corpus.path in ("", config.corpus.path):
        return
    try:
        files.find(config.corpus.path, config.corpus.format, config.corpus.drafts)
    except InputError as error:
        raise InputError(error.message, f"{error.hint}; the last run read {last.corpus.path}, and so does: "
                         f"textvae {verb} {shlex.quote(str(store.folder))}") from error


def _say_plan(planned: "list[Planned]", as_json: bool) -> None:
    from dataclasses import asdict

    from textvae.cli.console import say_json, say_table

    if as_json:
        for item in planned:
            say_json(asdict(item))
    else:
        say_table(("stage", "state", "why"), [(item.stage, item.state, item.reason) for item in planned])


def _say_joined(stages: tuple[str, ...], as_json: bool) -> None:
    from textvae.cli.console import say, say_json

    if as_json:
        say_json({"trained": list(stages)})
    else:
        say(f"trained along: {', '.join(stages) or 'nothing'}; worker 0 has what came of it")


def _say_done_json(done: "Execution", store: "Store", more: dict[str, Any]) -> None:
    from textvae.cli.console import say_json

    rejected, report = _files(done, store)
    say_json({"pipeline": store.pipeline, "run": done.run.number, "new": done.recorded,
              "ran": list(done.result.ran), "seconds": round(done.result.seconds, 3), "device": done.result.device,
              "stages": {item.stage: {"key": item.key, "ran": item.ran, "reason": item.reason,
                                      "seconds": item.seconds, "metrics": item.metrics}
                         for item in done.result.stages},
              "rejected": str(rejected) if rejected else None, "report": str(report) if report else None, **more})


def _say_done(done: "Execution", store: "Store") -> None:
    import shlex

    from textvae import runs
    from textvae.cli.console import duration, say, say_table
    from textvae.cli.highlights import highlights

    stages = done.result.stages
    if not done.result.ran:
        say(f"nothing to do: {_count(len(stages), 'stage')} of {store.pipeline} up to date, run {done.run.number}")
    else:
        say_table(("stage", "state", "time", "result"),
                  [(item.stage, "ran" if item.ran else "kept", duration(item.seconds) if item.ran else "",
                    highlights(item.stage, item.metrics)) for item in stages])
    metrics = next((item.metrics for item in stages if item.stage == "corpus"), {})
    rejected, report = _files(done, store)
    if done.result.ran and (dropped := metrics.get("duplicates", 0)):
        say(f"{_count(dropped, 'duplicate')} dropped")
    if done.result.ran and rejected:
        say(f"{_count(metrics['rejected'], 'input')} not taken, each with its reason in {rejected}")
    if report:
        say(f"report: {report}")
    if done.result.ran:
        # The folder remembers the settings of this run, so that nobody has to type --corpus and --set again.
        folder = shlex.quote(str(store.folder))
        step = (f'vary {folder} "a sentence of your own" -n 5' if runs.GENERATES in done.run.stages
                else f"run {folder}")
        say(f"run {done.run.number}, {duration(done.result.seconds)}; next: textvae {step}")


def _files(done: "Execution", store: "Store") -> tuple[Path | None, Path | None]:
    """Where the rejected inputs and the report are; None where there are none."""
    keys: dict[str, tuple[str, dict[str, Any]]] = {item.stage: (item.key, item.metrics) for item in done.result.stages}
    rejected = report = None
    if "corpus" in keys and keys["corpus"][1].get("rejected"):
        rejected = store.path("corpus", keys["corpus"][0]) / "rejected.jsonl"
    if "evaluation" in keys:
        report = store.path("evaluation", keys["evaluation"][0]) / "report.html"
    return rejected, report


def _count(count: int, thing: str) -> str:
    return f"{count:,} {thing}" + ("" if count == 1 else "s")
