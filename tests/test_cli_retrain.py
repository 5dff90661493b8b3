"""``textvae retrain``: its codes, what it prints and leaves behind, and whom it tells."""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import click
import pytest
from commands import textvae
from fake_stages import Fakes, Judge, folder_of_posts

from textvae import journal, retraining, upkeep
from textvae.cli import retrain as command
from textvae.errors import StoreError
from textvae.store import Store

HOLD = "import sys; from pathlib import Path; from textvae.store import Store\n" \
       "with Store(Path('models'), 'blog').lock(): print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def site(fakes: Fakes, judge: Judge, posts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a pipeline that was run once."""
    monkeypatch.chdir(tmp_path)
    Path("blog.toml").write_text('corpus = { path = "posts" }\n', encoding="utf-8")
    assert textvae("retrain", "blog.toml").code == 0
    return tmp_path


@pytest.fixture
def listener() -> Iterator[tuple[str, list[Any]]]:
    """The address of a web server, and what was posted to it."""
    heard: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            return None

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", heard
    server.shutdown()
    server.server_close()


def log() -> str:
    return (Path("models/blog") / journal.LOG).read_text(encoding="utf-8")


def test_each_result_has_its_code(site: Path, judge: Judge):
    again = textvae("retrain", "blog.toml")
    assert (again.code, again.out) == (10, "blog: nothing changed: run 1 is up to date\n")
    folder_of_posts(site / "posts", three="A third post.")
    early = textvae("retrain", "blog.toml", "--if-new-posts", "5", "--if-older-than", "7d")
    assert early.code == 10 and "1 new or changed posts, not 5" in early.out and "days old, not 7" in early.out
    done = textvae("retrain", "blog.toml")
    assert done.code == 0 and done.out.splitlines() == ["blog: promoted run 2: 90.00 -> 91.00 nats",
                                                        "  yes 90.00 -> 91.00 nats"]
    judge.passes = False
    folder_of_posts(site / "posts", spam="Buy buy.")
    worse = textvae("retrain", "blog.toml", "--json")
    (found,) = worse.json
    assert worse.code == found["code"] == 11 and (found["result"], found["run"]) == ("not promoted", 3)
    assert found["changes"]["new"] == 1 and found["gate"][0]["passed"] is False
    assert "3" in textvae("runs", "blog.toml").out
    assert all(f" {result}: " in log() for result in ("promoted", "nothing changed", "not due", "not promoted"))
    assert "posts: 1 new; going on from run 2" in log()


