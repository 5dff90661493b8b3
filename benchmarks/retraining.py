"""Retraining on real blogs: what is found before training, what a look costs, and a year of weekly retrainings.

    python -m benchmarks.retraining screening    posts of other blogs and languages beside those of 18F
    python -m benchmarks.retraining idle         a retraining of 5,000 unchanged posts, and the list of ten runs
    python -m benchmarks.retraining year [--weeks 52]
    python -m benchmarks.retraining kills [--kills 200] [--steps 12]    at random times
    python -m benchmarks.retraining stages       kills as each stage begins, also those that random times hardly hit

Each writes benchmarks/results/retraining-<name>.json. The blogs are those of TEXTVAE_BLOGS (../shared/data/blogs).
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import of_run
from benchmarks.corpora import BLOGS, ROOT
from benchmarks.machine import describe
from textvae import retraining, runs
from textvae.config import parse
from textvae.data import Corpus, Post, TrainedNetwork
from textvae.errors import TextvaeError
from textvae.planning import STAGES
from textvae.progress import Progress
from textvae.stages import corpus
from textvae.store import Store
from textvae.text import sentences
from textvae.text.screening import UNLIKE, unlikeness

LANGUAGES = {"es": "Spanish", "pt": "Portuguese", "fr": "French"}
SENTENCES = 8  # of a post in the year: so that a retraining takes a minute
NEW = 4  # posts a week
FOREIGN, SPAM = 10, 30  # the weeks with a bad batch, which is gone a week later
BAD = 30  # posts of it
LONGEST = 30.0  # seconds after which a retraining is killed at the latest: every stage of the tiny run ends within them
STEPS = 12  # retrainings that are killed again and again, each with more posts
TINY = """\
corpus = { path = "posts" }
tokens = { level = "word", vocabulary = 4000, max_length = 30, long = "drop", validation = 0.05, test = 0.1 }
word_vectors = { dim = 64, epochs = 3 }
embedding_vae = { latent = 48, epochs = 20 }
latent_transformer = { layers = 1, width = 16, heads = 2, epochs = 1 }
word_transformer = { layers = 1, width = 16, heads = 2, epochs = 1 }
evaluation = { sequences = 300, iw_samples = 10, iw_sequences = 50, samples = 100, sources = 10, variations = 2 }

