"""A recurrent network that fills open places of a text: told what stands before each, and what is given behind it."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from textvae.nn import across, sampled_softmax
from textvae.nn.batching import BEGIN, END, PAD
from textvae.nn.dropout import Dropout
from textvae.nn.encoder import turned
from textvae.nn.network import Network, sum_at_real_tokens
from textvae.nn.recurrent import LSTM

OPEN = -1  # in what is given; read as the token that begins texts, which stands behind nothing
MOST_OPEN, SPAN = 0.5, 0.5  # of a training text: the most that opens; how often an opened stretch goes on for a token
LONGEST = 5  # tokens of a stretch that opens at one place


class Infiller(Network):
    """Predicts every token of a text from all before it and from what is known of those behind it.

    One layer reads onward and one backward, as context2vec does (Melamud et al. 2016, section 3.1); the one that reads
    backward meets a mark where a place is open, so that a stretch of several tokens can be filled from left to right
    (Zhu et al. 2019). Embeddings are tied (Press & Wolf 2017).

    Args:
        vocabulary: Token ids, the four special ones included.
        embedding: Width of the embeddings.
        hidden: Width of each recurrent layer.
        dropout: Share of inputs and outputs set to zero, one mask for all steps (Gal & Ghahramani 2016).
        seed: For the first weights and dropout.

    Training takes ``decoder`` and ``target`` int32 [batch, time], and ``given`` int32 [batch, time], the target with
    ``OPEN`` at open places; perhaps ``positions`` and what ``sampled_softmax.arrays`` gives, as ``SequenceVAE``.
    """

    kind = "infiller"

    def __init__(self, *, vocabulary: int, embedding: int, hidden: int, dropout: float = 0.0, seed: int) -> None:
        super().__init__(name=self.kind, autocast=False)
        keras.utils.set_random_seed(seed)
        self.settings = {"vocabulary": vocabulary, "embedding": embedding, "hidden": hidden, "dropout": dropout}
        self.hidden = hidden
        # 0.1 keeps the first logits of the tied softmax near uniform.
        self.embedding = layers.Embedding(vocabulary, embedding, name="embedding",
                                          embeddings_initializer=keras.initializers.RandomNormal(stddev=0.1))
        self.onward = LSTM(hidden, name="onward")
        self.backward = LSTM(hidden, name="backward")
        self.mix = layers.Dense(hidden, activation="gelu", name="mix")
        self.narrow = layers.Dense(embedding, name="narrow")
        locked = (None, 1, None)
        self.drop_in = Dropout(dropout, noise_shape=locked, seed=seed, name="drop_in")
        self.drop_out = Dropout(dropout, noise_shape=locked, seed=seed + 1, name="drop_out")
        self.token_bias = self.add_weight(shape=(vocabulary,), initializer="zeros", name="token_bias", autocast=False)
        self({name: keras.KerasTensor((1, 2), "int32") for name in ("decoder", "target", "given")})

    # -- filling -----------------------------------------------------------------------------------------------

    def behind(self, given: Any) -> Any:
        """What is known of the tokens behind each place, [batch, time, hidden].

        Args:
            given: int32 [batch, time], a text and its end, ``OPEN`` at open places; what follows the end is not read.
        """
        return self._behind(self.embedding(_read(given)), given, False)

    def _behind(self, embedded: Any, given: Any, training: bool) -> Any:
        ends = ops.cast(ops.equal(given, END), "int32")
        real = ops.cast(ops.equal(ops.cumsum(ends, axis=1), ends), "float32")
        read = turned(self.backward(turned(embedded, real), training=training), real)
        read = read * ops.cast(real, read.dtype)[:, :, None]  # on padding it would go on from the whole text
        return ops.concatenate([read[:, 1:], ops.zeros_like(read[:, :1])], axis=1)

    def first_state(self, like: Any) -> list[Any]:
        """The state before the first token, float32 [batch, hidden] each; ``like`` has the batch as its first axis."""
        zeros = ops.zeros((ops.shape(like)[0], self.hidden), self.compute_dtype)
        return [zeros, zeros]

    def advance(self, ids: Any, state: list[Any]) -> tuple[Any, list[Any]]:
        """Read one token more.

        Args:
            ids: int32 [batch], the last tokens.
            state: From ``first_state`` or the step before.

        Returns:
            What is known of the tokens up to here, [batch, hidden], and the next state.
        """
        output, state = self.onward.cell(self.embedding(ids), state)
        return output, list(state)

    def logits(self, before: Any, behind: Any) -> Any:
        """Logits of a place, float32 [..., vocabulary], from what ``advance`` and ``behind`` say, [..., hidden]."""
        return self._logits(self._mixed(before, behind))

    def _mixed(self, before: Any, behind: Any) -> Any:
        return ops.concatenate([before, self.mix(ops.concatenate([before, behind], axis=-1))], axis=-1)

    def _logits(self, mixed: Any) -> Any:
        table = ops.transpose(ops.cast(self.embedding.embeddings, self.compute_dtype))
        return ops.cast(ops.matmul(self.narrow(mixed), table), "float32") + self.token_bias

    # -- training ----------------------------------------------------------------------------------------------

    def score(self, inputs: dict[str, Any]) -> Any:
        """-log p of every token and of the end given all the others, in nats, summed: float32 [batch].

        Args:
            inputs: ``decoder`` and ``target`` int32 [batch, time] as in training.

        Reference: the pseudo-log-likelihood of Salazar et al. 2020, section 2.
        """
        return self._nll({**inputs, "given": inputs["target"]}, False)

    def _nll(self, inputs: dict[str, Any], training: bool) -> Any:
        ids = (inputs["decoder"], _read(inputs["given"]))
        if "rows" in inputs:  # those that this batch needs, taken from the table once
            table = ops.take(self.embedding.embeddings, inputs["rows"], axis=0)
            inputs = {**inputs, "table": table}
            read = [ops.take(table, ops.take(inputs["place"], own), axis=0) for own in ids]
        else:
            read = [self.embedding(own) for own in ids]
        decoder, given = (self.drop_in(own, training=training) for own in read)
        outputs = self._mixed(self.onward(decoder, training=training), self._behind(given, inputs["given"], training))

        def loss(outputs: Any, target: Any) -> Any:
            if "rows" not in inputs:
                return keras.losses.sparse_categorical_crossentropy(target, self._logits(outputs), from_logits=True)
            return sampled_softmax.crossentropy(self.narrow(outputs), inputs["table"],
                                                ops.take(self.token_bias, inputs["rows"]),
                                                ops.take(inputs["place"], target), inputs["shift"])

        return sum_at_real_tokens(loss, self.drop_out(outputs, training=training), inputs)

    def terms(self, inputs: dict[str, Any], training: bool) -> dict[str, Any]:
        """``nll`` in nats per sequence, and ``predictions``: how many tokens that counts, the end included."""
        real = ops.cast(ops.not_equal(inputs["target"], PAD), "float32")
        return {"nll": self._nll(inputs, training), "predictions": ops.sum(real, axis=-1)}

    def objective(self, terms: dict[str, Any]) -> Any:
        """The batch mean of ``nll``."""
        return across.mean(terms["nll"])


def _read(given: Any) -> Any:
    return ops.where(given == OPEN, BEGIN, given)


def opened(target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Open stretches of texts at random: of each text another share, up to about ``MOST_OPEN``.

    Args:
        target: int32 [batch, time], tokens, their end, and 0 behind it.
        rng: Draws which.

    Returns:
        int32 [batch, time], ``OPEN`` at open places; an end stays.
    """
    begins = rng.random(target.shape) < rng.random((len(target), 1)) * MOST_OPEN * (1 - SPAN)
    goes_on = rng.random(target.shape) < SPAN
    free = begins
    for _ in range(LONGEST - 1):
        free = free | (np.pad(free, ((0, 0), (1, 0)))[:, :-1] & goes_on)
    return np.where(free & (target != END) & (target != PAD), np.int32(OPEN), target).astype(np.int32)
