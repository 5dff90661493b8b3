"""The corpus stage: what is kept, dropped and counted, on small folders and on real corpora."""

import csv
import multiprocessing
import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from pets import Listener

from textvae.config import CorpusConfig
from textvae.data import BACKGROUND, Corpus
from textvae.errors import ConfigError, InputError
from textvae.progress import Progress
from textvae.readers.files import find
from textvae.stages import corpus

REAL = Path("/work/shared/data")
real = pytest.mark.skipif(not REAL.is_dir(), reason="the real corpora are not here")


def read(path: Path | str, **settings: object) -> Corpus:
    config = CorpusConfig(path=str(path), **settings)  # type: ignore[arg-type]
    return corpus.run(config, seed=1, progress=Progress(), scratch=Path())


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_posts_duplicates_and_rejections_are_counted(tmp_path: Path) -> None:
    write(tmp_path, a_md="---\ntags: [x]\nauthor: Ann\n---\nOne two.", b_md="One  two.", c_txt="Three", d_md="")
    found = read(tmp_path)
    assert [post.id for post in found.posts] == ["a.md", "c.txt"]
    assert found.metrics == {
        "files": 4, "posts": 2, "words": 3, "characters": 13, "rejected": 1, "empty": 1,
        "rejected_reasons": {"no text": 1}, "splits": {}, "authors": 1, "labels": 1, "top_labels": {"tag=x": 1},
        "duplicates": 1}
    assert [(item.source, item.reason) for item in found.rejected] == [("d.md", "no text")]
    assert len(read(tmp_path, duplicates="keep").posts) == 3


def test_a_corpus_survives_its_files(tmp_path: Path) -> None:
    found = read(write(tmp_path / "posts", a_md="One.", **{"b\u2028\u2029\x85c_md": ""}))
    (tmp_path / "saved").mkdir()
    found.save(tmp_path / "saved")
    assert Corpus.load(tmp_path / "saved") == found


def test_splits_given_by_files(tmp_path: Path) -> None:
    write(tmp_path, train_txt="a\na\nb\nc\n", valid_txt="b\nd\nd\n", test_txt="c\nd\n")
    found = read(tmp_path / "train.txt", validation=str(tmp_path / "valid.txt"), test=str(tmp_path / "test.txt"))
    assert [(post.text, post.split) for post in found.posts] == [("a", "train"), ("a", "train"), ("b", "validation"),
                                                                 ("c", "test"), ("d", "test")]
    assert found.metrics["duplicates"] == 4
    assert found.metrics["splits"] == {"test": 2, "train": 2, "validation": 1}
    kept = read(tmp_path / "train.txt", test=str(tmp_path / "test.txt"), duplicates="keep")
    assert [post.split for post in kept.posts] == ["train"] * 4 + ["test"] * 2


def test_two_splits_may_have_files_of_one_name(tmp_path: Path) -> None:
    write(tmp_path, train__a_md="One.", test__a_md="Two.")
    found = read(tmp_path / "train", test=str(tmp_path / "test"))
    assert [post.id for post in found.posts] == ["a.md", "test/a.md"]


def test_a_folder_may_be_called_as_a_split(tmp_path: Path) -> None:
    write(tmp_path, own__test__a_md="One.", own__background__a_md="Two.", test__a_md="Three.", others__a_md="Four.")
    found = read(tmp_path / "own", test=str(tmp_path / "test"), background=str(tmp_path / "others"))
    assert [(post.id, post.text) for post in found.posts] == [
        ("background/a.md", "Two."), ("test/a.md", "One."), ("test//a.md", "Three."), ("background//a.md", "Four.")]


def test_two_posts_of_one_id_are_refused(tmp_path: Path) -> None:
    write(tmp_path, **{"a\\xe9_md": "One."})
    (tmp_path / os.fsdecode(b"a\xe9.md")).write_text("Two.")
    with pytest.raises(InputError, match=r"two posts have the id .*rename one of them"):
        read(tmp_path)


def test_a_table_that_csv_gives_up_on_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, a_csv="text\nOne.\n", b_csv="text\n" + "x" * 200 + "\n")
    limit = csv.field_size_limit(100)
    monkeypatch.setattr(csv, "field_size_limit", lambda *size: 100)
    try:
        found = read(tmp_path, format="table")
    finally:
        monkeypatch.undo()
        csv.field_size_limit(limit)
    assert [post.text for post in found.posts] == ["One."]
    assert [(item.source, item.reason) for item in found.rejected] == [
        ("b.csv", "cannot be read any further: field larger than field limit (100)")]


