"""The writer on an untrained network: what it writes is noise, how it writes it is not."""

from itertools import pairwise
from types import SimpleNamespace
from zlib import crc32

import networks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import TEXTS

from textvae.constraints import Region, move_inside
from textvae.errors import InputError, TextvaeError
from textvae.text.lexicon import Lexicon, negations, repeated
from textvae.writing.conditions import Conditions
from textvae.writing.model import FLUENCY, UNBOUND
from textvae.writing.writer import CANDIDATES, Writer


def test_variations_differ_from_the_source_and_from_each_other(writer):
    found = writer.vary(TEXTS[0], 5, seed=1, temperature=1.0)
    assert len(found) == 5 and len({row.text for row in found}) == 5
    assert all(row.text and row.text != TEXTS[0] and row.source == TEXTS[0] for row in found)
    assert all(row.seed == 1 and row.run == "test/1" for row in found)


def test_texts_with_repeated_or_invented_words_come_last(writer, monkeypatch):
    monkeypatch.setattr(writer, "lexicon", Lexicon(["no word of these"]))
    found = writer.vary(TEXTS[0], 60, seed=1, temperature=1.0)
    flaws = [repeated(row.text) + sum(word not in TEXTS[0].split() for word in writer.lexicon.invented(row.text))
             + writer.lexicon.echoed(row.text, TEXTS[0]) for row in found]
    assert flaws == sorted(flaws) and flaws[0] < flaws[-1]


def test_distances_are_those_of_the_texts(writer):
    mean, _ = writer.encode([TEXTS[0]])
    for row in writer.vary(TEXTS[0], 3, seed=2, temperature=1.0):
        own, _ = writer.encode([row.text])
        assert row.distance == pytest.approx(float(np.linalg.norm(own - mean)), abs=1e-3)
        assert row.constraints["cats"] == pytest.approx(float(((own[0] - [1, 0, 0]) ** 2).sum()), abs=1e-3)


def test_a_seed_writes_the_same_again(writer):
    one, again, other = (writer.vary(TEXTS[1], 4, seed=seed, temperature=1.0) for seed in (3, 3, 4))
    assert one == again and [row.text for row in one] != [row.text for row in other]
    assert writer.sample(4, seed=3) == writer.sample(4, seed=3)


def test_the_soundest_of_several_samples_is_kept(writer, monkeypatch):
    def unsound(found):
        assert len(found) == 40 and all(own.text for own in found)
        return np.sum([(writer.flaws(own.text), len(own.text.split())) for own in found], axis=0).tolist()

    (flaws, words), (fewer, _) = (unsound(writer.sample(40, seed=1, temperature=1.5, candidates=candidates))
                                  for candidates in (1, 8))
    assert fewer < flaws / 2
    # Where all pairs of words are unlikely, the shorter of two texts without flaws has the likelier worst one.
    monkeypatch.setattr(writer, "pairs", SimpleNamespace(nats=lambda ids: np.arange(len(ids) + 1.0)))
    assert unsound(writer.sample(40, seed=1, temperature=1.5, candidates=8))[1] < words / 2
    with pytest.raises(TextvaeError, match="cannot write 2 texts of 0 candidates"):
        writer.sample(2, seed=1, candidates=0)


def test_samples_are_ranked_by_what_reads_well_without_z_and_need_not_say_what_z_says(writer, monkeypatch):
    shares = []
    write = writer.write
    monkeypatch.setattr(writer, "fluent", True)
    monkeypatch.setattr(writer, "write", lambda code, options, *rest: shares.append(options.fluency)
                        or write(code, options, *rest))
    # The shorter, the likelier.
    monkeypatch.setattr(writer, "plain_nats", lambda sequences, label: [
        np.full(len(ids) + 1, float(len(ids))) for ids in sequences])
    one, best = (np.mean([len(own.text.split()) for own in writer.sample(40, seed=1, temperature=1.5,
                                                                         candidates=candidates)])
                 for candidates in (1, 8))
    assert best < one / 2
    writer.sample(2, seed=1, conditions=Conditions(near=(TEXTS[0],), distance=100.0))
    writer.sample(2, seed=1, fluency=0.2)
    assert list(dict.fromkeys(shares)) == [UNBOUND, FLUENCY, 0.2]
    shares.clear()
    monkeypatch.setattr(writer, "unbound", 0.15)  # who needs little without a region needs no more within one
    writer.sample(2, seed=1, conditions=Conditions(near=(TEXTS[0],), distance=100.0))
    writer.sample(2, seed=1, fluency=0.6, conditions=Conditions(near=(TEXTS[0],), distance=100.0))
    assert list(dict.fromkeys(shares)) == [0.15, 0.6]


