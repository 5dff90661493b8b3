"""Plots: real PNG, the same bytes again, and other bytes for other numbers."""

import io
import math

import numpy as np
import pytest

from textvae import plots

ROWS = tuple({"epoch": epoch, "loss": 10 / epoch, "kl": epoch / 3, "val_loss": 11 / epoch, "val_kl": epoch / 4,
              "constraint_$odd$_name": 0.1} for epoch in (1, 2, 3))
RNG = np.random.default_rng(0)
MEANS = RNG.normal(size=(60, 5)) * [3, 2, 1, 0.1, 0.1]
DRAWN = {
    "history": lambda: plots.history(ROWS, title="a $title$ <b>"),
    "kl": lambda: plots.dimensions(np.array([0.1, 2.0, 0.001]), np.array([True, True, False]), measure="KL in nats"),
    "scatter": lambda: plots.latent_scatter(MEANS, np.arange(60)),
    "lengths": lambda: plots.lengths({"test": np.array([3, 4, 9]), "samples": np.array([2, 2])}),
}


def pixels(png: bytes) -> np.ndarray:
    from matplotlib.image import imread

    return imread(io.BytesIO(png), format="png")


@pytest.mark.parametrize("name", DRAWN)
def test_a_plot_is_a_png_with_ink_and_the_same_bytes_again(name: str):
    first = DRAWN[name]()
    assert first == DRAWN[name]()
    assert pixels(first)[..., :3].std() > 0.02
    assert b"matplotlib" not in first.lower()


def test_other_numbers_give_another_picture():
    changed = (*ROWS[:2], {**ROWS[2], "val_loss": 9.0})
    assert plots.history(changed, title="a") != plots.history(ROWS, title="a")


def test_the_users_own_style_changes_nothing():
    import matplotlib

    usual = DRAWN["history"]()
    with matplotlib.rc_context({"lines.linewidth": 9, "savefig.dpi": 30, "axes.facecolor": "black"}):
        assert DRAWN["history"]() == usual
        assert matplotlib.rcParams["lines.linewidth"] == 9


def test_history_without_numbers():
    assert plots.history((), title="nothing") == b""
    assert plots.history(({"epoch": 1, "loss": math.nan},), title="lost")[1:4] == b"PNG"


def test_more_terms_make_a_taller_picture():
    many = tuple({"epoch": 1, **{f"term{i}": 1.0 for i in range(7)}} for _ in range(2))
    assert pixels(plots.history(many, title="many")).shape[0] > pixels(plots.history(ROWS, title="few")).shape[0]


@pytest.mark.parametrize("mean", [np.zeros((5, 3)), np.ones((1, 2)), RNG.normal(size=(9, 1))])
def test_a_scatter_of_almost_nothing_is_drawn(mean: np.ndarray):
    assert plots.latent_scatter(mean, np.ones(len(mean)))[1:4] == b"PNG"
