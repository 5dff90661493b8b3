"""Templates that open a part of a text, and latents between posterior and prior."""

import networks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textvae.decoding import END, Sampling
from textvae.writing import moves


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=12), st.floats(0, 1), st.integers(0, 3), st.integers(0, 99))
def test_a_template_keeps_all_but_a_share_of_the_words(begins, share, spare, seed):
    ids = np.arange(10, 10 + len(begins), dtype=np.int32)
    longest = len(ids) + spare
    row = moves.opened(ids, [True, *begins[1:]], share, longest, np.random.default_rng(seed))
    assert row.dtype == np.int32 and row.shape == (longest + 1,)
    count = sum([True, *begins[1:]])
    wanted = max(1, round(share * count))
    if wanted == count:
        assert (row == -1).all()
        return
    kept = row[(row != -1) & (row != END)]
    assert row[-1] == END and (np.diff(kept) > 0).all() and set(kept.tolist()) <= set(ids.tolist())
    words = np.cumsum([True, *begins[1:]]) - 1
    gone = {int(words[i]) for i in range(len(ids)) if ids[i] not in kept}
    assert len(gone) == wanted and not any(words[i] in gone for i in range(len(ids)) if ids[i] in kept)
    assert (row == -1).sum() >= len(ids) - len(kept) > 0  # with fewer tokens than it had, a sentence loses its verb


def test_words_that_may_not_be_written_are_open():
    ids = np.arange(10, 20, dtype=np.int32)
    for seed in range(20):
        row = moves.opened(ids, [True] * 10, 0.1, 12, np.random.default_rng(seed), never=(11, 15, 18))
        assert not {11, 15, 18} & set(row.tolist()) and {10, 12, 13, 14, 16, 17, 19} <= set(row.tolist())


def test_words_with_more_weight_are_opened_first():
    ids = np.arange(10, 20, dtype=np.int32)
    weights = np.where(np.isin(np.arange(10), [2, 7]), 0.5, 0.0)
    opened = [moves.opened(ids, [True] * 10, 0.1, 12, np.random.default_rng(seed), weights=weights)
              for seed in range(40)]
    gone = [set(ids.tolist()) - set(row.tolist()) for row in opened]
    assert {frozenset(own) for own in gone} == {frozenset({12}), frozenset({17})}
    # Where more is to be opened than has weight, any other may be.
    more = moves.opened(ids, [True] * 10, 0.6, 12, np.random.default_rng(1), weights=weights)
    assert not {12, 17} & set(more.tolist()) and len(set(ids.tolist()) & set(more.tolist())) == 4


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.booleans(), min_size=2, max_size=12), st.floats(0, 0.6), st.integers(1, 5), st.integers(0, 99))
def test_a_text_that_must_lose_words_loses_their_tokens(begins, share, fewer, seed):
    ids = np.arange(10, 10 + len(begins), dtype=np.int32)
    begins = [True, *begins[1:]]
    row = moves.opened(ids, begins, share, len(ids) + 3, np.random.default_rng(seed), fewer=fewer)
    if fewer + 1 >= sum(begins):
        assert (row == -1).all()
        return
    if (row == -1).all():
        return  # a large share
    kept = row[row > END]
    words = np.cumsum(begins) - 1
    gone = [int((words == own).sum()) for own in np.unique(words) if not np.isin(ids[words == own], kept).any()]
    assert (np.diff(kept) > 0).all() and len(gone) >= fewer + 1
    assert (row == -1).sum() <= sum(gone) - sum(sorted(gone)[:fewer])


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from([-1, 7, 8, -3]), min_size=1, max_size=8), st.integers(0, 6), st.integers(0, 99))
def test_a_phrase_is_placed_in_an_open_stretch(given_row, spare, seed):
    row = moves.closed(given_row, len(given_row) + spare)
    new = moves.placed(row, [20, 21], np.random.default_rng(seed))
    assert new.shape == row.shape and new.dtype == np.int32
    kept = [own for own in new.tolist() if own not in (-1, END, 20, 21)]
    assert kept == [own for own in given_row if own != -1]
    if -1 in given_row and spare >= 5:
        assert "20, 21" in str(new.tolist()) and new[-1] == END
    assert (moves.placed(new, [20, 21], np.random.default_rng(seed)) == new).all() or 20 not in new
    assert (moves.placed(moves.blank(8), [20], np.random.default_rng(seed)) == moves.blank(8)).all()


def test_given_tokens_are_written_and_the_end_stands_where_it_is_given():
    writer = networks.writer()
    ids = writer.ids(["the cat sat on the mat"])[0]
    rng = np.random.default_rng(1)
    template = np.stack([moves.opened(ids, [True] * 6, 0.4, 9, rng) for _ in range(40)] + [moves.blank(9)] * 40)
    z = rng.standard_normal((80, 3)).astype(np.float32)
    written, _ = writer.write(z, Sampling("temperature", 1.0), rng, template=template)
    for own, row in zip(written[:40], template, strict=False):
        length = int(np.flatnonzero(row == END)[0])
        given = row[:length] >= 0
        assert len(own) == length and (own[given] == row[:length][given]).all()
    assert len({len(own) for own in written[40:]}) > 1


@pytest.mark.parametrize("family", [{}, {"posterior": "vmf"}, {"posterior": "categorical", "categories": 4}])
def test_latents_go_over_from_one_to_the_other(family):
    writer = networks.writer(**family)
    rng = np.random.default_rng(1)
    q = writer.posterior(writer.ids(["the cat sat on the mat"] * 4000))
    z, other = writer.draw(q, rng), writer.prior(4000, rng)
    assert writer.mixed(z, other, 0.0, rng) == pytest.approx(z, abs=1e-5)
    assert writer.mixed(z, other, 1.0, rng) == pytest.approx(other, abs=1e-5)
    between = writer.mixed(z, other, 0.6, rng)
    if not family:
        one, two = other[:2000], other[2000:]
        assert writer.mixed(one, two, 0.6, rng).std(axis=0) == pytest.approx(1.0, abs=0.1)
    elif family["posterior"] == "vmf":
        assert np.linalg.norm(between, axis=1) == pytest.approx(1.0, abs=1e-4)
    else:
        parts = between.reshape(4000, 3, 4)
        from_other = (parts == other.reshape(4000, 3, 4)).all(axis=2)
        assert (from_other | (parts == z.reshape(4000, 3, 4)).all(axis=2)).all() and from_other.mean() > 0.55