def test_what_reads_well_without_z_comes_first_where_the_network_can_tell(writer, monkeypatch):
    before = writer.vary(TEXTS[0], 20, seed=1, temperature=1.0, fluency=0.0)
    last = writer.ids([before[-1].text])[0].tolist()
    monkeypatch.setattr(writer, "plain_nats", lambda sequences, label: [
        np.full(len(ids) + 1, 0.0 if ids.tolist() == last else 50.0) for ids in sequences])
    assert writer.vary(TEXTS[0], 20, seed=1, temperature=1.0, fluency=0.0) == before
    monkeypatch.setattr(writer, "fluent", True)
    after = writer.vary(TEXTS[0], 20, seed=1, temperature=1.0, fluency=0.0)
    assert after[0] == before[-1] != before[0]


def test_a_text_with_half_a_character_is_varied(writer):
    assert len(writer.vary("the cat \ud83d sat on the mat", 2, seed=1, temperature=1.0)) == 2


def test_the_least_strength_opens_a_word_and_keeps_the_latent(writer, monkeypatch):
    seen, write = [], writer.write
    monkeypatch.setattr(writer, "write", lambda code, options, rng, steering, template: (
        seen.append((code, template)) or write(code, options, rng, steering, template)))
    found = writer.vary(TEXTS[0], 4, seed=1, strength=0.0, temperature=1.0)
    (code, template), *_ = seen
    np.testing.assert_allclose(code, np.repeat(writer.encode([TEXTS[0]])[0], len(code), axis=0), atol=1e-6)
    opened = (template == -1).sum(axis=1)
    assert set(opened) <= {1, 2, writer.max_length + 1} and (opened <= 2).mean() == 0.75
    assert found and all(own.text != TEXTS[0] for own in found)


def test_no_sources_have_no_variations(writer):
    assert writer.vary_many([], 2, seed=1) == []


@pytest.mark.parametrize("more", [{}, {"posterior": "categorical", "categories": 4}, {"latent_dropout": 0.3}], ids=str)
def test_what_is_written_of_a_text_does_not_depend_on_the_others(more):
    writer = networks.writer(**more)
    writer.latents = writer.prior(40, np.random.default_rng(1))
    asked = {"seed": 1, "temperature": 1.0, "strength": 0.6, "candidates": 7, "conditions": Conditions(must=("dog",))}
    together = writer.vary_many([*TEXTS, TEXTS[0]], 5, **asked)
    for text, found in zip([*TEXTS, TEXTS[0]], together, strict=True):
        alone = writer.vary(text, 5, **asked)
        assert [own.text for own in alone] == [own.text for own in found]
        assert (alone.written, alone.failed) == (found.written, found.failed)
    assert together[0] and len({tuple(own.text for own in found) for found in together}) > 1


def test_many_sources_keep_their_order(writer):
    found = writer.vary_many(TEXTS, 2, seed=1, temperature=1.0)
    assert [[row.source for row in rows] for rows in found] == [[text] * 2 for text in TEXTS]


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.lists(st.lists(st.floats(-50, 50, width=32), min_size=3, max_size=3), min_size=1, max_size=5))
def test_latents_are_moved_into_the_region(rows):
    z = np.array(rows, np.float32)
    centre = np.array([1, 2, 3], np.float32)
    near = Region(centre, "near", 2.0).move_inside(z)
    assert (((near - centre) ** 2).sum(axis=1) <= 2.0 * 1.001).all()
    inside = ((z - centre) ** 2).sum(axis=1) < 2.0
    assert np.allclose(near[inside], z[inside], atol=1e-4)
    apart = ((z - centre) ** 2).sum(axis=1) > 1e-6
    far = Region(centre, "far", 2.0).move_inside(z)
    assert (((far - centre) ** 2).sum(axis=1)[apart] >= 2.0 * 0.999).all()


