"""Installing and removing, with programs on PATH that keep what they are told: real processes, no real timers."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from commands import textvae

from textvae import catalogue
from textvae.config import parse
from textvae.scheduling import schedulers
from textvae.store import Store

SYSTEMCTL = """#!/bin/sh
echo "$*" >> {home}/systemctl.log
refused=$(cat {home}/refuse 2>/dev/null || echo nothing)
case " $* " in *" $refused "*) echo "Failed to connect to bus" >&2; exit 1;; esac
"""
CRONTAB = """#!/bin/sh
if [ -f {home}/forbidden ]; then echo "you are not allowed to use this program" >&2; exit 1; fi
case "$1" in
  -l) if [ -f {home}/tab ]; then cat {home}/tab; else echo "no crontab for ann" >&2; exit 1; fi ;;
  -) cat > {home}/tab ;;
  -r) rm {home}/tab ;;
esac
"""


class Machine:
    """A home folder with a working folder in it, and the programs that this machine has."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.bin, self.work = home, home / "bin", home / "work"
        self.bin.mkdir()
        self.work.mkdir()
        self.units = home / "config" / "systemd" / "user"
        self.tab = home / "tab"
        # Standing alone on PATH they hide the machine's own; what the scripts call is linked.
        for tool in ("cat", "rm"):
            (self.bin / tool).symlink_to(shutil.which(tool) or "")
        monkeypatch.setenv("PATH", str(self.bin))
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        monkeypatch.chdir(self.work)

    def has(self, *programs: str) -> None:
        for name, script in (("systemctl", SYSTEMCTL), ("crontab", CRONTAB)):
            if name in programs:
                (self.bin / name).write_text(script.format(home=shlex.quote(str(self.home))), encoding="utf-8")
                (self.bin / name).chmod(0o755)

    def told(self) -> list[str]:
        """What systemctl was told since the last time, without being asked whether it is there."""
        log = self.home / "systemctl.log"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [line for line in lines if line != "--user show --property=Version"]

    def files(self) -> list[str]:
        return sorted(path.name for path in self.units.glob("*"))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


UNITS = ["textvae-blog.service", "textvae-blog.timer"]


def test_systemd_is_taken_where_it_answers(machine):
    machine.has("systemctl", "crontab")
    done = textvae("schedule", "install", "blog", "--every", "daily", "--", "--if-new-posts", "5")
    assert done.code == 0, done.err
    assert done.out.splitlines() == ["blog: retrain daily 03:17, started by systemd",
                                     *(f"wrote {machine.units / name}" for name in UNITS)]
    assert "loginctl enable-linger" in done.err
    assert machine.told() == ["--user daemon-reload", "--user enable --now textvae-blog.timer",
                              "--user restart textvae-blog.timer"]
    assert "retrain blog --store" in (machine.units / UNITS[0]).read_text(encoding="utf-8")
    (own,) = schedulers.installed(Store(Path("models"), "blog"))
    assert (own.scheduler, own.when, [Path(place).name for place in own.where]) == ("systemd", "*-*-* 03:17:00", UNITS)
    assert not machine.tab.exists()


def test_installing_again_replaces_and_removing_undoes(machine):
    machine.has("systemctl")
    for every in ("daily", "daily", "Mon 04:00"):
        assert textvae("schedule", "install", "blog", "--every", every).code == 0
    assert machine.files() == UNITS
    assert "OnCalendar=Mon *-*-* 04:00:00\n" in (machine.units / UNITS[1]).read_text(encoding="utf-8")
    machine.told()
    done = textvae("schedule", "remove", "blog")
    assert done.code == 0 and done.out.splitlines()[-1] == "blog is no longer retrained by systemd"
    assert machine.told() == ["--user disable --now textvae-blog.timer", "--user daemon-reload"]
    assert machine.files() == []
    again = textvae("schedule", "remove", "blog")
    assert (again.code, again.out) == (1, "")
    assert again.err.startswith(f"error: nothing is scheduled for {machine.work / 'models' / 'blog'}\nhint: ")


