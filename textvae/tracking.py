"""Runs told to an MLflow server: one MLflow run for each, and where asked a version of a registered model.

MLflow is told, never asked: the store stays where runs are kept, chosen and gone back to.
"""

import json
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from textvae import manifests, planning, runs
from textvae.data import CompressedVectors, Evaluation, TrainedNetwork
from textvae.errors import InputError, TextvaeError
from textvae.formats import card, folder
from textvae.runs import Run
from textvae.sharing.bundle import settings
from textvae.sharing.remote import without_password
from textvae.store import Store

IDENTITY = "textvae.identity"  # the tag that an MLflow run is found again by
PROMOTED = "textvae.promoted"  # the tag that says "true" of one run of a pipeline in its experiment
BEGUN = "textvae.begun"  # the tag that says when a run began to be told
CUT_OFF = 3600.0  # seconds after which a run that is still being told was cut off
PARAMS, METRICS = 100, 500  # most that one request may hold, and well below it
NAME = 250  # the most characters that a metric's name may have
WORDS = ("top_labels", "rejected_reasons")  # metrics that count texts of the posts: only metrics.json has them
MODEL = "model"  # the folder of an MLflow run's artefacts that a model version's source is


@dataclass(frozen=True)
class Tracked:
    """What the server holds now.

    Args:
        pipeline, run: Of what.
        mlflow_run: The MLflow run's id.
        new: Whether it was made just now.
        version: The model's version; empty where none was asked for.
        alias: The alias that this version has now; empty where the run is not the promoted one, or has no version.
    """

    pipeline: str
    run: int
    mlflow_run: str
    new: bool
    version: str = ""
    alias: str = ""


def track(store: Store, uri: str, run: int | None = None, *, experiment: str = "", model: str = "",
          alias: str = "champion", report: bool = False) -> Tracked:
    """Tell an MLflow server of a run: settings, metrics, the course of every training, the model card.

    The same run is told once: called again, it is found by its tag, and what is missing is made up for.

    Args:
        store: Where the run is; nothing in it is changed.
        uri: The server, such as ``http://127.0.0.1:5000``, or what else MLflow takes for one.
        run: The run's number; the current run where None.
        experiment: The MLflow experiment; the pipeline's name where empty.
        model: Register a version of this model, whose source is what ``textvae convert`` writes.
        alias: What the promoted run's version is called; other runs' versions are not.
        report: Send the evaluation's report as well, which shows sentences of the test split.

    Raises:
        InputError: MLflow is not installed.
        StoreError: There is no such run, or it has no sequence VAE.
        TextvaeError: The server does not answer, or refuses.
    """
    with _answering(uri) as client, runs.reading(store, run) as held:
        text, current = card.render(store, held), runs.current(store)
        promoted = current is not None and current.number == held.number
        found, new = _found(client, held, experiment or store.pipeline), False
        if found is None:
            found, new = _told(client, store, held, experiment or store.pipeline, text, report), True
        client.set_tag(found.info.run_id, PROMOTED, str(promoted).lower())
        if promoted:
            _others_are_not(client, store, found)
        version = _registered(client, store, held, found, model) if model else ""
        if version and promoted:
            client.set_registered_model_alias(model, alias, version)
    return Tracked(store.pipeline, held.number, found.info.run_id, new, version, alias if version and promoted else "")