@pytest.mark.parametrize("family", [
    {"posterior": "full"}, {"posterior": "vmf"}, {"posterior": "categorical", "categories": 4},
    {"prior": "mixture", "components": 2}, {"prior": "vamp", "components": 2}, {"prior": "fitted", "components": 2},
    {"labels": ["mood=good"], "skip": True}])
def test_every_family_writes(family):
    writer = networks.writer(**family)
    label = (family.get("labels") or [None])[0]
    writer.latents = writer.prior(20, np.random.default_rng(2))
    assert len(writer.vary(TEXTS[0], 3, seed=1, temperature=1.0, label=label)) == 3
    assert len(writer.sample(3, seed=1, temperature=1.0, label=label)) == 3
    assert len(writer.interpolate(*TEXTS[:2], 4, seed=1)) == 4
    q = writer.posterior(writer.ids(TEXTS[:1]))
    z = writer.draw(q, np.random.default_rng(1))
    assert np.isfinite(writer.nats(q, z)).all()
    assert np.isfinite(writer.log_weights(writer.ids(TEXTS[:1]), q, 5, np.random.default_rng(1))).all()


def test_where_latents_lie_on_a_sphere_a_path_stays_on_it(monkeypatch):
    writer = networks.writer(posterior="vmf")
    seen = []
    monkeypatch.setattr(writer, "decode", lambda z, **kwargs: seen.append(z) or [""] * len(z))
    ends, _ = writer.encode(TEXTS[:2])
    writer.interpolate(*TEXTS[:2], 5, seed=1)
    writer.interpolate(*TEXTS[:2], 5, spherical=False, seed=1)
    lengths = [np.linalg.norm(z, axis=1) for z in seen]
    assert lengths[0] == pytest.approx(np.linspace(*np.linalg.norm(ends, axis=1), 5), rel=1e-4)
    assert lengths[1][2] < lengths[0][2]
    writer.blend(TEXTS, seed=1)
    writer.analogy(*TEXTS, seed=1)
    assert [float(np.linalg.norm(z)) for z in seen[2:]] == pytest.approx([1.0, 1.0], abs=1e-4)


def test_only_samples_that_read_back_inside_the_region_come(writer, monkeypatch):
    # What is written is what the latent says it is: its first number, at random on either side of the border.
    name = writer.constraints[0]["name"]
    region = writer.region(name)
    drawn = np.random.default_rng(0)

    def posterior(sequences, label=None):
        far = drawn.random((len(sequences), 1)) < 0.5
        return {"mean": np.where(far, region.centre + 100.0, region.centre).astype(np.float32)}

    monkeypatch.setattr(writer, "posterior", posterior)
    found = writer.sample(100, seed=1, candidates=1, conditions=Conditions(constraints=(name,)))
    assert len(found) == 100 and all(one.constraints[name] <= region.threshold for one in found)
    assert 0.4 < found.failed["constraint 'cats'"] / found.written < 0.6 and found.written > 180
    free = writer.sample(12, seed=1)
    assert len(free) == 12 and free.written == 48 and free.failed == {"a word": 3}


def test_samples_of_a_near_region_are_drawn_around_its_centre(writer, monkeypatch):
    seen = []
    write = writer.write
    monkeypatch.setattr(writer, "write", lambda code, *rest: seen.append(code) or write(code, *rest))
    writer.sample(400, seed=1, conditions=Conditions(constraints=("cats",)))
    first = seen[0]
    assert first.mean(axis=0) == pytest.approx([1, 0, 0], abs=0.2) and first.std(axis=0) == pytest.approx(1, abs=0.15)
    assert len(seen) > 1  # they do not read back there
    assert all((after.std(axis=0) < before.std(axis=0)).all() for before, after in pairwise(seen))


def test_what_lies_outside_the_region_does_not_come(writer, monkeypatch):
    # One text in fifty is read as lying inside, whatever its flaws.
    monkeypatch.setattr(writer, "lexicon", Lexicon(["cat dog bird ran far"]))
    region, read = writer.region("cats"), writer.posterior

    def posterior(sequences, label=None):
        texts = writer.texts(sequences)
        outside = np.array([crc32(text.encode()) % 50 > 0 for text in texts])
        return {**read(sequences), "mean": region.centre + 9.0 * outside[:, None].astype(np.float32)}

    monkeypatch.setattr(writer, "posterior", posterior)
    found = writer.vary(TEXTS[0], 60, seed=1, temperature=1.0, candidates=8,
                        conditions=Conditions(constraints=("cats",)))
    assert 0 < len(found) < 60 and all(row.constraints["cats"] <= region.threshold for row in found)
    assert found.written == 4 * 8 * 60 and found.failed["constraint 'cats'"] > 0.9 * found.written