[sequence_vae]
hidden = 96
latent = 16
epochs = 12
patience = 12
warmup_epochs = 3
beta = 0.3
free_bits = 0.1
batch_size = 32
learning_rate = 0.003
jit = false
"""


def posts(blog: str) -> list[Post]:
    """The posts of one blog that have text."""
    found: Corpus = corpus.run(parse({"corpus": {"path": str(BLOGS / blog)}}).corpus, seed=1, progress=Progress(),
                               scratch=Path())
    return [post for post in found.posts if len(post.text) > 100]


def screening() -> dict[str, Any]:
    """How unlike 18F's posts those of other blogs are; of 18F's own a fifth is compared with the others."""
    home = posts("18f")
    rng = random.Random(1)
    rng.shuffle(home)
    fifth = len(home) // 5
    translated = posts("ropensci")
    groups = {"18F, held out": home[:fifth], "Digital.gov": posts("digitalgov"), "the Jekyll blog": posts("jekyll"),
              "rOpenSci, English": [post for post in translated if not any(f".{code}." in post.id for code in
                                                                           (*LANGUAGES, "tr"))]}
    groups |= {f"rOpenSci, {name}": [post for post in translated if f".{code}." in post.id]
               for code, name in LANGUAGES.items()}
    found = {}
    for name, own in groups.items():
        ratios = sorted(unlikeness(home[fifth:], own).values())
        found[name] = {"posts": len(ratios), "low": _quantile(ratios, 0.05), "median": _quantile(ratios, 0.5),
                       "high": _quantile(ratios, 0.95), "strange": sum(ratio > UNLIKE for ratio in ratios)}
    return {"line": UNLIKE, "groups": found}


def idle(folder: Path) -> dict[str, Any]:
    """Seconds of commands that change nothing, beside ``python -c pass``, in turns."""
    texts = [text for post in posts("digitalgov") for text in sentences.split(post.text)]
    _site(folder, [Post(f"{row:05}", f"{row}. {text}") for row, text in enumerate(texts[:5000])])
    settings = ["--set", "sequence_vae.epochs=1", "--set", "sequence_vae.warmup_epochs=0"]
    for number in range(10):  # ten runs that differ in how much is shown
        _textvae(folder, "run", "blog.toml", *settings, "--set", f"evaluation.shown={number + 3}")
    commands = {"python -c pass": [sys.executable, "-c", "pass"],
                "textvae retrain": _words("retrain", "blog.toml", *settings, "--set", "evaluation.shown=12"),
                "textvae runs": _words("runs", "blog.toml")}
    turns: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(11):
        for name, command in commands.items():
            started = time.monotonic()
            done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
            assert done.returncode == (10 if name == "textvae retrain" else 0), done.stderr
            turns[name].append(round(time.monotonic() - started, 4))
    return {"posts": 5000, "runs": 10, "median_seconds": {name: sorted(own)[5] for name, own in turns.items()},
            "all": turns}


def year_of_18f(folder: Path, weeks: int) -> Iterator[dict[str, Any]]:
    """A year of 18F's posts; two weeks bring a bad batch."""
    by_date = sorted(posts("18f"), key=lambda post: (post.date, post.id))
    foreign = [post for post in posts("ropensci") if ".es." in post.id][:BAD]
    return year(folder, by_date, weeks, {FOREIGN: [post.text for post in foreign], SPAM: spam(by_date[0].text)},
                colds=(weeks // 4, weeks // 2, weeks))


def spam(text: str) -> list[str]:
    """Posts that say one thing over and over."""
    return [f"Offer {row} of the week. {text}" for row in range(BAD)]


def year(folder: Path, by_date: list[Post], weeks: int, bad: Mapping[int, Sequence[str]], settings: str = TINY,
         colds: Collection[int] = ()) -> Iterator[dict[str, Any]]:
    """Retrain each week on what was written until then.

    Args:
        folder: Where the posts, the settings and the store go.
        by_date: Posts, the oldest first; of the last of them ``NEW`` come each week.
        weeks: How many.
        bad: Texts of posts that come in a week beside those, and are gone in the next.
        settings: Of the pipeline.
        colds: Weeks in which a training from fresh weights is looked at beside the warm one.

    Yields:
        The record, after each week fuller: what each retraining came to, and bytes of the store.
    """
    first = len(by_date) - NEW * weeks
    _site(folder, by_date[:first], settings)
    _textvae(folder, "retrain", "blog.toml")
    store, found = Store(folder / "models", "blog"), []
    for week in range(1, weeks + 1):
        for path in (folder / "posts").glob("bad-*"):
            path.unlink()
        _write(folder, by_date[first + NEW * (week - 1):first + NEW * week])
        _write(folder, [Post(f"bad-{row}", text) for row, text in enumerate(bad.get(week, ()))])
        outcome = json.loads(_textvae(folder, "retrain", "blog.toml", "--keep", "3", "--json"))
        size = sum(path.stat().st_size for path in store.folder.rglob("*") if path.is_file())
        found.append({"week": week, "posts": first + NEW * week, "bad": week in bad, "bytes": size,
                      **{name: outcome[name] for name in ("result", "why", "run", "gate", "seconds")},
                      "history": _history(store, outcome["run"])})
        if week in colds:
            found[-1]["cold"] = _cold(folder)
        print(f"week {week}: {outcome['result']}: {outcome['why']}", flush=True)
        yield {"weeks": found}


def kills(folder: Path, own: list[Post], wanted: int, steps: int, settings: str, longest: float = LONGEST,
          aimed: Sequence[str] = ()) -> dict[str, Any]:
    """Kill retrainings until each is done, beside one that is never killed and while others read.

    Args:
        folder: Where both sites go.
        own: Posts, of which the last come by three from retraining to retraining.
        wanted: How many kills at random times.
        steps: Retrainings after the first.
        settings: Of the pipeline.
        longest: Seconds after which one is killed at the latest.
        aimed: Stages that each retraining is killed in before those, as soon as its log tells of them.

    Returns:
        How many kills, in which stages, what readers saw that was not whole, and whether the artefacts are the same.
    """
    draw = random.Random(1)
    sites = {name: folder / name for name in ("whole", "killed")}
    for site in sites.values():
        _site(site, own[:len(own) - 3 * steps], settings)
    store, killed, seen = Store(sites["killed"] / "models", "blog"), 0, 0
    left = wanted
    stages: dict[str, int] = {}
    with subprocess.Popen([sys.executable, "-c", READER, str(store.root)], cwd=ROOT, text=True,
                          stdout=subprocess.PIPE) as reader:
        for step in range(steps + 1):
            for site in sites.values():
                _write(site, own[len(own) - 3 * steps:][3 * (step - 1):3 * step] if step else [])
            _textvae(sites["whole"], "retrain", "blog.toml")
            aims = list(aimed)
            while True:
                at = aims.pop(0) if aims else ""
                # Of those that are aimed at, nobody knows how long one takes to get there.
                allowed = None if at or not left else draw.uniform(0.0, longest)
                stage = _until(sites["killed"], allowed, at)
                if stage is None:
                    break
                killed += 1
                left -= not at
                stages[stage] = stages.get(stage, 0) + 1
                now = runs.current(store)
                assert (now.number if now else 0) >= seen, "a promotion was lost"
                seen = now.number if now else 0
        reader.terminate()
        said = reader.communicate()[0].splitlines()
    ends = [[(run.held, [fact["content"] for fact in run.stages.values()]) for run in
             runs.records(Store(site / "models", "blog"))] for site in sites.values()]
    return {"kills": killed, "longest": longest, "killed_in": stages, "retrainings": steps + 1, "runs": len(ends[0]),
            "same_artefacts": ends[0] == ends[1], "readings": sum(line == "whole" for line in said),
            "not_whole": [line for line in said if line != "whole"]}


# Reads what is promoted again and again, every byte of it checked.
READER = """
import sys, time
from pathlib import Path
from textvae import runs
from textvae.store import Store
store = Store(Path(sys.argv[1]), "blog")
while True:
    time.sleep(0.2)
    try:
        if runs.current(store) is not None:
            runs.load(store, "tokens"), runs.load(store, "sequence_vae")
            print("whole", flush=True)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", flush=True)
"""


def _until(folder: Path, allowed: float | None, stage: str = "") -> str | None:
    """Retrain, and kill it after so many seconds or in a stage; gives the one it was in, None where it was done."""
    log = folder / "models" / "blog" / "retrain.log"
    before = len(_lines(log))
    with subprocess.Popen(_words("retrain", "blog.toml"), cwd=folder, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        while stage and process.poll() is None and stage not in _told(_lines(log)[before:]):
            time.sleep(0.002)
        if stage:
            process.kill()
        try:
            said = process.communicate(timeout=allowed)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    if process.returncode == -signal.SIGKILL:
        return reached(_lines(log)[before:])
    if process.returncode not in (0, 10, 11):
        raise TextvaeError(f"a retraining ended with {process.returncode}: {said[-500:]}")
    return None


def _lines(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def reached(log: list[str]) -> str:
    """The stage that the last line of a log with a stage's name at its beginning tells of.

    Example:
        >>> reached(["2026-11-22 03:02:14,629 77 tokens: never run",
        ...          "2026-11-22 03:02:14,629 77 evaluation: follows tokens and sequence_vae",
        ...          "2026-11-22 03:02:14,700 77 reading: posts 5"])
        'evaluation'
    """
    return (_told(log) or ["start"])[-1]


def _told(log: list[str]) -> list[str]:
    """The stages that lines of a log tell of at their beginning, in order."""
    names = {row.name for row in STAGES}
    first = [line.split()[3].rstrip(":") for line in log if len(line.split()) > 3]
    return [name for name in first if name in names]


def _cold(folder: Path) -> list[float]:
    """The validation ELBO NLL after each epoch of a training from fresh weights on the same posts."""
    with tempfile.TemporaryDirectory() as aside:
        _textvae(folder, "run", "blog.toml", "--store", aside, "--until", "sequence_vae")
        return _history(Store(Path(aside), "blog"), 1)


def _history(store: Store, run: int | None) -> list[float]:
    if run is None:
        return []
    trained: TrainedNetwork = runs.load(store, "sequence_vae", run)
    return [round(row["val_reconstruction"] + row["val_kl"], 4) for row in trained.history]


def _site(folder: Path, own: list[Post], settings: str = TINY) -> None:
    (folder / "posts").mkdir(parents=True)
    (folder / "blog.toml").write_text(settings, encoding="utf-8")
    _write(folder, own)


def _write(folder: Path, own: list[Post]) -> None:
    for post in own:
        text = "\n\n".join(sentences.split(post.text)[:SENTENCES])
        (folder / "posts" / f"{post.id.replace('/', '-')}.txt").write_text(text, encoding="utf-8")


def _words(*words: str) -> list[str]:
    return [sys.executable, "-m", "textvae", *words]


def _textvae(folder: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(_words(*words), cwd=folder, capture_output=True, text=True, check=False, env=environment)
    if done.returncode not in (0, retraining.CODES[retraining.DECLINED]):
        raise TextvaeError(f"textvae {' '.join(words)} ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


def _quantile(values: list[float], share: float) -> float:
    return round(values[min(int(share * len(values)), len(values) - 1)], 3)


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(prog="benchmarks.retraining", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=("screening", "idle", "year", "kills", "stages"))
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--steps", type=int, default=STEPS, help="retrainings after the first that are killed")
    parser.add_argument("--longest", type=float, default=LONGEST, help="seconds until a kill, at most")
    parser.add_argument("--weeks", type=int, default=52, help="of the year")
    given = parser.parse_args()
    head, jitted = {"name": given.name, "machine": describe()}, TINY.replace("jit = false", "jit = true")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "site"
        records = {"screening": lambda: [screening()], "idle": lambda: [idle(folder)],
                   "year": lambda: year_of_18f(folder, given.weeks),
                   "kills": lambda: [kills(folder, posts("jekyll"), given.kills, given.steps, jitted, given.longest)],
                   "stages": lambda: [kills(folder, posts("jekyll"), 0, 2, jitted,
                                            aimed=[row.name for row in STAGES])]}[given.name]()
        for record in records:
            path = of_run.written(f"retraining-{given.name}", {**head, **record})
    print(path)


if __name__ == "__main__":
    main()
