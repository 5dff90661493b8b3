"""Only what is stale runs, says why, and goes on where it was interrupted."""

import dataclasses
import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from commands import seconds_of_children
from fake_stages import Fakes, folder_of_posts, tiny

from textvae import data, pipeline, planning, runs
from textvae.config import PipelineConfig
from textvae.errors import ConfigError, InputError, LockedError, StoreError
from textvae.pipeline import run
from textvae.planning import STAGES, Stage, plan
from textvae.progress import Progress
from textvae.store import Store

NAMES = [row.name for row in STAGES]
AFTER_TOKENS = NAMES[1:]


def reasons(config: PipelineConfig, store: Store, **how: Any) -> dict[str, str]:
    return {item.stage: item.reason for item in plan(config, store, **how) if item.state == "to run"}


def contents(store: Store) -> dict[str, dict[str, Any]]:
    return {stage: store.manifest(stage, key)["files"] for stage, key in store.artefacts()}


def test_the_table_is_in_order_and_every_name_exists():
    known: set[str] = set()
    for row in STAGES:
        assert set(row.inputs) <= known
        assert hasattr(PipelineConfig(), row.name) and hasattr(data, row.artefact)
        known.add(row.name)
    others = {"name", "description", "seed", "retrain"}
    assert known == {field.name for field in dataclasses.fields(PipelineConfig)} - others


def test_everything_runs_once_then_nothing_does(fakes: Fakes, posts: Path, store: Store):
    said: list[str] = []

    class Hears(Progress):
        def say(self, message: str) -> None:
            said.append(message)

    config = tiny(posts)
    assert not store.folder.exists() and reasons(config, store)["corpus"] == "never run" and not store.folder.exists()
    first = run(config, store, progress=Hears())
    assert fakes.take() == NAMES == list(first.ran)
    assert said == [f"{name}: never run" for name in NAMES]
    again = run(config, store)
    assert fakes.take() == [] and again.ran == ()
    assert [item.key for item in again.stages] == [item.key for item in first.stages]
    assert [item.metrics for item in again.stages] == [item.metrics for item in first.stages]
    assert [item.seconds for item in again.stages] == [
        store.manifest(item.stage, item.key)["seconds"] for item in again.stages]
    assert store.verify() == [] and not list((store.folder / "scratch").iterdir())


def test_the_manifest_says_how_an_artefact_was_made(fakes: Fakes, posts: Path, store: Store):
    config = tiny(posts, "seed=5", "tokens.vocabulary=900")
    keys = {item.stage: item.key for item in run(config, store).stages}
    manifest = store.manifest("tokens", keys["tokens"])
    assert manifest["config"]["vocabulary"] == 900 and manifest["seed"] == 5 and manifest["version"] == 3
    assert manifest["inputs"] == {"corpus": {"key": keys["corpus"],
                                             "content": store.manifest("corpus", keys["corpus"])["content"]}}
    used = manifest["usage"]
    assert used["peak_memory"] > 1e6 and used["seconds"] >= manifest["seconds"] and used["tokens_per_second"] is None
    assert [part["part"] for part in used["parts"]] == ["load inputs", "work"]
    assert manifest["device"] == {"kind": "cpu"} and manifest["reason"] == "never run" and manifest["seconds"] >= 0


def test_a_changed_setting_runs_only_what_follows_from_it(fakes: Fakes, posts: Path, store: Store):
    run(tiny(posts), store)
    fakes.take()
    changed = tiny(posts, "latents.batch_size=8")
    assert reasons(changed, store) == {"latents": "setting latents.batch_size changed 256 -> 8",
                                       "latent_transformer": "follows latents",
                                       "evaluation": "follows latents and latent_transformer"}
    run(changed, store)
    assert fakes.take() == ["latents", "latent_transformer", "evaluation"]
    assert reasons(tiny(posts), store) == {}, "the first settings' artefacts are still there"


