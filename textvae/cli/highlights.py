"""The few numbers of each stage that tell at a glance how it went."""

from collections.abc import Mapping
from typing import Any

from textvae.cli.console import number

# Stage -> metric and what to call it; a metric that a run does not have is left out.
SHOWN = {
    "corpus": (("posts", "posts"), ("words", "words")),
    "tokens": (("sequences", "sequences"), ("tokens", "tokens"), ("vocabulary", "kinds")),
    "word_vectors": (("vocabulary", "vectors"),),
    "embedding_vae": (("active_units", "active units"), ("neighbours_kept", "neighbours kept")),
    "sequence_vae": (("val_elbo_nll", "ELBO NLL"), ("val_reconstruction", "reconstruction"), ("val_kl", "KL"),
                     ("epochs", "epochs")),
    "latents": (("active_units", "active units"), ("mutual_information", "nats MI")),
    "latent_transformer": (("val_loss", "validation loss"),),
    "word_transformer": (("val_perplexity", "validation PPL"), ("val_loss", "validation loss")),
    "evaluation": (("elbo_nll", "ELBO NLL"), ("kl", "KL"), ("active_units", "active units"),
                   ("mutual_information", "nats MI")),
}


def highlights(stage: str, metrics: Mapping[str, Any]) -> str:
    """Name the metrics worth a line.

    Example:
        >>> highlights("corpus", {"posts": 314, "words": 60000, "files": 1})
        '314 posts, 60,000 words'
    """
    found = []
    for name, label in SHOWN.get(stage, ()):
        value = metrics.get(name)
        if isinstance(value, Mapping):  # evaluation keeps each metric with its interval
            value = value.get("value")
        if value is not None:
            found.append(f"{number(value)} {label}")
    return ", ".join(found)