def test_a_recipe_that_was_run_before_keeps_the_settings_of_its_last_run(fakes: Fakes, tmp_path: Path,
                                                                         monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    folder_of_posts(tmp_path / "po sts", one="The first post.", two="The second.")
    words = ("--store", "st ore")
    assert textvae("run", "blog", "--corpus", "po sts", *words).code == 0
    again = textvae("retrain", "blog", *words)
    assert (again.code, again.out, again.err) == (10, "blog: nothing changed: run 1 is up to date\n", "")
    assert textvae("run", "blog", "--corpus", "po sts", "--set", "latents.batch_size=7", *words).code == 0
    again = textvae("retrain", "blog", *words)
    assert (again.code, again.out) == (10, "blog: nothing changed: run 2 is up to date\n")
    assert again.err == ("the settings are those of the last run, and not the recipe's; to train with these: "
                         "textvae run blog --store 'st ore'\n")
    recipe = textvae("run", "blog", *words)
    assert recipe.code == 1 and recipe.err.startswith("error: no such file or folder: posts\n")
    assert recipe.err.endswith("; the last run read po sts, and so does: textvae run 'st ore/blog'\n")


def test_a_file_with_a_corpus_that_is_gone_is_told_what_the_last_run_read(site: Path):
    assert textvae("run", "blog.toml", "--set", "latents.batch_size=7").code == 0
    (site / "posts").rename(site / "po sts")
    assert "the last run" not in textvae("retrain", "blog.toml").err, "it read the same"
    assert textvae("run", "blog.toml", "--corpus", "po sts").code == 0
    done = textvae("retrain", "blog.toml")
    assert done.code == 1 and "; the last run read po sts, and so does: textvae retrain models/blog\n" in done.err
    assert textvae("retrain", "models/blog").code == 10


def test_quiet_codes_are_zero_unless_something_failed(site: Path, judge: Judge):
    assert textvae("retrain", "blog.toml", "--quiet-codes").code == 0
    judge.passes = False
    folder_of_posts(site / "posts", spam="Buy buy.")
    assert textvae("retrain", "blog.toml", "--quiet-codes").code == 0
    assert textvae("retrain", "blog.toml", "--corpus", "gone", "--quiet-codes").code == 1


def test_a_second_one_ends_at_once(site: Path):
    folder_of_posts(site / "posts", three="A third post.")
    command = [sys.executable, "-c", HOLD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout and held.stdout.readline() == "held\n"
        locked = textvae("retrain", "blog.toml")
        quiet = textvae("retrain", "blog.toml", "--quiet-codes")
        held.communicate("")
    assert (locked.code, quiet.code) == (75, 0) and "is being written by process" in locked.err
    assert " locked: " in log()
    assert textvae("retrain", "blog.toml").code == 0


def test_a_failure_is_told_and_kept(site: Path, listener: tuple[str, list[Any]]):
    address, heard = listener
    done = textvae("retrain", "blog.toml", "--corpus", "gone", "--on-failure", "cat > failure.json", "--on-success",
                   "touch success", "--webhook", address)
    assert done.code == 1 and done.err.startswith("error: ") and "Traceback" not in done.err
    told = json.loads(Path("failure.json").read_text(encoding="utf-8"))
    assert told["result"] == "failed" and "gone" in told["why"] and heard == [told]
    assert not Path("success").exists()
    kept = retraining.last(Store(Path("models"), "blog"))
    assert kept and kept.result == "failed" and " failed: " in log()


def test_a_promotion_is_told_and_a_hook_that_fails_changes_nothing(site: Path, listener: tuple[str, list[Any]]):
    address, heard = listener
    folder_of_posts(site / "posts", three="A third post.")
    done = textvae("retrain", "blog.toml", "--on-success", "exit 7", "--on-failure", "touch failure",
                   "--webhook", address)
    assert done.code == 0 and "the command 'exit 7' ended with 7" in done.err
    assert heard[0]["result"] == "promoted" and not Path("failure").exists()
    assert textvae("retrain", "blog.toml", "--on-success", "touch again", "--webhook", address).code == 10
    assert len(heard) == 1 and not Path("again").exists(), "nothing changed is no news"


@pytest.mark.parametrize("trouble", ["crash", "toml", "log"])
def test_what_nobody_foresaw_is_told_as_well(site: Path, fakes: Fakes, monkeypatch: pytest.MonkeyPatch, trouble: str):
    folder_of_posts(site / "posts", three="A third post.")
    if trouble == "crash":
        fakes.halts["sequence_vae"] = RuntimeError("out of registers")
        kind, why = RuntimeError, "RuntimeError: out of registers"
    elif trouble == "toml":
        Path("blog.toml").write_text("corpus = {", encoding="utf-8")
        kind, why = None, "blog.toml"
    else:
        (Path("models/blog") / journal.LOG).unlink()
        (Path("models/blog") / journal.LOG).mkdir()
        kind, why = IsADirectoryError, "Is a directory"
    words = ("retrain", "blog.toml", "--on-failure", "cat > failure.json", "--on-success", "touch success")
    if kind is None:
        assert textvae(*words).code == 1
    else:
        with pytest.raises(kind):
            textvae(*words)
    told = json.loads(Path("failure.json").read_text(encoding="utf-8"))
    assert told["result"] == "failed" and why in told["why"] and not Path("success").exists()
    kept = retraining.last(Store(Path("models"), "blog"))
    assert kept and kept.result == ("failed" if trouble == "crash" else "promoted")
    if trouble == "crash":
        assert f" failed: {why}\n" in log()
        assert textvae("retrain", "blog.toml").code == 0


def test_old_runs_that_cannot_be_deleted_leave_the_promotion(site: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(store: Store, keep: int) -> None:
        raise StoreError("runs/0001.json is damaged")

    monkeypatch.setattr(upkeep, "prune", refused)
    folder_of_posts(site / "posts", three="A third post.")
    done = textvae("retrain", "blog.toml", "--keep", "1", "--on-success", "touch success", "--on-failure",
                   "touch failure")
    assert done.code == 0 and done.out.startswith("blog: promoted run 2") and "runs/0001.json is damaged" in done.err
    assert Path("success").exists() and not Path("failure").exists()
    kept = retraining.last(Store(Path("models"), "blog"))
    assert kept and kept.result == "promoted" and "older runs were not deleted" in log()


@pytest.mark.parametrize("answer", [b"garbage\r\n\r\n", b"HTTP/1.1 204\r\n" + b"x: y\r\n" * 200 + b"\r\n"])
def test_an_answer_that_is_none_is_told(site: Path, answer: bytes):
    with socket.create_server(("127.0.0.1", 0)) as door:
        def once() -> None:
            with door.accept()[0] as guest:
                guest.recv(65_536)
                guest.sendall(answer)

        threading.Thread(target=once, daemon=True).start()
        address = f"http://127.0.0.1:{door.getsockname()[1]}/"
        folder_of_posts(site / "posts", three="A third post.")
        done = textvae("retrain", "blog.toml", "--webhook", address)
    assert done.code == 0 and f"posting to {address} failed" in done.err


@pytest.mark.parametrize("address", ["file:///etc/passwd", "http://127.0.0.1:1/", "nonsense",
                                     "http://127.0.0.1:9/a b"])
def test_an_address_that_nobody_listens_at_is_told(site: Path, address: str):
    folder_of_posts(site / "posts", three="A third post.")
    done = textvae("retrain", "blog.toml", "--webhook", address)
    assert done.code == 0 and address in done.err and "Traceback" not in done.err


def test_older_runs_go_where_asked(site: Path):
    for name in ("three", "four"):
        folder_of_posts(site / "posts", **{name: f"Post {name}."})
        assert textvae("retrain", "blog.toml", "--keep", "2").code == 0
    assert sorted(path.name for path in Path("models/blog/runs").iterdir()) == ["0002.json", "0003.json"]


def test_status_says_how_it_went_and_ends_with_one_where_something_is_wrong(site: Path, judge: Judge):
    fine = textvae("status", "blog.toml")
    assert fine.code == 0 and "UTC: promoted run 1: the first run" in fine.out and "PROBLEM" not in fine.out
    judge.passes = False
    folder_of_posts(site / "posts", spam="Buy buy.")
    textvae("retrain", "blog.toml")
    declined = textvae("status", "blog.toml")
    assert declined.code == 0 and "UTC: not promoted run 2: 90.00 -> 91.00 nats" in declined.out
    assert "retrain: posts: 1 new, not promoted" in textvae("runs", "blog.toml").out
    stale = textvae("status", "blog.toml", "--stale-after", "0m", "--json")
    assert stale.code == 1 and "ago, more than" in stale.json[-1]["problems"][0]
    assert stale.json[-1]["retrained"]["result"] == "not promoted" and stale.json[-1]["scheduled"] == []
    textvae("retrain", "blog.toml", "--corpus", "gone")
    failed = textvae("status", "blog.toml")
    assert failed.code == 1 and "PROBLEM: the last retraining failed" in failed.out and "gone" in failed.out


def test_status_of_all_pipelines_agrees_with_that_of_each(site: Path):
    assert textvae("status").code == 0
    stale = textvae("status", "--stale-after", "0m", "--json")
    assert stale.code == 1 and "ago, more than" in stale.json[0]["problems"][0]
    textvae("retrain", "blog.toml", "--corpus", "gone")
    failed = textvae("status")
    assert failed.code == 1 and "PROBLEM: the last retraining failed: no such file or folder: gone" in failed.out


def test_watch_looks_again_and_goes_on_after_errors(site: Path):
    posts = (site / "posts").rename(site / "away")
    command = [sys.executable, "-m", "textvae", "watch", "blog.toml", "--every", "0.01m"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stdout and watching.stderr
        first = watching.stderr.readline()
        posts.rename(site / "posts")
        second = watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        watching.communicate()
    assert first.startswith("error: ") and "posts" in first
    assert second == "blog: nothing changed: run 1 is up to date\n" and watching.returncode == 130


def test_watch_goes_on_whatever_happens(site: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    happens = [ValueError("a bug"), OSError(28, "No space left on device"), click.Abort()]

    def main(*args: Any, **more: Any) -> None:
        raise happens.pop(0)

    monkeypatch.setattr(command.retrain, "main", main)
    done = textvae("watch", "blog.toml", "--every", "0m")
    assert done.code == 130 and not happens, "Ctrl-C ends it"
    assert done.err.splitlines()[:2] == ["error: ValueError: a bug", "error: [Errno 28] No space left on device"]


def test_watch_refuses_at_once_what_retrain_would_refuse(site: Path):
    assert textvae("watch", "blog.toml", "--", "--if-new-pots", "5").code == 2
    assert textvae("watch", "blog.toml", "--", "--store", "other").code == 2
    gone = textvae("watch", "blgo")
    assert gone.code == 1 and "there is no pipeline 'blgo'" in gone.err


@pytest.mark.parametrize("age", ["7", "d", "-1d", "7 days", "1y"])
def test_a_time_needs_a_unit(site: Path, age: str):
    done = textvae("retrain", "blog.toml", f"--if-older-than={age}")
    assert done.code == 2 and "as in 90m, 36h, 7d, 2w" in done.err


def test_the_log_rotates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from textvae.progress import Progress

    monkeypatch.setattr(journal, "SIZE", 400)
    own = journal.Journal(tmp_path, Progress())
    for number in range(100):
        own.say(f"line {number}\nof two")
    with own.task("epoch 1", 3) as advance:
        advance(1, loss=0.51234)
    own.close()
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["retrain.log", "retrain.log.1", "retrain.log.2", "retrain.log.3"]
    assert (tmp_path / "retrain.log").read_text(encoding="utf-8").endswith("epoch 1: loss 0.5123\n")
    assert all(path.stat().st_size <= 400 for path in tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device that is always full")
def test_a_log_on_a_full_disk_is_no_news(tmp_path: Path, capsys: Any):
    from textvae.progress import Progress

    (tmp_path / journal.LOG).symlink_to("/dev/full")
    own = journal.Journal(tmp_path, Progress())
    own.note("a line")
    own.close()
    assert capsys.readouterr().err == ""
