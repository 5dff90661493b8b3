"""Training speed of the sequence VAE against a plain Keras seq2seq, to benchmarks/results/speed.json.

Tokens per second of training steps, padding not counted; every configuration meets the same sequences, and each shape
is run once before the clock starts, so that compilation is reported apart. The baseline is what a first version would
be: Keras LSTM layers, every batch padded to the corpus's longest sequence, logits at every position, no z, no XLA.
Repeated measurements are interleaved, so that a busy machine slows all alike; the best of them counts.

    python benchmarks/speed.py [--corpus PATH] [--steps 30] [--repeats 3] [--batch 32 128]

A run on a machine that does something else is not worth keeping: the file says the load.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import RESULTS, describe

from textvae.data import BEGIN, END, PAD, Tokens
from textvae.nn.batching import pad

EMBEDDING, HIDDEN, LATENT = 256, 256, 32  # the literature's size for PTB
Batch = dict[str, np.ndarray]
Subject = tuple[Callable[[Batch], Any], list[Batch]]  # a training step, and what to feed it


def load(path: str, vocabulary: int) -> Tokens:
    """Read a corpus through the pipeline's own stages."""
    from tempfile import mkdtemp

    from textvae.config import CorpusConfig, TokensConfig
    from textvae.progress import Progress
    from textvae.stages import corpus, tokens

    scratch, kwargs = Path(mkdtemp()), {"seed": 1, "progress": Progress()}
    posts = corpus.run(CorpusConfig(path=path), scratch=scratch, **kwargs)
    return tokens.run(TokensConfig(vocabulary=vocabulary), posts, scratch=scratch, **kwargs)


def ours(tokens: Tokens, rows: np.ndarray, batch: int, cell: str, jit: bool) -> Subject:
    """The network and batches of the stage ``sequence_vae``."""
    import keras

    from textvae import nn
    from textvae.stages.sequence_vae import batches

    network = nn.NETWORKS["sequence_vae"](
        vocabulary=tokens.vocabulary_size, embedding=EMBEDDING, hidden=HIDDEN, latent=LATENT, encoder=cell,
        decoder=cell, max_length=int(tokens.lengths.max()), seed=1)
    network.compile(optimizer=keras.optimizers.Adam(1e-3, global_clipnorm=5.0), jit_compile=jit)
    none = np.zeros((len(tokens), 0), np.float32)
    return network.train_on_batch, list(batches(tokens, rows, batch, none, rng=np.random.default_rng(1)))


def plain(tokens: Tokens, rows: np.ndarray, batch: int) -> Subject:
    """The baseline: an LSTM encoder whose last state starts an LSTM decoder, padded to the longest sequence."""
    import keras
    from keras import layers

    size, longest = tokens.vocabulary_size, int(tokens.lengths.max())
    source = keras.Input((longest,), dtype="int32", name="encoder")
    given = keras.Input((longest + 1,), dtype="int32", name="decoder")
    embed = layers.Embedding(size, EMBEDDING, mask_zero=True)
    _, *state = layers.LSTM(HIDDEN, return_state=True)(embed(source))
    said = layers.LSTM(HIDDEN, return_sequences=True)(embed(given), initial_state=state)
    model = keras.Model([source, given], layers.Dense(size)(said))
    model.compile(optimizer=keras.optimizers.Adam(1e-3, global_clipnorm=5.0), jit_compile=False,
                  loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=PAD))

    def padded(own: list[np.ndarray]) -> Batch:
        return {"encoder": pad(own, longest),
                "decoder": pad([np.concatenate([[BEGIN], sequence]) for sequence in own], longest + 1),
                "target": pad([np.concatenate([sequence, [END]]) for sequence in own], longest + 1)}

    def step(arrays: Batch) -> Any:
        return model.train_on_batch([arrays["encoder"], arrays["decoder"]], arrays["target"])

    return step, [padded([tokens.sequence(row) for row in rows[start:start + batch]])
                  for start in range(0, len(rows), batch)]


def warm(step: Callable[[Batch], Any], held: list[Batch]) -> float:
    """Run each shape once; the seconds that took."""
    shapes = {arrays["target"].shape: arrays for arrays in held}
    started = time.perf_counter()
    for arrays in shapes.values():
        step(arrays)
    return time.perf_counter() - started


def rate(step: Callable[[Batch], Any], held: list[Batch]) -> float:
    """Tokens predicted per second, ends of sequences included and padding not."""
    predictions = sum(int(np.count_nonzero(arrays["target"] != PAD)) for arrays in held)
    started = time.perf_counter()
    for arrays in held:
        step(arrays)
    return predictions / (time.perf_counter() - started)


def main() -> None:
    """Measure and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="sample:lee", help="any path that textvae run --corpus takes")
    parser.add_argument("--vocabulary", type=int, default=8000)
    parser.add_argument("--steps", type=int, default=30, help="training steps per measurement")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each; the best counts")
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--out", type=Path, default=RESULTS / "speed.json")
    given = parser.parse_args()

    from textvae import device

    used = device.use("auto")
    tokens = load(given.corpus, given.vocabulary)
    results = []
    for batch in given.batch:
        # name -> settings; made one after the other, then measured in turns.
        rows = np.random.default_rng(1).permutation(tokens.rows("train"))[:batch * given.steps]
        subjects: dict[str, dict[str, Any]] = {
            "plain": {"model": "plain Keras LSTM seq2seq", "cell": "lstm", "jit": False}}
        subjects |= {f"{cell}{' jit' if jit else ''}": {"model": "textvae sequence_vae", "cell": cell, "jit": jit}
                     for cell in ("lstm", "gru") for jit in (False, True)}
        made: dict[str, Any] = {}
        rates: dict[str, list[float]] = {name: [] for name in subjects}
        for name, own in subjects.items():
            made[name] = (plain(tokens, rows, batch) if name == "plain"
                          else ours(tokens, rows, batch, own["cell"], own["jit"]))
            own["warm_up_seconds"] = round(warm(*made[name]), 1)
        for _ in range(given.repeats):
            for name, pair in made.items():
                rates[name].append(rate(*pair))
        for name, own in subjects.items():
            best = max(rates[name])
            row = {**own, "batch": batch, "steps": len(made[name][1]), "tokens_per_second": round(best),
                   "all": [round(one) for one in rates[name]], "ratio_to_plain": round(best / max(rates["plain"]), 2)}
            results.append(row)
            print(f"{own['model']:26} {name:9} batch {batch:4}: {best:9,.0f} tokens/s, "
                  f"{row['ratio_to_plain']:5.2f} times plain, {own['warm_up_seconds']:6.1f} s to warm up")
    record = {"what": __doc__.splitlines()[0], "corpus": Path(given.corpus).name, "vocabulary": tokens.vocabulary_size,
              "longest": int(tokens.lengths.max()), "mean_length": round(float(tokens.lengths.mean()), 1),
              "embedding": EMBEDDING, "hidden": HIDDEN, "latent": LATENT, "device": used.describe(),
              "results": results, "machine": describe()}
    given.out.parent.mkdir(exist_ok=True)
    given.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(given.out)


if __name__ == "__main__":
    main()