def test_words_that_the_model_lacks_stay_as_they_are_written(writer):
    source = "the Zebra sat on Mars"
    texts = [own.text for own in writer.vary(source, 20, seed=1, temperature=1.0)]
    assert not any("unk" in text for text in texts) and sum("Zebra" in text for text in texts) > 5
    both = [text for text in texts if "Zebra" in text and "Mars" in text]
    assert both and all(text.index("Zebra") < text.index("Mars") for text in both)
    # A text that was given with an unknown token does not get one back.
    spaced = networks.writer(level="whitespace")
    assert not any("unk" in own.text for own in spaced.vary("the <unk> sat", 5, seed=1, temperature=1.0))


@pytest.mark.parametrize("level", ["word", "whitespace", "bpe"])
def test_white_space_around_a_text_changes_nothing(level):
    own = networks.writer(level=level, max_length=30)
    plain, spaced = (own.vary(text, 3, seed=1, temperature=1.0) for text in (TEXTS[0], f"  {TEXTS[0]}\n"))
    assert plain and [one.text for one in plain] == [one.text for one in spaced]


def test_a_sentence_ends_as_its_source_does():
    own = networks.writer(texts=[text + " ." for text in TEXTS])
    found = own.vary(TEXTS[0] + " .", 20, seed=1, temperature=1.0)
    assert found and all(one.text.endswith(".") for one in found) and found.failed["an end"] > 0


def test_conditions_hold_for_every_text(writer):
    conditions = Conditions(must=("dog",), avoid=("cat", "/o.d/"), max_words=6)
    for found in (writer.vary(TEXTS[0], 5, seed=1, temperature=1.0, conditions=conditions),
                  writer.sample(5, seed=1, temperature=1.0, conditions=conditions)):
        texts = [one.text.split() for one in found]
        assert len(texts) >= 3 and all("dog" in words and len(words) <= 6 for words in texts)
        assert not any({"cat", "old"} & set(words) for words in texts)
        assert found.failed["max_words 6"] > 0 and "avoid 'cat'" not in found.failed
    # Far more have the word than those that nothing led to it, and what z says is still heard.
    free = writer.sample(64, seed=1, temperature=1.0)
    led = writer.sample(64, seed=1, temperature=1.0, conditions=Conditions(must=("dog",)))
    assert led.failed["must 'dog'"] / led.written < 0.5 * np.mean(["dog" not in one.text.split() for one in free])


@pytest.mark.parametrize("level", ["word", "bpe"])
def test_what_must_be_had_is_placed(level):
    own = networks.writer(level=level, max_length=40)
    found = own.vary(TEXTS[0], 20, seed=1, temperature=1.0, conditions=Conditions(must=("Far away", "dog")))
    assert len(found) == 20 and all("dog" in one.text and "far away" in one.text.casefold() for one in found)
    # All but those that are written freely, and those without room; a piece may go on behind a word that is given.
    without = sum(found.failed[f"must {word!r}"] for word in ("Far away", "dog")) / (2 * found.written)
    assert without < {"word": 0.4, "bpe": 0.8}[level]


@pytest.mark.parametrize("level", ["word", "bpe"])
def test_signs_are_had_and_avoided_beside_words(level):
    own = networks.writer(texts=["@united when do we fly?", ".@united where is my bag?", "so late @jetblue #fail"],
                          level=level, max_length=30)
    assert not Conditions(must=("?",)).failed("Really?") and Conditions(avoid=("@",)).failed("@united")
    assert Conditions(must=("#no",)).failed("#nothing") and not Conditions(must=("c++",)).failed("C++11")
    found = own.vary("@united when do we fly?", 5, seed=1, temperature=1.0, conditions=Conditions(avoid=("@",)))
    assert found and not any("@" in one.text for one in found) and "avoid '@'" not in found.failed
    found = own.vary("so late", 10, seed=1, temperature=1.0, conditions=Conditions(must=("?", "@jetblue")))
    assert found and all("?" in one.text and "@jetblue" in one.text for one in found)
    marks, names = Conditions(must=("?", "@jetblue")).phrases(own.tokenizer)
    assert own.tokenizer.decode(marks) == "?"
    assert own.tokenizer.decode(names) == (" @jetblue" if level == "bpe" else "@jetblue")


