"""Word vectors in word2vec's text format, which gensim and others read."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from textvae.data.vectors import SIGNS, write_word2vec
from textvae.errors import TextvaeError

TOLERANCE = 1e-5  # of each number: the text has six digits


def write(path: Path, vocabulary: Sequence[str], vectors: np.ndarray) -> float:
    """Write vectors and read them again with gensim.

    Args:
        path: The file.
        vocabulary: The tokens, by id; white space in them is written as ``textvae.data.vectors.SIGNS``.
        vectors: float32 [vocabulary, dim].

    Returns:
        The largest difference of a number, as a part of the largest number.

    Raises:
        TextvaeError: Others come out.
    """
    from gensim.models import KeyedVectors

    first: dict[str, int] = {}  # of tokens that read alike: a file with a word twice is read wrongly
    for row, token in enumerate(vocabulary):
        first.setdefault(token.translate(SIGNS), row)
    wanted = vectors[list(first.values())]
    write_word2vec(path, list(first), wanted)
    loaded = KeyedVectors.load_word2vec_format(str(path), binary=False)
    if loaded.index_to_key != list(first):
        raise TextvaeError(f"{path.name}, read again, has other words than the vocabulary",
                           "leave --format vectors out")
    difference = float(np.max(np.abs(loaded.vectors - wanted)) / max(1.0, float(np.max(np.abs(wanted)))))
    if not difference <= TOLERANCE:
        raise TextvaeError(f"{path.name}, read again, differs by {difference:.2g}", "leave --format vectors out")
    return difference