def test_several_reasons_are_told_together(fakes: Fakes, posts: Path, store: Store):
    run(tiny(posts), store)
    told = reasons(tiny(posts, "tokens.vocabulary=4000", "tokens.level=word", "seed=2"), store)
    assert told["corpus"] == "seed 1 -> 2"
    assert told["tokens"] == ("seed 1 -> 2, setting tokens.level changed bpe -> word, "
                              "setting tokens.vocabulary changed 8000 -> 4000, follows corpus")


def test_one_changed_post_reruns_from_the_corpus_and_the_old_artefacts_stay(fakes: Fakes, posts: Path, store: Store):
    run(tiny(posts), store)
    fakes.take()
    before = store.artefacts()
    folder_of_posts(posts, two="The second, edited.")
    told = reasons(tiny(posts), store)
    assert told["corpus"] == "corpus changed" and told["tokens"] == "follows corpus" and set(told) == set(NAMES)
    run(tiny(posts), store)
    assert fakes.take() == NAMES
    assert set(before) < set(store.artefacts()) and store.verify() == []


def test_a_moved_folder_and_logs_change_nothing(fakes: Fakes, posts: Path, store: Store, tmp_path: Path):
    run(tiny(posts), store)
    moved = posts.rename(tmp_path / "elsewhere")
    assert reasons(tiny(moved, "sequence_vae.tensorboard=logs"), store) == {}


def test_unkeyed_settings_exist():
    for name, unkeyed in planning.UNKEYED.items():
        assert unkeyed <= {field.name for field in dataclasses.fields(getattr(PipelineConfig(), name))}


def test_a_raised_version_runs_the_stage_again(fakes: Fakes, posts: Path, store: Store,
                                                monkeypatch: pytest.MonkeyPatch):
    run(tiny(posts), store)
    raised = tuple(dataclasses.replace(row, version=9) if row.name == "latents" else row for row in planning.STAGES)
    monkeypatch.setattr(planning, "STAGES", raised)
    assert reasons(tiny(posts), store) == {"latents": "code version 9", "latent_transformer": "follows latents",
                                           "evaluation": "follows latents and latent_transformer"}


def test_one_seed_gives_the_same_bytes_and_another_one_does_not(fakes: Fakes, posts: Path, tmp_path: Path):
    stores = [Store(tmp_path / name, "blog") for name in "abc"]
    for store, seed in zip(stores, (1, 1, 2), strict=True):
        run(tiny(posts, f"seed={seed}"), store)
    same, twin, other = stores
    assert same.artefacts() == twin.artefacts() and contents(same) == contents(twin)
    assert not set(same.artefacts()) & set(other.artefacts())
    assert contents(same)["sequence_vae"] != contents(other)["sequence_vae"]


def test_until_runs_a_stage_and_what_it_needs(fakes: Fakes, posts: Path, store: Store):
    run(tiny(posts), store, until="embedding_vae")
    assert fakes.take() == ["corpus", "tokens", "word_vectors", "embedding_vae"]
    run(tiny(posts), store, until="word_transformer")
    assert fakes.take() == ["word_transformer"]


@pytest.mark.parametrize("how, message", [
    ({"until": "latent"}, "there is no stage 'latent'.*did you mean latents"),
    ({"force": ("tokenz",)}, "there is no stage 'tokenz'.*did you mean tokens"),
    ({"until": "xyz"}, "the stages are: corpus, tokens"),
    ({"until": "tokens", "force": ("latents",)}, "latents is forced, but --until tokens does not need it"),
])
def test_a_wrong_stage_is_refused(fakes: Fakes, posts: Path, store: Store, how: dict[str, Any], message: str):
    for go in (plan, run):
        with pytest.raises(ConfigError, match=message):
            go(tiny(posts), store, **how)
    assert fakes.ran == [] and store.artefacts() == []


