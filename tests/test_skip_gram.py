"""Skip-gram with shared noise: its steps, its draws and its subsampling against plain loops and formulas."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from textvae.nn import skip_gram
from textvae.nn.skip_gram import SkipGram, chunks, kept_share, noise_cumulated, update


def sigmoid(score: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-score))


def pairs(ids: np.ndarray, left: np.ndarray, right: np.ndarray, window: int) -> list[tuple[int, int, int, int]]:
    """(block, column of the context, row of the centre, context) of every pair of a batch, by a plain loop."""
    found = []
    for block, stretch in enumerate(ids):
        for row in range(left.shape[1]):
            for column in range(row + window - left[block, row], row + window + right[block, row] + 1):
                if column != row + window:
                    found.append((block, column, row, int(stretch[column])))
    return found


def batch(rng: np.random.Generator, vocabulary: int, blocks: int = 2, length: int = 4, window: int = 2, drawn: int = 6
          ) -> dict[str, np.ndarray]:
    return {"ids": rng.integers(0, vocabulary, (blocks, length + 2 * window)).astype(np.int32),
            "left": rng.integers(0, window + 1, (blocks, length)).astype(np.int32),
            "right": rng.integers(0, window + 1, (blocks, length)).astype(np.int32),
            "noise": rng.integers(0, vocabulary, (blocks, drawn)).astype(np.int32)}


def loss(vectors: np.ndarray, targets: np.ndarray, arrays: dict[str, np.ndarray], negative: int) -> float:
    """What a step goes down, pair by pair."""
    window, total = 2, 0.0
    for block, _, row, context in pairs(arrays["ids"], arrays["left"], arrays["right"], window):
        centre = arrays["ids"][block, row + window]
        total -= np.log(sigmoid(vectors[context] @ targets[centre]))
        for noise in arrays["noise"][block]:
            if noise != centre:
                total -= negative / len(arrays["noise"][block]) * np.log(sigmoid(-vectors[context] @ targets[noise]))
    return total


def test_a_step_goes_down_the_gradient_of_the_loss() -> None:
    rng = np.random.default_rng(1)
    vectors, targets = (rng.normal(0, 0.5, (9, 3)) for _ in range(2))
    arrays, rate, tiny = batch(rng, 9), 1e-4, 1e-6
    after = update(*(ops.convert_to_tensor(table, "float32") for table in (vectors, targets)), **arrays,
                   rate=np.float32(rate), negative=3)
    for number, (table, moved) in enumerate(zip((vectors, targets), after, strict=True)):
        slope = np.zeros_like(table)
        for place in np.ndindex(table.shape):
            there, back = [vectors.copy(), targets.copy()], [vectors.copy(), targets.copy()]
            there[number][place] += tiny
            back[number][place] -= tiny
            slope[place] = (loss(*there, arrays, 3) - loss(*back, arrays, 3)) / (2 * tiny)
        step = (ops.convert_to_numpy(moved) - table) / -rate
        assert np.abs(slope).max() > 0.1
        np.testing.assert_allclose(step, slope, atol=0.01)  # float32's digits of a step this small


def test_a_row_that_stands_in_many_pairs_takes_a_shortened_step() -> None:
    """One token beside itself, again and again: a sum of plain steps would jump over the bottom."""
    arrays = {"ids": np.ones((8, 36), np.int32), "left": np.full((8, 32), 2, np.int32),
              "right": np.full((8, 32), 2, np.int32), "noise": np.full((8, 4), 2, np.int32)}
    tables = [np.full((3, 2), 0.5, np.float32) for _ in range(2)]
    losses = []
    for _ in range(30):
        losses.append(loss(*tables, arrays, 1))
        tables = [ops.convert_to_numpy(table) for table in update(
            *map(ops.convert_to_tensor, tables), **arrays, rate=np.float32(0.5), negative=1)]
    assert np.all(np.diff(losses) < 0)
    assert losses[-1] < losses[0] / 100


def stretch(lengths: list[int], **settings: object) -> tuple[list[tuple[int, dict]], np.ndarray]:
    """All chunks of a text whose every token is another number, so that each can be found again."""
    ids = np.arange(sum(lengths), dtype=np.int32)
    starts = np.cumsum([0, *lengths[:-1]]).astype(np.int64)
    arguments = {"kept": np.ones(len(ids), np.float32), "noise": noise_cumulated(np.ones(len(ids), np.int64)),
                 "window": 3, "drawn": 8, "blocks": 2, "seed": 1, **settings}
    found = list(chunks(ids, starts, np.array(lengths, np.int64), **arguments))
    return found, np.repeat(np.arange(len(lengths)), lengths)


@pytest.mark.parametrize("size", [90, 10_000])
def test_pairs_are_those_of_a_plain_loop(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skip_gram, "LENGTH", 5)
    lengths = [7, 1, 30, 2, 64, 12, 1]
    found, sequence = stretch(lengths, size=size)
    assert sum(tokens for tokens, _ in found) == sum(lengths)
    assert len({tuple(array.shape for array in arrays.values()) for _, arrays in found}) == 1, "one shape, one compile"
    reach: dict[int, dict[str, list[int]]] = {}
    for _, arrays in found:
        for step in range(int(arrays["steps"][0])):
            own = {name: arrays[name][step] for name in ("ids", "left", "right")}
            for block, column, row, context in pairs(**own, window=3):
                centre = int(own["ids"][block, row + 3])
                assert context - centre == column - row - 3, "the tokens around a stretch are those of the text"
                reach.setdefault(centre, {"contexts": []})["contexts"].append(context)
        rest = arrays["left"][int(arrays["steps"][0]):], arrays["right"][int(arrays["steps"][0]):]
        assert not any(array.any() for array in rest)
    starts = np.cumsum([0, *lengths])
    for centre, own in reach.items():
        first, last = starts[sequence[centre]], starts[sequence[centre] + 1] - 1
        contexts = sorted(own["contexts"])
        assert len(contexts) == len(set(contexts)), "no pair comes twice"
        options = [[c for c in range(max(first, centre - b), min(last, centre + b) + 1) if c != centre]
                   for b in (1, 2, 3)]
        assert contexts in options, "every context within one drawn window, none of another sequence"
    alone = {centre for centre, length in zip(starts, lengths, strict=False) if length == 1}
    assert set(range(sum(lengths))) - set(reach) == alone


def test_windows_are_drawn_evenly() -> None:
    found, _ = stretch([5000] * 4)
    left = np.concatenate([arrays["left"].ravel() for _, arrays in found])
    share = np.bincount(left, minlength=4)[1:] / np.count_nonzero(left)
    np.testing.assert_allclose(share, 1 / 3, atol=0.01)


def test_frequent_tokens_are_thinned_as_word2vec_does() -> None:
    counts = np.array([0, 5, 900, 9_095])
    frequency = counts[2:] / 10_000
    expected = (np.sqrt(frequency / 1e-3) + 1) * 1e-3 / frequency
    np.testing.assert_allclose(kept_share(counts, 1e-3)[2:], expected, rtol=1e-5)
    assert kept_share(counts, 1e-3)[:2].tolist() == [1, 1]
    assert kept_share(counts, 0).tolist() == [1, 1, 1, 1]
    ids = np.repeat([2, 3], [20_000, 20_000]).astype(np.int32)
    kept = np.array([1, 1, 0.5, 0.1], np.float32)
    ((_, arrays),) = chunks(ids, np.array([0]), np.array([40_000]), kept=kept, noise=noise_cumulated(counts), window=2,
                            drawn=8, blocks=4, seed=1)
    inner = arrays["ids"][:, :, 2:-2].ravel()
    assert abs(np.count_nonzero(inner == 2) - 10_000) < 300
    assert abs(np.count_nonzero(inner == 3) - 2_000) < 150


def test_noise_follows_the_counts_to_three_quarters() -> None:
    counts = np.array([0, 1, 10, 100, 1000, 0])
    ids = np.full(30_000, 4, np.int32)
    ((_, arrays),) = chunks(ids, np.array([0]), np.array([30_000]), kept=np.ones(6, np.float32),
                            noise=noise_cumulated(counts), window=2, drawn=160, blocks=4, seed=1)
    drawn = np.bincount(arrays["noise"].ravel(), minlength=6) / arrays["noise"].size
    expected = counts ** 0.75 / (counts ** 0.75).sum()
    np.testing.assert_allclose(drawn, expected, rtol=0.05, atol=1e-12)


def test_one_seed_gives_the_same_bits_and_another_does_not() -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 50, 3000).astype(np.int32)
    starts, lengths = np.arange(0, 3000, 30), np.full(100, 30)

    def trained(weights: int, draws: int) -> np.ndarray:
        network = SkipGram(np.bincount(ids), dim=8, window=3, negative=4, sample=0, seed=weights)
        told: list[int] = []
        network.epoch(ids, starts, lengths, rates=(0.05, 0.01), seed=draws, advance=told.append)
        assert sum(told) == 3000
        return network.tables()[0]

    np.testing.assert_array_equal(trained(1, 2), trained(1, 2))
    assert not np.array_equal(trained(1, 2), trained(1, 3))
    assert not np.array_equal(trained(1, 2), trained(2, 2))


def small(seed: int) -> np.ndarray:
    """Vectors of a made-up text after two passes."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 30, 600).astype(np.int32)
    network = SkipGram(np.bincount(ids), dim=8, window=3, negative=4, sample=0, seed=seed)
    for epoch in range(2):
        network.epoch(ids, np.arange(0, 600, 30), np.full(20, 30), rates=(0.05, 0.01), seed=epoch)
    return network.tables()[0]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_compute_the_same(backend: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    code = "import sys, numpy, test_skip_gram; numpy.save(sys.argv[1], test_skip_gram.small(1))"
    path = os.pathsep.join(map(str, (Path(__file__).parent, Path(__file__).parents[1])))
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "vectors.npy")], capture_output=True, text=True,
                          env={**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "vectors.npy"), small(1), rtol=1e-4, atol=1e-5)
