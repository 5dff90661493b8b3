"""Whatever stands in a path or an option, whoever starts the job hands it to retrain as it was given."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from textvae.errors import InputError
from textvae.scheduling import schedule
from textvae.scheduling.calendars import Calendar
from textvae.scheduling.schedule import Job
from textvae.store import Store

# Printable text, of which every special character of a shell, systemd, cron or GitHub comes often.
LETTERS = st.sampled_from(" '\"\\%$;#{}&|<>*~!`()=-,\u00fc") | st.characters(categories=("L", "N", "P", "S"))
WORDS = st.lists(st.text(LETTERS, max_size=12), max_size=4).map(tuple)
HOSTILE = ("\\%\\\\%", "'\\'", "${{ github.token }}", "$HOME", "%h", ";", "", "~", "$(id)", "a\\")
FOLDER = "it's 100% \"my\" $HOME \\"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a hard name, and beside it programs that print what they are given."""
    made = tmp_path_factory.mktemp("home") / FOLDER
    (made / "models").mkdir(parents=True)
    for name in ("nice", "textvae"):
        program = made.parent / name
        program.write_text('#!/bin/sh\nprintf "%s\\0" "$PWD" "$@"\n', encoding="utf-8")
        program.chmod(0o755)
    return made


def job(folder: Path, *options: str, pipeline: str = "blog", name: str = "blog", every: str = "weekly") -> Job:
    return Job(pipeline, Store(folder / "models", name), Calendar.parse(every), options, folder)


def printed(shell: list[str], folder: Path, cwd: Path) -> list[str]:
    """What a command of the fake programs' was given, the working folder first."""
    env = {"PATH": f"{folder.parent}:/usr/bin:/bin", "HOME": "/nowhere"}
    done = subprocess.run(shell, env=env, cwd=cwd, check=True, capture_output=True)
    return done.stdout.decode().split("\0")[:-1]


def by_cron(line: str, *, halves: bool) -> tuple[str, str]:
    r"""A crontab's line as cron reads it: its fields and the shell's command; ``halves``: this cron makes \\ one."""
    *fields, command = line.split(" ", 5)
    read, escaped = "", False
    for char in command:
        if escaped and (char == "%" or (halves and char == "\\")):
            read = read[:-1]
        assert char != "%" or escaped, "cron would end the command here"
        read += char
        escaped = char == "\\" and not escaped
    return " ".join(fields), read


def by_systemd(text: str, key: str = "ExecStart") -> list[str]:
    """The words of a unit's command line as its manual (systemd.syntax, systemd.service) reads them."""
    (line,) = re.findall(f"^{key}=(.*)$", text, re.M)
    words = []
    for quoted, plain in re.findall(r'"((?:[^"\\]|\\.)*)"(?: |$)|(\S+)(?: |$)', line):
        word = re.sub(r"\\(.)", r"\1", quoted) if quoted else plain
        assert not re.search(r"(?<!%)(%%)*%(?!%)", word) and not re.search(r"(?<!\$)(\$\$)*\$(?!\$)", word), word
        assert quoted or not set(plain) - {'"'} & set("'\"\\;"), plain
        words.append("" if plain == '""' else word.replace("%%", "%").replace("$$", "$"))
    return words


@given(WORDS)
@example(HOSTILE)
@settings(max_examples=100, derandomize=True, deadline=None)
def test_systemd_hands_over_every_word(folder, words):
    made = job(folder, *words)
    service, timer = schedule.units(made).values()
    assert by_systemd(service) == [*schedule.program(), "retrain", "blog", "--store", str(folder / "models"), *words]
    assert "OnCalendar=Sun *-*-* 03:17:00\nPersistent=true\n" in timer


@pytest.mark.parametrize("halves", [False, True])
@given(words=WORDS)
@example(words=HOSTILE)
@settings(max_examples=40, derandomize=True, deadline=None)
def test_cron_hands_over_every_word(folder, halves, words):
    fields, command = by_cron(schedule.cron_line(job(folder, *words)), halves=halves)
    assert fields == "17 3 * * 0"
    log = folder / "models" / "blog.cron.log"
    log.unlink(missing_ok=True)
    assert printed(["/bin/sh", "-c", command], folder, cwd=Path("/")) == []
    assert log.read_text(encoding="utf-8").split("\0")[:-1] == [
        str(folder), "-n", "10", *schedule.program(), "retrain", "blog", "--store", str(folder / "models"), *words,
        "--quiet-codes"]


@given(WORDS)
@example(HOSTILE)
@settings(max_examples=40, derandomize=True, deadline=None)
def test_github_hands_over_every_word(folder, words):
    steps = yaml.safe_load(schedule.workflow(job(folder, *words)))["jobs"]["retrain"]["steps"]
    (command,) = (step["run"] for step in steps if step.get("name") == "Retrain")
    assert "${{" not in command
    assert printed(["/bin/bash", "-e", "-c", command], folder, cwd=folder) == [
        str(folder), "retrain", "blog", "--store", "models", *words, "--quiet-codes"]


