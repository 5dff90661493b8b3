"""The embedding VAE and its stage."""

import networks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textvae.config import EmbeddingVAEConfig
from textvae.data import CompressedVectors, WordVectors
from textvae.errors import InputError
from textvae.progress import Progress
from textvae.seeds import fraction
from textvae.stages import embedding_vae

CONFIG = EmbeddingVAEConfig(latent=4, hidden=8, epochs=3, batch_size=64)
UNSEEN = [0, 1, 2, 3, 50]


def words(count=300, rank=4, dim=12):
    """Vectors that lie near a few dimensions, away from the origin, as real ones do."""
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(count, rank)) @ rng.normal(size=(rank, dim)) + 0.01 * rng.normal(size=(count, dim)) + 1
    counts = np.ones(count, np.int64)
    vectors[UNSEEN], counts[UNSEEN] = 0, 0
    return WordVectors(vectors.astype(np.float32), tuple(f"word{i}" for i in range(count)), counts)


def run(word_vectors, scratch, seed=1, config=CONFIG):
    scratch.mkdir(exist_ok=True)
    return embedding_vae.run(config, word_vectors, seed=seed, progress=Progress(), scratch=scratch)


@pytest.fixture(scope="module")
def compressed(tmp_path_factory):
    return run(words(), tmp_path_factory.mktemp("scratch"))


def held_out(word_vectors, share=0.05):
    return np.array([fraction(f"embedding_vae/{word}") < share for word in word_vectors.vocabulary])


def test_compresses_every_token_and_leaves_unseen_ones_at_zero(compressed):
    assert compressed.vectors.shape == (300, 4) and compressed.vectors.dtype == np.float32
    assert sorted(np.flatnonzero(~compressed.vectors.any(axis=1))) == UNSEEN


def test_keeps_neighbours_better_than_pca_where_the_vectors_are_off_the_origin(compressed):
    metrics = compressed.metrics
    assert metrics["neighbour_survival"] > 0.85
    assert metrics["neighbour_survival_held_out"] > metrics["pca_neighbour_survival_held_out"]
    assert metrics["explained_variance_held_out"] > 0.95


def test_metrics_are_what_their_names_say(compressed):
    from textvae.nn.weights import restore

    given_words = words()
    rows = held_out(given_words) & (given_words.counts > 0)
    network = restore("embedding_vae", compressed.network.settings, compressed.network.weights)
    vectors, z = given_words.vectors[rows], compressed.vectors[rows]
    _, log_var = (np.asarray(part) for part in network.posterior({"vectors": vectors}))
    back = np.asarray(network.reconstruct({"z": z}))
    metrics = compressed.metrics
    assert metrics["tokens"] == 295 and metrics["tokens_held_out"] == rows.sum()
    assert metrics["mse_held_out"] == pytest.approx(np.square(vectors - back).mean(), rel=1e-3)
    assert metrics["kl_held_out"] == pytest.approx(
        0.5 * (z**2 + np.exp(log_var) - 1 - log_var).sum(axis=1).mean(), rel=1e-4)
    assert metrics["active_units_held_out"] == (z.var(axis=0) > 0.01).sum()
    assert compressed.network.plot.startswith(b"\x89PNG")


def test_words_that_are_measured_neither_teach_nor_choose_the_epoch(compressed, tmp_path):
    measured, choosing = words(), words()
    measured.vectors[held_out(measured)] *= -3
    choosing.vectors[held_out(choosing, 0.1) & ~held_out(choosing)] *= -3
    again, other = run(measured, tmp_path / "a"), run(choosing, tmp_path / "b")
    assert again.network.history == compressed.network.history
    assert again.metrics["mse_held_out"] != compressed.metrics["mse_held_out"]
    for before, after in zip(compressed.network.history, other.network.history, strict=True):
        assert {k: v for k, v in before.items() if not k.startswith("val_")} == \
            {k: v for k, v in after.items() if not k.startswith("val_")}
        assert before["val_loss"] != after["val_loss"]


def test_one_seed_gives_one_result_and_another_seed_another(compressed, tmp_path):
    again, other = run(words(), tmp_path / "a"), run(words(), tmp_path / "b", seed=2)
    assert networks.same_bits(again.network, compressed.network)
    assert again.vectors.tobytes() == compressed.vectors.tobytes() != other.vectors.tobytes()


def test_saves_and_loads(compressed, tmp_path):
    compressed.save(tmp_path)
    loaded = CompressedVectors.load(tmp_path)
    assert loaded.vectors.tobytes() == compressed.vectors.tobytes()
    assert networks.same_bits(loaded.network, compressed.network)


def test_a_wider_latent_than_the_vectors_works(tmp_path):
    wide = run(words(), tmp_path, config=EmbeddingVAEConfig(latent=16, hidden=8, epochs=2))
    assert wide.vectors.shape == (300, 16)
    assert wide.metrics["neighbour_survival"] > 0.9


def test_too_few_words_is_an_error(tmp_path):
    few = words()
    few.counts[1:] = 0
    with pytest.raises(InputError, match="only 0 tokens have a word vector"):
        run(few, tmp_path)


def test_few_words_without_held_out_ones_still_work(tmp_path):
    some = words()
    away = held_out(some, 0.1)
    some.counts[~away] *= np.arange(np.sum(~away)) < 8
    some.counts[away] = 0
    metrics = run(some, tmp_path).metrics
    assert metrics["tokens_held_out"] == 0
    assert "neighbour_survival_held_out" not in metrics and 0 <= metrics["neighbour_survival"] <= 1


def test_starts_as_the_best_linear_compression():
    network = networks.build("embedding_vae")
    vectors = np.random.default_rng(2).normal(size=(40, 6)).astype(np.float32) + 2
    network.start(vectors)
    mean, _ = network.posterior({"vectors": vectors})
    _, axes = np.linalg.eigh(vectors.T @ vectors)
    best = vectors @ axes[:, -3:] @ axes[:, -3:].T
    np.testing.assert_allclose(network.reconstruct({"z": mean}), best, rtol=1e-3, atol=1e-3)


def test_similarity_is_nothing_where_the_cosines_are_kept():
    from textvae import nn

    network = nn.NETWORKS["embedding_vae"](dim=5, hidden=3, latent=5, beta=0.0, similarity=1.0, seed=1)
    vectors = np.random.default_rng(2).normal(size=(40, 5)).astype(np.float32)
    network.start(vectors)
    assert float(np.max(network.terms({"vectors": vectors}, False)["similarity"])) < 1e-9


@settings(max_examples=30, derandomize=True, deadline=None)
@given(count=st.integers(2, 40), k=st.integers(1, 5), seed=st.integers(0, 999))
def test_nearest_finds_what_sorting_everything_finds(count, k, seed):
    k = min(k, count - 1)
    rows = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    similar = unit @ unit.T
    np.fill_diagonal(similar, -2)
    wanted = np.argsort(-similar, axis=1)[:, :k]
    found = embedding_vae.nearest(rows, np.arange(count), k)
    assert np.array_equal(np.sort(found), np.sort(wanted))


def test_nearest_in_small_blocks_is_the_same(monkeypatch):
    rows = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
    queries = np.arange(0, 50, 3)
    at_once = embedding_vae.nearest(rows, queries, 5)
    monkeypatch.setattr(embedding_vae, "CELLS", 120)
    assert np.array_equal(np.sort(embedding_vae.nearest(rows, queries, 5)), np.sort(at_once))
