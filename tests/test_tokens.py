"""The tokens stage: units, lengths, the split of posts, and what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textvae.config import TokensConfig
from textvae.data import BACKGROUND, SPLITS, UNKNOWN, Corpus, Post, Tokens
from textvae.errors import ConfigError, InputError
from textvae.progress import Progress
from textvae.stages import tokens as stage
from textvae.text import tokenizer
from textvae.text.cutting import Cutter
from textvae.text.lexicon import folded
from textvae.text.sentences import split

PTB = Path("/work/shared/data/sentences/ptb")
ALL_TRAIN = {"validation": 0.0, "test": 0.0}
ANIMALS = ("cat", "dog", "cow", "owl", "hen", "fox", "emu", "ant")


def corpus(posts: int = 40, sentences: int = 3, **extra: Any) -> Corpus:
    """Small posts of plain sentences, each post different."""
    return Corpus(tuple(
        Post(id=f"p{n}", text=" ".join(f"The {ANIMALS[(n + k) % 8]} saw {n} of the {ANIMALS[n % 7]}s, and left."
                                       for k in range(sentences)), labels=(f"animal={ANIMALS[n % 8]}",), **extra)
        for n in range(posts)))


def make(posts: Corpus, **settings: Any) -> Tokens:
    return stage.run(TokensConfig(**settings), posts, seed=1, progress=Progress(), scratch=Path())


def text_of(tokens: Tokens) -> list[str]:
    decode = tokenizer.load(tokens.tokenizer).decode
    return [decode(tokens.sequence(row).tolist()) for row in range(len(tokens))]


def test_sentences_come_back_in_reading_order() -> None:
    posts = corpus()
    tokens = make(posts)
    assert text_of(tokens) == [sentence for post in posts.posts for sentence in split(post.text)]
    assert tokens.position.tolist() == [0, 1, 2] * 40
    assert tokens.post.tolist() == [row for row in range(40) for _ in range(3)]
    assert tokens.post_ids[3] == "p3" and tokens.post_labels[3] == ("animal=owl",)
    assert tokens.metrics["sequences"] == {name: len(tokens.rows(name)) for name in SPLITS}
    assert sum(tokens.metrics["tokens"].values()) == len(tokens.ids)
    assert tokens.metrics["vocabulary"] == tokens.vocabulary_size
    assert tokens.metrics["longest"] == tokens.lengths.max()


def test_saved_tokens_are_equal_and_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        make(corpus()).save(tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    assert text_of(Tokens.load(tmp_path / "one")) == text_of(make(corpus()))


def test_posts_and_windows_hold_the_whole_text() -> None:
    posts = Corpus(tuple(Post(id=str(n), text=f"\nA {n}\n\n  line  of {ANIMALS[n % 8]} \n") for n in range(40)))
    whole = [post.text.strip() for post in posts.posts]
    assert text_of(make(posts, unit="post")) == whole
    windows = make(posts, unit="window", window=4)
    joined = [""] * 40
    for row, text in zip(windows.post, text_of(windows), strict=True):
        joined[row] += text
    assert joined == whole
    last = np.append(np.diff(windows.post) != 0, True)
    assert (windows.lengths[~last] == 4).all() and windows.lengths.max() == 4


def test_long_sentences_are_cut_after_clauses_or_dropped_and_counted() -> None:
    long = "One cat saw two dogs, and three dogs saw four cows, and five cows saw six owls, and all of them went home."
    posts = Corpus((*corpus().posts, *(Post(id=f"long{n}", text=f"Hens fly. {long} Foxes run.")
                                       for n in range(5))))  # often enough for BPE to know its words
    assert make(posts, **ALL_TRAIN).metrics["cut"] == 0
    cut = make(posts, max_length=12, **ALL_TRAIN)
    rows = np.flatnonzero(cut.post == 44)
    parts = [text_of(cut)[row] for row in rows]
    assert cut.position[rows].tolist() == list(range(len(rows)))
    assert "".join(parts[1:-1]) == long and len(parts) > 3 and cut.lengths.max() <= 12
    assert all(part.endswith((",", ".")) for part in parts)
    assert cut.metrics["cut"] == 5 and cut.metrics["dropped_long"] == 0
    dropped = make(posts, max_length=12, long="drop", **ALL_TRAIN)
    assert [text_of(dropped)[row] for row in np.flatnonzero(dropped.post == 44)] == ["Hens fly.", "Foxes run."]
    assert dropped.metrics["dropped_long"] == 5 and dropped.metrics["cut"] == 0


def test_short_sequences_are_dropped_and_counted() -> None:
    posts = Corpus((*corpus().posts, Post(id="short", text="Hi. The cat saw 3 of the dogs, and left.")))
    tokens = make(posts, level="word", min_length=4, **ALL_TRAIN)
    assert tokens.metrics["dropped_short"] == 1
    assert len(tokens) == 121 and tokens.position[-1] == 0


@settings(max_examples=50, derandomize=True)
@given(st.lists(st.integers(0, 6), max_size=60), st.integers(2, 9))
def test_cut_parts_join_to_the_whole(ids: list[int], longest: int) -> None:
    parts = Cutter([" a", "b", ",", " c", "\\xe2", "\\x82", "."], longest, spaced=True).cut(ids)
    assert [number for part in parts for number in part] == ids
    assert all(0 < len(part) <= longest for part in parts) or not ids


def test_words_and_characters_stay_whole_where_they_can() -> None:
    assert Cutter([" a", "b"], 4, spaced=True).cut([0, 1, 1, 1, 0, 1]) == [[0, 1, 1, 1], [0, 1]]
    chinese = ["\\xe4", "\\xb8", "\\xad"]
    assert Cutter(chinese, 4, spaced=True).cut([0, 1, 2] * 2) == [[0, 1, 2], [0, 1, 2]]


@settings(max_examples=50, derandomize=True)
@given(st.sets(st.text(min_size=1, max_size=8), min_size=60, max_size=90), st.integers(0, 10))
def test_a_post_never_changes_side_when_the_corpus_grows(ids: set[str], more: int) -> None:
    def sides(names: list[str]) -> dict[str, int]:
        posts = tuple(Post(id=name, text=f"A cat saw {name.encode('utf-8', 'surrogatepass').hex()}.") for name in names)
        tokens = make(Corpus(posts), level="word", validation=0.2, test=0.2)
        return {tokens.post_ids[row]: int(side) for row, side in zip(tokens.post, tokens.split, strict=True)}

    names = sorted(ids)
    before, after = sides(names), sides([f"new {n}" for n in range(more)] + names[::-1])
    assert {name: after[name] for name in names} == before


def test_shares_are_kept_by_post() -> None:
    tokens = make(corpus(2000, 1), validation=0.1, test=0.2)
    assert 150 < len(tokens.rows("validation")) < 250 and 340 < len(tokens.rows("test")) < 460
    assert set(np.unique(make(corpus(200), **ALL_TRAIN).split)) == {0}


def test_given_splits_are_kept() -> None:
    posts = Corpus((*corpus(30).posts, Post(id="v", text="A hen.", split="validation"),
                    Post(id="t", text="A fox.", split="test")))
    tokens = make(posts)
    assert tokens.metrics["posts"] == {"train": 30, "validation": 1, "test": 1}
    assert text_of(tokens)[-2:] == ["A hen.", "A fox."]


def test_background_texts_are_for_training_alone_and_ones_own_words_come_first(tmp_path: Path) -> None:
    own = corpus()
    others = tuple(Post(id=f"{BACKGROUND}/{n}", split=BACKGROUND, text=" ".join(
        f"A w{(n * 7 + k) % 400} went to w{(n + k) % 400} again." for k in range(40))) for n in range(60))
    alone, beside = (make(Corpus(posts), level="word", vocabulary=300) for posts in (own.posts, own.posts + others))
    assert set(alone.tokenizer["words"]) < set(beside.tokenizer["words"]) and beside.vocabulary_size == 300
    assert alone.background is None and beside.background.tolist() == [False] * 40 + [True] * 60
    assert beside.split.tolist()[:120] == alone.split.tolist() and not beside.split[120:].any()
    assert beside.rows("train", own=True).tolist() == alone.rows("train").tolist() == alone.rows("train",
                                                                                             own=True).tolist()
    assert len(beside.rows("train")) == len(alone.rows("train")) + 60 * 40
    assert beside.rows("test", own=True).tolist() == beside.rows("test").tolist() == alone.rows("test").tolist()
    beside.save(tmp_path)
    assert Tokens.load(tmp_path).background.tolist() == beside.background.tolist()
    # One's own posts fill the other splits, however many there are beside them.
    few = make(Corpus(own.posts[:3] + others), level="word")
    assert sorted({SPLITS[split] for split in few.split[:9]}) == sorted(SPLITS) and not few.split[9:].any()
    with pytest.raises(InputError, match="2 posts with text cannot be split"):
        make(Corpus(own.posts[:2] + others))


def test_a_split_that_no_file_gives_is_drawn_from_the_training_posts() -> None:
    posts = Corpus((*corpus(100, split="train").posts, Post(id="t", text="A fox.", split="test")))
    tokens = make(posts, validation=0.2)
    assert tokens.metrics["posts"]["test"] == 1
    assert 10 < tokens.metrics["posts"]["validation"] < 30
    assert tokens.metrics["posts"]["train"] == 100 - tokens.metrics["posts"]["validation"]


@pytest.mark.parametrize("split", ["", "train"])
def test_posts_of_one_text_fall_on_one_side(split: str) -> None:
    texts = [f"The {ANIMALS[n % 8]} saw {n}." for n in range(60)]
    alone = tuple(Post(id=f"p{n}", text=text, split=split) for n, text in enumerate(texts))
    near = [text.upper().replace(" SAW", ",  SAW").replace(".", "!") for text in texts]
    copies = tuple(Post(id=f"p{n}-{k}", text=text, split=split)
                   for k, again in ((2, texts), (3, near)) for n, text in enumerate(again))
    given = (Post(id="t", text="A fox.", split="test"),) if split else ()

    def sides(posts: tuple[Post, ...]) -> dict[str, set[int]]:
        tokens = make(Corpus(posts), validation=0.2)
        found: dict[str, set[int]] = {}
        for row, side in zip(tokens.post, tokens.split, strict=True):
            found.setdefault(folded(posts[row].text), set()).add(int(side))
        return found

    assert sides(alone + copies + given) == sides(alone + given)
    with pytest.raises(InputError, match=r"2 posts with text cannot be split .*copies count once"):
        make(Corpus((*alone[:2], *copies[:2])))


def test_the_tokenizer_learns_from_the_training_split_only() -> None:
    posts = Corpus((*corpus(30).posts, *(Post(id=f"t{n}", text="Zebras zebras.", split="test") for n in range(9))))
    tokens = make(posts, level="word", validation=0.0)
    assert "zebras" not in tokenizer.load(tokens.tokenizer).pieces
    assert (tokens.ids[tokens.offsets[tokens.rows("test")[0]]:] == UNKNOWN).mean() > 0.5
    assert tokens.metrics["unknown"]["test"] == pytest.approx(2 / 3, abs=1e-5)
    assert tokens.metrics["unknown"]["train"] == 0


class Heard(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


@pytest.mark.parametrize("posts", [3, 4, 7])
def test_few_posts_fill_every_split(posts: int) -> None:
    heard = Heard()
    tokens = stage.run(TokensConfig(), corpus(posts, 40), seed=1, progress=heard, scratch=Path())
    assert all(tokens.metrics["posts"][name] >= 1 for name in SPLITS)
    assert sum(tokens.metrics["posts"].values()) == posts
    assert tokens.metrics["moved_posts"] > 0 and "moved" in heard.lines[0]


def test_too_few_posts_or_sequences_are_refused_with_what_to_do() -> None:
    with pytest.raises(InputError, match=r"2 posts .* train, validation, test.*corpus.validation"):
        make(corpus(2, 100))
    with pytest.raises(InputError, match=r"3 posts give \d+ training sequences; 20 are the fewest"):
        make(corpus(3, 2))
    with pytest.raises(InputError, match="none of the corpus's 2 posts has any text"):
        make(Corpus((Post(id="a", text=" \n"), Post(id="b", text=""))))
    with pytest.raises(InputError, match=r"split has .* no sequences.*max_length"):
        make(corpus(), max_length=2, long="drop")
    assert len(make(corpus(1, 30), **ALL_TRAIN)) == 30


@pytest.mark.parametrize(("settings", "named"), [
    ({"lowercase": True}, "tokens.lowercase"), ({"unit": "window", "window": 64}, "tokens.window is 64"),
    ({"min_length": 60}, "tokens.min_length is 60"), ({"validation": 0.5, "test": 0.5}, "leave no post")])
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        make(corpus(), **settings)


@pytest.mark.skipif(not PTB.is_dir(), reason="needs the shared data")
def test_ptb_counts_are_those_of_the_literature() -> None:
    posts = [Post(id=f"{name}{n}", text=line, split=side)
             for name, side in (("train", "train"), ("valid", "validation"), ("test", "test"))
             for n, line in enumerate((PTB / f"{name}.txt").read_text(encoding="utf-8").splitlines())]
    tokens = make(Corpus(tuple(posts)), unit="post", level="whitespace", vocabulary=10_003, max_length=100)
    assert tokens.metrics["sequences"] == {"train": 42_068, "validation": 3_370, "test": 3_761}
    assert tokens.metrics["tokens"]["test"] == 78_669
    assert tokens.vocabulary_size == 3 + 9_999  # the literature's 10,000 are these 9,999, <unk> included, and the end
    assert tokens.metrics["cut"] == tokens.metrics["dropped_short"] == 0
