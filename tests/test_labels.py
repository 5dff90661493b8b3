"""What a corpus's labels tell of other texts."""

from dataclasses import replace

import networks
import numpy as np
import pytest

from textvae.data import TrainedNetwork
from textvae.errors import TextvaeError
from textvae.nn.weights import gather
from textvae.text import tokenizer
from textvae.writing.conditions import Conditions
from textvae.writing.gaps import complete
from textvae.writing.labels import Labels
from textvae.writing.writer import Writer

GOOD = ["a good cat sat on the mat", "the dog had a good day", "good food and a good cat", "the good old tree"]
BAD = ["a bad cat sat on the mat", "the dog had a bad day", "bad food and a bad cat", "the bad old tree"]
NONE = ["the bird sang in the tree"]
# The same words with the sides exchanged, outside of the training split: reading them would turn everything round.
HELD_OUT = [text.replace("bad", "good") for text in BAD] * 3, [text.replace("good", "bad") for text in GOOD] * 3


def corpus():
    """Tokens of labelled posts, with held-out ones whose labels are wrong."""
    texts = [*GOOD * 3, *BAD * 3, *NONE, *HELD_OUT[0], *HELD_OUT[1]]
    labels = ["mood=good"] * 12 + ["mood=bad"] * 12 + [""] + ["mood=bad"] * 12 + ["mood=good"] * 12
    words = tokenizer.train(texts, level="word", vocabulary=300)
    made = networks.tokens([words.encode(text) for text in texts], range(len(texts)), [0] * 25 + [2] * 24, words.size)
    return replace(made, tokenizer=words.to_json(),
                   post_labels=tuple((own, "all=same", *(["mood=new"] if row == 48 else [])) if own else ()
                                     for row, own in enumerate(labels)))


@pytest.fixture(scope="module")
def labels():
    return Labels(corpus())


@pytest.fixture(scope="module")
def writer():
    tokens = corpus()
    plain = networks.writer(vocabulary=tokens.vocabulary_size, max_length=9)
    return Writer.of(tokens, TrainedNetwork("sequence_vae", plain.network.settings, gather(plain.network)))


def test_the_training_split_tells_which_label_a_text_has(labels):
    assert labels.names == ("all=same", "mood=bad", "mood=good")
    assert labels.holds("mood=good", ["a good bird", "a bad bird", "the bird"]).tolist() == [True, False, False]
    assert labels.holds("mood=bad", ["a good bird", "a bad bird", "the bird"]).tolist() == [False, True, False]
    assert labels.holds("mood=bad", []).shape == (0,)


def test_the_words_that_speak_against_a_label_are_to_blame(labels):
    blame = labels.blame("mood=good", ["the", "bad", "bird", "sang"])
    assert blame.argmax() == 1 and blame.sum() == pytest.approx(1) and (blame >= 0).all()
    assert not labels.blame("mood=bad", ["the", "bad", "bad", "cat"]).any()
    assert labels.blame("mood=good", ["bad"]).shape == (1,)


def test_labels_that_tell_nothing_are_refused(labels):
    with pytest.raises(TextvaeError, match=r"'mood=fair' \(they have: all=same, mood=bad, mood=good\)"):
        labels.holds("mood=fair", ["a bird"])
    with pytest.raises(TextvaeError, match="all training texts have the label 'all=same'"):
        labels.holds("all=same", ["a bird"])
    bare = replace(corpus(), post_labels=((),) * 49)
    with pytest.raises(TextvaeError, match="the corpus has no labels"):
        Labels(bare).examples("mood=good", 3)


def test_examples_are_training_texts_of_either_side(labels):
    words = tokenizer.load(corpus().tokenizer)
    good, bad = labels.examples("mood=good", 5)
    assert len(good) <= 5 and {words.decode(own) for own in good} <= set(GOOD)
    assert len(bad) <= 5 and {words.decode(own) for own in bad} <= set(BAD)


