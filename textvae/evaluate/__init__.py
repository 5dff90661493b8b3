"""What the evaluation measures, one part a file; each gives metrics and the rows that the report shows."""

from textvae.evaluate.constraints import constraints
from textvae.evaluate.fluency import Judge
from textvae.evaluate.likelihood import iw_nll, likelihood
from textvae.evaluate.paths import interpolations, paths
from textvae.evaluate.reconstruction import reconstruction
from textvae.evaluate.samples import sample_rows, samples
from textvae.evaluate.subject import Metrics, Rows, Subject, entry
from textvae.evaluate.variations import variations
from textvae.evaluate.vectors import vectors

__all__ = ["Judge", "Metrics", "Rows", "Subject", "constraints", "entry", "interpolations", "iw_nll", "likelihood",
           "paths", "reconstruction", "sample_rows", "samples", "variations", "vectors"]
