"""Speed of textvae beside its yardsticks, and quality of its recipes; the numbers lie in ``benchmarks/results``."""
