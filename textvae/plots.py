"""Pictures as PNG bytes; the same numbers give the same bytes."""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

INK, FIRST, SECOND, PALE = "#333333", "#2a6f97", "#d1495b", "#c3d0d8"
COLUMNS = 3  # small multiples side by side: more are unreadable on a phone


def history(rows: tuple[dict[str, float], ...], *, title: str) -> bytes:
    """Draw every term of a training over its epochs, each with its validation curve.

    Args:
        rows: One per epoch: ``epoch`` and named terms; ``val_<term>`` is the same on the validation split.
        title: Stands above all.

    Returns:
        PNG bytes; empty where there are no rows.

    Example:
        >>> history(({"epoch": 1, "loss": 3.0, "val_loss": 3.2},), title="tiny")[1:4]
        b'PNG'
        >>> history((), title="nothing")
        b''
    """
    seen = list(dict.fromkeys(key.removeprefix("val_") for row in rows for key in row if key != "epoch"))
    if not seen:
        return b""
    seen.sort(key=lambda term: term != "loss")
    epochs = [row.get("epoch", i + 1) for i, row in enumerate(rows)]
    across = min(COLUMNS, len(seen))
    down = math.ceil(len(seen) / across)
    with _figure(3.4 * across, 2.3 * down + 0.4) as (figure, out):
        for place, term in enumerate(seen):
            axes = figure.add_subplot(down, across, place + 1)
            for key, name, colour in ((term, "training", FIRST), (f"val_{term}", "validation", SECOND)):
                points = [(epoch, row[key]) for epoch, row in zip(epochs, rows, strict=True)
                          if row.get(key) is not None and math.isfinite(row[key])]
                if points:
                    axes.plot(*zip(*points, strict=True), color=colour, label=name, linewidth=1.4,
                              marker="o", markersize=2.5)
            axes.set_xlim(min(epochs) - 0.3, max(epochs) + 0.3)  # also where there is a single epoch
            axes.set_title(term.replace("_", " "))
            axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
            if place == 0 and axes.lines:
                axes.legend(frameon=False, fontsize=8)
            if place >= len(seen) - across:
                axes.set_xlabel("epoch")
        figure.suptitle(title, fontsize=11)
    return out.getvalue()


def dimensions(numbers: np.ndarray, active: np.ndarray, *, measure: str) -> bytes:
    """Draw a number of each latent dimension, the largest first.

    Args:
        numbers: float [latent].
        active: bool [latent]; inactive dimensions are drawn pale.
        measure: What they are, such as ``"KL in nats"``.

    Returns:
        PNG bytes.
    """
    order = np.argsort(-numbers, kind="stable")
    with _figure(4.6, 3.4) as (figure, out):
        axes = figure.add_subplot()
        places = np.arange(len(order))
        for chosen, name, colour in ((active[order], "active", FIRST), (~active[order], "inactive", PALE)):
            if chosen.any():
                axes.bar(places[chosen], numbers[order][chosen], color=colour, label=name, width=0.8)
        axes.set_xlabel("latent dimension, by size")
        axes.set_ylabel(measure)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(frameon=False, fontsize=8)
    return out.getvalue()


def latent_scatter(mean: np.ndarray, lengths: np.ndarray) -> bytes:
    """Draw posterior means on their first two principal axes, coloured by the length of their text.

    Args:
        mean: float [sequences, latent].
        lengths: int [sequences], tokens.

    Returns:
        PNG bytes.
    """
    centred = np.asarray(mean, np.float64) - np.mean(mean, axis=0, dtype=np.float64)
    values, axes_of_data = np.linalg.eigh(centred.T @ centred / max(1, len(centred)))
    top = axes_of_data[:, ::-1][:, :2]
    # The sign of an eigenvector is free: its largest entry is made positive, so that the picture stays the same.
    top = top * np.sign(np.take_along_axis(top, np.abs(top).argmax(axis=0)[None], axis=0))
    places = np.pad(centred @ top, ((0, 0), (0, 2 - top.shape[1])))
    shares = np.pad(values[::-1], (0, 2))[:2] / max(float(values.sum()), 1e-12)
    with _figure(4.6, 3.4) as (figure, out):
        axes = figure.add_subplot()
        drawn = axes.scatter(places[:, 0], places[:, 1], c=lengths, s=8, cmap="viridis", linewidths=0)
        axes.xaxis.get_major_locator().set_params(nbins=6)
        axes.set_xlabel(f"first principal axis ({shares[0]:.0%} of the variance)")
        axes.set_ylabel(f"second ({shares[1]:.0%})")
        figure.colorbar(drawn, ax=axes).set_label("tokens", fontsize=8)
    return out.getvalue()


def lengths(counts: dict[str, np.ndarray]) -> bytes:
    """Draw how long texts are, by kind.

    Args:
        counts: Such as ``{"test": int [texts], "samples": int [texts]}``, in tokens.

    Returns:
        PNG bytes.
    """
    longest = max(int(own.max(initial=1)) for own in counts.values())
    edges = np.linspace(0, longest + 1, min(longest + 1, 24) + 1)
    with _figure(4.6, 3.4) as (figure, out):
        axes = figure.add_subplot()
        for (name, own), colour in zip(counts.items(), (FIRST, SECOND), strict=False):
            heights = np.histogram(own, edges)[0] / max(1, len(own))
            axes.stairs(heights, edges, label=name, color=colour, linewidth=1.4)
        axes.set_xlabel("tokens")
        axes.set_ylabel("share of texts")
        axes.legend(frameon=False, fontsize=8)
    return out.getvalue()


@contextmanager
def _figure(width: float, height: float) -> Iterator[tuple[Any, io.BytesIO]]:
    """A figure in inches, and the buffer that has its PNG after the block."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings: Any = {
        "axes.edgecolor": INK, "axes.labelcolor": INK, "axes.labelsize": 8, "axes.spines.right": False,
        "axes.spines.top": False, "axes.titlesize": 9, "font.family": "DejaVu Sans", "text.color": INK,
        "text.parse_math": False, "xtick.color": INK, "xtick.labelsize": 8, "ytick.color": INK, "ytick.labelsize": 8}
    out = io.BytesIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # the user's own style would make other bytes
        matplotlib.rcParams.update(settings)
        figure = Figure(figsize=(width, height), dpi=110, layout="constrained", facecolor="white")
        canvas = FigureCanvasAgg(figure)
        yield figure, out
        # matplotlib's version would otherwise stand in the file.
        canvas.print_png(out, metadata={"Software": None})
