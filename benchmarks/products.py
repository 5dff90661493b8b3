"""Matrix products that training cannot do without, counted: what a share of the machine's peak is a share of."""


def training(length: float, *, vocabulary: int, embedding: int, hidden: int, latent: int, samples: int = 0) -> float:
    """Floating-point operations per predicted token of a training step of the LSTM sequence VAE.

    A product of [m, k] and [k, n] counts 2 m k n, three times: forward, and twice backward. Padding counts nothing, z
    enters the decoder once a sequence, and what is not a product (gates, softmax, Adam) counts nothing.

    Args:
        length: Tokens per sequence, the end not counted, on average.
        samples: Candidates of a sampled softmax; 0 is the exact one.

    Example:
        >>> round(training(21, vocabulary=10_000, embedding=256, hidden=256, latent=32) / 1e6, 1)
        21.9
    """
    steps = length + 1
    cell = 2 * 4 * hidden * (embedding + hidden)
    softmax = 2 * hidden * embedding + 2 * embedding * (samples + 1 if samples else vocabulary)
    latents = 2 * 2 * hidden * latent + 2 * latent * 2 * hidden + 2 * latent * 4 * hidden
    return 3 * (length * cell + steps * (cell + softmax) + latents) / steps
