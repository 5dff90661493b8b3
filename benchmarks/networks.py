"""Training steps of the small networks, beside the same networks in PyTorch."""

from pathlib import Path
from typing import Any

from benchmarks import corpora
from benchmarks.rows import row
from benchmarks.turns import Subject, measure

METHOD = (
    "Training steps at default sizes, dropout as by default, optimizers and clipping alike. The embedding VAE and the "
    "latent transformer meet random arrays; the word transformer meets PTB sentences, textvae in its length buckets "
    "with batching counted, PyTorch in ready batches of one length.")


def run(scratch: Path, quick: bool) -> dict[str, Any]:
    """Measure the three.

    Returns:
        ``rows`` for the table, and ``measured`` by network.
    """
    folder = str(corpora.ptb(scratch / "ptb"))
    less = 10 if quick else 1
    given: dict[str, dict[str, Any]] = {
        "embedding_vae": {"dim": 128, "batch": 256, "steps": 400 // less},
        "latent_transformer": {"latent": 32, "batch": 32, "steps": 200 // less},
        "word_transformer": {"folder": folder, "latent": 64, "batch": 32, "steps": 60 // less}}
    rows, measured = [], {}
    for name, arguments in given.items():
        found = measure([Subject("textvae", f"benchmarks.ours:{name}", arguments),
                         Subject("PyTorch", f"benchmarks.yardstick_networks:{name}", arguments)], 2 if quick else 7)
        measured[name] = found
        unit = "tokens/s" if name == "word_transformer" else "steps/s"
        number = unit.replace("/s", "_per_second")
        rows.append(row(f"training `{name}`", unit, found, number=number, ours="textvae", yardsticks=("PyTorch",),
                        must=1, aim=1.5))
    return {"method": METHOD, "rows": rows, "measured": measured}
