"""The sequence VAE: batches, terms, penalties, and a training that is killed and goes on."""

import dataclasses

import networks
import numpy as np
import pytest
from pets import FAR, NEAR, TINY, Killed, same, train

from textvae import constraints
from textvae.config import ConstraintConfig
from textvae.constraints import defined, members
from textvae.data import Latents, TrainedNetwork
from textvae.errors import ConfigError, TextvaeError
from textvae.progress import Progress
from textvae.stages import latents, prior, sequence_vae
from textvae.text.language_model import KneserNey
from textvae.writing.model import FLUENCY, Model
from textvae.writing.writer import Writer


def test_history_has_every_term_of_every_epoch(trained):
    assert [row["epoch"] for row in trained.history] == [1, 2, 3, 4]
    for name in ("loss", "reconstruction", "kl", "kl_free", "constraint_cats", "constraint_away"):
        assert all(np.isfinite(row[name]) and np.isfinite(row[f"val_{name}"]) for row in trained.history)
    assert trained.plot.startswith(b"\x89PNG")


def test_the_kl_rises_and_penalties_wait_for_it(trained):
    for row, beta, weight in zip(trained.history, (0.0, 0.2, 0.4, 0.6), (0, 0, 0, 1), strict=True):
        penalties = row["constraint_cats"] + row["constraint_away"]
        assert penalties > 0.1
        expected = row["reconstruction"] + beta * row["kl_free"] + weight * penalties
        assert row["loss"] == pytest.approx(expected, rel=1e-4)


def test_a_killed_training_ends_as_one_that_was_not(trained, tokens, vectors, tmp_path):
    # Killed after the pre-training, so that the fresh decoder has to come out the same as well.
    with pytest.raises(KeyboardInterrupt):
        train(TINY, tokens, vectors, tmp_path / "s", progress=Killed(2))
    watcher = Killed(0)
    resumed = train(TINY, tokens, vectors, tmp_path / "s", progress=watcher)
    assert same(trained, resumed) and resumed.history == trained.history
    assert watcher.said[0] == "sequence_vae: resuming after epoch 1"


def test_training_learns_texts_and_regions(tokens, vectors, tmp_path):
    heavy = (dataclasses.replace(NEAR, weight=0.0), dataclasses.replace(FAR, weight=10.0))
    config = dataclasses.replace(TINY, epochs=25, patience=25, pretrain_epochs=0, dropout=0.0, noise=0.0, beta=0.01,
                                 word_dropout=0.0, learning_rate=0.02, constraints=heavy)
    history = train(config, tokens, vectors, tmp_path / "s").history
    assert history[-1]["val_reconstruction"] < 0.6 * history[0]["val_reconstruction"]
    assert history[-1]["constraint_away"] < 0.3 * history[0]["constraint_away"]  # in training: other texts are longer


def test_a_margin_keeps_other_sequences_outside(tokens, vectors, tmp_path):
    config = dataclasses.replace(TINY, epochs=25, patience=25, pretrain_epochs=0, dropout=0.0, noise=0.0, beta=0.01,
                                 word_dropout=0.0, learning_rate=0.02)
    rows = tokens.rows("train")  # the validation split has other lengths
    apart = {}
    for margin in (0.0, 8.0):
        own = ConstraintConfig(name="cats", keyword="cat", threshold=4.0, margin=margin, weight=3.0, start=0)
        trained = train(dataclasses.replace(config, constraints=(own,)), tokens, vectors, tmp_path / str(margin))
        writer = Writer(tokens.tokenizer, trained)
        inside = writer.region("cats").holds(writer.posterior([tokens.sequence(row) for row in rows])["mean"])
        cats = members({"keyword": "cat"}, tokens, rows)
        apart[margin] = inside[cats].mean() - inside[~cats].mean()
    assert apart[8.0] > 0.9 > apart[0.0]


def test_a_margin_acts_on_those_that_have_another_label_of_the_key(tokens):
    own = dataclasses.replace(tokens, post_labels=(("pet=cat",), ("pet=dog", "far=no"), ("far=no",)) + ((),) * 37)
    applies = defined(ConstraintConfig(name="cats", label="pet=cat", margin=1.0), own).applies
    assert applies[:8].tolist() == [1, 1, -1, -1, 0, 0, 0, 0] and not applies[8:].any()
    applies = defined(ConstraintConfig(name="cats", keyword="cat", margin=1.0), own).applies
    assert applies[:4].tolist() == [-1, 1, -1, 1]


