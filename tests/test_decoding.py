"""Samplers on a scripted network: a table of next-token probabilities in place of a trained decoder."""

from types import SimpleNamespace

import numpy as np
import pytest

from textvae.decoding import BEGIN, END, FREE, ROWS, SAMPLERS, UNKNOWN, Decoder, Sampling, Steering
from textvae.errors import TextvaeError

A, B, C, D = 4, 5, 6, 7
SIZE = 8


def scripted(table: dict[int, dict[int, float]]):
    """A network whose next token depends on the last one alone."""
    import keras
    from keras import ops

    probabilities = np.full((SIZE, SIZE), 1e-9, np.float32)
    for last, following in table.items():
        for token, probability in following.items():
            probabilities[last, token] = probability

    class Scripted(keras.Model):
        embedding = SimpleNamespace(embeddings=np.zeros((SIZE, 1)))

        def xla(self, wanted):
            return wanted

        def first_state(self, z):
            return [z]

        def advance(self, ids, z, state):
            return ids[:, None], state

        def logits(self, outputs):
            return ops.take(ops.log(ops.convert_to_tensor(probabilities)), outputs[:, 0], axis=0)

    return Scripted()


def told(with_z: dict[int, float], without: dict[int, float]):
    """A network that writes one token, by one table where z is not all zeros, by another where it is, and ends."""
    from keras import ops

    first = [np.log(np.array([table.get(token, 1e-9) for token in range(SIZE)], np.float32))
             for table in (without, with_z)]
    network = scripted({token: {END: 1.0} for token in (A, B, C, D)})
    network.latent = 2

    def advance(ids, z, state):
        return ops.stack([ids, ops.cast(ops.any(z[:, :2] != 0, axis=1), "int32")], axis=1), state

    def logits(outputs):
        ids, told = outputs[:, 0], outputs[:, 1]
        ends = ops.take(ops.convert_to_tensor(np.log(np.eye(SIZE, dtype=np.float32) + 1e-9)), ids * 0 + END, axis=0)
        begins = ops.take(ops.convert_to_tensor(np.stack(first)), told, axis=0)
        return ops.where((ids == BEGIN)[:, None], begins, ends)

    network.advance, network.logits = advance, logits
    return network


# Greedy goes A, C (0.6 * 0.4); the likeliest whole text is B, D (0.4 * 0.95).
GARDEN_PATH = {BEGIN: {A: 0.6, B: 0.4}, A: {C: 0.4, D: 0.35, A: 0.25}, B: {D: 0.95, A: 0.05}, C: {END: 1.0},
               D: {END: 1.0}}


def write(table, count=1, seed=0, length=6, steering=FREE, **options):
    decoder = Decoder(scripted(table), length)
    return decoder.decode(np.zeros((count, 2), np.float32), Sampling(**options), rng=np.random.default_rng(seed),
                          steering=steering)


def test_greedy_takes_the_likeliest_token_each_time():
    (ids,), log_probs = write(GARDEN_PATH, sampler="greedy")
    assert ids.tolist() == [A, C] and ids.dtype == np.int32
    assert log_probs[0] == pytest.approx(np.log(0.6 * 0.4 * 1.0) / 3, abs=1e-4)


@pytest.mark.parametrize(("fluency", "token"), [(0.0, A), (0.5, C), (1.0, B)])
def test_fluency_chooses_by_what_z_says_and_by_what_reads_well_without_it(fluency, token):
    # Under z A .6, C .35; without it B .6, C .35: C is the likeliest of both together.
    network = told({A: 0.6, B: 0.05, C: 0.35}, {A: 0.05, B: 0.6, C: 0.35})
    texts, log_probs = Decoder(network, 6).decode(np.ones((3, 2), np.float32), Sampling("greedy", fluency=fluency),
                                                  rng=np.random.default_rng(0))
    assert [ids.tolist() for ids in texts] == [[token]] * 3
    assert log_probs == pytest.approx(np.log({A: 0.6, B: 0.05, C: 0.35}[token]) / 2, abs=1e-4)  # under z, whatever else


def test_fluency_keeps_what_stands_behind_z_such_as_a_label():
    decoder = Decoder(told({A: 1.0}, {B: 1.0}), 6)
    codes = np.asarray(decoder._codes(np.arange(1, 7, dtype=np.float32).reshape(2, 3), Sampling(fluency=0.5)))
    assert codes.tolist() == [[1, 2, 3], [4, 5, 6], [0, 0, 3], [0, 0, 6]]


def test_beam_finds_the_likelier_text_that_greedy_misses():
    (ids,), log_probs = write(GARDEN_PATH, sampler="beam", beams=3)
    assert ids.tolist() == [B, D]
    assert log_probs[0] == pytest.approx(np.log(0.4 * 0.95) / 3, abs=1e-4)


def test_one_beam_is_greedy():
    (ids,), _ = write(GARDEN_PATH, sampler="beam", beams=1)
    assert ids.tolist() == [A, C]


