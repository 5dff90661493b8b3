"""The whole pipeline through the command line, on posts small enough to train in seconds."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from commands import COMMANDS, Done, examples, seconds_of_children, textvae

from textvae import runs
from textvae.planning import STAGES
from textvae.store import Store

NAMES = [stage.name for stage in STAGES]
# Called like the recipe of the quick start, so that the examples of the help texts run here as they stand.
PIPELINE = """
seed = 1
corpus = { path = "posts" }
tokens = { vocabulary = 400, max_length = 40, validation = 0.2, test = 0.2 }
word_vectors = { dim = 8, epochs = 1 }
embedding_vae = { latent = 4, hidden = 8, epochs = 1 }
latent_transformer = { layers = 1, width = 8, heads = 2, epochs = 1, min_mi = 0.0 }
word_transformer = { layers = 1, width = 8, heads = 2, epochs = 1 }
language_model = { epochs = 1 }
autoencoder = { epochs = 1 }
evaluation = { sequences = 10, iw_samples = 2, iw_sequences = 5, samples = 4, variations = 2, sources = 2, shown = 2 }

[sequence_vae]
hidden = 16
latent = 4
epochs = 20
patience = 20
warmup_epochs = 1
learning_rate = 0.01
beta = 0.01
free_bits = 0.0

[[sequence_vae.constraints]]
name = "cats"
keyword = "cat"
threshold = 0.5
"""
WHO = ("The cat", "A dog", "My neighbour", "The old baker", "Nobody", "Our teacher")
DOES = ("sleeps", "sings", "waits", "writes a letter", "looks for bread", "counts the stars")
# The texts of the help's examples, so that the vocabulary holds them and they are not longer than what was trained on.
EXAMPLES = ("The government said the talks would go on.", "The talks will go on.", "Rain stopped the game.")
WHERE = ("in the garden", "under the bridge", "near the sea", "at the market", "behind the house")


def write_posts(folder: Path, count: int = 40) -> None:
    """Posts with front matter, one with a header that cannot be read, and one post twice."""
    folder.mkdir()
    draw = random.Random(0)
    for number in range(count):
        text = " ".join(f"{draw.choice(WHO)} {draw.choice(DOES)} {draw.choice(WHERE)}." for _ in range(6))
        text += " " + EXAMPLES[number % 3]
        (folder / f"{number:02}.md").write_text(f"---\ntitle: Post {number}\ntags: [daily]\n---\n{text}\n",
                                                encoding="utf-8")
    shutil.copy(folder / "00.md", folder / "again.md")
    (folder / "broken.md").write_text("---\ntitle: [\n---\nThis header cannot be read.\n", encoding="utf-8")


ROWS = "text,mood\nA dog sings near the sea.,glad\n=The cat sleeps.,calm\n,calm\n"
POST = """# <b>A dog sings.</b>

A dog sings near the sea.

> The cat sleeps by the door.

