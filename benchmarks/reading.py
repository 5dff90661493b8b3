"""What the second core gives where texts are read: folders of posts, and the tokenizer."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.corpora import BLOGS
from benchmarks.rows import row
from benchmarks.turns import Clock, alone, spread

METHOD = (
    "The stages `corpus` and `tokens` (word pieces) on the posts of 18F and Digital.gov, each turn a new process that "
    "may use every core, or one (the yardstick), in turns; files in the system's cache, the start of the processes "
    "that read counted.")
EVERY, ONE = "every core", "one core"


def run(scratch: Path, quick: bool) -> dict[str, Any]:
    """Read and cut the posts again and again.

    Returns:
        ``rows`` for the table, and ``measured`` by number of cores.
    """
    folder = scratch / "posts"
    folder.mkdir()
    for blog in ("18f",) if quick else ("18f", "digitalgov"):
        shutil.copytree(BLOGS / blog, folder / blog)
    turns: dict[str, list[dict[str, float]]] = {EVERY: [], ONE: []}
    for turn in range(2 if quick else 5):
        for name, own in turns.items():
            found = alone("benchmarks.reading", {"folder": str(folder), "cores": name})
            if turn:  # the first fills the system's cache
                own.append(found)
    measured: dict[str, Any] = {name: spread(own) for name, own in turns.items()}
    rows = [row(work, "posts/s", measured, number=number, ours=EVERY, yardsticks=(ONE,), must=1.0, aim=1.5)
            for work, number in (("reading posts", "read"), ("splitting and cutting them", "cut"))]
    return {"method": METHOD, "rows": rows, "measured": measured}


def once(folder: str, cores: str) -> dict[str, float]:
    """Posts per second of both stages."""
    if cores == ONE:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        os.environ["RAYON_NUM_THREADS"] = "1"  # of the tokenizers
    from textvae.config import parse
    from textvae.progress import Progress
    from textvae.stages import corpus, tokens

    config = parse({"corpus": {"path": folder}, "tokens": {"level": "bpe"}})
    common: dict[str, Any] = {"seed": 1, "progress": Progress(), "scratch": Path(folder)}
    clock = Clock()
    read = corpus.run(config.corpus, **common)
    reading, clock = clock.seconds, Clock()
    tokens.run(config.tokens, read, **common)
    return {"read": len(read.posts) / reading, "cut": len(read.posts) / clock.seconds}


if __name__ == "__main__":
    print(json.dumps(once(**json.loads(sys.argv[1]))))
