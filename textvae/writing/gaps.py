"""Fill the gaps of a text: what is given stays as it is, and the model writes what stands between."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from textvae.errors import InputError, TextvaeError
from textvae.seeds import child
from textvae.writing import moves
from textvae.writing.conditions import several
from textvae.writing.found import Found, Variation
from textvae.writing.writer import AGAIN, CANDIDATES, TEMPERATURE, Writer

GAP = re.compile(r"_{3,}")
LONGEST = 4  # tokens of a gap: a word in pieces, or a few short words
WORDLESS = "a gap with words in it"  # in ``Found.failed``
ROUNDS = 3  # the first reads the text without its gaps, the others what the round before put in


def complete(writer: Writer, text: str, n: int = 5, *, seed: int, temperature: float = TEMPERATURE,
             judged: Sequence[str] = ()) -> Found:
    """Write a text's gaps.

    The text is read without its gaps, latents are drawn around it, and decoded with every given token forced; then the
    likeliest are read and decoded again, so that the gaps are written by a latent that knows the whole text.

    Args:
        writer: Whose model reads and writes.
        text: A text with ``___``, three underscores or more, for each gap of one to ``LONGEST`` tokens.
        n: Fillings; fewer come back where the model finds no more.
        seed: The same seed writes the same.
        temperature: Of nucleus sampling; 0 is greedy.
        judged: Labels that a classifier has to find in the whole text, as ``Conditions.judged``.

    Returns:
        The likeliest first, after those that repeat or invent words.

    Raises:
        InputError: The text has no gap, nothing but gaps, or is longer than the model was trained on.
    """
    several("judged", judged)
    if n < 1:
        raise TextvaeError(f"cannot fill a text in {n} ways", "give -n a number from 1")
    parts = GAP.split(text.strip())
    if len(parts) < 2 or not any(part.strip() for part in parts):
        raise InputError(f"there is no gap to fill in {text!r}" if len(parts) < 2 else "there is nothing but gaps",
                         "write ___ for each gap in a text")
    given = [writer.tokenizer.encode(part.rstrip() if i + 1 < len(parts) else part) for i, part in enumerate(parts)]
    room = writer.max_length - sum(map(len, given)) - (len(parts) - 1)
    if room < 0:
        raise InputError(f"the text has {sum(map(len, given))} tokens and {len(parts) - 1} gaps, and this model was "
                         f"trained on at most {writer.max_length}", "give it sentence by sentence")
    rng = np.random.default_rng(child(seed, "complete"))
    count, options = n * CANDIDATES, writer.sampling("nucleus", temperature)
    sources = writer.ids([" ".join(" ".join(parts).split())])
    found: dict[str, Variation] = {}
    failed = Counter[str]()
    written = 0
    for attempt in range(ROUNDS):
        q = writer.posterior([sources[i % len(sources)] for i in range(count)])
        lengths = [_lengths(len(parts) - 1, room, rng) for _ in range(count)]
        template = np.stack([_template(given, own, writer.max_length) for own in lengths])
        z = writer.draw(q, rng) + moves.stride(attempt) * writer.way(judged)
        sequences, _ = writer.write(writer.code(z), options, rng, template=template)
        written += count
        texts = [_filled(writer, parts, given, own, ids) for own, ids in zip(lengths, sequences, strict=True)]
        nats = writer.token_nats(sequences, z)  # of the whole text: a gap's words are to lead on to what is given
        for filled, own, misjudged in zip(texts, nats, writer.misjudged(judged, texts), strict=True):
            fails, log_prob = misjudged if filled else [WORDLESS], -float(own.mean())
            if not fails and filled in found:
                fails = [AGAIN]
            failed.update(fails)
            if filled and not misjudged and (filled not in found or found[filled].log_prob < log_prob):
                found[filled] = Variation(text, filled, 0.0, log_prob, {}, seed, writer.run)
        best = sorted(found.values(), key=lambda own: (writer.flaws(own.text), -own.log_prob))[:n]
        known = [np.array(ids, np.int32) for ids in writer.tokenizer.encode_many([own.text for own in best])]
        sources = [ids for ids in known if len(ids) <= writer.max_length] or sources
    return Found(best, written, failed)


def _lengths(gaps: int, room: int, rng: np.random.Generator) -> list[int]:
    """How many tokens each gap takes, from 1 to ``LONGEST``, drawn; those beyond one each are ``room`` at most."""
    lengths = []
    for _ in range(gaps):
        lengths.append(int(rng.integers(1, min(LONGEST, 1 + room) + 1)))
        room -= lengths[-1] - 1
    return lengths


def _template(given: list[list[int]], lengths: list[int], longest: int) -> np.ndarray:
    """The given tokens with gaps of these lengths between them, -1 each, and the end: int32 [longest + 1]."""
    row = list(given[0])
    for own, ids in zip(lengths, given[1:], strict=True):
        row += [-1] * own + ids
    return moves.closed(row, longest)


def _filled(writer: Writer, parts: list[str], given: list[list[int]], lengths: list[int], ids: np.ndarray) -> str:
    """The text with what was written in its gaps; empty where that is no word of its own."""
    filled, start = parts[0], len(given[0])
    for length, before, after, known in zip(lengths, parts[:-1], parts[1:], given[1:], strict=True):
        own = writer.tokenizer.decode([int(token) for token in ids[start:start + length]])
        # A word piece without its space would go on with the word before.
        spaced = writer.tokenizer.pieces[int(ids[start])].startswith(" ")
        glued = writer.spaced and before and spaced != before[-1].isspace()
        if not any(char.isalnum() for char in own) or "\n" in own or glued:
            return ""
        filled += own.strip() + after
        start += length + len(known)
    return filled