@pytest.mark.parametrize("posts", [3, 4, 5, 7, 26])
def test_a_constraints_centre_is_of_texts_from_the_whole_corpus(tokens, monkeypatch, posts):
    monkeypatch.setattr(constraints, "CENTRE_TEXTS", 8)
    train = tokens.rows("train")
    wanted = train[:2 * posts]
    own = dataclasses.replace(  # each sequence repeats its own number
        tokens, ids=np.repeat(np.arange(80, dtype=np.int32), tokens.lengths),
        tokenizer={**tokens.tokenizer, "size": 80},
        post_labels=tuple(("pet=cat",) if post in tokens.post[wanted] else () for post in range(40)))
    found = [int(text[0]) for text in defined(ConstraintConfig(name="cats", label="pet=cat"), own).texts]
    assert len(set(found)) == len(found) == min(2 * posts, 8) and found[0] == wanted[0] and found[-1] == wanted[-1]
    assert np.ptp(np.diff(np.searchsorted(wanted, found))) <= 1


def test_the_penalty_of_a_margin():
    from textvae.nn.penalties import constraint_distance

    mean = np.array([[0.0, 0.0], [3.0, 0.0], [1.0, 0.0], [1.0, 0.0]], np.float32)
    applies = np.array([1.0, 1.0, -1.0, 0.0], np.float32)
    penalty = float(constraint_distance(mean, np.zeros(2, np.float32), applies, kind="near", threshold=2.0, margin=3.0))
    assert penalty == pytest.approx((0.0 + 7.0) / 2 + 4.0)


def test_gru_without_word_vectors(tokens, vectors, tmp_path):
    config = dataclasses.replace(TINY, encoder="gru", decoder="gru", vectors="none", embedding=5, epochs=1)
    result = train(config, tokens, vectors, tmp_path / "s")
    assert result.weights["sequence_vae/embedding/embeddings"].shape == (10, 5)


def test_batches_hold_every_sequence_once_and_noise_only_touches_inputs(tokens):
    rows = tokens.rows("train")
    applies = np.zeros((len(tokens), 0), np.float32)
    clean = list(sequence_vae.batches(tokens, rows, 8, applies))
    noised = list(sequence_vae.batches(tokens, rows, 8, applies, noise={"delete": 0.5}, word_dropout=0.5,
                                       rng=np.random.default_rng(0)))
    texts = sorted(tuple(tokens.sequence(row)) for row in rows)
    for found in (clean, noised):
        targets = [tuple(row[(row > 2)]) for batch in found for row in batch["target"]]
        assert sorted(targets) == texts
    assert sum((batch["encoder"] > 0).sum() for batch in noised) < sum((b["encoder"] > 0).sum() for b in clean)
    assert all((batch["encoder"] > 0).any(axis=1).all() for batch in noised)
    assert any((batch["decoder"] == 3).any() for batch in noised)
    assert all((batch["decoder"][:, 0] == 1).all() for batch in noised)


def test_sequences_whose_z_is_kept_back_are_whole_though_others_are_spliced(tokens):
    rows = tokens.rows("train")
    batches = list(sequence_vae.batches(tokens, rows, 8, np.zeros((len(tokens), 0), np.float32), splice=1.0,
                                        latent_dropout=0.5, rng=np.random.default_rng(0)))
    whole = {tuple(tokens.sequence(row)) for row in rows}
    kept = [tuple(row[row > 2]) in whole for batch in batches for row, told in zip(batch["target"], batch["told"],
                                                                                  strict=True) if not told]
    spliced = [tuple(row[row > 2]) in whole for batch in batches for row, told in zip(batch["target"], batch["told"],
                                                                                     strict=True) if told]
    assert all(kept) and not all(spliced)
    assert 0.3 < len(kept) / len(rows) < 0.7


