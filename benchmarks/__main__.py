"""Measure textvae beside its yardsticks: python -m benchmarks NAME.

    python -m benchmarks training            writes benchmarks/results/training.json
    python -m benchmarks sampling --quick    a minute's check, printed and not kept
    python -m benchmarks all                 every one of them, then the table
    python -m benchmarks table               writes the tables of docs/ from the results' files
    python -m benchmarks check               fails where training lost 30% of its ratio to its yardstick (for CI)
    python -m benchmarks check --record      measures that ratio anew

Leave the machine alone meanwhile: the load average goes into the file.
"""

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from benchmarks import check, page
from benchmarks.machine import RESULTS, describe
from textvae.errors import TextvaeError

# A module each, with run(scratch, quick): a record with "method" and "rows", or a generator of ever fuller ones.
NAMES = ("training", "sampling", "likelihood", "networks", "word_vectors", "startup", "recipe", "convergence",
         "scaling", "reading", "remedies", "background", "recurrent", "freed", "seeds")

BUSY = 0.7  # load average from which a measurement is not worth keeping


def measured(name: str, quick: bool, out: Path | None, now: bool = False, scratch: Path | None = None) -> None:
    """Run one benchmark and write its file, a quick one only where ``out`` says; its work is left in ``scratch``."""
    if not (quick or now):
        _wait()
    os.environ.setdefault("JAX_ENABLE_COMPILATION_CACHE", "false")  # each turn compiles, as the first ever does
    path = out or (None if quick else RESULTS / f"{name}.json")
    head: dict[str, Any] = {"name": name, "quick": quick, "machine": describe()}
    if head["machine"]["load"][0] > BUSY:
        print(f"warning: something else runs here (load {head['machine']['load'][0]:g}); numbers will be wrong, those "
              "of PyTorch most, whose threads wait for one another", file=sys.stderr)
    with tempfile.TemporaryDirectory() if scratch is None else nullcontext(scratch) as work:
        found: Any = importlib.import_module(f"benchmarks.{name}").run(Path(work), quick)
        record: dict[str, Any] = {"rows": []}
        for record in (found,) if isinstance(found, dict) else found:
            if path is not None:
                path.parent.mkdir(exist_ok=True)
                path.write_text(json.dumps({**head, **record}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for own in record["rows"]:
        print(" | ".join(page.cells(own)))
    if path is not None:
        print(path, flush=True)


def _wait() -> None:
    """Give the load of whatever ran before, such as another benchmark, up to three minutes to fall."""
    until = time.monotonic() + 180
    while os.getloadavg()[0] > BUSY and time.monotonic() < until:
        time.sleep(5)


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=(*NAMES, "all", "table", "check"))
    parser.add_argument("--quick", action="store_true", help="fewer and smaller turns: a check, not a measurement")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the result there")
    parser.add_argument("--scratch", type=Path, metavar="FOLDER",
                        help="work there and leave what was made: a training that was stopped goes on (seeds)")
    parser.add_argument("--now", action="store_true", help="wait for no load to fall: for machines with many cores")
    parser.add_argument("--record", action="store_true", help="of check: write the ratios that later ones are held to")
    given = parser.parse_args()
    try:
        if given.name == "check":
            sys.exit(0 if check.run(given.record) else 1)
        for name in NAMES if given.name == "all" else (given.name,) if given.name in NAMES else ():
            measured(name, given.quick, None if given.name == "all" else given.out, given.now,
                     given.scratch and given.scratch.resolve())
        if given.name == "table" or (given.name == "all" and not given.quick):
            page.PAGE.write_text(page.text(), encoding="utf-8")
            print(page.PAGE)
            for path, tables in page.TABLES.items():
                path.write_text(tables(path.read_text(encoding="utf-8")), encoding="utf-8")
                print(path)
    except TextvaeError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
