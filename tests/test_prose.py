"""Finding the sentences of a post and putting others in their place: nothing else may change."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textvae.errors import InputError
from textvae.writing import prose

BLOGS = Path("/work/shared/data/blogs")
POST = """---
title: "A day of bread. It is good."
---
# How we bake our bread

We bake every morning at six. The oven needs
an hour to get hot. See [the plan](http://a.org/b.html) for more about it.

> A quote stays as it is here.

- Mix the flour and the water.
- no full stop at the end of this

| a table | stays as well, all of it. |
|---|---|
| one two three. | four five six. |

```python
print("This is code and no prose.")
```

    Indented code is no prose either.

<div>Neither is this HTML block here.</div>

{{< note >}}Between two tags it is prose again.{{< /note >}} <!-- But not in here, of course. -->
{% highlight %}
Nothing between these is a sentence.
{% endhighlight %}

1. Wait for one long hour.

   Then go on and wait again.

Heading by underline of it
---
It costs $5 or more. The formula $x + y$ is no sentence. Ask *all* of them now. Fine.
"""
SENTENCES = [
    "We bake every morning at six.", "The oven needs an hour to get hot.", "Mix the flour and the water.",
    "Between two tags it is prose again.", "Wait for one long hour.", "Then go on and wait again.",
    "It costs $5 or more."]

PARTS = ["The dog ran home today.", "\n", "\r\n", "\n\n", "# ", "- ", "> ", "  ", "`code` ", "{{", "}}", "<!--", "-->",
         "---\n", "* * *", "1. ", "\t", "\ue000", "é. Ünd so wäiter geht es. ", "[a](b)", "```\n", "|a|b|\n|-|-|\n",
         "</div>", "$$", "{",
         "}", "![a. The dog is here. b](c)", "`` a. The dog is here. b ``", " ##\n", "<b a='", "\x0c", "\u2028", "\x00"]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_sentences_are_found_and_nothing_else(ends):
    post = POST.replace("\n", ends)
    found = prose.find(post, markdown=True)
    assert [sentence.text for sentence in found] == SENTENCES
    assert all(" ".join(post[own.start:own.end].split()) == own.text for own in found)
    headed = prose.find(post, markdown=True, headings=True)
    assert [own.text for own in headed if own not in found] == ["How we bake our bread", "Heading by underline of it"]


def test_all_but_the_sentences_stays_byte_for_byte():
    found = prose.find(POST, markdown=True)
    new = prose.replaced(POST, {found[1]: "IT IS HOT.", found[-1]: "IT IS CHEAP."})
    assert new == POST.replace("The oven needs\nan hour to get hot.", "IT IS HOT.").replace(
        "It costs $5 or more.", "IT IS CHEAP.")


def test_plain_text_and_marks_at_its_beginning():
    text = "\ufeffThe first line is here. # The second is not.\n\nThe third one is again."
    assert [own.text for own in prose.find(text, markdown=False)] == ["The first line is here.",
                                                                     "The third one is again."]
    assert [own.start for own in prose.find("\ufeff\nThe first line is here.", markdown=True)] == [2]
    broken = "---\ntitle: [\n---\nThis header cannot be read.\n"
    with pytest.raises(InputError, match="cannot be read: its header is not valid YAML"):
        prose.find(broken, markdown=True)
    assert [own.text for own in prose.find(broken, markdown=False)] == ["This header cannot be read."]


@pytest.mark.parametrize("post", [
    "We write the law as\n$$\nE = m c^2\n$$\nwhere the men are in the city.", "$$ where the men are in the city.",
    "$$\na = b.\nThe men are still in it.\n$$", ":::tip\nthe men are in the city.\n:::",
    "!!! note\n    the men are here.", "A term\n: The men are in the city.", "• The men are in the city.",
    'Save it with `git commit -m "Mend it. The men are here now. Closes 12."` at once.',
    "Save it with ``a ` b. The men are here now. Closes`` at once.",
    "![A photo of it. The men are here now. It was in May.](a.jpg)",
    'A <img alt="A photo of it. The men are here now.\nIt was in May." src="b.jpg"> is here.',
    '[It](http://x.org "A title. The men are here now. It goes on so") was late.',
    "[A link. The men are here now. It goes on](http://x.org) was late.",
    "See [A link. The men are here now. It goes on][a] at last\n\n[a]: http://x.org",
    "See <Note\n  text='A note. The men are here now. It goes on.'\n/> at last",
    '{: title="A title. The men are here now. It goes on."}', "{/* A note. The men are here now. It goes on. */}",
    "import a from 'a'\n\nexport const text = 'A text. The men are here now. It goes on.'"], ids=str)
def test_what_is_inside_marks_is_no_prose(post):
    before, after = "The oven gets hot.", "Then we go on."
    found = prose.find(f"{before}\n\n{post}\n\n{after}\n", markdown=True)
    assert [own.text for own in found] == [before, after]


def test_what_stands_beside_marks_is_prose():
    found = prose.find("The oven gets hot. [The plan](a.md) says so. Wait an hour. `Wait. Stop` is code. Then go on."
                       "\nIt costs $$ or more. Import it from 'us' now. They export it.", markdown=True)
    assert [own.text for own in found] == ["The oven gets hot.", "Wait an hour.", "Then go on.",
                                           "Import it from 'us' now.", "They export it."]


@pytest.mark.parametrize("line", ["## How to bake it", "## How to bake it ##", "# How to bake it #  ",
                                  "How to bake it\n---", "> # No\n\n1. # How to bake it ###"])
def test_headings_that_are_closed_are_found(line):
    (found,) = prose.find(f"{line}\n", markdown=True, headings=True)
    assert found.text == "How to bake it" == f"{line}\n"[found.start:found.end]


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=14), st.booleans())
def test_whatever_a_post_holds_places_are_right(parts, markdown):
    post = "".join(parts)
    try:
        found = prose.find(post, markdown=markdown)
    except InputError:
        return
    ends = [0]
    for own in found:
        assert ends[-1] <= own.start < own.end <= len(post)
        assert " ".join(post[own.start:own.end].split()) == own.text
        ends.append(own.end)
    assert prose.replaced(post, {own: post[own.start:own.end] for own in found}) == post


@pytest.mark.skipif(not BLOGS.is_dir(), reason="the corpora are not here")
def test_real_posts():
    count = 0
    for folder in ("18f", "digitalgov", "ropensci"):
        for path in sorted((BLOGS / folder).rglob("*.md"))[::40]:
            post = path.read_bytes().decode("utf-8", "replace")
            try:
                found = prose.find(post, markdown=True)
            except InputError:
                continue
            count += len(found)
            assert all(" ".join(post[own.start:own.end].split()) == own.text for own in found), path
    assert count > 1000