def test_what_is_judged_has_the_label(writer):
    for label, source in (("mood=good", BAD[0]), ("mood=bad", GOOD[0])):
        conditions = Conditions(judged=(label,))
        for found in (writer.vary(source, 8, seed=1, temperature=1.0, conditions=conditions),
                      writer.sample(8, seed=1, temperature=1.0, conditions=conditions),
                      complete(writer, "the ___ sat on ___ mat", 5, seed=1, temperature=1.0, judged=[label])):
            texts = [own.text for own in found]
            assert texts and writer.known.holds(label, texts).all()
            assert found.failed[f"judged {label!r}"] > 0
        again = writer.vary(source, 8, seed=1, temperature=1.0, conditions=conditions)
        assert again == writer.vary(source, 8, seed=1, temperature=1.0, conditions=conditions)


def test_a_near_constraint_of_a_label_is_judged_as_well():
    constraints = [{"name": "happy", "kind": "near", "threshold": 50.0, "label": "mood=good"},
                   {"name": "sad", "kind": "far", "threshold": 0.01, "label": "mood=good"},
                   {"name": "same", "kind": "near", "threshold": 50.0, "label": "all=same"}]
    tokens = corpus()
    plain = networks.writer(vocabulary=tokens.vocabulary_size, constraints=constraints)
    writer = Writer.of(tokens, TrainedNetwork("sequence_vae", plain.network.settings, gather(plain.network)))
    both = Conditions(judged=("mood=bad",), constraints=("same", "happy"))
    assert writer.judged_by(both) == ("mood=bad", "mood=good")
    assert writer.judged_by(Conditions(judged=("mood=good",), constraints=("happy",))) == ("mood=good",)
    assert writer.judged_by(Conditions(constraints=("sad", "same"))) == ()
    happy = Conditions(constraints=("happy",))
    for found in (writer.vary(BAD[0], 8, seed=1, temperature=1.0, conditions=happy),
                  writer.sample(8, seed=1, temperature=1.0, conditions=happy)):
        assert found and writer.known.holds("mood=good", [own.text for own in found]).all()
        assert found.failed["judged 'mood=good'"] > 0
    # Without the corpus there is the region alone.
    assert Writer(tokens.tokenizer, TrainedNetwork("sequence_vae", plain.network.settings, gather(plain.network))
                  ).judged_by(happy) == ()


def test_a_source_without_the_label_is_opened_where_it_speaks_against_it(writer, monkeypatch):
    seen = []
    write = writer.write

    def spied(code, options, rng, steering=None, template=None):
        seen.append((code, template))
        return write(code, options, rng, steering, template)

    monkeypatch.setattr(writer, "write", spied)
    bad = writer.ids(["bad"])[0][0]
    codes, kept = {}, {}
    for label in ("", "mood=good", "mood=bad"):
        seen.clear()
        writer.vary(BAD[0], 60, seed=1, conditions=Conditions(judged=(label,) if label else ()))
        codes[label], template = seen[0]
        kept[label] = (template[template[:, -1] >= 0] == bad).any(axis=1).mean()
    moved = codes["mood=good"] - codes[""]
    assert moved == pytest.approx(1.5 * np.tile(writer.way(["mood=good"]), (len(moved), 1)), abs=1e-6)
    assert (codes["mood=bad"] == codes[""]).all()
    assert kept["mood=good"] < 0.2 and kept["mood=bad"] == kept[""] > 0.5


def test_a_writer_without_a_corpus_says_so():
    with pytest.raises(TextvaeError, match="without a corpus"):
        networks.writer().sample(1, seed=1, conditions=Conditions(judged=("mood=good",)))


def test_nothing_is_learnt_before_it_is_asked_for(writer, monkeypatch):
    monkeypatch.setattr(Labels, "holds", lambda *args: pytest.fail("a classifier was asked"))
    assert writer.vary(BAD[0], 2, seed=1, temperature=1.0) and writer.sample(2, seed=1)
    assert not np.any(writer.way([]))
