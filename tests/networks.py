"""Tiny networks of every kind with inputs for each; as a script, what saved ones give on the backend that runs.

Usage: python tests/networks.py FOLDER OUT.npz KIND..., where FOLDER has a saved TrainedNetwork per kind.
"""

import sys
from functools import cache
from pathlib import Path

import numpy as np

from textvae.data import TrainedNetwork

SETTINGS = {
    "embedding_vae": {"dim": 6, "hidden": 7, "latent": 3, "beta": 0.1, "similarity": 1.0},
    "sequence_vae": {"vocabulary": 11, "embedding": 5, "hidden": 6, "latent": 3, "encoder": "lstm", "decoder": "gru",
                     "encoder_layers": 2, "bidirectional": True, "layer_norm": True, "skip": True,
                     "posterior": "full", "prior": "vamp", "components": 2, "labels": ["one"],
                     "dropout": 0.3, "free_bits": 0.1, "free_bits_over": "total", "max_length": 5,
                     "constraints": [{"name": "kind", "kind": "near", "threshold": 1.0}]},
    "latent_transformer": {"latent": 4, "layers": 1, "width": 8, "heads": 2, "dropout": 0.3},
    "word_transformer": {"vocabulary": 11, "latent": 5, "layers": 2, "width": 8, "heads": 2, "dropout": 0.3},
    "language_model": {"vocabulary": 11, "embedding": 5, "hidden": 6, "dropout": 0.3},
}


TEXTS = ["the cat sat on the mat", "a dog ran far away from home", "the bird sang in the old tree"]


def writer(*, texts=TEXTS, level="word", **settings):
    """A writer of a few words on an untrained network, sharper than a new one's near-uniform softmax."""
    from textvae import nn
    from textvae.nn.weights import gather
    from textvae.text import tokenizer
    from textvae.writing.writer import Writer

    words = tokenizer.train(texts, level=level, vocabulary=300)
    network = nn.NETWORKS["sequence_vae"](**{"vocabulary": words.size, "embedding": 8, "hidden": 8, "latent": 3,
                                             "max_length": 9, "seed": 1, **settings})
    if "constraints" in settings:
        network.centres.assign(np.eye(len(settings["constraints"]), 3, dtype=np.float32))
    network.start.kernel.assign(network.start.kernel * 4.0)  # so that latents matter
    return Writer(words.to_json(), TrainedNetwork(network.kind, network.settings, gather(network)), run="test/1")


def build(kind, seed=1):
    """A network of one kind with its first weights."""
    from textvae import nn

    return nn.NETWORKS[kind](**SETTINGS[kind], seed=seed)


@cache
def trained(kind):
    """A saved form with weights that all differ from their first values, so that each one shows in the outputs."""
    from textvae.nn.weights import gather

    rng = np.random.default_rng(5)
    weights = {path: (0.5 + rng.random(array.shape)).astype(np.float32) if path.endswith(("scale", "gamma"))
               else rng.normal(0, 0.5, array.shape).astype(np.float32) for path, array in gather(build(kind)).items()}
    return TrainedNetwork(kind, SETTINGS[kind], weights)


def tokens(sequences, post, split, size=11):
    """``Tokens`` of lists of ids, with the row of each one's post and its split by index."""
    from textvae.data import Tokens

    post = np.array(post, np.int32)
    position = np.array([np.sum(post[:row] == post[row]) for row in range(len(post))], np.int32)
    ids = np.concatenate([np.array(own, np.int32) for own in sequences])
    posts = int(post.max()) + 1
    return Tokens(ids, np.cumsum([0, *map(len, sequences)], dtype=np.int64), post, position,
                  np.array(split, np.uint8), tuple(map(str, range(posts))), ((),) * posts, {"size": size})


def same_bits(one, other):
    """Whether two trained networks, as saved, are equal to the last bit."""
    return (one.settings == other.settings and one.metrics == other.metrics and one.history == other.history
            and one.plot == other.plot and one.weights.keys() == other.weights.keys()
            and all(array.tobytes() == other.weights[path].tobytes() for path, array in one.weights.items()))


