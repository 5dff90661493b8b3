"""Train a plain autoencoder of the sequence VAE's size: what its reconstruction is held against."""

from dataclasses import replace
from pathlib import Path

from textvae.config import AutoencoderConfig, SequenceVAEConfig
from textvae.data import Tokens, TrainedNetwork
from textvae.distribution import Devices
from textvae.progress import Progress


def run(config: AutoencoderConfig, tokens: Tokens, sequence_vae: TrainedNetwork, *, seed: int, progress: Progress,
        scratch: Path, devices: Devices | None = None) -> TrainedNetwork:
    """Train the sequence VAE's network without a KL, noise, word dropout, kept back latents and constraints.

    What it keeps of regularisation is ``dropout``, ``embedding_dropout`` and ``weight_drop``.

    Args:
        config: How long; with ``epochs`` 0 nothing is trained.
        sequence_vae: Whose network it has.
        devices: What trains it together; None where there is one device.

    Returns:
        Kind ``"sequence_vae"``; its metrics are of the validation split.
    """
    from textvae.stages import sequence_vae as stage
    from textvae.stages.prior import unfitted

    if not config.epochs:
        return TrainedNetwork("sequence_vae", {}, {}, {"trained": False, "reason": "autoencoder.epochs is 0"})
    # Nothing is drawn from an autoencoder's prior, so none is fitted.
    own = {name: unfitted(sequence_vae).settings[name] for name in stage.OF_NETWORK}
    settings = replace(
        SequenceVAEConfig(**own), vectors="none", free_bits=0.0, smooth=0.0, anneal="none", warmup_epochs=0, noise=0.0,
        embedding=sequence_vae.weights["sequence_vae/embedding/embeddings"].shape[1], word_dropout=0.0,
        latent_dropout=0.0, mean_gamma=0.0,
        labels=tuple(sequence_vae.settings["labels"]), epochs=config.epochs, patience=config.patience,
        batch_size=config.batch_size, learning_rate=config.learning_rate)
    return stage.run(settings, tokens, None, None, seed=seed, progress=progress, scratch=scratch,
                     name="autoencoder", devices=devices)
