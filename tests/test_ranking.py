"""Which candidates are kept."""

import numpy as np

from textvae.writing.ranking import Candidate, best
from textvae.writing.ranking import candidate as ranked


def candidate(text, plain=-1.0, seam=2.0, flaws=0, strain=0.5):
    return Candidate(text, plain % 3.0, plain, seam, strain, np.zeros(2, np.float32), flaws)


def kept(found, n, strength=0.35, distances=None, counts=None):
    places = best(found, "the cat sat on the mat", np.ones(len(found)) if distances is None else distances, n,
                  strength=strength, counts=counts or {})
    return [found[i].text for i in places]


def test_flaws_come_last():
    found = [candidate("the the cat", flaws=1), candidate("the dog sat", flaws=0), candidate("the zzz sat", flaws=2)]
    assert kept(found, 3) == ["the dog sat", "the the cat", "the zzz sat"] and kept(found, 1) == ["the dog sat"]
    assert kept([], 3) == []


def test_fluent_and_close_ones_come_first():
    same = "the dog sat on the mat"
    for other in ({"plain": -3.0}, {"seam": 9.0}, {"strain": 4.0}):  # the stronger, the less closeness counts beside it
        pair = [candidate(same, **other), candidate(same + " x")]
        assert kept(pair, 1, strength=0.8) == [same + " x"] and kept(pair, 1, strength=0.1) == [same]
    assert kept([candidate("a bird flew"), candidate(same)], 1) == [same]
    assert kept([candidate(same), candidate(same)], 1, distances=np.array([2.0, 1.0])) == [same]
    # At full strength closeness counts for nothing.
    assert kept([candidate("a bird flew", -0.9), candidate(same, -1.0)], 1, strength=1.0) == ["a bird flew"]


def test_the_second_is_unlike_the_first():
    found = [candidate("the cat sat on the hat"), candidate("the cat sat on the bat"),
             candidate("my old cat sat there")]
    assert kept(found, 2, strength=0.9) == ["the cat sat on the hat", "my old cat sat there"]


def test_rare_words_count_more():
    counts = {"the": 1000, "on": 800, "sat": 50, "cat": 5, "mat": 4, "dog": 5}
    found = [candidate("the dog ran on the road"), candidate("his cat hates mat")]
    assert kept(found, 1, counts=counts) == ["his cat hates mat"]


def test_the_worst_seam_is_found_by_whoever_sees_it_and_only_where_the_source_is_left():
    source, ids = np.array([5, 6, 7]), np.array([5, 9, 7])  # 5 is kept, and so is the end behind 7
    nats, plain = np.array([9, 1, 2, 9], np.float32), np.array([9, 4, 1, 9], np.float32)
    found = ranked("the x mat", ids, nats, plain, np.zeros(2, np.float32), 0, source, nats, None)
    assert found.seam == 4 and found.log_prob == -nats.mean() and found.plain == -plain.mean()
    assert ranked("the x mat", ids, nats, plain / 4, np.zeros(2, np.float32), 0, source, nats, None).seam == 2


def test_a_word_is_no_worse_for_being_rare_and_no_better_for_being_frequent():
    class Counted:
        def alone(self, ids):
            return np.array([3, 8 if 9 in ids else 2, 3, 1], np.float32)  # 9 is rare, 4 is not

        def nats(self, ids):
            return np.zeros(4, np.float32)

        def avoided(self, ids):
            return np.zeros(4, bool)

    source, latent = np.array([5, 6, 7]), np.zeros(2, np.float32)
    likely, rare = (ranked("", np.array([5, own, 7]), nats, nats, latent, 0, source, nats, Counted()) for own, nats in (
        (4, np.array([1, 3, 4, 1], np.float32)), (9, np.array([1, 7, 4, 1], np.float32))))
    assert rare.log_prob < likely.log_prob and rare.plain > likely.plain  # 8 - 7 is more than 2 - 3
    assert likely.seam == rare.seam == 1  # on the way back: 4 - 3
    ones = np.ones(4, np.float32)
    assert ranked("", source, ones, ones, latent, 0, source, ones, Counted()).seam == -3  # nothing is new


def test_what_is_kept_must_be_as_likely_behind_what_is_new():
    source, before = np.array([5, 6, 7, 8]), np.array([1, 1, 1, 1, 1], np.float32)
    own, latent = np.array([1, 9, 9, 4, 3], np.float32), np.zeros(2, np.float32)  # 7 comes back after 9, as a seam
    assert ranked("", np.array([5, 9, 7, 8]), own, own, latent, 0, source, before, None).strain == 3
    # Likelier than it was is no strain; without what is kept there is none; the first word may be new.
    assert ranked("", np.array([5, 9, 7, 8]), own, own / 9, latent, 0, source, before, None).strain == 0
    assert ranked("", np.array([9, 10]), own[:3], own[:3], latent, 0, source, before, None).strain == 0
    assert ranked("", np.array([9, 5, 6]), own[:4], own[:4], latent, 0, source, before, None).strain == 8
