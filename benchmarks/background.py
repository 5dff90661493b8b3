"""Do other texts help a blog of 20,000 words? Variations by a model that read the blog alone, and beside other texts.

The blogs are those of TEXTVAE_BLOGS (../shared/data/blogs).
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import corpora, variations
from benchmarks.turns import side_by_side
from textvae.config import load
from textvae.data import CompressedVectors, Latents, Tokens, TrainedNetwork
from textvae.errors import TextvaeError

# What is read beside the blog of Jekyll, with the settings that differ; four times the steps are those that news make.
VARIANTS: dict[str, tuple[str, ...]] = {
    "the blog alone": (), "the blog alone, batches of 16": ("sequence_vae.batch_size=16",),
    "beside `sample:lee`, 60,000 words of news": ("corpus.background=sample:lee",),
    "beside another blog (18F), 0.6 million words": (f"corpus.background={json.dumps(str(corpora.BLOGS / '18f'))}",)}
OWN, JUDGED_BY = "jekyll", "ropensci"
MEASURES = {"to_real": "perplexity, of the sources'", "content": "content kept", "diversity": "diversity"}
METHOD = (
    f"The recipe `blog` on the posts of Jekyll's blog; its test split's sentences of {variations.SHORTEST} to "
    f"{variations.LONGEST} words, the same each time, varied {variations.EACH} times at default settings. The judges "
    "(trigrams, and latent semantic analysis) read the posts of rOpenSci, which no model did. One training each.")


def run(scratch: Path, quick: bool) -> Iterator[dict[str, Any]]:
    """Train a model beside each background in a process of its own.

    Yields:
        After each the record so far; its ``backgrounds`` are a table of docs/variations.md.
    """
    if not (corpora.BLOGS / OWN).is_dir():
        raise TextvaeError(f"the blogs are not in {corpora.BLOGS}", "set TEXTVAE_BLOGS to where they are")
    found: list[dict[str, Any]] = []
    given = [{"scratch": str(scratch), "variant": name, "quick": quick}
             for name in list(VARIANTS)[::2 if quick else 1][:2 if quick else None]]
    for done in side_by_side("benchmarks.background", given):
        found.append(done)
        yield {"method": METHOD, "rows": [], "backgrounds": found}


def train(scratch: str, variant: str, quick: bool) -> dict[str, Any]:
    """Train one model and judge its variations; gives what was measured, and the sizes of what was read."""
    from textvae import device, pipeline
    from textvae.store import Store
    from textvae.text import tokenizer
    from textvae.writing.writer import Writer

    device.use("auto", precision="float32")
    fast = ("sequence_vae.epochs=1", "embedding_vae.epochs=1", "word_vectors.epochs=1") if quick else ()
    config = load(corpora.ROOT / "pipelines" / "blog.toml",
                  (f"corpus.path={json.dumps(str(corpora.BLOGS / OWN))}", *VARIANTS[variant], *fast))
    store = Store(Path(scratch) / f"variant-{list(VARIANTS).index(variant)}", "blog")
    made = {item.stage: item for item in pipeline.run(config, store, until="latents").stages}
    kinds: dict[str, Any] = {"tokens": Tokens, "embedding_vae": CompressedVectors, "sequence_vae": TrainedNetwork,
                             "latents": Latents}
    tokens, trained, latents = (store.load(name, made[name].key, kinds[name])
                                for name in ("tokens", "sequence_vae", "latents"))
    words = tokenizer.load(tokens.tokenizer)
    texts = [words.decode(tokens.sequence(row)) for row in tokens.rows("test")]
    read = corpora.blog(store.folder / "judges", JUDGED_BY, vocabulary=60_000)
    judges = variations.Judges(Tokens.load(read), spaced=False)
    sources = [text for text, cut in zip(texts, judges.cut(texts), strict=True)
               if variations.SHORTEST <= len(cut) <= variations.LONGEST][:4 if quick else None]
    writer = Writer.of(tokens, trained, latents=latents)
    measured = variations.measured(judges, sources, variations.ours(writer, sources, variations.STRENGTH))
    return {"variant": variant, "sources": len(sources), "corpus": made["corpus"].metrics,
            "tokens": made["tokens"].metrics, "mi": latents.metrics.get("mi"),
            "seconds": {name: item.seconds for name, item in made.items()}, **measured}


if __name__ == "__main__":
    print(json.dumps(train(**json.loads(sys.argv[1])), default=float))