def test_what_systemd_refuses_leaves_nothing_behind(machine):
    machine.has("systemctl")
    (machine.home / "refuse").write_text("enable", encoding="utf-8")
    done = textvae("schedule", "install", "blog", "--with", "systemd")
    assert done.code == 1 and "error: systemctl --user enable --now textvae-blog.timer: Failed to connect" in done.err
    assert machine.files() == []
    assert textvae("schedule", "remove", "blog").code == 1


def test_two_stores_never_take_each_others_schedule(machine):
    machine.has("systemctl", "crontab")
    assert textvae("schedule", "install", "blog", "--store", "one").code == 0
    other = textvae("schedule", "install", "blog", "--store", "two")
    assert other.code == 1 and f"is there already, and not for {machine.work / 'two' / 'blog'}" in other.err
    assert textvae("schedule", "remove", "blog", "--store", "two").code == 1
    assert machine.files() == UNITS
    assert textvae("schedule", "install", "blog", "--store", "two", "--with", "cron").code == 0
    assert textvae("schedule", "install", "blog", "--store", "one", "--with", "cron").code == 0
    assert machine.files() == [], "cron took over from systemd"
    assert textvae("schedule", "remove", "blog", "--store", "two").out.splitlines() == [
        "removed its line from your crontab", "blog is no longer retrained by cron"]
    assert machine.tab.read_text(encoding="utf-8").endswith(f" # textvae {machine.work}/one/blog\n")


@pytest.mark.parametrize("before", [
    None, b"", b"\n", b"# mine\nMAILTO=ann\n\n0 * * * * date +\\%Y\n", b"0 0 * * * caf\xe9 \x0b\x0c\r\n\t\n\n",
    b"# 17 3 * * 0 cd /x # textvae WORK/models/blog\n0 0 * * * x # textvae WORK/models/blog2\n"])
def test_cron_leaves_all_other_lines_as_they_are(machine, before):
    machine.has("crontab")
    if before is not None:
        before = before.replace(b"WORK", str(machine.work).encode())
        machine.tab.write_bytes(before)
    done = textvae("schedule", "install", "blog")
    assert done.code == 0, done.err
    assert done.out == "blog: retrain Sun 03:17, started by cron\nadded a line to your crontab\n"
    first, before = machine.tab.read_bytes(), before or b""
    own_line = first.removeprefix(before)
    assert first == before + own_line and own_line.startswith(b"17 3 * * 0 cd ") and own_line.count(b"\n") == 1
    assert textvae("schedule", "install", "blog").code == 0 and machine.tab.read_bytes() == first
    machine.tab.write_bytes(first + b"@daily mine too\n")
    assert textvae("schedule", "install", "blog", "--every", "07:30").code == 0
    assert machine.tab.read_bytes() == before + b"30 7 * * *" + own_line[10:] + b"@daily mine too\n"
    (found,) = schedulers.installed(Store(Path("models"), "blog"))
    assert (found.scheduler, found.when) == ("cron", "30 7 * * *")
    assert textvae("schedule", "remove", "blog", "--json").json == [
        {"pipeline": "blog", "scheduler": "cron", "when": "30 7 * * *", "where": ["crontab"]}]
    assert machine.tab.read_bytes() == before + b"@daily mine too\n"


def test_a_last_line_without_an_end_gets_one(machine):
    machine.has("crontab")
    machine.tab.write_bytes(b"@daily mine")
    assert textvae("schedule", "install", "blog").code == 0
    assert machine.tab.read_bytes().startswith(b"@daily mine\n17 3 * * 0 cd ")


def test_an_only_line_goes_with_its_crontab(machine):
    machine.has("crontab")
    assert textvae("schedule", "install", "blog").code == 0
    assert textvae("schedule", "remove", "blog").code == 0
    assert not machine.tab.exists()


def test_a_crontab_that_cannot_be_read_is_not_written(machine):
    machine.has("crontab")
    machine.tab.write_bytes(b"@daily mine\n")
    (machine.home / "forbidden").touch()
    done = textvae("schedule", "install", "blog")
    assert done.code == 1 and "error: crontab -l: you are not allowed to use this program" in done.err
    assert machine.tab.read_bytes() == b"@daily mine\n"