def test_paths_are_absolute_here_and_relative_in_a_repository(folder):
    (folder / "mine.toml").write_text("", encoding="utf-8")
    made = job(folder, "--corpus", "posts", "--corpus=../more", "--set", "corpus.path=as-it-is", pipeline="mine.toml")
    assert made.command()[len(schedule.program()):] == [
        "retrain", str(folder / "mine.toml"), "--store", str(folder / "models"), "--corpus", str(folder / "posts"),
        f"--corpus={folder.parent}/more", "--set", "corpus.path=as-it-is"]
    inner = job(folder, "--corpus", str(folder / "posts"), pipeline="./mine.toml")
    assert inner.retrain(inner.within) == ["retrain", "mine.toml", "--store", "models", "--corpus", "posts"]
    assert job(folder, pipeline="models/blog").retrain(made.absolute)[1] == str(folder / "models" / "blog")


def test_a_corpus_that_comes_along_or_lies_at_home_is_found(folder, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    made = job(folder, "--corpus", "sample:lee", "--corpus=sample:posts", "--corpus", "~", "--corpus=~/posts")
    given = ["--corpus", "sample:lee", "--corpus=sample:posts"]
    assert made.command()[-6:] == [*given, "--corpus", "/home/ann", "--corpus=/home/ann/posts"]
    inner = job(folder, *given)
    assert inner.retrain(inner.within)[-3:] == given
    with pytest.raises(InputError, match=r"~nobody.here/posts: .*whole path"):
        job(folder, "--corpus=~nobody.here/posts")


def test_a_workflow_takes_only_what_the_repository_holds(folder):
    (folder / "models" / "blog").mkdir(exist_ok=True)
    with pytest.raises(InputError, match="lies outside of"):
        schedule.workflow(job(folder, "--corpus", "../posts"))
    with pytest.raises(InputError, match="a fresh copy of the repository lacks"):
        schedule.workflow(job(folder, pipeline="models/blog"))


def test_a_workflow_asks_for_little_and_runs_once_at_a_time(folder):
    text = schedule.workflow(job(folder, name="my blog", every="Mon,Thu 03:00"))
    made = yaml.safe_load(text)
    assert made["name"] == "textvae-my-blog"
    assert made[True] == {"schedule": [{"cron": "0 3 * * 1,4"}], "workflow_dispatch": None}  # YAML 1.1 reads on as true
    assert made["permissions"] == {"contents": "read", "actions": "read"}
    assert made["concurrency"] == {"group": "textvae-my-blog", "cancel-in-progress": False}
    assert re.findall(r"\$\{\{.*?\}\}", text) == ["${{ github.token }}"]
    assert "tar -cf textvae-my-blog.tar 'models/my blog'" in text


@pytest.mark.parametrize("word", ["a\nb", "\x1b[2J", "\u2028", "\udcff"])
def test_what_a_line_cannot_hold_is_refused(folder, word):
    with pytest.raises(InputError, match="cannot stand in a schedule"):
        job(folder, "--on-success", word)


def test_the_program_runs_from_anywhere(tmp_path):
    assert Path(schedule.program()[0]).is_absolute()
    done = subprocess.run([*schedule.program(), "--version"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("textvae ")
    assert schedule.program()[0].startswith(str(Path(sys.executable).parent))


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="asks systemd itself")
@pytest.mark.parametrize("name", ["blog", "my blog, 100%"])
def test_systemd_takes_the_units(folder, tmp_path, name):
    verified(schedule.units(job(folder, *HOSTILE, name=name)), tmp_path)


def verified(files: dict[str, str], folder: Path) -> None:
    """Have systemd itself read the units."""
    for file, text in files.items():
        (folder / file).write_text(text, encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", *(str(folder / file) for file in files)], check=False,
                          capture_output=True, text=True, env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"})
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["a b", "it's", 'a"b', "a$b", "a\\b", "100%", "a=b c", "\u00fc"])
def test_systemd_starts_a_program_wherever_it_lies(folder, tmp_path, monkeypatch, name):
    script = tmp_path / name / "textvae"
    script.parent.mkdir()
    script.write_text('#!/bin/sh\nprintf "%s\\0" "$0" "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script.with_name("python")))
    files = schedule.units(job(folder, *HOSTILE))
    words = by_systemd(next(iter(files.values())))
    done = subprocess.run(words, check=True, capture_output=True)
    assert done.stdout.decode().split("\0")[:-1] == job(folder, *HOSTILE).command()
    assert schedule.PLAIN.fullmatch(words[0]), "other paths systemd takes only in part"
    if shutil.which("systemd-analyze"):
        verified(files, tmp_path)
