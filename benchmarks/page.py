"""docs/performance.md, written from the results' files and nothing else."""

import json
from pathlib import Path
from typing import Any

from benchmarks.machine import RESULTS
from benchmarks.turns import ROOT

PAGE = ROOT / "docs" / "performance.md"
TITLES = {"training": "Training the sequence VAE", "sampling": "Writing", "likelihood": "Likelihood",
          "networks": "The other networks", "word_vectors": "Word vectors", "startup": "Start-up",
          "recipe": "A whole recipe", "convergence": "Convergence", "scaling": "Growth with corpus and vocabulary"}
HEAD = """\
# Performance

Written by `python -m benchmarks table` from the files in [benchmarks/results](../benchmarks/results), which hold every
turn, the machine and the versions; `make bench` measures anew. Every subject runs in a process of its own, and they
take turns; a number is the median of the turns, with its range in brackets. `must` and `aim` are what the project asks
of itself.
"""
COLUMNS = ("work", "textvae", "yardstick", "", "must", "aim", "reached")


def text(results: Path = RESULTS) -> str:
    """The page.

    Args:
        results: Folder of the files that the benchmarks wrote.
    """
    parts = [HEAD]
    for name, title in TITLES.items():
        for path in sorted(results.glob(f"{name}*.json")):
            record = json.loads(path.read_text(encoding="utf-8"))
            if "rows" in record:
                where = path.stem.removeprefix(name).strip("-")
                parts.append(section(f"{title} ({where})" if where else title, record))
    return "\n".join(parts)


def section(title: str, record: dict[str, Any]) -> str:
    """One benchmark: its method, the machine, the table."""
    rows = [cells(own) for own in record["rows"]]
    # Without a yardstick there is nothing to reach.
    columns = [i for i in range(len(COLUMNS)) if i < 2 or any(own[i] != "–" for own in rows)]
    lines = ["| " + " | ".join(own[i] for i in columns) + " |" for own in (COLUMNS, *rows)]
    lines.insert(1, "|" + "---|" * len(columns))
    return "\n".join([f"## {title}", "", record["method"], "", machine(record), "", *lines, ""])


def machine(record: dict[str, Any]) -> str:
    """Where and with what it was measured, as a sentence."""
    own = record["machine"]
    packages = ", ".join(f"{name} {own['packages'][name]}" for name in ("tensorflow", "jax", "torch", "keras", "gensim")
                         if name in own["packages"])
    gpu = f", {own['gpu']}" if own.get("gpu") else ""
    return f"{own['cpu']}, {own['cores']} cores{gpu}, load {own['load'][0]:g} at the start; {packages}."


def cells(own: dict[str, Any]) -> tuple[str, ...]:
    """A row's cells, one for each of ``COLUMNS``.

    Example:
        >>> cells({"work": "this", "skipped": "no GPU"})
        ('this', 'skipped: no GPU', '–', '–', '–', '–', '–')
    """
    if "skipped" in own:
        return own["work"], f"skipped: {own['skipped']}", *"–" * 5
    if "compared" not in own:
        return own["work"], rate(own["ours"], own["unit"]), *"–" * 5
    shape = {"ratio": "{:.2f} times", "share": "{:.0%}", "difference": "{:+.2f} s",
             "change": "{:+.2%}"}[own["compared"]]
    goal = {"ratio": "{:g} times", "share": "{:.0%}", "difference": "{:+g} s", "change": "{:+.2%}"}[own["compared"]]
    reached = {"aim": "yes, the aim", "must": "yes", "no": "**no**"}[own["reached"]]
    return (own["work"], rate(own["ours"], own["unit"]),
            f"{own['yardstick']['subject']}: {rate(own['yardstick'], own['unit'])}", shape.format(own["value"]),
            goal.format(own["must"]), goal.format(own["aim"]), reached)


def rate(own: dict[str, Any], unit: str) -> str:
    """A median with its range.

    Example:
        >>> rate({"median": 10123.4, "min": 9876.5, "max": 10200.0}, "tokens/s")
        '10,120 tokens/s (9,876 to 10,200)'
    """
    if own["min"] == own["max"]:
        return f"{number(own['median'])} {unit}"
    return f"{number(own['median'])} {unit} ({number(own['min'])} to {number(own['max'])})"


def number(value: float) -> str:
    """Four digits.

    Example:
        >>> number(10123.4), number(0.01234), number(81.236)
        ('10,120', '0.01234', '81.24')
    """
    if abs(value) >= 1000:
        return f"{float(f'{value:.4g}'):,.0f}"
    return f"{value:.4g}"
