"""The command line without a trained model: help, errors, printing, exit codes."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from commands import examples, find, names, parses, seconds_of_children, textvae
from hypothesis import given, settings
from hypothesis import strategies as st

from textvae.cli import bars, console, highlights, posts, write
from textvae.errors import InputError, TextvaeError
from textvae.planning import STAGES
from textvae.store import Store
from textvae.writing.found import Found, Variation
from textvae.writing.writer import TOGETHER

SHELL = (sys.executable, "-m", "textvae")


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Every test starts in an empty working folder."""
    monkeypatch.chdir(tmp_path)


def test_help_answers_at_once():
    def seconds() -> float:
        before = seconds_of_children()
        subprocess.run([*SHELL, "--help"], check=True, capture_output=True)
        return seconds_of_children() - before

    assert min(seconds() for _ in range(5)) < 0.3


@pytest.mark.parametrize("name", names())
def test_every_command_has_help_and_an_example(name):
    found = find(name)
    first = (found.help or "").splitlines()[0]
    assert first.endswith(".") and len(first) < 60
    assert not found.get_short_help_str(100).endswith("...")
    assert examples(name), f"{name} has no example"
    for words in examples(name):
        assert " ".join(words).startswith(name)
        parses(words)
    for option in found.params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.opts} has no help"
            if not option.is_flag and not option.multiple and option.to_info_dict()["default"] is not None:
                assert option.show_default or "[default" in option.help, f"{name} {option.opts} hides its default"


def test_every_command_that_prints_results_has_json():
    printing = [found for found in map(find, names()) if not isinstance(found, click.Group)]
    assert all("--json" in [opt for param in found.params for opt in param.opts] for found in printing)


def test_version():
    done = textvae("--version")
    assert done.code == 0 and done.out.startswith("textvae 0.")


@pytest.mark.parametrize(("args", "said"), [
    (("vari", "x"), "Error: no such command: vari (did you mean vary?)"),
    (("run",), "Error: Missing argument 'PIPELINE'."),
    (("run", "quickstart", "--device", "tpu"), "Error: Invalid value for '--device'"),
    (("sample", "quickstart", "-n", "0"), "Error: Invalid value for '-n'"),
    (("sample", "quickstart", "-n", "99999999999"), "Error: Invalid value for '-n'"),
    (("sample", "quickstart", "--candidates", "99999999999"), "Error: Invalid value for '--candidates'"),
    (("interpolate", "quickstart", "a", "b", "--steps", "99999999999"), "Error: Invalid value for '--steps'"),
    (("show", "quickstart", "--path"), "Error: --path needs a STAGE"),
    *((("show", "quickstart", "--toml", *more), "Error: --toml prints a file as it is")
      for more in (("--json",), ("tokens",), ("--run", "1"), ("--path",))),
    (("prune", "quickstart"), "Error: Missing option '--keep'."),
    (("schedule", "print", "quickstart"), "Error: Missing option '--with'."),
    (("schedule", "install", "quickstart", "weekly"), "unexpected argument 'weekly': options of retrain stand behind"),
    (("schedule", "install", "quickstart", "--", "--store", "x"), "Error: --store stands before --"),
])
def test_wrong_usage_exits_with_2(args, said):
    done = textvae(*args)
    assert (done.code, done.out) == (2, "")
    assert said in done.err and "Traceback" not in done.err


