"""Write with a trained sequence VAE: vary, sample, interpolate."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textvae.conditions import Conditions
from textvae.constraints import Region
from textvae.data import Tokens, TrainedNetwork
from textvae.decoding import Sampling
from textvae.errors import TextvaeError
from textvae.model import Model
from textvae.seeds import child
from textvae.text import tokenizer as tokenizers
from textvae.text.lexicon import Lexicon, repeated

# Chosen by reading variations of the 18F blog: at 1 and 0.7, long sentences lost more of their subject.
STRENGTH, TEMPERATURE = 0.7, 0.6
CANDIDATES = 8  # drawn for each variation wanted
ROUNDS = 4  # at most, each WIDEN times further from the source than the one before
WIDEN = 1.3
NARROW = 0.8  # factor on the spread around a region's centre, for each round of samples
ANY = Conditions()
UNENDED, SAME, AGAIN = "an end", "a difference from the source", "a difference from the others"  # in ``Found.failed``
MIDDLE = 1000  # draws that the prior's mean is estimated from


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


class Found(list[Variation]):
    """Texts that meet all that was asked for, the best first, and what was written beside them.

    Attributes:
        written: How many texts were written for these.
        failed: Condition -> how many of them did not meet it.
    """

    def __init__(self, texts: Iterable[Variation] = (), written: int = 0, failed: Mapping[str, int] | None = None
                 ) -> None:
        super().__init__(texts)
        self.written, self.failed = written, dict(failed or {})


class Writer(Model):
    """A model, ready to write.

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
        super().__init__(tokenizer, trained)
        self.run = run
        self.lexicon = lexicon

    @classmethod
    def of(cls, tokens: Tokens, trained: TrainedNetwork, run: str = "") -> "Writer":
        """The writer of a run, with the words of its training split as the lexicon."""
        words = tokenizers.load(tokens.tokenizer)
        lexicon = Lexicon(words.decode(tokens.sequence(row)) for row in tokens.rows("train"))
        return cls(tokens.tokenizer, trained, run, lexicon)

    def vary(self, text: str, n: int = 5, *, seed: int, strength: float = STRENGTH, temperature: float = TEMPERATURE,
             sampler: str = "nucleus", constraint: str | None = None, label: str | None = None,
             conditions: Conditions = ANY) -> Found:
        """Write variations of a text; see ``vary_many``."""
        return self.vary_many([text], n, seed=seed, strength=strength, temperature=temperature, sampler=sampler,
                              constraint=constraint, label=label, conditions=conditions)[0]

    def vary_many(self, texts: Sequence[str], n: int = 5, *, seed: int, strength: float = STRENGTH,
                  temperature: float = TEMPERATURE, sampler: str = "nucleus", constraint: str | None = None,
                  label: str | None = None, conditions: Conditions = ANY) -> list[Found]:
        """Write variations of each text.

        Latents are drawn around each text's posterior mean and decoded, eight for each that is wanted. What equals
        the source or another candidate, or has no end, is left out, and so is what fails a condition or lies outside
        of the constraint's region when encoded again. Of the rest those are kept that repeat no words and invent
        none, and then those that are both fluent (``log_prob``) and near to the source (``distance``), each measured
        against the other candidates. Where too few are left, latents are drawn from further away and deeper inside
        the region, and the decoder is led harder to the words that it must have.

        Args:
            texts: The sources.
            n: Variations of each; fewer come back where the model can't find as many.
            seed: The same seed writes the same.
            strength: How far to draw, in posterior standard deviations.
            temperature: Of the sampler; 0 is greedy.
            sampler: greedy, temperature, top_k, nucleus or beam.
            constraint: Name of the constraint whose region the latents must lie in.
            label: What the decoder is told to write, of the labels that the network was trained with.
            conditions: What every variation must meet.

        Returns:
            Of each text what was found, and which conditions the other candidates failed.
        """
        if n < 1:
            raise TextvaeError(f"cannot write {n} variations", "give -n a number from 1")
        options = Sampling(sampler, temperature)
        region = self.region(constraint)
        self.label_places(label, 0)
        q = self.posterior(self.ids(texts))
        found: list[dict[str, _Candidate]] = [{} for _ in texts]
        failed: list[Counter[str]] = [Counter() for _ in texts]
        written = np.zeros(len(texts), int)
        for attempt in range(ROUNDS):
            short = [i for i in range(len(texts)) if sum(not one.flaws for one in found[i].values()) < 2 * n]
            if not short:
                break
            rng = np.random.default_rng(child(seed, f"vary-{attempt}"))
            owners = np.repeat(short, CANDIDATES * n)
            z = self.draw({name: values[owners] for name, values in q.items()}, rng, strength * WIDEN**attempt)
            z = z if region is None else region.deeper(attempt).move_inside(z)
            code = self.code(z, self.label_places(label, len(z)))
            sequences, log_probs = self._write(code, options, rng, conditions.steering(self.tokenizer, attempt))
            latents = self.posterior(sequences)["mean"]
            written[short] += CANDIDATES * n
            for owner, ids, text, log_prob, latent in zip(owners, sequences, self.texts(sequences), log_probs, latents,
                                                          strict=True):
                fails = [*conditions.failed(text), *self._outside(region, constraint, latent)]
                if not text or len(ids) >= self.max_length:
                    fails.append(UNENDED)
                elif _folded(text) == _folded(texts[owner]):
                    fails.append(SAME)
                elif not fails and _folded(text) in found[owner]:
                    fails.append(AGAIN)
                failed[owner].update(fails)
                if not fails:
                    found[owner][_folded(text)] = _Candidate(text, float(log_prob), latent, self._flaws(text))
        return [Found(self._best(source, centre, list(own.values()), n, seed), int(count), fails)
                for source, centre, own, count, fails in zip(texts, q["mean"], found, written, failed, strict=True)]

    def _best(self, source: str, centre: np.ndarray, found: list["_Candidate"], n: int, seed: int) -> list[Variation]:
        distances = np.array([np.linalg.norm(one.latent - centre) for one in found])
        appeal = _standardised(np.array([one.log_prob for one in found])) - _standardised(distances)
        order = sorted(range(len(found)), key=lambda i: (found[i].flaws, -appeal[i]))[:n]
        return [self._variation(source, found[i].text, float(distances[i]), found[i].log_prob, found[i].latent, seed)
                for i in order]

    def sample(self, n: int = 5, *, seed: int, temperature: float = TEMPERATURE, sampler: str = "nucleus",
               constraint: str | None = None, label: str | None = None, conditions: Conditions = ANY) -> Found:
        """Write texts from latents drawn from the prior; arguments as ``vary_many``'s.

        With a near constraint they are drawn as widely around its centre as the prior draws around its own; with a
        far one, moved beyond its border. Texts that fail a condition, or do not read back as lying in the region, are
        drawn again, nearer to the centre or further out, three times at most; fewer than ``n`` may come back.
        """
        region, options = self.region(constraint), Sampling(sampler, temperature)
        rng = np.random.default_rng(child(seed, "sample"))
        middle = self._middle(label, seed) if region is not None and region.kind == "near" else None
        found, failed = Found(), Counter[str]()
        for attempt in range(ROUNDS):
            if len(found) == n:
                break
            places = self.label_places(label, (n - len(found)) * (CANDIDATES if attempt else 1))
            z = self.prior(len(places), rng, places)
            if region is not None and middle is not None:
                z = region.centre + (z - middle) * NARROW**attempt
            elif region is not None:
                z = region.deeper(attempt).move_inside(z)
            sequences, log_probs = self._write(self.code(z, places), options, rng,
                                               conditions.steering(self.tokenizer, attempt))
            found.written += len(sequences)
            latents = self.posterior(sequences)["mean"]
            for text, log_prob, latent in zip(self.texts(sequences), log_probs, latents, strict=True):
                fails = [*conditions.failed(text), *self._outside(region, constraint, latent)]
                failed.update(fails)
                if not fails and len(found) < n:
                    found.append(self._variation("", text, 0.0, float(log_prob), latent, seed))
        found.failed = dict(failed)
        return found

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

    def _variation(self, source: str, text: str, distance: float, log_prob: float, latent: np.ndarray, seed: int
                   ) -> Variation:
        squared = ((latent - self._centres) ** 2).sum(axis=-1)
        constraints = {own["name"]: float(value) for own, value in zip(self.constraints, squared, strict=True)}
        return Variation(source, text, distance, log_prob, constraints, seed, self.run)

    def _outside(self, region: Region | None, name: str | None, latent: np.ndarray) -> list[str]:
        return [] if region is None or bool(region.holds(latent)) else [f"constraint {name!r}"]

    def _middle(self, label: str | None, seed: int) -> np.ndarray:
        """The prior's mean, float32 [latent], estimated."""
        rng = np.random.default_rng(child(seed, "middle"))
        return np.asarray(self.prior(MIDDLE, rng, self.label_places(label, MIDDLE)).mean(axis=0))

    def _flaws(self, text: str) -> int:
        return repeated(text) + (len(self.lexicon.invented(text)) if self.lexicon else 0)


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
