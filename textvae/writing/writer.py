"""Write with a trained sequence VAE: vary, sample, interpolate."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from textvae.constraints import Region, move_inside
from textvae.data import SPECIAL, UNKNOWN, Latents, Tokens, TrainedNetwork
from textvae.decoding import END, Sampling, Streams
from textvae.errors import TextvaeError
from textvae.seeds import child
from textvae.text.lexicon import Lexicon, folded, negations
from textvae.text.pairs import Pairs
from textvae.text.sentences import ended
from textvae.writing import moves, ranking
from textvae.writing.conditions import Conditions
from textvae.writing.found import Found, Variation
from textvae.writing.labels import Labels
from textvae.writing.model import FLUENCY, Model
from textvae.writing.ranking import Candidate

STRENGTH, TEMPERATURE = 0.25, 0.6
CANDIDATES = 16  # drawn for each variation wanted; half as many read worse, see docs/decisions/0017
TOGETHER = 8  # texts that those with many give to ``vary_many`` at once: more are no faster on two cores
FEW = 4  # one in so many candidates must be sound, or another round follows; as many as are wanted, twice that at most
DRAFTS = 4  # written for each sample wanted: four in ten of single ones have a flaw
ROUNDS = 4  # at most, each WIDEN times further from the source than the one before
WIDEN = 1.3
FREELY = 4  # one in so many candidates is given none of the source's words
TOWARD = 2  # one in so many of either kind steps toward a training text near the source, where the corpus is at hand
NARROW = 0.8  # factor on the spread around a region's centre, for each round of samples
ANY = Conditions()
# In ``Found.failed``.
WORDLESS, UNENDED = "a word", "an end"
SAME, AGAIN = "a difference from the source", "a difference from the others"
MIDDLE = 1000  # draws that the prior's mean is estimated from
EXAMPLES = 512  # latents of each side that the way to a label is estimated from
PAIRS = 64  # samples that the distance between two texts is estimated from


class Writer(Model):
    """A model, ready to write.

    Args:
        tokenizer: The tokenizer as JSON values, from ``Tokens.tokenizer``.
        trained: The artefact of the stage ``sequence_vae``.
        run: What to call the run in results.
        lexicon: The corpus's words; variations with others are only kept where nothing better is found.
        known: The corpus's labels, for ``Conditions.judged`` and for near constraints that a label defines; without
            them such a constraint is its region alone.
        pairs: See ``Model``; the seams of candidates are judged by them as well.
        latents: Posterior means of training texts, float32 [texts, latent], which candidates step toward; without
            them latents are drawn around the source alone.

    Example::

        writer = textvae.open("models/blog")
        for variation in writer.vary("We moved the site to HTTPS.", n=5, seed=1):
            print(variation.text)
    """

    def __init__(self, tokenizer: dict[str, Any], trained: TrainedNetwork, run: str = "",
                 lexicon: Lexicon | None = None, known: Labels | None = None, pairs: Pairs | None = None,
                 latents: np.ndarray | None = None) -> None:
        super().__init__(tokenizer, trained, pairs)
        self.latents = latents
        self.run = run
        self.lexicon = lexicon
        self.known = known
        self._ways: dict[str, np.ndarray] = {}

    @classmethod
    def of(cls, tokens: Tokens, trained: TrainedNetwork, run: str = "", latents: Latents | None = None) -> "Writer":
        """The writer of a run, with the words and labels of its training split, and its latents where there are any."""
        return cls(tokens.tokenizer, trained, run, Lexicon.of(tokens), Labels(tokens), Pairs.of(tokens),
                   None if latents is None else moves.goals(latents.mean, tokens.rows("train", own=True)))

    def vary(self, text: str, n: int = 5, *, seed: int, strength: float = STRENGTH, temperature: float = TEMPERATURE,
             sampler: str = "nucleus", fluency: float | None = None, candidates: int = CANDIDATES,
             label: str | None = None, conditions: Conditions = ANY) -> Found:
        """Write variations of a text; see ``vary_many``."""
        return self.vary_many([text], n, seed=seed, strength=strength, temperature=temperature, sampler=sampler,
                              fluency=fluency, candidates=candidates, label=label, conditions=conditions)[0]

    def vary_many(self, texts: Sequence[str], n: int = 5, *, seed: int, strength: float = STRENGTH,
                  temperature: float = TEMPERATURE, sampler: str = "nucleus", fluency: float | None = None,
                  candidates: int = CANDIDATES, label: str | None = None, conditions: Conditions = ANY
                  ) -> list[Found]:
        """Write variations of each text.

        Latents are drawn around each text's posterior mean, some for each variation wanted; half of them then step
        toward those of training texts nearby, as far as the strength says. Of three in four most of
        the source's words are given, what must be had is given as well, and the decoder chooses what stands between;
        the others are decoded freely (see ``moves``). A given word that the vocabulary lacks, such as a name, stays
        as it is written. What equals the source or another candidate, or does not end as a sentence where the source
        does, is left out, and so is what fails a condition. Of the rest those are kept that repeat no words, invent
        none, take no step that the corpus avoids and say no as often as the source does; of these the fluent ones that
        are close to the source and unlike each other (see ``ranking``).
        Where too few are left, latents are drawn from further away and deeper inside the regions asked for, and the
        decoder is led harder to the words that it must have.

        Of a source without a label that it is judged by, those words are opened first that speak against the label, and
        latents go the way from training texts without it to those with it.

        Args:
            texts: The sources.
            n: Variations of each; fewer come back where the model can't find as many.
            seed: The same seed writes the same of a text, whatever other texts are given with it.
            strength: How far to go: at 0 latents are the posterior's mean and one word is open, at 0.5 they are drawn
                from the posterior, at 1 from the prior.
            temperature: Of the sampler; 0 is greedy.
            sampler: greedy, temperature, top_k, nucleus or beam.
            fluency: What reads well whatever z says has this share in each choice of a token, see ``sampling``.
            candidates: Written for each variation wanted, in each round: the more, the better the best of them.
            label: What the decoder is told to write, of the labels that the network was trained with.
            conditions: What every variation must meet.

        Returns:
            Of each text what was found, and which conditions the other candidates failed.
        """
        if n < 1 or candidates < 1:
            raise TextvaeError(f"cannot write {n} variations of {candidates} candidates each",
                               "give -n and --candidates a number from 1")
        options, steering = self.sampling(sampler, temperature, fluency), conditions.steering(self.tokenizer)
        regions, phrases = self._regions(conditions, seed), conditions.phrases(self.tokenizer)
        judged = self.judged_by(conditions)
        self.label_places(label, 0)
        if not 0 <= strength <= 1:
            raise TextvaeError(f"there is no strength {strength:g}", "give one from 0 to 1")
        if not texts:
            return []
        sources = self._sources(texts, judged, conditions)
        originals, told = [source.ids for source in sources], self.label_places(label, len(sources))
        q, ways = self.posterior(originals), np.stack([source.way for source in sources])
        near = None if self.latents is None else moves.neighbours(q["mean"], self.latents)
        before = self.plain_nats(originals, told) if self.fluent else self.token_nats(originals, q["mean"], told)
        found: list[dict[str, Candidate]] = [{} for _ in texts]
        failed: list[Counter[str]] = [Counter() for _ in texts]
        written = np.zeros(len(texts), int)
        enough = min(2 * n, max(n, candidates * n // FEW))
        for attempt in range(ROUNDS):
            short = [i for i in range(len(texts)) if sum(not one.flaws for one in found[i].values()) < enough]
            if not short:
                break
            seeds = [child(seed, f"vary-{attempt}: {texts[i].strip()}") for i in short]
            rng = Streams(seeds, candidates * n)
            owners = np.repeat(short, candidates * n)
            spread, share = moves.reach(strength, attempt, WIDEN)
            places = self.label_places(label, len(owners))
            z = self.draw({name: values[owners] for name, values in q.items()}, rng, spread)
            z = self.mixed(z, self.prior(len(z), rng, places), share, rng) if share else z
            if near is not None:
                z = self._stepped(z, near[owners], strength, rng)
            z = z + moves.stride(attempt) * ways[owners]
            z = move_inside((region.deeper(attempt) for region in regions.values()), z)
            template, names = self._templates([sources[owner] for owner in owners], strength, rng, steering.barred)
            for phrase in phrases:
                template = np.stack([moves.placed(row, phrase, rng.of(number)) for number, row in enumerate(template)])
            sequences, _ = self.write(self.code(z, places), options, rng, steering.harder(attempt), template)
            closed = (template[:, -1] == END) & (options.sampler != "beam")  # others may be cut at the greatest length
            latents = self.posterior(sequences)["mean"]
            written_texts = self.texts(sequences, names, [texts[owner] for owner in owners])
            misjudged = self.misjudged(judged, written_texts)
            written[short] += candidates * n
            kept: dict[tuple[int, str], int] = {}
            for row, (owner, ids, text) in enumerate(zip(owners, sequences, written_texts, strict=True)):
                fails = [*conditions.failed(text), *_outside(regions, latents[row]), *misjudged[row]]
                # Behind the end of a sentence nothing goes on.
                cut = len(ids) >= self.max_length and not closed[row]
                if not text or cut or (ended(texts[owner]) and not ended(text)):
                    fails.append(UNENDED)
                elif folded(text) == folded(texts[owner]):
                    fails.append(SAME)
                elif not fails and (folded(text) in found[owner] or (owner, folded(text)) in kept):
                    fails.append(AGAIN)
                failed[owner].update(fails)
                if not fails:
                    kept[owner, folded(text)] = row
            rows = list(kept.values())
            chosen = [sequences[row] for row in rows]
            nats = self.token_nats(chosen, latents[rows], places[rows])
            plain = self.plain_nats(chosen, places[rows]) if self.fluent else nats
            for (owner, key), row, own, without in zip(kept, rows, nats, plain, strict=True):
                found[owner][key] = self._candidate(written_texts[row], sequences[row], own, without, latents[row],
                                                    sources[owner], before[owner], free=bool(judged or regions))
        return [Found(self._best(source, centre, list(own.values()), n, seed, regions, strength), int(count), fails)
                for source, centre, own, count, fails in zip(texts, q["mean"], found, written, failed, strict=True)]

    def _candidate(self, text: str, ids: np.ndarray, nats: np.ndarray, plain: np.ndarray, latent: np.ndarray,
                   source: moves.Source, before: np.ndarray, *, free: bool) -> Candidate:
        """A text with all that it is ranked by; it may say the opposite of its source where it is ``free``."""
        flaws = self.flaws(text, source.text) + (0 if free else abs(negations(text) - negations(source.text)))
        return ranking.candidate(text, ids, nats, plain, latent, flaws, source.ids, before, self.pairs)

    def _templates(self, owners: Sequence[moves.Source], strength: float, rng: Streams, never: Collection[int]
                   ) -> tuple[np.ndarray, list[list[str]]]:
        """One in ``FREELY`` of each owner blank, the others with about this share of their owner's words open.

        Returns:
            int32 [owners, longest + 1], and of each the words that are given but unknown, in order.
        """
        shares = strength * (0.5 + rng.random([len(owners)]))
        nothing: tuple[np.ndarray, list[str]] = moves.blank(self.max_length), []
        rows = [owner.template(share, self.max_length, rng.of(number), never) if number % rng.each % FREELY else nothing
                for number, (owner, share) in enumerate(zip(owners, shares, strict=True))]
        return np.stack([row for row, _ in rows]), [names for _, names in rows]

    def _stepped(self, z: np.ndarray, near: np.ndarray, strength: float, rng: Streams) -> np.ndarray:
        """Latents of which one in ``TOWARD`` has gone some way to one of its source's neighbours.

        Args:
            z: float32 [n, latent].
            near: float32 [n, neighbours, latent].
            strength: The longest way: half of it at 0.25, all of it from 0.5.
        """
        goals = near[np.arange(len(z)), rng.integers(near.shape[1], len(z))]
        shares = rng.random([len(z)]) * moves.reach(strength, 0, WIDEN)[0]
        steps = np.arange(len(z)) % rng.each // FREELY % TOWARD == 0
        return self.toward(z, goals, np.where(steps, shares, 0.0), rng)

    def _best(self, source: str, centre: np.ndarray, found: list[Candidate], n: int, seed: int,
              regions: dict[str, Region], strength: float) -> list[Variation]:
        distances = np.array([np.linalg.norm(one.latent - centre) for one in found])
        order = ranking.best(found, source, distances, n, strength=strength,
                             counts=self.lexicon.counts if self.lexicon else {})
        return [Variation(source, found[i].text, float(distances[i]), found[i].log_prob,
                          self._squared(found[i].latent, regions), seed, self.run) for i in order]

    def sample(self, n: int = 5, *, seed: int, temperature: float = TEMPERATURE, sampler: str = "nucleus",
               fluency: float | None = None, candidates: int = DRAFTS, label: str | None = None,
               conditions: Conditions = ANY) -> Found:
        """Write texts from latents drawn from the prior; arguments as ``vary_many``'s.

        With a near constraint they are drawn as widely around its centre as the prior draws around its own; into other
        regions they are moved. Of the candidates for each text the soundest is kept, see ``_soundness``. Texts that
        fail a condition are drawn again, nearer to the centre or deeper inside, three times at most; fewer than ``n``
        may come back.
        """
        if n < 1 or candidates < 1:
            raise TextvaeError(f"cannot write {n} texts of {candidates} candidates each",
                               "give -n and --candidates a number from 1")
        regions, steering = self._regions(conditions, seed), conditions.steering(self.tokenizer)
        judged = self.judged_by(conditions)
        needed = min(self.unbound, FLUENCY) if regions or judged else self.unbound  # what they must say, z says
        options = self.sampling(sampler, temperature, fluency, needed)
        way = self.way(judged)
        rng = np.random.default_rng(child(seed, "sample"))
        around = {name: regions[name] for name in map(_trained, conditions.constraints) if regions[name].kind == "near"}
        others = [region for name, region in regions.items() if name not in around]
        offset = np.mean([region.centre for region in around.values()], axis=0) if around else 0.0
        middle = self._middle(label, seed) if around else 0.0
        found, failed = Found(), Counter[str]()
        for attempt in range(ROUNDS):
            if len(found) == n:
                break
            wanted, each = n - len(found), max(candidates, CANDIDATES) if attempt else candidates
            places = self.label_places(label, wanted * each)
            z = self.prior(len(places), rng, places)
            if around:
                z = np.asarray(offset + (z - middle) * NARROW**attempt, np.float32)
            z = move_inside((region.deeper(attempt) for region in others), z + moves.stride(attempt) * way)
            sequences, log_probs = self.write(self.code(z, places), options, rng, steering.harder(attempt))
            found.written += len(sequences)
            latents, texts = self.posterior(sequences)["mean"], self.texts(sequences)
            misjudged = self.misjudged(judged, texts)
            able = []
            for row, (text, latent, other) in enumerate(zip(texts, latents, misjudged, strict=True)):
                fails = [*([] if text else [WORDLESS]), *conditions.failed(text), *_outside(regions, latent), *other]
                failed.update(fails)
                if not fails:
                    able.append(row)
            if candidates > 1:
                ranks = self._soundness([texts[row] for row in able], [sequences[row] for row in able], places[able])
                able = [row for _, row in sorted(zip(ranks, able, strict=True))]
            best: dict[int, int] = {}
            for row in able:
                best.setdefault(row // each, row)
            first = set(best.values())
            chosen = [*sorted(first), *(row for row in able if row not in first)][:wanted]
            found += [Variation("", texts[row], 0.0, float(log_probs[row]), self._squared(latents[row], regions), seed,
                                self.run) for row in chosen]
        found.failed = dict(failed)
        return found

    def _soundness(self, texts: Sequence[str], sequences: Sequence[np.ndarray], places: np.ndarray
                   ) -> list[tuple[int, bool, float]]:
        """What texts without a source are ranked by, the soundest first: their flaws, whether they have no end, and how
        unlikely they are: nats per token without z where the network can tell, else of the unlikeliest pair of tokens,
        which favours short texts."""
        if self.fluent:
            nats = [float(own.mean()) for own in self.plain_nats(sequences, places)]
        else:
            nats = [0.0 if self.pairs is None else float(self.pairs.nats(ids).max()) for ids in sequences]
        return [(self.flaws(text), not ended(text), own) for text, own in zip(texts, nats, strict=True)]

    def judged_by(self, conditions: Conditions) -> tuple[str, ...]:
        """Labels that texts must be judged to have: those asked for, and those that near constraints stand for."""
        stood_for = [own["label"] for own in self.constraints
                     if own["name"] in conditions.constraints and own["kind"] == "near" and own.get("label")]
        # Posts are gone through only where a constraint asks for a label.
        known = [label for label in stood_for if self.known and label in self.known.telling]
        return tuple(dict.fromkeys([*conditions.judged, *known]))

    def misjudged(self, labels: Sequence[str], texts: Sequence[str]) -> list[list[str]]:
        """Of each text the labels that a classifier does not take it to have, as a message calls them."""
        fails: list[list[str]] = [[] for _ in texts]
        for label in labels:
            for own, has in zip(fails, self._labelled.holds(label, texts), strict=True):
                own += [] if has else [f"judged {label!r}"]
        return fails

    def way(self, labels: Sequence[str]) -> np.ndarray:
        """From training texts without each label to those with it: between the means of latents, float32 [latent]."""
        for label in labels:
            if label not in self._ways:
                has, lacks = (self.posterior(own)["mean"].mean(axis=0)
                              for own in self._labelled.examples(label, EXAMPLES))
                self._ways[label] = has - lacks
        return np.sum([self._ways[label] for label in labels] or np.zeros((1, self.latent), np.float32), axis=0)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _regions(self, conditions: Conditions, seed: int) -> dict[str, Region]:
        """Where texts must lie, by what a message calls it."""
        regions = {_trained(name): self.region(name) for name in conditions.constraints}
        given = [("near", text) for text in conditions.near] + [("far", text) for text in conditions.far]
        if given:
            distance = conditions.distance or self._apart(seed)
            centres, _ = self.encode([text for _, text in given])
            for (kind, text), centre in zip(given, centres, strict=True):
                reach = distance / 2 if kind == "near" and not conditions.distance else distance
                regions[f"{kind} {text!r}"] = Region(centre, kind, reach**2)
        return regions

    @property
    def _labelled(self) -> Labels:
        if self.known is None:
            raise TextvaeError("this writer was made without a corpus, whose labels could be judged by",
                               "open a run, or make it with Writer.of")
        return self.known

    def _sources(self, texts: Sequence[str], judged: Sequence[str], conditions: Conditions) -> list[moves.Source]:
        """Texts with all that templates of them are cut by."""
        sequences, spelt = self.ids(texts), [self.tokenizer.spelt(text.strip()) for text in texts]
        begins = [[not self.spaced or not i or piece.startswith(" ") for i, piece in enumerate(own)] for own in spelt]
        blame, ways = self._turned(judged, list(map(moves.words, spelt, begins)))
        return [moves.Source(text, ids, own, SPECIAL[UNKNOWN], first, words, way, conditions.surplus(text))
                for text, ids, own, first, words, way in zip(texts, sequences, spelt, begins, blame, ways, strict=True)]

    def _turned(self, labels: Sequence[str], words: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], np.ndarray]:
        """What is to change in texts for labels that they have not.

        Args:
            labels: All that they are to have.
            words: Of each text.

        Returns:
            How much each word speaks against the labels, float64 [words] each; the way for a text's latents, float32
            [texts, latent].
        """
        blame, ways = [np.zeros(len(own)) for own in words], np.zeros((len(words), self.latent), np.float32)
        for label in labels:
            for i, holds in enumerate(self._labelled.holds(label, list(map(" ".join, words)))):
                if not holds:
                    blame[i] += self._labelled.blame(label, words[i])
                    ways[i] += self.way([label])
        return blame, ways

    def _squared(self, latent: np.ndarray, regions: dict[str, Region]) -> dict[str, float]:
        centres = {own["name"]: centre for own, centre in zip(self.constraints, self._centres, strict=True)}
        trained = {_trained(name) for name in centres}
        centres |= {name: region.centre for name, region in regions.items() if name not in trained}
        return {name: float(((latent - centre) ** 2).sum()) for name, centre in centres.items()}

    def _apart(self, seed: int) -> float:
        """The median L2 distance between the posterior means of two samples of the prior."""
        rng = np.random.default_rng(child(seed, "apart"))
        sequences, _ = self.write(self.code(self.prior(PAIRS, rng)), Sampling(temperature=TEMPERATURE), rng)
        means = self.posterior([own for own in sequences if len(own)])["mean"]
        return float(np.median(np.linalg.norm(means - np.roll(means, 1, axis=0), axis=1))) if len(means) > 1 else 1.0

    def _middle(self, label: str | None, seed: int) -> np.ndarray:
        """The prior's mean, float32 [latent], estimated."""
        rng = np.random.default_rng(child(seed, "middle"))
        return np.asarray(self.prior(MIDDLE, rng, self.label_places(label, MIDDLE)).mean(axis=0))

    def flaws(self, text: str, source: str = "") -> int:
        """What is wrong with a text, see ``ranking.flaws``."""
        return ranking.flaws(text, source, self.lexicon)


def _trained(name: str) -> str:
    return f"constraint {name!r}"


def _outside(regions: dict[str, Region], latent: np.ndarray) -> list[str]:
    """The regions that a latent lies outside of."""
    return [name for name, region in regions.items() if not region.holds(latent)]