def test_the_encoding_is_that_of_ones_own_posts(tmp_path: Path) -> None:
    write(tmp_path, others__b_md="It’s theirs – all of it.")
    (tmp_path / "a.txt").write_bytes("It’s mine\n".encode("cp1252"))
    found = read(tmp_path / "a.txt", encoding="cp1252", background=str(tmp_path / "others"))
    assert [post.text for post in found.posts] == ["It’s mine", "It’s theirs – all of it."]


def test_background_texts_are_read_beside_and_are_no_posts_of_ones_own(tmp_path: Path) -> None:
    write(tmp_path / "posts", a_md="---\ntags: [x]\n---\nOne two.", b_md="Three.")
    write(tmp_path / "others", a_md="---\ntags: [y]\n---\nFour five six.", c_md="Three.")
    said = Listener()
    config = CorpusConfig(path=str(tmp_path / "posts"), background=str(tmp_path / "others"))
    found = corpus.run(config, seed=1, progress=said, scratch=Path())
    # Of a text that both hold one's own stays.
    assert [(post.id, post.text, post.split) for post in found.posts] == [
        ("a.md", "One two.", ""), ("b.md", "Three.", ""), ("background/a.md", "Four five six.", BACKGROUND)]
    metrics = found.metrics
    assert (metrics["posts"], metrics["words"], metrics["background_words"]) == (2, 3, 3)
    assert metrics["splits"] == {BACKGROUND: 1} and metrics["top_labels"] == {"tag=x": 1} and not said.said
    alone = corpus.run(CorpusConfig(path=config.path), seed=1, progress=said, scratch=Path())
    assert len(said.said) == 1 and said.said[0].startswith("3 words are few to learn a language from: ")
    assert "--set corpus.background=" in said.said[0]
    assert alone.posts == found.posts[:2]
    assert corpus.fingerprint(config) != corpus.fingerprint(replace(config, background=""))
    (tmp_path / "rows.jsonl").write_text('{"text": "One two."}\n', encoding="utf-8")
    mixed = read(tmp_path / "rows.jsonl", format="jsonl", background=str(tmp_path / "others"))
    assert [post.split for post in mixed.posts] == ["", BACKGROUND, BACKGROUND]
    with pytest.raises(InputError, match="no such file or folder") as error:
        read(tmp_path / "posts", background=str(tmp_path / "nowhere"))
    assert error.value.hint.endswith("give corpus.background another path")


def test_labels_by_file_ending(tmp_path: Path) -> None:
    write(tmp_path, s_0="bad\n", s_1="good\n", s_2="so so\n")
    found = read(f"{tmp_path}/s.*", file_labels=(".0 mood=low", ".1 mood=high"))
    assert [(post.text, post.labels) for post in found.posts] == [("bad", ("mood=low",)), ("good", ("mood=high",)),
                                                                  ("so so", ())]
    with pytest.raises(ConfigError, match="ENDING KEY=VALUE"):
        read(f"{tmp_path}/s.*", file_labels=(".0",))


def test_processes_read_the_same_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        write(tmp_path, **{f"post{number}_md": f"# Post {number % 30}\n\nSome *words* of it."})
    write(tmp_path, bad_md="---\ntags: [x\n---\nText.", none_md="")
    (tmp_path / "post7.md").write_bytes(b"\xff\xfe\x00")
    alone = read(tmp_path)
    monkeypatch.setattr(corpus, "ALONE", 0)
    monkeypatch.setattr(corpus, "CHUNK", 300)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1}, raising=False)
    assert read(tmp_path) == alone and len(alone.rejected) == 3 and alone.metrics["duplicates"] == 10 - 1
    with pytest.raises(ConfigError, match=r"unknown corpus.encoding 'klingon' \(such as"):
        read(tmp_path, encoding="klingon")
    assert not multiprocessing.active_children()


