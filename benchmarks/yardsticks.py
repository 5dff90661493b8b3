"""The yardsticks: a plain LSTM VAE in PyTorch as its users write it, and generators for ``benchmarks.turns``.

Nothing here imports keras. Threads, allocators and kernels are at PyTorch's defaults.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from benchmarks import corpora
from benchmarks.turns import Clock
from textvae.data import BEGIN, END, PAD, Tokens

EMBEDDING, LATENT = 256, 32
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
Facts = dict[str, Any]
Batch = tuple[torch.Tensor, torch.Tensor]  # ids int64 [batch, time] without begin and end, lengths int64 [batch]


class LSTMVAE(nn.Module):
    """The encoder's last state gives z; z gives the decoder's first state and stands beside every input.

    Reference: Bowman et al. 2016, as in github.com/timbmg/Sentence-VAE and github.com/jxhe/vae-lagging-encoder.
    """

    def __init__(self, vocabulary: int, hidden: int, embedding: int = EMBEDDING, latent: int = LATENT) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.encoder = nn.LSTM(embedding, hidden, batch_first=True)
        self.mean = nn.Linear(hidden, latent)
        self.log_var = nn.Linear(hidden, latent)
        self.start = nn.Linear(latent, 2 * hidden)
        self.decoder = nn.LSTM(embedding + latent, hidden, batch_first=True)
        self.logits = nn.Linear(hidden, vocabulary)

    def first_state(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The decoder's state before the first token: float32 [1, batch, hidden] each."""
        hidden, cell = torch.tanh(self.start(z)).unsqueeze(0).chunk(2, dim=-1)
        return hidden.contiguous(), cell.contiguous()

    def posterior(self, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log-variance from the encoder's last state, float32 [batch, latent] each."""
        return self.mean(state), self.log_var(state)

    def beside(self, given: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """The decoder's inputs: ids int64 [batch, time] -> float32 [batch, time, embedding + latent]."""
        return torch.cat([self.embedding(given), z.unsqueeze(1).expand(-1, given.shape[1], -1)], dim=-1)


def sample(mean: torch.Tensor, log_var: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """z, and the KL summed over the batch."""
    z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
    return z, 0.5 * torch.sum(mean.pow(2) + log_var.exp() - 1 - log_var)


def shifted(ids: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the decoder is given and what it must say, int64 [batch, time + 1] each."""
    given = functional.pad(ids, (1, 0), value=BEGIN)
    target = functional.pad(ids, (0, 1), value=PAD)
    target[torch.arange(len(ids)), lengths] = END
    return given, target


def packed_loss(model: LSTMVAE, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """The style of Sentence-VAE: sorted, packed, log-softmax at every position, padding ignored by NLLLoss.

    Returns:
        Reconstruction and KL, summed over the batch.
    """
    ids, lengths = batch
    lengths, order = torch.sort(lengths, descending=True)
    ids = ids[order]
    given, target = (part.to(DEVICE) for part in shifted(ids, lengths))
    packed = pack_padded_sequence(model.embedding(ids.to(DEVICE)), lengths, batch_first=True)
    _, (state, _) = model.encoder(packed)
    z, kl = sample(*model.posterior(state[0]))
    packed = pack_padded_sequence(model.beside(given, z), lengths + 1, batch_first=True)
    outputs, _ = model.decoder(packed, model.first_state(z))
    outputs, _ = pad_packed_sequence(outputs, batch_first=True)
    log_probs = functional.log_softmax(model.logits(outputs), dim=-1)
    nll = functional.nll_loss(log_probs.flatten(0, 1), target.flatten(), ignore_index=PAD, reduction="sum")
    return nll, kl


def equal_loss(model: LSTMVAE, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """The style of vae-lagging-encoder: all of one length, no padding, cross-entropy over the vocabulary.

    Returns:
        As ``packed_loss``.
    """
    ids, lengths = batch
    given, target = (part.to(DEVICE) for part in shifted(ids, lengths))
    _, (state, _) = model.encoder(model.embedding(ids.to(DEVICE)))
    z, kl = sample(*model.posterior(state[0]))
    outputs, _ = model.decoder(model.beside(given, z), model.first_state(z))
    nll = functional.cross_entropy(model.logits(outputs).flatten(0, 1), target.flatten(), reduction="sum")
    return nll, kl


def packed_batches(sequences: list[torch.Tensor], size: int, rng: np.random.Generator) -> Iterator[Batch]:
    """Shuffled sequences of any length, padded to the longest of their batch."""
    order = rng.permutation(len(sequences))
    for start in range(0, len(order), size):
        chosen = [sequences[i] for i in order[start:start + size]]
        yield pad_sequence(chosen, batch_first=True), torch.tensor([len(own) for own in chosen])


def equal_batches(sequences: list[torch.Tensor], size: int) -> list[Batch]:
    """All batches of one length, made once; an epoch goes through them in another order."""
    lengths = np.array([len(own) for own in sequences])
    batches = []
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        for start in range(0, len(rows), size):
            chosen = torch.stack([sequences[i] for i in rows[start:start + size]])
            batches.append((chosen, torch.full((len(chosen),), int(length))))
    return batches


def step(model: nn.Module, optimizer: torch.optim.Optimizer, loss: torch.Tensor, clip: float | None) -> float:
    """One update; gives the loss."""
    optimizer.zero_grad()
    loss.backward()
    if clip is not None:
        nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return loss.item()


STYLES: dict[str, Callable[[LSTMVAE, Batch], tuple[torch.Tensor, torch.Tensor]]] = {
    "packed": packed_loss, "equal": equal_loss}


def trainer(sequences: list[torch.Tensor], vocabulary: int, *, batch: int, hidden: int, style: str
            ) -> Callable[[int], list[float]]:
    """Build a model; gives the function that trains an epoch by its number and returns its losses."""
    torch.manual_seed(1)
    model = LSTMVAE(vocabulary, hidden).to(DEVICE)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    held = equal_batches(sequences, batch) if style == "equal" else []

    def epoch(number: int) -> list[float]:
        rng = np.random.default_rng(number)
        order = (held[i] for i in rng.permutation(len(held))) if held else packed_batches(sequences, batch, rng)
        losses = []
        for arrays in order:
            nll, kl = STYLES[style](model, arrays)
            losses.append(step(model, optimizer, (nll + kl) / len(arrays[0]), 5.0))
        return losses

    return epoch


def training(folder: str, *, batch: int, steps: int, hidden: int, style: str, shortest: int = 1,
             longest: int = 10**6) -> Iterator[Facts]:
    """Training steps in one of the two ``STYLES``, on the sequences that ``benchmarks.ours.training`` meets.

    Yields:
        ``tokens_per_second``.
    """
    tokens = Tokens.load(Path(folder))
    rows = corpora.sample(tokens, batch, steps, shortest=shortest, longest=longest)
    epoch = trainer(tensors(tokens, rows), tokens.vocabulary_size, batch=batch, hidden=hidden, style=style)
    clock = Clock()
    steps = len(epoch(0))
    yield {"first_pass_seconds": round(clock.seconds, 2), "steps": steps, "sequences": len(rows),
           "predictions": corpora.predictions(tokens, rows), **where()}
    number = 0
    while True:
        number += 1
        clock = Clock()
        epoch(number)
        yield {"tokens_per_second": corpora.predictions(tokens, rows) / clock.seconds}


def nucleus(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """The nucleus by a full sort, as in the gist that everybody copies: float32 [batch, vocabulary] -> ids [batch].

    Reference: Holtzman et al. 2020; gist.github.com/thomwolf/1a5a29f6962089e871b94cbd09daf317.
    """
    ordered, places = torch.sort(logits, descending=True)
    cumulative = torch.cumsum(functional.softmax(ordered, dim=-1), dim=-1)
    remove = cumulative > top_p
    remove[..., 1:] = remove[..., :-1].clone()
    remove[..., 0] = False
    logits = logits.masked_fill(remove.scatter(1, places, remove), -torch.inf)
    return torch.multinomial(functional.softmax(logits, dim=-1), 1).squeeze(1)


@torch.inference_mode()
def write(model: LSTMVAE, z: torch.Tensor, length: int) -> torch.Tensor:
    """Token after token, in a loop of Python: int64 [batch, length]."""
    state = model.first_state(z)
    last = torch.full((len(z),), BEGIN, device=DEVICE)
    written = []
    for _ in range(length):
        outputs, state = model.decoder(model.beside(last.unsqueeze(1), z), state)
        last = nucleus(model.logits(outputs[:, 0]), 0.9)
        written.append(last)
    return torch.stack(written, dim=1)


def sampling(folder: str, *, hidden: int, count: int, length: int) -> Iterator[Facts]:
    """Write many sequences in one batch.

    Yields:
        ``sequences_per_second``.
    """
    model = _untrained(Tokens.load(Path(folder)), hidden)
    z = torch.randn(count, LATENT, device=DEVICE)
    clock = Clock()
    write(model, z, length).cpu()
    yield {"first_pass_seconds": round(clock.seconds, 2), **where()}
    while True:
        clock = Clock()
        write(model, z, length).cpu()
        yield {"sequences_per_second": count / clock.seconds}


def one_text(folder: str, *, hidden: int, texts: int, length: int) -> Iterator[Facts]:
    """Encode one text, and write five sequences one by one, text after text.

    Yields:
        ``sequences_per_second``.
    """
    tokens = Tokens.load(Path(folder))
    model = _untrained(tokens, hidden)
    sources = tensors(tokens, corpora.held_out(tokens, texts, length - 1))

    @torch.inference_mode()
    def vary() -> float:
        clock = Clock()
        for source in sources:
            _, (state, _) = model.encoder(model.embedding(source.to(DEVICE).unsqueeze(0)))
            mean, log_var = model.posterior(state[0])
            for _ in range(5):
                write(model, sample(mean, log_var)[0], length).cpu()
        return clock.seconds

    yield {"first_pass_seconds": round(vary(), 2), **where()}
    while True:
        yield {"sequences_per_second": 5 * len(sources) / vary()}


def log_normal(z: torch.Tensor, mean: torch.Tensor, log_var: torch.Tensor) -> torch.Tensor:
    """Log-density of a diagonal Gaussian, summed over the last axis."""
    return -0.5 * torch.sum(np.log(2 * np.pi) + log_var + (z - mean).pow(2) / log_var.exp(), dim=-1)


@torch.inference_mode()
def importance_weighted(model: LSTMVAE, batch: Batch, samples: int, at_once: int) -> torch.Tensor:
    """The importance-weighted bound on -log p(x) of sequences of one length, in nats: float32 [batch].

    As vae-lagging-encoder's ``nll_iw``: every sequence is decoded from ``at_once`` samples of q(z|x) together.

    Reference: Burda et al. 2016.
    """
    ids, lengths = batch
    given, target = (part.to(DEVICE) for part in shifted(ids, lengths))
    _, (state, _) = model.encoder(model.embedding(ids.to(DEVICE)))
    mean, log_var = (part.unsqueeze(1) for part in model.posterior(state[0]))
    weights = []
    for start in range(0, samples, at_once):
        count = min(at_once, samples - start)
        z = mean + torch.exp(0.5 * log_var) * torch.randn(len(ids), count, mean.shape[2], device=DEVICE)
        flat = z.flatten(0, 1)
        outputs, _ = model.decoder(model.beside(given.repeat_interleave(count, dim=0), flat), model.first_state(flat))
        nll = functional.cross_entropy(model.logits(outputs).flatten(0, 1),
                                       target.repeat_interleave(count, dim=0).flatten(), reduction="none")
        nothing = torch.zeros((), device=DEVICE)
        weights.append(log_normal(z, nothing, nothing) - log_normal(z, mean, log_var)
                       - nll.view(len(ids), count, -1).sum(dim=-1))
    return np.log(samples) - torch.logsumexp(torch.cat(weights, dim=1), dim=1)


def likelihood(folder: str, *, hidden: int, sequences: int, samples: int) -> Iterator[Facts]:
    """The importance-weighted bound of test sequences, batches of one length.

    How many samples are decoded together decides PyTorch's speed here, so the best of some numbers is taken.

    Yields:
        ``sequences_per_second``.
    """
    tokens = Tokens.load(Path(folder))
    torch.manual_seed(1)
    model = LSTMVAE(tokens.vocabulary_size, hidden).to(DEVICE).eval()
    batches = equal_batches(tensors(tokens, corpora.held_out(tokens, sequences)), 32)

    def measure(at_once: int) -> float:
        clock = Clock()
        for batch in batches:
            importance_weighted(model, batch, samples, at_once).cpu()
        return clock.seconds

    clock = Clock()
    times = {at_once: measure(at_once) for at_once in (10, 25, 100, 500) if at_once <= samples}
    best = min(times, key=lambda at_once: times[at_once])
    yield {"first_pass_seconds": round(clock.seconds, 2), "samples_at_once": best,
           "seconds_at_once": {str(key): round(value, 2) for key, value in times.items()}, **where()}
    while True:
        yield {"sequences_per_second": sequences / measure(best)}


def _untrained(tokens: Tokens, hidden: int) -> LSTMVAE:
    """A model whose softmax starts at the corpus's shares, and never ends a sequence."""
    torch.manual_seed(1)
    model = LSTMVAE(tokens.vocabulary_size, hidden).to(DEVICE).eval()
    bias = corpora.log_shares(tokens)
    bias[END] = -1e9
    with torch.no_grad():
        model.logits.bias.copy_(torch.from_numpy(bias))
    return model


def tensors(tokens: Tokens, rows: np.ndarray) -> list[torch.Tensor]:
    """Sequences as int64 [tokens] each."""
    return [torch.from_numpy(np.array(tokens.sequence(row), np.int64)) for row in rows]


def where() -> Facts:
    """What it runs on."""
    return {"device": {"kind": DEVICE.type, "backend": "torch", "threads": torch.get_num_threads()}}
