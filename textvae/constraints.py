"""Constraints: which sequences define one, and the region of the latent space that it stands for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from textvae.config import ConstraintConfig
from textvae.data import Tokens
from textvae.errors import ConfigError
from textvae.text import tokenizer
from textvae.text.lexicon import whole

DEEPEN = {"near": 0.7, "far": 1.4}  # factor on a region's threshold for each round further inside
PROJECTIONS = 20  # rounds over several regions: two balls that meet are both reached after a few
CENTRE_TEXTS = 512  # latents averaged for a constraint's centre: its standard error is then under 5% of a spread


@dataclass(frozen=True)
class Constraint:
    """A constraint with the sequences that define it.

    Args:
        config: Its settings.
        texts: Token ids whose latents are the centre, int32 [tokens] each.
        applies: float32 [sequences of the corpus], 1 where the penalty acts, -1 where its margin does.
    """

    config: ConstraintConfig
    texts: list[np.ndarray]
    applies: np.ndarray

    @property
    def settings(self) -> dict[str, Any]:
        """What the network keeps of it."""
        own = self.config
        return {"name": own.name, "kind": own.kind, "threshold": own.threshold, "margin": own.margin,
                "label": own.label, "keyword": own.keyword}


@dataclass(frozen=True)
class Region:
    """The side of a constraint's border that it asks for.

    Args:
        centre: float32 [latent].
        kind: ``"near"``, within the border, or ``"far"``, beyond it.
        threshold: Squared L2 distance of the border from the centre.

    Example:
        >>> Region(np.zeros(2, "float32"), "near", 4.0).holds(np.array([[1.0, 1.0], [3.0, 0.0]])).tolist()
        [True, False]
    """

    centre: np.ndarray
    kind: str
    threshold: float

    def holds(self, latents: np.ndarray) -> np.ndarray:
        """Whether latents, float32 [..., latent], lie on the right side: bool [...]."""
        return self.admits(((latents - self.centre) ** 2).sum(axis=-1))

    def admits(self, squared: np.ndarray) -> np.ndarray:
        """The same of squared distances from the centre, float32 [...]: bool [...]."""
        return np.asarray(squared <= self.threshold if self.kind == "near" else squared >= self.threshold)

    def deeper(self, rounds: int) -> "Region":
        """A region inside this one: a text need not read back as lying where it was decoded from."""
        return replace(self, threshold=self.threshold * DEEPEN[self.kind]**rounds)

    def move_inside(self, latents: np.ndarray) -> np.ndarray:
        """Move latents along the line to the centre until they lie on the right side, float32 [n, latent]."""
        offset = latents - self.centre
        reach = np.sqrt(self.threshold) / np.maximum(np.linalg.norm(offset, axis=1, keepdims=True), 1e-6)
        factor = np.minimum(reach, 1.0) if self.kind == "near" else np.maximum(reach, 1.0)
        return np.asarray(self.centre + offset * factor, np.float32)


def move_inside(regions: Iterable[Region], latents: np.ndarray) -> np.ndarray:
    """Move latents, float32 [n, latent], into all regions at once where there is such a place, else near to it.

    By projecting them on one after the other (Boyle and Dykstra 1986 without the correction: any common point will do).
    """
    regions = list(regions)
    for _ in range(PROJECTIONS if len(regions) > 1 else 1):
        for region in regions:
            latents = region.move_inside(latents)
    return latents


def defined(config: ConstraintConfig, tokens: Tokens) -> Constraint:
    """Find the sequences that define a constraint, and those that it acts on.

    Raises:
        ConfigError: It is defined by nothing, by two things, or by what no training sequence has.
    """
    given = [name for name in ("texts", "label", "keyword") if getattr(config, name)]
    if not config.name or len(given) != 1:
        raise ConfigError(f"constraint {config.name or '(without a name)'!r} is defined by {given or 'nothing'}",
                          "give it a name and one of texts, label or keyword")
    if config.margin and (config.kind == "far" or config.applies_to == "all"):
        raise ConfigError(f"constraint {config.name!r} has a margin, which is for near regions of matching sequences",
                          'set kind = "near" and applies_to = "matching", or leave the margin out')
    train = tokens.rows("train")
    if config.texts:
        encoded = tokenizer.load(tokens.tokenizer).encode_many(list(config.texts))
        texts = [np.array(ids, np.int32) for ids in encoded if ids]
        wanted = {text.tobytes() for text in texts}
        member = np.array([np.asarray(tokens.sequence(row)).tobytes() in wanted for row in range(len(tokens))])
    else:
        member = members({"label": config.label, "keyword": config.keyword}, tokens)
        rows = train[member[train]]
        # Evenly spread over the corpus, so that the centre is of all of it and the same at every run.
        spread = np.linspace(0, len(rows) - 1, min(len(rows), CENTRE_TEXTS), dtype=int)
        texts = [np.array(tokens.sequence(row)) for row in rows[spread]]
    if not texts:
        known = sorted({label for labels in tokens.post_labels for label in labels})
        raise ConfigError(f"constraint {config.name!r}: no training sequence has {given[0]} "
                          f"{getattr(config, given[0])!r}",
                          (f"labels are: {', '.join(known[:20])}; " if config.label and known else "")
                          + f"name a {given[0]} of your own corpus, or do without: "
                            "--set 'sequence_vae.constraints=[]'")
    if config.applies_to == "matching" and not member[train].any():
        raise ConfigError(f"constraint {config.name!r} applies to no training sequence",
                          'its texts are not in the corpus: set applies_to = "all"')
    applies = np.ones(len(tokens)) if config.applies_to == "all" else member.astype(np.float32)
    if config.margin:
        others = keyed(config.label, tokens) if config.label else np.ones(len(tokens), bool)
        applies[others & ~member] = -1.0
    return Constraint(config, texts, applies.astype(np.float32))


def keyed(label: str, tokens: Tokens, rows: Any = None) -> np.ndarray:
    """Whether sequences have any label of this one's key: bool [rows], of all sequences where None."""
    rows = np.arange(len(tokens)) if rows is None else rows
    key = label.partition("=")[0] + "="
    known = np.array([any(own.startswith(key) for own in labels) for labels in tokens.post_labels], bool)
    return np.asarray(known[tokens.post[rows]])


def members(settings: Mapping[str, Any], tokens: Tokens, rows: Any = None) -> np.ndarray:
    """Whether sequences have the label or the keyword of a constraint: bool [rows], of all sequences where None."""
    rows = np.arange(len(tokens)) if rows is None else rows
    if settings.get("label"):
        owners = np.array([settings["label"] in labels for labels in tokens.post_labels], bool)
        return np.asarray(owners[tokens.post[rows]])
    word = whole(settings["keyword"])
    vocabulary = tokenizer.load(tokens.tokenizer)
    return np.array([bool(word.search(vocabulary.decode(tokens.sequence(row)))) for row in rows], bool)
