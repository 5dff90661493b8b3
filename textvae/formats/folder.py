"""One run in a folder for other tools: networks, vocabulary, word vectors and the model card, all of it or nothing."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textvae import manifests, runs
from textvae.data import BEGIN, END, PAD, UNKNOWN, Tokens, TrainedNetwork
from textvae.data.vectors import SIGNS
from textvae.errors import InputError
from textvae.formats import card, files, vectors
from textvae.runs import Run
from textvae.store import Store

NETWORKS = tuple(files.WRITERS)
FORMATS = (*NETWORKS, "vectors", "card")


@dataclass(frozen=True)
class Converted:
    """What was written.

    Args:
        pipeline, run: Of what.
        folder: Where.
        files: File or folder of a SavedModel -> its bytes.
        differences: What was loaded again -> the largest difference of a number, as a part of the largest one.
        left_out: Formats that were not asked for and cannot be written here -> the packages that they need.
    """

    pipeline: str
    run: int
    folder: str
    files: dict[str, int]
    differences: dict[str, float]
    left_out: dict[str, list[str]]


def convert(store: Store, target: Path, run: int | None = None, formats: Sequence[str] = (), *,
            seed: int = 0) -> Converted:
    """Write a run in formats that other tools load, and load each file again to see that it is right.

    Args:
        store: Where the run is; nothing in it is changed.
        target: The folder to make; an empty one may be there.
        run: The run's number; the current run where None.
        formats: Of ``FORMATS``; all that can be written here where empty.
        seed: For the sequences that are compared.

    Raises:
        InputError: The folder holds something, or a format needs what is not installed.
        StoreError: There is no such run, or it has no sequence VAE.
        TextvaeError: A file gives other numbers than the run.
    """
    chosen = formats or [name for name in FORMATS if not files.missing(name)]
    left_out = {name: files.missing(name) for name in FORMATS if name not in chosen and not formats}
    for name in chosen:
        if lacks := files.missing(name):
            raise InputError(f"--format {name} needs {', '.join(lacks)}, which is not here",
                             f"pip install 'textvae[{name}]'")
    with _appears(target) as aside, runs.reading(store, run) as held:
        differences = _write(store, held, aside, chosen, seed)
        sizes = {path.name: _size(path) for path in sorted(aside.iterdir())}
    return Converted(store.pipeline, held.number, str(target), sizes, differences, left_out)


def _write(store: Store, run: Run, folder: Path, formats: Sequence[str], seed: int) -> dict[str, float]:
    found: dict[str, float] = {}
    if set(formats) != {"card"}:
        tokens: Tokens = runs.load(store, "tokens", run.number)
        pieces = _pieces(tokens)
        _json(folder / "tokenizer.json", tokens.tokenizer)
        (folder / "words.txt").write_text("".join(piece.translate(SIGNS) + "\n" for piece in pieces), encoding="utf-8",
                                          errors="backslashreplace")
        if "vectors" in formats:
            for stage, name in (("word_vectors", "word_vectors.txt"), ("embedding_vae", "compressed_vectors.txt")):
                if stage in run.stages:
                    found[name] = vectors.write(folder / name, pieces, runs.load(store, stage, run.number).vectors)
        if graphs := [name for name in NETWORKS if name in formats]:
            found |= _networks(runs.load(store, "sequence_vae", run.number), run, folder, graphs, seed)
    if "card" in formats:
        (folder / "README.md").write_text(card.render(store, run, sorted(path.name for path in folder.iterdir())),
                                          encoding="utf-8")
    return found


def _networks(trained: TrainedNetwork, run: Run, folder: Path, formats: Sequence[str], seed: int) -> dict[str, float]:
    from textvae.nn.weights import restore

    network = restore(trained.kind, trained.settings, trained.weights)
    label = {"label": "int32 [batch]: 0 for none, or a label's place in labels, from 1"} if network.labels else {}
    _json(folder / "model.json", {
        "made_by": f"textvae {manifests.provenance()['packages'].get('textvae', '')}".strip(),
        "pipeline": run.pipeline, "run": run.number, "latent": network.latent,
        "max_length": trained.settings["max_length"], "labels": network.labels,
        "special": {"padding": PAD, "begin": BEGIN, "end": END, "unknown": UNKNOWN},
        "encoder": {"ids": "int32 [batch, length]: token ids, then padding", **label,
                    "gives": "mean: float32 [batch, latent]"},
        "decoder": {"z": "float32 [batch, latent]", "tokens": "int32 [batch, length]: begin, then the tokens so far",
                    **label, "gives": "logits: float32 [batch, length, vocabulary], of the token after each"}})
    return files.write(network, folder, formats, seed=seed)


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _pieces(tokens: Tokens) -> tuple[str, ...]:
    from textvae.text import tokenizer

    return tokenizer.load(tokens.tokenizer).pieces


@contextmanager
def _appears(target: Path) -> Iterator[Path]:
    """A folder whose files are in the target when all are written.

    Raises:
        InputError: The target is there and not empty, or cannot be made.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} is there already" + (", and not empty" if target.is_dir() else ""),
                         "give a new folder with -o")
    # An empty folder that is there, perhaps a link's or a mounted one, is filled and stays what it is.
    within, name = target.is_dir(), target.absolute().name
    aside = target / f".{os.getpid()}" if within else target.absolute().with_name(f".{name}.{os.getpid()}")
    try:
        aside.mkdir()
        yield aside
        if within:
            for path in sorted(aside.iterdir()):
                path.rename(target / path.name)
        else:
            aside.rename(target.absolute())
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}", "give another folder with -o") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _size(path: Path) -> int:
    parts: list[Any] = [path] if path.is_file() else [path / name for name in manifests.files(path)]
    return sum(part.stat().st_size for part in parts)
