"""Two runs side by side: settings, posts, metrics, and what they wrote."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from textvae import runs
from textvae.data import Changes, Corpus, Evaluation, differ
from textvae.errors import StoreError
from textvae.runs import Run
from textvae.store import Store


@dataclass(frozen=True)
class Pair:
    """One thing that both runs may have; None where a run does not have it."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Metric:
    """One number of both runs.

    Args:
        name: ``stage.metric``.
        before, after: None where a run does not have it.
        clear: Whether the 95% intervals of the two do not meet; None where there are none.
    """

    name: str
    before: Any
    after: Any
    clear: bool | None

    @property
    def change(self) -> float | None:
        """After less before; None unless both are numbers."""
        numbers = [value for value in (self.before, self.after) if _is_number(value)]
        return numbers[1] - numbers[0] if len(numbers) == 2 else None


@dataclass(frozen=True)
class Written:
    """What two runs wrote from one source, as their evaluations keep it; the source of samples is empty."""

    kind: str
    source: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Args:
        before, after: The runs.
        settings: The settings that differ.
        makers: Of commit, Python and packages what differs.
        posts: None where a run has no corpus.
        metrics: Every number of both, those of the data first.
        texts: Sources that only one of the two has are left out.
    """

    before: Run
    after: Run
    settings: tuple[Pair, ...]
    makers: tuple[Pair, ...]
    posts: Changes | None
    metrics: tuple[Metric, ...]
    texts: tuple[Written, ...]


def compare(store: Store, before: int, after: int) -> Comparison:
    """Lay two runs side by side; stages that a run lacks are no error.

    Raises:
        StoreError: There is no such run, or an artefact of it is damaged or gone.
    """
    with runs.reading(store, before) as one, runs.reading(store, after) as two:
        makers = [{"commit": run.commit, "python": run.python, **run.packages} for run in (one, two)]
        return Comparison(one, two, tuple(_differing(*(dict(_flat(run.config)) for run in (one, two)))),
                          tuple(_differing(*makers)), _posts(store, one, two), tuple(_metrics(one, two)),
                          _texts(store, one, two))


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Pair]:
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            yield Pair(name, before.get(name), after.get(name))


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values; a metric with its interval is one value."""
    for name, value in table.items():
        if isinstance(value, Mapping) and "value" not in value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _posts(store: Store, one: Run, two: Run) -> Changes | None:
    if not all("corpus" in run.stages for run in (one, two)):
        return None
    return differ(*(_load(store, run, "corpus", Corpus).posts for run in (one, two)))


def _metrics(one: Run, two: Run) -> Iterator[Metric]:
    before, after = (dict(_flat({stage: fact["metrics"] for stage, fact in run.stages.items()})) for run in (one, two))
    for name in dict.fromkeys([*before, *after]):
        own = before.get(name), after.get(name)
        one_value, two_value = (item["value"] if isinstance(item, Mapping) else item for item in own)
        if _is_number(one_value) or _is_number(two_value):
            yield Metric(name, one_value, two_value, _apart(*own))


def _apart(before: Any, after: Any) -> bool | None:
    ends = [item[end] for item in (before, after) if isinstance(item, Mapping) for end in ("low", "high")
            if _is_number(item.get(end))]
    return ends[1] < ends[2] or ends[3] < ends[0] if len(ends) == 4 else None


def _texts(store: Store, one: Run, two: Run) -> tuple[Written, ...]:
    if not all("evaluation" in run.stages for run in (one, two)):
        return ()
    try:
        return tuple(_pairs(*(_load(store, run, "evaluation", Evaluation).texts for run in (one, two))))
    except (KeyError, TypeError, AttributeError) as error:  # such as of a run that came from elsewhere
        raise StoreError(f"the texts of run {one.number}'s or run {two.number}'s evaluation are not as this version of "
                         "textvae writes them", "evaluate the run again") from error


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Written]:
    for kind in (kind for kind in before if kind in after):
        if kind == "samples":
            yield Written(kind, "", *(tuple(str(row["text"]) for row in texts[kind]) for texts in (before, after)))
            continue
        known = dict(map(_written, after[kind]))
        yield from (Written(kind, source, texts, known[source]) for source, texts in map(_written, before[kind])
                    if source in known)


def _written(row: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """A row of ``Evaluation.texts``: what was given, and what was written."""
    source = row["source"] if "source" in row else f"{row['a']} – {row['b']}"
    texts = [item["text"] for item in row["variations"]] if "variations" in row else row.get("texts", [row.get("text")])
    return str(source), tuple(map(str, texts))


def _load(store: Store, run: Run, stage: str, type_: Any) -> Any:
    return store.load(stage, run.stages[stage]["key"], type_)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
