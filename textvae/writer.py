"""Write with a trained sequence VAE: encode, decode, vary, sample, interpolate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textvae.constraints import Region
from textvae.data import UNKNOWN, Tokens, TrainedNetwork
from textvae.decoding import Decoder, Sampling
from textvae.errors import InputError, TextvaeError
from textvae.seeds import child
from textvae.text import tokenizer as tokenizers
from textvae.text.lexicon import Lexicon, repeated

# Chosen by reading variations of the 18F blog: at 1 and 0.7, long sentences lost more of their subject.
STRENGTH, TEMPERATURE = 0.7, 0.6
CANDIDATES = 8  # drawn for each variation wanted
ROUNDS = 4  # at most, each WIDEN times further from the source than the one before
WIDEN = 1.3
NARROW = 0.8  # factor on the spread around a region's centre, for each round of samples
MIDDLE = 1000  # draws that the prior's mean is estimated from
BATCH = 256  # sequences per step: bounds the logits that are held at once


@dataclass(frozen=True)
class Variation:
    """A written text.

    Args:
        source: The text that it varies; empty for a sample.
        text: What was written.
        distance: L2 distance between the posterior means of text and source; 0 for a sample.
        log_prob: Nats per token under the model, without temperature; nearer to 0 is more fluent.
        constraints: Squared L2 distance to each constraint's centre, by name.
        seed: The seed that writes it again.
        run: The run that wrote it.
    """

    source: str
    text: str
    distance: float
    log_prob: float
    constraints: dict[str, float]
    seed: int
    run: str


class Writer:
    """A network and its tokenizer, ready to write.

    Args:
        tokenizer: The tokenizer as JSON values, from ``Tokens.tokenizer``.
        trained: The artefact of the stage ``sequence_vae``.
        run: What to call the run in results.
        lexicon: The corpus's words; variations with others are only kept where nothing better is found.

    Example::

        writer = textvae.open("models/blog")
        for variation in writer.vary("We moved the site to HTTPS.", n=5, seed=1):
            print(variation.text)
    """

    def __init__(self, tokenizer: dict[str, Any], trained: TrainedNetwork, run: str = "",
                 lexicon: Lexicon | None = None) -> None:
        from textvae.nn import Compiled
        from textvae.nn.weights import restore

        self.tokenizer = tokenizers.load(tokenizer)
        self.network = restore(trained.kind, trained.settings, trained.weights)
        self.constraints: tuple[dict[str, Any], ...] = tuple(trained.settings["constraints"])
        self.max_length: int = trained.settings["max_length"]
        self.latent: int = self.network.latent
        self.labels: tuple[str, ...] = tuple(self.network.labels)
        self.exact_kl: bool = self.network.prior is None
        self.run = run
        self.lexicon = lexicon
        self._label_table = trained.weights.get("sequence_vae/label_table", np.zeros((0, 0), np.float32))
        self._centres = trained.weights["sequence_vae/centres"]
        self._decoder = Decoder(self.network, self.max_length)
        self._parameters = Compiled(self.network, self.network.parameters)
        self._draw = Compiled(self.network, self.network.draw)
        self._nats = Compiled(self.network, self.network.nats)
        self._importance = Compiled(self.network, self.network.importance)
        self._prior = Compiled(self.network, self.network.prior_sample)
        self._score = Compiled(self.network, self.network.score)
        self._score_samples = Compiled(self.network, self.network.score_samples, jit=True)

    @classmethod
    def of(cls, tokens: Tokens, trained: TrainedNetwork, run: str = "") -> "Writer":
        """The writer of a run, with the words of its training split as the lexicon."""
        words = tokenizers.load(tokens.tokenizer)
        lexicon = Lexicon(words.decode(tokens.sequence(row)) for row in tokens.rows("train"))
        return cls(tokens.tokenizer, trained, run, lexicon)

    # -- texts and latents -----------------------------------------------------------------------------------------

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Posterior means and log-variances of texts, float32 [texts, latent] each.

        Raises:
            InputError: A text is empty, or longer than the model was trained on.
        """
        q = self.posterior(self.ids(texts))
        return q["mean"], q["log_var"]

    def decode(self, z: np.ndarray, *, seed: int, temperature: float = 0.0, sampler: str = "nucleus",
               label: str | None = None) -> list[str]:
        """Write a text for each latent, float32 [n, latent]; temperature 0 is greedy."""
        return self.texts(self.decode_ids(z, seed=seed, temperature=temperature, sampler=sampler,
                                          label=self.label_places(label, len(z))))

    def unknown(self, text: str) -> int:
        """How many of a text's tokens the vocabulary lacks; they are read as the unknown token."""
        return self.tokenizer.encode(text).count(UNKNOWN)

    def ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids of texts, int32 [tokens] each; raises as ``encode`` does."""
        sequences = [np.array(ids, np.int32) for ids in self.tokenizer.encode_many([text.strip() for text in texts])]
        for text, sequence in zip(texts, sequences, strict=True):
            if not len(sequence):
                raise InputError(f"nothing to read in the text {text!r}", "give it at least one word")
            if len(sequence) > self.max_length:
                raise InputError(f"the text that begins {text[:40]!r} has {len(sequence)} tokens, and this model was "
                                 f"trained on at most {self.max_length}",
                                 "give it sentence by sentence, or train with a larger tokens.max_length")
        return sequences

    def texts(self, sequences: Sequence[Sequence[int] | np.ndarray]) -> list[str]:
        """The texts of token ids."""
        return [self.tokenizer.decode([int(token) for token in ids]).strip() for ids in sequences]

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

    def draw(self, q: dict[str, np.ndarray], rng: np.random.Generator, strength: float | np.ndarray = 1.0
             ) -> np.ndarray:
        """Draw a latent from each posterior, float32 [n, latent]; ``strength`` scales its distance from the mean."""
        count = len(q["mean"])
        noise = rng.standard_normal((count, self.network.family.noise), np.float32)
        strengths = np.broadcast_to(np.asarray(strength, np.float32).reshape(-1, 1), (count, 1))
        return np.asarray(self._draw.run(**q, noise=noise, strength=np.array(strengths)))

    def nats(self, q: dict[str, np.ndarray], z: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        """KL(q(z|x) || p(z)), float64 [n, latent], or [n, 1] where the dimensions share it; ``z`` drawn from ``q``."""
        return np.asarray(self._nats.run(**q, z=z, label=self._labels(label, len(z))), np.float64)

    def log_weights(self, sequence: np.ndarray, q: dict[str, np.ndarray], samples: int, rng: np.random.Generator,
                    label: np.ndarray | None = None) -> np.ndarray:
        """log p(x|z) + log p(z) - log q(z|x) of one sequence under draws from q(z|x), in nats: float64 [samples].

        Args:
            sequence: Token ids, int32 [tokens].
            q: From ``posterior``, [1, ...].
            samples: XLA compiles once for each number of them.
            label: int32 [1].
        """
        noise = rng.standard_normal((samples, self.network.family.noise), np.float32)
        code, ratio = self._importance.run(**q, noise=noise, label=self._labels(label, 1))
        return np.asarray(ratio, np.float64) - self.score_samples(sequence, np.asarray(code))

    def prior(self, count: int, rng: np.random.Generator, label: np.ndarray | None = None) -> np.ndarray:
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

    def score_samples(self, sequence: np.ndarray, code: np.ndarray) -> np.ndarray:
        """-log p(x|z) in nats of one sequence under many codes, float64 [samples]."""
        from textvae.nn import batching

        arrays = batching.teacher_forced([sequence], max(self.max_length, len(sequence)))
        nats = self._score_samples.run(decoder=arrays["decoder"][0], target=arrays["target"][0], code=code)
        return np.asarray(nats, np.float64)

    def decode_ids(self, z: np.ndarray, *, seed: int, temperature: float = 0.0, sampler: str = "nucleus",
                   label: np.ndarray | None = None) -> list[np.ndarray]:
        """As ``decode``, to token ids, int32 [tokens] each; ``label`` int32 [n], from ``label_places``."""
        rng = np.random.default_rng(child(seed, "decode"))
        return self._write(self.code(z, label), Sampling(sampler, temperature), rng)[0]

    def region(self, name: str | None) -> Region | None:
        """The region of a constraint; None for None.

        Raises:
            TextvaeError: The model has no constraint of this name.
        """
        if name is None:
            return None
        for centre, constraint in zip(self._centres, self.constraints, strict=True):
            if constraint["name"] == name:
                return Region(centre, constraint["kind"], constraint["threshold"])
        known = ", ".join(constraint["name"] for constraint in self.constraints)
        raise TextvaeError(f"this model has no constraint {name!r}",
                           f"it has: {known}" if known else "name one in [[sequence_vae.constraints]] and train again")

    # -- writing ---------------------------------------------------------------------------------------------------

    def vary(self, text: str, n: int = 5, *, seed: int, strength: float = STRENGTH, temperature: float = TEMPERATURE,
             sampler: str = "nucleus", constraint: str | None = None, label: str | None = None) -> list[Variation]:
        """Write variations of a text; see ``vary_many``."""
        return self.vary_many([text], n, seed=seed, strength=strength, temperature=temperature, sampler=sampler,
                              constraint=constraint, label=label)[0]

    def vary_many(self, texts: Sequence[str], n: int = 5, *, seed: int, strength: float = STRENGTH,
                  temperature: float = TEMPERATURE, sampler: str = "nucleus", constraint: str | None = None,
                  label: str | None = None) -> list[list[Variation]]:
        """Write variations of each text.

        Latents are drawn around each text's posterior mean and decoded, eight for each that is wanted. What equals
        the source or another candidate, or has no end, is left out. Of the rest those are kept that lie in the
        constraint's region when encoded again, then those that repeat no words and invent none, and then those that
        are both fluent (``log_prob``) and near to the source (``distance``), each measured against the other candidates. Where too few
        are left, latents are drawn from further away, and deeper inside the region.

        Args:
            texts: The sources.
            n: Variations of each; fewer come back where the model can't find as many.
            seed: The same seed writes the same.
            strength: How far to draw, in posterior standard deviations.
            temperature: Of the sampler; 0 is greedy.
            sampler: greedy, temperature, top_k, nucleus or beam.
            constraint: Name of the constraint whose region the latents must lie in.
            label: What the decoder is told to write, of the labels that the network was trained with.

        Returns:
            One list per text, the best first.
        """
        if n < 1:
            raise TextvaeError(f"cannot write {n} variations", "give -n a number from 1")
        options = Sampling(sampler, temperature)
        region = self.region(constraint)
        self.label_places(label, 0)
        q = self.posterior(self.ids(texts))
        found: list[dict[str, _Candidate]] = [{} for _ in texts]
        for attempt in range(ROUNDS):
            short = [i for i in range(len(texts)) if sum(one.good for one in found[i].values()) < 2 * n]
            if not short:
                break
            rng = np.random.default_rng(child(seed, f"vary-{attempt}"))
            owners = np.repeat(short, CANDIDATES * n)
            z = self.draw({name: values[owners] for name, values in q.items()}, rng, strength * WIDEN**attempt)
            z = z if region is None else region.deeper(attempt).move_inside(z)
            code = self.code(z, self.label_places(label, len(z)))
            sequences, log_probs = self._write(code, options, rng)
            vectors = self.posterior(sequences)["mean"]
            written = zip(owners, sequences, self.texts(sequences), log_probs, vectors, strict=True)
            for owner, ids, text, log_prob, latent in written:
                if text and len(ids) < self.max_length and _folded(text) != _folded(texts[owner]):
                    outside = region is not None and not bool(region.holds(latent))
                    found[owner].setdefault(_folded(text), _Candidate(text, float(log_prob), latent, outside,
                                                                      self._flaws(text)))
        return [self._best(source, centre, list(own.values()), n, seed)
                for source, centre, own in zip(texts, q["mean"], found, strict=True)]

    def _best(self, source: str, centre: np.ndarray, found: list["_Candidate"], n: int, seed: int) -> list[Variation]:
        distances = np.array([np.linalg.norm(one.latent - centre) for one in found])
        appeal = _standardised(np.array([one.log_prob for one in found])) - _standardised(distances)
        order = sorted(range(len(found)), key=lambda i: (found[i].outside, found[i].flaws, -appeal[i]))[:n]
        return [self._variation(source, found[i].text, float(distances[i]), found[i].log_prob, found[i].latent, seed)
                for i in order]

    def sample(self, n: int = 5, *, seed: int, temperature: float = TEMPERATURE, sampler: str = "nucleus",
               constraint: str | None = None, label: str | None = None) -> list[Variation]:
        """Write texts from latents drawn from the prior; arguments as ``vary_many``'s.

        With a near constraint they are drawn as widely around its centre as the prior draws around its own; with a
        far one, moved beyond its border. Texts that do not read back as lying in the region are drawn again, nearer
        to the centre or further out, three times at most; those that never did stand last.
        """
        region, options = self.region(constraint), Sampling(sampler, temperature)
        rng = np.random.default_rng(child(seed, "sample"))
        inside: list[Variation] = []
        outside: list[Variation] = []
        for attempt in range(ROUNDS):
            if len(inside) == n:
                break
            places = self.label_places(label, n - len(inside))
            z = self.prior(len(places), rng, places)
            if region is not None and region.kind == "near":
                middle = self.prior(MIDDLE, rng, self.label_places(label, MIDDLE)).mean(axis=0)
                z = region.centre + (z - middle) * NARROW**attempt
            elif region is not None:
                z = region.deeper(attempt).move_inside(z)
            sequences, log_probs = self._write(self.code(z, places), options, rng)
            latents = self.posterior(sequences)["mean"]
            for text, log_prob, latent in zip(self.texts(sequences), log_probs, latents, strict=True):
                right = region is None or bool(region.holds(latent))
                (inside if right else outside).append(self._variation("", text, 0.0, float(log_prob), latent, seed))
        return [*inside, *outside][:n]

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

    # -- inside ----------------------------------------------------------------------------------------------------

    def _labels(self, label: np.ndarray | None, count: int) -> np.ndarray:
        return np.zeros(count, np.int32) if label is None else label

    def _write(self, code: np.ndarray, options: Sampling, rng: np.random.Generator
               ) -> tuple[list[np.ndarray], np.ndarray]:
        parts = [self._decoder.decode(code[i:i + BATCH], options, rng=rng) for i in range(0, len(code), BATCH)]
        return [ids for part in parts for ids in part[0]], np.concatenate([part[1] for part in parts])

    def _variation(self, source: str, text: str, distance: float, log_prob: float, latent: np.ndarray, seed: int
                   ) -> Variation:
        squared = ((latent - self._centres) ** 2).sum(axis=-1)
        constraints = {own["name"]: float(value) for own, value in zip(self.constraints, squared, strict=True)}
        return Variation(source, text, distance, log_prob, constraints, seed, self.run)

    def _flaws(self, text: str) -> int:
        return repeated(text) + (len(self.lexicon.invented(text)) if self.lexicon else 0)


@dataclass(frozen=True)
class _Candidate:
    text: str
    log_prob: float
    latent: np.ndarray
    outside: bool
    flaws: int

    @property
    def good(self) -> bool:
        return not (self.outside or self.flaws)


def _standardised(values: np.ndarray) -> np.ndarray:
    return np.asarray((values - values.mean()) / (values.std() + 1e-6)) if len(values) else values


def _folded(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())
