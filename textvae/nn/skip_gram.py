"""Skip-gram with negative sampling (Mikolov et al. 2013) as batched matrix products, with word2vec's settings."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from textvae.nn.ahead import ahead

# A step takes at most BLOCKS stretches of LENGTH tokens: enough for a GPU; what larger ones cost in quality is in
# docs/decisions/0008-word-vectors-engine.md. In a small text it takes fewer, so that an epoch has STEPS steps.
BLOCKS, LENGTH, STEPS = 32, 32, 500
CHUNK = 262_144  # tokens of the text read and sent to the device at once
POOL = 1 << 20  # noise tokens drawn for a pass over the text
POWER = 0.75  # of the counts, for the noise: Mikolov et al. 2013, section 2.2

Batch = dict[str, np.ndarray]


class SkipGram(keras.Model):
    """Two tables of vectors, and a compiled loop of SGD steps that makes them.

    word2vec takes one pair (context, centre) and its own noise tokens at a time. Here a step takes stretches of text:
    the scores of all their pairs are one product of centres and contexts, of which a band is kept, and the noise
    tokens of a stretch, ``negative`` per centre, are shared by all its pairs, weighted so that a pair expects as much
    noise as word2vec's. Rows are read and written where the step needs them, never a whole table.

    Args:
        counts: int64 [vocabulary], how often each token stands in the text; tokens with none are never trained.
        dim: Width of the vectors.
        window: The most tokens between context and centre; each centre draws its own from 1 to this.
        negative: Noise tokens per pair.
        sample: Tokens that make up more than this share of the text are thinned out.
        seed: Of the first vectors.

    Reference: Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their Compositionality";
    noise shared within a window: Ji et al. 2016, "Parallelizing Word2Vec in Shared and Distributed Memory".
    """

    def __init__(self, counts: np.ndarray, *, dim: int, window: int, negative: int, sample: float, seed: int) -> None:
        super().__init__(dtype="float32")  # SGD's steps are smaller than what bfloat16 resolves
        self.window, self.negative = window, negative
        self.kept = kept_share(counts, sample)
        self.noise = noise_cumulated(counts)
        first = np.random.default_rng(seed).uniform(-1 / dim, 1 / dim, (len(counts), dim))
        first[counts == 0] = 0
        self.vectors = self._table("vectors", first)  # of contexts: what word2vec keeps
        self.targets = self._table("targets", np.zeros_like(first))  # of centres and noise
        self.built = True
        # PyTorch would unroll the loop.
        self.compile(jit_compile=keras.config.backend() != "torch")

    def _table(self, name: str, first: np.ndarray) -> Any:
        return self.add_weight(shape=first.shape, initializer=lambda shape, dtype: ops.convert_to_tensor(first, dtype),
                               trainable=False, autocast=False, name=name)

    def build(self, input_shape: Any = None) -> None:
        """Built with the tables."""

    def epoch(self, ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray, *, rates: tuple[float, float], seed: int,
              advance: Callable[[int], None] = lambda tokens: None) -> None:
        """Pass over the text once.

        Args:
            ids: int32 [tokens]; may lie on disk.
            starts, lengths: int64 [sequences]; no pair reaches over the end of a sequence.
            rates: Learning rates at the beginning and at the end; linear between.
            seed: Of what is thinned out, of windows and noise.
            advance: Told of the tokens that were read.
        """
        done, total = 0, int(lengths.sum())
        work = chunks(ids, starts, lengths, kept=self.kept, noise=self.noise, window=self.window,
                      drawn=self.negative * LENGTH, blocks=min(max(total // (LENGTH * STEPS), 1), BLOCKS), seed=seed)
        for tokens, batch in ahead(work, 1):
            share = (done + tokens * np.arange(len(batch["ids"])) / max(int(batch["steps"][0]), 1)) / max(total, 1)
            batch["rate"] = (rates[0] + (rates[1] - rates[0]) * share).astype(np.float32)
            self.predict_on_batch(batch)
            done += tokens
            advance(tokens)

    def tables(self) -> tuple[np.ndarray, np.ndarray]:
        """The vectors of contexts and those of centres, float32 [vocabulary, dim] each."""
        vectors, targets = (ops.convert_to_numpy(table.value) for table in (self.vectors, self.targets))
        return vectors.copy(), targets.copy()

    def set_tables(self, vectors: np.ndarray, targets: np.ndarray) -> None:
        """Go on from what ``tables`` gave."""
        self.vectors.assign(vectors)
        self.targets.assign(targets)

    def call(self, inputs: dict[str, Any]) -> Any:
        """Take the steps of one chunk; gives the number of steps back, which keras wants something of."""
        def step(i: Any, tables: tuple[Any, Any]) -> tuple[Any, Any]:
            own = {name: inputs[name][i] for name in ("ids", "left", "right", "noise", "rate")}
            return update(*tables, **own, negative=self.negative)

        vectors, targets = ops.fori_loop(0, inputs["steps"][0], step, (self.vectors.value, self.targets.value))
        self.vectors.assign(vectors)
        self.targets.assign(targets)
        return inputs["steps"]


def update(vectors: Any, targets: Any, *, ids: Any, left: Any, right: Any, noise: Any, rate: Any, negative: int
           ) -> tuple[Any, Any]:
    """One step of SGD on stretches of text.

    Args:
        vectors, targets: float32 [vocabulary, dim].
        ids: int32 [blocks, window + length + window]; the tokens of a stretch and those around it.
        left, right: int32 [blocks, length]; how many contexts each centre has on either side.
        noise: int32 [blocks, noise].
        rate: float32 [].
        negative: Noise tokens that a pair expects.

    Returns:
        Both tables after a step down the gradient of the loss, summed over pairs:
        ``-log sigmoid(context . centre) - negative / noise * sum(log sigmoid(-context . n))`` over noise n that is not
        the centre. The step of a row that stands in many pairs is shortened; see ``_added``.
    """
    width, (length, drawn) = ids.shape[1], (left.shape[1], noise.shape[1])
    window = (width - length) // 2
    # How far each of the columns (contexts) lies from each of the rows (centres).
    offset = (np.arange(width)[None, :] - window - np.arange(length)[:, None]).astype(np.int32)
    within = ops.logical_and(ops.greater_equal(offset, -left[:, :, None]), ops.less_equal(offset, right[:, :, None]))
    pairs = ops.cast(within, "float32") * (offset != 0).astype(np.float32)
    centres = ids[:, window:window + length]
    # word2vec passes over noise that is the centre itself.
    other = ops.cast(noise[:, :, None] != centres[:, None, :], "float32")
    weights = ops.concatenate([pairs, ops.matmul(other, pairs) * (negative / drawn)], axis=1)
    rows = ops.concatenate([centres, noise], axis=1)
    context, row = ops.take(vectors, ids, axis=0), ops.take(targets, rows, axis=0)
    scores = ops.matmul(row, ops.transpose(context, (0, 2, 1)))
    positive = ops.pad(pairs, ((0, 0), (0, drawn), (0, 0)))
    share = ops.sigmoid(scores)
    uphill = rate * (positive - weights * share)
    # The curvature of the parabola that touches log(sigmoid) at a score and stays below it (Jaakkola & Jordan 2000).
    small = ops.abs(scores) < 1e-2
    bend = rate * weights * ops.where(small, 0.25, (share - 0.5) / ops.where(small, 1.0, scores))
    across = (0, 2, 1)
    return (_added(vectors, ids, ops.matmul(ops.transpose(uphill, across), row),
                   ops.matmul(ops.transpose(bend, across), _squared(row))),
            _added(targets, rows, ops.matmul(uphill, context), ops.matmul(bend, _squared(context))))


def _squared(rows: Any) -> Any:
    return ops.sum(ops.square(rows), axis=-1, keepdims=True)


def _added(table: Any, rows: Any, steps: Any, bends: Any) -> Any:
    """Add steps to their rows, each row's shortened so that it goes no further than to the bottom of its loss.

    A token that stands many times in a batch gets the sum of its steps, all from one point, and would overshoot where
    word2vec sees the slope flatten on the way. A row's loss lies below a parabola whose curvature, times the rate, is
    at most the sum of its ``bends``, so the bottom of that is at 1 / bend of the step.
    """
    places = ops.reshape(rows, (-1, 1))
    bend = ops.scatter_update(ops.zeros((table.shape[0],)), places, ops.reshape(bends, (-1,)), reduction="add")
    # As good as 1 for the rare rows and 1 / bend for the frequent ones, smooth between.
    steps = steps * ops.take(ops.rsqrt(1 + ops.square(bend)), rows, axis=0)[:, :, None]
    return ops.scatter_update(table, places, ops.reshape(steps, (-1, table.shape[1])), reduction="add")


def kept_share(counts: np.ndarray, sample: float) -> np.ndarray:
    """The share of each token's places that are trained on, as word2vec.c and gensim thin out frequent tokens.

    A ``sample`` of 0 thins out nothing.

    Example:
        >>> [f"{share:.3f}" for share in kept_share(np.array([0, 10, 990]), 1e-2)]
        ['1.000', '1.000', '0.111']
    """
    threshold = sample * counts.sum() or counts.sum()
    counts = np.maximum(counts, 1)
    return np.minimum((np.sqrt(counts / threshold) + 1) * (threshold / counts), 1).astype(np.float32)


def noise_cumulated(counts: np.ndarray) -> np.ndarray:
    """The noise distribution, counts to the power of 3/4, cumulated: float64 [vocabulary] up to 1.

    Example:
        >>> noise_cumulated(np.array([0, 1, 16])).round(3).tolist()
        [0.0, 0.111, 1.0]
    """
    cumulated = np.cumsum(counts.astype(np.float64) ** POWER)
    return cumulated / cumulated[-1]


def chunks(ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray, *, kept: np.ndarray, noise: np.ndarray,
           window: int, drawn: int, blocks: int, seed: int, size: int = CHUNK) -> Iterator[tuple[int, Batch]]:
    """Draw one pass over the text as batches for ``update``, a chunk at a time.

    Args:
        ids, starts, lengths: As for ``SkipGram.epoch``.
        kept: float32 [vocabulary], from ``kept_share``.
        noise: float64 [vocabulary], from ``noise_cumulated``.
        window: The most tokens between context and centre.
        drawn: Noise tokens per stretch.
        blocks: Stretches per step.
        seed: Of every draw.
        size: The most tokens of a chunk, but for a longer sequence.

    Yields:
        The tokens that were read, and arrays whose first axis is steps: ``ids``, ``left``, ``right`` and ``noise``. All
        chunks have one shape; ``steps`` int32 [1] says how many of the steps are filled.
    """
    rng = np.random.default_rng(seed)
    ends = np.cumsum(lengths)
    shift = starts - (ends - lengths)  # from a place in the training text to one in ids
    capacity = int(max(min(size, ends[-1] if len(ends) else 0), lengths.max(initial=0)))
    most = -(-capacity // (blocks * LENGTH))
    pool = _pool(noise, int(np.clip(most * blocks * drawn, 2 * drawn, POOL)), rng)
    first = 0
    while first < len(lengths):
        before = ends[first - 1] if first else 0
        last = int(np.searchsorted(ends, before + capacity, side="right"))
        own = slice(first, last)
        text = ids[np.repeat(shift[own], lengths[own]) + np.arange(before, ends[last - 1])]
        yield int(ends[last - 1] - before), _steps(text, lengths[own], kept, pool, window, drawn, (most, blocks), rng)
        first = last


def _pool(noise: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Noise tokens to take runs from, int32 [size]: looking each up when it is needed takes longer than all else.

    One is drawn from each of ``size`` equal slices of the distribution, so that rare tokens get their share.
    """
    found = np.searchsorted(noise, (np.arange(size) + rng.random(size)) / size, side="right")
    return rng.permutation(np.minimum(found, len(noise) - 1).astype(np.int32))


