"""A causal transformer language model over compressed word vectors."""

from typing import Any

import keras
import numpy as np
from keras import ops

from textvae.nn import across
from textvae.nn.dropout import Dropout
from textvae.nn.network import Network, sum_at_real_tokens
from textvae.nn.transformer import Block, positions

PAD, SPECIAL = 0, 4  # the first four ids have no word vector


class WordTransformer(Network):
    """Predicts the next token; the compressed vectors are both what it reads and what its softmax compares with.

    The vectors stay as they are. Padding, begin, end and unknown have none, and learn theirs.

    Args:
        vocabulary: Token ids, the four special ones included.
        latent: Numbers per compressed vector.
        layers: Transformer blocks.
        width: Width of a block; a multiple of ``heads``.
        heads: Attention heads.
        dropout: Share of inputs and activations set to zero.
        seed: For the first weights and dropout.

    Training takes ``decoder`` and ``target`` int32 [batch, time + 1]: the one begins with BEGIN, the other ends with
    END, 0 pads both. Where ``positions`` int32 [n] says at which places of the flattened target its tokens are, nothing
    else goes through the softmax.
    """

    kind = "word_transformer"

    def __init__(self, *, vocabulary: int, latent: int, layers: int, width: int, heads: int, dropout: float,
                 seed: int) -> None:
        super().__init__(name=self.kind, autocast=False)
        keras.utils.set_random_seed(seed)
        self.settings = {"vocabulary": vocabulary, "latent": latent, "layers": layers, "width": width, "heads": heads,
                         "dropout": dropout}
        self.width = width
        # Without autocast: what adds to float32 stays float32 in every precision.
        self.vectors = self.add_weight(shape=(vocabulary - SPECIAL, latent), initializer="zeros", trainable=False,
                                       name="vectors", autocast=False)
        self.special = self.add_weight(shape=(SPECIAL, latent), name="special", autocast=False,
                                       initializer=keras.initializers.RandomNormal(stddev=1.0, seed=seed))
        self.token_bias = self.add_weight(shape=(vocabulary,), initializer="zeros", name="token_bias", autocast=False)
        self.widen = keras.layers.Dense(width, name="widen")
        self.drop_in = Dropout(dropout, seed=seed + 1, name="drop_in")
        self.blocks = [Block(width=width, heads=heads, dropout=dropout, name=f"block_{i}", seed=seed + 2 + 2 * i)
                       for i in range(layers)]
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5, name="norm")
        # Near zero: the first prediction is then how often each token comes at all.
        self.narrow = keras.layers.Dense(latent, name="narrow",
                                         kernel_initializer=keras.initializers.RandomNormal(stddev=0.01, seed=seed))
        self({name: keras.KerasTensor((1, 2), "int32") for name in ("decoder", "target")})

    def start(self, vectors: np.ndarray, counts: np.ndarray) -> None:
        """Take the compressed vectors, and each token's share of the training split as the first bias.

        Args:
            vectors: float32 [vocabulary, latent]; brought to a standard deviation of 1.
            counts: int64 [vocabulary]; how often each token is to be predicted.
        """
        words = vectors[SPECIAL:]
        met = np.any(words != 0, axis=1)
        words = np.where(met[:, None], words - words[met].mean(axis=0), 0.0) if met.any() else words
        self.vectors.assign(words / (float(words[met].std()) or 1.0 if met.any() else 1.0))
        shares = (counts + 0.1) / (counts + 0.1).sum()
        self.token_bias.assign(np.log(shares))

    def logits(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Unnormalised log-probabilities of the next token at every step.

        Args:
            inputs: ``decoder`` int32 [batch, time], from BEGIN on.

        Returns:
            float32 [batch, time, vocabulary].
        """
        table = self._table()
        return self._logits(self._outputs(inputs["decoder"], table, training), table)

    def _table(self) -> Any:
        return ops.cast(ops.concatenate([self.special, self.vectors], axis=0), self.compute_dtype)

    def _outputs(self, ids: Any, table: Any, training: bool) -> Any:
        """What the blocks say at every step, [batch, time, width]."""
        hidden = self.widen(ops.take(table, ids, axis=0))
        hidden = hidden + ops.cast(positions(ops.shape(ids)[1], self.width), hidden.dtype)
        hidden = self.drop_in(hidden, training=training)
        for block in self.blocks:
            hidden = block(hidden, training=training)
        return self.norm(hidden)

    def _logits(self, outputs: Any, table: Any) -> Any:
        return ops.cast(ops.matmul(self.narrow(outputs), ops.transpose(table)), "float32") + self.token_bias

    def score(self, inputs: dict[str, Any]) -> Any:
        """-log p of each sequence and its end in nats, float32 [batch]; inputs as in training."""
        return self._nll(inputs, False)

    def _nll(self, inputs: dict[str, Any], training: bool) -> Any:
        table = self._table()

        def loss(outputs: Any, target: Any) -> Any:
            return keras.losses.sparse_categorical_crossentropy(target, self._logits(outputs, table), from_logits=True)

        return sum_at_real_tokens(loss, self._outputs(inputs["decoder"], table, training), inputs)

    def terms(self, inputs: dict[str, Any], training: bool) -> dict[str, Any]:
        """``nll`` in nats per sequence, and ``predictions``: how many tokens that counts, the end included."""
        real = ops.cast(ops.not_equal(inputs["target"], PAD), "float32")
        return {"nll": self._nll(inputs, training), "predictions": ops.sum(real, axis=-1)}

    def objective(self, terms: dict[str, Any]) -> Any:
        """The batch mean of ``nll``."""
        return across.mean(terms["nll"])