@pytest.mark.parametrize("options", [{"sampler": "top_k", "top_k": 1}, {"sampler": "nucleus", "top_p": 0.01},
                                     {"sampler": "nucleus", "temperature": 0.0}, {"sampler": "temperature",
                                                                                  "temperature": 0.01}])
def test_samplers_narrowed_to_one_token_are_greedy(options):
    texts, _ = write(GARDEN_PATH, count=50, **options)
    assert {tuple(ids.tolist()) for ids in texts} == {(A, C)}


def test_temperature_one_draws_by_probability():
    texts, _ = write(GARDEN_PATH, count=4000, sampler="temperature", temperature=1.0)
    share = np.mean([ids[0] == A for ids in texts])
    assert share == pytest.approx(0.6, abs=0.03)  # four standard errors


def test_top_k_and_nucleus_leave_out_the_tail():
    table = {BEGIN: {A: 0.5, B: 0.3, C: 0.15, D: 0.05}, A: {END: 1}, B: {END: 1}, C: {END: 1}, D: {END: 1}}
    for options in ({"sampler": "top_k", "top_k": 2}, {"sampler": "nucleus", "top_p": 0.7}):
        texts, _ = write(table, count=500, temperature=1.0, **options)
        assert {int(ids[0]) for ids in texts} == {A, B}


@pytest.mark.parametrize("sampler", [*SAMPLERS, "beam"])
def test_special_tokens_are_never_written(sampler):
    table = {BEGIN: {0: 0.3, 1: 0.3, 3: 0.3, A: 0.1}, A: {0: 0.3, 1: 0.3, 3: 0.3, END: 0.1}}
    texts, _ = write(table, count=20, sampler=sampler, temperature=1.0)
    assert all(ids.tolist() == [A] for ids in texts)


def test_a_wanted_token_is_pushed_until_a_text_has_it():
    table = {BEGIN: {A: 0.9, B: 0.1}, A: {A: 0.9, END: 0.1}, B: {A: 0.4, B: 0.1, END: 0.5}}
    wanted = Steering(wanted=(B,), push=30.0)
    (ids,), log_probs = write(table, sampler="greedy", steering=wanted)
    assert ids.tolist() == [B] and log_probs[0] == pytest.approx(np.log(0.1 * 0.5) / 2, abs=1e-4)  # without the push
    texts, _ = write(table, count=2000, temperature=1.0, sampler="temperature", steering=wanted)
    assert all(ids[0] == B for ids in texts)
    # From then on by probability: again with 0.1, four standard errors.
    assert np.mean([len(ids) > 1 and ids[1] == B for ids in texts]) == pytest.approx(0.1, abs=0.027)
    # Several, each until it is there; then without any by the same decoder.
    decoder = Decoder(scripted({BEGIN: {A: 0.9, B: 0.05, C: 0.05}, A: {END: 1}, B: {C: 0.1, END: 0.9},
                                C: {B: 0.1, END: 0.9}}), 6)
    for steering, expected in ((Steering(wanted=(C, B), push=30.0), {B, C}), (FREE, {A}),
                               (Steering(wanted=(C,), push=30.0), {C})):
        (ids,), _ = decoder.decode(np.zeros((1, 2), np.float32), Sampling("greedy"), rng=np.random.default_rng(0),
                                   steering=steering)
        assert set(ids.tolist()) == expected


@pytest.mark.parametrize("sampler", [*SAMPLERS, "beam"])
def test_barred_tokens_are_never_written(sampler):
    texts, _ = write(GARDEN_PATH, count=50, sampler=sampler, temperature=1.0, steering=Steering(barred=(A,)))
    assert {tuple(ids.tolist()) for ids in texts} == {(B, D)}


@pytest.mark.parametrize("sampler", [*SAMPLERS, "beam"])
def test_the_unknown_token_is_written_only_where_it_may_be(sampler):
    table = {BEGIN: {UNKNOWN: 0.9, A: 0.1}, UNKNOWN: {END: 1.0}, A: {END: 1.0}}
    (ids,), _ = write(table, sampler=sampler)
    assert ids.tolist() == [A]
    (ids,), _ = write(table, sampler=sampler, temperature=0.01, steering=Steering(unknown=True))
    assert ids.tolist() == [UNKNOWN]


@pytest.mark.parametrize("sampler", [*SAMPLERS, "beam"])
def test_a_text_without_end_stops_at_max_length(sampler):
    (ids,), log_probs = write({BEGIN: {A: 1.0}, A: {A: 0.5, B: 0.5}, B: {A: 0.5, B: 0.5}}, sampler=sampler, length=5)
    assert len(ids) == 5
    # Of six tokens, the last of which stands in the place of the end.
    assert log_probs == pytest.approx(np.log(0.5) * 5 / 6, abs=1e-4)


def test_a_seed_writes_the_same_again_and_another_does_not():
    first, again, other = (write(GARDEN_PATH, count=30, seed=seed, temperature=1.0)[0] for seed in (1, 1, 2))
    assert [ids.tolist() for ids in first] == [ids.tolist() for ids in again]
    assert [ids.tolist() for ids in first] != [ids.tolist() for ids in other]


