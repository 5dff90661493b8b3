"""A store with one small run that can write, for the tests of what leaves a store and comes into one."""

from dataclasses import asdict
from pathlib import Path

import networks
import numpy as np

from textvae import catalogue, manifests, nn, runs
from textvae.config import as_dict, parse
from textvae.data import CompressedVectors, Corpus, Evaluation, Latents, Post, Tokens, TrainedNetwork
from textvae.nn.weights import gather
from textvae.store import Store
from textvae.text import tokenizer

SECRET = "the bird sang in the old tree"  # a sentence that must not leave without the data
FACTS = {"version": 1, "config": {}, "seed": 1, "fingerprint": "", "reason": "never run", "seconds": 0.1,
         "device": {"kind": "cpu"}, "usage": {"peak_memory": 10}}


def filled(root: Path, name: str = "blog") -> Store:
    """A store whose current run, the first, was trained by nobody, and all of whose artefacts are real ones."""
    store = Store(root, name)
    config = parse({"name": name, "corpus": {"path": "/home/me/posts"},
                    "sequence_vae": {"tensorboard": "/home/me/logs"}})
    texts = [*networks.TEXTS[:2], SECRET]
    words = tokenizer.train(texts, level="word", vocabulary=300)
    network = nn.NETWORKS["sequence_vae"](vocabulary=words.size, embedding=8, hidden=8, latent=3, max_length=9, seed=1)
    ids = [np.array(own, np.int32) for own in words.encode_many(texts)]
    count = len(texts)
    artefacts = {
        "corpus": Corpus(tuple(Post(str(row), text) for row, text in enumerate(texts)), metrics={"posts": count}),
        "tokens": Tokens(np.concatenate(ids), np.cumsum([0, *map(len, ids)]).astype(np.int64),
                         np.arange(count, dtype=np.int32), np.zeros(count, np.int32), np.zeros(count, np.uint8),
                         tuple(map(str, range(count))), ((),) * count, words.to_json(),
                         {"sequences": {"train": count}}),
        "embedding_vae": CompressedVectors(np.ones((words.size, 2), np.float32), networks.trained("embedding_vae")),
        "sequence_vae": TrainedNetwork(network.kind, network.settings, gather(network), {"val_kl": 1.0}),
        "latents": Latents(np.zeros((count, 3), np.float32), np.zeros((count, 3), np.float32)),
        "evaluation": Evaluation({"kl": {"value": 1.0}}, {"samples": [{"text": "a cat"}], "reconstructions": [
            {"source": SECRET, "text": SECRET}]}, f"<html>{SECRET}</html>"),
    }
    stages = {}
    for stage, artefact in artefacts.items():
        key = manifests.sha256(stage)[:16]
        manifest = store.write(stage, key, artefact, inputs={}, **FACTS)
        stages[stage] = {"key": key, "content": manifest["content"], "ran": True, "reason": "never run", "seconds": 0.1,
                         "metrics": manifest["metrics"]}
    run = runs.Run(1, name, stages, "first", manifests.now(), 1.0, as_dict(config), {"kind": "cpu"}, None,
                   **manifests.provenance())
    store.put(runs.file_of(1), asdict(run))
    store.put_text("current", "1\n")
    catalogue.remember(config, store)
    return store
