"""The rows of the table: what stands beside which yardstick, and what it must reach."""

from statistics import median
from typing import Any

Measured = dict[str, dict[str, Any]]


def row(work: str, unit: str, measured: Measured, *, number: str, ours: str, yardsticks: tuple[str, ...],
        must: float, aim: float) -> dict[str, Any]:
    """Put a subject beside the fastest of its yardsticks.

    Args:
        work: What was done.
        unit: Of the number.
        measured: From ``benchmarks.turns.measure``.
        number: Which of the subjects' numbers counts; larger is better.
        ours: The subject.
        yardsticks: Those it is held against; the one with the highest median counts.
        must, aim: Ratio of medians that is asked for, and hoped for.

    Returns:
        ``work``, ``unit``, ``ours`` and ``yardstick`` with their numbers, and what ``verdict`` says of the ratio. Where
        there is nothing to compare, only ``work`` and ``skipped``.
    """
    if "skipped" in measured[ours]:
        return {"work": work, "skipped": measured[ours]["skipped"]}
    able = [name for name in yardsticks if "skipped" not in measured[name]]
    if not able:
        return {"work": work, "skipped": "no yardstick can run here"}
    yardstick = max(able, key=lambda name: measured[name][number]["median"])
    own, other = measured[ours][number], measured[yardstick][number]
    turns = [one / two for one, two in zip(own["all"], other["all"], strict=True)]
    return {"work": work, "unit": unit, "ours": brief(ours, own), "yardstick": brief(yardstick, other),
            **verdict("ratio", own["median"] / other["median"], turns, must, aim)}


def share(work: str, measured: Measured, *, ours: str, must: float, aim: float) -> dict[str, Any]:
    """A row for the share of the machine's measured peak, the subject's ``share_of_peak``."""
    if "skipped" in measured[ours]:
        return {"work": work, "skipped": measured[ours]["skipped"]}
    if "share_of_peak" not in measured[ours]:
        return {"work": work, "skipped": "the peak was not measured: XLA was told not to tune its products"}
    shares, top = measured[ours]["share_of_peak"], measured[ours]["peak_gflops"]
    rates, needed = measured[ours]["tokens_per_second"], measured[ours]["warm_up"]["mflop_per_token"] / 1e3
    own = {key: round(rates[key] * needed, 1) for key in ("median", "min", "max")}
    return {"work": work, "unit": "GFLOP/s", "ours": brief(ours, own),
            "yardstick": brief(measured[ours]["warm_up"]["product"], top),
            **verdict("share", shares["median"], shares["all"], must, aim)}


def slower(work: str, measured: Measured, *, ours: str, yardstick: str, must: float, aim: float) -> dict[str, Any]:
    """A row for seconds that are to be few: how many more than the yardstick's."""
    own, other = measured[ours]["seconds"], measured[yardstick]["seconds"]
    turns = [one - two for one, two in zip(own["all"], other["all"], strict=True)]
    return {"work": work, "unit": "s", "ours": brief(ours, own), "yardstick": brief(yardstick, other),
            **verdict("difference", own["median"] - other["median"], turns, must, aim)}


def alone(work: str, unit: str, subject: str, values: list[float]) -> dict[str, Any]:
    """A row without a yardstick."""
    own = {"median": median(values), "min": min(values), "max": max(values)}
    return {"work": work, "unit": unit, "ours": brief(subject, own)}


def verdict(compared: str, value: float, turns: list[float], must: float, aim: float) -> dict[str, Any]:
    """How a comparison stands to what is asked for.

    Args:
        compared: ``"ratio"`` or ``"share"``, at least what is asked for, or ``"difference"`` or ``"change"`` (a
            difference as a share of the yardstick's), at most.
        value: Of the medians.
        turns: Of each turn.

    Example:
        >>> verdict("ratio", 2.5, [2.4, 2.6], 2, 3)
        {'compared': 'ratio', 'value': 2.5, 'range': [2.4, 2.6], 'must': 2, 'aim': 3, 'reached': 'must'}
        >>> verdict("difference", 0.2, [0.2, 0.4], 1, 0.3)["reached"]
        'aim'
    """
    sign = -1 if compared in ("difference", "change") else 1
    reached = "aim" if sign * value >= sign * aim else "must" if sign * value >= sign * must else "no"
    return {"compared": compared, "value": round(value, 5), "range": [round(min(turns), 5), round(max(turns), 5)],
            "must": must, "aim": aim, "reached": reached}


def brief(name: str, number: dict[str, Any]) -> dict[str, Any]:
    """A subject's median and range."""
    return {"subject": name, **{key: number[key] for key in ("median", "min", "max")}}