def test_a_forced_stage_that_comes_out_the_same_changes_nothing_else(fakes: Fakes, posts: Path, store: Store):
    run(tiny(posts), store)
    fakes.take()
    before = {key: store.manifest(*key) for key in store.artefacts()}
    assert reasons(tiny(posts), store, force=("tokens",)) == {"tokens": "forced"}
    result = run(tiny(posts), store, force=("tokens",))
    assert fakes.take() == ["tokens"] and result.ran == ("tokens",)
    assert {key: store.manifest(*key) for key in store.artefacts()} == before


def test_a_forced_stage_that_comes_out_different_runs_what_follows(fakes: Fakes, posts: Path, store: Store):
    run(tiny(posts), store)
    fakes.take()
    fakes.salt["latents"] = 1
    result = run(tiny(posts), store, force=("latents",))
    assert fakes.take() == ["latents", "latent_transformer", "evaluation"]
    assert {item.stage: item.reason for item in result.stages if item.ran} == {
        "latents": "forced", "latent_transformer": "latents came out different",
        "evaluation": "latents and latent_transformer came out different"}
    assert run(tiny(posts), store).ran == () and store.verify() == []


def test_an_interrupted_force_is_noticed_by_the_next_run(fakes: Fakes, posts: Path, store: Store):
    run(tiny(posts), store)
    fakes.salt["latents"], fakes.halts["evaluation"] = 1, KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(tiny(posts), store, force=("latents",))
    assert reasons(tiny(posts), store) == {"evaluation": "latents and latent_transformer came out different"}


@pytest.mark.parametrize("name", NAMES)
def test_after_ctrl_c_in_any_stage_the_next_run_goes_on(fakes: Fakes, posts: Path, tmp_path: Path, name: str):
    whole, store = Store(tmp_path / "whole", "blog"), Store(tmp_path / "models", "blog")
    run(tiny(posts), whole)
    fakes.take()
    fakes.halts[name] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(tiny(posts), store)
    assert fakes.take() == NAMES[:NAMES.index(name) + 1]
    assert [stage for stage in NAMES if store.keys(stage)] == NAMES[:NAMES.index(name)] and store.verify() == []
    run(tiny(posts), store)
    assert fakes.take() == NAMES[NAMES.index(name):]
    assert fakes.found[name] == ["checkpoint"]
    assert contents(store) == contents(whole) and not list((store.folder / "scratch").iterdir())


def test_a_checkpoint_of_other_inputs_is_not_gone_on_from(fakes: Fakes, posts: Path, store: Store):
    def stopped(*force: str) -> list[str]:
        fakes.halts["sequence_vae"] = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            run(tiny(posts), store, force=force)
        return fakes.found["sequence_vae"]

    assert stopped() == [] and stopped() == ["checkpoint"] == stopped("word_vectors")
    fakes.salt["word_vectors"] = 5
    assert stopped("word_vectors") == [] and stopped() == ["checkpoint"]
    (scratch,) = (store.folder / "scratch").iterdir()
    (scratch / ".began.json").unlink()  # nobody knows from what
    assert stopped() == []


