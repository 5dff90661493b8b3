"""New posts beside the old ones: another language, noise and spam are found, one odd post does no harm."""

import random
from dataclasses import replace

import pytest

from textvae import retraining
from textvae.config import PipelineConfig
from textvae.data import BACKGROUND, Check, Corpus, Post, differ
from textvae.text import screening

ENGLISH = ("the", "people", "who", "write", "these", "posts", "about", "our", "work", "think", "that", "it", "helps",
           "others", "to", "read", "them", "again", "when", "they", "have", "time", "and", "nothing", "else")
SPANISH = ("las", "personas", "que", "escriben", "estas", "entradas", "sobre", "nuestro", "trabajo", "creen", "ayuda",
           "a", "otros", "leerlas", "de", "nuevo", "cuando", "tienen", "tiempo", "y", "nada", "mas", "hacer", "ahora")


def posts(words: tuple[str, ...], count: int, name: str, seed: int = 1) -> list[Post]:
    draw = random.Random(seed)
    return [Post(f"{name}-{row}", " ".join(f"{' '.join(draw.choices(words, k=9)).capitalize()}." for _ in range(30)))
            for row in range(count)]


OLD = posts(ENGLISH, 60, "old")


def looked_at(new: list[Post], most: float = 0.05, old: list[Post] = OLD) -> dict[str, Check]:
    return {check.name: check for check in screening.screen(old, new, most=most)}


def test_posts_like_the_old_ones_pass():
    found = looked_at(posts(ENGLISH, 30, "new", seed=2))
    assert set(found) == {"strange_posts", "repeated_posts"}
    assert all(check.passed and check.after == 0 for check in found.values())


@pytest.mark.parametrize("new", [
    posts(SPANISH, 6, "es"), [Post(f"noise-{row}", f"{row}x7 %$" * 99) for row in range(6)],
    [Post(f"binary-{row}", "\x00\x01\ufffd" * 200) for row in range(6)]], ids=["language", "noise", "binary"])
def test_posts_that_are_no_such_text_do_not_pass(new: list[Post]):
    check = looked_at(new)["strange_posts"]
    assert not check.passed and check.after == pytest.approx(6 / 66)
    assert check.says == (f"6 of 6 new or changed posts read unlike the others, such as {new[0].id}, {new[1].id}, "
                          f"{new[2].id}; at most 5.0% of all 66 posts may")
    assert looked_at(new, most=1.0)["strange_posts"].passed


def test_background_texts_need_not_read_like_the_posts():
    def passes(split: str) -> bool:
        whole = Corpus((*OLD, *(replace(post, split=split) for post in posts(SPANISH, 6, "es"))))
        return all(own.passed for own in retraining._screen(PipelineConfig(), OLD, whole, differ(OLD, whole.posts)))

    assert passes(BACKGROUND) and not passes("")


def test_one_odd_post_among_many_passes():
    check = looked_at([*posts(ENGLISH, 9, "new", seed=2), *posts(SPANISH, 1, "es")])["strange_posts"]
    assert check.passed and check.after == pytest.approx(1 / 70)


def test_spam_in_slightly_other_words_is_a_repetition():
    (spam,) = posts(ENGLISH, 1, "spam", seed=3)
    copies = [Post(f"spam-{row}", f"Offer number {row}. {spam.text}") for row in range(8)]
    check = looked_at(copies)["repeated_posts"]
    assert not check.passed and check.after == pytest.approx(8 / 68)
    assert not looked_at([Post(f"again-{post.id}", post.text) for post in OLD[:10]])["repeated_posts"].passed


def test_a_changed_post_may_repeat_its_earlier_text():
    changed = [Post(post.id, f"{post.text} One more.") for post in OLD[:20]]
    found = looked_at(changed)
    assert found["repeated_posts"].passed and found["repeated_posts"].after == 0


@pytest.mark.parametrize(("old", "new"), [(OLD[:19], posts(SPANISH, 9, "es")), (OLD, []), ([], [])])
def test_where_nothing_is_usual_nothing_is_strange(old: list[Post], new: list[Post]):
    assert looked_at(new, old=old) == {}


def test_empty_posts_are_neither():
    old, new = ([Post(f"{name}-{row}", "") for row in range(9)] for name in ("old-empty", "new-empty"))
    found = looked_at(new, old=[*OLD, *old])
    assert all(check.after == 0 for check in found.values())