def test_a_network_that_learnt_to_write_without_z_is_fluent_unless_told_otherwise_and_no_other_is(
        tokens, vectors, trained, tmp_path):
    deaf = Writer.of(tokens, trained)
    assert deaf.sampling("nucleus", 0.6).fluency == 0
    with pytest.raises(TextvaeError, match="cannot write without z"):
        deaf.sample(2, seed=1, fluency=0.3)
    with pytest.raises(TextvaeError, match="cannot write without z"):
        deaf.vary("cat sat far home", 2, seed=1, fluency=0.3)
    config = dataclasses.replace(TINY, latent_dropout=0.3, constraints=(), epochs=3)
    result = train(config, tokens, vectors, tmp_path / "s")
    writer = Writer.of(tokens, result)
    assert result.settings["latent_dropout"] == 0.3
    assert writer.sampling("nucleus", 0.6).fluency == FLUENCY
    assert writer.sampling("nucleus", 0.6, default=writer.unbound).fluency == result.metrics["fluency"]
    assert "fluency" not in trained.metrics
    assert deaf.sampling("nucleus", 0.6, default=deaf.unbound).fluency == 0
    z = 10 * np.random.default_rng(0).standard_normal((20, writer.latent), np.float32)
    # What it writes without z is the same for every z; with z alone it is not.
    alone, told = ({tuple(ids) for ids in writer.decode_ids(z, seed=1, fluency=share)} for share in (1.0, 0.0))
    assert len(alone) == 1 < len(told)
    one, same, alone = (writer.texts(writer.decode_ids(z, seed=1, temperature=1.0, fluency=share))
                        for share in (None, FLUENCY, 1.0))
    assert one == same != alone
    nats = writer.plain_nats(writer.ids(["cat sat far home", "dog ran"]))
    assert [len(own) for own in nats] == [5, 3] and not writer.plain_nats([])
    assert np.allclose(nats[1], writer.token_nats(writer.ids(["dog ran"]), np.zeros((1, writer.latent), np.float32))[0],
                       atol=1e-5)


@pytest.fixture(scope="module")
def fluent(tokens, vectors, tmp_path_factory) -> TrainedNetwork:
    """A network that was trained to write without z."""
    return train(dataclasses.replace(TINY, latent_dropout=0.3, constraints=(), epochs=1, pretrain_epochs=0), tokens,
                 vectors, tmp_path_factory.mktemp("fluent") / "scratch")


@pytest.mark.parametrize(("nats", "share"), [((5.0, 4.1), 0.0), ((5.0, 5.5, 4.3, 4.1), 0.3), ((5.0,) * 7, 0.75)])
def test_samples_take_the_least_fluency_that_makes_them_likely_enough(fluent, tokens, monkeypatch, nats, share):
    said = iter(nats)  # of held-out texts, and of samples at each share
    monkeypatch.setattr(KneserNey, "perplexity", lambda *_: np.exp(next(said)))
    found = prior.fluency(fluent, tokens, seed=1)
    assert found.metrics["fluency"] == share and next(said, None) is None
    writer = Writer.of(tokens, found)
    assert writer.sampling("nucleus", 0.6, default=writer.unbound).fluency == share


def test_draws_and_steps_keep_to_ones_own_posts(tokens, trained, monkeypatch):
    beside = dataclasses.replace(tokens, background=np.arange(40) % 3 == 0)
    own = len(beside.rows("train", own=True))
    assert 0 < own < len(beside.rows("train"))
    read, posterior = [], Model.posterior
    monkeypatch.setattr(Model, "posterior", lambda self, sequences, *rest: (
        read.append(len(sequences)) or posterior(self, sequences, *rest)))
    prior.fitted(trained, beside, None, most=1, seed=1, progress=Progress())
    assert read == [own, len(tokens.rows("validation"))]
    means = np.zeros((len(tokens), trained.settings["latent"]), np.float32)
    assert len(Writer.of(beside, trained, latents=Latents(means, means)).latents) == own


def test_the_decoder_reconstructs_from_zeros_where_z_is_kept_back_and_the_kl_stays():
    from textvae import nn
    from textvae.nn import batching

    network = nn.NETWORKS["sequence_vae"](vocabulary=12, embedding=6, hidden=8, latent=4, max_length=5, seed=1,
                                          latent_dropout=0.5)
    texts = [np.array([5, 6, 7], np.int32), np.array([8, 9, 10], np.int32)]
    arrays = batching.teacher_forced(texts, 4)
    inputs = {**arrays, "encoder": batching.pad(texts, 4), "applies": np.zeros((2, 0), np.float32)}
    untold, told = (network.terms({**inputs, "told": np.array([own, 1.0], np.float32)}, False) for own in (0.0, 1.0))
    blank = network.score({**arrays, "code": np.zeros((2, 4), np.float32)})
    assert float(untold["reconstruction"][0]) == pytest.approx(float(blank[0]), rel=1e-5)
    assert float(told["reconstruction"][0]) != pytest.approx(float(blank[0]), rel=1e-5)
    assert np.allclose(untold["kl"], told["kl"])


