"""Where the time of a run went: stage by stage, and inside each part by part."""

from collections.abc import Iterator
from typing import Any

from textvae.cli.console import duration, number, say_table

SMALL = 0.01  # share of the run below which no row is worth reading
HEADERS = ("", "time", "CPU", "cores", "tokens/s", "peak MB")


def as_json(result: Any) -> dict[str, Any]:
    """A ``textvae.pipeline.Result`` as plain values: seconds in all and of planning, and the usage of each stage."""
    return {"seconds": round(result.seconds, 3), "planning": round(result.planning, 3),
            "stages": {item.stage: item.usage for item in result.stages if item.ran}}


def tell(result: Any) -> None:
    """Print the profile of a ``textvae.pipeline.Result`` to standard error."""
    ran = [item for item in result.stages if item.ran]
    rows = [_row("see what is stale", {"seconds": result.planning})]
    for item in ran:
        memory = item.usage["gpu_peak_memory"] or item.usage["peak_memory"]
        rows.append((*_row(item.stage, item.usage)[:-1], f"{memory / 1e6:,.0f}" if memory else ""))
        rows += [_row("  " * (depth + 1) + name, used) for depth, name, used in _parts(item.usage["parts"])
                 if used["seconds"] >= SMALL * result.seconds]
    cpu = {"cpu_seconds": sum(item.usage["cpu_seconds"] for item in ran)} if ran else {}
    say_table(HEADERS, [*rows, _row("all", {"seconds": result.seconds, **cpu})], err=True)


def _row(name: str, used: dict[str, Any]) -> tuple[str, ...]:
    seconds, cpu, tokens = used["seconds"], used.get("cpu_seconds"), used.get("tokens")
    times = f" ({used['times']} times)" if used.get("times", 1) > 1 else ""
    return (name + times, duration(seconds), "" if cpu is None else duration(cpu),
            f"{cpu / seconds:.1f}" if cpu is not None and seconds else "",
            number(round(tokens / seconds)) if tokens and seconds else "", "")


def _parts(parts: list[dict[str, Any]]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Every part with its depth and name, and after the parts of one what they leave of it."""
    split = [part["part"].split(" > ") for part in parts]

    def below(place: list[str]) -> Iterator[tuple[int, str, dict[str, Any]]]:
        for path, part in zip(split, parts, strict=True):
            if path[:-1] == place:
                yield len(place), path[-1], part
                inner = [other for other, own in zip(parts, split, strict=True) if own[:-1] == path]
                if inner:
                    yield from below(path)
                    yield len(path), "the rest", {
                        name: part[name] - sum(other[name] for other in inner) for name in ("seconds", "cpu_seconds")}

    yield from below([])