@pytest.mark.parametrize(("more", "said"), [
    ((), "neither systemctl --user nor crontab works here"),
    (("--with", "cron"), "there is no crontab on this machine"),
    (("--with", "systemd"), "there is no systemctl on this machine")])
def test_a_machine_without_schedulers(machine, more, said):
    done = textvae("schedule", "install", "blog", *more)
    assert (done.code, done.out) == (1, "")
    assert said in done.err and "hint: textvae schedule print" in done.err
    assert machine.files() == []
    assert textvae("schedule", "remove", "blog").code == 1


def test_a_crontab_that_may_not_be_run_is_none(machine):
    machine.has("crontab")
    (machine.bin / "crontab").chmod(0o644)
    assert schedulers.installed(Store(Path("models"), "blog")) == []
    done = textvae("schedule", "install", "blog", "--with", "cron")
    assert done.code == 1 and "error: crontab cannot be run: Permission denied\nhint: textvae schedule" in done.err


def test_without_its_user_manager_systemd_is_passed_over(machine):
    machine.has("systemctl", "crontab")
    (machine.home / "refuse").write_text("show", encoding="utf-8")
    assert "started by cron" in textvae("schedule", "install", "blog").out


def test_a_pipeline_that_is_gone_can_be_removed(machine):
    machine.has("crontab")
    for pipeline in ("mine.toml", "./mine.toml"):
        Path("mine.toml").write_text("", encoding="utf-8")
        assert textvae("schedule", "install", pipeline).code == 0
        Path("mine.toml").unlink()
        assert textvae("schedule", "remove", pipeline).code == 0
    assert "there is no pipeline 'mine'" in textvae("schedule", "remove", "mine").err


def test_print_changes_nothing_and_says_where_files_go(machine):
    printed = textvae("schedule", "print", "blog", "--with", "systemd")
    assert [line for line in printed.out.splitlines() if line.startswith(f"# {machine.units}")] == [
        f"# {machine.units / name}" for name in UNITS]
    as_json = [textvae("schedule", "print", "blog", "--with", name, "--json").json for name in ("cron", "github")]
    assert [item["file"] for own in as_json for item in own] == ["crontab", ".github/workflows/textvae-blog.yml"]
    assert textvae("schedule", "print", "blog", "--with", "github").out == as_json[1][0]["text"]
    assert not machine.units.exists() and not Path("models").exists()


def test_options_that_retrain_lacks_are_refused_now(machine):
    machine.has("systemctl")
    done = textvae("schedule", "install", "blog", "--", "--if-new-pots", "5")
    assert done.code == 2 and "--if-new-pots" in done.err
    assert machine.files() == []


def test_a_corpus_that_is_not_there_is_refused_where_the_last_run_read_another(machine):
    machine.has("crontab")
    Path("mine.toml").write_text('corpus = { path = "posts" }\n', encoding="utf-8")
    catalogue.remember(parse({"name": "mine", "corpus": {"path": "po sts"}}), Store(Path("models"), "mine"))
    done = textvae("schedule", "install", "mine.toml")
    assert done.code == 1 and not machine.tab.exists() and "error: no such file or folder: posts\nhint: " in done.err
    assert done.err.endswith("; the last run read po sts, and so does: textvae schedule install models/mine\n")
    Path("posts").mkdir()
    Path("posts/one.txt").write_text("A post.", encoding="utf-8")
    assert textvae("schedule", "install", "mine.toml").code == 0
    Path("posts").rename("other")
    assert textvae("schedule", "install", "mine.toml", "--", "--corpus", "other").code == 0


def test_the_line_in_the_crontab_reaches_the_command_line(machine):
    machine.has("crontab")
    assert textvae("schedule", "install", "blog").code == 0
    command = machine.tab.read_text(encoding="utf-8").split(" ", 5)[5]
    done = subprocess.run(["/bin/sh", "-c", command], env={"PATH": "/usr/bin:/bin"}, cwd="/", check=False)
    log = Path("models/blog.cron.log").read_text(encoding="utf-8")
    assert done.returncode in (1, 2) and "rror: " in log, "there is no folder posts"