@pytest.mark.parametrize(("args", "said"), [
    (("run", "quickstrat"), "did you mean quickstart?"),
    (("run", "missing.toml"), "cannot read the pipeline missing.toml"),
    (("run", "quickstart", "--set", "tokens.vocabluary=5"), "hint: did you mean tokens.vocabulary?"),
    (("run", "quickstart", "--set", "sequence_vae.latent=0"), "sequence_vae.latent must be at least 1, not 0"),
    (("run", "quickstart", "--set", "sequence_vae.beta=inf"), "sequence_vae.beta must be a finite number, not inf"),
    (("run", "quickstart", "--until", "sequence_vea"), "hint: did you mean sequence_vae?"),
    (("run", "quickstart", "--force", "lattents"), "hint: did you mean latents?"),
    (("run", "quickstart", "--corpus", "nowhere"), "nowhere"),
    (("vary", "quickstart", "A text."), "textvae run quickstart"),
    (("show", "quickstart"), "textvae run quickstart"),
    (("runs", "nothing"), "there is no pipeline 'nothing'"),
    (("verify", "quickstart"), "textvae run quickstart"),
    (("promote", "quickstart", "1"), "has no run 1"),
    *((words, "there is no typo/quickstart\nhint: make it with: textvae run quickstart --store typo")
      for words in (("runs", "quickstart", "--store", "typo"), ("verify", "quickstart", "--store", "typo"),
                    ("pin", "quickstart", "1", "--store", "typo"), ("unpin", "quickstart", "1", "--store", "typo"),
                    ("prune", "quickstart", "--keep", "1", "--store", "typo"))),
    (("rollback", "quickstart", "--store", "typo"), "typo/quickstart has no finished run"),
    (("show", "nothing", "--toml"), "recipes: "),
    (("schedule", "install", "quickstrat"), "did you mean quickstart?"),
    (("schedule", "install", "quickstart", "--every", "Sunday"), "'Sunday' is no schedule"),
    (("schedule", "print", "quickstart", "--with", "cron", "--", "--on-failure", "a\nb"), "cannot stand in a schedule"),
])
def test_a_wrong_state_or_input_is_one_message_and_a_hint(args, said):
    done = textvae(*args)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: ") and said in done.err and "Traceback" not in done.err
    assert not list(Path.cwd().rglob("*.json")), "a refused command must leave nothing behind"
    assert args[0] == "run" or not list(Path.cwd().iterdir())


def test_a_dry_run_runs_nothing():
    done = textvae("run", "quickstart", "--dry-run", "--json")
    assert done.code == 0
    assert [(item["stage"], item["state"]) for item in done.json] == [(stage.name, "to run") for stage in STAGES]
    assert not Path("models").exists()


def test_corpus_and_seed_reach_the_settings():
    Path("2024").write_text("One text.\n", encoding="utf-8")  # a name that TOML would take for a number
    ways = ((), ("--corpus", "2024"), ("--set", 'corpus.path="2024"'), ("--corpus", "2024", "--seed", "2"))
    keys = [textvae("run", "quickstart", "--dry-run", "--json", *more).json[0]["key"] for more in ways]
    assert keys[1] == keys[2] and len(set(keys)) == 3


@pytest.mark.parametrize("args", [("vary", "quickstart", "A text."), ("show", "quickstart"), ("verify", "quickstart"),
                                  ("status",)])
def test_what_a_message_says_to_type_can_be_pasted(args):
    done = textvae(*args, "--store", "st ore")
    assert f"{done.out}{done.err}".endswith(": textvae run quickstart --store 'st ore'\n")


def test_the_next_step_after_a_run_can_be_pasted(fakes, posts):
    Path("blog.toml").write_text('corpus = { path = "posts" }\n', encoding="utf-8")
    done = textvae("run", "blog.toml", "--until", "tokens", "--store", "st ore")
    assert done.out.endswith("; next: textvae run 'st ore/blog'\n")
    done = textvae("run", "blog.toml", "--store", "st ore")
    assert done.out.endswith("; next: textvae vary 'st ore/blog' \"a sentence of your own\" -n 5\n")
    assert textvae("promote", "blog", "2", "--store", "st ore").code == 0
    textvae("run", "blog.toml", "--store", "st ore", "--set", "latents.batch_size=5")
    assert textvae("rollback", "blog", "--store", "st ore").out.endswith("textvae promote blog 3 --store 'st ore'\n")


