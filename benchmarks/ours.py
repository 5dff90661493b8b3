"""textvae as the benchmarks meet it: generators for ``benchmarks.turns``. All that they know of textvae is here."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import corpora, products
from benchmarks.turns import Clock
from textvae.data import END, Tokens

EMBEDDING, LATENT = 256, 32  # the literature's sizes for PTB
PEAK = {"cpu": 2048, "gpu": 8192}  # rows and columns of the product that measures the peak
USUAL = 30_000  # steps of a whole training of PTB, which decide how many widths batches have
Facts = dict[str, Any]


def sequence_vae(tokens: Tokens, hidden: int, *, max_length: int | None = None, **more: Any) -> Any:
    """The network at the benchmark's sizes, its softmax started at the corpus's shares."""
    from textvae import nn

    network = nn.NETWORKS["sequence_vae"](
        vocabulary=tokens.vocabulary_size, embedding=EMBEDDING, hidden=hidden, latent=LATENT,
        max_length=max_length or int(tokens.lengths.max()), seed=1, **more)
    network.token_bias.assign(corpora.log_shares(tokens))
    return network


def epochs(tokens: Tokens, rows: np.ndarray, batch: int, samples: int = 0
           ) -> Callable[[int], Iterator[dict[str, np.ndarray]]]:
    """Batches of the stage ``sequence_vae``, by the number of the epoch; widths as for a long training of all rows."""
    from textvae import device, nn
    from textvae.stages import sequence_vae as stage

    most = nn.batching.most_widths(USUAL, True, device.on_gpu())
    widths = nn.batching.fit_widths(tokens.lengths[tokens.rows("train")], most)
    chances = nn.sampled_softmax.inclusion(tokens.counts("train", ends=True), samples) if samples else None
    none = np.zeros((len(tokens), 0), np.float32)
    return lambda number: stage.batches(tokens, rows, batch, none, widths=widths, chances=chances,
                                        rng=np.random.default_rng(number))


def training(folder: str, *, batch: int, steps: int, hidden: int, samples: int = 0, shortest: int = 1,
             longest: int = 10**6, peaks: bool = True, precision: str = "auto") -> Iterator[Facts]:
    """Training steps as the stage ``sequence_vae`` makes them, batching included.

    Yields:
        ``tokens_per_second``, and with ``peaks`` also ``peak_gflops`` and ``share_of_peak``.
    """
    from textvae import device

    used = device.use("auto", precision=precision)
    import keras

    from textvae.nn.training import mean, steps_of

    tokens = Tokens.load(Path(folder))
    rows = corpora.sample(tokens, batch, steps, shortest=shortest, longest=longest)
    epoch = epochs(tokens, rows, batch, samples)
    network = sequence_vae(tokens, hidden)
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, 10**6, alpha=0.1)
    network.compile(optimizer=keras.optimizers.Adam(schedule, global_clipnorm=5.0), jit_compile=network.takes_xla)
    network.beta.assign(1.0)
    needed = products.training(float(tokens.lengths[rows].mean()), vocabulary=tokens.vocabulary_size,
                               embedding=EMBEDDING, hidden=hidden, latent=LATENT, samples=samples)
    # A GPU's product is no peak where XLA may not look for the best way to compute it.
    peaks = peaks and "autotune_level=0" not in os.environ.get("XLA_FLAGS", "")
    clock = Clock()
    network.optimizer.build(network.trainable_variables)

    def passed(number: int) -> dict[str, float]:  # the loop that ``fit`` runs
        with steps_of(network) as step:
            return mean(step, epoch(number))

    first = passed(0)
    yield {"first_pass_seconds": round(clock.seconds, 2), "sequences": len(rows), "loss": round(first["loss"], 3),
           "predictions": corpora.predictions(tokens, rows), "mflop_per_token": round(needed / 1e6, 2),
           "product": f"product of {PEAK[used.kind]:,} x {PEAK[used.kind]:,} matrices, "
                      f"{keras.config.dtype_policy().compute_dtype}", "device": used.describe()}
    number = 0
    while True:
        number += 1
        clock = Clock()
        passed(number)
        rate = corpora.predictions(tokens, rows) / clock.seconds
        top = peak(PEAK[used.kind]) if peaks else None
        shares = {"peak_gflops": top / 1e9, "share_of_peak": rate * needed / top} if top else {}
        yield {"tokens_per_second": rate, **shares}


def peak(size: int) -> float:
    """Operations per second of a large product in the precision that networks compute in, through the backend that
    runs, compiled or not: the better."""
    import keras
    from keras import ops

    if not _products:
        _products.extend(_compiled(ops.matmul))
        _factors.extend(ops.cast(np.random.default_rng(seed).standard_normal((size, size), np.float32),
                                 keras.config.dtype_policy().compute_dtype) for seed in (1, 2))
    times = []
    for product in _products:
        ops.convert_to_numpy(product(*_factors)[0, 0])
        clock = Clock()
        for _ in range(4):
            result = product(*_factors)
        ops.convert_to_numpy(result[0, 0])  # a GPU computes one after the other, and is waited for once
        times.append(clock.seconds / 4)
    return float(2 * size**3 / min(times))


_products: list[Callable[..., Any]] = []
_factors: list[Any] = []


def _compiled(function: Callable[..., Any]) -> list[Callable[..., Any]]:
    import keras

    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return [function, tf.function(function, jit_compile=True)]
    if keras.config.backend() == "jax":
        import jax

        return [jax.jit(function)]
    return [function]


def sampling(folder: str, *, hidden: int, count: int, length: int) -> Iterator[Facts]:
    """Write many sequences in one batch with ``textvae.decoding.Decoder``; the end is barred, so all are full.

    Yields:
        ``sequences_per_second``.
    """
    from textvae import device
    from textvae.decoding import Decoder, Sampling

    used = device.use("auto")
    decoder = Decoder(_barred(Tokens.load(Path(folder)), hidden, length), length)
    z = np.random.default_rng(1).standard_normal((count, LATENT), np.float32)

    def write(seed: int) -> float:
        clock = Clock()
        written, _ = decoder.decode(z, Sampling("nucleus", temperature=1.0, top_p=0.9), rng=np.random.default_rng(seed))
        seconds = clock.seconds
        assert all(len(ids) == length for ids in written)
        return seconds

    yield {"first_pass_seconds": round(write(0), 2), "device": used.describe()}
    seed = 0
    while True:
        seed += 1
        yield {"sequences_per_second": count / write(seed)}


def one_text(folder: str, *, hidden: int, texts: int, length: int) -> Iterator[Facts]:
    """Encode one text and write five latents near it in one call, text after text.

    Yields:
        ``sequences_per_second``.
    """
    from textvae import device
    from textvae.decoding import Decoder, Sampling

    used = device.use("auto")
    tokens = Tokens.load(Path(folder))
    network = _barred(tokens, hidden, length)
    writer, decoder = _writer(tokens, network), Decoder(network, length)
    sequences = [np.asarray(tokens.sequence(row)) for row in corpora.held_out(tokens, texts, length - 1)]

    def write(seed: int) -> float:
        rng = np.random.default_rng(seed)
        clock = Clock()
        for sequence in sequences:
            q = writer.posterior([sequence])
            z = q["mean"] + np.exp(0.5 * q["log_var"]) * rng.standard_normal((5, LATENT), np.float32)
            written, _ = decoder.decode(z, Sampling("nucleus", temperature=1.0, top_p=0.9), rng=rng)
            assert all(len(ids) == length for ids in written)
        return clock.seconds

    yield {"first_pass_seconds": round(write(0), 2), "device": used.describe()}
    seed = 0
    while True:
        seed += 1
        yield {"sequences_per_second": 5 * len(sequences) / write(seed)}


def vary(folder: str, *, hidden: int, texts: int, length: int, together: int = 1) -> Iterator[Facts]:
    """``Writer.vary_many`` with n=5 and so many texts together; they end by themselves here, at ``length`` at most.

    Yields:
        ``sequences_per_second``: candidates written; ``kept_per_second``: variations returned; ``tokens_per_second``:
        tokens of all candidates.
    """
    from textvae import device

    used = device.use("auto")
    tokens = Tokens.load(Path(folder))
    network = sequence_vae(tokens, hidden, max_length=length)
    # An untrained softmax at the writer's low temperature would end after six words.
    bias = corpora.log_shares(tokens)
    bias[END] -= 1.0
    network.token_bias.assign(bias)
    writer = _writer(tokens, network)
    sources = writer.texts([tokens.sequence(row) for row in corpora.held_out(tokens, texts, length - 1)])
    decode = writer._decoder.decode
    counts = {"written": 0, "tokens": 0}

    def counted(*args: Any, **kwargs: Any) -> Any:
        written, log_probs = decode(*args, **kwargs)
        counts["written"] += len(written)
        counts["tokens"] += sum(map(len, written))
        return written, log_probs

    writer._decoder.decode = counted

    def write(seed: int) -> Facts:
        counts.update(written=0, tokens=0)
        clock = Clock()
        kept = sum(len(found) for start in range(0, texts, together)
                   for found in writer.vary_many(sources[start:start + together], 5, seed=seed))
        seconds = clock.seconds
        return {"sequences_per_second": counts["written"] / seconds, "kept_per_second": kept / seconds,
                "tokens_per_second": counts["tokens"] / seconds}

    clock = Clock()
    write(0)
    yield {"first_pass_seconds": round(clock.seconds, 2), "device": used.describe()}
    seed = 0
    while True:
        seed += 1
        yield write(seed)


def _barred(tokens: Tokens, hidden: int, length: int) -> Any:
    """A network that never ends a sequence."""
    network = sequence_vae(tokens, hidden, max_length=length)
    bias = corpora.log_shares(tokens)
    bias[END] = -1e9
    network.token_bias.assign(bias)
    return network


def _writer(tokens: Tokens, network: Any) -> Any:
    from textvae.data import TrainedNetwork
    from textvae.nn.weights import gather
    from textvae.text.pairs import Pairs
    from textvae.writing.writer import Writer

    trained = TrainedNetwork(network.kind, network.settings, gather(network))
    return Writer(tokens.tokenizer, trained, pairs=Pairs.of(tokens))


def likelihood(folder: str, *, hidden: int, sequences: int, samples: int) -> Iterator[Facts]:
    """The likelihood part of the evaluation on some test sequences, from encoding to the bound.

    Yields:
        ``sequences_per_second``.
    """
    from textvae import device

    used = device.use("auto")
    from textvae import evaluate
    from textvae.config import EvaluationConfig

    tokens = Tokens.load(Path(folder))
    writer = _writer(tokens, sequence_vae(tokens, hidden))
    own = corpora.only(tokens, corpora.held_out(tokens, sequences), "test")
    config = EvaluationConfig(sequences=0, iw_samples=samples, iw_sequences=0)

    def measure() -> float:
        clock = Clock()
        found = evaluate.likelihood(evaluate.Subject(config, own, writer, 1))
        assert found["iw_nll"]["value"] < found["elbo_nll"]["value"]
        return clock.seconds

    yield {"first_pass_seconds": round(measure(), 2), "device": used.describe()}
    while True:
        yield {"sequences_per_second": len(own) / measure()}


def embedding_vae(*, dim: int, batch: int, steps: int) -> Iterator[Facts]:
    """Training steps of the stage ``embedding_vae`` at its default settings.

    Yields:
        ``steps_per_second``.
    """
    from textvae import device

    used = device.use("auto")
    import keras

    from textvae import nn
    from textvae.config import EmbeddingVAEConfig

    config = EmbeddingVAEConfig()
    network = nn.NETWORKS["embedding_vae"](dim=dim, hidden=config.hidden, latent=config.latent, beta=config.beta,
                                           similarity=config.similarity, seed=1)
    schedule = keras.optimizers.schedules.CosineDecay(config.learning_rate, 10**6)
    network.compile(optimizer=keras.optimizers.Adam(schedule), jit_compile=network.xla(False))
    vectors = np.random.default_rng(1).standard_normal((batch * steps, dim), np.float32)
    network.start(vectors)
    yield from _steps(network, lambda number: ({"vectors": vectors[start:start + batch]}
                                               for start in range(0, len(vectors), batch)), used)


def latent_transformer(*, latent: int, batch: int, steps: int) -> Iterator[Facts]:
    """Training steps of the stage ``latent_transformer`` at its default settings.

    Yields:
        ``steps_per_second``.
    """
    from textvae import device

    used = device.use("auto")
    from textvae import nn
    from textvae.config import LatentTransformerConfig
    from textvae.stages.word_transformer import adamw

    config = LatentTransformerConfig()
    network = nn.NETWORKS["latent_transformer"](latent=latent, layers=config.layers, width=config.width,
                                                heads=config.heads, dropout=config.dropout, seed=1)
    network.compile(optimizer=adamw(config.learning_rate, 10**6), jit_compile=network.xla(True))
    latents = np.random.default_rng(1).standard_normal((batch * steps, config.context + 1, latent), np.float32)
    real = np.ones((batch, config.context), np.float32)
    yield from _steps(network, lambda number: (
        {"inputs": latents[start:start + batch, :-1], "targets": latents[start:start + batch, 1:], "real": real}
        for start in range(0, len(latents), batch)), used)


def word_transformer(folder: str, *, latent: int, batch: int, steps: int) -> Iterator[Facts]:
    """Training steps of the stage ``word_transformer`` at its default settings, batching included.

    Yields:
        ``steps_per_second`` and ``tokens_per_second``.
    """
    from textvae import device

    used = device.use("auto")
    from textvae import nn
    from textvae.config import WordTransformerConfig
    from textvae.stages.word_transformer import adamw, batches

    config = WordTransformerConfig()
    tokens = Tokens.load(Path(folder))
    rows = corpora.sample(tokens, batch, steps)
    network = nn.NETWORKS["word_transformer"](
        vocabulary=tokens.vocabulary_size, latent=latent, layers=config.layers, width=config.width, heads=config.heads,
        dropout=config.dropout, seed=1)
    vectors = np.random.default_rng(1).standard_normal((tokens.vocabulary_size, latent), np.float32)
    network.start(vectors, np.exp(corpora.log_shares(tokens)))
    most = nn.batching.most_widths(USUAL, True, device.on_gpu())
    widths = nn.batching.fit_widths(tokens.lengths[tokens.rows("train")], most)
    network.compile(optimizer=adamw(config.learning_rate, 10**6), jit_compile=network.takes_xla)
    yield from _steps(network, lambda number: batches(tokens, rows, batch, np.random.default_rng(number),
                                                      widths=widths), used,
                      corpora.predictions(tokens, rows))


def _steps(network: Any, epoch: Callable[[int], Iterator[dict[str, np.ndarray]]], used: Any,
           predictions: int = 0) -> Iterator[Facts]:
    """Train on one epoch after another."""
    from textvae.nn.training import mean, steps_of

    network.optimizer.build(network.trainable_variables)
    number = 0
    while True:
        clock, count = Clock(), 0

        def counted(steps: int = 1, **shown: float | str) -> None:
            nonlocal count
            count += steps

        with steps_of(network) as step:
            mean(step, epoch(number), counted)
        seconds = clock.seconds
        if number == 0:
            yield {"first_pass_seconds": round(seconds, 2), "steps": count, "device": used.describe()}
        else:
            tokens = {"tokens_per_second": predictions / seconds} if predictions else {}
            yield {"steps_per_second": count / seconds, **tokens}
        number += 1
