"""Do new posts belong to a corpus? Another language and spam are found before anything is trained on them."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from textvae.data import Check, Post
from textvae.text import sentences
from textvae.text.language_model import KneserNey

LEARNT = 300_000  # characters that the model of characters is counted from: a second of work
READ = 2000  # characters of a post that are looked at
REFERENCE = 200  # posts that the usual is measured on
FEWEST = 20  # old posts under which nothing is usual yet
# Beside 18F's posts 14 of 2,476 of two other English blogs lie above, and every Spanish, French and Portuguese one
# (python -m benchmarks.retraining screening).
UNLIKE = 1.4  # times the usual bits


def screen(old: Sequence[Post], new: Sequence[Post], *, most: float) -> list[Check]:
    """Look at new posts beside the old ones.

    A post is strange where a model of character trigrams of old posts takes much more for it than for other old posts,
    as for text of another language or for none at all. It is a repetition where most of its sentences stand in other
    new posts or in old ones.

    Args:
        old: Posts that were trained on, and held out.
        new: Posts that are new or changed.
        most: The share of all posts that strange ones may be, and that repetitions may be.

    Returns:
        Both conditions; none where there are too few old posts to know what is usual.
    """
    if len(old) < FEWEST or not new:
        return []
    every = len({post.id for post in (*old, *new)})
    strange = [name for name, ratio in unlikeness(old, new).items() if ratio > UNLIKE]
    found = {"strange_posts": (strange, "read unlike the others"),
             "repeated_posts": (_repeated(old, new), "repeat what stands in others")}
    return [Check(name, len(own) <= most * every, None, len(own) / every,
                  f"{len(own):,} of {len(new):,} new or changed posts {what}"
                  + (f", such as {', '.join(own[:3])}" if own else "")
                  + f"; at most {most:.1%} of all {every:,} posts may")
            for name, (own, what) in found.items()]


def unlikeness(old: Sequence[Post], new: Sequence[Post]) -> dict[str, float]:
    """How many times the usual bits a character new posts take: id -> ratio, of those that have text."""
    # In an order that has nothing to do with time or names, and is the same each night.
    drawn = sorted(old, key=lambda post: post.hash)
    learnt = list(_first(drawn[:len(drawn) * 3 // 4], LEARNT))
    model = KneserNey.train(learnt, order=3)
    usual = sorted(_bits(model, post) for post in drawn[len(learnt):len(learnt) + REFERENCE] if post.text)
    return {post.id: _bits(model, post) / usual[len(usual) // 2] for post in new if post.text}


def _first(posts: Sequence[Post], characters: int) -> Iterator[str]:
    for post in posts:
        if characters <= 0:
            return
        characters -= len(post.text[:READ])
        yield post.text[:READ]


def _bits(model: KneserNey, post: Post) -> float:
    text = post.text[:READ]
    return model.nll(text) / (len(text) + 1) / math.log(2)


def _repeated(old: Sequence[Post], new: Sequence[Post]) -> list[str]:
    ids = {post.id for post in new}
    own = {post.id: set(sentences.split(post.text)) for post in new}
    known = Counter(sentence for found in own.values() for sentence in found)
    for post in old:
        if post.id not in ids:  # the earlier text of a changed post may stand in it again
            known.update(set(sentences.split(post.text)))
    return [name for name, found in own.items()
            if found and sum(known[sentence] > 1 for sentence in found) > len(found) / 2]
