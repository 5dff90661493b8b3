"""A pipeline is found by file, by recipe and by its folder in a store."""

from pathlib import Path

import pytest

from textvae import catalogue
from textvae.config import parse
from textvae.errors import ConfigError, StoreError
from textvae.store import Store


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with one recipe of its own and a store with one pipeline."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "verse.toml").write_text("[tokens]\nlevel = 'word'\n")
    catalogue.remember(parse({"name": "diary", "seed": 9, "corpus": {"path": "notes"}}), Store(Path("models"), "diary"))
    return tmp_path


def test_a_toml_file(here: Path):
    (here / "my.toml").write_text("name = 'own'\nseed = 3\n")
    config, store = catalogue.find("my.toml", Path("models"), ("seed=4", "tokens.level=word"))
    assert (config.name, config.seed, config.tokens.level) == ("own", 4, "word")
    assert store.folder == Path("models/own")
    with pytest.raises(ConfigError, match=r"cannot read the pipeline other.toml"):
        catalogue.find("other.toml", Path("models"))


def test_a_recipe_by_name(here: Path):
    config, store = catalogue.find("verse", Path("elsewhere"))
    assert config.tokens.level == "word" and store.folder == Path("elsewhere/verse")


def test_the_recipes_of_textvae_are_known_everywhere(here: Path):
    shipped = Path(catalogue.__file__).parent.parent / "pipelines"
    assert {path.stem for path in shipped.glob("*.toml")} < catalogue.recipes().keys()


@pytest.mark.parametrize("name", ["models/diary", "models/diary/", "diary"])
def test_a_folder_of_a_store_has_the_settings_of_its_last_run(here: Path, name: str):
    config, store = catalogue.find(name, Path("models"), ("tokens.level=word",))
    assert (config.name, config.seed, config.corpus.path, config.tokens.level) == ("diary", 9, "notes", "word")
    assert store.folder.absolute() == here / "models" / "diary"
    assert catalogue.locate(name, Path("models")).folder.absolute() == here / "models" / "diary"


def test_a_renamed_folder_keeps_its_runs(here: Path):
    (here / "models" / "diary").rename(here / "models" / "journal")
    config, store = catalogue.find("models/journal", Path("models"))
    assert config.name == store.pipeline == "journal"


def test_a_recipe_goes_before_a_stored_pipeline_for_running_and_after_it_for_reading(here: Path):
    catalogue.remember(parse({"name": "verse", "seed": 5}), Store(Path("models"), "verse"))
    assert catalogue.find("verse", Path("models"))[0].seed == 1
    assert catalogue.find("models/verse", Path("models"))[0].seed == 5
    assert catalogue.find("verse", Path("models"), again=True)[0].seed == 1, "its file is edited"
    (here / "pipelines" / "verse.toml").write_text("broken =")
    assert catalogue.locate("verse", Path("models")).pipeline == "verse", "reading does not need the recipe"


def test_a_recipe_of_textvae_has_the_settings_of_its_last_run_for_retraining(here: Path):
    assert catalogue.find("quickstart", Path("models"), again=True)[0].corpus.path == "sample:lee"
    catalogue.remember(parse({"name": "quickstart", "corpus": {"path": "notes"}}), Store(Path("models"), "quickstart"))
    assert catalogue.find("quickstart", Path("models"))[0].corpus.path == "sample:lee"
    config, store = catalogue.find("quickstart", Path("models"), ("seed=4",), again=True)
    assert (config.corpus.path, config.seed, store.folder) == ("notes", 4, Path("models/quickstart"))


def test_an_unknown_name_suggests_the_close_ones(here: Path):
    with pytest.raises(ConfigError, match=r"there is no pipeline 'dairy'.*did you mean diary\?.*verse"):
        catalogue.find("dairy", Path("models"))
    with pytest.raises(ConfigError, match=r"there is no pipeline 'models/nothing'"):
        catalogue.locate("models/nothing", Path("models"))


def test_what_is_too_long_for_a_path_is_no_pipeline(here: Path):
    with pytest.raises(ConfigError, match="there is no pipeline 'xxx"):
        catalogue.locate("x" * 300, Path("models"))


def test_remembering_writes_only_what_changed_and_mends_what_is_damaged(here: Path):
    store, path = Store(Path("models"), "diary"), here / "models" / "diary" / "pipeline.json"
    config = catalogue.find("diary", Path("models"))[0]
    before = path.stat().st_mtime_ns
    catalogue.remember(config, store)
    assert path.stat().st_mtime_ns == before
    path.write_text("{}")
    with pytest.raises(StoreError, match=r"pipeline.json is damaged.*textvae run FILE.toml.* writes it anew"):
        catalogue.find("diary", Path("models"))
    catalogue.remember(config, store)
    assert catalogue.find("diary", Path("models"))[0] == config
