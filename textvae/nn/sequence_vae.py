"""The recurrent sequence VAE (Bowman et al. 2016), with z in the decoder's first state and at every step."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from textvae.nn import gaussian, sampled_softmax
from textvae.nn.batching import PAD
from textvae.nn.network import Network
from textvae.nn.penalties import constraint_distance
from textvae.nn.recurrent import GRU, LSTM

CELLS: dict[str, Any] = {"lstm": LSTM, "gru": GRU}


class SequenceVAE(Network):
    """Encoder and decoder over token ids.

    One table of embeddings serves the encoder, the decoder and the softmax (tied; Press & Wolf 2017).

    Args:
        vocabulary: Token ids, the four special ones included.
        embedding: Width of the embeddings.
        hidden: Width of the recurrent layers.
        latent: Dimensions of z.
        max_length: Tokens of the longest sequence, its end not counted: the most that generation writes.
        encoder, decoder: ``"lstm"`` or ``"gru"``.
        dropout: Share of the decoder's inputs and outputs set to zero, one mask for all steps (Gal & Ghahramani 2016).
        free_bits: Nats per dimension that the KL costs nothing.
        constraints: ``{"name", "kind", "threshold"}`` each; their centres and weights are variables.
        seed: For the first weights, dropout and the posterior's noise.

    Training takes ``encoder`` int32 [batch, time], ``decoder`` and ``target`` int32 [batch, time + 1] (the decoder's
    begins with BEGIN, the target ends with END, 0 pads all three) and ``applies`` float32 [batch, constraints]. Where
    ``positions`` int32 [n] says at which places of the flattened target its tokens are, nothing else goes through the
    softmax. With ``rows``, ``place`` and ``shift`` (see ``sampled_softmax.arrays``) the softmax is a sampled one.
    """

    kind = "sequence_vae"

    def __init__(self, *, vocabulary: int, embedding: int, hidden: int, latent: int, max_length: int,
                 encoder: str = "lstm", decoder: str = "lstm", dropout: float = 0.0, free_bits: float = 0.0,
                 constraints: list[dict[str, Any]] | None = None, seed: int) -> None:
        super().__init__(name=self.kind, autocast=False)
        keras.utils.set_random_seed(seed)
        self.constraints = [dict(constraint) for constraint in constraints or []]
        self.settings = {"vocabulary": vocabulary, "embedding": embedding, "hidden": hidden, "latent": latent,
                         "max_length": max_length, "encoder": encoder, "decoder": decoder, "dropout": dropout,
                         "free_bits": free_bits, "constraints": self.constraints}
        self.latent, self.hidden, self.free_bits = latent, hidden, free_bits
        self.noise = keras.random.SeedGenerator(seed)
        # 0.1 keeps the first logits of the tied softmax near uniform.
        self.embedding = layers.Embedding(vocabulary, embedding, name="embedding",
                                          embeddings_initializer=keras.initializers.RandomNormal(stddev=0.1))
        self.encoder = CELLS[encoder](hidden, name="encoder")
        self.mean = layers.Dense(latent, name="mean")
        # Starts at a variance of 1/50: the decoder learns to use z before the noise drowns it.
        self.log_var = layers.Dense(latent, name="log_var", kernel_initializer="zeros",
                                    bias_initializer=keras.initializers.Constant(-4.0))
        self.states = 2 if decoder == "lstm" else 1
        self.start = layers.Dense(hidden * self.states, activation="tanh", name="start")
        self.decoder = CELLS[decoder](hidden, name="decoder")
        self.narrow = layers.Dense(embedding, name="narrow")
        locked = (None, 1, None)
        self.drop_in = layers.Dropout(dropout, noise_shape=locked, seed=seed, name="drop_in")
        self.drop_out = layers.Dropout(dropout, noise_shape=locked, seed=seed + 1, name="drop_out")
        fixed = {"initializer": "zeros", "trainable": False, "autocast": False}
        self.token_bias = self.add_weight(shape=(vocabulary,), initializer="zeros", name="token_bias", autocast=False)
        self.beta = self.add_weight(shape=(), name="beta", **fixed)
        self.centres = self.add_weight(shape=(len(self.constraints), latent), name="centres", **fixed)
        self.penalty_weights = self.add_weight(shape=(len(self.constraints),), name="penalty_weights", **fixed)
        self({"encoder": np.ones((1, 2), np.int32), "decoder": np.ones((1, 3), np.int32),
              "target": np.ones((1, 3), np.int32), "applies": np.zeros((1, len(self.constraints)), np.float32)})

    # -- encoding ----------------------------------------------------------------------------------------------

    def posterior(self, inputs: dict[str, Any]) -> tuple[Any, Any]:
        """Mean and log-variance of q(z|x).

        Args:
            inputs: ``ids`` int32 [batch, time], 0 pads.

        Returns:
            float32 [batch, latent] each.
        """
        return self._encode(inputs["ids"], self.embedding(inputs["ids"]))

    def _encode(self, ids: Any, embedded: Any) -> tuple[Any, Any]:
        real = ops.cast(ops.not_equal(ids, PAD), "float32")[:, :, None]
        outputs = ops.cast(self.encoder(embedded), "float32")
        # The mean over time keeps every word's trace, where the last state forgets the first words (Long et al. 2019).
        pooled = ops.sum(outputs * real, axis=1) / ops.maximum(ops.sum(real, axis=1), 1.0)
        return ops.cast(self.mean(pooled), "float32"), ops.cast(self.log_var(pooled), "float32")

    # -- decoding ----------------------------------------------------------------------------------------------

    def first_state(self, z: Any) -> list[Any]:
        """The decoder's state before the first token: float32 [batch, hidden] each."""
        return list(ops.split(self.start(z), self.states, axis=-1))

    def step(self, ids: Any, z: Any, state: list[Any]) -> tuple[Any, list[Any]]:
        """One step of generation.

        Args:
            ids: int32 [batch], the last tokens.
            z: float32 [batch, latent].
            state: From ``first_state`` or the step before.

        Returns:
            Logits float32 [batch, vocabulary], and the next state.
        """
        embedded = self.embedding(ids)
        inputs = ops.concatenate([embedded, ops.cast(z, embedded.dtype)], axis=-1)
        output, state = self.decoder.cell(inputs, state)
        return self._logits(output), list(state)

    def _logits(self, outputs: Any) -> Any:
        table = ops.transpose(ops.cast(self.embedding.embeddings, self.compute_dtype))
        return ops.cast(ops.matmul(self.narrow(outputs), table), "float32") + self.token_bias

    def _outputs(self, embedded: Any, z: Any, training: bool) -> Any:
        """What the decoder says at every step, narrowed to the width of the embeddings: [batch, time, embedding]."""
        embedded = self.drop_in(embedded, training=training)
        repeated = ops.broadcast_to(ops.cast(z, embedded.dtype)[:, None, :],
                                    (ops.shape(z)[0], ops.shape(embedded)[1], self.latent))
        inputs = ops.concatenate([embedded, repeated], axis=-1)
        outputs = self.decoder(inputs, initial_state=self.first_state(z))
        return self.drop_out(outputs, training=training)

    def _reconstruction(self, outputs: Any, inputs: dict[str, Any]) -> Any:
        """-log p(x|z) in nats, summed over the tokens of a sequence: float32 [batch]."""
        target = inputs["target"]
        batch, time = ops.shape(target)[0], ops.shape(target)[1]
        places = inputs.get("positions", ops.arange(batch * time, dtype="int32"))
        outputs = ops.take(ops.reshape(outputs, (-1, self.hidden)), places, axis=0)
        target = ops.take(ops.reshape(target, (-1,)), places)
        if "rows" in inputs:
            losses = sampled_softmax.crossentropy(self.narrow(outputs), inputs["table"],
                                                  ops.take(self.token_bias, inputs["rows"]),
                                                  ops.take(inputs["place"], target), inputs["shift"])
        else:
            losses = keras.losses.sparse_categorical_crossentropy(target, self._logits(outputs), from_logits=True)
        losses = losses * ops.cast(ops.not_equal(target, PAD), "float32")
        return ops.segment_sum(losses, places // time, num_segments=batch)

    def score(self, inputs: dict[str, Any]) -> Any:
        """-log p(x|z) in nats, summed over tokens and the end of the sequence.

        Args:
            inputs: ``decoder`` and ``target`` int32 [batch, time + 1] as in training; ``z`` float32 [batch, latent].

        Returns:
            float32 [batch].
        """
        return self._reconstruction(self._outputs(self.embedding(inputs["decoder"]), inputs["z"], False), inputs)

    def score_samples(self, inputs: dict[str, Any]) -> Any:
        """-log p(x|z) in nats of one sequence under many latents: the samples of an importance-weighted bound.

        The softmax of one step after the other, so that no more than [samples, vocabulary] is ever held.

        Args:
            inputs: ``decoder`` and ``target`` int32 [time] as in training; ``z`` float32 [samples, latent].

        Returns:
            float32 [samples].
        """
        decoder, target, z = inputs["decoder"], inputs["target"], inputs["z"]
        steps = ops.sum(ops.cast(ops.not_equal(target, PAD), "int32"))
        nothing = ops.zeros_like(z[:, 0])

        def body(t: Any, nats: Any, *state: Any) -> tuple[Any, ...]:
            logits, after = self.step(ops.cast(nothing, "int32") + ops.take(decoder, t), z, list(state))
            said = ops.take(logits, ops.take(target, t), axis=-1)
            return (t + 1, nats + ops.logsumexp(logits, axis=-1) - said, *after)

        first = (ops.convert_to_tensor(0, dtype="int32"), nothing, *self.first_state(z))
        return ops.while_loop(lambda t, *_: t < steps, body, first)[1]

    # -- training ----------------------------------------------------------------------------------------------

    def terms(self, inputs: dict[str, Any], training: bool) -> dict[str, Any]:
        """``reconstruction`` and ``kl`` (nats per sequence), ``kl_free`` (the KL with free bits), penalties by name."""
        encoder, decoder = inputs["encoder"], inputs["decoder"]
        if "rows" in inputs:
            # The rows that this batch needs, taken from the table once, so that all gradients meet in them.
            table = ops.take(self.embedding.embeddings, inputs["rows"], axis=0)
            inputs = {**inputs, "table": table}
            embedded = [ops.take(table, ops.take(inputs["place"], ids), axis=0) for ids in (encoder, decoder)]
        else:
            embedded = [self.embedding(encoder), self.embedding(decoder)]
        mean, log_var = self._encode(encoder, embedded[0])
        z = gaussian.sample(mean, log_var, keras.random.normal(ops.shape(mean), seed=self.noise))
        per_dimension = gaussian.kl(mean, log_var)
        terms = {"reconstruction": self._reconstruction(self._outputs(embedded[1], z, training), inputs),
                 "kl": ops.sum(per_dimension, axis=-1),
                 "kl_free": gaussian.free_bits(per_dimension, self.free_bits)}
        for i, constraint in enumerate(self.constraints):
            terms[f"constraint_{constraint['name']}"] = constraint_distance(
                mean, self.centres[i], inputs["applies"][:, i], kind=constraint["kind"],
                threshold=constraint["threshold"])
        return terms

    def objective(self, terms: dict[str, Any]) -> Any:
        """``reconstruction + beta * kl_free + the weighted penalties``."""
        loss = ops.mean(terms["reconstruction"]) + self.beta * terms["kl_free"]
        for i, constraint in enumerate(self.constraints):
            loss = loss + self.penalty_weights[i] * terms[f"constraint_{constraint['name']}"]
        return loss