def test_status_of_an_empty_store():
    assert textvae("status").out == "no pipeline was run in models yet; start with: textvae run quickstart\n"
    assert textvae("status", "--json").out == ""


def test_status_shows_a_pipeline_whose_first_run_was_stopped(fakes, posts):
    Path("blog.toml").write_text('corpus = { path = "posts" }\n', encoding="utf-8")
    fakes.halts["tokens"] = KeyboardInterrupt()
    assert textvae("run", "blog.toml").code == 130
    done = textvae("status")
    assert done.code == 0 and done.out.splitlines()[1].split()[:4] == ["blog", "-", "0", "1"]


def test_the_folder_of_a_stage_is_printed(three):
    folder = textvae("show", "blog", "tokens", "--path").out.strip()
    assert Path(folder, "manifest.json").is_file()
    assert textvae("show", "blog", "tokens", "--path", "--json").json == [{"path": folder}]


def test_status_counts_the_runs_that_are_left(three):
    assert textvae("prune", "blog", "--keep", "1").code == 0
    assert "blog: current run 3, 1 run in all, 11 artefacts, " in textvae("status", "blog").out


def test_status_shows_the_others_beside_one_that_is_broken(three):
    whole = str(three.root)
    shutil.copytree(three.folder, three.root / "other")
    (three.folder / "current").write_text("99\n")
    done = textvae("status", "--store", whole)
    assert done.code == 1 and done.err == ""
    _, broken, other = done.out.splitlines()
    assert broken.split()[:2] == ["blog", "-"] and "current names a run that cannot be read" in broken
    assert "textvae promote blog RUN" in broken and other.split()[:4] == ["other", "3", "3", "17"]
    broken, other = textvae("status", "--store", whole, "--json").json
    assert broken["pipeline"] == "blog" and "99" in broken["problem"] and other["current"] == 3


def test_promote_mends_what_names_no_run(three):
    (three.folder / "current").write_text("99\n")
    done = textvae("promote", "blog", "1", "--store", str(three.root))
    assert (done.code, done.out, done.err) == (0, "blog reads run 1 now\n", "")
    assert textvae("promote", "blog", "2", "--store", str(three.root), "--json").json == [
        {"pipeline": "blog", "run": 2, "replaced": 1}]


def test_a_recipe_can_be_printed_and_used():
    Path("mine.toml").write_text(textvae("show", "csv", "--toml").out, encoding="utf-8")
    Path("Tweets.csv").write_text("text,airline_sentiment,airline\nhello there,positive,x\n", encoding="utf-8")
    assert textvae("run", "mine.toml", "--dry-run").code == 0


def test_a_locked_store_exits_with_75():
    Path("texts.txt").write_text("".join(f"This is text number {i}.\n" for i in range(40)), encoding="utf-8")
    code = ("import sys, time; from pathlib import Path; from textvae.store import Store\n"
            "with Store(Path('models'), 'quickstart').lock(): print('locked', flush=True); sys.stdin.read()")
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"locked\n"
        done = textvae("run", "quickstart", "--corpus", "texts.txt", "--until", "corpus")
        assert (done.code, done.out) == (75, "")
        assert f"is being written by process {other.pid}" in done.err
        assert textvae("status", "quickstart").code == 0, "readers never wait"
        other.communicate(b"")


