"""The infiller: what it may see, what it learns, its stage, and how texts are filled with it."""

from types import SimpleNamespace

import keras
import networks
import numpy as np
import pytest
from test_decoding import SIZE, A, B, C, scripted, told

from textvae.config import InfillerConfig
from textvae.data import TrainedNetwork
from textvae.decoding import BEGIN, END, PAD, Decoder, Sampling
from textvae.nn.infiller import LONGEST, OPEN, opened
from textvae.nn.weights import gather
from textvae.progress import Progress
from textvae.stages import infiller, word_transformer


def sandwiches(count=300):
    """Three tokens each: the middle one follows from both of its neighbours, and from neither of them alone."""
    rng = np.random.default_rng(0)
    sequences = []
    for _ in range(count):
        first, last = (int(number) for number in rng.integers(0, 2, 2))
        sequences.append([4 + first, 6 + 2 * first + last, 10 + last])
    split = [(0, 0, 0, 0, 1, 2)[row % 6] for row in range(count)]
    return networks.tokens(sequences, range(count), split, size=12)


def vae(hidden=16):
    return TrainedNetwork("sequence_vae", {"hidden": hidden}, {
        "sequence_vae/embedding/embeddings": np.random.default_rng(1).normal(0, 0.1, (12, 8)).astype("f4")})


def run(tmp_path, **settings):
    return infiller.run(InfillerConfig(**{"epochs": 30, "patience": 30, "dropout": 0.0, "batch_size": 16,
                                          "learning_rate": 0.02, **settings}),
                        sandwiches(), vae(), seed=1, progress=Progress(), scratch=tmp_path)


def test_each_token_is_predicted_from_all_others_and_not_from_itself():
    network = networks.build("infiller")
    target = np.array([[5, 6, 7, END]], np.int32)

    def logits(decoder, given):
        onward = network.onward(network.embedding(decoder))
        return np.asarray(network.logits(onward, network.behind(given)))[0]

    before = logits(np.array([[BEGIN, 5, 6, 7]]), target)
    for place in range(4):
        other = target.copy()
        other[0, place] = 8
        after = logits(np.array([[BEGIN, *other[0, :3]]]), other)
        changed = np.abs(after - before).max(axis=-1) > 1e-6
        assert changed.tolist() == [row != place for row in range(4)]


def test_a_step_of_filling_says_what_training_says():
    network = networks.build("infiller")
    decoder, given = np.array([[BEGIN, 5, 6, 7]]), np.array([[5, OPEN, 7, END]])
    whole = np.asarray(network.logits(network.onward(network.embedding(decoder)), network.behind(given)))
    state, behind = network.first_state(decoder), network.behind(given)
    for place in range(4):
        before, state = network.advance(keras.ops.convert_to_tensor(decoder[:, place]), state)
        np.testing.assert_allclose(network.logits(before, behind[:, place]), whole[:, place], atol=1e-5)


def test_padding_changes_nothing():
    network = networks.trained("infiller")
    from textvae.nn.weights import restore

    network = restore(network.kind, network.settings, network.weights)
    short = {"decoder": np.array([[BEGIN, 5, 6]]), "target": np.array([[5, 6, END]])}
    long = {name: np.pad(ids, ((0, 0), (0, 3))) for name, ids in short.items()}
    assert float(network.score(short)[0]) == pytest.approx(float(network.score(long)[0]), rel=1e-5)


def test_behind_its_end_nothing_of_a_template_is_read():
    network = networks.build("infiller")
    short, long = (np.asarray(network.behind(np.array([[5, OPEN, 7, *[END] * ends]]))) for ends in (1, 4))
    np.testing.assert_allclose(short, long[:, :4], atol=1e-6)
    assert not long[:, 3:].any() and short[0, 0].any()


def test_stretches_open_at_random_and_an_end_never_does():
    target = np.tile(np.array([5, 6, 7, 8, 9, 10] * 3 + [END, PAD], np.int32), (2000, 1))
    given = opened(target, np.random.default_rng(0))
    free = given == OPEN
    assert given.dtype == np.int32 and (given[~free] == target[~free]).all() and not free[:, -2:].any()
    shares = free[:, :-2].mean(axis=1)
    assert 0.15 < shares.mean() < 0.3 and shares.std() > 0.1 and (shares == 0).any()
    stretches = np.concatenate([np.diff(np.flatnonzero(np.diff(np.pad(row, 1).astype(int)))).tolist()[::2]
                                for row in free])
    assert 1.5 < stretches.mean() < 3 and stretches.max() >= LONGEST


def test_the_middle_is_learnt_from_both_of_its_sides(tmp_path):
    tokens, done = sandwiches(), run(tmp_path)
    assert done.kind == "infiller" and done.metrics["trained"]
    # First and last are fair coins that the other two give away; from its left alone the middle is a coin as well.
    found = word_transformer.perplexity(done, tokens, "test")
    assert found["perplexity"] < 1.1 and found["predictions"] == 4 * len(tokens.rows("test"))
    # Open places are predicted as well as can be: validation sequences have some.
    assert 1.0 < done.metrics["val_perplexity"] < 1.6


def test_a_sampled_softmax_learns_the_same(tmp_path):
    done = run(tmp_path, softmax_samples=8)
    assert word_transformer.perplexity(done, sandwiches(), "test")["perplexity"] < 1.15


