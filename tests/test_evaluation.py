"""Each part of the evaluation, against a scripted writer whose numbers are known."""

import math
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import networks
import numpy as np
import pytest
from scripted import CONFIG, TEST, TRAIN, WORDS, ScriptedWriter, corpus, subject, values, vary

from textvae import evaluate, metrics
from textvae.data import Tokens
from textvae.evaluate import Judge
from textvae.text import tokenizer
from textvae.text.language_model import KneserNey

# -- likelihood ------------------------------------------------------------------------------------------------


def test_a_collapsed_uniform_model_has_the_perplexity_of_its_vocabulary():
    found = values(evaluate.likelihood(subject()))
    assert found["test_predictions"] == sum(len(text.split()) + 1 for text in TEST)
    assert found["elbo_ppl"] == pytest.approx(WORDS.size) == found["iw_ppl"]
    assert found["kl"] == found["active_units"] == 0
    assert found["mutual_information"] == pytest.approx(0, abs=0.8)  # five sequences only
    assert found["elbo_nll"] == pytest.approx(found["reconstruction"] + found["kl"])


class GaussianWriter(ScriptedWriter):
    """x, the number of a sequence's first token, is drawn from N(z, 1): -log p(x) is known."""

    def score(self, sequences: list[np.ndarray], z: np.ndarray, label: Any = None) -> np.ndarray:
        self.scored.append(len(sequences))
        x = np.array([sequence[0] for sequence in sequences], np.float64)
        return 0.5 * (math.log(2 * math.pi) + (x - z[:, 0]) ** 2)


def test_the_importance_weighted_bound_is_exact_where_the_posterior_is(monkeypatch):
    tokens = corpus()
    first = tokens.ids[tokens.offsets[:-1]].astype(float)
    exact = np.mean(0.5 * math.log(4 * math.pi) + first[tokens.rows("test")] ** 2 / 4)
    own = subject(GaussianWriter(), tokens=tokens, mean=first[:, None] / 2, log_var=math.log(0.5))
    whole = values(evaluate.likelihood(own))
    assert whole["iw_nll"] == pytest.approx(exact, rel=1e-5) and whole["iw_gap"] == pytest.approx(0, abs=1e-5)
    module = evaluate.likelihood.__globals__  # the function hides the module of its name
    monkeypatch.setitem(module, "AT_ONCE", 3)  # not even the samples of one sequence
    assert values(evaluate.likelihood(own))["iw_nll"] == pytest.approx(exact, rel=1e-5)


def test_a_networks_importance_weights_are_those_of_the_formula():
    """What the bound is made of, where no writer is scripted: of the same draws, by the densities of numpy."""
    writer = networks.writer()
    sequences = writer.ids(networks.TEXTS)
    q = writer.posterior(sequences)
    found = writer.log_weights(sequences, q, 4, np.random.default_rng(3))
    mean, log_var = (np.repeat(q[name], 4, axis=0) for name in ("mean", "log_var"))
    z = mean + np.exp(0.5 * log_var) * np.random.default_rng(3).standard_normal(mean.shape, np.float32)
    nats = writer.score([ids for ids in sequences for _ in range(4)], z)
    wanted = metrics.log_posterior(z, 0 * z, 0 * z) - metrics.log_posterior(z, mean, log_var) - nats
    np.testing.assert_allclose(found.ravel(), wanted, rtol=1e-4)


def test_a_posterior_that_is_off_makes_the_bounds_looser_in_order():
    tokens = corpus(test=TEST * 40)
    first = tokens.ids[tokens.offsets[:-1]].astype(float)
    off = subject(GaussianWriter(), tokens=tokens, mean=first[:, None] / 2 + 0.7, log_var=math.log(0.8),
                  config=replace(CONFIG, iw_samples=60))
    found = values(evaluate.likelihood(off))
    exact = np.mean(0.5 * math.log(4 * math.pi) + first[tokens.rows("test")] ** 2 / 4)
    assert exact - 0.05 < found["iw_nll"] and found["iw_gap"] > 0.05
    assert found["iw_nll"] + found["iw_gap"] == pytest.approx(found["elbo_nll"], abs=0.2)
    # The bound of a fifth of them, and what it is below the ELBO, say what it is for all.
    part = evaluate.likelihood(replace(off, config=replace(off.config, iw_sequences=40)))["iw_nll"]
    assert part["value"] == pytest.approx(found["iw_nll"], abs=0.15) and part["low"] < found["iw_nll"] < part["high"]
    assert "less the" in part["definition"] and "on 40 of them" in part["definition"]


