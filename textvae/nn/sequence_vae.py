"""The recurrent sequence VAE (Bowman et al. 2016), with z in the decoder's first state and at every step."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from textvae.nn import across, gaussian, priors, sampled_softmax
from textvae.nn.batching import PAD
from textvae.nn.dropout import Dropout
from textvae.nn.encoder import CELLS, ConvolutionalEncoder, RecurrentEncoder
from textvae.nn.network import Network, sum_at_real_tokens
from textvae.nn.penalties import constraint_distance, path_slopes
from textvae.nn.posteriors import Categorical, FullGaussian, Gaussian, VonMisesFisher
from textvae.nn.recurrent import input_bias

LABEL_WIDTH = 16  # numbers that a label is told by


class SequenceVAE(Network):
    """Encoder and decoder over token ids.

    One table of embeddings serves the encoder, the decoder and the softmax (tied; Press & Wolf 2017).

    Args:
        vocabulary: Token ids, the four special ones included.
        embedding: Width of the embeddings.
        hidden: Width of the recurrent layers.
        latent: Dimensions of z; discrete variables where the posterior is categorical.
        max_length: Tokens of the longest sequence, its end not counted: the most that generation writes.
        encoder: ``"lstm"``, ``"gru"`` or ``"conv"``.
        encoder_layers, bidirectional, summary: See ``textvae.nn.encoder``.
        decoder: ``"lstm"`` or ``"gru"``.
        skip: Whether z also goes past the decoder into the softmax (Dieng et al. 2019).
        dropout: Share of the decoder's inputs and outputs set to zero, one mask for all steps (Gal & Ghahramani 2016).
        embedding_dropout: Share of the vocabulary's tokens read as nothing for a batch (the same).
        weight_drop: Share of recurrent weights set to zero for a batch (Merity et al. 2018).
        layer_norm: Whether what recurrent layers hand on is normalised (Ba et al. 2016).
        posterior: A key of ``POSTERIORS``.
        mean_gamma, concentration, categories, relaxation: See ``textvae.nn.posteriors``.
        prior: ``"standard"``, ``"mixture"``, ``"vamp"`` or ``"fitted"``; see ``textvae.nn.priors``.
        components: Of any but the standard one.
        free_bits: Nats that the KL costs nothing.
        free_bits_over: Whether each ``"dimension"`` has them or all together, ``"total"``.
        labels: Names of the labels that the network is told (CVAE; Sohn et al. 2015).
        smooth: Weight of the penalty on uneven paths; see ``textvae.nn.penalties.path_slopes``.
        latent_dropout: Share of sequences that training tells the decoder no z of; above 0 it can write without one.
        constraints: ``{"name", "kind", "threshold"}`` each, ``"margin"`` where there is one, and what else is to be
            kept with them; their centres and weights are variables.
        seed: For the first weights, dropout and the posterior's noise.

    Training takes ``encoder`` int32 [batch, time], ``decoder`` and ``target`` int32 [batch, time + 1] (the decoder's
    begins with BEGIN, the target ends with END, 0 pads all three) and ``applies`` float32 [batch, constraints], see
    ``constraint_distance``; with labels also ``label`` int32 [batch], 0 for none and else 1 + the label's place.
    Where ``positions`` int32 [n] says at which places of the flattened target its tokens are, nothing else goes
    through the softmax. With ``rows``, ``place`` and ``shift`` (see ``sampled_softmax.arrays``) it is a sampled one.
    Where ``told`` float32 [batch] is 0, the decoder gets zeros in the place of z. ``rise`` float32 [batch], the same
    for all, is the share of ``beta`` that the batch's KL has.

    What is called ``code`` is what the decoder is told: z, and behind it the label's numbers where there are labels.
    """

    kind = "sequence_vae"

    def __init__(self, *, vocabulary: int, embedding: int, hidden: int, latent: int, max_length: int,
                 encoder: str = "lstm", encoder_layers: int = 1, bidirectional: bool = False, summary: str = "mean",
                 decoder: str = "lstm", skip: bool = False, dropout: float = 0.0, embedding_dropout: float = 0.0,
                 weight_drop: float = 0.0, layer_norm: bool = False, posterior: str = "gaussian",
                 mean_gamma: float = 0.0, concentration: float = 80.0, categories: int = 16, relaxation: float = 1.0,
                 prior: str = "standard", components: int = 16, free_bits: float = 0.0,
                 free_bits_over: str = "dimension", labels: list[str] | None = None, smooth: float = 0.0,
                 latent_dropout: float = 0.0,
                 constraints: list[dict[str, Any]] | None = None, seed: int) -> None:
        settings = {name: value for name, value in locals().items() if name not in ("self", "seed", "__class__")}
        super().__init__(name=self.kind, autocast=False)
        keras.utils.set_random_seed(seed)
        self.constraints = [dict(constraint) for constraint in constraints or []]
        self.labels = list(labels or [])
        self.settings = {**settings, "constraints": self.constraints, "labels": self.labels}
        self.free_bits, self.free_bits_over, self.smooth = free_bits, free_bits_over, smooth
        self.noise = keras.random.SeedGenerator(seed)
        # 0.1 keeps the first logits of the tied softmax near uniform.
        self.embedding = layers.Embedding(vocabulary, embedding, name="embedding",
                                          embeddings_initializer=keras.initializers.RandomNormal(stddev=0.1))
        self.encoder: Any = (
            ConvolutionalEncoder(hidden=hidden, depth=encoder_layers, layer_norm=layer_norm) if encoder == "conv" else
            RecurrentEncoder(encoder, hidden=hidden, depth=encoder_layers, bidirectional=bidirectional,
                             summary=summary, layer_norm=layer_norm, weight_drop=weight_drop, seed=seed + 2))
        self.family: Any = POSTERIORS[posterior](latent, mean_gamma=mean_gamma, concentration=concentration,
                                                 categories=categories, relaxation=relaxation)
        self.prior: Any = {
            "standard": lambda: None,
            "mixture": lambda: priors.Mixture(latent, components=components, seed=seed + 3),
            "vamp": lambda: priors.Vamp(embedding, components=components, seed=seed + 3),
            "fitted": lambda: priors.Fitted(latent, components=components)}[prior]()
        self.latent = self.family.width
        self.code_width = self.latent + (LABEL_WIDTH if self.labels else 0)
        self.states = 2 if decoder == "lstm" else 1
        self.start = layers.Dense(hidden * self.states, activation="tanh", name="start")
        self.decoder = CELLS[decoder](hidden, weight_drop=weight_drop, seed=seed + 4, name="decoder")
        self.norm = layers.LayerNormalization(name="norm") if layer_norm else None
        self.skip = skip
        self.narrow = layers.Dense(embedding, name="narrow")
        locked = (None, 1, None)
        self.drop_in = Dropout(dropout, noise_shape=locked, seed=seed, name="drop_in")
        self.drop_out = Dropout(dropout, noise_shape=locked, seed=seed + 1, name="drop_out")
        self.drop_token = Dropout(embedding_dropout, seed=seed + 5, name="drop_token")
        fixed = {"initializer": "zeros", "trainable": False, "autocast": False}
        self.token_bias = self.add_weight(shape=(vocabulary,), initializer="zeros", name="token_bias", autocast=False)
        self.beta = self.add_weight(shape=(), name="beta", **fixed)
        self.centres = self.add_weight(shape=(len(self.constraints), self.latent), name="centres", **fixed)
        self.penalty_weights = self.add_weight(shape=(len(self.constraints),), name="penalty_weights", **fixed)
        if self.labels:
            self.label_table = self.add_weight(shape=(len(self.labels) + 1, LABEL_WIDTH), name="label_table",
                                               initializer=keras.initializers.RandomNormal(), autocast=False)
            self.prior_means = self.add_weight(shape=(len(self.labels) + 1, self.latent), initializer="zeros",
                                               trainable=self.family.shifts, name="prior_means", autocast=False)
        # Called once, so that every weight is there. JAX would compile each operation of that by itself, for 20 s.
        like = keras.KerasTensor if keras.config.backend() == "jax" else np.ones
        self({"encoder": like((2, 2), "int32"), "decoder": like((2, 3), "int32"), "target": like((2, 3), "int32"),
              "applies": like((2, len(self.constraints)), "float32")})

    # -- encoding ----------------------------------------------------------------------------------------------

    def posterior(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """``mean`` and ``log_var`` of q(z|x), in each dimension by itself.

        Args:
            inputs: ``ids`` int32 [batch, time], 0 pads; ``label`` int32 [batch] where the network has labels.

        Returns:
            float32 [batch, latent] each.
        """
        q = self.family_parameters(inputs)
        return {name: q[name] for name in ("mean", "log_var")}

    def family_parameters(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """All that its family says of q(z|x), see ``textvae.nn.posteriors``; inputs as ``posterior``'s."""
        return self._encode(inputs["ids"], self.embedding(inputs["ids"]), inputs)

    def draw(self, inputs: dict[str, Any]) -> Any:
        """Draw z from posteriors.

        Args:
            inputs: What ``family_parameters`` gave; ``noise`` float32 [batch, noise of the family]; ``strength``
                float32 [batch, 1], the factor on the distance from the mean.

        Returns:
            float32 [batch, latent].
        """
        return self.family.sample(inputs, inputs["noise"], inputs["strength"])

    def nats(self, inputs: dict[str, Any]) -> Any:
        """KL(q(z|x) || p(z)) in nats: in closed form where there is one, else estimated from one draw.

        Args:
            inputs: What ``family_parameters`` gave; ``z`` float32 [batch, latent] drawn from it; ``label`` int32
                [batch].

        Returns:
            float32 [batch, latent], or [batch, 1] where the dimensions share it.
        """
        return self._nats(inputs, inputs["z"], self._label(inputs, ops.cast(inputs["z"], "int32")))

    def _nats(self, q: dict[str, Any], z: Any, label: Any) -> Any:
        if self.prior is None:
            return self.family.kl(q, self._shift(label))
        return (self.family.log_prob(q, z) - self.prior_log_prob(z, label))[:, None]

    def log_density(self, inputs: dict[str, Any]) -> Any:
        """log q(z|x) in nats of every draw under every posterior: float32 [draws, batch].

        Args:
            inputs: What ``family_parameters`` gave, [batch, ...]; ``z`` float32 [draws, latent].
        """
        return self.family.log_prob(inputs, inputs["z"][:, None])

    def _encode(self, ids: Any, embedded: Any, inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
        return self._summarised(embedded, ops.cast(ops.not_equal(ids, PAD), "float32"), self._label(inputs, ids),
                                training)

    def _summarised(self, embedded: Any, real: Any, label: Any, training: bool = False) -> dict[str, Any]:
        summary = self.encoder(embedded, real, training=training)
        if self.labels:
            summary = ops.concatenate([summary, ops.take(self.label_table, label, axis=0)], axis=-1)
        found: dict[str, Any] = self.family(summary, training=training)
        return found

    def _label(self, inputs: dict[str, Any], like: Any) -> Any:
        """The labels' places, int32 [batch]; 0, for none, where the inputs hold none."""
        return inputs.get("label", ops.zeros_like(like[:, 0]))

    # -- the prior ---------------------------------------------------------------------------------------------

    def prior_sample(self, inputs: dict[str, Any]) -> Any:
        """Draw z from the prior.

        Args:
            inputs: ``noise`` float32 [batch, prior_noise], standard normal; ``label`` int32 [batch] with labels.

        Returns:
            float32 [batch, latent].
        """
        noise = inputs["noise"]
        drawn = self.family.prior(noise) if self.prior is None else self.prior.sample(noise, self._pseudo)
        return drawn + self._shift(self._label(inputs, ops.cast(noise, "int32")))

    @property
    def prior_noise(self) -> int:
        """Width of the noise that ``prior_sample`` takes."""
        return int(self.family.noise if self.prior is None else self.latent + 1)

    def prior_log_prob(self, z: Any, label: Any) -> Any:
        """log p(z) in nats, float32 [batch]; ``z`` float32 [batch, latent], ``label`` int32 [batch]."""
        z = z - self._shift(label)
        return self.family.prior_log_prob(z) if self.prior is None else self.prior.log_prob(z, self._pseudo)

    def _pseudo(self, embedded: Any) -> dict[str, Any]:
        """The posterior of pseudo-inputs, which have no padding and no label."""
        return self._summarised(embedded, ops.cast(ops.ones_like(embedded[:, :, 0]), "float32"),
                                ops.cast(ops.zeros_like(embedded[:, 0, 0]), "int32"))

    def _shift(self, label: Any) -> Any:
        return ops.take(self.prior_means, label, axis=0) if self.labels else 0.0

    def code(self, z: Any, label: Any) -> Any:
        """What the decoder is told: float32 [batch, code_width]; see the class."""
        return ops.concatenate([z, ops.take(self.label_table, label, axis=0)], axis=-1) if self.labels else z

    def importance(self, inputs: dict[str, Any]) -> tuple[Any, Any]:
        """Draw latents of sequences from their posteriors, for the importance-weighted bound.

        Args:
            inputs: What ``family_parameters`` gave of them, [n, ...]; ``noise`` float32 [n * samples, noise of the
                family], one sequence's after the other's; ``label`` int32 [n].

        Returns:
            Codes float32 [n * samples, code_width], and log p(z) - log q(z|x) in nats, float32 [n * samples].
        """
        count = ops.shape(inputs["noise"])[0] // ops.shape(inputs["mean"])[0]
        label = ops.repeat(self._label(inputs, ops.cast(inputs["mean"], "int32")), count)
        q = {name: ops.repeat(value, count, axis=0) for name, value in inputs.items() if name not in ("noise", "label")}
        z = self.family.sample(q, inputs["noise"])
        return self.code(z, label), self.prior_log_prob(z, label) - self.family.log_prob(q, z)

    # -- decoding ----------------------------------------------------------------------------------------------

    def first_state(self, code: Any) -> list[Any]:
        """The decoder's state before the first token: float32 [batch, hidden] each."""
        return list(ops.split(self.start(code), self.states, axis=-1))

    def advance(self, ids: Any, code: Any, state: list[Any]) -> tuple[Any, list[Any]]:
        """One step of generation, short of its ``logits``.

        Args:
            ids: int32 [batch], the last tokens.
            code: float32 [batch, code_width].
            state: From ``first_state`` or the step before.

        Returns:
            What ``logits`` takes, [batch, hidden], with a skip wider by the code; and the next state.
        """
        embedded = self.embedding(ids)
        code = ops.cast(code, embedded.dtype)
        output, state = self.decoder.cell(ops.concatenate([embedded, code], axis=-1), state)
        return self._said(output, code, False), list(state)

    def logits(self, outputs: Any) -> Any:
        """Logits of the next token, float32 [..., vocabulary], from what the decoder says, [..., hidden]."""
        table = ops.transpose(ops.cast(self.embedding.embeddings, self.compute_dtype))
        return ops.cast(ops.matmul(self.narrow(outputs), table), "float32") + self.token_bias

    def _outputs(self, embedded: Any, code: Any, training: bool) -> Any:
        """What the softmax is computed from at every step: [batch, time, hidden], with a skip wider by the code."""
        embedded = self.drop_in(embedded, training=training)
        repeated = ops.broadcast_to(ops.cast(code, embedded.dtype)[:, None, :],
                                    (ops.shape(code)[0], ops.shape(embedded)[1], self.code_width))
        inputs = ops.concatenate([embedded, repeated], axis=-1)
        outputs = self.decoder(inputs, initial_state=self.first_state(code), training=training)
        return self._said(outputs, repeated, training)

    def _said(self, outputs: Any, code: Any, training: bool) -> Any:
        outputs = outputs if self.norm is None else self.norm(outputs)
        outputs = self.drop_out(outputs, training=training) if len(outputs.shape) == 3 else outputs
        return ops.concatenate([outputs, code], axis=-1) if self.skip else outputs

    def _reconstruction(self, outputs: Any, inputs: dict[str, Any]) -> Any:
        """-log p(x|z) in nats, summed over the tokens of a sequence: float32 [batch]."""
        def loss(outputs: Any, target: Any) -> Any:
            if "rows" not in inputs:
                return keras.losses.sparse_categorical_crossentropy(target, self.logits(outputs), from_logits=True)
            return sampled_softmax.crossentropy(self.narrow(outputs), inputs["table"],
                                                ops.take(self.token_bias, inputs["rows"]),
                                                ops.take(inputs["place"], target), inputs["shift"])

        return sum_at_real_tokens(loss, outputs, inputs)

    def score(self, inputs: dict[str, Any]) -> Any:
        """-log p(x|z) in nats, summed over tokens and the end of the sequence.

        Args:
            inputs: ``decoder`` and ``target`` int32 [batch, time + 1] as in training; ``code`` float32 [batch,
                code_width].

        Returns:
            float32 [batch].
        """
        return self._reconstruction(self._outputs(self.embedding(inputs["decoder"]), inputs["code"], False), inputs)

    def token_nats(self, inputs: dict[str, Any]) -> Any:
        """-log p(x|z) in nats of every token and of the end, float32 [batch, time + 1]; inputs as ``score``'s.

        The softmax of one step after the other: [batch, vocabulary] stays in a processor's cache, all steps do not.
        """
        def nats(step: tuple[Any, Any]) -> Any:
            logits = self.logits(step[0])
            said = ops.take_along_axis(logits, step[1][:, None], axis=-1)[:, 0]
            return ops.logsumexp(logits, axis=-1) - said

        outputs = self._outputs(self.embedding(inputs["decoder"]), inputs["code"], False)
        return ops.transpose(ops.map(nats, (ops.transpose(outputs, (1, 0, 2)), ops.transpose(inputs["target"]))))

    def score_samples(self, inputs: dict[str, Any]) -> Any:
        """-log p(x|z) in nats of sequences under many latents each: the samples of an importance-weighted bound.

        The softmax of one step after the other, so that no more than [n * samples, vocabulary] is ever held. What the
        samples share, the words' part of the decoder's input, is multiplied once for all of them.

        Args:
            inputs: ``decoder`` and ``target`` int32 [n, time] as in training; ``code`` float32
                [n * samples, code_width], one sequence's after the other's.

        Returns:
            float32 [n * samples].
        """
        decoder, target, code = inputs["decoder"], inputs["target"], inputs["code"]
        count, rows = ops.shape(decoder)[0], ops.shape(code)[0]
        steps = ops.max(ops.sum(ops.cast(ops.not_equal(target, PAD), "int32"), axis=1))
        words = self.embedding(decoder)
        own = ops.cast(code, words.dtype)
        kernel = ops.cast(self.decoder.cell.kernel, words.dtype)
        of_words = ops.cast(ops.matmul(words, kernel[:words.shape[-1]]), "float32") + input_bias(self.decoder)
        of_code = ops.cast(ops.matmul(own, kernel[words.shape[-1]:]), "float32")
        of_code = ops.reshape(of_code, (count, rows // count, of_code.shape[-1]))

        def body(t: Any, nats: Any, *state: Any) -> tuple[Any, ...]:
            both = ops.take(of_words, t, axis=1)[:, None] + of_code
            output, after = self.decoder.advance(ops.reshape(both, (rows, both.shape[-1])), list(state))
            logits = self.logits(self._said(ops.cast(output, own.dtype), own, False))
            wanted = ops.repeat(ops.take(target, t, axis=1), rows // count)
            said = ops.take_along_axis(logits, wanted[:, None], axis=-1)[:, 0]
            real = ops.cast(ops.not_equal(wanted, PAD), "float32")
            return (t + 1, nats + real * (ops.logsumexp(logits, axis=-1) - said), *after)

        first = (ops.convert_to_tensor(0, dtype="int32"), ops.zeros_like(code[:, 0]),
                 *(ops.cast(state, "float32") for state in self.first_state(code)))
        return ops.while_loop(lambda t, *_: t < steps, body, first)[1]

    # -- training ----------------------------------------------------------------------------------------------

    def terms(self, inputs: dict[str, Any], training: bool) -> dict[str, Any]:
        """The loss terms.

        Returns:
            ``reconstruction`` and ``kl`` (nats per sequence), ``kl_free`` (the KL with free bits), ``kl_risen`` (that
            times the batch's ``rise``, where there is one), ``paths`` where ``smooth`` asks for it, and the
            penalties by name.
        """
        encoder, decoder = inputs["encoder"], inputs["decoder"]
        if "rows" in inputs:
            # The rows that this batch needs, taken from the table once, so that all gradients meet in them.
            table = ops.take(self.embedding.embeddings, inputs["rows"], axis=0)
            inputs = {**inputs, "table": table}
            read, written = (ops.take(table, ops.take(inputs["place"], ids), axis=0) for ids in (encoder, decoder))
        else:
            read, written = self.embedding(encoder), self.embedding(decoder)
        if self.drop_token.rate:
            kept = self.drop_token(ops.ones((self.embedding.input_dim, 1), read.dtype), training=training)
            read, written = read * ops.take(kept, encoder, axis=0), written * ops.take(kept, decoder, axis=0)
        label = self._label(inputs, encoder)
        q = self._encode(encoder, read, inputs, training)
        z = self.family.sample(q, keras.random.normal((ops.shape(encoder)[0], self.family.noise), seed=self.noise),
                               training=training)
        code = self.code(z * ops.cast(inputs["told"], z.dtype)[:, None] if "told" in inputs else z, label)
        nats = self._nats(q, z, label)
        floored = nats if self.free_bits_over == "dimension" else ops.sum(nats, axis=-1, keepdims=True)
        terms = {"reconstruction": self._reconstruction(self._outputs(written, code, training), inputs),
                 "kl": ops.sum(nats, axis=-1), "kl_free": gaussian.free_bits(floored, self.free_bits)}
        if "rise" in inputs:
            terms["kl_risen"] = ops.mean(inputs["rise"]) * terms["kl_free"]
        if self.smooth:
            terms["paths"] = self._paths(written, ops.stop_gradient(z), label, inputs["target"])
        for i, constraint in enumerate(self.constraints):
            terms[f"constraint_{constraint['name']}"] = constraint_distance(
                q["mean"], self.centres[i], inputs["applies"][:, i], kind=constraint["kind"],
                threshold=constraint["threshold"], margin=constraint.get("margin", 0.0))
        return terms

    def _paths(self, embedded: Any, z: Any, label: Any, target: Any) -> Any:
        """How unevenly the decoder goes from each latent of the batch to the next one; see ``path_slopes``."""
        real = ops.cast(ops.not_equal(target, PAD), "float32")
        part = keras.random.uniform((ops.shape(z)[0], 1), seed=self.noise)
        other = ops.roll(z, 1, axis=0)

        def said(z: Any) -> Any:
            return ops.cast(self.narrow(self._outputs(embedded, self.code(z, label), False)), "float32")

        return path_slopes(lambda at: said(z + at * (other - z)), part, real)

    def objective(self, terms: dict[str, Any]) -> Any:
        """``reconstruction + beta * (kl_risen or kl_free) + smooth * paths + the weighted penalties``."""
        loss = across.mean(terms["reconstruction"]) + self.beta * terms.get("kl_risen", terms["kl_free"])
        if self.smooth:
            loss = loss + self.smooth * terms["paths"]
        for i, constraint in enumerate(self.constraints):
            loss = loss + self.penalty_weights[i] * terms[f"constraint_{constraint['name']}"]
        return loss


POSTERIORS: dict[str, Any] = {
    "gaussian": lambda latent, mean_gamma, **_: Gaussian(latent, mean_gamma=mean_gamma),
    "full": lambda latent, mean_gamma, **_: FullGaussian(latent, mean_gamma=mean_gamma),
    "vmf": lambda latent, concentration, **_: VonMisesFisher(latent, concentration=concentration),
    "categorical": lambda latent, categories, relaxation, **_: Categorical(latent, categories=categories,
                                                                           relaxation=relaxation)}
