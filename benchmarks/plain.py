"""The check's yardstick where PyTorch is not installed: what a first version in Keras would be."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import corpora
from benchmarks.turns import Clock
from textvae.data import BEGIN, END, PAD, Tokens


def training(folder: str, *, batch: int, steps: int, hidden: int, embedding: int = 256, shortest: int = 1,
             longest: int = 10**6) -> Iterator[dict[str, Any]]:
    """Train a plain seq2seq: Keras LSTM layers, padded to the longest sequence, logits everywhere, no z, no XLA.

    Yields:
        ``tokens_per_second``, on the sequences that ``benchmarks.ours.training`` meets.
    """
    from textvae import device

    used = device.use("auto")
    import keras
    from keras import layers

    tokens = Tokens.load(Path(folder))
    rows = corpora.sample(tokens, batch, steps, shortest=shortest, longest=longest)
    size, width = tokens.vocabulary_size, int(tokens.lengths.max())
    source = keras.Input((width,), dtype="int32", name="encoder")
    given = keras.Input((width + 1,), dtype="int32", name="decoder")
    embed = layers.Embedding(size, embedding, mask_zero=True)
    _, *state = layers.LSTM(hidden, return_state=True)(embed(source))
    said = layers.LSTM(hidden, return_sequences=True)(embed(given), initial_state=state)
    model = keras.Model([source, given], layers.Dense(size)(said))
    model.compile(optimizer=keras.optimizers.Adam(1e-3, global_clipnorm=5.0), jit_compile=False,
                  loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=PAD))

    def epoch(number: int) -> float:
        order = np.random.default_rng(number).permutation(rows)
        clock = Clock()
        for start in range(0, len(order), batch):
            own = [np.asarray(tokens.sequence(row)) for row in order[start:start + batch]]
            model.train_on_batch([_padded(own, width), _padded([[BEGIN, *ids] for ids in own], width + 1)],
                                 _padded([[*ids, END] for ids in own], width + 1))
        return clock.seconds

    yield {"first_pass_seconds": round(epoch(0), 2), "device": used.describe(),
           "predictions": corpora.predictions(tokens, rows)}
    number = 0
    while True:
        number += 1
        yield {"tokens_per_second": corpora.predictions(tokens, rows) / epoch(number)}


def _padded(sequences: Any, width: int) -> np.ndarray:
    out = np.full((len(sequences), width), PAD, np.int32)
    for row, ids in zip(out, sequences, strict=True):
        row[:len(ids)] = ids
    return out