def test_a_reader_that_goes_away_is_no_error():
    read, write_end = os.pipe()
    os.close(read)
    with os.fdopen(write_end, "wb") as closed:
        done = subprocess.run([*SHELL, "show", "csv", "--toml"], stdout=closed, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device that is always full")
def test_a_full_disk_is_said():
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*SHELL, "show", "csv", "--toml"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: No space left on device\nhint: ")


@given(st.text())
@settings(max_examples=50, derandomize=True)
def test_no_text_steers_the_terminal(text):
    for line in (console.clean(text), console.as_json({"text": text})):
        assert not any(ord(char) < 32 or 127 <= ord(char) < 160 or char in "\u202e\u2028" for char in line)
    assert json.loads(console.as_json({"text": text})) == {"text": text}


def test_a_message_keeps_its_line_ends_and_loses_its_escapes():
    done = textvae("run", "\x1b[2Jgone")
    assert done.code == 1 and "\x1b" not in done.err and "\\x1b[2Jgone" in done.err


def test_a_table():
    out = io.StringIO()
    with redirect_stdout(out):
        console.say_table(("stage", "count", ""), [("corpus", "1,200", "x\ny"), ("a", "-", "")])
    assert out.getvalue() == ("stage   count\n"
                              "corpus  1,200  x\\ny\n"
                              "a           -\n")


def test_a_profile_says_where_the_time_went():
    posts = Path("posts")
    posts.mkdir()
    for number in range(40):
        (posts / f"{number}.txt").write_text(f"This is post number {number}. It has two sentences.", encoding="utf-8")
    Path("own.toml").write_text('[corpus]\npath = "posts"\n[tokens]\nlevel = "word"\n', encoding="utf-8")
    words = ("run", "own.toml", "--until", "tokens", "--profile")
    done = textvae(*words)
    assert done.code == 0, done.err
    table = done.err[done.err.index("see what is stale"):].splitlines()
    names = [line.split("  ")[0] or line.strip().split("  ")[0] for line in table]
    assert names[0] == "see what is stale" and names[-1] == "all" and {"corpus", "tokens", "work"} <= set(names)
    again = textvae(*words, "--json", "--force", "tokens")
    (told,) = again.json
    assert "see what is stale" not in again.err
    assert list(told["profile"]["stages"]) == ["tokens"]
    used = told["profile"]["stages"]["tokens"]
    assert [part["part"] for part in used["parts"] if " > " not in part["part"]] == ["load inputs", "work", "store"]
    assert used["tokens"] == sum(told["stages"]["tokens"]["metrics"]["tokens"].values()) and used["peak_memory"] > 1e6
    shown = textvae("show", "own.toml", "tokens").out.splitlines()[0]
    assert " tokens/s, " in shown and " MB of memory at most, cpu" in shown


def test_settings_are_shown_as_a_pipeline_has_them():
    from textvae.cli.look import settings_rows

    rows = settings_rows({"jit": True, "cell": "lstm", "labels": [], "constraints": [
        {"name": "near", "texts": [], "label": "", "keyword": "cat", "kind": "near", "threshold": 2.5, "rise": 0},
        {"name": "far", "texts": ["a \"cat\""], "label": "", "keyword": "", "kind": "far", "threshold": 1.0}]})
    assert rows == [("jit", "true"), ("cell", '"lstm"'), ("labels", "[]"),
                    ("constraints: near", 'keyword = "cat", kind = "near", threshold = 2.5'),
                    ("constraints: far", 'texts = ["a \\"cat\\""], kind = "far", threshold = 1.0')]


def test_lines_tell_a_log_how_it_goes():
    err = io.StringIO()
    with redirect_stderr(err):
        watcher = bars.watcher()
        with watcher.task("epoch 1/2", total=2) as advance:
            advance(1, loss=2.0)
            advance(1, loss=1.23456)
        watcher.say("a warning")
    assert err.getvalue() == "epoch 1/2: loss 1.235, 0.0 s\na warning\n"


def test_bars_leave_a_line_per_task():
    from rich.console import Console

    drawn = bars.Bars(Console(file=(out := io.StringIO()), force_terminal=True, width=100))
    with drawn.task("[epoch] 1", total=2) as advance:
        advance(2, loss=0.5)
        with drawn.task("inner") as inner:
            inner()
    for line in (r"inner: \d+\.\d s", r"\[epoch\] 1: loss 0\.5, \d+\.\d s"):
        assert re.search(line, out.getvalue())


def test_every_stage_has_highlights():
    assert set(highlights.SHOWN) == {stage.name for stage in STAGES}


def test_texts_come_from_arguments_and_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\ufeffone\r\n\n  two \n".encode())))
    assert list(write.texts(("zero", "and", "-", "last"))) == [["zero", "and"], ["one", "two"], ["last"]]
    parts = iter((b"whole\nbeg", b"un\n \nto", b" the end", b""))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=SimpleNamespace(read1=lambda most: next(parts))))
    assert list(write.texts(("-",))) == [["whole"], ["begun"], ["to the end"]]


