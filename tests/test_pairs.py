"""Pairs of tokens: chances that sum to one, what leads to a given token, and gaps filled with an eye on it."""

from dataclasses import replace

import networks
import numpy as np
import pytest
from networks import TEXTS

from textvae.text.pairs import Pairs

SIZE = 9
SEQUENCES = [[4, 5, 6], [4, 5, 6], [4, 5, 7], [5, 4], [8, 6, 6, 5]]
TOKENS = networks.tokens([*SEQUENCES, [7, 8]], [0] * 6, [0] * 5 + [2], SIZE)
PAIRS = Pairs.of(TOKENS)


def chance(before: int | None, after: int | None) -> float:
    """p(after | before), None for where a text begins and ends."""
    history = [] if before is None else [before]
    return float(np.exp(-PAIRS.nats(np.array([*history, *([] if after is None else [after])], np.int32))[len(history)]))


@pytest.mark.parametrize("before", [None, *range(3, SIZE)])
def test_chances_sum_to_one_after_every_token(before):
    assert sum(chance(before, after) for after in [*range(SIZE), None] if after != 2) == pytest.approx(1, abs=1e-5)


def test_pairs_that_were_met_are_likelier_and_none_is_impossible():
    assert chance(5, 6) > chance(5, 7) > chance(5, 8) > 0
    assert 0 < chance(7, 8) < chance(3, 8)  # 7 was followed by the end, 3 by nothing; 8 after 7 is of the test split
    assert chance(None, 4) > chance(None, 5) > chance(None, 6)


def test_tokens_that_are_met_less_often_are_rarer():
    counts = np.array([sum(own.count(token) for own in SEQUENCES) for token in range(SIZE)])  # the test split aside
    own = [token for token in range(SIZE) if token not in (1, 2)]  # begin and end
    np.testing.assert_allclose(PAIRS.rarity[own], np.log(5 / (1 + counts[own])).clip(0), rtol=1e-6)
    assert (PAIRS.rarity >= 0).all() and PAIRS.rarity[7] > PAIRS.rarity[6] == 0.0


def test_a_pair_is_avoided_where_chance_alone_would_have_made_some():
    alternating = Pairs.of(networks.tokens([[4, 5] * 20, [6, 7]], [0] * 2, [0] * 2, SIZE))
    assert alternating.avoided(np.array([4, 4, 5, 5, 6, 6], np.int32)).tolist() == [
        False, True, False, True, False, False, False]  # 6 is too rare to tell


def test_sequences_are_thinned_where_there_are_too_many(monkeypatch):
    half, thinned = Pairs(TOKENS, TOKENS.rows("train")[::2]), Pairs.of(TOKENS)
    own = half.nats(TOKENS.ids)
    monkeypatch.setattr("textvae.text.pairs.MOST", 8)  # of 15 tokens: every second sequence
    assert np.array_equal(thinned.nats(TOKENS.ids), own)
    assert not np.array_equal(thinned.nats(TOKENS.ids), PAIRS.nats(TOKENS.ids))


def test_what_leads_to_a_given_token():
    table, places = PAIRS.ahead(np.array([[4, -1, 6, 2, 2], [-1, -1, 6, -1, 2], [-1, -1, -1, 6, 2], [-1] * 5]))
    near, far, end = places[0, 1], places[1, 0], places[1, 3]
    assert places.tolist() == [[0, near, 0, 0, 0], [far, near, 0, end, 0], [0, far, near, 0, 0], [0] * 5]
    assert len({0, near, far, end}) == len(table) == 4 and not table[0].any()
    known = [token for token in range(SIZE) if token not in (0, 1, 2)]
    for token in known:
        assert np.exp(table[near, token]) == pytest.approx(chance(token, 6), rel=1e-4)
        assert np.exp(table[end, token]) == pytest.approx(chance(token, None), rel=1e-4)
        between = sum(chance(token, other) * chance(other, 6) for other in [0, 1, *known])
        # The end may stand between as well; what follows it counts as nothing that was met.
        between += chance(token, None) * chance(3, 6)
        assert np.exp(table[far, token]) == pytest.approx(between, rel=1e-3)


def test_gaps_are_filled_with_an_eye_on_what_stands_behind_them():
    writer = networks.writer()
    ids = writer.ids([TEXTS[0]])[0]
    tokens = networks.tokens([[*ids]] * 3, [0] * 3, [0] * 3, writer.tokenizer.size)
    template = np.tile([*ids, *[2] * (writer.max_length + 1 - len(ids))], (200, 1)).astype(np.int32)
    template[:, 1] = -1
    z = np.zeros((200, writer.latent), np.float32)

    def right() -> float:
        from textvae.decoding import Sampling

        written, _ = writer.write(z, Sampling("temperature", 1.0), np.random.default_rng(1), template=template)
        return float(np.mean([own[1] == ids[1] for own in written]))

    blind = right()
    writer.pairs = Pairs.of(tokens)
    assert right() > 2 * blind + 0.1


def test_a_corpus_without_sequences_has_none():
    assert Pairs.of(networks.tokens([[4, 5]], [0], [2])) is None


@pytest.mark.parametrize("row", [[4, SIZE, 2], [-1, 4, 2], [4, 5, 0]])
def test_pairs_from_elsewhere_are_checked(row):
    with pytest.raises(ValueError, match=r"Tokens\.pairs"):
        replace(TOKENS, pairs=np.array([row], np.int32))
