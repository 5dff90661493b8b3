"""Tokenizers: the round trip, special ids, repeatable training, words and detokenising."""

import hashlib
import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textvae.data import SPECIAL, UNKNOWN
from textvae.text import tokenizer
from textvae.text.detokenise import detokenise

TEXTS = ["The committee wrote three letters, and the people read the letters.", "Don't they write well-known letters?",
         "It cost $3.50 (or 1,234 points) at github.com.", "The letters were read; they wrote more letters. Ünï 😀"]
BPE = tokenizer.train(TEXTS * 3, level="bpe", vocabulary=330)
WORDS = tokenizer.train(TEXTS, level="word", vocabulary=300)
NASTY = st.sampled_from(["😀", "\x00", "\u2581", "\n", "\r\n", "<s>", "</s>", "<pad>", "<unk>", "letters", " the", "  ",
                         "\u200d", "é", "e\u0301", "\u00a0", "Ġ", "\\xe2", "中文", "\ufeff"])


@settings(max_examples=50, derandomize=True)
@given(st.one_of(st.text(), st.lists(NASTY).map("".join)))
def test_bpe_gives_back_every_text_without_special_ids(text: str) -> None:
    ids = BPE.encode(text)
    assert BPE.decode(ids) == text
    assert all(len(SPECIAL) <= number < BPE.size for number in ids)


@settings(max_examples=30, derandomize=True)
@given(st.lists(st.one_of(st.text(), NASTY), max_size=8))
def test_a_loaded_tokenizer_encodes_alike(texts: list[str]) -> None:
    for trained in (BPE, WORDS):
        again = tokenizer.load(json.loads(json.dumps(trained.to_json())))
        assert again.encode_many(texts) == [trained.encode(text) for text in texts]
        assert again.pieces == trained.pieces
        assert again.to_json() == trained.to_json()


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    assert BPE.decode(BPE.encode("a\ud83d b")) == "a\ufffd b"
    assert BPE.encode_many(["a\ud83d b"]) == [BPE.encode("a\ud83d b")]


def test_bpe_pieces_read_as_text() -> None:
    assert BPE.pieces[:4] == SPECIAL
    assert " the" in BPE.pieces and "\\xe2" in BPE.pieces and " " in BPE.pieces
    assert BPE.size == len(BPE.pieces) == 330 == BPE.to_json()["size"]


def test_decoding_leaves_out_padding_begin_and_end() -> None:
    for trained in (BPE, WORDS):
        ids = trained.encode("the letters")
        assert trained.decode([1, *ids, 2, 0, 0]) == "the letters"
    assert WORDS.decode([UNKNOWN]) == "<unk>"


def test_a_small_corpus_gives_a_smaller_vocabulary() -> None:
    small = tokenizer.train(["ab ab"], level="bpe", vocabulary=8000)
    assert 260 < small.size < 300
    assert small.decode(small.encode("zebra")) == "zebra"


@pytest.mark.parametrize("level", ["bpe", "word"])
def test_training_is_repeatable_in_other_processes(level: str) -> None:
    code = (f"import json, sys; from textvae.text import tokenizer\n"
            f"t = tokenizer.train(json.load(sys.stdin), level={level!r}, vocabulary=600)\n"
            "print(json.dumps(t.to_json()))")
    # Equal counts all over, so that only the order of ties decides.
    texts = [hashlib.sha256(str(n).encode()).hexdigest()[:9] + f" tie{n % 50}" for n in range(300)]
    outputs = {subprocess.run([sys.executable, "-c", code], input=json.dumps(texts), text=True, capture_output=True,
                              check=True, env={**os.environ, "PYTHONHASHSEED": salt}).stdout for salt in ("1", "2")}
    assert len(outputs) == 1
    assert json.loads(outputs.pop())["size"] > 260


def test_words_keep_apostrophes_hyphens_numbers_and_points() -> None:
    words = tokenizer.train([""], level="word", vocabulary=300)
    assert words.spelt("Don’t e-mail 1,234.5 points to x.y@github.com, Mr. O'Neil!") == [
        "Don’t", "e-mail", "1,234.5", "points", "to", "x.y", "@", "github.com", ",", "Mr", ".", "O'Neil", "!"]


def test_word_vocabulary_is_by_count_then_text() -> None:
    words = tokenizer.train(["b a c c", "A d"], level="word", vocabulary=7)
    assert words.pieces[4:] == ("c", "A", "a")
    assert words.encode("c d e") == [4, UNKNOWN, UNKNOWN]
    assert tokenizer.train(["B a b"], level="word", vocabulary=300, lowercase=True).pieces[4:] == ("b", "a")


