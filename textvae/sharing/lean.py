"""What of a run may leave its store: all that writing needs, and nothing that a text could be read out of.

A report stays in any case: it is a page, and a page can hold scripts.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from textvae.data import Evaluation, Tokens
from textvae.text.lexicon import Lexicon
from textvae.text.pairs import Pairs

DATA = ("corpus", "latents")  # the posts, and where each of their sentences lies: left out as a whole


def is_reduced(stage: str, *, with_data: bool) -> bool:
    """Whether ``lean`` takes anything from the artefact of a stage."""
    return stage == "evaluation" or (stage == "tokens" and not with_data)


def lean(artefact: Any, *, with_data: bool) -> Any:
    """An artefact as it leaves its store.

    Of tokens the tokenizer stays, the counts, and how often each word and each pair of tokens stands in the training
    split, which variations are ranked by. Pairs that were met once stay at home: they could be put together to
    sentences. Of an evaluation its numbers and samples stay; other texts hold sentences of the test split.
    """
    if isinstance(artefact, Tokens):
        return _without_sequences(artefact)
    if isinstance(artefact, Evaluation):
        texts = artefact.texts if with_data else {"samples": artefact.texts.get("samples", [])}
        return replace(artefact, texts=texts, report="")
    return artefact


def _without_sequences(tokens: Tokens) -> Tokens:
    words, pairs = dict(sorted(Lexicon.of(tokens).counts.items())), Pairs.of(tokens)
    return Tokens(np.zeros(0, np.int32), np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int32),
                  np.zeros(0, np.uint8), (), (), tokens.tokenizer, tokens.metrics, words,
                  None if pairs is None else pairs.met[pairs.met[:, 2] > 1])