def test_what_a_stopped_process_worked_for_its_checkpoint_counts(fakes: Fakes, posts: Path, store: Store):
    fakes.halts["latents"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(tiny(posts), store)
    (scratch,) = (store.folder / "scratch").iterdir()
    began = json.loads((scratch / ".began.json").read_text())
    assert began["before"] == 0
    os.utime(scratch / "checkpoint", (began["began"] + 100, began["began"] + 100))
    fakes.halts["latents"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(tiny(posts), store)
    began = json.loads((scratch / ".began.json").read_text())
    assert began["before"] == pytest.approx(100)
    (scratch / ".began.json").write_text(json.dumps({**began, "began": began["began"] + 1000}))  # a clock put back
    done = {item.stage: item for item in run(tiny(posts), store).stages}["latents"]
    assert 100 <= done.seconds < 130
    assert done.seconds - done.usage["seconds"] == pytest.approx(100)
    assert 100 <= store.manifest("latents", done.key)["seconds"] < 130


def test_half_a_mark_of_a_stopped_process_is_none(fakes: Fakes, posts: Path, store: Store):
    fakes.halts["tokens"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(tiny(posts), store)
    (scratch,) = (store.folder / "scratch").iterdir()
    (scratch / ".began.json").write_text('{"before": 1')
    assert run(tiny(posts), store).stages[1].seconds < 30


def test_artefacts_are_loaded_only_when_a_stale_stage_needs_them(fakes: Fakes, posts: Path, store: Store):
    keys = {item.stage: item.key for item in run(tiny(posts), store).stages}
    damaged = store.path("corpus", keys["corpus"]) / "rejected.jsonl"
    damaged.write_text("damage")
    run(tiny(posts, "latents.batch_size=8"), store)
    with pytest.raises(StoreError, match=r"rejected.jsonl.*--force corpus"):
        run(tiny(posts, "tokens.vocabulary=4000"), store)
    run(tiny(posts, "tokens.vocabulary=4000"), store, force=("corpus",))
    assert store.verify() == []


def test_forcing_mends_a_damaged_manifest(fakes: Fakes, posts: Path, store: Store):
    keys = {item.stage: item.key for item in run(tiny(posts), store).stages}
    fakes.take()
    (store.path("tokens", keys["tokens"]) / "manifest.json").write_text("{")
    with pytest.raises(StoreError, match=r"manifest.json is damaged.*--force tokens"):
        run(tiny(posts), store)
    run(tiny(posts), store, force=("tokens",))
    assert fakes.take() == ["tokens"] and store.verify() == [] and reasons(tiny(posts), store) == {}


def test_a_missing_corpus_is_told_before_anything_is_kept(fakes: Fakes, store: Store, tmp_path: Path):
    with pytest.raises(InputError):
        run(tiny(tmp_path / "nowhere"), store)
    assert store.artefacts() == [] and not (store.folder / "pipeline.json").exists()


def test_a_corpus_that_changes_while_it_is_read_is_not_stored(fakes: Fakes, posts: Path, store: Store,
                                                              monkeypatch: pytest.MonkeyPatch):
    module = sys.modules["textvae.stages.corpus"]
    read = module.run

    def edited(*args: Any, **named: Any) -> Any:
        corpus = read(*args, **named)
        folder_of_posts(posts, three="Written meanwhile.")
        return corpus

    monkeypatch.setattr(module, "run", edited)
    with pytest.raises(InputError, match="changed while it was being read"):
        run(tiny(posts), store)
    assert store.artefacts() == []


def test_a_disk_that_fills_up_in_a_stage_is_told(fakes: Fakes, posts: Path, store: Store):
    fakes.halts["sequence_vae"] = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(StoreError, match=r"the disk is full.*MB free"):
        run(tiny(posts), store)
    assert store.verify() == []
    fakes.halts["sequence_vae"] = OSError(errno.EIO, "Input/output error")
    with pytest.raises(OSError, match="Input/output error"):
        run(tiny(posts), store)


def test_a_second_run_is_refused_while_one_is_running(fakes: Fakes, posts: Path, store: Store):
    hold = ("import sys; from pathlib import Path; from textvae.store import Store\n"
            "with Store(Path(sys.argv[1]), 'blog').lock(): print('held', flush=True); sys.stdin.read()")
    with subprocess.Popen([sys.executable, "-c", hold, str(store.root)], text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=f"process {other.pid}"):
            run(tiny(posts), store)
        assert set(reasons(tiny(posts), store)) == set(NAMES), "planning never waits"
        other.communicate("")
    assert run(tiny(posts), store).ran == tuple(NAMES)


IDLE = """
import json, sys
from pathlib import Path
from textvae import catalogue, runs
config, store = catalogue.find(sys.argv[1], Path("unused"))
done = runs.execute(config, store)
print(json.dumps([list(done.result.ran), done.recorded, sorted(set(sys.modules))]))
"""


def test_running_again_is_quick_and_imports_nothing_heavy(fakes: Fakes, posts: Path, store: Store):
    runs.execute(tiny(posts), store)
    before = seconds_of_children()
    done = subprocess.run([sys.executable, "-c", IDLE, str(store.folder)], capture_output=True, text=True, timeout=60)
    took = seconds_of_children() - before
    assert done.returncode == 0, done.stderr
    ran, recorded, modules = json.loads(done.stdout)
    assert ran == [] and not recorded
    assert not {"keras", "tensorflow", "jax", "pandas", "pyarrow", "gensim", "sklearn", "matplotlib"} & set(modules)
    assert took < 3


DEVICE = """
import sys
from pathlib import Path
import pytest
from fake_stages import Fakes, tiny
from textvae import pipeline, planning
from textvae.errors import TextvaeError
from textvae.store import Store
table = planning.STAGES
fakes = Fakes(pytest.MonkeyPatch())
planning.STAGES = table
store, config = Store(Path(sys.argv[2]), "blog"), tiny(Path(sys.argv[1]))
pipeline.run(config, store, until="word_vectors", device="gpu")
assert "keras" not in sys.modules, "no backend starts for a stage that needs none"
try:
    pipeline.run(config, store, force=("corpus",), device="gpu")
    raise SystemExit("a GPU was found")
except TextvaeError as error:
    assert "no GPU" in error.message, error
assert fakes.take() == ["corpus", "tokens", "word_vectors"], "told before anything runs"
result = pipeline.run(config, store, device="cpu")
kinds = {item.stage: store.manifest(item.stage, item.key)["device"] for item in result.stages}
assert kinds["tokens"] == {"kind": "cpu"}
assert kinds["sequence_vae"] == result.device and result.device["backend"] == "tensorflow", kinds
print("fine")
"""


def test_the_device_starts_before_the_first_stage_that_needs_it(posts: Path, store: Store):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "CUDA_VISIBLE_DEVICES": "-1"}
    environment.pop("KERAS_BACKEND", None)
    done = subprocess.run([sys.executable, "-c", DEVICE, str(posts), str(store.root)], capture_output=True,
                          text=True, timeout=120, env=environment)
    assert done.returncode == 0 and "fine" in done.stdout, done.stderr


def test_looking_a_stage_up():
    assert planning.stage("latents") == Stage("latents", ("tokens", "sequence_vae"), "Latents", version=3)
    assert planning.artefact_type("latents") is data.Latents


def test_a_worker_trains_on_the_inputs_of_the_first_one_alone(fakes: Fakes, posts: Path, store: Store, tmp_path: Path,
                                                             monkeypatch: pytest.MonkeyPatch):
    own = Store(tmp_path / "machine-b", "blog")  # the same settings, trained there by other code
    config, told = tiny(posts), []
    run(config, store)
    fakes.salt["word_vectors"] = 3
    run(config, own)
    monkeypatch.setattr(pipeline, "LATE", 0.2)
    first = pipeline._Runner(config, store, ("cpu", "auto"), Progress())
    first.devices = SimpleNamespace(tell=told.append, describe=dict)
    monkeypatch.setattr(first, "_work", lambda *_: store.load("sequence_vae", item.key, data.TrainedNetwork))
    (item,) = (item for item in plan(config, store, force=("sequence_vae",)) if item.stage == "sequence_vae")
    first._run(item, {}, "forced")
    for other, same in ((store, True), (own, False)):
        worker = pipeline._Runner(config, other, ("cpu", "auto"), Progress())
        given: list[Any] = []
        monkeypatch.setattr(worker, "_work", lambda row, inputs, *_, given=given: given.extend(inputs))
        if same:
            worker.help(told[0])
            assert [type(each).__name__ for each in given] == ["Tokens", "WordVectors", "CompressedVectors"]
        else:
            with pytest.raises(StoreError, match=r"holds no word_vectors .* such as the first .*the same --store"):
                worker.help(told[0])
