"""The readers: one file in, posts and rejections out, nothing lost and nothing raised."""

import codecs
import csv
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textvae.data import Post, Rejected
from textvae.errors import ConfigError, InputError
from textvae.readers import jsonl, lines, post, table
from textvae.readers.decode import UndecodableError, decode
from textvae.readers.files import Source, find
from textvae.readers.normalise import normalise
from textvae.readers.records import Columns

in_one_folder = settings(max_examples=50, derandomize=True, deadline=None,
                         suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    return path


def one(path: Path, **settings: object) -> Post | Rejected:
    (item,) = post.read(path, path.name, **settings)  # type: ignore[arg-type]
    return item


# Posts

def test_a_post_with_a_yaml_header(tmp_path: Path) -> None:
    item = one(write(tmp_path / "a.md", "---\ntitle: A &amp; B\nauthors: [Ann, {name: Bo}]\ndate: 2024-01-02\n"
                                        "Tags: rye, wheat\ntopics:\n- oven\ncategory: bread\nx: y\n---\nA *post*."))
    assert item == Post(id="a.md", text="A post.", title="A & B", author="Ann, Bo", date="2024-01-02", source="a.md",
                        labels=("tag=rye", "tag=wheat", "topic=oven", "category=bread"))


def test_an_html_page_speaks_for_itself(tmp_path: Path) -> None:
    item = one(write(tmp_path / "a.html", "<title>T</title><meta name=author content=Ann>"
                                          "<meta name=keywords content='x,y'>"
                                          "<time datetime='2024-01-02'></time><article><p>Text.</p></article>"))
    assert item == Post(id="a.html", text="Text.", title="T", author="Ann", date="2024-01-02", source="a.html",
                        labels=("tag=x", "tag=y"))


@pytest.mark.parametrize(("name", "date"), [("2014-12-23-hub.md", "2014-12-23"), ("2017-2-5-zeroes.md", "2017-02-05"),
                                            ("2014/12/23/hub.md", "2014-12-23"), ("hub.md", "")])
def test_a_date_that_only_the_name_holds(tmp_path: Path, name: str, date: str) -> None:
    (item,) = post.read(write(tmp_path / "a.md", "Text."), name)
    assert isinstance(item, Post) and item.date == date


@pytest.mark.parametrize("line", ["draft: true", "published: false", "status: draft"])
def test_drafts_wait_until_they_are_asked_for(tmp_path: Path, line: str) -> None:
    path = write(tmp_path / "a.md", f"---\n{line}\n---\nText.")
    assert one(path) == Rejected("a.md", "draft")
    assert isinstance(one(path, drafts=True), Post)


@pytest.mark.parametrize(("name", "content", "reason"), [
    ("a.md", "---\ntitle: A\n---\n\n", "no text"),
    ("a.md", "", "no text"),
    ("a.md", "---\nbad yaml: [\n---\nText", "its header is not valid YAML: line 3"),
    ("a.md", b"caf\xc3\xa9 caf\xc3\xa9 na\xefve", "byte 0xef is not valid"),
    ("a.txt", bytes(range(256)) * 4, ""),
    ("a.html", "<div>" * 6000, "nested more than"),
    ("a.txt", b"\xff\xfe" + "abc".encode("utf-16-le")[:-1], "utf-16-le"),
    ("a.txt", b"ab\x00\x01\x02cd", "binary"),
])
def test_what_cannot_be_read_is_rejected_with_its_reason(tmp_path: Path, name: str, content: str | bytes,
                                                         reason: str) -> None:
    item = one(write(tmp_path / name, content))
    assert isinstance(item, Rejected) and reason in item.reason and item.source == name


def test_a_huge_file_is_not_even_opened(tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(post.LARGEST + 1)
    item = one(tmp_path / "a.txt")
    assert isinstance(item, Rejected) and "bytes; a post has" in item.reason


def test_plain_text_with_a_header_like_beginning_is_kept(tmp_path: Path) -> None:
    item = one(write(tmp_path / "a.txt", "---\nbad: [\n---\nText"))
    assert isinstance(item, Post) and item.text == "---\nbad: [\n---\nText"


@in_one_folder
@given(st.text().filter(lambda text: text.lstrip()[:1] not in ("-", "+", "{")))
def test_any_plain_text_comes_back_in_normal_form(tmp_path: Path, text: str) -> None:
    item = one(write(tmp_path / "a.txt", text), encoding="utf-8")
    if isinstance(item, Post):
        assert item.text == normalise(text)
    else:
        assert item.reason == "no text" and not normalise(text)


@in_one_folder
@given(st.binary(max_size=300), st.sampled_from(["a.txt", "a.md", "a.html", "a.csv", "a.json"]))
def test_no_bytes_raise(tmp_path: Path, content: bytes, name: str) -> None:
    path = write(tmp_path / name, content)
    for item in (*post.read(path, name), *lines.read(path, name)):
        assert isinstance(item, Post | Rejected)
    for reader in (table, jsonl):
        try:
            assert all(isinstance(item, Post | Rejected) for item in reader.read(path, name))
        except InputError as error:
            assert name in str(error)


# Encodings

@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_with_a_mark(encoding: str) -> None:
    text = "“Déjà vu” – naïve café. " * 5
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    assert decode(mark + text.encode(encoding)) == text


def test_windows_text_is_detected() -> None:
    text = "“That’s the café”, she said – and we went in. It’s a naïve idea, but it’s ours. " * 3
    assert decode(text.encode("cp1252")) == text


@pytest.mark.parametrize("text", ["We don’t know what the café serves, but it’s good.", "He said “yes” and left.",
                                  "Größe und Maße der Straße.", "Où est-il allé ?", "a café at 5°"])
def test_a_few_words_of_windows_text_are_detected(text: str) -> None:
    assert decode(text.encode("cp1252")) == text


@pytest.mark.parametrize(("text", "encoding"), [
    ("Wczoraj poszliśmy do sklepu.", "cp1250"), ("Привет, как дела?", "cp1251"), ("Dün geldi, çok şaşırdı.", "cp1254"),
    ("こんにちは", "shift_jis")])
def test_a_few_words_in_other_encodings_are_detected(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_windows_text_is_detected_behind_much_that_is_ascii() -> None:
    text = "plain row of text\n" * 20_000 + "It’s the café\n"
    assert decode(text.encode("cp1252")) == text


def test_an_encoding_that_is_given_is_taken() -> None:
    assert decode("Größe".encode("cp1252"), "cp1252") == "Größe"
    with pytest.raises(UndecodableError, match="0xf6 at 2"):
        decode(b"Gr\xf6", "utf-8")
    with pytest.raises(ConfigError, match=r"corpus\.encoding"):
        decode(b"a", "utf-99")
    with pytest.raises(ConfigError, match=r"corpus\.encoding"):
        decode(b"a", "hex")


# Tables

def read_table(tmp_path: Path, content: str | bytes, **settings: object) -> list[Post | Rejected]:
    return list(table.read(write(tmp_path / "t.csv", content), "t.csv", **settings))  # type: ignore[arg-type]


def texts(items: list[Post | Rejected]) -> list[str]:
    return [item.text if isinstance(item, Post) else f"! {item.source}: {item.reason}" for item in items]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_dialects(tmp_path: Path, delimiter: str) -> None:
    rows = [("text", "sentiment"), ('Quoted "so"\nand, on; to| the\tnext', "good"), ("NA", "bad"), ("null", "")]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    items = list(table.read(tmp_path / "t.csv", "t.csv"))
    assert texts(items) == ['Quoted "so"\nand, on; to| the next', "NA", "null"]
    assert [item.labels for item in items if isinstance(item, Post)] == [("sentiment=good",), ("sentiment=bad",), ()]


def test_every_row_is_accounted_for(tmp_path: Path) -> None:
    content = "id,text\r\n1,first\r\n2\r\n3,a,b\r\n\r\n4,\r\n5,last\r\n"
    assert texts(read_table(tmp_path, content)) == [
        "first", "! t.csv: row 3: 1 cells where the header has 2", "! t.csv: row 4: 3 cells where the header has 2",
        "! t.csv: row 6: no text", "last"]


def test_a_quote_that_is_never_closed_costs_one_row(tmp_path: Path) -> None:
    assert texts(read_table(tmp_path, 'id,text\n1,"lost\n2,kept\n3,kept too\n')) == [
        "! t.csv: row 2: a quote is opened in this row and never closed", "kept", "kept too"]


@pytest.mark.parametrize(("rows", "found"), [
    ('1,"lost\n2,kept\n3,"kept, too"\n4,last\n', ["!2", "kept", "kept, too", "last"]),
    ('1,"lost\n2,"kept, too"\n3,last\n', ["!2", "kept, too", "last"]),
    ('1,"lost\n2,"kept\n\ntoo"\n3,last\n', ["!2", "kept\n\ntoo", "last"]),
    ('1,"lost\n2,kept\n6","last"\n', ["!2", "kept", "last"]),
    ('1,"lost\n2,kept\n3,"",\n4,last\n', ["!2", "kept", "!4", "last"]),
    ('1,"one\nand ""more"""\n2,last\n', ['one\nand "more"', "last"]),
    ('1,"one\nand \\"more\\" of it"\n2,last\n', ['one\nand \\more\\" of it"', "last"]),
])
def test_a_missing_quote_swallows_no_other_row(tmp_path: Path, rows: str, found: list[str]) -> None:
    items = read_table(tmp_path, "id,text\n" + rows)
    assert [item.text if isinstance(item, Post) else "!" + item.source[-1] for item in items] == found


def test_long_cells_and_stray_quotes_in_long_tables(tmp_path: Path) -> None:
    limit = csv.field_size_limit(100)  # one of Python's own would take a table of 130,000 characters
    rows = "".join(f"{number},row number {number}\n" for number in range(2, 60))
    long = "word " * 50
    assert texts(read_table(tmp_path, f'id,text\n1,"{long}"\n2,hello\n')) == [long.strip(), "hello"]
    for before, after in (("", rows), (rows, rows)):
        csv.field_size_limit(100)
        items = read_table(tmp_path, f'id,text\n{before}1,"lost\n{after}')
        assert len(items) == (before + after).count("\n") + 1
        assert [item.reason for item in items if isinstance(item, Rejected)] == [
            "a quote is opened in this row and never closed"]
    csv.field_size_limit(limit)


def test_quotes_in_a_tab_separated_file_that_is_not_quoted(tmp_path: Path) -> None:
    rows = [f"{number}\tplain text {number}" for number in range(1, 21)]
    rows[4], rows[14], rows[15] = '5\t"Best movie ever', '15\t"Worst movie" they said', '16\t"Hello."'
    items = read_table(tmp_path, "id\ttext\n" + "\n".join(rows) + "\n")
    assert texts(items) == [row.partition("\t")[2] for row in rows]
    quoted = '"id"\t"text"\n"1"\t"lost\n"2"\t"kept\nwhole"\n'
    assert texts(read_table(tmp_path, quoted))[1:] == ["kept\nwhole"]


def test_a_first_line_that_says_the_delimiter(tmp_path: Path) -> None:
    for sign in (";", "\t"):
        assert texts(read_table(tmp_path, f"sep={sign}\r\nid{sign}text\r\n1{sign}a, b\r\n2\r\n")) == [
            "a, b", "! t.csv: row 3: 1 cells where the header has 2"]
    assert texts(read_table(tmp_path, "sep=\t\n")) == ["! t.csv: an empty table"]


def test_two_columns_of_one_name_are_refused_where_they_are_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t\.csv has two columns called 'text'.*rename"):
        read_table(tmp_path, "text,label,text\nfirst,a,second\n")
    assert texts(read_table(tmp_path, "text,other,other\nfirst,a,b\n")) == ["first"]


def test_a_bad_byte_costs_one_row(tmp_path: Path) -> None:
    items = read_table(tmp_path, "text\ncafé\ncrème\nna".encode() + b"\xef\n")
    assert texts(items)[:2] == ["café", "crème"] and "byte 0xef" in texts(items)[2]


def test_one_column_may_hold_commas(tmp_path: Path) -> None:
    assert texts(read_table(tmp_path, "haiku\none, two, three\nfour; five, six\n")) == [
        "one, two, three", "four; five, six"]


def test_columns_of_a_table_without_a_header(tmp_path: Path) -> None:
    items = read_table(tmp_path, '"3","Head","A story."\n', columns=("class", "title", "description"))
    assert items == [Post(items[0].id, "A story.", "Head", labels=("class=3",), source="t.csv")]  # type: ignore[union-attr]
    with pytest.raises(InputError, match=r"3 columns but corpus\.columns names 2"):
        read_table(tmp_path, '"3","Head","A story."\n', columns=("class", "text"))


def test_an_unnamed_index_and_usual_names_in_any_case(tmp_path: Path) -> None:
    items = read_table(tmp_path, ",Review Text,RATING,Headline,Date\n0,Good.,5,Yes,2024\n")
    assert items == [Post(items[0].id, "Good.", "Yes", date="2024", labels=("RATING=5",), source="t.csv")]  # type: ignore[union-attr]


def test_a_missing_column_is_named_with_the_closest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no column 'txet'.*it has: text, label.*did you mean 'text'"):
        read_table(tmp_path, "text,label\na,b\n", wanted=Columns(text="txet"))
    with pytest.raises(InputError, match=r"review, date \(name one of these with --set corpus.text_column=NAME\)"):
        read_table(tmp_path, "review,date\na,b\n", wanted=Columns(text="text"))
    with pytest.raises(InputError, match=r"no column has a usual name for the text; it has: foo, bar.*text_column"):
        read_table(tmp_path, "foo,bar\na,b\n")


def test_entities_and_html_in_cells(tmp_path: Path) -> None:
    assert texts(read_table(tmp_path, "id,text\n1,salt &amp; pepper\n2,<p>One</p><p>Two</p>\n3,a < b > c\n")) == [
        "salt & pepper", "One\n\nTwo", "a < b > c"]


@pytest.mark.parametrize(("cell", "text"), [
    ("I <b>love</b> it.", "I love it."), ("See <a href='x'>this</a>.", "See this."), ("One<br>two", "One\ntwo"),
    ("A line\n\nand <b>one</b> more", "A line\n\nand one more"), ("a < b and b > c", "a < b and b > c"),
    ("Use the <p> tag.", "Use the <p> tag."), ("It ends </b> here.", "It ends </b> here."), ("I <3 you", "I <3 you"),
])
def test_one_element_makes_a_cell_html_and_one_sign_does_not(tmp_path: Path, cell: str, text: str) -> None:
    assert texts(read_table(tmp_path, f'id,text\n1,"{cell}"\n')) == [text]


def test_a_row_keeps_its_id_when_another_is_put_before_it(tmp_path: Path) -> None:
    before = read_table(tmp_path, "text\nold\nsame\nsame\n")
    after = read_table(tmp_path, "text\nnew\nold\nsame\nsame\n")
    assert [item.id for item in before] == [item.id for item in after[1:]]  # type: ignore[union-attr]
    assert len({item.id for item in after}) == 4  # type: ignore[union-attr]
    assert [item.id for item in read_table(tmp_path, "key,text\nx,a\nx,b\n", wanted=Columns(id="key"))] == [  # type: ignore[union-attr]
        "t.csv#x", "t.csv#x-2"]
    assert [item.id for item in read_table(tmp_path, "key,text\nx,a\nx,b\nx-2,c\nx,d\n", wanted=Columns(id="key"))] == [  # type: ignore[union-attr]
        "t.csv#x", "t.csv#x-2", "t.csv#x-2-2", "t.csv#x-3"]


@in_one_folder
@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), min_size=1, max_size=8))
def test_any_table_gives_one_item_per_row(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = tmp_path / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("key", "text"), *rows])
    items = list(table.read(path, "t.csv", encoding="utf-8"))
    assert len(items) == len(rows)