def test_texts_are_varied_while_they_are_read_and_those_that_are_there_together(monkeypatch, capsys):
    asked, printed = [], []
    parts = iter(("text 0\n", "text 1\n", "".join(f"text {number}\n" for number in range(2, 12)), ""))

    def vary_many(texts, n, **more):
        asked.append(len(texts))
        return [Found([Variation(text, text.upper(), 0.0, -1.0, {}, 1, "")] * n) for text in texts]

    def read1(most):
        printed.append(capsys.readouterr().out)
        return next(parts).encode()

    monkeypatch.setattr(write, "opened", lambda *args, few: SimpleNamespace(
        vary_many=vary_many, unknown=lambda text: 0, ids=lambda texts: None))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=SimpleNamespace(read1=read1)))
    parsed = parses(["vary", "quickstart", "-", "-n", "1"])
    write.vary.invoke(parsed)
    assert printed[:3] == ["", "text 0\n  0.00  TEXT 0\n", "text 1\n  0.00  TEXT 1\n"]
    assert [line for line in printed[3].splitlines() if line[0] == "t"] == [f"text {number}" for number in range(2, 12)]
    assert asked == [1, 1, TOGETHER, 10 - TOGETHER]


@pytest.mark.parametrize(("words", "few"), [
    (["vary", "a"], True), (["vary", *"abcdefgh"], True), (["vary", *"abcdefghi"], False), (["vary", "-"], False),
    (["vary", "a", "--sampler", "beam"], False), (["vary", "a", "--candidates", "81"], False),
    (["vary", "--file", "post.txt", "--share", "0.8"], True), (["vary", "--file", "post.txt", "--share", "1"], False),
    (["vary", "--file", "post.txt", "--sampler", "beam"], False), (["encode", "a"], True), (["encode", "-"], False),
    (["sample"], True), (["sample", "-n", "101"], False), (["sample", "--sampler", "beam"], False)], ids=str)
def test_few_texts_are_told_from_many(monkeypatch, tmp_path, words, few):
    def opened(*args, few):
        raise TextvaeError(str(few))

    monkeypatch.chdir(tmp_path)
    Path("post.txt").write_text("The cat sat by the door. " * 30, encoding="utf-8")
    monkeypatch.setattr(write, "opened", opened)
    with pytest.raises(TextvaeError, match=str(few)):
        getattr(write, words[0]).invoke(parses([words[0], "quickstart", *words[1:]]))
    Path("post.txt").write_text("No end here\n", encoding="utf-8")
    if "--file" in words:  # what is wrong with a post is said before anything is opened
        with pytest.raises(TextvaeError, match="no sentence of plain prose"):
            write.vary.invoke(parses(["vary", "quickstart", *words[1:]]))


@pytest.mark.parametrize(("name", "markdown"), [
    ("a.md", True), ("a.MDX", True), ("a.qmd", True), ("a.txt", False), ("a.text", False), ("a.html", "of HTML"),
    ("a.rst", "a.rst: .rst says neither Markdown nor plain text"), ("post", "post: no ending says neither")], ids=str)
def test_a_post_is_read_as_its_ending_says(name, markdown):
    Path(name).write_bytes(b"A text.\r\n")
    if isinstance(markdown, bool):
        assert posts.read(Path(name)) == ("A text.\r\n", markdown)
    else:
        with pytest.raises(InputError, match=markdown):
            posts.read(Path(name))


