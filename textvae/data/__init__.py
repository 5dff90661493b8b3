"""The types that flow between stages: frozen, checked on construction, saved as plain files."""

from textvae.data.changes import Changes, differ
from textvae.data.check import Check
from textvae.data.corpus import Corpus, Post, Rejected
from textvae.data.evaluation import Evaluation
from textvae.data.latents import Latents
from textvae.data.network import TrainedNetwork
from textvae.data.start import Start
from textvae.data.tokens import BEGIN, END, PAD, SPECIAL, SPLITS, UNKNOWN, Tokens
from textvae.data.vectors import CompressedVectors, WordVectors

__all__ = ["BEGIN", "END", "PAD", "SPECIAL", "SPLITS", "UNKNOWN", "Changes", "Check", "CompressedVectors", "Corpus",
           "Evaluation", "Latents", "Post", "Rejected", "Start", "Tokens", "TrainedNetwork", "WordVectors", "differ"]
