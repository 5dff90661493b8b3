"""Measures over the words of texts."""

import numpy as np


def words(texts: list[str], *, split: bool = False) -> list[list[str]]:
    """The words of each text, as sacrebleu's tokenizer 13a cuts them.

    Args:
        texts: As written.
        split: The texts are words between blanks already: take them as they are.

    Example:
        >>> words(["Well, it's <unk>."])
        [['Well', ',', "it's", '<', 'unk', '>', '.']]
        >>> words(["it 's <unk> ."], split=True)
        [['it', "'s", '<unk>', '.']]
    """
    if split:
        return [text.split() for text in texts]
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    cut = Tokenizer13a()
    return [cut(text).split() for text in texts]


def distinct(texts: list[list[str]], n: int) -> float:
    """Different n-grams as a share of all n-grams in all texts together; falls with the number of texts.

    Example:
        >>> distinct([["a", "b", "a"], ["a", "b"]], 1)
        0.4

    Reference: Li et al. 2016.
    """
    grams = [gram for text in texts for gram in zip(*(text[i:] for i in range(n)), strict=False)]
    return len(set(grams)) / len(grams) if grams else float("nan")


def content_cosine(first: list[np.ndarray], second: list[np.ndarray], vectors: np.ndarray) -> np.ndarray:
    """Cosine between the mean vectors of paired token sequences.

    Args:
        first, second: int [tokens] each, pairs by place.
        vectors: float32 [vocabulary, dim].

    Returns:
        float64 [pairs]; 0 where one side has no tokens.

    Example:
        >>> content_cosine([np.array([0, 1])], [np.array([1, 0])], np.eye(2, dtype=np.float32)).round(6)
        array([1.])
    """
    means = [np.stack([vectors[ids].mean(axis=0) if len(ids) else np.zeros(vectors.shape[1]) for ids in side])
             for side in (first, second)] if first else [np.zeros((0, 1))] * 2
    lengths = [np.maximum(np.linalg.norm(side, axis=1), 1e-12) for side in means]
    return np.asarray(np.sum(means[0] * means[1], axis=1) / (lengths[0] * lengths[1]), np.float64)
