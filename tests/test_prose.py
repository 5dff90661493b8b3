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
         "</div>", "\x0c", "\u2028", "\x00"]


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
    with pytest.raises(InputError, match="cannot be read: its header is not valid YAML"):
        prose.find("---\ntitle: [\n---\nThis header cannot be read.\n", markdown=True)


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
