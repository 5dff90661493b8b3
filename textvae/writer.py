"""Write with a trained sequence VAE: encode, decode, vary, sample, interpolate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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
DEEPEN = {"near": 0.7, "far": 1.4}  # factor on a region's threshold from round to round
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


@dataclass(frozen=True)
class Region:
    """The side of a constraint's border that it asks for.

    Args:
        centre: float32 [latent].
        kind: ``"near"``, within the border, or ``"far"``, beyond it.
        threshold: Squared L2 distance of the border from the centre.
    """

    centre: np.ndarray
    kind: str
    threshold: float

    def holds(self, latent: np.ndarray) -> bool:
        """Whether a latent, float32 [latent], lies on the right side."""
        squared = float(((latent - self.centre) ** 2).sum())
        return squared <= self.threshold if self.kind == "near" else squared >= self.threshold


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
        self.latent: int = trained.settings["latent"]
        self.run = run
        self.lexicon = lexicon
        self._centres = trained.weights["sequence_vae/centres"]
        self._decoder = Decoder(self.network, self.max_length)
        self._posterior = Compiled(self.network, self.network.posterior)
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
        return self.encode_ids(self.ids(texts))

    def decode(self, z: np.ndarray, *, seed: int, temperature: float = 0.0, sampler: str = "nucleus") -> list[str]:
        """Write a text for each latent, float32 [n, latent]; temperature 0 is greedy."""
        return self.texts(self.decode_ids(z, seed=seed, temperature=temperature, sampler=sampler))

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

    def encode_ids(self, sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """As ``encode``, from token ids, int32 [tokens] each."""
        from textvae.nn import batching

        return batching.encode(self._posterior, sequences, self.latent, BATCH)

    def score(self, sequences: Sequence[np.ndarray], z: np.ndarray) -> np.ndarray:
        """-log p(x|z) in nats, summed over a sequence's tokens and its end, float64 [n].

        Args:
            sequences: Token ids, int32 [tokens] each.
            z: float32 [n, latent].
        """
        from textvae.nn import batching

        nats = np.zeros(len(sequences))
        for rows, width in batching.plan(np.array([len(ids) for ids in sequences], np.int64), BATCH):
            arrays = batching.teacher_forced([sequences[i] for i in rows], width)
            nats[rows] = self._score.run(decoder=arrays["decoder"], target=arrays["target"], z=z[rows])
        return nats

    def score_samples(self, sequence: np.ndarray, z: np.ndarray) -> np.ndarray:
        """-log p(x|z) in nats of one sequence under many latents, float64 [samples].

        Args:
            sequence: Token ids, int32 [tokens].
            z: float32 [samples, latent]; XLA compiles once for each number of samples.
        """
        from textvae.nn import batching

        arrays = batching.teacher_forced([sequence], max(self.max_length, len(sequence)))
        nats = self._score_samples.run(decoder=arrays["decoder"][0], target=arrays["target"][0], z=z)
        return np.asarray(nats, np.float64)

    def decode_ids(self, z: np.ndarray, *, seed: int, temperature: float = 0.0, sampler: str = "nucleus"
                   ) -> list[np.ndarray]:
        """As ``decode``, to token ids, int32 [tokens] each."""
        return self._write(z, Sampling(sampler, temperature), np.random.default_rng(child(seed, "decode")))[0]

    # -- writing ---------------------------------------------------------------------------------------------------

    def vary(self, text: str, n: int = 5, *, seed: int, strength: float = STRENGTH, temperature: float = TEMPERATURE,
             sampler: str = "nucleus", constraint: str | None = None) -> list[Variation]:
        """Write variations of a text; see ``vary_many``."""
        return self.vary_many([text], n, seed=seed, strength=strength, temperature=temperature, sampler=sampler,
                              constraint=constraint)[0]

    def vary_many(self, texts: Sequence[str], n: int = 5, *, seed: int, strength: float = STRENGTH,
                  temperature: float = TEMPERATURE, sampler: str = "nucleus", constraint: str | None = None
                  ) -> list[list[Variation]]:
        """Write variations of each text.

        Latents are drawn around each text's posterior mean and decoded, eight for each that is wanted. What equals
        the source or another candidate, or has no end, is left out. Of the rest those are kept that repeat no words,
        invent none and lie in the constraint's region when encoded again, and then those that are both fluent
        (``log_prob``) and near to the source (``distance``), each measured against the other candidates. Where too few
        are left, latents are drawn from further away, and deeper inside the region.

        Args:
            texts: The sources.
            n: Variations of each; fewer come back where the model can't find as many.
            seed: The same seed writes the same.
            strength: How far to draw, in posterior standard deviations.
            temperature: Of the sampler; 0 is greedy.
            sampler: greedy, temperature, top_k, nucleus or beam.
            constraint: Name of the constraint whose region the latents must lie in.

        Returns:
            One list per text, the best first.
        """
        if n < 1:
            raise TextvaeError(f"cannot write {n} variations", "give -n a number from 1")
        options = Sampling(sampler, temperature)
        region = self._region(constraint)
        mean, log_var = self.encode(texts)
        found: list[dict[str, _Candidate]] = [{} for _ in texts]
        for attempt in range(ROUNDS):
            short = [i for i in range(len(texts)) if sum(not one.flaws for one in found[i].values()) < 2 * n]
            if not short:
                break
            rng = np.random.default_rng(child(seed, f"vary-{attempt}"))
            owners = np.repeat(short, CANDIDATES * n)
            noise = rng.standard_normal((len(owners), self.latent), np.float32)
            z = mean[owners] + strength * WIDEN**attempt * np.exp(0.5 * log_var[owners]) * noise
            # A text need not read back as lying where it was decoded from, so later rounds go deeper.
            deeper = region and Region(region.centre, region.kind, region.threshold * DEEPEN[region.kind]**attempt)
            sequences, log_probs = self._write(self._inside(z, deeper), options, rng)
            vectors, _ = self.encode_ids(sequences)
            written = zip(owners, sequences, self.texts(sequences), log_probs, vectors, strict=True)
            for owner, ids, text, log_prob, latent in written:
                if text and len(ids) < self.max_length and _folded(text) != _folded(texts[owner]):
                    flaws = self._flaws(text) + (region is not None and not region.holds(latent))
                    found[owner].setdefault(_folded(text), _Candidate(text, float(log_prob), latent, flaws))
        return [self._best(source, centre, list(own.values()), n, seed)
                for source, centre, own in zip(texts, mean, found, strict=True)]

    def _best(self, source: str, centre: np.ndarray, found: list["_Candidate"], n: int, seed: int) -> list[Variation]:
        distances = np.array([np.linalg.norm(one.latent - centre) for one in found])
        appeal = _standardised(np.array([one.log_prob for one in found])) - _standardised(distances)
        order = sorted(range(len(found)), key=lambda i: (found[i].flaws, -appeal[i]))[:n]
        return [self._variation(source, found[i].text, float(distances[i]), found[i].log_prob, found[i].latent, seed)
                for i in order]

    def sample(self, n: int = 5, *, seed: int, temperature: float = TEMPERATURE, sampler: str = "nucleus",
               constraint: str | None = None) -> list[Variation]:
        """Write texts from latents drawn from the prior, N(0, 1); arguments as ``vary_many``'s."""
        rng = np.random.default_rng(child(seed, "sample"))
        z = self._inside(rng.standard_normal((n, self.latent), np.float32), self._region(constraint))
        options = Sampling(sampler, temperature)
        sequences, log_probs = self._write(z, options, rng)
        latents, _ = self.encode_ids(sequences)
        return [self._variation("", text, 0.0, float(log_prob), latent, seed)
                for text, log_prob, latent in zip(self.texts(sequences), log_probs, latents, strict=True)]

    def interpolate(self, a: str, b: str, steps: int = 5, *, spherical: bool = False, temperature: float = 0.0,
                    seed: int) -> list[str]:
        """Write texts on the way from one text's posterior mean to another's, both ends decoded as well.

        Args:
            steps: How many texts, from 2.
            spherical: Along the great circle, the lengths interpolated (Shoemake 1985), instead of the straight line.
            temperature: 0 is greedy.
        """
        if steps < 2:
            raise TextvaeError(f"cannot interpolate in {steps} steps", "give --steps a number from 2")
        (first, last), _ = self.encode([a, b])
        part = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
        z = (1 - part) * first + part * last
        if spherical:
            lengths = np.linalg.norm(first), np.linalg.norm(last)
            one, two = first / lengths[0], last / lengths[1]
            angle = np.arccos(np.clip(one @ two, -1, 1))
            if angle > 1e-4:
                arc = (np.sin((1 - part) * angle) * one + np.sin(part * angle) * two) / np.sin(angle)
                z = arc * ((1 - part) * lengths[0] + part * lengths[1])
        return self.decode(z, seed=seed, temperature=temperature)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _write(self, z: np.ndarray, options: Sampling, rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
        parts = [self._decoder.decode(z[start:start + BATCH], options, rng=rng) for start in range(0, len(z), BATCH)]
        return [ids for part in parts for ids in part[0]], np.concatenate([part[1] for part in parts])

    def _variation(self, source: str, text: str, distance: float, log_prob: float, latent: np.ndarray, seed: int
                   ) -> Variation:
        squared = ((latent - self._centres) ** 2).sum(axis=-1)
        constraints = {own["name"]: float(value) for own, value in zip(self.constraints, squared, strict=True)}
        return Variation(source, text, distance, log_prob, constraints, seed, self.run)

    def _flaws(self, text: str) -> int:
        return repeated(text) + (len(self.lexicon.invented(text)) if self.lexicon else 0)

    def _region(self, name: str | None) -> Region | None:
        if name is None:
            return None
        for centre, constraint in zip(self._centres, self.constraints, strict=True):
            if constraint["name"] == name:
                return Region(centre, constraint["kind"], constraint["threshold"])
        known = ", ".join(constraint["name"] for constraint in self.constraints)
        raise TextvaeError(f"this model has no constraint {name!r}",
                           f"it has: {known}" if known else "name one in [[sequence_vae.constraints]] and train again")

    @staticmethod
    def _inside(z: np.ndarray, region: Region | None) -> np.ndarray:
        """Move latents along the line to a region's centre until they lie on the right side of its border."""
        if region is None:
            return z
        offset = z - region.centre
        reach = np.sqrt(region.threshold) / np.maximum(np.linalg.norm(offset, axis=1, keepdims=True), 1e-6)
        factor = np.minimum(reach, 1.0) if region.kind == "near" else np.maximum(reach, 1.0)
        return np.asarray(region.centre + offset * factor, np.float32)


@dataclass(frozen=True)
class _Candidate:
    text: str
    log_prob: float
    latent: np.ndarray
    flaws: int


def _standardised(values: np.ndarray) -> np.ndarray:
    return np.asarray((values - values.mean()) / (values.std() + 1e-6)) if len(values) else values


def _folded(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())