def test_spliced_sequences_are_the_beginning_of_one_and_the_end_of_another_and_come_back_whole(tokens):
    rows = tokens.rows("train")
    batches = list(sequence_vae.batches(tokens, rows, 8, np.zeros((len(tokens), 0), np.float32), splice=1.0,
                                        rng=np.random.default_rng(0)))
    whole = [tuple(tokens.sequence(row)) for row in rows]
    pieces = [tuple(row[row > 2]) for batch in batches for row in batch["target"]]
    assert sorted(map(len, pieces)) == sorted(map(len, whole))
    assert set(pieces) - set(whole)
    begins, ends = ({text[:n] for text in whole for n in range(len(text) + 1)},
                    {text[n:] for text in whole for n in range(len(text) + 1)})
    for text in pieces:
        assert any(text[:n] in begins and text[n:] in ends for n in range(1, len(text) + 1)), text
    assert all((batch["encoder"] == batch["target"][:, :-1] * (batch["encoder"] > 0)).all() for batch in batches)


def test_fitted_widths_and_places_of_the_softmax_change_no_loss(tokens):
    import keras

    from textvae import nn

    network = nn.NETWORKS["sequence_vae"](vocabulary=10, embedding=4, hidden=6, latent=3, max_length=12, seed=1)
    for variable in network.weights:
        variable.assign(np.random.default_rng(2).normal(0, 0.4, variable.shape))
    network.family.log_var.bias.assign(np.full(3, -40.0))  # no noise to speak of
    rows, applies = tokens.rows("train"), np.zeros((len(tokens), 0), np.float32)

    def total(batches):
        count, sums = 0, 0.0
        for arrays in batches:
            terms = network(arrays)
            sums += float(keras.ops.sum(terms["reconstruction"]))
            count += len(arrays["encoder"])
        assert count == len(rows)
        return sums

    plain = total({**nn.batching.teacher_forced([tokens.sequence(row)], 30), "applies": applies[:1]} for row in rows)
    assert total(sequence_vae.batches(tokens, rows, 8, applies)) == pytest.approx(plain, rel=1e-5)
    for most in (1, 2, 3):
        widths = nn.batching.fit_widths(tokens.lengths[rows], most)
        batches = list(sequence_vae.batches(tokens, rows, 8, applies, widths=widths))
        assert len({arrays["target"].shape for arrays in batches}) <= most + 1
        assert total(batches) == pytest.approx(plain, rel=1e-5)
    # Sampling all tokens but one changes little, and reads the table through the batch's own rows.
    chances = nn.sampled_softmax.inclusion(np.array([0, 0, 40, 0, 9, 9, 9, 9, 80, 80]), 9)
    sampled = total(sequence_vae.batches(tokens, rows, 8, applies, chances=chances, rng=np.random.default_rng(1)))
    assert sampled == pytest.approx(plain, rel=0.1) and sampled != pytest.approx(plain, rel=1e-6)


def test_training_with_a_sampled_softmax_learns_and_is_tested_exactly(tokens, vectors, tmp_path):
    config = dataclasses.replace(TINY, epochs=15, patience=15, pretrain_epochs=0, dropout=0.0, noise=0.0, beta=0.01,
                                 word_dropout=0.0, learning_rate=0.02, constraints=(), softmax_samples=5)
    history = train(config, tokens, vectors, tmp_path / "s").history
    assert history[-1]["val_reconstruction"] < 0.6 * history[0]["val_reconstruction"]
    # As many as there are take all: a recipe's number suits any corpus.
    many, every = (train(dataclasses.replace(config, epochs=1, softmax_samples=count), tokens, vectors,
                         tmp_path / f"t-{count}") for count in (10, 0))
    assert networks.same_bits(many, every)


@pytest.mark.parametrize(("constraint", "says"), [
    (ConstraintConfig(name="x", label="pet=cow"), "no training sequence has label 'pet=cow' .labels are: pet=cat"),
    (ConstraintConfig(name="x", keyword="cow"), r"no training sequence has keyword .*constraints=\[\]"),
    (ConstraintConfig(name="x"), "defined by nothing"),
    (ConstraintConfig(name="x", label="pet=cat", keyword="dog"), "give it a name and one of"),
    (ConstraintConfig(name="x", texts=("home sat",)), 'set applies_to = "all"'),
    (ConstraintConfig(name="x", keyword="dog", kind="far", margin=1.0), "has a margin, which is for near regions"),
])
def test_constraints_that_cannot_work_are_refused(tokens, vectors, tmp_path, constraint, says):
    with pytest.raises(ConfigError, match=says):
        train(dataclasses.replace(TINY, constraints=(constraint,)), tokens, vectors, tmp_path / "s")


