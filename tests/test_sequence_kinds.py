"""Kinds of sequence VAE: what keeps z alive, families of posteriors and priors, labels."""

import dataclasses

import numpy as np
import pytest
from pets import FAR, NEAR, TINY, Killed, Listener, same, train

from textvae.config import SequenceVAEConfig
from textvae.data import Start, TrainedNetwork
from textvae.errors import ConfigError, TextvaeError
from textvae.stages import sequence_vae
from textvae.writing.writer import Writer


@pytest.mark.parametrize("changed", [
    {"encoder": "conv", "encoder_layers": 2, "layer_norm": True},
    {"bidirectional": True, "encoder_layers": 2, "layer_norm": True, "weight_drop": 0.2, "embedding_dropout": 0.2},
    {"skip": True, "decoder": "gru", "weight_decay": 0.01, "average": 0.9},
    {"noise_blank": 0.2, "noise_swap": 0.2, "noise_shuffle": 2, "schedule": "plateau"},
    {"mean_gamma": 0.6, "anneal": "cyclical", "cycles": 2},
    {"posterior": "full", "free_bits": 0.5, "free_bits_over": "total"},
    {"posterior": "full", "prior": "mixture", "components": 3, "free_bits": 0.5, "free_bits_over": "total"},
    {"prior": "vamp", "components": 3, "free_bits": 0.0, "labels": ("pet=cat",)},
    {"prior": "fitted", "components": 3, "labels": ("pet=cat",)},
    {"posterior": "vmf", "concentration": 20.0, "free_bits": 0.0, "constraints": ()},
    {"posterior": "categorical", "categories": 5, "labels": ("pet=cat",), "softmax_samples": 5},
    {"smooth": 0.5, "labels": ("pet=cat",)},
    {"aggressive": True},
])
def test_every_kind_trains_and_every_weight_gets_a_gradient(tokens, vectors, tmp_path, changed):
    from textvae.nn.weights import restore

    config = dataclasses.replace(TINY, **{"epochs": 4, "dropout": 0.0, **changed})
    done = train(config, tokens, vectors, tmp_path / "s")
    assert all(np.isfinite(value) for row in done.history for value in row.values())
    fresh = fresh_weights(done)
    still = {v.path for v in restore(done.kind, done.settings, done.weights).trainable_variables
             if np.array_equal(np.asarray(v), fresh[v.path]) or shrunk(np.asarray(v), fresh[v.path])}
    assert not still, still


def shrunk(array: np.ndarray, fresh: np.ndarray) -> bool:
    """Whether nothing but a weight decay has moved an array: it points where it did."""
    size, before = np.linalg.norm(array), np.linalg.norm(fresh)
    return array.size > 1 and before > 0 and np.allclose(array * before, fresh * size, rtol=1e-4)


def fresh_weights(done: TrainedNetwork) -> dict[str, np.ndarray]:
    from textvae import nn
    from textvae.nn.weights import gather
    from textvae.seeds import child

    return gather(nn.NETWORKS[done.kind](**done.settings, seed=child(1, "weights")))


@pytest.mark.parametrize("changed", [{"aggressive": True}, {"average": 0.9, "schedule": "plateau"},
                                     {"mean_gamma": 0.5, "weight_drop": 0.3}])
