"""Sentence splitting: hard cases, and nothing lost."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textvae.text.sentences import split

HARD = {
    "titles": ["Mr. Lee met Dr. Chan.", "They talked."],
    "initials": ["J. A. Smith wrote it with K. Jones.", "It sold."],
    "acronym inside": ["The U.S. Army and the U.K. Treasury agreed.", "Both paid."],
    "acronym at the end": ["He moved to the U.S. in May.", "She stayed in the U.K.", "They write."],
    "latin": ["Bring fruit, e.g. Apples or i.e. Pears.", "See Smith et al. 2019."],
    "etc": ["Tea, milk, etc. are free.", "We have cups, spoons, etc.", "Bring your own."],
    "numbers": ["It costs $3.50 or 1.000 points.", "In 2019.", "2020 was worse."],
    "numbered": ["See No. 5 and Fig. 2 on pp. 3 and Jan. 4.", "The answer is no.", "Go home."],
    "company": ["Acme Inc. Holdings grew.", "It left Acme Inc.", "The rest stayed."],
    "times": ["We meet at 5 p.m. and end at 6 p.m.", "The bus leaves then."],
    "names with points": ["18F.gov, Node.js and README.md are names.", "See https://a.b/c.html?d=e.F for more."],
    "ellipsis": ["Well... maybe so.", "And then...", "Nothing…", "The end."],
    "quotes": ["“Go home.”", "She left.", '"Why?" he asked.', "(He knew.)", "‘Fine!’", "So it ended."],
    "marks": ["What?!", "No way!!!", "Is it? yes."],
    "camel": ["We use it.", "iPhone users do too."],
    "openers": ["He came.", "“You saw.”", "(We won.)", "[1] is a note.", "¿Qué?", "Élan won."],
    "list numbers": ["1. Wash the cups.", "2. Dry them."],
    "pronoun": ["So do I.", "You know."],
    "list letter": ["b. Rest."],
}


@pytest.mark.parametrize("name", HARD)
def test_hard_cases(name: str) -> None:
    assert split(" ".join(HARD[name])) == HARD[name]


def test_a_blank_line_ends_a_sentence_and_white_space_is_folded() -> None:
    assert split("A heading\n\nthe  text\tgoes\u00a0on\n \nhere") == ["A heading", "the text goes on", "here"]


def test_a_line_break_ends_a_sentence_unless_the_next_line_goes_on() -> None:
    assert split("Tea\r\nMilk and\nsugar\n3 cups") == ["Tea", "Milk and sugar", "3 cups"]


def test_lines_wrapped_at_one_width_are_one_paragraph() -> None:
    wrapped = ("The committee met on Tuesday with the people from\nBoston. They agreed on most of the points, and Ms\n"
               "Fox wrote them down.")
    assert split(wrapped) == ["The committee met on Tuesday with the people from Boston.",
                              "They agreed on most of the points, and Ms Fox wrote them down."]
    assert len(split("The committee met on Tuesday with the people from\nBoston\nLondon\nParis")) == 4


def test_empty_text_has_no_sentences() -> None:
    assert split("") == split(" \n\n\t ") == []


PIECES = st.sampled_from(["Mr.", "U.S.", "Hi", "the", "end.", "5", "No.", "...", "?!", "”", "(", "\n", "\n\n", " ",
                          "\t", "e.g.", "😀", "\u2028", "A.", "-", "。"])


@settings(max_examples=50, derandomize=True)
@given(st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=40).map(" ".join), st.lists(PIECES).map("".join)))
def test_nothing_is_lost(text: str) -> None:
    sentences = split(text)
    assert " ".join(sentences) == " ".join(text.split())
    assert all(sentences)


@pytest.mark.parametrize("unit", [".", ". ", ".\" ", "! ", "A. ", "a", "*", ".*", "\n", "Mr. A "])
def test_time_grows_with_the_length_only(unit: str) -> None:
    begun = time.process_time()
    split(unit * 100_000)
    assert time.process_time() - begun < 2