def test_conditions_that_cannot_be_met_say_so(writer):
    found = writer.vary(TEXTS[0], 3, seed=1, conditions=Conditions(avoid=("/./",)))
    assert not found and found.written == 4 * CANDIDATES * 3 and found.failed["avoid '/./'"] > 0.8 * found.written
    with pytest.raises(TextvaeError, match="vocabulary lacks 'zebra'"):
        writer.vary(TEXTS[0], 3, seed=1, conditions=Conditions(must=("the zebra",)))


@pytest.mark.parametrize("given, message", [
    ({"must": ("cold",), "avoid": ("Cold",)}, "have and avoid 'cold'"),
    ({"must": (" ",)}, "' ' is no word"),
    ({"avoid": ("/(/",)}, "is not a regular expression"),
    ({"max_words": -1}, "cannot have -1 words"),
    *(({name: "war"}, f"{name} takes several texts, and 'war' is one")
      for name in ("must", "avoid", "constraints", "near", "far", "judged"))])
def test_conditions_that_make_no_sense_are_refused(given, message):
    with pytest.raises(TextvaeError, match=message):
        Conditions(**given)


@pytest.mark.parametrize("ask", [
    Writer.encode, Writer.features, lambda own, text: own.vary_many(text, 2, seed=1),
    lambda own, text: own.blend(text, [2, 1], seed=1)], ids=["encode", "features", "vary_many", "blend"])
def test_a_text_where_several_belong_is_not_taken_by_its_letters(writer, ask):
    with pytest.raises(TextvaeError, match="texts takes several texts, and 'We are' is one"):
        ask(writer, "We are")


def test_variations_lie_in_the_region_that_is_asked_for(writer, monkeypatch):
    free = writer.vary(TEXTS[0], 8, seed=1, temperature=1.0)
    latents, _ = writer.encode([row.text for row in free])
    centre = latents.mean(axis=0)
    squared = ((latents - centre) ** 2).sum(axis=1)
    border = float(np.quantile(squared, 0.4))
    monkeypatch.setattr(writer, "_centres", np.stack([centre, centre]))
    monkeypatch.setattr(writer, "constraints", ({"name": "in", "kind": "near", "threshold": border},
                                                {"name": "out", "kind": "far", "threshold": border}))
    near, far = (writer.vary(TEXTS[0], 8, seed=1, temperature=1.0, conditions=Conditions(constraints=(name,)))
                 for name in ("in", "out"))
    assert all(row.constraints["in"] <= border for row in near) and any(squared > border)
    assert all(row.constraints["out"] >= border for row in far) and any(squared < border)


def test_texts_lie_where_texts_given_on_the_spot_say(writer):
    means, _ = writer.encode(TEXTS)
    gap = float(np.linalg.norm(means[0] - means[1]))
    near = writer.vary(TEXTS[0], 5, seed=1, temperature=1.0, conditions=Conditions(near=(TEXTS[1],), distance=gap / 2))
    far = writer.vary(TEXTS[0], 5, seed=1, temperature=1.0, conditions=Conditions(far=(TEXTS[0],), distance=gap / 2))
    assert len(near) >= 3 and len(far) >= 3
    for own, place, sign in ((near, 1, 1), (far, 0, -1)):
        latents, _ = writer.encode([one.text for one in own])
        assert (sign * (np.linalg.norm(latents - means[place], axis=1) - gap / 2) <= 1e-4).all()
    assert near[0].constraints[f"near {TEXTS[1]!r}"] <= (gap / 2)**2 and far[0].distance >= gap / 2
    both = writer.sample(5, seed=1, temperature=1.0, conditions=Conditions(
        near=(TEXTS[1],), far=(TEXTS[0],), constraints=("away",), distance=gap / 2))
    assert both.written and all(one.constraints["away"] >= 4.0 for one in both)
    # Without a distance, what is near lies within half of the distance of two samples, and what is far beyond it.
    apart = writer._apart(1)
    own = writer.sample(3, seed=1, temperature=1.0, conditions=Conditions(near=(TEXTS[1],)))
    assert own and all(one.constraints[f"near {TEXTS[1]!r}"] <= (apart / 2)**2 for one in own)
    for distance in (-1, np.nan):
        with pytest.raises(TextvaeError, match=f"there is no distance {distance:g}"):
            Conditions(near=(TEXTS[0],), distance=distance)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.lists(st.lists(st.floats(-9, 9, width=32), min_size=2, max_size=2), min_size=1, max_size=5))