def _steps(text: np.ndarray, lengths: np.ndarray, kept: np.ndarray, pool: np.ndarray, window: int, drawn: int,
           shape: tuple[int, int], rng: np.random.Generator) -> Batch:
    """Thin the sequences out, draw windows, and cut the result into steps: at most so many, of so many stretches."""
    most, blocks = shape
    stays = rng.random(len(text), np.float32) < kept[text]
    thinned = text[stays]
    sequence = np.repeat(np.arange(len(lengths)), lengths)[stays]
    sizes = np.bincount(sequence, minlength=len(lengths))
    place = np.arange(len(thinned)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    reach = rng.integers(1, window + 1, len(thinned))
    left, right = np.minimum(reach, place), np.minimum(reach, sizes[sequence] - 1 - place)

    steps = -(-len(thinned) // (blocks * LENGTH))
    room = most * blocks * LENGTH
    padded = np.zeros(room + 2 * window, np.int32)
    padded[window:window + len(thinned)] = thinned
    around = np.lib.stride_tricks.sliding_window_view(padded, LENGTH + 2 * window)[::LENGTH]
    # A step takes its stretches from all over the chunk: neighbours repeat each other's words. Block b of step s is
    # stretch b * steps + s, and what a chunk leaves empty lies behind its last step.
    order = np.arange(most * blocks)
    order[:steps * blocks] = order[:steps * blocks].reshape(blocks, steps).T.ravel()

    def cut(numbers: np.ndarray) -> np.ndarray:
        whole = np.zeros(room, np.int32)
        whole[:len(numbers)] = numbers
        return whole.reshape(-1, LENGTH)[order].reshape(most, blocks, LENGTH)

    begins = rng.integers(0, len(pool) - drawn + 1, (most, blocks, 1), np.int32)
    return {"ids": around[order].reshape(most, blocks, -1), "left": cut(left), "right": cut(right),
            "noise": pool[begins + np.arange(drawn, dtype=np.int32)], "steps": np.array([steps], np.int32)}
