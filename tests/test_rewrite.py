"""Varying the sentences of a post where they stand, and the command that does it."""

import os
import resource
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from textvae.cli import posts
from textvae.errors import InputError
from textvae.writing import files, prose
from textvae.writing.rewrite import rewrite
from textvae.writing.writer import CANDIDATES

POST = "# A post\r\n\r\nThe cat sat on the mat. A dog ran far away from home!\r\n\r\nThe bird sang in the old tree.\r\n"
SENTENCES = [own.text for own in prose.find(POST, markdown=True)]


def test_a_share_of_the_sentences_is_varied(writer):
    done = rewrite(writer, POST, share=0.5, seed=1, temperature=1.0)
    assert (done.sentences, len(done.varied), done.source) == (3, 2, POST) and not done.left
    for sentence, own in done.varied.items():
        assert POST[sentence.start:sentence.end] == own.source and own.text in done.text
        assert done.line(sentence) == (5 if own.source == SENTENCES[2] else 3)
    kept = next(text for text in SENTENCES if text not in [own.source for own in done.varied.values()])
    assert kept in done.text and done.text.startswith("# A post\r\n\r\n") and done.text.count("\r\n") == 5
    assert rewrite(writer, POST, share=0.5, seed=1, temperature=1.0) == done
    assert rewrite(writer, POST, share=0.5, seed=2, temperature=1.0).text != done.text
    assert len(rewrite(writer, POST, share=0.0, seed=1, temperature=1.0).varied) == 1


def test_what_cannot_be_varied_stays_and_says_why(writer, monkeypatch):
    long = "The cat sat on the mat and the dog sat on the mat as well, he said."
    done = rewrite(writer, f"{long} The bird sang in the old tree.", share=1.0, seed=1, temperature=1.0)
    assert long in done.text and len(done.varied) == 1
    assert [(own.text, why) for own, why in done.left.items()] == [
        (long, "it has 19 tokens, and the model was trained on at most 9")]
    with pytest.raises(InputError, match="no sentence of plain prose"):
        rewrite(writer, "# Only a heading\n", share=0.5, seed=1)
    for share in (-0.1, 1.5, np.nan):
        with pytest.raises(InputError, match="there is no share"):
            rewrite(writer, POST, share=share, seed=1)
    # Where nothing that is written will do, the reasons say so.
    read = writer.ids
    monkeypatch.setattr(writer, "write", lambda code, *rest: (
        [read(["the bird sang in the old tree"])[0]] * len(code), np.zeros(len(code), np.float32)))
    stuck = rewrite(writer, "The bird sang in the old tree.", share=1.0, seed=1)
    assert stuck.text == stuck.source and f"{4 * 3 * CANDIDATES} fail an end" in next(iter(stuck.left.values()))


def test_sentences_of_known_words_come_first(writer):
    post = " ".join(f"The zebra {n} sat on the mat." for n in range(6)) + " The cat sat on the mat."
    done = rewrite(writer, post, share=0.1, seed=1, temperature=1.0)
    assert [own.source for own in done.varied.values()] == ["The cat sat on the mat."]


@contextmanager
def small_files(most):
    """No file that this process writes may grow larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("where", ["output", "page"])
def test_a_post_stays_where_what_became_of_it_cannot_be_written(writer, tmp_path, where):
    path = tmp_path / "post.md"
    path.write_bytes(POST.encode())
    asked = {"output": None, "page": None, where: path, "share": 1.0, "seed": 1, "temperature": 1.0}
    with pytest.raises(InputError, match=r"cannot write .*post\.md: File too large"), small_files(len(POST) // 2):
        posts.vary_file(lambda few: writer, path, diff=False, lines=False, headings=False, **asked)
    assert path.read_bytes() == POST.encode() and list(tmp_path.iterdir()) == [path]


def test_a_file_keeps_its_links_and_its_permissions(tmp_path, monkeypatch):
    path, link, led = tmp_path / "a.md", tmp_path / "link.md", tmp_path / "led.md"
    path.write_bytes(b"old")
    path.chmod(0o600)
    link.symlink_to(path)
    files.replace(link, b"new")
    assert path.read_bytes() == b"new" and path.stat().st_mode & 0o777 == 0o600 and link.is_symlink()
    led.symlink_to(tmp_path / "none.md")
    files.replace(led, b"new")
    assert (tmp_path / "none.md").read_bytes() == b"new" and led.is_symlink()
    os.mkfifo(pipe := tmp_path / "pipe")
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    files.replace(pipe, b"new")
    assert os.read(reading, 9) == b"new" and pipe.is_fifo()
    os.close(reading)
    monkeypatch.setattr(os, "access", lambda where, mode: Path(where) != tmp_path)  # chmod would not stop root
    inode = path.stat().st_ino
    files.replace(path, b"in its place")
    assert path.read_bytes() == b"in its place" and path.stat().st_ino == inode


def test_a_page_of_a_post_whose_name_is_no_utf8(writer, tmp_path):
    path, page = tmp_path / os.fsdecode(b"caf\xe9.md"), tmp_path / "page.html"
    path.write_bytes(POST.encode())
    posts.vary_file(lambda few: writer, path, output=None, page=page, diff=True, lines=False, share=1.0, seed=1,
                    temperature=1.0, headings=False)
    assert r"<title>caf\udce9.md</title>" in page.read_text(encoding="utf-8")