# JSON and lines

def test_json_in_its_shapes(tmp_path: Path) -> None:
    records = [{"text": "one", "tags": ["x", "y"], "label": None}, {"text": "two", "tags": "x"}]
    shapes = ["\n".join(map(json.dumps, records)), json.dumps(records), json.dumps(records, indent=2),
              json.dumps({"count": 2, "posts": records}, indent=1)]
    for shape in shapes:
        items = list(jsonl.read(write(tmp_path / "a.json", shape), "a.json"))
        assert [(item.text, item.labels) for item in items if isinstance(item, Post)] == [
            ("one", ("tag=x", "tag=y")), ("two", ("tag=x",))]


def test_bad_json_costs_its_line(tmp_path: Path) -> None:
    content = '{"text": "one"}\n{"text": \n\n7\n"two"\n{"text": ["x"]}\n{"text": "  "}\n' + "[" * 100_000
    assert [text[:40] for text in texts(list(jsonl.read(write(tmp_path / "a.jsonl", content), "a")))] == [
        "one", "! a: line 2: not valid JSON: Expecting v", "! a: line 4: neither an object nor a tex", "two",
        "! a: line 6: 'text' holds no text but a ", "! a: line 7: no text", "! a: line 8: not valid JSON: nested too "]


def test_what_is_no_value_in_json_is_no_text(tmp_path: Path) -> None:
    content = '{"text": NaN}\n{"text": true}\n{"text": -Infinity}\n{"text": 7.5, "label": NaN, "title": NaN}\n'
    items = list(jsonl.read(write(tmp_path / "a.jsonl", content), "a"))
    assert texts(items) == ["! a: line 1: no text", "! a: line 2: 'text' holds no text but a bool",
                            "! a: line 3: no text", "7.5"]
    assert isinstance(items[3], Post) and (items[3].labels, items[3].title) == ((), "")


