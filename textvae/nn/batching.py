"""Batches of sequences of about one length, so that little of a batch is padding."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

PAD, BEGIN, END, UNKNOWN = 0, 1, 2, 3
OF_WHOLE_BATCH = ("rows", "place", "shift")  # arrays of a sampled softmax

# Widths that grow by about a sixth, for whoever does not know the lengths beforehand: under a tenth is padding.
WIDTHS = (6, 9, 12, 16, 20, 25, 30, 36, 42, 48, 56, 66, 78, 92, 108, 128, 150, 176, 206, 242, 284, 332, 390, 458, 512)


def fit_widths(lengths: np.ndarray, most: int) -> tuple[int, ...]:
    """Choose the widths that leave the least padding.

    Args:
        lengths: int64 [sequences], tokens of each.
        most: Widths to choose, at most: XLA compiles a step for each.

    Returns:
        Ascending widths, the last the longest length.

    Example:
        >>> fit_widths(np.array([3, 3, 4, 9, 10, 10]), 2)
        (4, 10)
    """
    values, counts = np.unique(lengths, return_counts=True)
    if not len(values):
        return WIDTHS[:1]
    up_to = np.concatenate([[0], np.cumsum(counts)])
    # least[j]: positions that the sequences up to value j take; one width more at every turn.
    least = (values * up_to[1:]).astype(np.float64)
    cuts: list[np.ndarray] = []
    for _ in range(min(most, len(values)) - 1):
        total = least[:, None] + values[None, :] * (up_to[None, 1:] - up_to[1:, None])
        total[np.tril_indices(len(values))] = np.inf
        cuts.append(np.where(total.min(axis=0) < least, total.argmin(axis=0), -1))
        least = np.minimum(least, total.min(axis=0))
    chosen = [len(values) - 1]
    for cut in reversed(cuts):
        if cut[chosen[-1]] >= 0:
            chosen.append(int(cut[chosen[-1]]))
    return tuple(int(values[j]) for j in reversed(chosen))


def most_widths(steps: int, compiled: bool, gpu: bool = False) -> int:
    """How many widths a training of so many steps should have, with XLA or without.

    XLA takes as long over a width as 40 steps, or 500 of a GPU, so one in ten times as many keeps that to a tenth. 20
    leave 4% of padding.

    Example:
        >>> most_widths(4_000, True), most_widths(30_000, True, gpu=True), most_widths(100, False)
        (10, 6, 20)
    """
    return min(max(steps // (5000 if gpu else 400), 4), 20) if compiled else 20


def plan(lengths: np.ndarray, batch_size: int, rng: np.random.Generator | None = None,
         widths: Sequence[int] = WIDTHS, even: bool = False) -> list[tuple[np.ndarray, int]]:
    """Put sequences into batches by length.

    All batches of a width but one have as many rows: what a bucket has left over moves up to the next, so that a
    compiled step meets each width with one batch size.

    Args:
        lengths: int64 [sequences], tokens of each.
        batch_size: Sequences per batch.
        rng: Shuffles the sequences and the batches; None keeps the order.
        widths: What batches may be wide, ascending; what is longer than all of them gets a width of its own.
        even: Whether batches are equally large in tokens, many short sequences or few long ones, and have
            ``batch_size`` sequences on average. Gradients then have one scale, and a training by length learns as
            much as one of mixed batches (`python -m benchmarks convergence`); its loss needs ``share``. Of one sequence
            each they cannot be: none is smaller, and more would make fewer of them.

    Returns:
        ``(rows int64 [batch], width)`` for each batch; every sequence stands in exactly one.

    Example:
        >>> [(rows.tolist(), width) for rows, width in plan(np.array([3, 11, 5]), 2)]
        [([0, 2], 6), ([1], 12)]
    """
    order = np.arange(len(lengths)) if rng is None else rng.permutation(len(lengths))
    longest = int(lengths.max(initial=1))
    narrower = [width for width in widths if width < longest]
    top = next((width for width in widths if width >= longest), -(-longest // 64) * 64)
    bucket = np.searchsorted(narrower, lengths[order])
    mean = np.array([*narrower, top])[bucket].mean() if len(order) else 1.0
    batches = []
    left = order[:0]
    for number, width in enumerate([*narrower, top]):
        rows = np.concatenate([left, order[bucket == number]])
        size = max(round(batch_size * mean / width), 1) if even and batch_size > 1 else batch_size
        whole = len(rows) if width == top else len(rows) // size * size
        batches += [(rows[start:start + size], width) for start in range(0, whole, size)]
        left = rows[whole:]
    if rng is not None:
        batches = [batches[i] for i in rng.permutation(len(batches))]
    return batches


def share(size: int, batch_size: int) -> np.ndarray:
    """What the mean loss of a batch is multiplied by, so that a sequence weighs the same in all of ``plan``'s batches.

    Args:
        size: Sequences in the batch.
        batch_size: Sequences per batch on average.

    Returns:
        float32 [size], all the same: keras wants the batch first in every array.
    """
    return np.full(size, size / batch_size, np.float32)


def pad(sequences: list[np.ndarray], width: int) -> np.ndarray:
    """Stack sequences of token ids, int32 [batch, width]; 0 fills up on the right.

    Example:
        >>> pad([np.array([5, 6]), np.array([7])], 3)
        array([[5, 6, 0],
               [7, 0, 0]], dtype=int32)
    """
    out = np.zeros((len(sequences), width), np.int32)
    lengths = np.array([len(sequence) for sequence in sequences])
    out[np.arange(width) < lengths[:, None]] = np.concatenate(sequences)
    return out


def encode(posterior: Any, sequences: Sequence[np.ndarray], batch_size: int, label: np.ndarray | None = None,
           advance: Callable[[int], None] = lambda steps: None) -> dict[str, np.ndarray]:
    """Run an encoder over sequences in batches by length.

    Args:
        posterior: The ``Compiled`` posterior or parameters of a sequence VAE.
        sequences: Token ids, int32 [tokens] each; at least one.
        batch_size: Sequences per batch.
        label: int32 [sequences], for a network with labels.
        advance: Told of each batch's number of sequences.

    Returns:
        What it says of each sequence, by name, float32 [sequences, ...], in the order of the sequences.
    """
    found: dict[str, np.ndarray] = {}
    for rows, width in plan(np.array([len(ids) for ids in sequences], np.int64), batch_size):
        more = {} if label is None else {"label": label[rows]}
        own = posterior.run(ids=pad([sequences[row] for row in rows], width), **more)
        for name, values in own.items():
            found.setdefault(name, np.zeros((len(sequences), *values.shape[1:]), np.float32))[rows] = values
        advance(len(rows))
    return found


def teacher_forced(sequences: list[np.ndarray], width: int) -> dict[str, np.ndarray]:
    """What the encoder reads, what the decoder is given, and what it must say next.

    Args:
        sequences: Token ids without begin and end, int32 [tokens] each, at most ``width`` long.

    Returns:
        ``encoder`` int32 [batch, width], ``decoder`` and ``target`` int32 [batch, width + 1].

    Example:
        >>> arrays = teacher_forced([np.array([5, 6])], 3)
        >>> arrays["encoder"].tolist(), arrays["decoder"].tolist(), arrays["target"].tolist()
        ([[5, 6, 0]], [[1, 5, 6, 0]], [[5, 6, 2, 0]])
    """
    encoder = pad(sequences, width)
    decoder, target = np.zeros((2, len(sequences), width + 1), np.int32)
    decoder[:, 0], decoder[:, 1:], target[:, :-1] = BEGIN, encoder, encoder
    target[np.arange(len(sequences)), [len(sequence) for sequence in sequences]] = END
    return {"encoder": encoder, "decoder": decoder, "target": target}


def rooms(lengths: np.ndarray, planned: Sequence[tuple[np.ndarray, int]], widths: Sequence[int]) -> list[int]:
    """How many places of the softmax each batch is given, so that batches of one width nearly all take one shape.

    That is four standard deviations more than the tokens and ends that a batch of its width holds on average, by the
    lengths of all sequences: the same in every epoch. A batch that holds more is given all its places.

    Args:
        lengths: int64 [sequences], tokens of each.
        planned: From ``plan`` with the same lengths and widths.
        widths: What batches may be wide, ascending.

    Example:
        >>> lengths = np.array([17, 18, 19, 20] * 8)
        >>> rooms(lengths, plan(lengths, 32, widths=(20,)), (20,))
        [656]
    """
    bucket = np.searchsorted(widths, lengths)
    facts: dict[int, tuple[float, float]] = {}
    for number, width in enumerate(widths):
        own = lengths[bucket == number]
        facts[width] = (own.mean() + 1, own.std()) if len(own) else (width + 1, 0.0)
    found = []
    for rows, width in planned:
        size = len(rows)
        mean, spread = facts.get(width, (width + 1, 0.0))
        room = int(-(-(size * mean + 4 * spread * np.sqrt(size)) // 16) * 16)
        found.append(min(room, size * (width + 1)) if lengths[rows].sum() + size <= room else size * (width + 1))
    return found


def real_positions(target: np.ndarray, room: int) -> np.ndarray:
    """Where the flattened target has tokens, filled up with places of padding.

    Args:
        target: int32 [batch, time], 0 pads.
        room: How many places to give: at least the tokens, at most ``batch * time``.

    Returns:
        int32 [room].

    Example:
        >>> real_positions(np.array([[5, 2, 0], [2, 0, 0]]), 4).tolist()
        [0, 1, 3, 2]
    """
    flat = target.reshape(-1)
    real, rest = np.flatnonzero(flat), np.flatnonzero(flat == PAD)
    return np.concatenate([real, rest[:room - len(real)]]).astype(np.int32)


def part(batch: dict[str, np.ndarray], number: int, parts: int) -> dict[str, np.ndarray]:
    """The rows of a batch that one of several devices computes.

    Args:
        batch: Arrays with the batch as their first axis, but for ``positions``, which are chosen anew among the rows,
            and for what ``sampled_softmax.arrays`` gives, which all parts have whole.
        number: Which part, from 0.
        parts: How many there are; a batch of fewer rows is everyone's whole, which leaves its means as they are.

    Example:
        >>> batch = {"encoder": np.arange(5)[:, None]}
        >>> [part(batch, number, 2)["encoder"][:, 0].tolist() for number in range(2)]
        [[0, 1, 2], [3, 4]]
        >>> part(batch, 1, 6)["encoder"][:, 0].tolist()
        [0, 1, 2, 3, 4]
    """
    size = len(next(iter(batch.values())))
    if size < parts:
        return batch
    rows = np.array_split(np.arange(size), parts)[number]
    own = {name: array if name in OF_WHOLE_BATCH else array[rows] for name, array in batch.items()
           if name != "positions"}
    if "positions" in batch:
        target = own["target"]
        room = min(-(-len(batch["positions"]) * len(rows) // size), target.size)
        own["positions"] = real_positions(target, room if np.count_nonzero(target) <= room else target.size)
    return own
