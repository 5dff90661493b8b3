"""What a run reached on its test split."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textvae.data._files import read_json, write_json


@dataclass(frozen=True)
class Evaluation:
    """Every metric with its definition, and texts to read.

    Args:
        metrics: name -> ``{"value", "low", "high", "unit", "definition"}``; low and high bound the 95% bootstrap
            interval and are None where there is none.
        texts: ``"samples"``, ``"reconstructions"`` and ``"variations"``, as lists of rows.
        report: A self-contained HTML page; empty in a run that came from elsewhere, since a page can hold scripts.
    """

    metrics: dict[str, Any]
    texts: dict[str, Any]
    report: str

    def save(self, folder: Path) -> None:
        """Write ``metrics.json``, ``texts.json`` and ``report.html``."""
        write_json(folder / "metrics.json", self.metrics)
        write_json(folder / "texts.json", self.texts)
        if self.report:
            (folder / "report.html").write_text(self.report, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Evaluation":
        """Read what ``save`` wrote."""
        report = folder / "report.html"
        return cls(read_json(folder / "metrics.json"), read_json(folder / "texts.json"),
                   report.read_text(encoding="utf-8") if report.exists() else "")