def test_latents_are_moved_into_regions_that_meet(rows):
    regions = [Region(np.array(centre, np.float32), "near", 1.0) for centre in ([0, 0], [1, 0])]
    inside = move_inside(regions, np.array(rows, np.float32))
    assert all((((inside - region.centre) ** 2).sum(axis=1) <= 1.02).all() for region in regions)


def test_what_a_variation_keeps_is_spaced_as_its_source(writer):
    texts = [one.text for one in writer.vary("The cat&dog sat : on it.", 8, seed=1, strength=0.1)]
    assert any("cat&dog" in text for text in texts) and any("sat : on" in text for text in texts), texts
    assert not any("cat &" in text or "& dog" in text or "sat: on" in text for text in texts), texts


def test_of_few_candidates_as_many_as_are_wanted_are_enough(writer):
    few = writer.vary_many(TEXTS[:3], 5, seed=1, temperature=1.0, strength=0.5, candidates=4)
    assert [own.written for own in few] == [5 * 4] * 3 and [len(own) for own in few] == [5] * 3


def test_only_latents_are_decoded(writer):
    assert writer.decode(np.zeros((0, 3)), seed=1) == []
    for z in (np.zeros((2, 5)), np.zeros(3), np.full((1, 3), np.nan), np.full((1, 3), np.inf)):
        with pytest.raises(InputError, match=r"no latents of this model.*rows of 3 finite numbers"):
            writer.decode(z, seed=1)


def test_a_blend_lies_between_its_texts_and_an_analogy_beside_its_third(writer, monkeypatch):
    seen = []
    monkeypatch.setattr(writer, "decode", lambda z, **kwargs: seen.append(z[0]) or ["written"])
    means, _ = writer.encode(TEXTS)
    assert writer.blend(TEXTS, seed=1) == "written" and writer.blend(TEXTS[:2], [3, 1], seed=1) == "written"
    assert writer.analogy(*TEXTS, seed=1) == "written"
    assert seen[0] == pytest.approx(means.mean(axis=0), abs=1e-5)
    assert seen[1] == pytest.approx(0.75 * means[0] + 0.25 * means[1], abs=1e-5)
    assert seen[2] == pytest.approx(means[2] + means[1] - means[0], abs=1e-5)
    for texts, weights in ((TEXTS[:1], []), (TEXTS, [1, 2]), (TEXTS[:2], [0, 0]), (TEXTS[:2], [2, -1]),
                           (TEXTS[:2], [np.nan, 1]), (TEXTS[:2], [np.inf, 1])):
        with pytest.raises(TextvaeError, match="cannot blend"):
            writer.blend(texts, weights, seed=1)


def test_constraints_that_are_not_there_are_refused(writer):
    with pytest.raises(TextvaeError, match=r"no constraint 'dogs' \(it has: cats, away\)"):
        writer.vary(TEXTS[0], 2, seed=1, conditions=Conditions(constraints=("dogs",)))


def test_texts_that_do_not_fit_are_refused_by_name(writer):
    with pytest.raises(InputError, match="has 12 tokens, and this model was trained on at most 9"):
        writer.encode(["the cat " * 6])
    with pytest.raises(InputError, match="nothing to read"):
        writer.vary("  ", 2, seed=1)
    with pytest.raises(TextvaeError, match="cannot write 0 variations"):
        writer.vary(TEXTS[0], 0, seed=1)
    assert writer.unknown("the zebra sat") == 1


