"""Turn posts into sequences of token ids, and decide the split of each post."""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np

from textvae import seeds
from textvae.config import TokensConfig
from textvae.data import BACKGROUND, SPLITS, UNKNOWN, Corpus, Post, Tokens
from textvae.errors import ConfigError, InputError
from textvae.progress import Progress
from textvae.text import sentences, tokenizer
from textvae.text.cutting import Cutter
from textvae.text.lexicon import folded
from textvae.text.tokenizer import Tokenizer

FEWEST = 20  # training sequences: with fewer there is nothing to learn and no batch to fill
BATCH = 2000  # texts encoded between two moves of the progress bar


def run(config: TokensConfig, corpus: Corpus, *, seed: int, progress: Progress, scratch: Path) -> Tokens:
    """Split posts into units, learn the tokenizer on the training split, and encode everything.

    Nothing here is drawn at random: a post's split follows from its id alone, so ``seed`` changes nothing.

    Args:
        config: Unit, level, vocabulary, lengths and shares.
        corpus: The posts.
        seed: Not used.
        progress: Who watches.
        scratch: Not used.

    Returns:
        Every sequence in reading order.

    Raises:
        ConfigError: Settings that contradict each other.
        InputError: Too few posts to split, or too few sequences to train on.
    """
    _check(config)
    units: list[list[str]] = []
    with progress.task("splitting posts", total=len(corpus.posts)) as advance:
        for post in corpus.posts:
            units.append(sentences.units(config.unit, post.text))
            advance()
    sides, moved = _sides(_shares(config, corpus.posts), corpus.posts, [bool(own) for own in units])
    if moved:
        progress.say(f"so few posts that a split was empty: {moved} moved into it")

    train, other = ([text for own, side in zip(units, sides, strict=True) if side == name for text in own]
                    for name in ("train", BACKGROUND))
    with progress.task("learning the tokenizer"):
        words = tokenizer.train(_even(train, other), level=config.level, vocabulary=config.vocabulary,
                                lowercase=config.lowercase)
    ids, lengths, rows, counts = _encode(config, words, units, progress)

    firsts = np.flatnonzero(np.diff(rows, prepend=-1))  # the first sequence of each post
    position = np.arange(len(rows)) - np.repeat(firsts, np.diff(firsts, append=len(rows)))
    background = np.array([side == BACKGROUND for side in sides], bool)
    sides = ["train" if side == BACKGROUND else side for side in sides]
    split = np.array([SPLITS.index(side) for side in sides], np.uint8)[rows]
    per_split = _per_split(ids, lengths, rows, split)
    _check_sizes(per_split["sequences"], sides, len(corpus.posts))
    metrics = {"vocabulary": words.size, "longest": int(lengths.max(initial=0)), **per_split,
               "tokens_per_word": _tokens_per_word(words, train), **counts, "moved_posts": moved}
    return Tokens(ids=ids, offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), post=rows,
                  position=position.astype(np.int32), split=split, post_ids=tuple(post.id for post in corpus.posts),
                  post_labels=tuple(post.labels for post in corpus.posts), tokenizer=words.to_json(), metrics=metrics,
                  background=background if background.any() else None)


