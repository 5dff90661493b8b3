"""The types that flow between stages: frozen, checked on construction, saved as plain files."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textvae.data.changes import Changes, differ
    from textvae.data.check import Check
    from textvae.data.corpus import BACKGROUND, Corpus, Post, Rejected
    from textvae.data.evaluation import Evaluation
    from textvae.data.latents import Latents
    from textvae.data.network import TrainedNetwork
    from textvae.data.start import Start
    from textvae.data.tokens import BEGIN, END, PAD, SPECIAL, SPLITS, UNKNOWN, Tokens
    from textvae.data.vectors import CompressedVectors, WordVectors

__all__ = ["BACKGROUND", "BEGIN", "END", "PAD", "SPECIAL", "SPLITS", "UNKNOWN", "Changes", "Check",
           "CompressedVectors", "Corpus", "Evaluation", "Latents", "Post", "Rejected", "Start", "Tokens",
           "TrainedNetwork", "WordVectors", "differ"]

# The module of each, imported when it is first asked for: `textvae status` plans without numpy.
_HOMES = {"BACKGROUND": "corpus", "Changes": "changes", "Check": "check", "CompressedVectors": "vectors",
          "Corpus": "corpus", "Evaluation": "evaluation", "Latents": "latents", "Post": "corpus", "Rejected": "corpus",
          "Start": "start", "TrainedNetwork": "network", "WordVectors": "vectors", "differ": "changes"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"textvae.data.{_HOMES.get(name, 'tokens')}"), name)
