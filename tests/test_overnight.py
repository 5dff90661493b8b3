"""Short versions of what benchmarks/retraining.py measures in hours: weeks of retrainings, and kills at any moment."""

import random
from pathlib import Path

from benchmarks import retraining
from textvae.data import Post
from textvae.retraining import DECLINED, PROMOTED

WHO = ("The cat", "A dog", "My neighbour", "The old baker", "Nobody", "Our teacher")
DOES = ("sleeps", "sings", "waits", "writes a letter", "looks for bread", "counts the stars")
WHERE = ("in the garden", "under the bridge", "near the sea", "at the market", "behind the house")
WHEN = ("at night", "every morning", "after the rain", "on Sundays", "once a year", "until supper", "in the snow")
# With one number or another, so that no two are alike.
FOREIGN = ("El gato {} duerme debajo de la mesa y nadie lo despierta hasta la noche.",
           "Mañana iremos {} veces al mercado con toda la familia.")
SMALL = retraining.TINY.replace("hidden = 96", "hidden = 16").replace("latent = 16", "latent = 4").replace(
    "epochs = 12", "epochs = 3").replace("warmup_epochs = 3", "warmup_epochs = 1").replace(
    "dim = 64", "dim = 8").replace("latent = 48, epochs = 20", "latent = 6, epochs = 2").replace(
    "sequences = 300", "sequences = 30").replace("iw_sequences = 50, samples = 100", "iw_sequences = 5, samples = 10")


def posts(count: int) -> list[Post]:
    """Posts of five sentences."""
    draw = random.Random(0)
    return [Post(f"{number:03}", " ".join(f"{draw.choice(WHO)} {draw.choice(DOES)} {draw.choice(WHERE)} "
                                          f"{draw.choice(WHEN)}."
                                          for _ in range(5))) for number in range(count)]


def test_weeks_of_retraining_promote_nothing_bad_and_keep_the_store_small(tmp_path: Path):
    foreign = [" ".join(text.format(number) for text in FOREIGN) for number in range(30)]
    *_, record = retraining.year(tmp_path / "site", posts(72), 2, {1: foreign}, SMALL)
    bad, good = record["weeks"]
    assert (bad["bad"], bad["result"], bad["run"]) == (True, DECLINED, None)
    assert "30 of 34 new or changed posts read unlike the others" in bad["why"]
    bound = next(check for check in good["gate"] if check["name"] == "iw_nll")
    assert good["result"] == (PROMOTED if all(check["passed"] for check in good["gate"]) else DECLINED)
    assert good["result"] == DECLINED or bound["after"] < 1.02 * bound["before"]
    assert good["posts"] == 72 and good["history"] and good["bytes"] < 2.5 * bad["bytes"]


def test_retrainings_that_are_killed_end_as_one_that_was_not(tmp_path: Path):
    found = retraining.kills(tmp_path, posts(60), 2, 1, SMALL, longest=4.0, aimed=("sequence_vae",))
    assert found["kills"] == 4 and found["retrainings"] == 2  # two at random times, and one aimed at in each
    assert found["killed_in"]["sequence_vae"] >= 2
    assert found["same_artefacts"] and found["readings"] and found["not_whole"] == []