def _even(own: Sequence[str], background: Sequence[str]) -> Iterator[str]:
    """Texts to learn the vocabulary from: one's own so often that they count as much as the background."""
    times = max(1, sum(map(len, background)) // max(1, sum(map(len, own))))
    return chain(*repeat(own, times), background)


def _check(config: TokensConfig) -> None:
    if config.level == "bpe" and config.lowercase:
        raise ConfigError("tokens.lowercase is true, but tokens.level bpe keeps the case",
                          "set tokens.level to word, or leave lowercase out")
    if config.unit == "window" and config.window > config.max_length:
        raise ConfigError(f"tokens.window is {config.window}, more than tokens.max_length, {config.max_length}",
                          "raise max_length")
    if config.validation + config.test >= 1:
        raise ConfigError(f"tokens.validation, {config.validation}, and tokens.test, {config.test}, leave no post to "
                          "train on", "lower one of them")
    if config.min_length > config.max_length:
        raise ConfigError(f"tokens.min_length is {config.min_length}, more than tokens.max_length, "
                          f"{config.max_length}", "raise max_length")


def _shares(config: TokensConfig, posts: Sequence[Post]) -> dict[str, float]:
    """The share of the other posts that goes by hash into a split; none where the split is given by a file."""
    given = {post.split for post in posts}
    return {name: 0.0 if name in given else share
            for name, share in (("validation", config.validation), ("test", config.test))}


def _sides(shares: dict[str, float], posts: Sequence[Post], filled: Sequence[bool]) -> tuple[list[str], int]:
    """Each post's split or ``BACKGROUND``, and how many posts had to move so that no wanted split is empty.

    The hash is of the post's id under a fixed name, so that a post never changes side when the corpus grows, whatever
    the seed. Posts of one text go where the first of them goes, and so do those that differ in case, spacing and
    punctuation alone. Only where a split would be empty, the posts with the smallest hashes move into it.
    """
    place = [seeds.fraction(f"split/{post.id}") for post in posts]
    # Where only the test file is given, the validation split is drawn from the posts for training, and vice versa.
    given = [post.split in (*shares, BACKGROUND) for post in posts]
    firsts: dict[str, int] = {}
    first = [row if own else firsts.setdefault(folded(post.text) or post.text, row)
             for row, (post, own) in enumerate(zip(posts, given, strict=True))]
    sides = [post.split if own else _side(shares, at) for post, own, at in zip(posts, given, place, strict=True)]
    free = sorted((row for row in firsts.values() if filled[row]), key=place.__getitem__)
    wanted = [name for name in SPLITS if name == "train" or shares[name] > 0]
    if not any(filled):
        raise InputError(f"none of the corpus's {len(posts)} posts has any text", "give posts with text")
    if len(free) < len(wanted):
        raise InputError(
            f"{len(free)} posts with text cannot be split into {', '.join(wanted)}: each needs one "
            "(copies count once)",
            "give more posts, or files for corpus.validation and corpus.test, or set tokens.validation and tokens.test "
            "to 0; a single file that holds many texts needs corpus.format lines")
    moved = 0
    size = Counter(sides[row] for row in free)
    for name in wanted:
        if not size[name]:
            # From the biggest split, which has posts to spare since there are as many posts as splits.
            biggest = max(wanted, key=size.__getitem__)
            row = next(row for row in free if sides[row] == biggest)
            sides[row] = name
            size.update({name: 1, biggest: -1})
            moved += 1
    return [sides[row] for row in first], moved


def _side(shares: dict[str, float], at: float) -> str:
    if at < shares["test"]:
        return "test"
    return "validation" if at < shares["test"] + shares["validation"] else "train"


def _encode(config: TokensConfig, words: Tokenizer, units: Sequence[Sequence[str]], progress: Progress
            ) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, int]]:
    """All ids int32 [tokens], lengths int64 [sequences], the post of each sequence int32 [sequences], and counts."""
    cutter = Cutter(words.pieces, config.max_length, spaced=config.level == "bpe")
    ids, lengths, rows = array("i"), array("q"), array("i")
    counts = {"cut": 0, "dropped_long": 0, "dropped_short": 0}
    with progress.task("encoding", total=sum(map(len, units))) as advance:
        for batch in _batches(units):
            for (row, _), sequence in zip(batch, words.encode_many([text for _, text in batch]), strict=True):
                for part in _parts(config, cutter, sequence, counts):
                    ids.extend(part)
                    lengths.append(len(part))
                    rows.append(row)
            advance(len(batch))
        progress.count(len(ids))
    return np.array(ids, np.int32), np.array(lengths, np.int64), np.array(rows, np.int32), counts


def _batches(units: Sequence[Sequence[str]]) -> Iterator[list[tuple[int, str]]]:
    batch: list[tuple[int, str]] = []
    for row, own in enumerate(units):
        batch += [(row, text) for text in own]
        if len(batch) >= BATCH:
            yield batch
            batch = []
    yield batch


def _parts(config: TokensConfig, cutter: Cutter, ids: list[int], counts: dict[str, int]) -> list[list[int]]:
    """The sequences that one unit's ids become; what is cut or dropped is counted."""
    if config.unit == "window":
        parts = [ids[start:start + config.window] for start in range(0, len(ids), config.window)]
    elif len(ids) <= config.max_length:
        parts = [ids]
    elif config.long == "split":
        parts = cutter.cut(ids)
        counts["cut"] += 1
    else:
        counts["dropped_long"] += 1
        return []
    kept = [part for part in parts if len(part) >= config.min_length]
    counts["dropped_short"] += len(parts) - len(kept)
    return kept


def _per_split(ids: np.ndarray, lengths: np.ndarray, rows: np.ndarray, split: np.ndarray) -> dict[str, Any]:
    token_split = np.repeat(split, lengths)
    counts: dict[str, Any] = {"posts": {}, "sequences": {}, "tokens": {}, "unknown": {}}
    for number, name in enumerate(SPLITS):
        own = ids[token_split == number]
        counts["posts"][name] = len(np.unique(rows[split == number]))
        counts["sequences"][name] = int((split == number).sum())
        counts["tokens"][name] = len(own)
        counts["unknown"][name] = round(float((own == UNKNOWN).mean()), 6) if len(own) else 0.0
    return counts


def _tokens_per_word(words: Tokenizer, texts: Sequence[str]) -> float:
    """Over at most 10,000 training texts, taken evenly; words are what white space parts."""
    some = texts[::len(texts) // 10_000 + 1]
    spaced = sum(len(text.split()) for text in some)
    return round(sum(map(len, words.encode_many(some))) / spaced, 4) if spaced else 0.0


def _check_sizes(sequences: dict[str, int], sides: Sequence[str], posts: int) -> None:
    for name in sorted(set(sides)):
        if not sequences[name]:
            raise InputError(f"the {name} split has {sides.count(name)} posts but no sequences",
                             "lower tokens.min_length, raise tokens.max_length, or give more posts")
    if sequences["train"] < FEWEST:
        raise InputError(f"{posts} posts give {sequences['train']} training sequences; {FEWEST} are the fewest",
                         "give more text, or smaller units (tokens.unit)")
