"""A trained sequence VAE with its tokenizer: texts, token ids and latents, each from the other."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from textvae.constraints import Region
from textvae.data import UNKNOWN, TrainedNetwork
from textvae.decoding import FREE, Decoder, Random, Sampling, Steering
from textvae.errors import InputError, TextvaeError
from textvae.seeds import child
from textvae.text import tokenizer as tokenizers
from textvae.text.pairs import Pairs
from textvae.writing.conditions import several

# Share of what reads well without z in each choice, where the network can tell: of texts that are to say what their z
# says, and of others where its training did not find out how much they need.
FLUENCY, UNBOUND = 0.45, 0.75
RARE = 1e-3  # what the rarity of tokens is raised by, so that a text of the most common alone has a mean
BATCH = 256  # sequences per step: bounds the logits that are held at once


class Model:
    """A network that reads texts into latents and writes latents into texts.

    Args:
        tokenizer: The tokenizer as JSON values, from ``Tokens.tokenizer``.
        trained: The artefact of the stage ``sequence_vae``.
        pairs: Which tokens stand beside each other in the corpus; without it gaps are filled from their left alone.
    """

    def __init__(self, tokenizer: dict[str, Any], trained: TrainedNetwork, pairs: Pairs | None = None) -> None:
        from textvae.nn import Compiled
        from textvae.nn.weights import restore

        self.tokenizer = tokenizers.load(tokenizer)
        self.pairs = pairs
        self.network = restore(trained.kind, trained.settings, trained.weights)
        self.constraints: tuple[dict[str, Any], ...] = tuple(trained.settings["constraints"])
        self.max_length: int = trained.settings["max_length"]
        self.latent: int = self.network.latent
        # Whether tokens are pieces that begin with their space, so that one without goes on with the word before.
        self.spaced: bool = any(piece.startswith(" ") for piece in self.tokenizer.pieces)
        self.labels: tuple[str, ...] = tuple(self.network.labels)
        self.exact_kl: bool = self.network.prior is None
        self.fluent: bool = trained.settings.get("latent_dropout", 0.0) > 0  # whether it can write without z
        self.unbound: float = trained.metrics.get("fluency", UNBOUND)
        self._label_table = trained.weights.get("sequence_vae/label_table", np.zeros((0, 0), np.float32))
        self._centres = trained.weights["sequence_vae/centres"]
        self._vectors = trained.weights["sequence_vae/embedding/embeddings"]
        self._decoder = Decoder(self.network, self.max_length)
        self._parameters = Compiled(self.network, self.network.family_parameters)
        self._draw = Compiled(self.network, self.network.draw)
        self._nats = Compiled(self.network, self.network.nats)
        self._importance = Compiled(self.network, self.network.importance)
        self._prior = Compiled(self.network, self.network.prior_sample)
        self._score = Compiled(self.network, self.network.score)
        self._token_nats = Compiled(self.network, self.network.token_nats)
        self._score_samples = Compiled(self.network, self.network.score_samples, jit=True)

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Posterior means and log-variances of texts, float32 [texts, latent] each.

        Raises:
            InputError: A text is empty, or longer than the model was trained on.
            TextvaeError: It is one text and no list of them.
        """
        q = self.posterior(self.ids(texts))
        return q["mean"], q["log_var"]

    def decode(self, z: np.ndarray, *, seed: int, temperature: float = 0.0, sampler: str = "nucleus",
               label: str | None = None) -> list[str]:
        """Write a text for each latent, float [n, latent]; temperature 0 is greedy.

        Raises:
            InputError: The latents are not of this shape, or not all finite.
        """
        z = np.asarray(z, np.float32)
        if z.shape[1:] != (self.latent,) or not np.isfinite(z).all():
            raise InputError("these are no latents of this model", f"give rows of {self.latent} finite numbers")
        return self.texts(self.decode_ids(z, seed=seed, temperature=temperature, sampler=sampler,
                                          label=self.label_places(label, len(z))))

    def unknown(self, text: str) -> int:
        """How many of a text's tokens the vocabulary lacks; they are read as the unknown token."""
        return self.tokenizer.encode(text).count(UNKNOWN)

    def too_long(self, ids: Sequence[int]) -> str:
        """Why a text of these tokens cannot be read; empty where it can."""
        return (f"it has {len(ids)} tokens, and the model was trained on at most {self.max_length}"
                if len(ids) > self.max_length else "")

    def ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids of texts, int32 [tokens] each; raises as ``encode`` does."""
        several("texts", texts)
        sequences = [np.array(ids, np.int32) for ids in self.tokenizer.encode_many([text.strip() for text in texts])]
        for text, sequence in zip(texts, sequences, strict=True):
            if not len(sequence):
                raise InputError(f"nothing to read in the text {text!r}", "give it at least one word")
            if len(sequence) > self.max_length:
                raise InputError(f"the text that begins {text[:40]!r} has {len(sequence)} tokens, and this model was "
                                 f"trained on at most {self.max_length}",
                                 "give it sentence by sentence, or train with a larger tokens.max_length")
        return sequences

    def features(self, texts: Sequence[str]) -> np.ndarray:
        """What the network makes of texts, for a classifier of them: posterior means, and beside them the means of
        their tokens' vectors, where rare tokens count more.

        Args:
            texts: None of them empty; of those that are longer than the model was trained on, their beginnings count.

        Returns:
            float32 [texts, latent + embedding].
        """
        several("texts", texts)
        if not texts:
            return np.zeros((0, self.latent + self._vectors.shape[1]), np.float32)
        sequences = [np.array(ids[:self.max_length], np.int32)
                     for ids in self.tokenizer.encode_many([text.strip() for text in texts])]
        rarity = np.ones(len(self._vectors)) if self.pairs is None else self.pairs.rarity + RARE
        means = np.stack([np.average(self._vectors[ids], axis=0, weights=rarity[ids]) for ids in sequences])
        return np.concatenate([self.posterior(sequences)["mean"], means], axis=1, dtype=np.float32)

    def texts(self, sequences: Sequence[Sequence[int] | np.ndarray], names: Sequence[Sequence[str]] | None = None,
              like: Sequence[str] | None = None) -> list[str]:
        """The texts of token ids, with names of each and a text that it is spaced like, see ``Tokenizer.decode``."""
        count = len(sequences)
        return [self.tokenizer.decode([int(token) for token in ids], own, text).strip()
                for ids, own, text in zip(sequences, names or [()] * count, like or [""] * count, strict=True)]

    def label_places(self, label: str | None, count: int) -> np.ndarray:
        """A label as the network takes it, int32 [count]; None stands for no label.

        Raises:
            TextvaeError: The network has not been told of this label.
        """
        if label is not None and label not in self.labels:
            raise TextvaeError(f"this model has no label {label!r}", f"it has: {', '.join(self.labels)}" if self.labels
                               else "name it in sequence_vae.labels and train again")
        return np.full(count, 0 if label is None else 1 + self.labels.index(label), np.int32)

    def posterior(self, sequences: Sequence[np.ndarray], label: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """All that the network says of q(z|x), see ``textvae.nn.posteriors``.

        Args:
            sequences: Token ids, int32 [tokens] each.
            label: int32 [sequences], from ``label_places``; None stands for no labels.

        Returns:
            ``mean`` and ``log_var`` float32 [sequences, latent], and what else the family has.
        """
        from textvae.nn import batching

        if not sequences:
            return {name: np.zeros((0, self.latent), np.float32) for name in ("mean", "log_var")}
        return batching.encode(self._parameters, sequences, BATCH, label)

    def draw(self, q: dict[str, np.ndarray], rng: Random, strength: float | np.ndarray = 1.0) -> np.ndarray:
        """Draw a latent from each posterior, float32 [n, latent]; ``strength`` scales its distance from the mean."""
        count = len(q["mean"])
        noise = rng.standard_normal((count, self.network.family.noise), np.float32)
        strengths = np.broadcast_to(np.asarray(strength, np.float32).reshape(-1, 1), (count, 1))
        return np.asarray(self._draw.run(**q, noise=noise, strength=np.array(strengths)))

    def mixed(self, z: np.ndarray, other: np.ndarray, share: float | np.ndarray, rng: Random) -> np.ndarray:
        """Latents between pairs of them, float32 [n, latent]: ``z`` at share 0, ``other`` at 1, as widely spread.

        Gaussian ones are added so that their variance stays (a spherical mixture); on a sphere they stay on it; of
        discrete ones a share is taken from the other, which ones is drawn.
        """
        return self._between(z, other, np.sqrt(1 - np.square(share)), share, rng)

    def toward(self, z: np.ndarray, other: np.ndarray, share: float | np.ndarray, rng: Random) -> np.ndarray:
        """Latents that have gone a share of the straight way to others, float32 [n, latent]; else as ``mixed``."""
        return self._between(z, other, 1 - np.asarray(share), share, rng)

    def _between(self, z: np.ndarray, other: np.ndarray, kept: Any, share: Any, rng: Random) -> np.ndarray:
        kept, share = (np.asarray(part, np.float32).reshape(-1, 1) for part in (kept, share))
        settings = self.network.settings
        if settings["posterior"] == "categorical":
            own = rng.random((len(z), settings["latent"], 1)) >= share[:, :, None]
            shape = (len(z), settings["latent"], -1)
            return np.where(own, z.reshape(shape), other.reshape(shape)).reshape(z.shape)
        between = kept * z + share * other
        if settings["posterior"] == "vmf":
            between *= np.linalg.norm(other, axis=1, keepdims=True) / np.maximum(
                np.linalg.norm(between, axis=1, keepdims=True), 1e-6)
        return np.asarray(between, np.float32)

    def nats(self, q: dict[str, np.ndarray], z: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        """KL(q(z|x) || p(z)), float64 [n, latent], or [n, 1] where the dimensions share it; ``z`` drawn from ``q``."""
        return np.asarray(self._nats.run(**q, z=z, label=self._labels(label, len(z))), np.float64)

    def log_weights(self, sequences: Sequence[np.ndarray], q: dict[str, np.ndarray], samples: int,
                    rng: np.random.Generator, label: np.ndarray | None = None) -> np.ndarray:
        """log p(x|z) + log p(z) - log q(z|x) of sequences under draws from their q(z|x), in nats: float64 [n, samples].

        Args:
            sequences: Token ids, int32 [tokens] each.
            q: From ``posterior``, [n, ...].
            samples: Draws for each; XLA compiles once for each number of them and of sequences.
            label: int32 [n].
        """
        count = len(sequences)
        noise = rng.standard_normal((count * samples, self.network.family.noise), np.float32)
        code, ratio = self._importance.run(**q, noise=noise, label=self._labels(label, count))
        weights = np.asarray(ratio, np.float64) - self.score_samples(sequences, np.asarray(code))
        return weights.reshape(count, samples)

    def prior(self, count: int, rng: Random, label: np.ndarray | None = None) -> np.ndarray:
        """Draw latents from the prior, float32 [count, latent]."""
        noise = rng.standard_normal((count, self.network.prior_noise), np.float32)
        return np.asarray(self._prior.run(noise=noise, label=self._labels(label, count)))

    def code(self, z: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        """What the decoder is told, float32 [n, code]: latents, and behind them their labels' numbers."""
        if not self.labels:
            return z
        return np.concatenate([z, self._label_table[self._labels(label, len(z))]], axis=1)

    def score(self, sequences: Sequence[np.ndarray], z: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        """-log p(x|z) in nats, summed over a sequence's tokens and its end, float64 [n].

        Args:
            sequences: Token ids, int32 [tokens] each.
            z: float32 [n, latent].
            label: int32 [n], from ``label_places``.
        """
        from textvae.nn import batching

        nats, code = np.zeros(len(sequences)), self.code(z, label)
        for rows, width in batching.plan(np.array([len(ids) for ids in sequences], np.int64), BATCH):
            arrays = batching.teacher_forced([sequences[i] for i in rows], width)
            nats[rows] = self._score.run(decoder=arrays["decoder"], target=arrays["target"], code=code[rows])
        return nats

    def token_nats(self, sequences: Sequence[np.ndarray], z: np.ndarray, label: np.ndarray | None = None
                   ) -> list[np.ndarray]:
        """-log p(x|z) in nats of every token and of the end, float32 [tokens + 1] each; arguments as ``score``'s."""
        from textvae.nn import batching

        code = self.code(z, label)
        found: list[Any] = [None] * len(sequences)
        for rows, width in batching.plan(np.array([len(ids) for ids in sequences], np.int64), BATCH // 4):
            arrays = batching.teacher_forced([sequences[i] for i in rows], width)
            nats = self._token_nats.run(decoder=arrays["decoder"], target=arrays["target"], code=code[rows])
            for row, own in zip(rows, np.asarray(nats), strict=True):
                found[row] = own[:len(sequences[row]) + 1]
        return found

    def plain_nats(self, sequences: Sequence[np.ndarray], label: np.ndarray | None = None) -> list[np.ndarray]:
        """-log p(x) in nats of every token and of the end where the decoder is told no z, float32 [tokens + 1] each.

        Of a network that was trained to write so (``fluent``); arguments as ``score``'s.
        """
        return self.token_nats(sequences, np.zeros((len(sequences), self.latent), np.float32), label)

    def score_samples(self, sequences: Sequence[np.ndarray], code: np.ndarray) -> np.ndarray:
        """-log p(x|z) in nats of sequences under as many codes each, one's after the other's, float64 [len(code)]."""
        from textvae.nn import batching

        arrays = batching.teacher_forced(list(sequences), max(self.max_length, *map(len, sequences)))
        nats = self._score_samples.run(decoder=arrays["decoder"], target=arrays["target"], code=code)
        return np.asarray(nats, np.float64)

    def sampling(self, sampler: str, temperature: float, fluency: float | None = None, default: float = FLUENCY
                 ) -> Sampling:
        """How tokens of new texts are chosen.

        Args:
            fluency: See ``Sampling``.
            default: What None takes where the network was trained for it, elsewhere 0: ``FLUENCY`` of texts that are to
                say what their z says, and of others what they need, ``unbound``.

        Raises:
            TextvaeError: The network was not, and is asked for some.
        """
        if fluency and not self.fluent:
            raise TextvaeError("this model cannot write without z, so that it has no fluency of its own",
                               "train it with sequence_vae.latent_dropout = 0.1, or leave fluency out")
        if fluency is None:
            fluency = default if self.fluent else 0.0
        return Sampling(sampler, temperature, fluency=fluency)

    def decode_ids(self, z: np.ndarray, *, seed: int, temperature: float = 0.0, sampler: str = "nucleus",
                   fluency: float | None = 0.0, label: np.ndarray | None = None, unknown: bool = False
                   ) -> list[np.ndarray]:
        """As ``decode``, to token ids, int32 [tokens] each; ``fluency`` as ``sampling``'s; ``label`` int32 [n], from
        ``label_places``; ``unknown`` as ``Steering``'s."""
        rng, steering = np.random.default_rng(child(seed, "decode")), Steering(unknown=unknown)
        return self.write(self.code(z, label), self.sampling(sampler, temperature, fluency), rng, steering)[0]

    def interpolate(self, a: str, b: str, steps: int = 5, *, spherical: bool | None = None, temperature: float = 0.0,
                    seed: int) -> list[str]:
        """Write texts on the way from one text's posterior mean to another's, both ends decoded as well.

        Args:
            steps: How many texts, from 2.
            spherical: Along the great circle, the lengths interpolated (Shoemake 1985), instead of the straight line;
                None takes it where the posterior is von Mises-Fisher, whose latents lie on a sphere.
            temperature: 0 is greedy.
        """
        if steps < 2:
            raise TextvaeError(f"cannot interpolate in {steps} steps", "give --steps a number from 2")
        (first, last), _ = self.encode([a, b])
        part = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
        z = (1 - part) * first + part * last
        if spherical or (spherical is None and self.network.settings["posterior"] == "vmf"):
            lengths = np.linalg.norm(first), np.linalg.norm(last)
            one, two = first / lengths[0], last / lengths[1]
            angle = np.arccos(np.clip(one @ two, -1, 1))
            if angle > 1e-4:
                arc = (np.sin((1 - part) * angle) * one + np.sin(part * angle) * two) / np.sin(angle)
                z = arc * ((1 - part) * lengths[0] + part * lengths[1])
        return self.decode(z, seed=seed, temperature=temperature)

    def blend(self, texts: Sequence[str], weights: Sequence[float] = (), *, temperature: float = 0.0, seed: int) -> str:
        """Write the text in the middle of several, at the weighted mean of their posterior means.

        Args:
            texts: Two or more.
            weights: One for each, of which at least one is above 0 and none below; all the same where empty.
            temperature: 0 is greedy.
        """
        several("texts", texts)
        weights = list(weights) or [1.0] * len(texts)
        able = all(0 <= weight < np.inf for weight in weights) and sum(weights) > 0
        if len(texts) < 2 or len(weights) != len(texts) or not able:
            raise TextvaeError(f"cannot blend {len(texts)} texts with the weights {', '.join(map(str, weights))}",
                               "give two texts or more, and a weight from 0 for each or none")
        means, _ = self.encode(texts)
        share = np.array(weights, np.float32) / sum(weights)
        return self.decode(self._lifted(share @ means, share @ np.linalg.norm(means, axis=1)), seed=seed,
                           temperature=temperature)[0]

    def analogy(self, a: str, b: str, c: str, *, temperature: float = 0.0, seed: int) -> str:
        """Write what is to ``c`` as ``b`` is to ``a``, at the mean of c + b - a (Mikolov et al. 2013, section 2)."""
        means, _ = self.encode([a, b, c])
        z = means[2] + means[1] - means[0]
        return self.decode(self._lifted(z, float(np.linalg.norm(means[2]))), seed=seed, temperature=temperature)[0]

    def _lifted(self, z: np.ndarray, length: Any) -> np.ndarray:
        """A latent as ``decode`` takes it, float32 [1, latent]: of this length where latents lie on a sphere."""
        if self.network.settings["posterior"] == "vmf":
            z = z * (length / max(float(np.linalg.norm(z)), 1e-6))
        return np.asarray(z, np.float32)[None]

    def region(self, name: str) -> Region:
        """The region of a trained constraint.

        Raises:
            TextvaeError: The model has no constraint of this name.
        """
        for centre, constraint in zip(self._centres, self.constraints, strict=True):
            if constraint["name"] == name:
                return Region(centre, constraint["kind"], constraint["threshold"])
        known = ", ".join(constraint["name"] for constraint in self.constraints)
        raise TextvaeError(f"this model has no constraint {name!r}",
                           f"it has: {known}" if known else "name one in [[sequence_vae.constraints]] and train again")

    def _labels(self, label: np.ndarray | None, count: int) -> np.ndarray:
        return np.zeros(count, np.int32) if label is None else label

    def write(self, code: np.ndarray, options: Sampling, rng: Random, steering: Steering = FREE,
              template: np.ndarray | None = None) -> tuple[list[np.ndarray], np.ndarray]:
        """Token ids and nats per token of many codes; arguments and results as ``Decoder.decode``'s."""
        ids: list[np.ndarray] = []
        nats = [np.zeros(0, np.float32)]
        for i in range(0, len(code), BATCH):
            own = None if template is None or options.sampler == "beam" else template[i:i + BATCH]  # it takes none
            part = self._decoder.decode(code[i:i + BATCH], options, rng=rng, steering=steering, template=own,
                                        ahead=None if own is None or self.pairs is None else self.pairs.ahead(own))
            ids += part[0]
            nats.append(part[1])
        return ids, np.concatenate(nats)