def test_a_gpu_measures_the_bound_of_several_sequences_at_once(monkeypatch):
    first = (tokens := corpus(test=TEST * 2)).ids[tokens.offsets[:-1]].astype(float)
    off = subject(GaussianWriter(), tokens=tokens, mean=first[:, None] / 2 + 0.7, log_var=math.log(0.8))
    alone = evaluate.iw_nll(off)
    module = evaluate.iw_nll.__globals__
    monkeypatch.setitem(module, "on_gpu", lambda: True)
    monkeypatch.setitem(module, "ON_GPU", 3 * CONFIG.iw_samples + 1)
    off.writer.scored.clear()
    assert len(alone) % 3 and evaluate.iw_nll(off) == pytest.approx(alone, rel=1e-9)
    assert set(off.writer.scored[1:]) == {3 * CONFIG.iw_samples}  # also the last ones: one shape for XLA


def test_only_as_many_sequences_as_asked_for_are_measured():
    config = replace(CONFIG, sequences=3, iw_sequences=2)
    own = subject(config=config)
    found = evaluate.likelihood(own)
    assert found["test_sequences"]["value"] == 3
    assert own.writer.scored == [3, config.iw_samples, config.iw_samples]
    assert "over 2 test sequences" in found["iw_gap"]["definition"] and "4 importance" in found["iw_nll"]["definition"]
    assert set(own.rows) < set(own.tokens.rows("test"))


# -- texts -----------------------------------------------------------------------------------------------------


def test_a_perfect_reconstruction():
    found, rows = evaluate.reconstruction(subject())
    assert values(found) == {"reconstruction_bleu": pytest.approx(100), "reconstruction_exact": 1}
    assert len(rows) == CONFIG.shown and rows[0]["source"] == rows[0]["text"] == TEST[0]
    assert rows[0]["nats_per_token"] == pytest.approx(math.log(WORDS.size))


@pytest.mark.parametrize("unread", ["<unk>", "bank"])
def test_an_unknown_word_is_one_word_of_what_comes_back(unread):
    """Cut at its signs it would be three, and any text with some would share a trigram with any other."""
    writer = SimpleNamespace(decode_ids=lambda mean, **options: [np.arange(1, 6)], tokenizer=WORDS,
                             score=lambda *given: [1.0])
    own = SimpleNamespace(
        posterior={"mean": np.zeros((1, 2), np.float32)}, sequences=[np.arange(5)], label=np.zeros(1, np.int32),
        texts=[f"they saw the {unread} there"], decode=lambda ids: [f"we sold a {unread} here"], spaced=False,
        words=partial(metrics.words, split=False), child=lambda name: 1, config=CONFIG, writer=writer)
    found, (row,) = evaluate.reconstruction(own)
    assert found["reconstruction_bleu"]["value"] == pytest.approx(10.682, abs=1e-3)  # one of five words, smoothed
    assert unread in row["source"] and unread in row["text"]


def test_samples_that_are_copied_or_cut_off_are_counted():
    own = subject(ScriptedWriter([TRAIN[0], "cat cat cat cat cat cat cat cat cat", TEST[0], TEST[1]]))
    found, rows, lengths = evaluate.samples(own, Judge.of(own, own.tokens.rows("train")))
    assert found["sample_verbatim"]["value"] == 0.25
    assert found["real_verbatim"]["value"] == 0
    assert found["sample_ended"]["value"] == 0.75
    assert lengths.tolist() == [7, 9, 7, 7] * 2
    assert rows[0]["text"] == TRAIN[0]
    assert found["sample_forward_ppl"]["definition"].endswith("at temperature 0.6, fluency 0.3")
    # Five of each: both sides have as many as there are test sequences.
    assert "over 5 samples" in found["sample_distinct_1"]["definition"]
    assert found["sample_self_bleu"]["value"] > found["real_self_bleu"]["value"]


def test_a_judge_finds_shuffled_words_worse_and_copies_better():
    own = subject()
    judge = Judge.of(own, own.tokens.rows("train"))
    real, shuffled = (judge.perplexity(own.encode(side), seed=1) for side in
                      (TRAIN[:6], [" ".join(reversed(text.split())) for text in TRAIN[:6]]))
    assert real.value < shuffled.value


def test_a_judge_that_knows_less_is_no_better():
    rng = np.random.default_rng(0)
    texts = [4 + np.minimum(rng.zipf(1.6, size=8), 200).astype(np.int32) for _ in range(300)]
    few, many, held_out = texts[:5], texts[:250], texts[250:]
    plain = [KneserNey.train([text.tolist() for text in side]).perplexity(text.tolist() for text in held_out)
             for side in (few, many)]
    judged = [Judge(side, 204).perplexity(held_out, seed=1).value for side in (few, many)]
    assert plain[0] < plain[1]  # the trap: one cheap class for all that it never met
    assert judged[0] > judged[1]


