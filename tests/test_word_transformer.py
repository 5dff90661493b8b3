"""The word transformer and its stage."""

import networks
import numpy as np
import pytest

from textvae.config import WordTransformerConfig
from textvae.data import CompressedVectors, TrainedNetwork
from textvae.errors import ConfigError, InputError
from textvae.progress import Progress
from textvae.stages import word_transformer

CONFIG = WordTransformerConfig(layers=1, width=16, heads=2, epochs=6, batch_size=16, learning_rate=0.02)


def cycles():
    """Sequences that count up from a random start, 4 5 ... 10 4 5: one of seven first words, then no doubt."""
    rng = np.random.default_rng(1)
    sequences = [[4 + (first + step) % 7 for step in range(6)] for first in rng.integers(7, size=240)]
    split = np.repeat([0, 1, 2], [200, 20, 20])
    return networks.tokens(sequences, np.arange(240) // 2, split)


def vectors(size=11, latent=5):
    table = np.random.default_rng(2).normal(size=(size, latent)).astype(np.float32)
    table[:4] = 0
    return CompressedVectors(table, TrainedNetwork("embedding_vae", {}, {}))


def run(scratch, seed=1, config=CONFIG):
    scratch.mkdir(exist_ok=True)
    return word_transformer.run(config, cycles(), vectors(), seed=seed, progress=Progress(), scratch=scratch)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return run(tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="module")
def network():
    from textvae.nn.weights import restore

    one = networks.trained("word_transformer")
    return restore(one.kind, one.settings, one.weights)


def test_learns_what_comes_next(trained):
    # Seven starts and nothing else to know: exp(ln 7 / 7) = 1.32 is the best, 11 knows nothing.
    assert trained.metrics["val_perplexity"] < 2
    assert trained.metrics["trained"] is True
    assert trained.plot.startswith(b"\x89PNG")


def test_perplexity_counts_tokens_and_ends(trained):
    found = word_transformer.perplexity(trained, cycles(), "validation", batch_size=7)
    assert found["predictions"] == 20 * 7 and found["sequences"] == 20
    assert found["perplexity"] == pytest.approx(trained.metrics["val_perplexity"], rel=1e-5)
    assert found["perplexity"] == pytest.approx(np.exp(found["nll"] / 7), rel=1e-5)
    assert found["low"] <= found["perplexity"] <= found["high"]
    assert found == word_transformer.perplexity(trained, cycles(), "validation", batch_size=7)


def test_scores_follow_their_rows(trained):
    tokens = cycles()
    rows = tokens.rows("test")
    forward = word_transformer.scores(trained, tokens, rows)
    np.testing.assert_allclose(word_transformer.scores(trained, tokens, rows[::-1], batch_size=3)[::-1], forward,
                               rtol=1e-4)


def test_an_empty_split_is_an_error(trained):
    tokens = networks.tokens([[4, 5], [6]], [0, 1], [0, 0])
    with pytest.raises(InputError, match="the test split has no sequences"):
        word_transformer.perplexity(trained, tokens, "test")


def test_one_seed_gives_one_result(trained, tmp_path):
    assert networks.same_bits(run(tmp_path), trained)


def test_width_that_no_heads_divide_is_refused_with_one_that_they_do(tmp_path):
    with pytest.raises(ConfigError, match=r"width is 30, not a multiple of its 4 heads \(set width to 32\)"):
        run(tmp_path, config=WordTransformerConfig(width=30, heads=4))


def test_no_step_sees_a_later_token(network):
    ids = np.array([[1, 4, 5, 6, 7, 8]], np.int32)
    changed = ids.copy()
    changed[0, 4:] = 9
    before, after = (np.asarray(network.logits({"decoder": each})) for each in (ids, changed))
    np.testing.assert_allclose(after[:, :4], before[:, :4], atol=1e-5)
    assert np.abs(after[:, 4:] - before[:, 4:]).max() > 1e-2


def test_score_is_the_sum_over_tokens_and_end_whatever_the_padding(network):
    decoder, target = np.array([[1, 4, 5, 6]], np.int32), np.array([[4, 5, 6, 2]], np.int32)
    logits = np.asarray(network.logits({"decoder": decoder}), np.float64)[0]
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    wanted = -log_p[np.arange(4), target[0]].sum()
    padded = {"decoder": np.pad(decoder, ((0, 0), (0, 5))), "target": np.pad(target, ((0, 0), (0, 5)))}
    for inputs in ({"decoder": decoder, "target": target}, padded):
        assert float(network.score(inputs)[0]) == pytest.approx(wanted, rel=1e-5)
        assert float(network.terms(inputs, False)["predictions"][0]) == 4


def test_starts_from_how_often_each_token_comes():
    network = networks.build("word_transformer")
    counts = np.array([0, 0, 50, 0, 10, 20, 30, 40, 50, 60, 70])
    network.start(vectors().vectors, counts)
    logits = np.asarray(network.logits({"decoder": np.array([[1, 4]], np.int32)}))
    shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(shares[0], np.tile(counts / counts.sum(), (2, 1)), atol=0.07)


def test_the_vectors_stay_as_they_are_and_the_special_tokens_learn_theirs(trained):
    network = networks.build("word_transformer")
    network.start(vectors().vectors, np.ones(11))
    np.testing.assert_array_equal(trained.weights["word_transformer/vectors"], network.vectors)
    assert trained.weights["word_transformer/special"].shape == (4, 5)
    trainable = {variable.path for variable in network.trainable_variables}
    assert "word_transformer/special" in trainable and "word_transformer/vectors" not in trainable


def test_the_loss_is_that_of_all_positions_however_batches_are_cut(network):
    from textvae.nn.batching import fit_widths

    rng = np.random.default_rng(4)
    sequences = [rng.integers(4, 11, length) for length in rng.integers(1, 20, 45)]
    tokens = networks.tokens(sequences, np.arange(45), np.zeros(45))
    plain = sum(float(network.score({"decoder": np.append(1, ids)[None], "target": np.append(ids, 2)[None]})[0])
                for ids in sequences)
    widths = fit_widths(tokens.lengths, 4)
    batches = list(word_transformer.batches(tokens, np.arange(45), 8, rng, widths=widths))
    assert {batch["target"].shape[1] - 1 for batch in batches} <= set(widths)
    assert min(len(batch["positions"]) for batch in batches if len(batch["target"]) == 8) < 8 * (widths[-1] + 1)
    total = sum(float(np.sum(network.terms(batch, False)["nll"])) for batch in batches)
    assert total == pytest.approx(plain, rel=1e-5)
    # Padding at the end of the positions is told from tokens, and a position left out is missed.
    short = {**batches[0], "positions": batches[0]["positions"][1:]}
    assert not np.allclose(network.terms(short, False)["nll"], network.terms(batches[0], False)["nll"])