@contextmanager
def _answering(uri: str) -> Iterator[Any]:
    """A client of a server; what goes wrong there is told in words."""
    # Said before mlflow is imported: it sends nothing home, prints nothing, and gives up after seconds, not minutes.
    for name, value in (("MLFLOW_DISABLE_TELEMETRY", "true"), ("DO_NOT_TRACK", "true"),
                        ("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true"), ("MLFLOW_LOGGING_LEVEL", "WARNING"),
                        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")):
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise InputError("telling MLflow of a run needs mlflow, which is not here",
                         "pip install 'textvae[mlflow]'") from error
    try:
        yield MlflowClient(tracking_uri=uri, registry_uri=uri)
    except MlflowException as error:
        silent = str(error).startswith("API request to")  # so begins what MLflow's client says where nobody answers
        raise TextvaeError(f"{without_password(uri)}: {without_password(str(error))}",
                           "see that an MLflow server answers there: mlflow server --workers 1" if silent else
                           "these are MLflow's words; a server's address is like http://127.0.0.1:5000") from error


def _identity(run: Run) -> str:
    """The same for the same run wherever it is told from, and another for every other one."""
    contents = {stage: fact["content"] for stage, fact in run.stages.items()}
    return manifests.sha256(json.dumps([run.pipeline, run.number, run.started, contents]))[:32]


def _found(client: Any, run: Run, experiment: str) -> Any:
    """The MLflow run of a run; None where there is none. One that was cut off is deleted, for a whole one to come."""
    known, whole = client.get_experiment_by_name(experiment), None
    if known is None:
        return None
    for found in client.search_runs([known.experiment_id], f"tags.`{IDENTITY}` = '{_identity(run)}'"):
        if found.info.status == "FINISHED":
            whole = whole or found
        elif time.time() - float(found.data.tags.get(BEGUN, 0)) > CUT_OFF:  # else another process may be telling it
            client.delete_run(found.info.run_id)
    return whole


def _others_are_not(client: Any, store: Store, run: Any) -> None:
    """Take the tag of the promoted run from those runs of a pipeline that had it before."""
    for other in client.search_runs([run.info.experiment_id], f"tags.`{PROMOTED}` = 'true'"):
        if other.info.run_id != run.info.run_id and other.data.tags.get("textvae.pipeline") == store.pipeline:
            client.set_tag(other.info.run_id, PROMOTED, "false")


def _told(client: Any, store: Store, run: Run, experiment: str, text: str, report: bool) -> Any:
    known = client.get_experiment_by_name(experiment)
    own = known.experiment_id if known else client.create_experiment(experiment)
    start = int(datetime.fromisoformat(run.started).timestamp() * 1000)
    tags = {IDENTITY: _identity(run), BEGUN: str(time.time()), "textvae.pipeline": store.pipeline,
            "textvae.run": str(run.number), "textvae.version": run.packages.get("textvae", ""),
            "textvae.commit": run.commit, "textvae.why": run.why,
            **{f"textvae.key.{stage}": key for stage, key in run.held.items()}}
    made = client.create_run(own, start_time=start, run_name=f"{store.pipeline} {run.number}",
                             tags={name: value for name, value in tags.items() if value})
    try:
        _tell(client, store, run, made.info.run_id, text, report)
    except BaseException:  # Ctrl-C as well: nothing half told stays
        with suppress(Exception):  # what went wrong before is what is told
            client.delete_run(made.info.run_id)
        raise
    return client.get_run(made.info.run_id)


def _tell(client: Any, store: Store, run: Run, own: str, text: str, report: bool) -> None:
    """Fill the MLflow run with this id."""
    from mlflow.entities import Metric, Param

    start = int(datetime.fromisoformat(run.started).timestamp() * 1000)
    params = [Param(name, value) for name, value in parameters(run).items()]
    numbers = [Metric(name, value, start, 0) for name, value in metrics(run).items()]
    numbers += [Metric(name, value, start, step) for name, step, value in _history(store, run)]
    for batch in _batches(params, PARAMS):
        client.log_batch(own, params=batch)
    for batch in _batches(numbers, METRICS):
        client.log_batch(own, metrics=batch)
    with tempfile.TemporaryDirectory() as aside:
        (Path(aside) / "README.md").write_text(text, encoding="utf-8")
        plain = {stage: fact["metrics"] for stage, fact in run.stages.items()}
        (Path(aside) / "metrics.json").write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
        if report and "evaluation" in run.stages:
            evaluation: Evaluation = runs.load(store, "evaluation", run.number)
            if evaluation.report:
                (Path(aside) / "report.html").write_text(evaluation.report, encoding="utf-8")
        client.log_artifacts(own, aside)
    client.set_terminated(own, "FINISHED", end_time=start + int(run.seconds * 1000))


def parameters(run: Run) -> dict[str, str]:
    """A run's settings by ``section.name``, without paths and what is empty; lists and tables as JSON."""
    found = {}
    for section, own in settings(run.config, f"run {run.number} of {run.pipeline}").items():
        for name, value in (own.items() if isinstance(own, dict) else [("", own)]):
            if value not in ("", []):
                found[f"{section}.{name}".rstrip(".")] = (
                    value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return found


def metrics(run: Run) -> dict[str, float]:
    """A run's numbers by ``stage.name``, without ``WORDS``; of one with an interval also ``.low`` and ``.high``."""
    found: dict[str, float] = {}

    def take(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for part, inner in value.items():
                take(name if part == "value" else f"{name}.{part}", inner)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[_taken(name)] = float(value)

    for stage, fact in run.stages.items():
        take(stage, {name: value for name, value in fact["metrics"].items() if name not in WORDS})
    return found


def _taken(name: str) -> str:
    """A name as MLflow takes it: a constraint and a label may have any signs, and it reads a / as a folder's."""
    return re.sub(r"[^\w.\- :]", "_", name)[:NAME]


def _history(store: Store, run: Run) -> Iterator[tuple[str, int, float]]:
    """Every number of every epoch: its name, the epoch from 1, the number."""
    for stage in run.stages:
        if planning.artefact_type(stage) not in (TrainedNetwork, CompressedVectors):
            continue
        artefact = runs.load(store, stage, run.number)
        for epoch, row in enumerate(getattr(artefact, "network", artefact).history, start=1):
            for name in row.keys() - {"epoch"}:
                yield _taken(f"history.{stage}.{name}"), epoch, row[name]


def _registered(client: Any, store: Store, run: Run, found: Any, model: str) -> str:
    """The version of a model that this run is; made where there is none."""
    if not client.search_registered_models(f"name = '{model}'"):
        client.create_registered_model(model)
    for version in client.search_model_versions(f"name = '{model}'"):
        if version.run_id == found.info.run_id:
            return str(version.version)
    with tempfile.TemporaryDirectory() as aside:
        folder.convert(store, Path(aside) / MODEL, run.number)
        client.log_artifacts(found.info.run_id, str(Path(aside) / MODEL), MODEL)
    made = client.create_model_version(model, f"{found.info.artifact_uri}/{MODEL}", found.info.run_id)
    return str(made.version)


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for i in range(0, len(items), size):
        yield items[i:i + size]