def test_variations_are_counted_as_scripted():
    writer = ScriptedWriter()
    writer.constraints = ({"name": "near", "kind": "near", "threshold": 1.0},
                          {"name": "far", "kind": "far", "threshold": 1.0})
    own = subject(writer)
    found, rows = vary(own)
    share = values(found)
    assert share["variation_found"] == 1
    assert share["variation_identical"] == pytest.approx(1 / 6)  # one of the second source's two
    assert share["variation_duplicates"] == pytest.approx(1 / 6)  # the first source's second
    assert share["satisfied_near"] == 1 and share["unasked_near"] == 0
    assert share["satisfied_far"] == 0.5 and share["unasked_far"] == 1
    assert share["variation_cosine"] > share["other_cosine"] - 1
    assert len(rows) == 3 and rows[0]["variations"][0]["nats_per_token"] == 2.0
    assert all(6 <= len(row["source"].split()) <= 25 for row in rows)
    assert math.isfinite(share["variation_ppl"]) and math.isfinite(share["shuffled_ppl"])


def test_a_single_source_is_compared_with_no_other():
    found, _ = vary(subject(ScriptedWriter(), config=replace(CONFIG, sources=1)))
    assert "variation_cosine" in found and "other_cosine" not in found


def test_a_writer_that_finds_nothing_is_reported_and_breaks_nothing():
    class Silent(ScriptedWriter):
        def vary_many(self, texts: list[str], n: int, **kwargs: Any) -> list[list[Any]]:
            return [[] for _ in texts]

    own = subject(Silent())
    found, rows = vary(own)
    assert found["variation_found"]["value"] == 0
    assert math.isnan(found["variation_bleu"]["value"]) and found["variation_bleu"]["low"] is None
    assert rows and all(row["variations"] == [] for row in rows)


def test_sources_are_of_medium_length_where_there_are_such():
    long = ["the cat sat"] * 3 + [TEST[0]]
    assert subject(tokens=corpus(test=long)).sources == [TEST[0]]
    assert set(subject(tokens=corpus(test=["a cat", "a zebra"])).sources) == {"a cat", "a <unk>"}


def test_interpolations_join_two_sources():
    rows = evaluate.interpolations(subject())
    assert len(rows) == 1 and rows[0]["texts"][0] == rows[0]["a"] != rows[0]["b"] == rows[0]["texts"][-1]


# -- constraints, labels and paths -----------------------------------------------------------------------------

MOODS = ["good", "bad"]


def moods(train: int = 60, test: int = 12) -> Tokens:
    """Sentences that a word tells apart, each a post with its mood; the first ``train`` of them are trained on."""
    texts = [f"{TEST[i % 5]} {MOODS[i % 2]}" for i in range(train + test)]
    words = tokenizer.train(texts, level="whitespace", vocabulary=300)
    ids = [np.array(words.encode(text), np.int32) for text in texts]
    rows = np.arange(len(texts), dtype=np.int32)
    return Tokens(ids=np.concatenate(ids), offsets=np.cumsum([0, *map(len, ids)]).astype(np.int64), post=rows,
                  position=np.zeros_like(rows), split=np.where(rows < train, 0, 2).astype(np.uint8),
                  post_ids=tuple(map(str, rows)), post_labels=tuple((f"mood={MOODS[row % 2]}",) for row in rows),
                  tokenizer=words.to_json())


class Moody(ScriptedWriter):
    """Writes what is good in three of four samples and in every variation; good texts lie at 0, bad ones at 3."""

    constraints = ({"name": "glad", "kind": "near", "threshold": 1.0, "label": "mood=good", "keyword": ""},
                   {"name": "no dogs", "kind": "far", "threshold": 4.0, "label": "", "keyword": "DOG"})
    labels = ("mood=bad",)

    def __init__(self, tokens: Tokens) -> None:
        super().__init__()
        self.tokenizer = tokenizer.load(tokens.tokenizer)

    def texts(self, sequences: list[Any]) -> list[str]:
        return [self.tokenizer.decode(ids) for ids in sequences]

    def sample(self, n: int, **kwargs: Any) -> list[Any]:
        return [SimpleNamespace(text=f"the cat ran {MOODS[i % 4 == 3]}") for i in range(n)]

    def vary_many(self, texts: list[str], n: int, **kwargs: Any) -> list[list[Any]]:
        return [[SimpleNamespace(text=text.replace("bad", "good"))] * n for text in texts]


