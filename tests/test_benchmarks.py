"""The benchmarks' yardsticks are fair and learn, the turns are turns, and the page is what the results say."""

import importlib.util
import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from networks import tokens as made
from networks import trained

from benchmarks import (
    augmentation,
    background,
    conditions,
    corpora,
    fluency,
    of_run,
    page,
    priors,
    remedies,
    rows,
    turns,
    variations,
)
from benchmarks.machine import RESULTS, describe
from textvae import config
from textvae.errors import TextvaeError

needs_torch = pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="needs PyTorch")
SIZES = {"batch": 4, "steps": 6, "hidden": 8}


def counting(start):
    """A subject: counts its turns, and fails where it starts below zero."""
    if start < 0:
        raise ValueError("below zero")
    print("a library that prints must not disturb the answers")
    yield {"began": start} if start else {"skipped": "nothing to count from"}
    while True:
        start += 1
        yield {"count": float(start)}


@pytest.fixture(autouse=True)
def one_thread():
    """PyTorch's threads wait for one another, which takes seconds where the processor is busy."""
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(1)


@pytest.fixture(scope="module")
def tiny():
    """Sequences of 2 to 6 tokens of 20, where every token follows from the one before."""
    sequences = [[4 + (first + step) % 16 for step in range(2 + length)] for length in range(5) for first in range(16)]
    return made(sequences, range(len(sequences)), [0] * len(sequences), size=20)


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("tokens")
    tiny.save(path)
    return str(path)


def test_trainings_that_were_stopped_go_on_where_they_were(tmp_path):
    path, head, made = tmp_path / "convergence.json", turns.measures("three epochs"), [{"seed": 1}, {"seed": 2}]
    path.write_text(json.dumps({**head, "runs": made}))
    assert turns.begun(path, head, "runs", 3) == made
    assert turns.begun(path, head, "runs", 2) == []  # a whole one is measured anew
    assert turns.begun(path, turns.measures("two epochs"), "runs", 3) == []
    assert turns.begun(path, {**head, "stage_version": head["stage_version"] + 1}, "runs", 3) == []


