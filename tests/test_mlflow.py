"""What a real MLflow server holds after it was told of a run."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from commands import textvae
from traded import filled

from textvae import runs, tracking
from textvae.errors import InputError, TextvaeError
from textvae.runs import Run
from textvae.store import Store

# The server, not only the client, which is mlflow-skinny.
served = [pytest.mark.mlflow, pytest.mark.skipif(find_spec("mlflow") is None or find_spec("flask_cors") is None,
                                                 reason="mlflow is not installed")]
PATIENCE = 120  # seconds until a server on a busy machine answers


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server with one worker, on this machine alone; nobody calls before it answers."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
               "--backend-store-uri", f"sqlite:///{folder}/runs.db", "--artifacts-destination", str(folder / "files")]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **quiet}, cwd=folder,
                                   start_new_session=True)
        try:
            _wait(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, 9)  # asked to, it waits for clients that keep their connections
            process.wait(30)


def _wait(uri: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail("the MLflow server did not start")


@pytest.fixture
def home(tmp_path: Path) -> Store:
    return filled(tmp_path / "models")


def client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def again(store: Store) -> Run:
    """The same artefacts recorded once more, as another run."""
    return runs.add(store, replace(runs.read(store, 1), why="again"))


class TestServed:
    pytestmark = served

    def test_a_run_is_told_once_with_all_that_is_known_of_it(self, home: Store, server: str):
        first = tracking.track(home, server, experiment="once", report=True)
        assert first.new and tracking.track(home, server, experiment="once", report=True) == replace(first, new=False)
        mlflow = client(server)
        (own,) = mlflow.search_runs([mlflow.get_experiment_by_name("once").experiment_id])
        assert own.info.run_id == first.mlflow_run and own.info.status == "FINISHED"
        assert own.info.run_name == "blog 1"
        assert own.data.params["sequence_vae.hidden"] == "256" and own.data.params["tokens.level"] == "bpe"
        assert not [value for value in own.data.params.values() if "/home/me" in value]
        assert own.data.metrics["sequence_vae.val_kl"] == 1.0 and own.data.metrics["corpus.posts"] == 3.0
        assert own.data.tags["textvae.run"] == "1" and own.data.tags["textvae.promoted"] == "true"
        assert own.data.tags["textvae.key.tokens"] == runs.read(home, 1).held["tokens"]
        assert {file.path for file in mlflow.list_artifacts(own.info.run_id)} == {
            "README.md", "metrics.json", "report.html"}

    def test_every_epoch_is_a_step(self, home: Store, server: str, monkeypatch: pytest.MonkeyPatch):
        from textvae.data import TrainedNetwork

        real = runs.load

        def load(store: Store, stage: str, run: int | None = None) -> Any:
            found = real(store, stage, run)
            rows = ({"epoch": 1.0, "val_loss": 3.0}, {"epoch": 2.0, "val_loss": 2.0})
            return replace(found, history=rows) if isinstance(found, TrainedNetwork) else found

        monkeypatch.setattr(runs, "load", load)
        told = tracking.track(home, server, experiment="epochs")
        history = client(server).get_metric_history(told.mlflow_run, "history.sequence_vae.val_loss")
        assert [(item.step, item.value) for item in history] == [(1, 3.0), (2, 2.0)]

    def test_without_the_report_no_sentence_leaves(self, home: Store, server: str):
        told = tracking.track(home, server, experiment="lean")
        assert {file.path for file in client(server).list_artifacts(told.mlflow_run)} == {"README.md", "metrics.json"}

    def test_a_run_that_was_cut_off_is_told_anew(self, home: Store, server: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(tracking, "_history", lambda store, run: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            tracking.track(home, server, experiment="cut")
        monkeypatch.undo()
        told = tracking.track(home, server, experiment="cut")
        mlflow = client(server)
        (own,) = mlflow.search_runs([mlflow.get_experiment_by_name("cut").experiment_id])
        assert told.new and own.info.run_id == told.mlflow_run and own.data.metrics["sequence_vae.val_kl"] == 1.0

    def test_the_alias_goes_with_the_promoted_run(self, home: Store, server: str, tmp_path: Path):
        import keras

        second = again(home).number
        one = textvae("track", "blog", "--to", server, "--model", "news", "--json", "--store", str(home.root)).json[0]
        assert (one["version"], one["alias"]) == ("1", "champion")
        two = textvae("track", "blog", "--to", server, "--model", "news", "--run", str(second), "--store",
                      str(home.root))
        assert two.out.splitlines()[1] == "news version 2; champion stays where it is, since the run is not promoted"
        mlflow = client(server)
        assert mlflow.get_model_version_by_alias("news", "champion").version == "1"
        runs.promote(home, second)
        assert tracking.track(home, server, model="news").version == "2"
        champion = mlflow.get_model_version_by_alias("news", "champion")
        promoted = mlflow.search_runs([mlflow.get_run(champion.run_id).info.experiment_id],
                                      f"tags.`{tracking.PROMOTED}` = 'true' and tags.`textvae.pipeline` = 'blog'")
        assert [own.info.run_id for own in promoted] == [champion.run_id]
        assert champion.version == "2" and len(mlflow.search_model_versions("name = 'news'")) == 2
        files = Path(mlflow.download_artifacts(champion.run_id, "model", str(tmp_path)))
        assert champion.source.endswith(f"{champion.run_id}/artifacts/model")
        encoder = keras.saving.load_model(files / "encoder.keras")
        assert encoder({"ids": np.ones((1, 2), np.int32)})["mean"].shape == (1, 3)

    def test_a_server_that_is_not_there_is_told_without_a_password(self, home: Store):
        done = textvae("track", "blog", "--to", "http://me:secret@127.0.0.1:9", "--store", str(home.root))
        assert done.code == 1 and "error: http://127.0.0.1:9: " in done.err and "secret" not in done.err


def test_metrics_are_flat_numbers_under_names_that_mlflow_takes(home: Store):
    run = runs.read(home, 1)
    fact = {**run.stages["evaluation"], "metrics": {
        "kl": {"value": 2.0, "low": 1.5, "high": None, "unit": "nats", "definition": "x"},
        "turned_é?": {"value": 1}, "per": {"value": [1.0]}, "done": True, "split": {"train": 3}}}
    found = tracking.metrics(replace(run, stages={"evaluation": fact}))
    assert found == {"evaluation.kl": 2.0, "evaluation.kl.low": 1.5, "evaluation.turned_é_": 1.0,
                     "evaluation.split.train": 3.0}


def test_names_of_labels_are_those_that_mlflow_takes(home: Store):
    run = runs.read(home, 1)
    fact = {**run.stages["evaluation"], "metrics": {f"turned_category={label}": {"value": 1.0} for label in (
        "blog/", "http://a.example/b", "../x", "x" * 300)}}
    counted = {**run.stages["corpus"], "metrics": {"posts": 3, "top_labels": {"category=blog/": 2},
                                                   "rejected_reasons": {"no text in a//b": 1}}}
    found = tracking.metrics(replace(run, stages={"corpus": counted, "evaluation": fact}))
    assert list(found)[:-1] == ["corpus.posts", "evaluation.turned_category_blog_",
                                "evaluation.turned_category_http:__a.example_b", "evaluation.turned_category_.._x"]
    assert [len(name) for name in found][-1] == 250


@pytest.mark.skipif(find_spec("mlflow") is None, reason="not even MLflow's client is installed")
def test_only_where_nobody_answers_a_server_is_asked_for(home: Store):
    with pytest.raises(TextvaeError, match="see that an MLflow server answers there"):
        tracking.track(home, "http://127.0.0.1:9")
    from mlflow.exceptions import MlflowException

    with pytest.raises(TextvaeError, match=r"Invalid value .these are MLflow's"), tracking._answering("http://a"):
        raise MlflowException("Invalid value")


class Held:
    """What a server holds of the runs of one experiment, as MLflow's client tells it."""

    def __init__(self, *runs: tuple[str, str, dict[str, str]]) -> None:
        self.runs = [SimpleNamespace(info=SimpleNamespace(run_id=name, status=status, experiment_id="1"),
                                     data=SimpleNamespace(tags=tags)) for name, status, tags in runs]

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id="1")

    def search_runs(self, experiments: list[str], wanted: str) -> list[Any]:
        name, value = re.fullmatch(r"tags\.`(.*)` = '(.*)'", wanted).groups()  # type: ignore[union-attr]
        return [run for run in self.runs if run.data.tags.get(name) == value]

    def delete_run(self, name: str) -> None:
        self.runs = [run for run in self.runs if run.info.run_id != name]

    def set_tag(self, name: str, tag: str, value: str) -> None:
        next(run for run in self.runs if run.info.run_id == name).data.tags[tag] = value


