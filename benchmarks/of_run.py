"""What the scripts share that measure one trained run: their words on the command line, and the file they write."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.machine import RESULTS
from textvae.errors import TextvaeError


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser that knows PIPELINE, --store and --run."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipeline")
    parser.add_argument("--store", type=Path, default=Path("models"))
    parser.add_argument("--run", type=int)
    return parser


def tell(collect: Callable[..., Path], *words: Any) -> None:
    """Measure, and print the path of the file; what is wrong is told in one line."""
    try:
        print(collect(*words))
    except TextvaeError as error:
        sys.exit(f"error: {error}")


def written(name: str, record: dict[str, Any]) -> Path:
    """Write ``benchmarks/results/NAME.json`` and give its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def kept(name: str, record: dict[str, Any], but: tuple[str, ...]) -> dict[str, Any]:
    """What ``benchmarks/results/NAME.json`` found already, where all of its record but some keys is the same."""
    path = RESULTS / f"{name}.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    same = before.keys() == record.keys() and all(before[key] == record[key] for key in record if key not in but)
    return dict(before["found"]) if same else {}