@pytest.mark.parametrize("cores", [2, 64])
def test_subjects_take_turns_in_processes_of_their_own(cores, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr("os.cpu_count", lambda: cores)  # many of them warm up side by side
    subjects = [turns.Subject(str(start), "test_benchmarks:counting", {"start": start}) for start in (1, 10, 0)]
    found = turns.measure(subjects, 3)
    assert found["1"] == {"warm_up": {"began": 1},
                          "count": {"median": 3.0, "min": 2.0, "max": 4.0, "all": [2.0, 3.0, 4.0]}}
    assert found["10"]["count"]["all"] == [11.0, 12.0, 13.0]
    assert found["0"] == {"skipped": "nothing to count from"}
    with pytest.raises(RuntimeError, match="the worker of broken ended"):
        turns.measure([turns.Subject("broken", "test_benchmarks:counting", {"start": -1})], 1)


def test_a_sample_is_whole_batches_of_one_length_and_mixed_as_the_corpus(tiny):
    rows = corpora.sample(tiny, 4, 10)
    lengths = tiny.lengths[rows]
    assert len(set(rows)) == 40
    assert np.bincount(lengths).tolist() == [0, 0, 8, 8, 8, 8, 8]
    assert set(tiny.lengths[corpora.sample(tiny, 4, 10, shortest=3, longest=4)]) == {3, 4}


def test_a_row_is_held_against_the_fastest_yardstick():
    measured = {name: turns.spread([{"rate": rate} for rate in rates])
                for name, rates in {"ours": [40.0, 60.0, 50.0], "slow": [5.0] * 3, "fast": [20.0] * 3}.items()}
    asked = {"number": "rate", "ours": "ours", "must": 2, "aim": 3}
    own = rows.row("work", "x/s", measured, yardsticks=("slow", "fast"), **asked)
    assert own["yardstick"]["subject"] == "fast"
    assert (own["value"], own["range"], own["reached"]) == (2.5, [2.0, 3.0], "must")
    assert "skipped" in rows.row("work", "x/s", {**measured, "fast": {"skipped": ""}}, yardsticks=("fast",), **asked)


@needs_torch
def test_both_sides_count_the_same_tokens(folder, tiny):
    from benchmarks import ours, yardsticks

    facts = [next(yardsticks.training(folder, **SIZES, style=style)) for style in yardsticks.STYLES]
    sample = corpora.sample(tiny, SIZES["batch"], SIZES["steps"])
    counted = corpora.predictions(tiny, sample)
    assert {own["predictions"] for own in facts} == {counted}
    # What each side's loss runs over is what is counted.
    sequences = yardsticks.tensors(tiny, sample)
    for targets in ([arrays["target"] for arrays in ours.epochs(tiny, sample, 4)(1)],
                    [yardsticks.shifted(*batch)[1].numpy() for batch in
                     yardsticks.packed_batches(sequences, 4, np.random.default_rng(1))],
                    [yardsticks.shifted(*batch)[1].numpy() for batch in yardsticks.equal_batches(sequences, 4)]):
        assert sum(int((target != 0).sum()) for target in targets) == counted
        assert sum(int((target == 2).sum()) for target in targets) == len(sample)


@needs_torch
@pytest.mark.parametrize("style", ["packed", "equal"])
def test_the_yardstick_learns(tiny, style):
    from benchmarks import yardsticks

    sequences = yardsticks.tensors(tiny, tiny.rows("train"))
    epoch = yardsticks.trainer(sequences, 20, batch=16, hidden=32, style=style)
    losses = [np.mean(epoch(number)) for number in range(40)]
    assert losses[-1] < 0.6 * losses[0]


@needs_torch
def test_both_styles_compute_one_loss(tiny):
    import torch

    from benchmarks import yardsticks

    torch.manual_seed(1)
    model = yardsticks.LSTMVAE(20, 8)
    # No noise, so that both see one z.
    torch.nn.init.zeros_(model.log_var.weight)
    torch.nn.init.constant_(model.log_var.bias, -60.0)
    batch = yardsticks.equal_batches(yardsticks.tensors(tiny, tiny.rows("train")), 16)[2]
    packed, equal = (loss(model, batch) for loss in (yardsticks.packed_loss, yardsticks.equal_loss))
    assert packed[0].item() == pytest.approx(equal[0].item(), rel=1e-5)
    assert packed[1].item() == pytest.approx(equal[1].item(), rel=1e-5)


@needs_torch
def test_the_yardsticks_bound_is_exact_where_z_says_nothing(tiny):
    import torch

    from benchmarks import yardsticks

    torch.manual_seed(1)
    model = yardsticks.LSTMVAE(20, 8)
    with torch.no_grad():  # q(z|x) is the prior, and no output depends on z
        for layer in (model.mean, model.log_var, model.start):
            layer.weight.zero_()
            layer.bias.zero_()
        model.decoder.weight_ih_l0[:, -yardsticks.LATENT:] = 0
        batch = yardsticks.equal_batches(yardsticks.tensors(tiny, tiny.rows("train")), 4)[5]
        bound = yardsticks.importance_weighted(model, batch, 7, 3)
        nll, kl = yardsticks.equal_loss(model, batch)
    assert kl.item() == pytest.approx(0, abs=1e-5)
    assert bound.sum().item() == pytest.approx(nll.item(), rel=1e-5)


@needs_torch
def test_the_yardstick_draws_from_the_nucleus():
    import torch

    from benchmarks import yardsticks

    torch.manual_seed(1)
    logits = torch.log(torch.tensor([[0.05, 0.5, 0.05, 0.3, 0.1]])).repeat(2000, 1)
    drawn = torch.bincount(yardsticks.nucleus(logits, 0.75), minlength=5) / 2000
    assert drawn[[0, 2, 4]].sum() == 0
    assert drawn[1].item() == pytest.approx(0.625, abs=0.04)


@needs_torch
@pytest.mark.parametrize("kind", ["embedding_vae", "latent_transformer", "word_transformer"])
def test_the_small_yardsticks_are_as_large_as_ours(kind):
    from networks import SETTINGS, build

    from benchmarks import yardstick_networks as yardsticks

    own = dict(SETTINGS[kind])
    sizes = {"embedding_vae": lambda: yardsticks.EmbeddingVAE(own["dim"], own["hidden"], own["latent"]),
             "latent_transformer": lambda: yardsticks.LatentTransformer(**own),
             "word_transformer": lambda: yardsticks.WordTransformer(**own)}
    trained = sum(part.numel() for part in sizes[kind]().parameters())
    assert trained == sum(math.prod(variable.shape) for variable in build(kind).trainable_variables)


def test_the_page_is_fresh_and_says_only_what_was_measured():
    written = page.PAGE.read_text(encoding="utf-8")
    assert written == page.text(), "docs/performance.md is stale: python -m benchmarks table"
    for path, tables in page.TABLES.items():
        own = path.read_text(encoding="utf-8")
        assert own == tables(own), f"{path} is stale: python -m benchmarks table"
    training, varied = (path.read_text(encoding="utf-8") for path in (page.TRAINING, page.VARIATIONS))
    assert varied.count(page.BEGIN) == 1 and varied.count(page.END) == 4 and "n-gram refill" in varied
    assert training.count(page.END) == 4
    assert training.count(page.BEGIN) == training.count(page.BEGIN_PRIORS) == training.count(page.BEGIN_FLUENCY) == 1
    assert "| IW-NLL" in training
    for path in RESULTS.glob("*.json"):
        assert not json.loads(path.read_text(encoding="utf-8")).get("quick"), f"{path.name} is a quick check's"


def test_simple_ways_change_what_they_say_and_the_judges_see_it():
    sequences = np.random.default_rng(0).integers(4, 10, (60, 5)).tolist()
    held = made(sequences, list(range(60)), [0] * 50 + [2] * 10)
    held = replace(held, tokenizer={"level": "whitespace", "words": ["cat", "dog", "ran", "sat", "far", "here"],
                                    "lowercase": False, "size": 10})
    judges = variations.Judges(held, spaced=True)
    sources = ["cat dog ran sat far", "dog ran sat far here"]
    for way in (variations.easy, variations.refilled):
        groups = way(judges, sources, 0.2)
        assert [len(group) for group in groups] == [5, 5] and groups == way(judges, sources, 0.2)
        one = [sum(a != b for a, b in zip(text.split(), sources[0].split(), strict=False)) for text in groups[0]]
        assert all(abs(len(text.split()) - 5) <= 1 for group in groups for text in group) and max(one) > 0
    same = variations.measured(judges, sources, [[source] * 5 for source in sources])
    assert same["content"]["value"] == pytest.approx(1.0) and same["identical"]["value"] == 1.0
    assert same["diversity"]["value"] == pytest.approx(0.0, abs=1e-6) and same["to_real"] == pytest.approx(1.0)
    assert same["all_distinct"]["value"] == 0.0 and same["came"] == 1.0
    # What follows another word than before: met by the judges, or with a word that they never met.
    new = background.of_new(judges, sources, [["cat dog ran sat far", "cat dog ran sat far sat"], ["dog ran sat cow"]])
    assert new["unmet"]["value"] == 0.5 and 0 < new["new_nats"]["value"] < 20
    assert judges.step_nats(["dog", "cow"], 1) > judges.step_nats(["dog", "ran"], 1) > 0 < judges.step_nats(["dog"], 1)
    other = variations.measured(judges, sources, [["far far far"], ["here cat", "cat cat cat"]])
    assert other["content"]["value"] < 0.9 and other["diversity"]["value"] > 0 and other["came"] == pytest.approx(0.3)


def test_conditions_are_drawn_and_looked_for_by_plain_search():
    rng = np.random.default_rng(1)
    source = "the cat sat on the mat ."
    for kind in conditions.KINDS:
        for own in (conditions.drawn(source, kind, ["the", "dog"], rng) for _ in range(20)):
            assert [name for name in ("must", "avoid", "max_words") if getattr(own, name)] == kind.split(", ")
            assert own.must in ((), ("dog",)) and set(own.avoid) <= set(source.split())
            assert not conditions.met(source, own) or own.max_words == 7
    some = conditions.Conditions(must=("dog",), avoid=("cat",), max_words=3)
    assert conditions.met("Dog, catty!", some) and conditions.met("a dog", conditions.Conditions(must=("Dog",)))
    assert not any(conditions.met(text, some) for text in ("a dogma", "the dog, cat", "a dog sat down"))


def test_augmentation_is_measured_on_texts_that_were_not_learnt_from():
    table = [f"good {i}" for i in range(9)] + [f"bad {i}" for i in range(9)], ["+"] * 9 + ["-"] * 9
    few = augmentation.drawn(table, 3, 1)
    assert sorted(few[1]) == ["+"] * 3 + ["-"] * 3 and len(set(few[0])) == 6 and few == augmentation.drawn(table, 3, 1)
    assert few != augmentation.drawn(table, 3, 2)
    predicted = augmentation.regression(augmentation.bare(few), few, ["a good one", "a bad one"])
    assert predicted == ["+", "-"] and augmentation.scored(predicted, ["+", "+"])["accuracy"] == 0.5
    judges = SimpleNamespace(counts={"good": 2, "bad": 1}, cut=lambda texts: [text.split() for text in texts])
    texts, labels, places = augmentation.eased(judges, few, 2)
    assert (texts[:6], labels[:6], places[:6]) == augmentation.bare(few) and places[6:] == sorted([*range(6)] * 2)
    assert [labels[place] for place in places] == labels
    draws = [{"none": {"accuracy": 0.5}, "more": {"accuracy": 0.5 + gain}} for gain in (0.1, 0.3)]
    assert augmentation.summed(draws)["more"]["accuracy"]["gain"]["value"] == pytest.approx(0.2)
    assert augmentation.measured({"commit": "a", "scores": draws}, "a") == draws
    assert augmentation.measured({"commit": "a", "scores": draws}, "b") == augmentation.measured({}, "a") == []


def test_what_other_numbers_of_texts_gave_stays_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(of_run, "RESULTS", tmp_path)
    record = {"run": 1, "machine": "here", "found": {"50": {}}}
    assert of_run.kept("some", record, but=("found", "machine")) == {}
    of_run.written("some", record)
    assert of_run.kept("some", {**record, "machine": "there", "found": {}}, but=("found", "machine")) == {"50": {}}
    assert of_run.kept("some", {**record, "run": 2}, but=("found", "machine")) == {}


def test_the_table_of_a_year(tmp_path):
    bound = {"name": "iw_nll", "before": 100.0, "after": 101.0}
    weeks = [{"week": 1, "bad": False, "result": "promoted", "why": "", "bytes": 2**20, "gate": [bound],
              "history": [104.0, 102.0, 101.0], "cold": [110.0, 105.0, 102.0, 103.0]},
             {"week": 2, "bad": True, "result": "not promoted", "why": "strange", "bytes": 2**21, "gate": [],
              "history": []},
             {"week": 3, "bad": False, "result": "promoted", "why": "", "bytes": 2**20,
              "gate": [{**bound, "before": 101.0, "after": 99.0}], "history": [104.0], "cold": [103.0]}]
    record = {"weeks": weeks, "machine": {"cpu": "a chip", "cores": 2, "load": [0.1], "packages": {}}}
    (tmp_path / "retraining-year.json").write_text(json.dumps(record))
    new = page.retraining(f"Before.\n{page.BEGIN}{page.END}", tmp_path)
    assert ("**3 weeks of 18F's posts**: 2 runs promoted, held-out IW-NLL 100 before the first of them and 99 after "
            "the last; at most +1.00% from one to the next. The store had 2 MiB at most.") in new
    assert "| 2 | a bad batch | not promoted | strange |" in new and "| 1 | 102, 4 | 2 |" in new
    assert "| 3 | 103, 1 | not in 1: 104 |" in new and page.retraining(new, tmp_path) == new


def test_a_fitted_prior_is_held_against_the_standard_one(tmp_path):
    from textvae import config, nn
    from textvae.nn.weights import gather

    learnt = trained("sequence_vae")
    settings = {**learnt.settings, "posterior": "gaussian", "prior": "standard", "labels": [], "constraints": []}
    plain = replace(learnt, settings=settings, weights=gather(nn.NETWORKS["sequence_vae"](**settings, seed=1)))
    own = replace(made([[4 + i % 7, 5, 6 + i % 5] for i in range(60)], range(60), [i % 3 for i in range(60)]),
                  tokenizer={"level": "whitespace", "size": 11, "words": list("abcdefg"), "lowercase": False})
    how = config.EvaluationConfig(samples=6, iw_samples=2, iw_sequences=5)
    found, _ = priors.measured(plain, own, how)
    kl = {name: side["metrics"]["kl"]["value"] for name, side in found.items()}
    assert kl["fitted"] < kl["standard"], "an untrained posterior is far from a standard normal"
    with pytest.raises(TextvaeError, match="Gaussian"):
        priors.measured(learnt, own, how)
    record = {"pipeline": "few", "priors": found, "machine": describe()}
    (tmp_path / "priors-few.json").write_text(json.dumps(record))
    written = page.training(f"{page.BEGIN}{page.END}{page.BEGIN_PRIORS}{page.END}", tmp_path)
    assert "| `few`, standard | `few`, fitted |" in written and "IW-NLL" in written


def test_fluency_is_measured_at_every_share_by_a_network_that_has_some(tmp_path):
    from textvae import config, nn
    from textvae.nn.weights import gather

    learnt = trained("sequence_vae")
    settings = {**learnt.settings, "labels": [], "constraints": [], "latent_dropout": 0.1}
    fluent = replace(learnt, settings=settings, weights=gather(nn.NETWORKS["sequence_vae"](**settings, seed=1)))
    own = replace(made([[4 + i % 7, 5, 6 + i % 5] for i in range(60)], range(60), [i % 3 for i in range(60)]),
                  tokenizer={"level": "whitespace", "size": 11, "words": list("abcdefg"), "lowercase": False})
    how = config.EvaluationConfig(samples=6, sources=2, variations=1)
    vectors = np.random.default_rng(1).standard_normal((11, 3), np.float32)
    found = fluency.measured(fluent, own, vectors, how)
    assert list(found) == ["0", "0.15", "0.3", "0.45", "0.6", "0.75", "1"]
    assert found["0"]["sample_forward_ppl"] != found["1"]["sample_forward_ppl"]
    assert found["0"]["real_forward_ppl"] == found["1"]["real_forward_ppl"]
    with pytest.raises(TextvaeError, match="without latent_dropout"):
        fluency.measured(learnt, own, vectors, how)
    record = {"pipeline": "few", "shares": found, "machine": describe()}
    (tmp_path / "fluency-few.json").write_text(json.dumps(record))
    written = page.training(f"{page.BEGIN}{page.END}{page.BEGIN_FLUENCY}{page.END}", tmp_path)
    assert "| `few`, fluency | 0 | 0.15 | 0.3 | 0.45 | 0.6 | 0.75 | 1 | real texts |" in written


def test_the_table_of_remedies(tmp_path):
    metric = {"value": 101.25, "low": 99.0, "high": 103.0}
    record = {"method": "How.", "machine": {"cpu": "a chip", "cores": 2, "load": [0.1], "packages": {"keras": "3"}},
              "remedies": [{"variant": "nothing", "metrics": dict.fromkeys(remedies.METRICS, metric)}]}
    (tmp_path / "remedies.json").write_text(json.dumps(record))
    (tmp_path / "quality-blog.json").write_text((RESULTS / "quality-blog.json").read_text(encoding="utf-8"))
    old = f"Before.\n{page.BEGIN}x\n{page.END}Then.\n{page.BEGIN_REMEDIES}stale\n{page.END}After.\n"
    new = page.training(old, tmp_path)
    assert new.startswith("Before.\n") and new.endswith(f"| nothing{' | 101.2 [99, 103]' * 5} |\n\n{page.END}After.\n")
    assert "How. a chip, 2 cores" in new and "stale" not in new and page.training(new, tmp_path) == new


def test_the_table_of_backgrounds(tmp_path):
    metric = {"value": 0.75, "low": 0.7, "high": 0.8}
    own = {"variant": "the blog alone", "sources": 50, "tokens": {"sequences": {"train": 1186}}, "new_nats": metric,
           "unmet": metric, "content": metric, "diversity": metric, "mi": 0.25}
    record = {"method": "How.", "machine": {"cpu": "a chip", "cores": 2, "load": [0.1], "packages": {"keras": "3"}},
              "backgrounds": [own]}
    (tmp_path / "background.json").write_text(json.dumps(record))
    begins = (page.BEGIN, page.BEGIN_CONDITIONS, page.BEGIN_BACKGROUND, page.BEGIN_AUGMENTATION)
    new = page.variations("Before.\n" + "".join(f"{begin}{page.END}" for begin in begins), tmp_path)
    assert f"| the blog alone | 1,186{' | 0.75 [0.7, 0.8]' * 4} | 0.25 |" in new
    assert "How. 50 sources. a chip, 2 cores" in new and page.variations(new, tmp_path) == new
    assert {*background.MEASURES} < {*own}
    for changed in background.VARIANTS.values():
        config.load(corpora.ROOT / "pipelines" / "blog.toml", changed)  # raises where there is no such setting


def test_the_page_of_some_results(tmp_path):
    own = rows.verdict("ratio", 2.5, [2.0, 3.0], 2, 3)
    record = {"method": "How.", "machine": {"cpu": "a chip", "instructions": "avx2", "cores": 2, "load": [0.1],
                                            "packages": {"keras": "3"}},
              "rows": [{"work": "this", "unit": "x/s", "ours": {"subject": "ours", "median": 50, "min": 40, "max": 60},
                        "yardstick": {"subject": "that", "median": 20, "min": 20, "max": 20}, **own}]}
    (tmp_path / "training.json").write_text(json.dumps(record))
    (tmp_path / "quality-blog.json").write_text("{}")
    assert page.text(tmp_path).removeprefix(page.HEAD) == """
## Training the sequence VAE

How.

a chip with avx2, 2 cores, load 0.1 at the start; keras 3.

| work | textvae | yardstick |  | must | aim | reached |
|---|---|---|---|---|---|---|
| this | 50 x/s (40 to 60) | that: 20 x/s | 2.50 times | 2 times | 3 times | yes |
"""