def test_a_loss_that_is_no_number_is_an_error(tokens, vectors, tmp_path):
    with pytest.raises(TextvaeError, match="loss became"):
        train(dataclasses.replace(TINY, learning_rate=1e30, clip=0.0), tokens, vectors, tmp_path / "s")


def test_tensorboard_is_checked_before_training(tokens, vectors, tmp_path):
    import importlib.util

    config = dataclasses.replace(TINY, tensorboard=str(tmp_path / "logs"), epochs=1)
    if importlib.util.find_spec("tensorboard") is None:
        with pytest.raises(ConfigError, match="tensorboard"):
            train(config, tokens, vectors, tmp_path / "s")
    else:
        train(config, tokens, vectors, tmp_path / "s")
        assert list((tmp_path / "logs").rglob("events*"))


def test_latents_are_aligned_with_tokens(trained, tokens, vectors, tmp_path):
    from textvae.config import LatentsConfig

    found = latents.run(LatentsConfig(batch_size=8), tokens, trained, seed=1, progress=Progress(), scratch=tmp_path)
    assert found.mean.shape == (80, 4)
    alike = [row for row in range(80) if np.array_equal(tokens.sequence(row), tokens.sequence(1))]
    assert np.allclose(found.mean[alike], found.mean[1], atol=1e-6)
    assert np.allclose(found.log_var[alike], found.log_var[1], atol=1e-6) and len(alike) > 5
    assert 0 <= found.metrics["active_units"] <= 4


def test_what_few_texts_could_not_say_is_not_asked_of_them(trained, tokens, monkeypatch, tmp_path):
    """Eight sequences tell no more than log 8 nats, whatever the latents say."""
    from textvae.config import LatentsConfig

    def split(few):
        monkeypatch.setattr(latents, "FEW", few)
        found = latents.run(LatentsConfig(), tokens, trained, seed=1, progress=Progress(), scratch=tmp_path)
        return found.metrics["split"]

    held_out = len(tokens.rows("validation"))
    assert 0 < held_out < latents.FEW
    assert (split(held_out), split(held_out + 1)) == ("validation", "train")


def test_what_discrete_latents_say_is_no_more_than_their_kl(tokens, tmp_path):
    """As diagonal Gaussians, one-hot vectors of a network that has learnt nothing said two nats."""
    from textvae import nn
    from textvae.config import LatentsConfig
    from textvae.nn.weights import gather

    network = nn.NETWORKS["sequence_vae"](vocabulary=tokens.vocabulary_size, embedding=4, hidden=4, latent=3,
                                          max_length=12, posterior="categorical", categories=4, seed=1)
    untrained = TrainedNetwork(network.kind, network.settings, gather(network))
    found = latents.run(LatentsConfig(), tokens, untrained, seed=1, progress=Progress(), scratch=tmp_path)
    assert abs(found.metrics["mi"]) < 0.1


def test_a_plain_autoencoder_is_told_every_latent(trained, tokens, monkeypatch, tmp_path):
    from textvae.config import AutoencoderConfig
    from textvae.stages import autoencoder, sequence_vae

    asked = []
    monkeypatch.setattr(sequence_vae, "run", lambda config, *args, **kwargs: asked.append(config))
    network = dataclasses.replace(trained, settings={**trained.settings, "latent_dropout": 0.3, "mean_gamma": 0.6,
                                                     "free_bits": 0.1})
    autoencoder.run(AutoencoderConfig(epochs=1), tokens, network, seed=1, progress=Progress(), scratch=tmp_path)
    (config,) = asked
    assert (config.latent_dropout, config.mean_gamma, config.free_bits, config.anneal) == (0.0, 0.0, 0.0, "none")


def test_save_and_load_give_equal_outputs(trained, tokens, tmp_path):
    from textvae import nn
    from textvae.nn.weights import restore

    trained.save(tmp_path)
    loaded = TrainedNetwork.load(tmp_path)
    assert same(trained, loaded) and loaded.history == trained.history and loaded.settings == trained.settings
    ids = nn.batching.pad([np.array(tokens.sequence(row)) for row in range(6)], 12)
    one, two = (nn.Compiled(network, network.posterior).run(ids=ids)["mean"]
                for network in (restore(t.kind, t.settings, t.weights) for t in (trained, loaded)))
    assert np.array_equal(one, two)
