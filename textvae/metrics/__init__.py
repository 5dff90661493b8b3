"""What is measured of models and texts, as pure functions of arrays and words; definitions stand in each docstring."""

from textvae.metrics.bleu import bleu, ngram_matches, self_bleu
from textvae.metrics.bootstrap import Estimate, estimate, mean, ratio
from textvae.metrics.latent import ACTIVE, active_units, importance_weighted, kl, log_posterior, mutual_information
from textvae.metrics.words import content_cosine, distinct, words

__all__ = ["ACTIVE", "Estimate", "active_units", "bleu", "content_cosine", "distinct", "estimate",
           "importance_weighted", "kl", "log_posterior", "mean", "mutual_information", "ngram_matches", "ratio",
           "self_bleu", "words"]
