"""Vary some sentences of a post where they stand, and leave every other byte of it as it is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from textvae.errors import InputError
from textvae.progress import Progress
from textvae.seeds import child
from textvae.writing import prose
from textvae.writing.found import Variation
from textvae.writing.prose import Sentence
from textvae.writing.writer import TOGETHER, Writer

CHOICE = 3  # variations written of each sentence, of which the best is taken


@dataclass(frozen=True)
class Rewritten:
    """A post with some of its sentences varied.

    Args:
        source: The post as it was.
        text: The post as it is now.
        varied: What stands where, in the order of the text.
        sentences: How many sentences of prose the post has.
        left: Those that were to be varied and were not, each with the reason.
    """

    source: str
    text: str
    varied: Mapping[Sentence, Variation]
    sentences: int
    left: Mapping[Sentence, str]

    def line(self, sentence: Sentence) -> int:
        """The line of the post that a sentence begins in, from 1."""
        return len(re.findall(r"\r\n|\r|\n", self.source[:sentence.start])) + 1


def sentences(post: str, *, markdown: bool = True, headings: bool = False) -> list[Sentence]:
    """The sentences of a post that could be varied, in its order; see ``textvae.writing.prose.find``.

    Raises:
        InputError: The post's header does not parse, or it has no sentence of prose.
    """
    found = prose.find(post, markdown=markdown, headings=headings)
    if not found:
        raise InputError("the post has no sentence of plain prose that ends in a full stop",
                         "give Markdown or plain text with sentences" + ("" if headings else ", or add --headings"))
    return found


def rewrite(writer: Writer, post: str, *, share: float, seed: int, markdown: bool = True, headings: bool = False,
            progress: Progress | None = None, **asked: Any) -> Rewritten:
    """Vary a share of a post's sentences, those first that the model knows most words of.

    Args:
        writer: Whose model writes.
        post: The file's text, with line ends of any kind.
        share: Of its ``sentences``: from 0 to 1, one at least.
        seed: The same seed varies the same sentences in the same way.
        markdown, headings: As of ``sentences``.
        progress: Who watches.
        asked: What else ``Writer.vary_many`` takes.

    Raises:
        InputError: As of ``sentences``; no such share.
    """
    if not 0 <= share <= 1:
        raise InputError(f"there is no share {share:g}", "give one from 0 to 1")
    found = sentences(post, markdown=markdown, headings=headings)
    order = np.random.default_rng(child(seed, "rewrite")).permutation(len(found))
    left = {found[i]: why for i in order if (why := writer.too_long(writer.tokenizer.encode(found[i].text)))}
    able = sorted((found[i] for i in order if found[i] not in left), key=lambda own: writer.unknown(own.text))
    wanted = max(1, round(share * len(found)))
    varied: dict[Sentence, Variation] = {}
    with (progress or Progress()).task("varying sentences", total=min(wanted, len(able))) as advance:
        for start in range(0, min(wanted, len(able)), TOGETHER):
            some = able[start:min(start + TOGETHER, wanted)]
            for sentence, own in zip(some, writer.vary_many([one.text for one in some], CHOICE, seed=seed, **asked),
                                     strict=True):
                if own:
                    varied[sentence] = own[0]
                else:
                    left[sentence] = own.reason()
            advance(len(some))
    text = prose.replaced(post, {sentence: own.text for sentence, own in varied.items()})
    missed = wanted - len(varied)
    return Rewritten(post, text, dict(sorted(varied.items(), key=lambda pair: pair[0].start)), len(found),
                     {sentence: why for sentence, why in left.items() if missed > 0})
