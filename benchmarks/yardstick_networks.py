"""The yardsticks of the small networks: the same in PyTorch, and generators for ``benchmarks.turns``."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks import corpora
from benchmarks.turns import Clock
from benchmarks.yardsticks import DEVICE, Facts, equal_batches, sample, shifted, step, tensors, where
from textvae.config import EmbeddingVAEConfig, LatentTransformerConfig, WordTransformerConfig
from textvae.data import PAD, Tokens


class EmbeddingVAE(nn.Module):
    """As ``textvae.nn.EmbeddingVAE``."""

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, dim: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.straight, self.encoder = nn.Linear(dim, latent), nn.Linear(dim, hidden)
        self.curved, self.log_var = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
        self.decoder = nn.Linear(latent, hidden)
        self.straight_back, self.curved_back = nn.Linear(latent, dim), nn.Linear(hidden, dim)
        self.register_buffer("shift", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))
        nn.init.constant_(self.log_var.bias, -4.0)

    def loss(self, vectors: torch.Tensor, beta: float, similarity: float) -> torch.Tensor:
        """The batch mean of reconstruction, KL and similarity, weighted; vectors are float32 [batch, dim]."""
        standard = (vectors - self.shift) / self.scale
        hidden = functional.gelu(self.encoder(standard))
        mean, log_var = self.straight(standard) + self.curved(hidden), self.log_var(hidden)
        z, kl = sample(mean, log_var)
        back = self.straight_back(z) + self.curved_back(functional.gelu(self.decoder(z)))
        difference = _cosines(vectors) - _cosines(mean)
        kept = vectors.shape[1] * difference.pow(2).mean(dim=-1)
        reconstruction = 0.5 * (standard - back).pow(2).sum(dim=-1)
        return (reconstruction + similarity * kept).mean() + beta * kl / len(vectors)


class Block(nn.Module):
    """As ``textvae.nn.transformer.Block``, with PyTorch's fused attention."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.attention_norm, self.feed_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.projections, self.joined = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """float32 [batch, time, width] -> the same."""
        split = self.projections(self.attention_norm(inputs)).unflatten(-1, (3, self.heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4)
        rate = self.dropout if self.training else 0.0
        attended = functional.scaled_dot_product_attention(query, key, value, dropout_p=rate, is_causal=True)
        attended = self.joined(attended.transpose(1, 2).flatten(2))
        hidden = inputs + functional.dropout(attended, self.dropout, self.training)
        fed = self.narrow(functional.gelu(self.widen(self.feed_norm(hidden))))
        return hidden + functional.dropout(fed, self.dropout, self.training)


class Blocks(nn.Module):
    """Positions, dropout, blocks and the last norm, which both transformers share."""

    positions: torch.Tensor

    def __init__(self, inputs: int, *, layers: int, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.widen, self.drop = nn.Linear(inputs, width), nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        rates = torch.exp(torch.arange(width // 2) * (-np.log(10_000.0) / (width // 2)))
        angles = torch.arange(1000)[:, None] * rates
        self.register_buffer("positions", torch.cat([angles.sin(), angles.cos()], dim=-1))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """float32 [batch, time, inputs] -> [batch, time, width]."""
        return self.norm(self.blocks(self.drop(self.widen(inputs) + self.positions[:inputs.shape[1]])))


class LatentTransformer(nn.Module):
    """As ``textvae.nn.LatentTransformer``."""

    def __init__(self, latent: int, **sizes: Any) -> None:
        super().__init__()
        self.body = Blocks(latent, **sizes)
        self.next_mean, self.next_log_var = nn.Linear(sizes["width"], latent), nn.Linear(sizes["width"], latent)

    def loss(self, inputs: torch.Tensor, targets: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """The batch mean of the Gaussian's nats; float32 [batch, time, latent] twice and [batch, time]."""
        hidden = self.body(inputs)
        log_var = self.next_log_var(hidden).clamp(-6.0, 3.0)
        squared = (targets - self.next_mean(hidden)).pow(2)
        nll = 0.5 * (np.log(2 * np.pi) + log_var + squared * torch.exp(-log_var))
        return (nll * real.unsqueeze(-1)).sum() / len(inputs)


class WordTransformer(nn.Module):
    """As ``textvae.nn.WordTransformer``; the vectors are read and predicted with, and stay as they are."""

    vectors: torch.Tensor

    def __init__(self, vocabulary: int, latent: int, **sizes: Any) -> None:
        super().__init__()
        self.special = nn.Parameter(torch.randn(4, latent))
        self.register_buffer("vectors", torch.randn(vocabulary - 4, latent))
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.body, self.narrow = Blocks(latent, **sizes), nn.Linear(sizes["width"], latent)

    def loss(self, given: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Nats per sequence, from ids int64 [batch, time] each."""
        table = torch.cat([self.special, self.vectors])
        logits = functional.linear(self.narrow(self.body(functional.embedding(given, table))), table, self.bias)
        return functional.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=PAD,
                                        reduction="sum") / len(given)


def embedding_vae(*, dim: int, batch: int, steps: int) -> Iterator[Facts]:
    """Training steps of ``EmbeddingVAE`` at textvae's default settings.

    Yields:
        ``steps_per_second``.
    """
    config = EmbeddingVAEConfig()
    torch.manual_seed(1)
    model = EmbeddingVAE(dim, config.hidden, config.latent).to(DEVICE)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    batches = [(torch.randn(batch, dim, device=DEVICE),) for _ in range(steps)]
    yield from _steps(model, optimizer, batches, lambda own: model.loss(own[0], config.beta, config.similarity), None)


def latent_transformer(*, latent: int, batch: int, steps: int) -> Iterator[Facts]:
    """Training steps of ``LatentTransformer`` at textvae's default settings.

    Yields:
        ``steps_per_second``.
    """
    config = LatentTransformerConfig()
    torch.manual_seed(1)
    model = LatentTransformer(latent, layers=config.layers, width=config.width, heads=config.heads,
                              dropout=config.dropout).to(DEVICE)
    latents = torch.randn(steps, batch, config.context + 1, latent, device=DEVICE)
    real = torch.ones(batch, config.context, device=DEVICE)
    batches = [(own[:, :-1], own[:, 1:], real) for own in latents]
    yield from _steps(model, _adamw(model, config.learning_rate), batches, lambda own: model.loss(*own), 1.0)


def word_transformer(folder: str, *, latent: int, batch: int, steps: int) -> Iterator[Facts]:
    """Training steps of ``WordTransformer`` at textvae's default settings, batches of one length.

    Yields:
        ``steps_per_second`` and ``tokens_per_second``.
    """
    config = WordTransformerConfig()
    tokens = Tokens.load(Path(folder))
    rows = corpora.sample(tokens, batch, steps)
    torch.manual_seed(1)
    model = WordTransformer(tokens.vocabulary_size, latent, layers=config.layers, width=config.width,
                            heads=config.heads, dropout=config.dropout).to(DEVICE)
    batches = [tuple(part.to(DEVICE) for part in shifted(*own)) for own in equal_batches(tensors(tokens, rows), batch)]
    yield from _steps(model, _adamw(model, config.learning_rate), batches, lambda own: model.loss(*own), 1.0,
                      corpora.predictions(tokens, rows))


def _adamw(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)


def _steps(model: nn.Module, optimizer: torch.optim.Optimizer, batches: list[Any],
           loss: Callable[[Any], torch.Tensor], clip: float | None, predictions: int = 0) -> Iterator[Facts]:
    """Train on the batches again and again."""
    number = 0
    while True:
        clock = Clock()
        for batch in batches:
            step(model, optimizer, loss(batch), clip)
        seconds = clock.seconds
        if number == 0:
            yield {"first_pass_seconds": round(seconds, 2), "steps": len(batches), **where()}
        else:
            tokens = {"tokens_per_second": predictions / seconds} if predictions else {}
            yield {"steps_per_second": len(batches) / seconds, **tokens}
        number += 1


def _cosines(rows: torch.Tensor) -> torch.Tensor:
    unit = functional.normalize(rows, dim=-1)
    return unit @ unit.T