def test_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "a.cor", "One.\r\n\n Two \u2028 halves.\rThree\x0c.\n\u200b\n")
    assert texts(list(lines.read(path, "a.cor"))) == ["One.", "Two halves.", "Three .", "! a.cor: line 5: no text"]


# Files

def names(items: list[Source | Rejected]) -> list[str]:
    return [item.name if isinstance(item, Source) else f"! {item.source}: {item.reason}" for item in items]


def test_a_folder_gives_its_posts_in_order(tmp_path: Path) -> None:
    for name in ["b.md", "a/z.txt", "a/b.HTML", "_index.md", ".hidden.md", ".git/x.md", "_layouts/x.html", "x.png",
                 "LICENSE.txt", "README.md", "_drafts/d.md", "t.Rmd", "t.md", "lone.Rmd",
                 "license-plates.md"]:
        write(tmp_path / name, "Text.")
    found = ["! LICENSE.txt: about the folder, not a post", "! README.md: about the folder, not a post",
             "! _drafts/d.md: draft", "! _index.md: a list page or template, not a post", "a/b.HTML", "a/z.txt", "b.md",
             "license-plates.md", "lone.Rmd", "! t.Rmd: the .md file made from it is read instead", "t.md"]
    assert names(find(str(tmp_path))) == found
    assert "_drafts/d.md" in names(find(str(tmp_path), drafts=True))


