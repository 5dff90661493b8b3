"""Encode every sequence to its posterior, in reading order."""

from pathlib import Path

from textvae.config import LatentsConfig
from textvae.data import Latents, Tokens, TrainedNetwork
from textvae.progress import Progress
from textvae.seeds import child


def run(config: LatentsConfig, tokens: Tokens, sequence_vae: TrainedNetwork, *, seed: int, progress: Progress,
        scratch: Path) -> Latents:
    """Posterior means and log-variances of all splits.

    Returns:
        Rows aligned with ``tokens``; the metrics are of the validation split, of training where that has under ``FEW``
        sequences: n of them tell no more than log n nats.
    """
    from textvae import metrics, nn
    from textvae.evaluate.information import information
    from textvae.nn.weights import restore

    network = restore(sequence_vae.kind, sequence_vae.settings, sequence_vae.weights)
    sequences = [tokens.sequence(row) for row in range(len(tokens))]
    label = tokens.label_places(network.labels) if network.labels else None
    with progress.task("encoding", len(tokens)) as advance:
        q = nn.batching.encode(nn.Compiled(network, network.posterior), sequences, config.batch_size, label, advance)
    mean, log_var = q["mean"], q["log_var"]
    split = "validation" if len(tokens.rows("validation")) >= FEW else "train"
    rows = tokens.rows(split)[:MOST]
    # Of all that the family says of them; kept are means and variances alone.
    whole = nn.batching.encode(nn.Compiled(network, network.family_parameters), [sequences[row] for row in rows],
                               config.batch_size, None if label is None else label[rows])
    found = {"split": split, "sequences": len(tokens),
             "mi": float(information(network, whole, seed=child(seed, "mi")).mean()),
             "active_units": int((mean[rows].var(axis=0) > metrics.ACTIVE).sum())}
    return Latents(mean, log_var, found)


FEW = 100
MOST = 2000  # sequences for the mutual information: its cost grows with their square
