"""A training that goes on from an earlier run's weights: which it takes over, and what it reads."""

from dataclasses import replace

import numpy as np

from textvae.config import SequenceVAEConfig
from textvae.data import SPECIAL, CompressedVectors, Start, Tokens
from textvae.stages.prior import unfitted
from textvae.text import tokenizer as tokenizers

# Of the network's weights these two have a row per token.
EMBEDDINGS, BIAS = "sequence_vae/embedding/embeddings", "sequence_vae/token_bias"


def settings(config: SequenceVAEConfig, start: Start) -> SequenceVAEConfig:
    """The settings of a training that goes on: no pre-training, and the KL and constraints at full weight at once.

    Its learning rate falls from half of the usual one: z and the decoder are in place, and new words are few.
    """
    return replace(config, epochs=start.epochs, pretrain_epochs=0, warmup_epochs=0,
                   constraints=tuple(replace(own, start=0, rise=0) for own in config.constraints),
                   anneal="none" if config.anneal == "none" else "constant", learning_rate=config.learning_rate / 2)


def weights(start: Start, tokens: Tokens, compressed: CompressedVectors | None, fresh: dict[str, np.ndarray]
            ) -> dict[str, np.ndarray]:
    """The weights to begin with: those of the earlier network, its tokens' rows moved to where they stand now.

    A token that the earlier vocabulary lacks lies where its compressed vector says: at the place that the linear map
    from compressed vectors to trained embeddings, fitted on the tokens of both vocabularies, gives it (Mikolov, Le &
    Sutskever 2013, section 3).

    Args:
        start: What is gone on from.
        tokens: The new vocabulary.
        compressed: Vectors of it; without them new tokens keep their fresh embeddings.
        fresh: The new network's own first weights, by path.

    Returns:
        Arrays by path, of the shapes of ``fresh``.
    """
    before, pieces = (tokenizers.load(own.tokenizer).pieces for own in (start.tokens, tokens))
    # The special tokens keep their rows: a corpus may have words that are spelt like them.
    special = len(SPECIAL)
    old = {piece: row for row, piece in enumerate(before) if row >= special}
    came_from = np.array([*range(special), *(old.get(piece, -1) for piece in pieces[special:])])
    shared = np.flatnonzero(came_from >= 0)
    new = np.flatnonzero(came_from < 0)
    embeddings, bias = fresh[EMBEDDINGS].copy(), fresh[BIAS].copy()
    embeddings[shared] = start.network.weights[EMBEDDINGS][came_from[shared]]
    bias[shared] = start.network.weights[BIAS][came_from[shared]]
    # Most tokens of a vocabulary are rare, and so are new ones.
    bias[new] = np.median(bias[shared])
    if compressed is not None and len(new):
        embeddings[new] = _mapped(compressed.vectors, embeddings, shared[shared >= special], new, embeddings[new])
    # A fitted prior is of the latents that were; it is fitted anew after training.
    return {**unfitted(start.network).weights, EMBEDDINGS: embeddings, BIAS: bias}


def replayed(rows: np.ndarray, tokens: Tokens, start: Start | None, rng: np.random.Generator) -> np.ndarray:
    """The sequences that one pass reads, int64 in order: all of new posts, a share of the old ones.

    Where that is nothing, as where posts were only taken away and ``replay`` is 0, it reads all.
    """
    if start is None or start.replay >= 1:
        return rows
    is_fresh = np.isin(np.array(tokens.post_ids), np.array(start.fresh, dtype=str))[tokens.post[rows]]
    old = rows[~is_fresh]
    again = rng.choice(old, round(start.replay * len(old)), replace=False)
    found = np.sort(np.concatenate([rows[is_fresh], again]))
    return found if len(found) else rows


def _mapped(vectors: np.ndarray, embeddings: np.ndarray, shared: np.ndarray, new: np.ndarray, otherwise: np.ndarray
            ) -> np.ndarray:
    """The embeddings of new tokens by least squares; those never met in training keep ``otherwise``."""
    points = np.concatenate([vectors, np.ones((len(vectors), 1))], axis=1).astype(np.float64)
    fitted = np.linalg.lstsq(points[shared], embeddings[shared].astype(np.float64), rcond=None)[0]
    met = np.any(vectors[new] != 0, axis=1)
    return np.where(met[:, None], points[new] @ fitted, otherwise).astype(np.float32)