def test_rows_that_only_fill_up_are_not_handed_out():
    for count in (0, 1, 5, 9):
        texts, log_probs = write(GARDEN_PATH, count=count, temperature=1.0)
        assert len(texts) == len(log_probs) == count


@pytest.mark.parametrize("fluency", [0.0, 0.5])
def test_many_texts_are_written_as_few_are(fluency):
    # Texts of many lengths, so that ever fewer rows wait for a token, and more of them than are computed together.
    decoder = Decoder(told({A: 0.4, B: 0.3, C: 0.3}, {A: 0.3, B: 0.4, C: 0.3}) if fluency else
                      scripted({BEGIN: {A: 0.5, B: 0.5}, A: {A: 0.5, B: 0.3, END: 0.2}, B: {A: 0.6, END: 0.4}}), 12)
    options = Sampling(temperature=1.0, fluency=fluency)
    count = 3 * ROWS + 5
    many, log_probs = decoder.decode(np.ones((count, 2), np.float32), options, rng=np.random.default_rng(3))
    few, same = decoder.decode(np.ones((5, 2), np.float32), options, rng=np.random.default_rng(3))
    assert [ids.tolist() for ids in many[:5]] == [ids.tolist() for ids in few] and len(many) == count
    assert log_probs[:5] == pytest.approx(same, abs=1e-5)
    assert len({tuple(ids.tolist()) for ids in many[ROWS:]}) > 2  # the later groups are written, each by itself


def test_given_tokens_stand_and_only_chosen_ones_count():
    template = np.full((ROWS + 1, 7), -1, np.int32)
    template[:, 1] = D  # the first is open, the second given, what follows open
    template[-1, :4] = [C, B, A, END]
    decoder = Decoder(scripted({BEGIN: {A: 0.6, B: 0.4}, D: {C: 0.7, A: 0.3}, C: {END: 0.8, A: 0.2}}), 6)
    texts, log_probs = decoder.decode(np.zeros((ROWS + 1, 2), np.float32), Sampling("greedy"),
                                      rng=np.random.default_rng(0), template=template)
    assert [ids.tolist() for ids in texts] == [[A, D, C]] * ROWS + [[C, B, A]]
    assert log_probs[:ROWS] == pytest.approx(np.log(0.6 * 0.7 * 0.8) / 3, abs=1e-4)
    assert log_probs[-1] == 0  # nothing of it was chosen


def test_an_unknown_sampler_is_refused():
    with pytest.raises(TextvaeError, match=r"unknown sampler 'nuclear' \(one of: greedy"):
        Sampling("nuclear")
    with pytest.raises(TextvaeError, match="temperature -1"):
        Sampling(temperature=-1)
    with pytest.raises(TextvaeError, match=r"fluency 1\.5"):
        Sampling(fluency=1.5)


def test_a_draw_goes_by_weight_across_blocks_and_never_to_nothing():
    from textvae.decoding.samplers import _draw

    rng = np.random.default_rng(0)
    weights = rng.random(300).astype(np.float32) * (rng.random(300) < 0.5)
    weights[[0, 299]] = 0
    draws = 40_000
    uniform = rng.random(draws, np.float32)
    uniform[:3] = 0.0, np.nextafter(np.float32(1), np.float32(0)), 0.5
    found = np.bincount(np.asarray(_draw(np.tile(weights, (draws, 1)), uniform)), minlength=300)
    expected = weights / weights.sum()
    assert not found[weights == 0].any()
    assert np.abs(found / draws - expected).max() < 5 * np.sqrt(expected.max() / draws)


@pytest.mark.parametrize("options", [{"sampler": "nucleus", "top_p": share} for share in (0.1, 0.5, 0.9, 1.0)]
                         + [{"sampler": "top_k", "top_k": count} for count in (1, 5, 20, 400)], ids=str)
def test_what_is_drawn_from_is_what_a_full_sort_leaves(options):
    from textvae.decoding import SAMPLERS, TRIES

    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, 400).astype(np.float32)
    probabilities = np.exp(logits) / np.exp(logits).sum()
    order = np.argsort(-probabilities)
    before = np.cumsum(probabilities[order]) - probabilities[order]
    kept = order[:options["top_k"]] if "top_k" in options else order[before < options["top_p"]]
    expected = np.zeros(400)
    expected[kept] = probabilities[kept] / probabilities[kept].sum()
    draws = 20_000
    uniform = rng.random((draws, TRIES), np.float32)
    chosen = np.asarray(SAMPLERS[options["sampler"]](np.tile(logits, (draws, 1)), uniform,
                                                     Sampling(temperature=1.0, **options)))
    found = np.bincount(chosen, minlength=400) / draws
    assert not found[expected == 0].any()
    # Five standard errors, and the one draw in a thousand that gives up and takes the likeliest.
    assert np.abs(found - expected).max() < 5 * np.sqrt(expected.max() / draws) + 0.002