def test_only_regular_files_inside_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "posts/a.md", "Text.")
    write(tmp_path / "secret.md", "Secret.")
    (tmp_path / "posts/link.md").symlink_to(tmp_path / "secret.md")
    (tmp_path / "posts/inside.md").symlink_to("a.md")
    (tmp_path / "posts/folder").symlink_to(tmp_path)
    (tmp_path / "posts/loop.md").symlink_to("loop.md")
    (tmp_path / "posts/lost.md").symlink_to(tmp_path / "nowhere.md")
    os.mkfifo(tmp_path / "posts/pipe.md")
    found = names(find(str(tmp_path / "posts")))
    assert found[:3] == ["a.md", "inside.md", "! link.md: a link that leaves the folder"]
    # Where the folder lies is in no reason, since reasons count in the corpus's key.
    assert found[3].startswith("! loop.md: cannot be read: ") and str(tmp_path) not in found[3]
    assert found[4:] == ["! lost.md: cannot be read: No such file or directory", "! pipe.md: not a regular file",
                         "! folder/: a link to a folder, which is not followed"]


def test_a_folder_that_cannot_be_read_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.md", "Text.")
    write(tmp_path / "closed/b.md", "Text.")
    scandir = os.scandir

    def refuse(folder: str) -> object:  # chmod would not stop root
        if str(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert names(find(str(tmp_path))) == ["a.md", "! closed/: cannot be read: Permission denied"]


@pytest.mark.parametrize(("files", "format", "message"), [
    ([], "auto", "holds nothing to read"), (["a.rst", "b.rst"], "auto", r"2 \.rst.*read are \.txt"),
    (["a.csv"], "auto", r"corpus\.format to table"), (["a.md"], "table", r"1 \.md.*read are \.csv"),
    (["README.md"], "auto", "1 left out"),
])
def test_a_folder_without_posts_says_what_it_holds(tmp_path: Path, files: list[str], format: str, message: str) -> None:
    for name in files:
        write(tmp_path / name, "Text.")
    with pytest.raises(InputError, match=message):
        find(str(tmp_path), format)


def test_paths_that_are_not_there(tmp_path: Path) -> None:
    for path in ["", str(tmp_path / "none"), str(tmp_path / "none*"), "sample:none", "~nosuchuser/x",
                 str(tmp_path / ("x" * 300))]:
        with pytest.raises(InputError):
            find(path)


def test_a_path_below_a_folder_that_one_may_not_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:  # chmod would not stop root
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(InputError, match="closed/a cannot be read: Permission denied"):
        find("closed/a")


def test_a_patterns_matches_of_one_name_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ["x/a/index.md", "x/b/index.md", "x/b/lone.md", "index.md"]:
        write(tmp_path / name, "Text.")
    assert names(find(f"{tmp_path}/x/*/*.md")) == ["a/index.md", "b/index.md", "lone.md"]
    monkeypatch.chdir(tmp_path)
    assert names(find("**/*.md")) == ["index.md", "x/a/index.md", "x/b/index.md", "lone.md"]
    assert names(find("x/b/*.md")) == ["index.md", "lone.md"]


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.md")
    write(Path(path), "Text.")
    for corpus in (path, f"{tmp_path}/*.md"):
        assert names(find(corpus)) == ["caf\\xe9.md"]


def test_the_format_follows_the_ending(tmp_path: Path) -> None:
    wanted = {"a.csv": "table", "b.tsv": "table", "c.jsonl": "jsonl", "d.json": "jsonl", "e.txt": "lines",
              "f.test.0": "lines", "g.md": "folder", "h.html": "folder"}
    for name in wanted:
        write(tmp_path / name, "Text.")
    assert {item.name: item.format for item in find(str(tmp_path / "*")) if isinstance(item, Source)} == wanted
    assert len(find(str(tmp_path), "lines")) == len(wanted)
    assert names(find(str(tmp_path), "table")) == ["a.csv", "b.tsv"]
