"""The stage ``evaluation`` against a tiny network, and its report."""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted import CONFIG, WORDS, corpus

from textvae import evaluate
from textvae.data import CompressedVectors, Evaluation, Latents, Tokens, TrainedNetwork
from textvae.errors import StoreError
from textvae.progress import Progress
from textvae.stages import evaluation


@pytest.fixture(scope="module")
def trained() -> TrainedNetwork:
    from textvae import nn
    from textvae.nn.weights import gather

    network = nn.NETWORKS["sequence_vae"](
        vocabulary=WORDS.size, embedding=4, hidden=6, latent=3, max_length=9, seed=1,
        constraints=[{"name": "cats", "kind": "near", "threshold": 1.0}])
    return TrainedNetwork("sequence_vae", dict(network.settings), gather(network), {"parameters": 10, "best_epoch": 1})


def run(trained: TrainedNetwork, tokens: Tokens, folder: Path, seed: int = 1) -> Evaluation:
    from textvae import nn
    from textvae.nn.weights import gather
    from textvae.writing.writer import Writer

    network = nn.NETWORKS["language_model"](vocabulary=WORDS.size, embedding=4, hidden=6, seed=1)
    lm = TrainedNetwork("language_model", dict(network.settings), gather(network))
    autoencoder = replace(trained, metrics={})

    q = Writer(tokens.tokenizer, trained).posterior([tokens.sequence(row) for row in range(len(tokens))])
    vectors = np.random.default_rng(0).normal(size=(WORDS.size, 3)).astype(np.float32)
    embedding = TrainedNetwork("embedding_vae", {}, {}, {"kl_held_out": 2.5})
    none = TrainedNetwork("latent_transformer", {}, {}, {"trained": False, "reason": "nothing <to> learn"})
    config = replace(CONFIG, iw_samples=2, samples=4, sources=2)
    return evaluation.run(config, tokens, CompressedVectors(vectors, embedding), trained,
                          Latents(q["mean"], q["log_var"]), none, replace(none, kind="word_transformer"), lm,
                          autoencoder, seed=seed, progress=Progress(), scratch=folder)


def test_the_stage_measures_everything_twice_the_same_and_keeps_it(trained: TrainedNetwork, tmp_path: Path,
                                                                   monkeypatch: pytest.MonkeyPatch):
    read: list[tuple[Any, set[int]]] = []
    made = evaluate.Judge.of
    monkeypatch.setattr(evaluate.Judge, "of",
                        lambda subject, rows: read.append((subject.writer, set(rows.tolist()))) or made(subject, rows))
    first = run(trained, corpus(), tmp_path)
    (writer, all_of_it), (_, others) = read
    counted = set(writer.pairs._rows.tolist())
    assert all_of_it == set(corpus().rows("train").tolist()) == counted | others and not counted & others, (
        "who judges variations has not read what their gaps are filled by")
    assert writer.known is None, "nor is the writer told of labels, which a classifier of the same texts judges"
    assert run(trained, corpus(), tmp_path) == first
    for name, own in first.metrics.items():
        assert list(own) == ["value", "low", "high", "unit", "definition"], name
        assert own["definition"] and own["unit"], name
        if own["low"] is not None:
            assert own["low"] <= own["high"], name
    same = ("value", "low", "high")
    assert [first.metrics["autoencoder_bleu"][name] for name in same] == [
        first.metrics["reconstruction_bleu"][name] for name in same]
    assert first.metrics["lm_ppl"]["value"] == pytest.approx(WORDS.size, rel=0.2)  # it has learnt nothing
    assert {"iw_ppl", "lm_nll", "mutual_information", "sample_reverse_ppl", "variation_bleu", "satisfied_cats",
            "embedding_vae_kl"} <= first.metrics.keys()
    assert len(first.metrics["kl_per_dimension"]["value"]) == 3
    assert all(first.texts[name] for name in ("samples", "reconstructions", "variations", "interpolations"))
    assert first.report.count("data:image/png;base64,") == 3
    assert "nothing &lt;to&gt; learn" in first.report
    first.save(tmp_path)
    loaded = Evaluation.load(tmp_path)
    assert loaded.report == first.report and loaded.texts == first.texts
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(StoreError, match=r"metrics\.json"):
        Evaluation.load(tmp_path)


def test_without_a_test_split_nothing_is_measured_on_another(trained: TrainedNetwork, tmp_path: Path):
    done = run(trained, corpus(test=[]), tmp_path)
    assert run(trained, corpus(test=[]), tmp_path, seed=2).texts != done.texts
    assert done.metrics == {}
    assert "no test split" in done.report
    assert done.texts["samples"] and not done.texts["reconstructions"] and not done.texts["variations"]


def test_a_single_short_test_sequence_is_enough(trained: TrainedNetwork, tmp_path: Path):
    done = run(trained, corpus(test=["cat"]), tmp_path)
    assert done.metrics["test_sequences"]["value"] == 1
    assert done.texts["interpolations"] == []


# -- report ----------------------------------------------------------------------------------------------------


def page(found: evaluate.Metrics | None = None, texts: dict[str, Any] | None = None, **kwargs: Any) -> str:
    shown = {"samples": [], "reconstructions": [], "variations": [], "interpolations": [], **(texts or {})}
    number = {"kl": evaluate.entry(1.5, "nats", "a <b>definition</b>")}
    return evaluation.render(number if found is None else found, shown, {"Tokens": "<i>many</i>"},
                             kwargs.get("curves", []), [])


def test_whatever_a_text_holds_the_report_shows_it_as_text():
    evil = "<script>alert('x')</script> & \"quotes\" </td>"
    row = {"text": evil, "distance": 1.0, "nats_per_token": 2.0, "constraints": {"<b>name": 1.0}}
    html = page(texts={
        "samples": [{"text": evil, "nats_per_token": 1.0}],
        "reconstructions": [{"source": evil, "text": evil, "bleu": 1.0, "nats_per_token": 1.0}],
        "variations": [{"source": evil, "variations": [row]}],
        "interpolations": [{"a": evil, "b": evil, "texts": [evil]}]}, curves=[(evil, b"png")])
    assert "<script" not in html and "<b>name" not in html and "<i>many" not in html and "<b>def" not in html
    assert html.count("&lt;script&gt;") >= 9


def test_the_report_says_where_nothing_was_found():
    assert "nothing that differs" in page(texts={"variations": [{"source": "a cat", "variations": []}]})


def test_the_report_needs_nothing_outside_itself():
    html = page(curves=[("Sequence VAE", b"\x89PNG")])
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?\s*(https?:)?//""", html)
    assert re.findall(r'src="([^"]{22})', html) == ["data:image/png;base64,"]
    assert "@import" not in html and "<link" not in html and "<script" not in html


@pytest.mark.parametrize(("value", "shown"), [(0.5, "0.5"), (12345.6, "12,346"), (math.nan, "–"), (-2.0, "-2")])
def test_numbers_read_well(value: float, shown: str):
    assert evaluation.number(value) == shown