def test_whitespace_level_keeps_tokens_as_they_are() -> None:
    text = "the <unk> is n't N \\ $ u.s. 's <s>"
    spaced = tokenizer.train([text], level="whitespace", vocabulary=300)
    assert spaced.encode(text).count(UNKNOWN) == 1
    assert spaced.decode(spaced.encode(text)) == text
    assert "<unk>" not in spaced.pieces[4:]


def test_lowercase_and_unknown_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="keeps the case"):
        tokenizer.train(TEXTS, level="bpe", vocabulary=300, lowercase=True)
    with pytest.raises(ValueError, match="'wrod'"):
        tokenizer.train(TEXTS, level="wrod", vocabulary=300)


@pytest.mark.parametrize("text", [
    "The letters, read: were well-known; don't they? Yes!", 'He said "go home" and "stay (there)".',
    "It cost $3.50 (or 5%).", "“Why?” she asked.", "A and/or B [sic].", "It was late—too late."])
def test_words_detokenise_to_the_text(text: str) -> None:
    words = tokenizer.train([text], level="word", vocabulary=300)
    assert words.decode(words.encode(text)) == text


@pytest.mark.parametrize("text", [
    "Write to us@example.org today.", "R&D in C++ at 3:30pm.", "See https://example.org/a-b/2015-01-02/ now.",
    "- spaced - out , and AT&T", "a \" b \" and \"c\"."])
@pytest.mark.parametrize("lowercase", [False, True])
def test_words_are_spaced_as_in_the_text_that_they_are_of(text: str, lowercase: bool) -> None:
    words = tokenizer.train([text], level="word", vocabulary=300, lowercase=lowercase)
    told = text.lower() if lowercase else text
    assert words.decode(words.encode(text)) != told == words.decode(words.encode(text), like=text)
    few = tokenizer.train(["us . in now and c"], level="word", vocabulary=300, lowercase=lowercase)
    names = [word for word, number in zip(few.spelt(text), few.encode(text), strict=True) if number == UNKNOWN]
    assert names and few.decode(few.encode(text), names, text) == told
    assert few.decode(few.encode(text), names[:-1]).count("<unk>") == 1


def test_a_pair_that_is_spaced_in_both_ways_follows_the_rule() -> None:
    words = tokenizer.train(["a / b"], level="word", vocabulary=300)
    assert words.decode(words.encode("a / b"), like="a / b, a/b") == "a/b"
    assert words.decode(words.encode("b / a"), like="a / b") == "b/a"


@pytest.mark.parametrize(("like", "text"), [
    ('It was a hard year," he said.', 'It was so," Mr Lee said.'),
    ('It was a hard year," he said.', '"We go," Lee said.'),
    ('It is late."', 'It is so!"'), ("I don't go,' he said.", "We don't go,' Lee said."),
    ("The workers' union is on strike.", "The firms' men are so."),
    ('He said "go" to us.', 'Say "no" to it, he "asks".'),
    ("The talks — which began — go on.", "The talks — police — begin."), ("It was late—too late.", "It is so—very so."),
    ("The talks – which began – go on.", "A deal – police say – is near."),
    ("It costs 20 € for each.", "It costs 20 € of it."), ('He said "it is late."', "It is late. The end."),
    ("It (he said) is, too.", "It (we say) is (so), he.")], ids=str)
def test_signs_beside_other_words_are_spaced_as_in_the_text(like: str, text: str) -> None:
    words = tokenizer.train([text], level="word", vocabulary=300)
    assert words.decode(words.encode(text), like=like) == text


@settings(max_examples=50, derandomize=True)
@given(st.text(), st.text(alphabet="ab'\"—€. ("))
def test_words_keep_their_signs_whatever_they_are_spaced_like(text: str, like: str) -> None:
    words = tokenizer.train([text], level="word", vocabulary=300)
    assert "".join(words.decode(words.encode(text), words.spelt(text), like).split()) == "".join(text.split())


@settings(max_examples=50, derandomize=True)
@given(st.text())
def test_words_lose_white_space_only(text: str) -> None:
    words = WORDS.spelt(text)
    assert "".join(words) == "".join(text.split())
    assert "".join(detokenise(words).split()) == "".join(words)


def test_importing_is_light() -> None:
    code = "import sys, textvae.text.tokenizer; "
    code += "print([name for name in ('tokenizers', 'gensim', 'pandas') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