def test_a_bound_that_is_measured_on_some_sequences_is_as_uncertain_as_they_are_few():
    class Uneven(GaussianWriter):
        """Whose bound lies below the negative ELBO by what differs from sequence to sequence."""

        def log_weights(self, sequences: list[np.ndarray], q: dict[str, np.ndarray], samples: int, *rest: Any
                        ) -> np.ndarray:
            return np.array([[-2.0 * sequence[0], 2.0 * sequence[0]] for sequence in sequences])

    tokens = corpus(test=TEST * 40)
    bounds = evaluate.likelihood.__globals__["_bounds"]
    own = subject(Uneven(), tokens=tokens, config=replace(CONFIG, iw_samples=2, iw_sequences=50))
    nats, gap = bounds(own, np.full(200, 30.0))
    assert len(gap) == 50 and nats.mean() == pytest.approx(30.0 - gap.mean())
    found = metrics.mean(nats, seed=1)
    assert found.high - found.low == pytest.approx(2 * 1.96 * gap.std() / math.sqrt(50), rel=0.2)


def test_constraints_are_held_against_held_out_text_and_an_independent_classifier():
    tokens = moods()
    good = np.array(["mood=good" in labels for labels in tokens.post_labels])
    turned = replace(tokens, post_labels=(*tokens.post_labels[:60], *tokens.post_labels[61:], tokens.post_labels[60]))
    assert values(evaluate.constraints(subject(Moody(tokens), tokens=turned)))["classifier_mood=good"] == 0.0, (
        "who is told otherwise by the test split alone has learnt from the training split")
    mean = np.where(good, 0.0, 3.0)[:, None].repeat(2, axis=1)
    found = evaluate.constraints(subject(Moody(tokens), tokens=tokens, mean=mean))
    got = values(found)
    assert got["classifier_mood=good"] == got["classifier_mood=bad"] == 1.0
    assert (got["inside_glad_matching"], got["inside_glad_others"]) == (1.0, 0.0)
    dogs = sum("dog" in text for text in subject(Moody(tokens), tokens=tokens).texts)
    assert f"of {dogs} test sequences with 'DOG'" in found["inside_no dogs_matching"]["definition"]
    assert (got["judged_glad"], got["judged_mood=bad"]) == (0.75, 0.25)
    assert got["turned_glad"] == 1.0 and got["turned_mood=bad"] == 0.0
    assert 50 < got["turned_glad_bleu"] < 100, "a word of each is another"
    assert 0 < got["judged_glad_distinct_2"] < 1
    assert "judged_no dogs" not in got, "there is no classifier of a keyword"


def test_a_post_may_have_several_labels_of_one_key_or_none():
    tokens = moods()
    labels = tuple(() if i % 6 == 5 else ("mood=any", *own) for i, own in enumerate(tokens.post_labels))
    found = evaluate.constraints(subject(Moody(tokens), tokens=replace(tokens, post_labels=labels)))
    assert found["classifier_mood=good"]["value"] == 1.0
    assert found["classifier_mood=good"]["definition"].endswith("; 10 test sequences"), "two of twelve have none"


def test_a_label_with_one_value_needs_no_classifier():
    tokens = replace(moods(), post_labels=(("mood=good",),) * 72)
    got = values(evaluate.constraints(subject(Moody(tokens), tokens=tokens)))
    assert "classifier_mood=good" not in got and "inside_glad_matching" in got and "inside_glad_others" not in got


def test_a_path_that_changes_evenly_is_told_from_a_jump():
    class Even(ScriptedWriter):
        def interpolate(self, a: str, b: str, steps: int, *, seed: int) -> list[str]:
            return [" ".join(["new"] * i + ["old"] * (steps - i)) for i in range(steps)]

    class Jump(ScriptedWriter):
        def interpolate(self, a: str, b: str, steps: int, *, seed: int) -> list[str]:
            return [a] * (steps // 2) + [b] * (steps - steps // 2)

    class Still(ScriptedWriter):
        def interpolate(self, a: str, b: str, steps: int, *, seed: int) -> list[str]:
            return [a] * steps

    even, jump = (values(evaluate.paths(subject(writer()))) for writer in (Even, Jump))
    assert even == {"path_largest_step": pytest.approx(1 / 8), "path_texts": 1.0}
    assert jump == {"path_largest_step": 1.0, "path_texts": pytest.approx(2 / 9)}
    assert evaluate.paths(subject(Still())) == {}