def test_every_kind_resumes_where_it_was(tokens, vectors, tmp_path, changed):
    config = dataclasses.replace(TINY, epochs=3, **changed)
    whole = train(config, tokens, vectors, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(config, tokens, vectors, tmp_path / "s", progress=Killed(3))
    assert same(whole, train(config, tokens, vectors, tmp_path / "s"))


def test_aggressive_steps_have_the_kls_weight_and_the_rate_of_the_step_that_they_are_for(
        tokens, vectors, tmp_path, monkeypatch):
    from textvae.nn import aggressive

    rises, rates = [], []
    outer, inner = aggressive.Aggressive.train_on_batch, aggressive._Part.train_on_batch

    def told(self, batch, **how):
        rises.append({float(batch["rise"][0])})
        rates.append({float(self.network.optimizer.learning_rate)})
        return outer(self, batch, **how)

    def told_within(self, batch, **how):
        rises[-1].update(batch["rise"].tolist())
        rates[-1].add(float(self.optimizer.learning_rate))
        return inner(self, batch, **how)

    monkeypatch.setattr(aggressive.Aggressive, "train_on_batch", told)
    monkeypatch.setattr(aggressive._Part, "train_on_batch", told_within)
    # So low a rate that only chance makes an epoch better: it falls.
    config = dataclasses.replace(TINY, epochs=6, patience=6, pretrain_epochs=0, warmup_epochs=1, anneal="cyclical",
                                 cycles=1, schedule="plateau", learning_rate=1e-6, aggressive=True)
    train(config, tokens, vectors, tmp_path / "s")
    assert all(len(own) == 1 for own in (*rises, *rates)) and rises
    assert len(set.union(*rises)) > 2 and len(set.union(*rates)) > 1


def test_the_kl_is_in_closed_form_at_two_lengths_and_not_averaged_over_tokens():
    from textvae import metrics, nn

    network = nn.NETWORKS["sequence_vae"](vocabulary=10, embedding=4, hidden=6, latent=3, max_length=12, seed=1)
    for variable in network.weights:
        variable.assign(np.random.default_rng(2).normal(0, 0.4, variable.shape))
    for length in (3, 11):
        arrays = nn.batching.teacher_forced([np.arange(length, dtype=np.int32) % 6 + 4], length)
        q = {name: np.asarray(value) for name, value in network.posterior({"ids": arrays["encoder"]}).items()}
        terms = network({**arrays, "applies": np.zeros((1, 0), np.float32)})
        assert float(terms["kl"][0]) == pytest.approx(metrics.kl(q["mean"], q["log_var"]).sum(), rel=1e-5)
        assert float(terms["reconstruction"][0]) > 1.5 * (length + 1)  # about log 10 a token, summed


def test_a_collapsing_training_says_so_and_what_to_change(tokens, vectors, monkeypatch, tmp_path):
    listener = Listener()
    config = dataclasses.replace(TINY, epochs=3, pretrain_epochs=0, warmup_epochs=0, beta=1.0, free_bits=0.0,
                                 constraints=(), anneal="constant")
    done = train(config, tokens, vectors, tmp_path / "s", progress=listener)
    assert done.history[-1]["val_mi"] < 0.5
    (warning,) = listener.said  # once, not after every epoch
    assert "collapsing" in warning and "free_bits to 0.25" in warning
    monkeypatch.setattr(sequence_vae, "WATCHED", 1)  # a single text tells nothing of z, which is no fault of z's
    alone = Listener()
    train(dataclasses.replace(config, epochs=1), tokens, vectors, tmp_path / "alone", progress=alone)
    assert alone.said == []


def test_a_training_that_keeps_z_says_nothing(tokens, vectors, tmp_path):
    listener = Listener()
    config = dataclasses.replace(TINY, hidden=24, epochs=40, patience=40, pretrain_epochs=15, warmup_epochs=10,
                                 beta=1.0, mean_gamma=0.6, learning_rate=0.02, dropout=0.0, noise=0.0, constraints=())
    done = train(config, tokens, vectors, tmp_path / "s", progress=listener)
    assert done.history[-1]["val_mi"] > 0.5 and done.history[-1]["val_active_units"] >= 1
    assert listener.said == []
    # Different z, different text: of a cat, of a dog, and from the prior.
    writer = Writer(tokens.tokenizer, done)
    z, _ = writer.encode(["cat sat far home", "dog ran far home"])
    cat, dog = writer.decode(z, seed=1)
    assert {"cat", "sat"} & set(cat.split()) and not {"dog", "ran"} & set(cat.split())
    assert {"dog", "ran"} & set(dog.split()) and not {"cat", "sat"} & set(dog.split())
    drawn = writer.decode(writer.prior(20, np.random.default_rng(1)), seed=1)
    assert len(set(drawn)) > 1


@pytest.mark.parametrize(("changed", "said"), [
    ({"warmup_epochs": 1, "constraints": (dataclasses.replace(NEAR, start=9),)},
     ["with epochs = 2, constraint 'cats' never comes. Set sequence_vae.epochs to 10 or more, or lower the "
      "constraint's start."]),
    ({"pretrain_epochs": 2, "constraints": (FAR,)},
     ["with epochs = 2, the fresh decoder, the KL, constraint 'away' never come. Set sequence_vae.epochs to 5 or more, "
      "or lower pretrain_epochs."]),
    ({"anneal": "cyclical", "cycles": 1, "warmup_epochs": 3},  # the KL is at its full weight after half of a cycle
     ["with epochs = 2, constraint 'cats', constraint 'away' never come. Set sequence_vae.epochs to 4 or more, or "
      "lower warmup_epochs."]),
    ({"anneal": "none"}, []),
    ({"warmup_epochs": 3, "beta": 0.0, "constraints": (dataclasses.replace(NEAR, weight=0.0),)}, []),
])
def test_what_never_comes_in_so_few_epochs_is_said_before_them(tokens, vectors, tmp_path, changed, said):
    listener = Killed(1)
    config = dataclasses.replace(TINY, **{"epochs": 2, "pretrain_epochs": 0, **changed})
    with pytest.raises(KeyboardInterrupt):
        train(config, tokens, vectors, tmp_path / "s", progress=listener)
    assert listener.said == [f"sequence_vae: {line}" for line in said]


def test_the_best_epoch_is_one_in_which_all_constraints_act_in_full(tokens, vectors, tmp_path):
    late = dataclasses.replace(NEAR, start=3, rise=1)
    config = dataclasses.replace(TINY, epochs=8, patience=1, pretrain_epochs=0, warmup_epochs=0, learning_rate=1e-9)
    for constraints, best in (((late, FAR), 5), ((dataclasses.replace(late, start=30), FAR), 1)):
        done = train(dataclasses.replace(config, constraints=constraints), tokens, vectors, tmp_path / str(best))
        assert done.metrics["best_epoch"] >= best and len(done.history) < 8


def test_the_kls_weight_by_every_schedule():
    weights = {name: [round(sequence_vae.kl_weight(SequenceVAEConfig(
        pretrain_epochs=1, warmup_epochs=8, cycles=2, anneal=name), epoch), 2) for epoch in range(11)]
        for name in ("linear", "cyclical", "constant", "none")}
    assert weights["linear"] == [0, 0.11, 0.22, 0.33, 0.44, 0.56, 0.67, 0.78, 0.89, 1, 1]
    assert weights["cyclical"] == [0, 0, 0.5, 1, 1, 0, 0.5, 1, 1, 1, 1]
    assert weights["constant"] == [0] + [1] * 10 and weights["none"] == [0] * 11


@pytest.mark.parametrize(("changed", "says"), [
    ({"prior": "mixture", "posterior": "vmf"}, "prior 'mixture' needs a Gaussian posterior"),
    ({"prior": "vamp", "posterior": "full", "free_bits": 0.0}, "a VampPrior is made of diagonal Gaussians"),
    ({"prior": "vamp", "free_bits": 0.1}, "free bits per dimension need a KL per dimension"),
    ({"encoder": "conv", "bidirectional": True}, "has no direction"),
    ({"encoder": "conv", "summary": "last"}, "has no last state"),
    ({"splice": 0.5, "labels": ("kind=a",)}, "have no label of their own"),
    ({"mean_gamma": 0.5, "posterior": "categorical"}, "mean_gamma is of Gaussian posteriors"),
    ({"labels": ("pet=cow",)}, "no post has the label 'pet=cow'"),
    ({"labels": ("pet=cat", "topic=food", "pet=dog")}, "have the keys pet and topic, and a text is told as one label"),
    ({"constraints": (NEAR, dataclasses.replace(FAR, name="cats"))}, "constraints or labels are called 'cats'"),
    ({"constraints": (dataclasses.replace(NEAR, name="pet=cat"),), "labels": ("pet=cat",)}, "called 'pet=cat'"),
])
def test_settings_that_cannot_go_together_are_refused(tokens, vectors, tmp_path, changed, says):
    with pytest.raises(ConfigError, match=says):
        train(dataclasses.replace(TINY, **changed), tokens, vectors, tmp_path / "s")


def test_a_prior_is_fitted_to_the_latents_of_texts(tokens, vectors, trained, tmp_path):
    config = dataclasses.replace(TINY, prior="fitted", components=4, labels=("pet=cat",), beta=0.01)
    done = train(config, tokens, vectors, tmp_path / "s")
    assert done.settings["prior"] == "fitted" and done.settings["components"] in (1, 2, 4)
    standard = dataclasses.replace(
        done, settings={**done.settings, "prior": "standard"},
        weights={path: array for path, array in done.weights.items() if not path.startswith("prior/")})
    held_out = tokens.rows("validation")
    label = tokens.label_places(("pet=cat",))[held_out]
    dear, cheap = (own.nats(own.posterior([np.array(tokens.sequence(row)) for row in held_out], label), z, label).sum(1)
                   for own in (Writer(tokens.tokenizer, standard), Writer(tokens.tokenizer, done))
                   for z in [own.draw(own.posterior([np.array(tokens.sequence(row)) for row in held_out], label),
                                      np.random.default_rng(3))])
    assert done.metrics["val_prior_gain"] > 1.0
    assert dear.mean() - cheap.mean() == pytest.approx(done.metrics["val_prior_gain"], rel=0.5)
    again = train(config, tokens, vectors, tmp_path / "t", start=Start(done, tokens, 2))
    assert again.settings["prior"] == "fitted" and not same(again, done)


@pytest.mark.parametrize("posterior", ["gaussian", "full"])
def test_without_held_out_texts_one_gaussian_is_fitted(tokens, vectors, tmp_path, posterior):
    whole = dataclasses.replace(tokens, split=np.zeros(len(tokens), np.uint8))
    config = dataclasses.replace(TINY, prior="fitted", posterior=posterior, free_bits=0.0, epochs=2)
    done = train(config, whole, vectors, tmp_path / "s")
    assert done.settings["prior"] == "fitted" and done.settings["components"] == 1
    assert "val_prior_gain" not in done.metrics


def test_a_prior_that_fits_no_better_is_not_taken(tokens, trained):
    from textvae.stages import prior

    said = Listener()
    flat = dataclasses.replace(trained, weights={
        path: np.zeros_like(array) if path.startswith("sequence_vae/posterior") or "posterior" in path else array
        for path, array in trained.weights.items()})
    kept = prior.fitted(flat, tokens, None, most=4, seed=1, progress=said)
    assert kept is flat and "stays a standard normal" in said.said[0]


def test_a_network_with_labels_writes_what_it_is_told(tokens, vectors, tmp_path):
    config = dataclasses.replace(TINY, epochs=60, patience=60, pretrain_epochs=0, warmup_epochs=0, dropout=0.0,
                                 noise=0.0, beta=1.0, free_bits=0.0, learning_rate=0.02, constraints=(),
                                 labels=("pet=cat",))
    # Every sequence a post of its own, those of cats labelled.
    own = dataclasses.replace(tokens, post=np.arange(80, dtype=np.int32), position=np.zeros(80, np.int32),
                              post_ids=tuple(map(str, range(80))),
                              post_labels=tuple(("pet=cat",) if i % 2 else () for i in range(80)))
    done = train(config, own, vectors, tmp_path / "s")
    writer = Writer(own.tokenizer, done)
    cats = [one.text for one in writer.sample(20, seed=1, label="pet=cat", temperature=0.3)]
    assert sum("cat" in text for text in cats) >= 18 and not any("dog" in text for text in cats)
    with pytest.raises(TextvaeError, match="no label 'pet=cow'"):
        writer.sample(2, seed=1, label="pet=cow")
    assert writer.posterior([np.array([4, 5], np.int32)])["mean"].shape == (1, 4)


def test_a_training_goes_on_from_an_earlier_one(tokens, vectors, trained, tmp_path):
    start = Start(trained, tokens, epochs=2)
    on = train(TINY, tokens, vectors, tmp_path / "on", start=start)
    first, fresh = on.history[0]["val_reconstruction"], trained.history[0]["val_reconstruction"]
    best = trained.history[trained.metrics["best_epoch"] - 1]["val_reconstruction"]
    assert len(on.history) == 2 and first < best + 0.2 * (fresh - best), "it begins where the other ended"
    with pytest.raises(KeyboardInterrupt):
        train(TINY, tokens, vectors, tmp_path / "killed", start=start, progress=Killed(2))
    assert same(on, train(TINY, tokens, vectors, tmp_path / "killed", start=start))
