"""The few numbers of each stage that tell at a glance how it went."""

from collections.abc import Mapping
from typing import Any

from textvae.cli.console import number

# Stage -> metric and how to say it; a metric that a run does not have is left out.
SHOWN = {
    "corpus": (("posts", "{} posts"), ("words", "{} words"), ("background_words", "{} words of background")),
    "tokens": (("sequences", "{} sequences"), ("tokens", "{} tokens"), ("vocabulary", "{} kinds")),
    "word_vectors": (("covered", "{} vectors"),),
    "embedding_vae": (("neighbour_survival_held_out", "{:.0%} of neighbours kept"),
                      ("pca_neighbour_survival_held_out", "PCA {:.0%}")),
    "sequence_vae": (("val_elbo_nll", "ELBO NLL {}"), ("val_kl", "KL {} nats"), ("epochs", "{} epochs")),
    "latents": (("active_units", "{} active units"), ("mi", "MI {} nats")),
    "latent_transformer": (("val_nll", "validation NLL {}"), ("reason", "not trained: {}")),
    "word_transformer": (("val_perplexity", "validation PPL {}"),),
    "language_model": (("val_perplexity", "validation PPL {}"), ("reason", "not trained: {}")),
    "autoencoder": (("val_reconstruction", "validation reconstruction {} nats"), ("reason", "not trained: {}")),
    "evaluation": (("elbo_nll", "ELBO NLL {}"), ("kl", "KL {} nats"), ("mutual_information", "MI {} nats"),
                   ("reconstruction_bleu", "BLEU {}")),
}


def highlights(stage: str, metrics: Mapping[str, Any]) -> str:
    """Name the metrics worth a line.

    Example:
        >>> highlights("corpus", {"posts": 314, "words": 60000, "files": 1})
        '314 posts, 60,000 words'
        >>> highlights("tokens", {"tokens": {"train": 2000, "test": 100}})
        '2,100 tokens'
    """
    found = []
    for name, said in SHOWN.get(stage, ()):
        value = metrics.get(name)
        if isinstance(value, Mapping):  # evaluation keeps each metric with its interval, tokens counts per split
            value = value["value"] if "value" in value else _total(value)
        if value is not None and ("{:" not in said or isinstance(value, int | float)):
            found.append(said.format(value if "{:" in said else number(value)))
    return ", ".join(found)


def _total(counts: Mapping[str, Any]) -> int | float | None:
    """The sum of counts; None where a run that came from elsewhere has something else there."""
    numbers = [count for count in counts.values() if isinstance(count, int | float)]
    return sum(numbers) if len(numbers) == len(counts) else None
