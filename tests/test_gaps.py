"""Filling gaps: what is given stays, and what stands between is written."""

import re

import networks
import numpy as np
import pytest
from networks import TEXTS

from textvae.data import TrainedNetwork
from textvae.errors import InputError, TextvaeError
from textvae.text import tokenizer
from textvae.writing.gaps import LONGEST, complete
from textvae.writing.writer import Writer


def test_what_is_given_stays_and_gaps_are_filled(writer):
    found = complete(writer, "the ___ sat on _____ mat", 5, seed=1, temperature=1.0)
    assert len(found) == 5 and len({own.text for own in found}) == 5
    for own in found:
        words = own.text.split()
        assert words[0] == "the" and words[-1] == "mat" and "sat on" in own.text and "_" not in own.text
        assert 7 <= len(words) + 1 <= 10 and own.source == "the ___ sat on _____ mat"
    assert complete(writer, "the ___ sat on _____ mat", 5, seed=1, temperature=1.0) == found
    lengths = {len(own.text.split()) - 5 + 1 for own in complete(writer, "a ___ ran far away", 40, seed=1,
                                                                   temperature=1.0)}
    assert lengths == set(range(1, LONGEST + 1))
    # What the model cannot spell stays as it was written.
    assert all(own.text.startswith("The  zebra ") for own in complete(writer, "The  zebra ___ home", 3, seed=1,
                                                                       temperature=1.0))


@pytest.mark.parametrize(("level", "text", "filled"), [
    ("word", "the ___ ___ sat  on ___\t___", r"the \S.* \S.* sat  on \S.*\t\S.*"),
    ("bpe", "the ___ ___ sat.", r"the \S.* \S.* sat\.")])
def test_gaps_that_stand_together_are_filled_one_by_one(level, text, filled):
    found = complete(networks.writer(level=level, max_length=30), text, 40, seed=1, temperature=1.0)
    assert found and all(re.fullmatch(filled, own.text) and "_" not in own.text for own in found)


def test_gaps_that_make_no_sense_are_refused(writer):
    for text, message in (("the cat sat", "no gap to fill"), (" ___ ", "nothing but gaps"),
                          ("the cat sat on the mat and ___ the cat sat", "10 tokens and 1 gaps")):
        with pytest.raises(InputError, match=message):
            complete(writer, text, 2, seed=1)
    with pytest.raises(TextvaeError, match="in 0 ways"):
        complete(writer, "the ___ sat", 0, seed=1)
    with pytest.raises(TextvaeError, match="judged takes several texts, and 'mood=good' is one"):
        complete(writer, "the ___ sat", 1, seed=1, judged="mood=good")


def test_word_pieces_are_not_glued_to_what_is_given():
    from textvae.nn.weights import gather

    pieces = tokenizer.train([text + " catmat dogfar" for text in TEXTS] * 3, level="bpe", vocabulary=330)
    plain = networks.writer(vocabulary=pieces.size, max_length=20)
    writer = Writer(pieces.to_json(), TrainedNetwork("sequence_vae", plain.network.settings, gather(plain.network)))
    found = complete(writer, "the ___ sat", 10, seed=1, temperature=1.0)
    assert found and all(own.text.startswith("the ") and own.text.endswith(" sat") for own in found)
    assert all(np.array(writer.tokenizer.encode(own.text)).size <= 20 for own in found)
