"""Batches by length."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textvae.nn.batching import WIDTHS, fit_widths, pad, plan, real_positions, rooms, share, teacher_forced

LENGTHS = st.lists(st.integers(1, 700), max_size=80).map(lambda lengths: np.array(lengths, np.int64))


@settings(max_examples=50, derandomize=True, deadline=None)
@given(lengths=LENGTHS, batch_size=st.integers(1, 9), seed=st.none() | st.integers(0, 99))
def test_every_sequence_stands_in_one_batch_that_is_wide_enough(lengths, batch_size, seed):
    batches = plan(lengths, batch_size, None if seed is None else np.random.default_rng(seed))
    met = np.concatenate([rows for rows, _ in batches]) if batches else np.zeros(0, int)
    assert sorted(met.tolist()) == list(range(len(lengths)))
    assert all(width >= lengths[rows].max() for rows, width in batches)
    sizes = sorted(len(rows) for rows, _ in batches)
    assert sizes[1:] == [batch_size] * (len(sizes) - 1)
    assert len(sizes) == -(-len(lengths) // batch_size)


@settings(max_examples=30, derandomize=True, deadline=None)
@given(lengths=LENGTHS, batch_size=st.integers(1, 9))
def test_each_width_has_one_batch_size_but_for_the_widest(lengths, batch_size):
    batches = plan(lengths, batch_size)
    widest = max((width for _, width in batches), default=0)
    assert all(len(rows) == batch_size for rows, width in batches if width < widest)
    assert all(width in WIDTHS or width % 64 == 0 for _, width in batches)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(lengths=LENGTHS, batch_size=st.integers(1, 40), seed=st.integers(0, 99))
def test_even_batches_hold_every_sequence_once_and_one_size_a_width(lengths, batch_size, seed):
    batches = plan(lengths, batch_size, np.random.default_rng(seed), even=True)
    met = np.concatenate([rows for rows, _ in batches]) if batches else np.zeros(0, int)
    assert sorted(met.tolist()) == list(range(len(lengths)))
    widest = max((width for _, width in batches), default=0)
    for width in {width for _, width in batches} - {widest}:
        assert len({len(rows) for rows, own in batches if own == width}) == 1
    # What batches share of their mean losses is the loss of every sequence alike.
    weights = np.zeros(len(lengths))
    for rows, _ in batches:
        weights[rows] += share(len(rows), batch_size) / len(rows)
    assert weights == pytest.approx(np.full(len(lengths), 1 / batch_size))


def test_even_batches_are_as_many_and_equally_large():
    lengths = np.random.default_rng(1).integers(3, 80, 6000)
    widths = fit_widths(lengths, 12)
    even, equal = (plan(lengths, 32, np.random.default_rng(1), widths, even=how) for how in (True, False))
    places = np.array([len(rows) * width for rows, width in even if width < widths[-1]])
    assert len(even) == pytest.approx(len(equal), rel=0.05)
    assert places.max() / places.min() < 1.15
    assert max(len(rows) for rows, _ in even) > 4 * min(len(rows) for rows, width in even if width < widths[-1])


def test_batches_of_one_are_as_many_as_there_are_sequences():
    """Fewer would leave the learning rate high: its schedule ends with as many steps as there are sequences."""
    lengths = np.clip(np.random.default_rng(0).lognormal(2.3, 0.8, 500).astype(int), 1, 48)
    assert [len(rows) for rows, _ in plan(lengths, 1, np.random.default_rng(1), even=True)] == [1] * 500


def test_little_of_a_batch_is_padding():
    lengths = np.random.default_rng(1).integers(4, 49, 5000)
    cells = sum(len(rows) * width for rows, width in plan(lengths, 32))
    assert lengths.sum() / cells > 0.9


def test_the_order_follows_from_the_generator():
    lengths = np.random.default_rng(1).integers(4, 49, 200)

    def orders(seed):
        return [rows.tolist() for rows, _ in plan(lengths, 8, np.random.default_rng(seed))]

    assert orders(1) == orders(1) != orders(2)


def test_pad_refuses_a_sequence_that_is_too_long():
    with pytest.raises(ValueError, match="cannot assign"):
        pad([np.arange(5)], 4)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=30), most=st.integers(1, 4))
def test_no_other_widths_leave_less_padding(lengths, most):
    from itertools import combinations

    lengths = np.array(lengths)
    longest = int(lengths.max())

    def cells(widths):
        return int(np.array(widths)[np.searchsorted(widths, lengths)].sum())

    others = [(*some, longest) for size in range(most) for some in combinations(range(1, longest), size)]
    found = fit_widths(lengths, most)
    assert len(found) <= most and found[-1] == longest and list(found) == sorted(set(found))
    assert cells(found) == min(map(cells, others))


def test_no_lengths_give_some_width():
    assert len(fit_widths(np.zeros(0, np.int64), 5)) == 1


@settings(max_examples=40, derandomize=True, deadline=None)
@given(lengths=st.lists(st.integers(0, 7), min_size=1, max_size=6), spare=st.integers(0, 5))
def test_positions_are_those_of_tokens_and_then_of_padding(lengths, spare):
    arrays = teacher_forced([np.full(length, 9, np.int32) for length in lengths], 7)
    target = arrays["target"]
    assert [row.tolist() for row in target] == [[9] * n + [2] + [0] * (7 - n) for n in lengths]
    assert [row.tolist() for row in arrays["decoder"]] == [[1] + [9] * n + [0] * (7 - n) for n in lengths]
    count = sum(lengths) + len(lengths)
    room = min(count + spare, target.size)
    places = real_positions(target, room)
    assert len(places) == len(set(places.tolist())) == room
    assert (target.reshape(-1)[places[:count]] > 0).all() and (target.reshape(-1)[places[count:]] == 0).all()


def test_rooms_hold_every_batch_and_hardly_differ_between_epochs():
    lengths = np.random.default_rng(0).integers(3, 17, 4000)
    widths = (6, 11, 16)
    met = set()
    for epoch in range(5):
        planned = plan(lengths, 32, np.random.default_rng(epoch), widths)
        for (rows, width), room in zip(planned, rooms(lengths, planned, widths), strict=True):
            assert lengths[rows].sum() + len(rows) <= room <= len(rows) * (width + 1)
            met.add((len(rows), width, room))
    assert len(met) <= 5  # one for each width, the last batch, and one exception
    assert any(room < size * (width + 1) for size, width, room in met)