@pytest.mark.parametrize("spherical", [False, True])
def test_an_interpolation_begins_and_ends_at_its_texts(writer, spherical):
    mean, _ = writer.encode(TEXTS[:2])
    found = writer.interpolate(*TEXTS[:2], 4, spherical=spherical, seed=1)
    assert len(found) == 4
    assert [found[0], found[-1]] == writer.decode(mean, seed=1)
    with pytest.raises(TextvaeError, match="1 steps"):
        writer.interpolate(*TEXTS[:2], 1, seed=1)


def test_score_is_minus_the_log_probability_of_what_was_written(writer):
    z = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    from textvae.decoding import Sampling

    sequences, log_probs = writer.write(z, Sampling("temperature", 1.0), np.random.default_rng(1))
    ended = [i for i, ids in enumerate(sequences) if 0 < len(ids) < writer.max_length]
    assert ended
    nats = writer.score([sequences[i] for i in ended], z[ended])
    lengths = np.array([len(sequences[i]) + 1 for i in ended])
    assert np.allclose(nats, -log_probs[ended] * lengths, rtol=1e-4)
    for i in ended:
        alone = writer.score_samples([sequences[i]], z)
        np.testing.assert_allclose(alone, writer.score([sequences[i]] * len(z), z), rtol=1e-5)
    together = writer.score_samples([sequences[i] for i in ended], np.tile(z, (len(ended), 1)))
    np.testing.assert_allclose(together[-len(z):], alone, rtol=1e-5)


def test_who_says_no_more_or_less_often_than_the_source_comes_last():
    texts = ["it is not hard to say", "it is never hard to see", "it is so hard to say"]
    writer = networks.writer(texts=texts)
    found = writer.vary(texts[0], 200, seed=1, strength=0.1, temperature=1.0, candidates=2)
    off = [abs(negations(row.text) - 1) + repeated(row.text) for row in found]
    assert off == sorted(off) and off[0] == 0 < off[-1]


def test_a_source_of_the_greatest_length_keeps_its_words():
    """No end was reached there before: only what was written freely came back."""
    text = TEXTS[2]
    writer = networks.writer(max_length=len(text.split()))
    for row in writer.vary(text, 3, seed=1):
        assert sum(one == two for one, two in zip(row.text.split(), text.split(), strict=False)) >= 4, row.text


def test_what_a_source_repeats_may_be_repeated(writer):
    source = "the cat of the town and the dog of the town"
    assert repeated(source) and writer.flaws("the cat of the town and the cow of the town", source) == 0
    assert writer.flaws("the cat cat of the town and the cow of the town", source) == 1
    assert writer.flaws("friendly and friendly", "friendly and warm") == 1
    assert writer.flaws("websites//or apps, etc.", "websites and/or apps, etc.") == 1


def test_half_of_the_latents_step_toward_training_texts_nearby(writer, monkeypatch):
    codes = []
    write = writer.write
    monkeypatch.setattr(writer, "write", lambda code, *rest: codes.append(code) or write(code, *rest))
    goal = np.full((1, 3), 100.0, np.float32)
    for latents in (None, goal):
        writer.latents = latents
        writer.vary(TEXTS[0], 2, seed=1, strength=0.5, candidates=8)
    alone, stepped = codes[0], next(code for code in codes[1:] if np.abs(code).max() > 50)
    moved = np.abs(stepped - alone).max(axis=1) > 1e-6
    assert moved.tolist() == [i // 4 % 2 == 0 for i in range(len(alone))]
    way, whole = (stepped - alone)[moved], (goal - alone)[moved]
    assert np.allclose(way / whole, (way / whole)[:, :1], atol=1e-4) and (way / whole).max() <= 1.0


def test_neighbours_are_the_nearest_training_texts_but_the_source():
    from textvae.writing import moves

    rng = np.random.default_rng(3)
    latents = rng.standard_normal((50, 4)).astype(np.float32)
    found = moves.neighbours(latents[[7]], latents)[0]
    apart = np.linalg.norm(latents - latents[7], axis=1)
    nearest = latents[np.argsort(apart)[1:1 + moves.NEIGHBOURS]]
    assert {tuple(row) for row in found} == {tuple(row) for row in nearest}
    assert moves.neighbours(latents[:2], latents[:3]).shape == (2, moves.NEIGHBOURS, 4)
    assert moves.goals(latents, np.zeros(0, np.int64)) is None
