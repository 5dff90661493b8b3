"""A recurrent language model: the sequence VAE's decoder without z, what its likelihood is held against."""

from typing import Any

import keras
from keras import layers, ops

from textvae.nn import across
from textvae.nn.dropout import Dropout
from textvae.nn.encoder import CELLS
from textvae.nn.network import Network, sum_at_real_tokens


class LanguageModel(Network):
    """A recurrent network that predicts the next token, with tied embeddings (Press & Wolf 2017).

    Args:
        vocabulary: Token ids, the four special ones included.
        embedding: Width of the embeddings.
        hidden: Width of the recurrent layer.
        cell: ``"lstm"`` or ``"gru"``.
        dropout: Share of inputs and outputs set to zero, one mask for all steps (Gal & Ghahramani 2016).
        seed: For the first weights and dropout.

    Training takes ``decoder`` and ``target`` int32 [batch, time], and perhaps ``positions``, as ``SequenceVAE``.
    """

    kind = "language_model"

    def __init__(self, *, vocabulary: int, embedding: int, hidden: int, cell: str = "lstm", dropout: float = 0.0,
                 seed: int) -> None:
        super().__init__(name=self.kind, autocast=False)
        keras.utils.set_random_seed(seed)
        self.settings = {"vocabulary": vocabulary, "embedding": embedding, "hidden": hidden, "cell": cell,
                         "dropout": dropout}
        # 0.1 keeps the first logits of the tied softmax near uniform.
        self.embedding = layers.Embedding(vocabulary, embedding, name="embedding",
                                          embeddings_initializer=keras.initializers.RandomNormal(stddev=0.1))
        self.decoder = CELLS[cell](hidden, name="decoder")
        self.narrow = layers.Dense(embedding, name="narrow")
        locked = (None, 1, None)
        self.drop_in = Dropout(dropout, noise_shape=locked, seed=seed, name="drop_in")
        self.drop_out = Dropout(dropout, noise_shape=locked, seed=seed + 1, name="drop_out")
        self.token_bias = self.add_weight(shape=(vocabulary,), initializer="zeros", name="token_bias", autocast=False)
        self({name: keras.KerasTensor((1, 2), "int32") for name in ("decoder", "target")})

    def score(self, inputs: dict[str, Any]) -> Any:
        """-log p of each sequence and its end in nats, float32 [batch]; inputs as in training."""
        return self._nll(inputs, False)

    def _nll(self, inputs: dict[str, Any], training: bool) -> Any:
        embedded = self.drop_in(self.embedding(inputs["decoder"]), training=training)
        outputs = self.drop_out(self.decoder(embedded, training=training), training=training)
        table = ops.transpose(ops.cast(self.embedding.embeddings, self.compute_dtype))

        def loss(outputs: Any, target: Any) -> Any:
            logits = ops.cast(ops.matmul(self.narrow(outputs), table), "float32") + self.token_bias
            return keras.losses.sparse_categorical_crossentropy(target, logits, from_logits=True)

        return sum_at_real_tokens(loss, outputs, inputs)

    def terms(self, inputs: dict[str, Any], training: bool) -> dict[str, Any]:
        """``nll`` in nats per sequence, and ``predictions``: how many tokens that counts, the end included."""
        real = ops.cast(ops.not_equal(inputs["target"], 0), "float32")
        return {"nll": self._nll(inputs, training), "predictions": ops.sum(real, axis=-1)}

    def objective(self, terms: dict[str, Any]) -> Any:
        """The batch mean of ``nll``."""
        return across.mean(terms["nll"])