def test_a_run_that_another_process_is_telling_is_left_alone(home: Store):
    run = runs.read(home, 1)
    own = {tracking.IDENTITY: tracking._identity(run)}
    server = Held(("before", "RUNNING", {**own, tracking.BEGUN: str(time.time() - 4000)}),
                  ("beside", "RUNNING", {**own, tracking.BEGUN: str(time.time())}), ("whole", "FINISHED", own),
                  ("other", "RUNNING", {}))
    assert tracking._found(server, run, "blog").info.run_id == "whole"
    assert [held.info.run_id for held in server.runs] == ["beside", "whole", "other"]


def test_one_run_of_a_pipeline_is_tagged_promoted(home: Store):
    tags = [{tracking.PROMOTED: "true", "textvae.pipeline": name} for name in ("blog", "diary", "blog")]
    server = Held(*((str(number), "FINISHED", own) for number, own in enumerate(tags)))
    tracking._others_are_not(server, home, server.runs[2])
    assert [held.data.tags[tracking.PROMOTED] for held in server.runs] == ["false", "true", "true"]


def test_parameters_hold_no_path(home: Store):
    found = tracking.parameters(runs.read(home, 1))
    assert found["seed"] == "1" and found["corpus.drafts"] == "false"
    assert "corpus.path" not in found and "sequence_vae.tensorboard" not in found


def test_without_mlflow_the_way_to_get_it_is_told(home: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(InputError, match=r"needs mlflow.*pip install 'textvae\[mlflow\]'"):
        tracking.track(home, "http://127.0.0.1:9")
