"""The labels of a corpus, and a classifier of each that is trained when it is first asked for."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from textvae.classifier import Classifier
from textvae.constraints import keyed, members
from textvae.data import Tokens
from textvae.errors import TextvaeError
from textvae.seeds import child
from textvae.text import tokenizer

MOST = 50_000  # training texts of a classifier, which learns them in 2 s: more change its accuracy by less than a point
SURE = 1.1  # nats, 3 to 1: at 0, another classifier took one text in ten that was written for a label to lack it
SEED = 1  # a corpus has one classifier of a label, whatever is written
NAMED = 20  # labels that a message lists


class Labels:
    """What the labels of a corpus's training posts tell of other texts.

    A text has a label where a classifier takes it to, by three to one. The classifier is logistic regression on the
    training split, of the texts with this label against those with another of its key.

    Args:
        tokens: Every sequence with its split and its post's labels.

    Raises:
        TextvaeError: From every method with a label: no training text has it, or all with a label of its key.

    Example::

        Labels(tokens).holds("sentiment=positive", ["the food was great .", "the food was cold ."])
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._trained: dict[str, Classifier] = {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The labels of training posts."""
        return tuple(sorted(set().union(*self._owned)))

    @cached_property
    def telling(self) -> tuple[str, ...]:
        """Those that some training post with another label of the same key lacks, so that a classifier can be had."""
        return tuple(label for label in self.names
                     if any(label not in own and any(other.startswith(label.partition("=")[0] + "=") for other in own)
                            for own in self._owned))

    @cached_property
    def _owned(self) -> list[set[str]]:
        """The labels of each training post."""
        posts = np.unique(self._tokens.post[self._tokens.rows("train")])
        return [set(self._tokens.post_labels[post]) for post in posts]

    def holds(self, label: str, texts: Sequence[str]) -> np.ndarray:
        """Whether texts have a label: bool [texts]."""
        return self._surely(label, texts) >= SURE

    def blame(self, label: str, words: Sequence[str]) -> np.ndarray:
        """How much each word of a text speaks against a label: what leaving it out wins, as a share: float64 [words].

        All 0 where no word does, or where the text has the label.

        Reference: Li et al. 2018, section 3.1, where counts tell what a classifier tells here.
        """
        texts = [" ".join(words), *(" ".join([*words[:i], *words[i + 1:]]) for i in range(len(words)))]
        whole, *rest = self._surely(label, texts)
        won = np.maximum(np.array(rest) - whole, 0.0) * (whole < SURE)
        return np.asarray(won / max(won.sum(), 1e-9))

    def examples(self, label: str, count: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Training sequences with a label and some with another of its key, evenly spread: int32 [tokens] each."""
        rows, has = self._sides(label)
        with_it, without = ([np.asarray(self._tokens.sequence(row)) for row in side[::-(-len(side) // count)]]
                            for side in (rows[has], rows[~has]))
        return with_it, without

    def _surely(self, label: str, texts: Sequence[str]) -> np.ndarray:
        if label not in self._trained:
            rows, has = self._sides(label)
            some = np.random.default_rng(child(SEED, "labels")).permutation(len(rows))[:MOST]
            words = tokenizer.load(self._tokens.tokenizer)
            self._trained[label] = Classifier([words.decode(self._tokens.sequence(row)) for row in rows[some]],
                                              has[some], seed=child(SEED, label))
        return self._trained[label].log_odds(texts)

    def _sides(self, label: str) -> tuple[np.ndarray, np.ndarray]:
        """The training sequences with any label of this one's key, and which of them have this one."""
        if label not in self.names:
            more = f" and {len(self.names) - NAMED:,} more" if len(self.names) > NAMED else ""
            raise TextvaeError(f"no training text has the label {label!r}",
                               f"they have: {', '.join(self.names[:NAMED])}{more}" if self.names else
                               "the corpus has no labels")
        rows = self._tokens.rows("train")
        rows = rows[keyed(label, self._tokens, rows)]
        has = members({"label": label}, self._tokens, rows)
        if has.all():
            raise TextvaeError(f"all training texts have the label {label!r}: there is nothing to tell them from",
                               "ask for one that some of them have")
        return rows, has