def test_a_seed_trains_the_same_and_none_is_trained_without_epochs(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    one, two = (run(tmp_path / name, epochs=2, dropout=0.3) for name in "ab")
    assert networks.same_bits(one, two)
    none = run(tmp_path, epochs=0)
    assert not none.weights and none.metrics == {"trained": False, "reason": "infiller.epochs is 0"}


def test_it_begins_with_the_word_vectors_of_the_sequence_vae(tmp_path):
    done = run(tmp_path, epochs=1, learning_rate=0.0)
    np.testing.assert_array_equal(done.weights["infiller/embedding/embeddings"],
                                  vae().weights["sequence_vae/embedding/embeddings"])


def filler(answer):
    """An infiller that knows the token given behind a place alone: its answer has probabilities for each."""
    from keras import ops

    table = np.full((SIZE, SIZE), -20.0, np.float32)
    for behind, chances in answer.items():
        for token, chance in chances.items():
            table[behind, token] = np.log(chance)

    class Scripted(keras.Model):
        def xla(self, wanted):
            return wanted

        def behind(self, given):
            return ops.concatenate([given[:, 1:], ops.zeros_like(given[:, :1])], axis=1)[:, :, None]

        def first_state(self, like):
            return [ops.cast(like[:, :1], "float32")]

        def advance(self, ids, state):
            return ids[:, None], state

        def logits(self, before, behind):
            return ops.take(ops.convert_to_tensor(table), behind[:, 0], axis=0)

    return Scripted()


@pytest.mark.parametrize(("chance", "token"), [(0.5, A), (0.99, B)])
def test_open_places_are_filled_by_both_networks(chance, token):
    network = scripted({BEGIN: {A: 0.9, B: 0.1}, A: {C: 0.5, END: 0.5}, B: {C: 0.5, END: 0.5}, C: {END: 1.0}})
    decoder = Decoder(network, 3, filler({C: {A: 1 - chance, B: chance}}))
    template = np.array([[-1, C, END, END]] * 3, np.int32)
    texts, log_probs = decoder.decode(np.zeros((3, 2), np.float32), Sampling("greedy"),
                                      rng=np.random.default_rng(0), template=template)
    assert [ids.tolist() for ids in texts] == [[token, C]] * 3
    assert log_probs == pytest.approx(np.log({A: 0.9, B: 0.1}[token]), abs=1e-4)  # by the network that knows z


@pytest.mark.parametrize(("fluency", "token"), [(0.0, A), (1.0, B)])
def test_what_z_adds_is_added_to_what_fits_a_place(fluency, token):
    # B fits better, by 0.6 to 0.4; z makes A three times as likely as it is without, and C likelier still.
    network = told({A: 0.3, B: 0.3, C: 0.4}, {A: 0.1, B: 0.3, C: 0.1})
    decoder = Decoder(network, 3, filler({END: {A: 0.4, B: 0.6, C: 0.01}}), fluent=True)
    template = np.array([[-1, END, END, END]] * 2, np.int32)
    texts, log_probs = decoder.decode(np.ones((2, 2), np.float32), Sampling("greedy", fluency=fluency),
                                      rng=np.random.default_rng(0), template=template)
    assert [ids.tolist() for ids in texts] == [[token]] * 2
    assert log_probs == pytest.approx(np.log(0.3), abs=1e-4)


def test_an_infiller_has_heard_of_no_label_so_that_what_it_adds_to_is_told_of_none():
    network = scripted({})
    network.latent = 2
    network.code = lambda z, label: keras.ops.concatenate([z, 7.0 + keras.ops.cast(label, "float32")[:, None]], axis=1)
    decoder = Decoder(network, 3, filler({}), fluent=True)
    codes = np.asarray(decoder._codes(np.arange(1, 7, dtype=np.float32).reshape(2, 3), Sampling(), fills=True))
    assert codes.tolist() == [[1, 2, 3], [4, 5, 6], [0, 0, 7], [0, 0, 7]]


def test_texts_of_which_nothing_is_given_are_left_to_the_sequence_vae():
    network = scripted({BEGIN: {A: 0.9, B: 0.1}, A: {END: 1.0}, B: {END: 1.0}})
    decoder = Decoder(network, 3, filler({END: {B: 1.0}}))
    texts, _ = decoder.decode(np.zeros((2, 2), np.float32), Sampling("greedy"), rng=np.random.default_rng(0))
    assert [ids.tolist() for ids in texts] == [[A]] * 2


def test_a_writer_fills_with_its_infiller_and_without_one_by_pairs(monkeypatch):
    plain = networks.writer()
    size = plain.tokenizer.size
    from textvae import nn

    network = nn.NETWORKS["infiller"](vocabulary=size, embedding=8, hidden=8, seed=1)
    trained = TrainedNetwork("infiller", network.settings, gather(network))
    from textvae.writing.writer import Writer

    source = TrainedNetwork("sequence_vae", plain.network.settings, gather(plain.network))
    pairs = SimpleNamespace(ahead=lambda template: asked.append(len(template)) or (
        np.zeros((1, size), np.float32), np.zeros(template.shape, np.int32)))
    for infill, calls in ((trained, 0), (None, 1), (TrainedNetwork("infiller", {}, {}, {}), 1)):
        asked: list[int] = []
        writer = Writer(plain.tokenizer.to_json(), source, pairs=pairs, infiller=infill)
        given = writer.ids(["the cat sat"])[0]
        closed = np.array([given[0], -1, given[2], *[END] * 7], np.int32)
        template = np.stack([closed, np.full(10, -1, np.int32), closed])
        ids, nats = writer.write(np.zeros((3, 3), np.float32), writer.sampling("nucleus", 0.6),
                                 np.random.default_rng(0), template=template)
        assert len(asked) == calls and sum(asked) == 2 * calls and nats.shape == (3,)
        assert all(len(ids[row]) == 3 and ids[row][[0, 2]].tolist() == given[[0, 2]].tolist() for row in (0, 2))
