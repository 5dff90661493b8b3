"""Make a small labelled table larger: variations of its texts that keep their labels, beside the rows themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textvae.classifier import FeatureClassifier
from textvae.data import Rejected
from textvae.errors import InputError
from textvae.progress import Progress
from textvae.readers.records import Columns, Ids, to_post
from textvae.seeds import child
from textvae.writing import frames
from textvae.writing.conditions import Conditions
from textvae.writing.writer import TOGETHER, Writer

if TYPE_CHECKING:
    import pandas as pd

VARIED_FROM = "varied_from"  # the column that says which row, from 1, a variation was made of
SPARE = 2  # variations found for each that is wanted, so that some can be left out for their label
CANDIDATES = 4  # written for each of these: a classifier needs many texts more than good ones


@dataclass(frozen=True)
class Augmented:
    """A table and what was written for it.

    Args:
        frame: The rows as they were and, after them, the variations; with a column ``VARIED_FROM``, empty in the
            former.
        asked: How many variations were wanted.
        left: Row, from 1 -> why its text was not varied.
        doubtful: Variations that a classifier took to have another label: left out, or in the table with that label.
    """

    frame: "pd.DataFrame"
    asked: int
    left: dict[int, str]
    doubtful: int

    @property
    def written(self) -> int:
        """How many variations came."""
        return int((self.frame[VARIED_FROM] != "").sum())


def check(frame: "pd.DataFrame", *, text: str, label: str = "", relabel: bool = False) -> None:
    """See that a table can be augmented, before there is a model; arguments as of ``augment``.

    Raises:
        InputError: The table is empty, lacks a column, or has one called ``varied_from`` already; texts and labels are
            one column; ``relabel`` without ``label``.
    """
    for column in (text, *([label] if label else [])):
        if column not in frame.columns:
            raise InputError(f"the table has no column {column!r}", f"it has: {', '.join(map(str, frame.columns))}")
    if text == label:
        raise InputError(f"the column {text!r} cannot be both the texts and their labels", "name another")
    if relabel and not label:
        raise InputError("there is no label to give anew", "name the column with the labels")
    if VARIED_FROM in frame.columns:
        raise InputError(f"the table has a column {VARIED_FROM!r} already", "give the table as it was")
    if not len(frame):
        raise InputError("the table has no rows", "give it some")


def augment(writer: Writer, frame: "pd.DataFrame", *, text: str, label: str = "", n: int = 4, relabel: bool = False,
            seed: int, progress: Progress | None = None, **asked: Any) -> Augmented:
    """Vary every text of a table.

    What is known of a row's label is asked of its variations: by the model (``sequence_vae.labels``, or a near
    constraint of that label) and by the corpus (``Conditions.judged``). Beside that, a classifier has to find the label
    in them. It learns it from the table's own rows, not by their words but by what the model makes of them, which has
    read many texts without labels (``Model.features``): so it knows what a classifier of the words does not, as in
    co-training (Blum & Mitchell 1998), and what it lets through or labels anew tells that one something.

    A row whose label is empty has none: nothing is learnt from it, and no label is asked of its variations.

    Args:
        writer: Whose model writes.
        frame: Rows of text, at least one.
        text: The column with the texts.
        label: The column with the labels; none where empty.
        n: Variations of each row; fewer come where the model finds no more that keep the label.
        relabel: Whether a variation that another label fits better is given that one, instead of being left out.
        seed: The same seed writes the same.
        progress: Who watches.
        asked: What else ``Writer.vary_many`` takes, but for label and conditions; without ``candidates`` these are
            ``CANDIDATES``.

    Raises:
        InputError: As of ``check``.
    """
    import pandas as pd

    check(frame, text=text, label=label, relabel=relabel)
    read, left = _read(writer, list(map(frames.cell, frame[text])), text)
    labels = list(map(frames.cell, frame[label])) if label else [""] * len(frame)
    known = {row: labels[row] for row in read if labels[row]}
    learnt = (FeatureClassifier(writer.features([read[row] for row in known]), list(known.values()),
                                seed=child(seed, "judge")) if len(set(known.values())) > 1 else None)
    made: dict[int, list[tuple[str, str]]] = {}  # texts, and the label of each
    doubtful = 0
    with (progress or Progress()).task("varying rows", total=len(read)) as advance:
        for value in dict.fromkeys(labels):
            rows = [row for row in read if labels[row] == value]
            told, judge = (_told(writer, label, value), learnt) if value else ({}, None)
            spare = 1 if relabel or judge is None else SPARE
            for start in range(0, len(rows), TOGETHER):
                some = rows[start:start + TOGETHER]
                found = writer.vary_many([read[row] for row in some], n * spare, seed=seed, **told,
                                         **{"candidates": CANDIDATES, **asked})
                texts = [one.text for own in found for one in own]
                taken = iter(judge.predict(writer.features(texts)).tolist() if judge else [value] * len(texts))
                for row, own in zip(some, found, strict=True):
                    judged = [(one.text, next(taken)) for one in own]
                    doubtful += sum(by != value for _, by in judged)
                    made[row] = [(one, by) for one, by in judged if relabel or by == value][:n]
                advance(len(some))
    rows = [row for row in sorted(made) for _ in made[row]]
    new = frame.iloc[rows].copy()
    new[text] = [own for row in sorted(made) for own, _ in made[row]]
    if relabel:
        cells = list(frame[label])  # labels as the table has them
        named = dict(zip(labels, cells, strict=True))
        new[label] = [cells[row] if by == labels[row] else named[by] for row in sorted(made) for _, by in made[row]]
    whole = pd.concat([frame.assign(**{VARIED_FROM: ""}),
                       new.assign(**{VARIED_FROM: [str(row + 1) for row in rows]})], ignore_index=True)
    return Augmented(whole, n * len(frame), left, doubtful)


def _read(writer: Writer, cells: Sequence[str], column: str) -> tuple[dict[int, str], dict[int, str]]:
    """By row the texts as the corpus reader takes them, and of the other rows why there is none."""
    read, left = {}, {}
    for row, cell in enumerate(cells):
        post = to_post({column: cell}, Columns(text=column), "table", f"row {row + 1}", Ids("table"))
        if isinstance(post, Rejected):
            left[row + 1] = post.reason
            continue
        if why := writer.too_long(writer.tokenizer.encode(post.text)):
            left[row + 1] = why
        else:
            read[row] = post.text
    return read, left


def _told(writer: Writer, label: str, value: str) -> dict[str, Any]:
    """How the model is asked for a label that it, or the corpus, knows."""
    name = f"{label}={value}"
    near = tuple(own["name"] for own in writer.constraints if own.get("label") == name and own["kind"] == "near")
    judged = (name,) if writer.known and name in writer.known.names else ()
    return {"label": name if name in writer.labels else None, "conditions": Conditions(constraints=near, judged=judged)}
