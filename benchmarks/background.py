"""Do other texts help a blog of 20,000 words? Variations by a model that read the blog alone, and beside other texts.

The blogs are those of TEXTVAE_BLOGS (../shared/data/blogs).
"""

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import corpora, variations
from benchmarks.turns import side_by_side
from textvae import metrics
from textvae.config import load
from textvae.data import Corpus, Latents, Tokens, TrainedNetwork
from textvae.errors import TextvaeError

# What is read beside the blog of Jekyll, with the settings that differ; four times the steps are those that news make.
VARIANTS: dict[str, tuple[str, ...]] = {
    "the blog alone": (), "the blog alone, batches of 16": ("sequence_vae.batch_size=16",),
    "beside `sample:lee`, 60,000 words of news": ("corpus.background=sample:lee",),
    "beside another blog (18F), 0.5 million words, 10 epochs": (
        f"corpus.background={json.dumps(str(corpora.BLOGS / '18f'))}", "sequence_vae.epochs=10")}
OWN, JUDGED_BY = "jekyll", "ropensci"
MEASURES = {"new_nats": "nats of what is new", "unmet": "with a pair of words that is new and never met",
            "content": "content kept", "diversity": "diversity"}
METHOD = (
    f"The recipe `blog` on the posts of Jekyll's blog; its test split's sentences of {variations.SHORTEST} to "
    f"{variations.LONGEST} words, the same each time, varied {variations.EACH} times at default settings. The judges "
    "read half of the training split of rOpenSci's posts, which no model did: trigrams say how unlikely each word is "
    "that does not follow the word before it in the source, and whether they ever met the two beside each other. One "
    "training each.")


def run(scratch: Path, quick: bool) -> Iterator[dict[str, Any]]:
    """Train a model beside each background in a process of its own.

    Yields:
        After each the record so far; its ``backgrounds`` are a table of docs/variations.md.
    """
    if not (corpora.BLOGS / OWN).is_dir():
        raise TextvaeError(f"the blogs are not in {corpora.BLOGS}", "set TEXTVAE_BLOGS to where they are")
    found: list[dict[str, Any]] = []
    judges = str(corpora.blog(scratch / "judges", JUDGED_BY, vocabulary=60_000))
    given = [{"scratch": str(scratch), "judges": judges, "variant": name, "quick": quick}
             for name in list(VARIANTS)[::2 if quick else 1][:2 if quick else None]]
    for done in side_by_side("benchmarks.background", given):
        found.append(done)
        yield {"method": METHOD, "rows": [], "backgrounds": found}


def train(scratch: str, judges: str, variant: str, quick: bool) -> dict[str, Any]:
    """Train one model and judge its variations; gives what was measured, and the sizes of what was read.

    Args:
        scratch: A folder for the store.
        judges: That of the tokens that the judges read.
        variant: A key of ``VARIANTS``.
        quick: Train for one epoch.
    """
    from textvae import device, pipeline
    from textvae.store import Store
    from textvae.text import sentences
    from textvae.writing.writer import Writer

    device.use("auto", precision="float32")
    fast = ("sequence_vae.epochs=1", "embedding_vae.epochs=1", "word_vectors.epochs=1") if quick else ()
    config = load(corpora.ROOT / "pipelines" / "blog.toml",
                  (f"corpus.path={json.dumps(str(corpora.BLOGS / OWN))}", *VARIANTS[variant], *fast))
    store = Store(Path(scratch) / f"variant-{list(VARIANTS).index(variant)}", "blog")
    made = {item.stage: item for item in pipeline.run(config, store, until="latents").stages}
    kinds: dict[str, Any] = {"tokens": Tokens, "sequence_vae": TrainedNetwork, "latents": Latents}
    tokens, trained, latents = (store.load(name, made[name].key, kind) for name, kind in kinds.items())
    # Sentences as they were written: whatever the vocabulary lacks stays in them.
    held = {tokens.post_ids[post] for post in tokens.post[tokens.rows("test")].tolist()}
    texts = [text for post in store.load("corpus", made["corpus"].key, Corpus).posts if post.id in held
             for text in sentences.units(config.tokens.unit, post.text)]
    read = variations.Judges(Tokens.load(Path(judges)), spaced=False)
    writer = Writer.of(tokens, trained, latents=latents)
    sources = [text for text, cut in zip(texts, read.cut(texts), strict=True)
               if variations.SHORTEST <= len(cut) <= variations.LONGEST
               and not writer.too_long(writer.tokenizer.encode(text))][:4 if quick else None]
    groups = variations.ours(writer, sources, variations.STRENGTH)
    measured = {**variations.measured(read, sources, groups), **of_new(read, sources, groups)}
    return {"variant": variant, "sources": len(sources), "corpus": made["corpus"].metrics,
            "tokens": made["tokens"].metrics, "mi": latents.metrics.get("mi"),
            "seconds": {name: item.seconds for name, item in made.items()}, **measured}


def of_new(judges: variations.Judges, sources: Sequence[str], groups: variations.Groups) -> dict[str, dict[str, float]]:
    """Of each variation the mean nats of words that follow another word than in its source, and whether the judges ever
    met all of them behind that one; means over the variations that have any, with intervals."""
    nats, unmet = [], []
    for source, group in zip(judges.cut(sources), map(judges.cut, groups), strict=True):
        known = set(pairwise(["", *source, ""]))
        for text in group:
            new = [place for place, step in enumerate(pairwise(["", *text, ""])) if step not in known]
            if new:
                told = [judges.step_nats(text, place) for place in new]
                nats.append(float(np.mean(told)))
                unmet.append(float(any(not judges.after[["", *text][place]][[*text, ""][place]] for place in new)))
    return {name: metrics.mean(np.array(found), seed=variations.SEED)._asdict()
            for name, found in (("new_nats", nats), ("unmet", unmet))}


if __name__ == "__main__":
    print(json.dumps(train(**json.loads(sys.argv[1])), default=float))