def test_a_corpus_without_a_text_says_why(tmp_path: Path) -> None:
    write(tmp_path, a_md="", b_md="---\ndraft: true\n---\nText.")
    with pytest.raises(InputError, match=r"2 inputs rejected \(a.md: no text; b.md: draft\)"):
        read(tmp_path)
    (tmp_path / "head.csv").write_text("text\n")
    with pytest.raises(InputError, match=r"no text could be read from .*head.csv: it holds none"):
        read(tmp_path / "head.csv", format="table", text_column="text")


def test_the_fingerprint_follows_what_is_read(tmp_path: Path) -> None:
    write(tmp_path, posts__a_md="One.", posts__b_md="Two.", test_txt="Three.")
    config = CorpusConfig(path=str(tmp_path / "posts"), test=str(tmp_path / "test.txt"))
    seen = {corpus.fingerprint(config)}
    write(tmp_path, posts__picture_png="not read")
    assert corpus.fingerprint(config) in seen
    for change in ({"posts__a_md": "One!"}, {"test_txt": "Four."}, {"posts__c_md": "New."}):
        write(tmp_path, **change)
        assert corpus.fingerprint(config) not in seen
        seen.add(corpus.fingerprint(config))
    (tmp_path / "posts/a.md").rename(tmp_path / "posts/aa.md")
    assert corpus.fingerprint(config) not in seen
    with pytest.raises(InputError, match="no such file or folder"):
        corpus.fingerprint(CorpusConfig(path=str(tmp_path / "none")))


def test_the_fingerprint_tells_a_file_that_is_a_post_from_one_that_is_read_line_by_line(tmp_path: Path) -> None:
    write(tmp_path, a_txt="One.\n\nTwo.")
    folder, file = CorpusConfig(path=str(tmp_path)), CorpusConfig(path=str(tmp_path / "a.txt"))
    assert [len(read(config.path).posts) for config in (folder, file)] == [1, 2]
    assert corpus.fingerprint(folder) != corpus.fingerprint(file)


def test_the_sample_corpora() -> None:
    lee = read("sample:lee")
    assert (lee.metrics["posts"], lee.metrics["duplicates"], lee.metrics["rejected"]) == (293, 7, 0)
    posts = read("sample:posts")
    assert (posts.metrics["posts"], posts.metrics["rejected"], posts.metrics["empty"]) == (12, 0, 0)
    assert all(post.date.startswith("2025-") and 140 < len(post.text.split()) < 260 for post in posts.posts)
    assert not re.search(r"[{}<>*`\[\]|]|https?:|figure|newsletter|flour 50 g", " ".join(p.text for p in posts.posts))
    counts = {format: read("sample:tables", format=format).metrics["posts"] for format in ("table", "jsonl")}
    assert counts == {"table": 40, "jsonl": 10}


@real
def test_18f_reads_as_prose() -> None:
    listed = find(str(REAL / "blogs/18f"))
    assert Counter(type(item).__name__ for item in listed) == {"Source": 509, "Rejected": 2}
    found = read(f"{REAL}/blogs/18f/content/posts/2016*.md")  # a fifth of them, for the sake of time
    assert (found.metrics["posts"], found.metrics["rejected"]) == (len(found.posts), 0)
    assert len(found.posts) > 80
    assert all(post.date and post.title for post in found.posts)
    text = "\n".join(post.text for post in found.posts)
    for leftover in (r"\{%", r"\]\(", r"<div", r"&nbsp;", r"&#\d", r"\*\*", r"\{\.[a-z]", r"https?://\w"):
        assert not re.search(leftover, text), leftover


@real
def test_the_airline_tweets_are_accounted_for_row_by_row() -> None:
    found = read(REAL / "tables/tweets_airline/Tweets.csv")
    metrics = found.metrics
    assert metrics["posts"] + metrics["duplicates"] + metrics["rejected"] == 14_640
    keys = {label.partition("=")[0] for post in found.posts for label in post.labels}
    assert keys == {"airline_sentiment", "airline", "negativereason"}


@real
@pytest.mark.parametrize("folder", ["_posts", "_encodings", "_dates", "_tutorials", "win", "."])
def test_jekylls_own_test_sources(folder: str) -> None:
    found = read(REAL / "messy/jekyll_test/test/source" / folder)
    assert found.metrics["posts"] > 0
    assert all(item.reason for item in found.rejected)


@real
def test_a_folder_of_nothing_but_broken_posts() -> None:
    with pytest.raises(InputError, match="not valid YAML"):
        read(REAL / "messy/jekyll_test/test/source/_broken")
