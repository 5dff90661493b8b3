"""How time and memory grow with the corpus and with the vocabulary: each stage, at three sizes of each.

    python -m benchmarks scaling [--quick]

The corpus is 18F's blog where it is (the variable TEXTVAE_BLOG names another folder of posts), else the sample corpus;
a quick check takes the sample corpus.
"""

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.turns import ROOT
from textvae.readers.files import Source, find, locate

METHOD = (
    "Seconds of work of each stage at a quarter, a half and all of a corpus, and at a quarter, a half and all of a "
    "vocabulary, one epoch of small networks without XLA, and what four times the size cost: 4 times is linear, fewer "
    "mean that a part of the cost is fixed (tracing the networks is). Memory is what the process held at most while "
    "it trained `sequence_vae` and nothing else.")
BLOG = Path(os.environ.get("TEXTVAE_BLOG", ROOT.parent / "shared" / "data" / "blogs" / "18f"))
SHARES = (4, 2, 1)  # a quarter, a half, all
# The stages of each process; what trains stands alone, so that its memory is its own.
PROCESSES = ("embedding_vae", "sequence_vae", "latents", "word_transformer")
# Small networks and one epoch: the growth is the same, and 6 sizes take minutes. XLA's compilation would hide it.
SETTINGS = """
[tokens]
level = "word"
max_length = 40
long = "drop"
min_length = 2
[word_vectors]
dim = 64
epochs = 5
[embedding_vae]
latent = 32
hidden = 128
epochs = 5
[sequence_vae]
hidden = 128
latent = 16
epochs = 1
warmup_epochs = 0
batch_size = 64
jit = false
[word_transformer]
epochs = 1
layers = 1
width = 64
heads = 2
batch_size = 64
"""


def run(scratch: Path, quick: bool) -> Iterator[dict[str, Any]]:
    """Measure size after size.

    Yields:
        ``rows`` for the table, ``sizes`` with the seconds of every stage and part, ``slopes`` of their logarithms over
        that of the size, and ``memory`` of training, after every size anew.
    """
    source, vocabulary = ("sample:lee", 2000) if quick or not BLOG.is_dir() else (str(BLOG), 8000)
    posts = _posts(source)
    (scratch / "scaling.toml").write_text(SETTINGS, encoding="utf-8")
    # As many words as the smallest corpus has, so that all sizes of the corpus have the same vocabulary.
    plan = [("corpus", share, vocabulary // 4) for share in SHARES] + [
        ("vocabulary", share, vocabulary // share) for share in SHARES]
    sizes: list[dict[str, Any]] = []
    for axis, share, words in plan:
        folder = _written(posts[::share if axis == "corpus" else 1], scratch / f"posts-{axis}-{share}")
        stages = _measured(scratch, folder, words, f"{axis}-{share}")
        sizes.append({"axis": axis, "share": share, "vocabulary": words, "posts": len(list(folder.iterdir())),
                      "tokens": stages["tokens"]["tokens"], "stages": stages})
        yield {"method": METHOD, "rows": _rows(sizes), "corpus": Path(source).name, "slopes": _slopes(sizes),
               "memory": _memory(sizes), "sizes": sizes}


def _posts(source: str) -> list[tuple[str, bytes]]:
    """Names and contents of a folder's posts; a line is a post in a file of lines."""
    root = locate(source)
    if root.is_dir():
        return [(f"{number:05d}-{file.path.name}", file.path.read_bytes())
                for number, file in enumerate(find(source)) if isinstance(file, Source)]
    return [(f"{number:05d}.txt", line) for number, line in enumerate(root.read_bytes().splitlines()) if line.strip()]


def _written(posts: list[tuple[str, bytes]], folder: Path) -> Path:
    folder.mkdir()
    for name, content in posts:
        (folder / name).write_bytes(content)
    return folder


def _measured(scratch: Path, folder: Path, vocabulary: int, name: str) -> dict[str, Any]:
    """Run the stages, and give what each used; ``seconds`` are of its own work, without start-up and the store."""
    found: dict[str, Any] = {}
    for until in PROCESSES:
        command = [sys.executable, "-m", "textvae", "run", str(scratch / "scaling.toml"), "--corpus", str(folder),
                   "--set", f"tokens.vocabulary={vocabulary}", "--store", str(scratch / name), "--until", until,
                   "--device", "cpu", "--profile", "--json"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
        for stage, used in json.loads(done.stdout)["profile"]["stages"].items():
            parts = {part["part"]: part["seconds"] for part in used["parts"]}
            found[stage] = {"seconds": parts["work"], "peak_memory": used["peak_memory"], "tokens": used["tokens"],
                            "parts": {part.removeprefix("work > "): seconds for part, seconds in parts.items()
                                      if part.startswith("work > ") and seconds >= 0.1 * parts["work"]}}
    shutil.rmtree(scratch / name)
    return found


def _grown(sizes: list[dict[str, Any]], axis: str) -> tuple[list[float], list[dict[str, Any]]]:
    """How large the sizes of one axis are, and what their stages used."""
    own = [size for size in sizes if size["axis"] == axis]
    return [size["tokens" if axis == "corpus" else "vocabulary"] for size in own], [size["stages"] for size in own]


def _slopes(sizes: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Exponents of the growth of every stage, and of the parts that are a tenth of it: 1 is linear, 2 quadratic."""
    slopes: dict[str, dict[str, float]] = {}
    for axis in ("corpus", "vocabulary"):
        amounts, stages = _grown(sizes, axis)
        if len(amounts) < 2:
            continue
        for stage in stages[0]:
            series = {stage: [own[stage]["seconds"] for own in stages]}
            common = set.intersection(*(set(own[stage]["parts"]) for own in stages))
            series |= {f"{stage}: {part}": [own[stage]["parts"][part] for own in stages] for part in sorted(common)}
            for name, seconds in series.items():
                if min(seconds) > 0:
                    slopes.setdefault(axis, {})[name] = round(
                        float(np.polyfit(np.log(amounts), np.log(seconds), 1)[0]), 2)
    return slopes


def _memory(sizes: list[dict[str, Any]]) -> dict[str, list[int]]:
    """Peak bytes of training, by axis, in the order of the sizes."""
    return {axis: [own["sequence_vae"]["peak_memory"] for own in _grown(sizes, axis)[1]]
            for axis in ("corpus", "vocabulary")}


def _rows(sizes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the largest size took of what the smallest one took."""
    rows = []
    for axis in ("corpus", "vocabulary"):
        amounts, stages = _grown(sizes, axis)
        if len(amounts) < len(SHARES):
            continue
        grown = f"{amounts[-1] / amounts[0]:.1f} times the {'tokens' if axis == 'corpus' else axis}"
        for stage in stages[0]:
            rows.append(_row(f"`{stage}`, {grown}", "the seconds", stages[0][stage]["seconds"],
                             stages[-1][stage]["seconds"]))
        first, last = (own["sequence_vae"]["peak_memory"] for own in (stages[0], stages[-1]))
        rows.append(_row(f"memory of training `sequence_vae`, {grown}", "the memory", first, last))
    return rows


def _row(work: str, what: str, first: float, last: float) -> dict[str, Any]:
    ratio = round(last / first, 2) if first else math.inf
    return {"work": work, "unit": f"times {what}", "ours": {"subject": "textvae", "median": ratio, "min": ratio,
                                                            "max": ratio}}