def batch(kind, rng, size=4):
    """Training inputs of one batch."""
    real = np.arange(5)[None] < rng.integers(2, 6, size)[:, None]
    ids = (rng.integers(4, 11, (size, 5)) * real).astype(np.int32)
    shifted = {"decoder": np.pad(ids, ((0, 0), (1, 0)), constant_values=1), "target": np.pad(ids, ((0, 0), (0, 1)))}
    shifted["target"][np.arange(size), real.sum(axis=1)] = 2
    if kind == "embedding_vae":
        return {"vectors": rng.normal(size=(size, 6)).astype(np.float32)}
    if kind == "latent_transformer":
        latents = rng.normal(size=(size, 6, 4)).astype(np.float32)
        return {"inputs": latents[:, :-1], "targets": latents[:, 1:], "real": real.astype(np.float32)}
    if kind in ("word_transformer", "language_model"):
        return shifted
    return {**shifted, "encoder": ids, "applies": np.ones((size, 1), np.float32)}


def outputs(network):
    """Everything that a network computes without chance, float32 arrays by name."""
    from textvae.nn import Compiled

    given = batch(network.kind, np.random.default_rng(3))
    z = np.random.default_rng(4).normal(size=(4, 3)).astype(np.float32)
    code = np.random.default_rng(4).normal(size=(4, 19)).astype(np.float32)
    label = np.array([0, 1, 1, 0], np.int32)
    calls = {
        "embedding_vae": {"posterior": given, "reconstruct": {"z": z}},
        "sequence_vae": {"family_parameters": {"ids": given.get("encoder"), "label": label},
                         "prior_sample": {"noise": code[:, :4], "label": label},
                         "importance": {"mean": z[:1], "log_var": z[:1] * 0, "factor": np.eye(3, dtype="f4")[None],
                                        "half": z[:1] * 0, "noise": z, "label": label[:1]},
                         "score": {"decoder": given.get("decoder"), "target": given.get("target"), "code": code},
                         "score_samples": {"decoder": given["decoder"][:2], "target": given["target"][:2], "code": code}
                         if "encoder" in given else {}},
        "latent_transformer": {"predict_next": {"inputs": given.get("inputs")}},
        "word_transformer": {"score": given, "logits": {"decoder": given.get("decoder")}},
        "language_model": {"score": given},
    }[network.kind]
    found = {}
    for name, inputs in calls.items():
        result = Compiled(network, getattr(network, name)).run(**inputs)
        parts = ([result[key] for key in sorted(result)] if isinstance(result, dict) else  # JAX sorts them
                 result if isinstance(result, list | tuple) else (result,))
        found |= {f"{network.kind}/{name}/{i}": np.asarray(part) for i, part in enumerate(parts)}
    return found


def fitted_prior():
    """What a fitted prior gives: its density at some latents, and draws; arrays by name."""
    import keras

    from textvae.nn import priors

    rng = np.random.default_rng(6)
    prior = priors.Fitted(3, components=2)
    prior.means.assign(rng.normal(size=(2, 3)).astype("f4"))
    prior.factors.assign(np.tril(rng.normal(size=(2, 3, 3)), -1).astype("f4") + np.eye(3, dtype="f4"))
    prior.logits.assign(np.log([0.3, 0.7]).astype("f4"))
    z, noise = (rng.normal(size=(5, width)).astype("f4") for width in (3, 4))
    found = {"log_prob": prior.log_prob(keras.ops.convert_to_tensor(z), None),
             "sample": prior.sample(keras.ops.convert_to_tensor(noise), None)}
    return {f"fitted prior/{name}": keras.ops.convert_to_numpy(value) for name, value in found.items()}


if __name__ == "__main__":
    from textvae.nn.weights import restore

    saved = {kind: TrainedNetwork.load(Path(sys.argv[1]) / kind) for kind in sys.argv[3:]}
    np.savez(sys.argv[2], **fitted_prior(), **{name: array for one in saved.values()
                             for name, array in outputs(restore(one.kind, one.settings, one.weights)).items()})