- The cat sleeps by the door.
- See [a link](https://a.org), he said.
"""


def manifests(store: Path) -> dict[str, dict[str, Any]]:
    """Every manifest of the pipeline, by stage and key."""
    return {str(path.parent.relative_to(store)): json.loads(path.read_text(encoding="utf-8"))
            for path in store.glob("*/*/manifest.json")}


def contents(store: Path) -> dict[str, Any]:
    """The hashes of every artefact's files."""
    return {name: manifest["files"] for name, manifest in manifests(store).items()}


def changed(*settings: str) -> list[str]:
    """The arguments that change settings."""
    return [word for setting in settings for word in ("--set", setting)]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """A trained pipeline in a working folder of its own, and what its run printed."""
    before, folder = Path.cwd(), tmp_path_factory.mktemp("site")
    os.chdir(folder)
    try:
        write_posts(Path("posts"))
        Path("pipelines").mkdir()
        Path("pipelines/quickstart.toml").write_text(PIPELINE, encoding="utf-8")
        Path("sentences.txt").write_text("The cat sleeps.\n\nA dog sings near the sea.\n", encoding="utf-8")
        Path("post.md").write_text(POST, encoding="utf-8")
        Path("rows.csv").write_text(ROWS, encoding="utf-8")
        yield textvae("run", "quickstart", "--device", "cpu")
    finally:
        os.chdir(before)


@pytest.fixture
def copied(first: Done, tmp_path: Path) -> Path:
    """A copy of the store, to be spoilt."""
    assert first.code == 0, first.err
    return Path(shutil.copytree("models", tmp_path / "models"))


def second_run(models: Path) -> None:
    """Record a second run, of the artefacts of the first, and promote it."""
    store = Store(models, "quickstart")
    store.put(runs.file_of(2), asdict(replace(runs.read(store, 1), number=2, replaced=1)))
    runs.promote(store, 2)


def test_a_run_ends_with_a_table_counts_and_the_next_step(first):
    assert first.code == 0, first.err
    lines = first.out.splitlines()
    assert lines[0].split() == ["stage", "state", "time", "result"]
    assert [line.split()[:2] for line in lines[1:12]] == [[name, "ran"] for name in NAMES]
    lines = lines[2:]
    assert lines[10] == "1 duplicate dropped"
    assert lines[11].startswith("1 input not taken, each with its reason in models/quickstart/corpus/")
    rejected = Path(lines[11].split(" in ")[1])
    assert [json.loads(line)["source"] for line in rejected.read_text(encoding="utf-8").splitlines()] == ["broken.md"]
    report = Path(lines[12].removeprefix("report: "))
    assert "<html" in report.read_text(encoding="utf-8") and report.parent.parent.name == "evaluation"
    assert lines[13].startswith("run 1, ") and 'next: textvae vary models/quickstart "' in lines[13]
    assert "sequence_vae epoch 20/20: loss " in first.err


def test_running_again_does_nothing_and_says_so_at_once(first):
    before = contents(Path("models/quickstart"))
    used = seconds_of_children()
    done = subprocess.run([sys.executable, "-m", "textvae", "run", "quickstart"], capture_output=True, text=True,
                          check=True)
    assert seconds_of_children() - used < 3
    assert done.stdout.splitlines()[0] == "nothing to do: 11 stages of quickstart up to date, run 1"
    assert contents(Path("models/quickstart")) == before
    assert len(textvae("runs", "quickstart", "--json").json) == 1


@pytest.mark.parametrize(("setting", "stages"), [
    ("evaluation.shown=3", NAMES[-1:]),
    ("word_transformer.epochs=2", ["word_transformer", "evaluation"]),
    ("sequence_vae.beta=0.5", ["sequence_vae", "latents", "latent_transformer", *NAMES[-3:]]),
    ("language_model.epochs=2", ["language_model", "evaluation"]),
    ("tokens.max_length=10", NAMES[1:]),
    ("seed=2", NAMES),
])
def test_a_changed_setting_runs_only_what_follows(first, setting, stages):
    planned = textvae("run", "quickstart", *changed(setting), "--dry-run", "--json").json
    assert [item["stage"] for item in planned if item["state"] == "to run"] == stages


def test_a_changed_setting_makes_a_run_of_its_own(copied):
    done = textvae("run", "quickstart", *changed("evaluation.shown=3"), "--store", copied, "--json")
    assert done.code == 0, done.err
    assert (done.json[0]["ran"], done.json[0]["run"]) == (["evaluation"], 2)
    listed = textvae("runs", "quickstart", "--store", copied, "--json").json
    assert [(run["number"], run["current"]) for run in listed] == [(1, False), (2, True)]
    promoted = textvae("promote", "quickstart", "1", "--store", copied)
    assert promoted.out == "quickstart reads run 1 now, before it was 2\n"
    # Run 2 is the newest and run 1 the promoted one: nothing may go until run 2 is promoted again.
    assert textvae("prune", "quickstart", "--keep", "1", "--store", copied).out == "nothing to delete\n"
    textvae("promote", "quickstart", "2", "--store", copied)
    would = textvae("prune", "quickstart", "--keep", "1", "--store", copied, "--dry-run", "--json").json[0]
    assert (would["runs"], [stage for stage, _ in would["artefacts"]]) == ([1], ["evaluation"])
    assert len(manifests(copied / "quickstart")) == 12
    assert textvae("prune", "quickstart", "--keep", "1", "--store", copied).out.startswith("deleted run 1\n")
    assert len(manifests(copied / "quickstart")) == 11
    assert textvae("verify", "quickstart", "--store", copied).code == 0


def test_a_changed_post_reruns_from_the_corpus_and_keeps_the_history(copied, tmp_path):
    posts = Path(shutil.copytree("posts", tmp_path / "posts"))
    same = textvae("run", "quickstart", "--corpus", posts, "--store", copied, "--dry-run", "--json").json
    assert {item["state"] for item in same} == {"done"}, "a folder that moved is the same corpus"
    before = contents(copied / "quickstart")
    (posts / "05.md").write_text("Another text stands here now. It has two sentences.\n", encoding="utf-8")
    planned = textvae("run", "quickstart", "--corpus", posts, "--store", copied, "--dry-run", "--json").json
    assert {item["state"] for item in planned} == {"to run"} and "corpus changed" in planned[0]["reason"]
    done = textvae("run", "quickstart", "--corpus", posts, "--store", copied, "--until", "tokens", "--json")
    assert done.json[0]["ran"] == ["corpus", "tokens"]
    assert [item["state"] for item in textvae("status", "quickstart", "--store", copied, "--json").json[:-1]
            ] == ["done"] * 2 + ["to run"] * 9, "status knows the settings of the last run"
    assert before.items() <= contents(copied / "quickstart").items()
    listed = textvae("runs", "quickstart", "--store", copied, "--json").json
    assert [(run["number"], run["current"]) for run in listed] == [(1, True), (2, False)]


def test_new_posts_are_retrained_on_and_both_runs_compared(copied, tmp_path):
    posts = Path(shutil.copytree("posts", tmp_path / "posts"))
    for number in range(5):
        (posts / f"new-{number}.md").write_text(" ".join(f"A zebra {does} {where}." for does, where in zip(
            DOES[number:] + DOES[:number], WHERE * 2, strict=False)), encoding="utf-8")
    words = ("quickstart", "--corpus", posts, "--store", copied, *changed(
        "sequence_vae.jit=false", "retrain.epochs=2", "retrain.strange=1.0"))
    done = textvae("retrain", *words, "--json")
    (found,) = done.json
    assert found["code"] == done.code in (0, 11) and (found["run"], found["before"]) == (2, 1), done.err
    assert found["changes"]["new"] == 5 and found["changes"]["changed"] == 0
    assert [check["name"] for check in found["gate"]] == [
        "iw_nll", "active_units", "mutual_information", "distinct_2", "satisfied_cats", "strange_posts",
        "repeated_posts"]
    assert all(check["passed"] for check in found["gate"]) is (done.code == 0)
    made = next(manifest for manifest in manifests(copied / "quickstart").values() if manifest.get("start"))
    before = textvae("runs", *words[:1], "--store", copied, "--json").json[0]
    assert made["start"]["sequence_vae"] == before["stages"]["sequence_vae"]["key"] and made["metrics"]["epochs"] <= 2
    again = textvae("retrain", *words)
    assert again.code == 10 and "nothing changed" in again.out
    assert textvae("promote", "quickstart", "2", "--store", copied).code == 0
    planned = textvae("run", *words, "--dry-run", "--json").json
    assert {item["state"] for item in planned} == {"done"}, "run does not train again what retrain made"
    assert textvae("vary", "quickstart", "A zebra sleeps in the garden.", "--store", copied, "-n", "1").code == 0


# Sent from outside, the signal came too late where this process had to wait for its turn.
STOPPED = """
import signal, sys
from textvae.cli import main

class Listening:
    def write(self, text):
        sys.__stderr__.write(text)
        if text.startswith("sequence_vae epoch 2/20"):
            signal.raise_signal(signal.SIGINT)

    def __getattr__(self, name):
        return getattr(sys.__stderr__, name)

sys.stderr = Listening()
main()
"""


def test_one_seed_gives_the_same_bytes_and_a_stopped_run_too(first, tmp_path):
    """The second training runs in a process of its own, is stopped with Ctrl-C in its middle, and resumed."""
    command = [sys.executable, "-c", STOPPED, "run", "quickstart", "--device", "cpu", "--store", str(tmp_path)]
    stopped = subprocess.run(command, capture_output=True, text=True)
    said = stopped.stderr
    assert stopped.returncode == 130, said
    assert said.splitlines()[-1] == "stopped; the next run resumes here" and "Traceback" not in said
    assert "oneDNN" not in said and "cuda" not in said.lower(), "TensorFlow's notes on its start are held back"
    resumed = textvae("run", "quickstart", "--store", tmp_path)
    assert resumed.code == 0, resumed.err
    assert "sequence_vae: resuming after epoch" in resumed.err
    assert contents(tmp_path / "quickstart") == contents(Path("models/quickstart"))


def test_another_seed_gives_other_weights(first, tmp_path):
    store = tmp_path / "models"
    done = textvae("run", "quickstart", "--seed", "2", "--until", "embedding_vae", "--store", store)
    assert done.code == 0, done.err
    files = [next(value for name, value in contents(where / "quickstart").items() if name.startswith("embedding_vae"))
             for where in (store, Path("models"))]
    assert files[0]["weights.h5"] != files[1]["weights.h5"]


def test_vary_as_json(first):
    args = ("vary", "quickstart", "The cat sleeps.", "A dog sings.", "-n", "2", "--json")
    done = textvae(*args)
    assert done.code == 0, done.err
    assert done.json and {item["source"] for item in done.json} <= {"The cat sleeps.", "A dog sings."}
    for item in done.json:
        assert list(item)[:6] == ["source", "text", "distance", "constraints", "seed", "run"]
        assert item["text"] != item["source"] and item["distance"] >= 0 and list(item["constraints"]) == ["cats"]
        assert (item["seed"], item["run"]) == (1, "quickstart/1")
    assert textvae(*args).out == done.out, "the same seed writes the same"
    assert textvae(*args, "--seed", "2").out != done.out
    from_stdin = textvae("vary", "quickstart", "-", "-n", "2", "--json", stdin=b"The cat sleeps.\nA dog sings.\n")
    assert from_stdin.out == done.out
    assert textvae("vary", "models/quickstart", *args[2:]).out == done.out, "a folder of the store is a pipeline too"


SEVERAL = """
import json, sys
from textvae.cli import main
for words in json.loads(sys.argv[1]):
    try:
        main(words)
    except SystemExit as stop:
        assert not stop.code, words
import keras
print(keras.config.backend(), "tensorflow" in sys.modules)
"""


def test_few_texts_are_written_without_tensorflow_and_are_the_same(first):
    commands = [["vary", "quickstart", "The cat sleeps.", "A dog sings.", "-n", "2"],
                ["vary", "quickstart", "--file", "post.md", "--share", "1", "--must", "dog", "--diff"],
                ["sample", "quickstart", "-n", "3", "--constraint", "cats"],
                ["interpolate", "quickstart", "The cat sleeps.", "A dog sings."]]
    clean = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    done = subprocess.run([sys.executable, "-c", SEVERAL, json.dumps(commands)], capture_output=True, text=True,
                          env=clean)
    assert done.returncode == 0, done.stderr
    written, _, told = done.stdout.strip().rpartition("\n")
    assert told == "numpy False"
    assert written + "\n" == "".join(textvae(*words).out for words in commands)
    assert "Warning" not in done.stderr


def test_vary_stays_inside_a_constraint(first):
    done = textvae("vary", "quickstart", "A dog sings.", "-n", "2", "--constraint", "cats")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == "A dog sings."
    wrong = textvae("vary", "quickstart", "A dog sings.", "--constraint", "dogs")
    assert (wrong.code, wrong.out) == (1, "") and "hint: it has: cats" in wrong.err


def test_a_post_is_varied_in_place(first, tmp_path):
    out, page = tmp_path / "varied.md", tmp_path / "page.html"
    done = textvae("vary", "quickstart", "--file", "post.md", "--share", "1", "-o", str(out), "--html", str(page),
                   "--diff")
    assert done.code == 0, done.err
    before, after = POST.splitlines(), out.read_text(encoding="utf-8").splitlines()
    assert len(before) == len(after) and [one for one, two in zip(before, after, strict=True) if one == two] == [
        line for line in before if line not in ("A dog sings near the sea.", "- The cat sleeps by the door.")]
    assert [line[:2] for line in done.out.splitlines()] == ["po", "- ", "+ "] * 2 and "post.md, line 3" in done.out
    assert "varied 2 of 2 sentences of prose" in done.err
    shown = page.read_text(encoding="utf-8")
    assert "<del>" in shown and "<ins>" in shown and "&lt;b&gt;A dog sings.&lt;/b&gt;" in shown
    plain = textvae("vary", "quickstart", "--file", "post.md", "--share", "1")
    assert plain.out == out.read_text(encoding="utf-8")
    lines = textvae("vary", "quickstart", "--file", "post.md", "--share", "1", "--json").json
    assert [(own["line"], own["source"]) for own in lines] == [(3, "A dog sings near the sea."),
                                                               (7, "The cat sleeps by the door.")]


@pytest.mark.parametrize("words, code, message", [
    (["--file", "posts/broken.md"], 1, "its header is not valid YAML"),
    (["--file", "post.md", "a text"], 2, "not both"),
    ([], 2, "give a TEXT or --file POST"), (["a text", "--diff"], 2, "go with --file"),
    (["--file", "post.md", "-o", "nowhere/a.md"], 1, "there is no folder nowhere"),
    (["--file", "nowhere.md"], 1, "no such file: nowhere.md"), (["--file", "posts"], 1, "posts is no regular file"),
    (["--file", "latin.md"], 1, "not UTF-8: byte 0xe9 at 1"), (["--file", "page.html"], 1, "sentences of HTML cannot"),
    (["a text", "--distance", "3"], 2, "goes with --near or --far")])
def test_what_vary_cannot_do_it_says(first, words, code, message):
    Path("latin.md").write_bytes(b"n\xe9")
    Path("page.html").write_text("<p>A page.</p>", encoding="utf-8")
    done = textvae("vary", "quickstart", *words)
    assert (done.code, done.out) == (code, "") and message in done.err and "Traceback" not in done.err


def test_a_bad_line_among_many_is_left_out(first):
    lines = b"The cat sleeps.\n" + b"cat " * 200 + b"\nA dog sings.\n"
    done = textvae("vary", "quickstart", "-", "-n", "1", stdin=lines)
    assert done.code == 0 and done.err.count("left out: ") == 1 and "201 tokens" in done.err
    assert [line for line in done.out.splitlines() if line[0] != " "] == ["The cat sleeps.", "A dog sings."]
    alone = textvae("vary", "quickstart", "-", stdin=b"cat " * 200)
    assert alone.code == 1 and "none of the 1 texts could be read" in alone.err


def test_a_table_is_augmented(first, tmp_path):
    out = tmp_path / "more.csv"
    done = textvae("augment", "quickstart", "rows.csv", "--text", "text", "--label", "mood", "-n", "2", "-o", str(out),
                   "--json")
    assert done.code == 0, done.err
    told, rows = done.json[0], out.read_text(encoding="utf-8").splitlines()
    assert rows[:4] == ["text,mood,varied_from", "A dog sings near the sea.,glad,", "'=The cat sleeps.,calm,", ",calm,"]
    assert len(rows) == 4 + told["variations"] and all(row.rpartition(",")[2] in ("1", "2") for row in rows[4:])
    assert (told["rows"], told["asked"], told["not_varied"]) == (3, 6, 1) and "not varied, row 3" in done.err
    safe = sum(row.startswith("'=") for row in rows)
    assert safe and f"{safe} cells that a spreadsheet would compute" in done.err
    wrong = textvae("augment", "quickstart", "rows.csv", "--text", "body", "-o", str(out))
    assert (wrong.code, wrong.out) == (1, "") and "hint: it has: text, mood" in wrong.err


def test_texts_between_texts_are_written(first):
    pair = ["A dog sings.", "The cat sleeps."]
    assert textvae("blend", "quickstart", *pair, "--weights", "1,0", "--json").json[0]["weights"] == [1.0, 0.0]
    assert textvae("blend", "quickstart", *pair, "--weights", "one,two").code == 2
    assert textvae("analogy", "quickstart", *pair, "The cat sings.", "--json").json[0]["c"] == "The cat sings."
    filled = textvae("complete", "quickstart", "The ___ sleeps.", "-n", "2", "--json").json
    assert filled and all(own["text"].startswith("The ") and own["text"].endswith(" sleeps.") for own in filled)
    assert textvae("complete", "quickstart", "The cat sleeps.").code == 1


def test_a_text_that_is_too_long_or_empty(first):
    long = textvae("vary", "quickstart", "cat " * 200)
    assert (long.code, long.out) == (1, "") and "hint:" in long.err
    assert textvae("vary", "quickstart", " ").code == 1


# watch never ends: tests/test_cli_retrain.py stops it; track needs a server: tests/test_mlflow.py has one.
@pytest.mark.parametrize("example", [words for name in COMMANDS if name not in ("watch", "track")
                                     for words in examples(name)], ids=" ".join)
def test_the_examples_of_the_help_texts_run(copied, example):
    stdin = Path("sentences.txt").read_bytes() if "-" in example else b""
    if example[0] == "run" and "--dry-run" not in example:
        example = [*example, "--device", "cpu"]
    if example[0] in ("rollback", "diff"):
        second_run(copied)
    if example[0] == "import":
        assert textvae("export", "quickstart", "-o", "quickstart.zip", "--store", copied).code == 0
    if example[0] == "pull":
        assert textvae("push", "quickstart", "shared/quickstart", "--store", copied).code == 0
    done = textvae(*example, "--store", copied, stdin=stdin)
    assert done.code == (10 if example[0] == "retrain" else 0), done.err
    assert done.out.strip()


def test_what_was_printed_can_be_read_again(first):
    assert [item["stage"] for item in textvae("status", "quickstart", "--json").json[:-1]] == NAMES
    assert textvae("status", "--json").json[0]["current"] == 1
    assert list(textvae("show", "quickstart", "--json").json[0]["stages"]) == NAMES
    assert textvae("show", "quickstart", "sequence_vae", "--json").json[0]["files"]["weights.h5"]["size"] > 0
    folder = Path(textvae("show", "quickstart", "evaluation", "--path").out.strip())
    assert (folder / "report.html").is_file()
    encoded = textvae("encode", "quickstart", "The cat sleeps.", "--json").json[0]
    assert len(encoded["mean"]) == len(encoded["log_var"]) == 4
    assert len(textvae("interpolate", "quickstart", "A dog sings.", "The cat sleeps.", "--steps", "3",
                       "--spherical", "--json").json) == 3


def test_a_run_is_measured_again_without_being_changed(copied):
    before = textvae("show", "quickstart", "evaluation", "--json", "--store", copied).json[0]
    printed = textvae("evaluate", "quickstart", "--json", "--store", copied).json[0]
    assert (printed["ran"], printed["key"], printed["run"]) == (False, before["key"], 1)
    assert printed["metrics"] == before["metrics"] and Path(printed["report"]).is_file()
    assert {"inside_cats_matching", "inside_cats_others"} <= printed["metrics"].keys()
    more = textvae("evaluate", "quickstart", "--set", "evaluation.iw_samples=3", "--device", "cpu", "--json",
                   "--store", copied).json[0]
    assert more["ran"] and more["key"] != before["key"]
    assert more["metrics"]["iw_nll"] != before["metrics"]["iw_nll"]
    assert more["metrics"]["elbo_nll"] == before["metrics"]["elbo_nll"]
    assert textvae("show", "quickstart", "evaluation", "--json", "--store", copied).json[0] == before
    table = textvae("evaluate", "quickstart", "--store", copied)
    assert table.code == 0 and "iw_nll" in table.out and "report.html" in table.out
    for wrong in (("--set", "sequence_vae.beta=2"), ("--set", "evaluation.samples=no"), ("--run", "7")):
        done = textvae("evaluate", "quickstart", *wrong, "--store", copied)
        assert (done.code, done.out) == (1, "") and done.err.startswith("error: "), done.err


@pytest.mark.parametrize("stage", NAMES)
def test_a_flipped_byte_is_found_and_named(copied, stage):
    files = next((copied / "quickstart" / stage).iterdir()).iterdir()
    largest = max((path for path in files if path.name != "manifest.json"), key=lambda path: path.stat().st_size)
    whole = bytearray(largest.read_bytes())
    whole[len(whole) // 2] ^= 1
    largest.write_bytes(whole)
    done = textvae("verify", "quickstart", "--store", copied)
    assert done.code == 1 and len(done.out.splitlines()) == 1 and done.out.startswith(f"{largest}: is damaged")
    found = textvae("verify", "quickstart", "--store", copied, "--json").json[0]["problems"]
    assert [problem["file"] for problem in found] == [str(largest)]


def test_a_damaged_model_is_not_read(copied):
    weights = next((copied / "quickstart" / "sequence_vae").glob("*/weights.h5"))
    weights.write_bytes(weights.read_bytes()[:-1])
    done = textvae("vary", "quickstart", "The cat sleeps.", "--store", copied)
    assert (done.code, done.out) == (1, "") and str(weights) in done.err
    assert "hint: make it anew with: textvae run quickstart --force sequence_vae" in done.err
