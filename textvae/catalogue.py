"""Which pipelines there are and where: TOML files, recipes by name, and folders of a store."""

import difflib
import errno
from dataclasses import replace
from pathlib import Path

from textvae import config as settings
from textvae.config import PipelineConfig
from textvae.errors import ConfigError, StoreError
from textvae.store import Store

LAST = "pipeline.json"  # the settings of a pipeline's last run, in its folder of the store
HERE = Path(__file__).resolve().parent
SHIPPED = (HERE / "recipes", HERE.parent / "pipelines")  # the recipes that come with textvae: installed, and in a clone


def recipes() -> dict[str, Path]:
    """The pipelines known by name: those in ``./pipelines`` before those that come with textvae."""
    return {path.stem: path for folder in (*SHIPPED, Path("pipelines")) for path in sorted(folder.glob("*.toml"))}


def find(pipeline: str, root: Path, overrides: tuple[str, ...] = (), *, again: bool = False
         ) -> tuple[PipelineConfig, Store]:
    """Find a pipeline and read its settings.

    Args:
        pipeline: A TOML file, the name of a recipe, a folder of a store (``models/blog``), or a name in ``root``.
            The latter two have the settings that they were last run with.
        root: The store, such as ``models/``; a folder of a store brings its own.
        overrides: ``"section.key=value"`` each.
        again: For retraining: a recipe that comes with textvae, which nobody edits, has the settings that it was last
            run with, as its folder has. One in ``./pipelines`` is edited, as any TOML file.

    Raises:
        ConfigError: There is no such pipeline (close names are suggested), or a setting is wrong.
    """
    path, known, store = Path(pipeline), recipes(), _stored(pipeline, root)
    if path.suffix == ".toml" or _is_file(path):
        config = settings.load(path, overrides)
        return config, Store(root, config.name)
    edited = pipeline in known and known[pipeline].resolve().parent not in SHIPPED
    if pipeline in known and (store is None or (path.name == pipeline and (edited or not again))):
        config = settings.load(known[pipeline], overrides)
        return config, Store(root, config.name)
    if store is not None:
        try:
            remembered = store.get(LAST)
        except StoreError as error:  # without it the folder would be no pipeline's
            raise StoreError(error.message, "restore it from a backup; textvae run FILE.toml, or its recipe, writes it "
                             "anew") from error
        config = settings.parse(remembered, overrides, where=str(store.folder / LAST))
        return replace(config, name=store.pipeline), store
    stored = {path.parent.name for path in Path(root).glob(f"*/{LAST}")}
    close = difflib.get_close_matches(path.name, known.keys() | stored, n=1, cutoff=0.5)
    guess = f"did you mean {close[0]}? " if close else ""
    raise ConfigError(f"there is no pipeline {pipeline!r}: no TOML file, no recipe and no folder of a store",
                      f"{guess}recipes: {', '.join(sorted(known)) or 'none'}; in {root}: "
                      f"{', '.join(sorted(stored)) or 'none'}")


def locate(pipeline: str, root: Path) -> Store:
    """Find the store of a pipeline for reading only: a folder of a store, a name in ``root``, else as ``find`` does.

    Raises:
        ConfigError: There is no such pipeline.
    """
    return _stored(pipeline, root) or find(pipeline, root)[1]


def remembered(store: Store) -> PipelineConfig | None:
    """The settings of a pipeline's last run; None where there are none, or none that can be read."""
    try:
        return settings.parse(store.get(LAST), (), where=str(store.folder / LAST))
    except (ConfigError, StoreError):
        return None


def remember(config: PipelineConfig, store: Store) -> None:
    """Keep a pipeline's settings in its store, for those who name the folder instead of the file."""
    plain = settings.as_dict(config)
    try:
        known = store.get(LAST)
    except StoreError:  # missing or damaged: written anew
        known = {}
    if known != plain:
        store.put(LAST, plain)


def _stored(pipeline: str, root: Path) -> Store | None:
    path = Path(pipeline)
    if _is_file(path / LAST):
        return Store(path.absolute().parent, path.absolute().name)
    return Store(root, pipeline) if path.name == pipeline and _is_file(Path(root) / pipeline / LAST) else None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return False  # what was meant is no path
