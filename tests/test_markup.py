"""Markup to prose: Markdown, HTML, template code and front matter."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textvae.readers.front_matter import MAX_HEADER, HeaderError, split_front_matter
from textvae.readers.html import NestedError, html_to_text
from textvae.readers.markdown import markdown_to_text
from textvae.readers.normalise import normalise
from textvae.readers.templates import strip_templates

MARKDOWN = [
    ("One *two* **three** `four`.", "One two three four."),
    ("A line\nwrapped here.\n\nNext.", "A line wrapped here.\n\nNext."),
    ("A [link](http://a.org/b_(c) \"Title\") and [ref][r].\n\n[r]: http://b.org", "A link and ref."),
    ("A [ref][lost] stays.", "A ref stays."),
    ("See <https://www.example.org/a/b?c=d>.", "See example.org."),
    ("See https://example.org/a, then go.", "See example.org, then go."),
    ("Text.\n\nhttps://example.org/only/this", "Text."),
    ("Text.\n\nhttps://a.org/b, https://c.org/d; www.e.org.", "Text."),
    ("First.\n\n<article>a card</article>\n\n<main>\n\nInside.\n\n</main>\n\nLast.",
     "First.\n\na card\n\nInside.\n\nLast."),
    ("![A picture](a.png)\n*Its caption.*\n\nText.", "Text."),
    ("Text.\n\n_Photo courtesy of somebody_", "Text."),
    ("Text[^1] goes on.\n\n[^1]: A note.", "Text goes on.\n\nA note."),
    ("```r\nx <- 1\n```\n\nText.\n\n    code()\n", "Text."),
    ("# Head {#id .class}\n\nText.", "Head\n\nText."),
    ("| a | b |\n|---|---|\n| 1 | 2 |\n\nText.", "Text."),
    ("<div class=\"x\">Inside <b>HTML</b></div>\n\nText &amp; more&nbsp;text.", "Inside HTML\n\nText & more text."),
    ("Text.\n\n<script>x()</script><iframe src='a'></iframe>", "Text."),
    ("~~old~~ new", "new"),
    ("Good :tada: work at 10:30:45 {:.lead}", "Good work at 10:30:45"),
    ("Ends here.{: target=\"_blank\"}\n{: .wide}", "Ends here."),
    ("As shown [@lee2005; @hall2011, p. 3].", "As shown."),
    ("First line  \nsecond line", "First line\nsecond line"),
]


@pytest.mark.parametrize(("markdown", "text"), MARKDOWN)
def test_markdown_comes_out_as_prose(markdown: str, text: str) -> None:
    assert markdown_to_text(markdown) == text


HTML = [
    ("<p>One</p><p>Two</p>", "One\n\nTwo"),
    ("<ul><li>one</li><li>two</li></ul>", "one\n\ntwo"),
    ("a<br>b", "a\nb"),
    ("<p>so<span>ft</span></p>", "soft"),
    ("<p>word<img src='a'>word</p>", "word word"),
    ("<p>He said <q>no</q>.</p>", "He said “no”."),
    ("<table><tr><td>1</td></tr></table><p>Text</p>", "Text"),
    ("<table><tr><td><p>Laid out in a table.</p></td></tr></table>", "Laid out in a table."),
    ("<nav>Home</nav><main><p>Text</p></main><footer>(c)</footer>", "Text"),
    ("<p>The 10<sup>th</sup> of May<sup><a href='#fn1'>1</a></sup>.</p>", "The 10th of May."),
    ("<p>Seen</p><p hidden>unseen</p><p style='display: none'>unseen</p>", "Seen"),
    ("<p>Everything works.This is glued.</p>", "Everything works. This is glued."),
    ("<p>Nearby (<img src='a'>) things</p>", "Nearby things"),
    ("plain &lt;text&gt;", "plain <text>"),
    ("", ""),
]


@pytest.mark.parametrize(("html", "text"), HTML)
def test_html_comes_out_as_prose(html: str, text: str) -> None:
    assert html_to_text(html) == text


PAGES = [
    ("<p>Before.</p><main><p>The post.</p></main><p>After.</p>", "The post."),
    ("<h1>Site</h1><article><p>A post of some length.</p></article><p>After.</p>", "A post of some length."),
    ("<main><p>Up.</p><article><p>A post of some length.</p></article></main>", "A post of some length."),
    ("<main><p>The post.</p></main><article><p>Another post, which is long.</p></article>", "The post."),
    ("<p>A whole post of some length.</p><ol><li><article><p>Nice!</p></article></li></ol>",
     "A whole post of some length.\n\nNice!"),
    ("<article><p>One.</p></article><article><p>Two.</p></article>", "One.\n\nTwo."),
]


@pytest.mark.parametrize(("html", "text"), PAGES)
def test_a_page_is_read_where_its_post_stands(html: str, text: str) -> None:
    assert html_to_text(html, page=True) == text


TEMPLATES = [
    ('[culture change]({{ "/2014/07/18f" | url }}) works', "[culture change](#) works"),
    ('[a]({{< ref "b.md" >}} "T") and [c]({{< ref "d.md" >}}"T")', '[a](# "T") and [c](# "T")'),
    ('<a href="{{ site.url }}/x">y</a>', '<a href="#/x">y</a>'),
    ('{{< figure src="a.png" caption="b" >}}Text', "Text"),
    ("{{< quote >}}kept{{< /quote >}}", "kept"),
    ("{{% note %}}kept{{% /note %}}", "kept"),
    ("a {{< highlight >}}marked{{< /highlight >}} word", "a marked word"),
    ("{{< highlight go >}}x := 1{{< /highlight >}}Text", "Text"),
    ('{{< asset-static file="a.pdf" label="the list" >}}', "the list"),
    ("{% highlight ruby %}puts 1{% endhighlight %}Text", "Text"),
    ("{% comment %}hidden{% endcomment %}Text", "Text"),
    ("{% for a in b %}{{ a }}{% endfor %}Text", "Text"),
    ("{% if x %}kept{% else %}too{% endif %}", "kepttoo"),
    ("{%- raw -%}{{ kept }}{%- endraw -%} {{ dropped }}", "{{ kept }} "),
    ('Thanks to {{ "ann-lee" | team_link }}!', "Thanks to Ann Lee!"),
    ("write `{{ name }}` here", "write `{{ name }}` here"),
    ("Text<!-- a\n\ncomment {{ x }} --> goes on <!-- here", "Text goes on <!-- here"),
    ("an open {{ brace\n\nand }} more", "an open {{ brace\n\nand }} more"),
    ("no end {% for x in y %} here", "no end  here"),
]


@pytest.mark.parametrize(("source", "text"), TEMPLATES)
def test_template_code_goes_and_prose_stays(source: str, text: str) -> None:
    assert strip_templates(source) == text


def test_a_liquid_link_becomes_its_words() -> None:
    source = 'Our [culture change]({{ "/2014/07/18f" | url }}) began.'
    assert markdown_to_text(strip_templates(source)) == "Our culture change began."


HEADERS = [
    ("---\ntitle: no\nid: 010\ntime: 12:30:45\n---\nText", {"title": "no", "id": "010", "time": "12:30:45"}, "Text"),
    ("---\nTitle: A\ntitle: B\n---\nText", {"title": "B"}, "Text"),
    ("---\ntitle: dots\n...\nText", {"title": "dots"}, "Text"),
    ("---\n---\nText", {}, "Text"),
    ("---  \na: b\n---  \nText", {"a": "b"}, "Text"),
    ("---\ntest: !ruby/hash:DoesNotExist {}\n---\nText", {"test": {}}, "Text"),
    ("+++\ntitle = 'A'\ndraft = true\n+++\nText", {"title": "A", "draft": True}, "Text"),
    ('{"title": "A", "x": {"y": 1}}\n\nText', {"title": "A", "x": {"y": 1}}, "\n\nText"),
    ("{braces} begin a text", {}, "{braces} begin a text"),
    ("---\nJust a ruled line\n---\nText", {}, "---\nJust a ruled line\n---\nText"),
    ("No header\n---\na: b\n---\n", {}, "No header\n---\na: b\n---\n"),
]


@pytest.mark.parametrize(("text", "header", "body"), HEADERS)
def test_front_matter(text: str, header: dict[str, object], body: str) -> None:
    assert split_front_matter(text) == (header, body)


@pytest.mark.parametrize("text", ["---\nbad yaml: [\n---\nText", "---\na: b: c\n---\nText", "+++\na =\n+++\nText",
                                  f"---\na: {'x' * MAX_HEADER}\n---\nText", f"---\na: {'[' * 5000}\n---\nText"])
def test_a_header_that_does_not_parse_is_said_so(text: str) -> None:
    with pytest.raises(HeaderError, match="header"):
        split_front_matter(text)


def test_an_alias_bomb_stays_small() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    started = time.process_time()
    header, body = split_front_matter(f"---\n{bomb}title: A\n---\nText")
    assert (header["title"], body) == ("A", "Text")
    assert time.process_time() - started < 2


@pytest.mark.parametrize("hostile", ["<div>" * 300_000, "<b>" * 300_000])
def test_deep_nesting_is_refused_at_once(hostile: str) -> None:
    started = time.process_time()
    with pytest.raises(NestedError):
        html_to_text(hostile)
    assert time.process_time() - started < 2


@pytest.mark.parametrize("hostile", ["{% for " * 20_000, "{% for x %}" * 5_000, "{{" * 40_000, "<!--" * 40_000,
                                     "[" * 20_000, "[^" * 20_000, "*a " * 10_000, "<" * 40_000, "![a](" * 5_000,
                                     "[caption]" * 2_000, "http://" * 10_000, "(" * 20_000, "{.a " * 10_000,
                                     "___" * 10_000, "<" + "a" * 40_000,
                                     ", ".join(f"https://example.org/{n}" for n in range(2_000)) + " are the sources"])
def test_hostile_markup_takes_no_time(hostile: str) -> None:
    started = time.process_time()
    markdown_to_text(strip_templates(hostile))
    assert time.process_time() - started < 3


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.text())
def test_the_normal_form_is_final(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert not re.search(r"^ | $|  |\n{3}|[\x00-\x09\x0b-\x1f\x7f]", once, re.MULTILINE)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.text(alphabet="ab *_`[](){}<>#|-\n!&;:/%\"'\\~^1."))
def test_any_markup_gives_normal_text(text: str) -> None:
    for prose in (markdown_to_text(strip_templates(text)), html_to_text(text)):
        assert normalise(prose) == prose


words = st.lists(st.text(alphabet="abcdefghij", min_size=1, max_size=8), min_size=1, max_size=12).map(" ".join)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.lists(words, min_size=1, max_size=5))
def test_plain_paragraphs_survive_both_markups(paragraphs: list[str]) -> None:
    text = "\n\n".join(paragraphs)
    assert markdown_to_text(text) == text
    assert html_to_text("".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)) == text
