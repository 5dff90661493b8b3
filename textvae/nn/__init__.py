"""Networks, losses, penalties and the training loop: plain numbers in, tensors out."""

from typing import Any

from textvae.nn import batching, sampled_softmax
from textvae.nn.compiled import Compiled
from textvae.nn.embedding_vae import EmbeddingVAE
from textvae.nn.language_model import LanguageModel
from textvae.nn.latent_transformer import LatentTransformer
from textvae.nn.sequence_vae import SequenceVAE
from textvae.nn.word_transformer import WordTransformer

NETWORKS: dict[str, Any] = {
    network.kind: network for network in (EmbeddingVAE, SequenceVAE, LatentTransformer, WordTransformer,
                                            LanguageModel)}

__all__ = ["NETWORKS", "Compiled", "batching", "sampled_softmax"]