def test_a_post_has_one_variation_of_a_sentence():
    Path("post.md").write_text("The cat sat by the door.\n", encoding="utf-8")
    done = textvae("vary", "quickstart", "--file", "post.md", "-n", "3")
    assert (done.code, done.out) == (2, "") and "-n goes with TEXT" in done.err


@pytest.mark.parametrize("out", [True, False])
@pytest.mark.parametrize("err", [True, False])
def test_a_bar_beside_results_is_for_a_terminal_of_its_own(monkeypatch, out, err):
    for name, terminal in (("stdout", out), ("stderr", err)):
        monkeypatch.setattr(getattr(sys, name), "isatty", lambda terminal=terminal: terminal, raising=False)
    assert isinstance(bars.beside_results(), bars.Bars) == (err and not out)


def test_results_stay_on_standard_output_while_a_bar_is_drawn():
    from rich.console import Console

    drawn = bars.Bars(Console(file=(screen := io.StringIO()), force_terminal=True, width=100))
    with redirect_stdout(out := io.StringIO()), drawn.task("varying texts") as advance:
        click.echo("a variation")
        advance(1, **{"a second": 2.0})
    assert out.getvalue() == "a variation\n" and "varying texts: a second 2, " in screen.getvalue()


@pytest.mark.parametrize(("read", "said"), [(b"fine\nbad \xff\n", "line 2: not UTF-8: byte 0xff"),
                                            (b" \n", "no text")])
def test_texts_that_cannot_be_read(monkeypatch, read, said):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(read)))
    come = []
    with pytest.raises(InputError, match=said):
        come += write.texts(("-",))
    assert come == ([["fine"]] if b"fine" in read else [])


@pytest.mark.parametrize(("read", "texts"), [(b"one\ncaf\xe9\ntwo\n", ["one", "two"]), (b"caf\xe9\n", [])])
def test_a_line_that_is_not_utf8_is_left_out(monkeypatch, capsys, read, texts):
    monkeypatch.setattr(write, "opened", lambda *args, few: SimpleNamespace(
        vary_many=lambda texts, n, **more: [Found([Variation(text, text.upper(), 0.0, -1.0, {}, 1, "")])
                                            for text in texts],
        unknown=lambda text: 0, ids=lambda texts: None))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(read)))
    parsed = parses(["vary", "quickstart", "-", "-n", "1"])
    with nullcontext() if texts else pytest.raises(InputError, match="none of the 1 texts"):
        write.vary.invoke(parsed)
    out, err = capsys.readouterr()
    assert [line for line in out.splitlines() if line[0] != " "] == texts
    line = read.splitlines().index(b"caf\xe9") + 1
    assert f"left out: standard input, line {line}: not UTF-8: byte 0xe9" in err


@pytest.mark.parametrize(("output", "said"), [("more.xlsx", "more.xlsx is no kind of table that can be written"),
                                              ("more.parquet", "more.parquet cannot hold this table")])
def test_a_table_that_cannot_be_written_is_said_before_anything_is_opened(output, said):
    Path("rows.jsonl").write_text('{"id": 1, "text": "a"}\n{"id": "b2", "text": "b"}\n', encoding="utf-8")
    done = textvae("augment", "quickstart", "rows.jsonl", "--text", "text", "-o", output)
    assert done.code == 1 and said in done.err and "Traceback" not in done.err and not Path(output).exists()


def test_too_little_memory_is_said(monkeypatch):
    def opened(*args, few):
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setattr(write, "opened", opened)
    done = textvae("sample", "quickstart")
    assert done.code == 1 and done.err.startswith("error: there is too little memory: Unable to allocate 9 TiB\nhint: ")


def test_a_store_elsewhere():
    assert textvae("status", "--store", "elsewhere").out.startswith("no pipeline was run in elsewhere yet")
    assert not Store(Path("elsewhere"), "quickstart").folder.exists()
