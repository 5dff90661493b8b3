"""Train variational autoencoders on your own blog or corpus, and write variations of its texts.

Example::

    import textvae

    writer = textvae.open("models/blog")
    for variation in writer.vary("We moved the site to HTTPS.", n=5, seed=1):
        print(variation.text)
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textvae.writing.writer import Writer

__all__ = ["open"]


def open(path: str | Path, *, run: int | None = None, device: str = "auto", few: bool = False) -> "Writer":
    """Open a finished run for writing.

    Args:
        path: A pipeline's folder in the store, such as ``models/blog``; its name alone is not looked up.
        run: A run's number; the current one where None.
        device: ``"auto"``, ``"cpu"`` or ``"gpu"``.
        few: Whether this process will write a few texts and do nothing else with keras: without a GPU it then starts
            in less than half the time. See ``textvae.device.use``.

    Raises:
        TextvaeError: There is no such folder or run, its files are damaged, or the device isn't there.
    """
    from textvae import device as devices
    from textvae import runs
    from textvae.errors import StoreError
    from textvae.store import USUAL, Store
    from textvae.writing.writer import Writer

    folder = Path(path)
    store = Store(folder.parent, folder.name)
    if folder.parent == Path() and not folder.is_dir():  # a name alone, as commands take it
        raise StoreError(f"there is no folder {folder}",
                         f"give the pipeline's folder in the store, such as {USUAL / folder}")
    with runs.reading(store, run) as chosen:
        tokens, trained = (runs.load(store, stage, chosen.number) for stage in ("tokens", "sequence_vae"))
        # A run that came from elsewhere, or was stopped before its end, may be without.
        latents = runs.load(store, "latents", chosen.number) if "latents" in chosen.stages else None
    devices.use(device, few=few)
    return Writer.of(tokens, trained, f"{store.pipeline}/{chosen.number}", latents)
