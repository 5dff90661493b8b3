"""Measure a run on its test split, and write the report."""

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from textvae import evaluate, metrics, plots
from textvae.config import EvaluationConfig
from textvae.data import SPLITS, CompressedVectors, Evaluation, Latents, Tokens, TrainedNetwork
from textvae.evaluate import Metrics, Subject
from textvae.progress import Progress

NO_TEST = ("There is no test split, so nothing was measured. Set tokens.test above 0, or corpus.test to a file or "
           "folder, and run again.")
# What the report shows together; a metric belongs to the first section that a beginning of its name stands under.
SECTIONS = {
    "Likelihood": ("test_", "reconstruction", "kl", "elbo", "iw", "lm_", "autoencoder_"),
    "Latent space": ("mutual_information", "active_units", "kl_per_dimension"),
    "Samples from the prior": ("sample_", "real_"),
    "Variations": ("variation_", "other_", "source_", "shuffled_"),
    "Paths between latents": ("path_",),
    "Constraints and labels": ("satisfied_", "unasked_", "inside_", "judged_", "turned_", "classifier_"),
    "Other models of the pipeline": ("",),
}
# What a transformer over latents must beat; the names are those of ``stages.latent_transformer.evaluate``.
RULES = {"mean": "the training split's mean", "copy": "the latent before", "context": "the mean of the latents before",
         "ridge": "ridge regression on the latent before"}
CAPITALS = {"bleu", "elbo", "iw", "kl", "lm", "mse", "nll", "pca", "ppl", "svd", "vae"}


def run(config: EvaluationConfig, tokens: Tokens, compressed: CompressedVectors, sequence_vae: TrainedNetwork,
        latents: Latents, latent_transformer: TrainedNetwork, word_transformer: TrainedNetwork,
        language_model: TrainedNetwork, autoencoder: TrainedNetwork, *, seed: int, progress: Progress,
        scratch: Path) -> Evaluation:
    """Compute every metric of ``textvae.evaluate`` on the test split, never on another.

    Args:
        config: How much is measured.
        tokens: Every sequence with its split.
        compressed: The compressed word vectors, for the content that a variation keeps.
        sequence_vae: The model.
        latents: Its posteriors, rows aligned with ``tokens``.
        latent_transformer, word_transformer: The other models.
        language_model, autoencoder: What the sequence VAE is held against, where they were trained.
        seed: Parent of every seed used.
        progress: Who watches.
        scratch: Not used.

    Returns:
        Metrics with definitions and intervals, texts, and the report. Without a test split there are no metrics, the
        report says so, and shows samples only.
    """
    from textvae.text.lexicon import Lexicon
    from textvae.text.pairs import Pairs, halves
    from textvae.writing import moves
    from textvae.writing.writer import Writer

    # Told of no labels: what it writes in a constraint's region is judged below by a classifier of the same texts. And
    # of the pairs of one half of the training split alone: trigrams of the other half judge what it fills in.
    counted, others = halves(tokens)
    writer = Writer(tokens.tokenizer, sequence_vae, lexicon=Lexicon.of(tokens), pairs=Pairs(tokens, counted),
                    latents=moves.goals(latents.mean, tokens.rows("train", own=True)))
    subject = Subject(config, tokens, writer, seed)
    pictures = [("Sequence VAE", sequence_vae.plot), ("Embedding VAE", compressed.network.plot),
                ("Latent transformer", latent_transformer.plot), ("Word transformer", word_transformer.plot),
                ("Language model", language_model.plot), ("Autoencoder", autoencoder.plot)]
    found: Metrics = {}
    texts: dict[str, Any] = {"samples": [], "reconstructions": [], "variations": [], "interpolations": []}
    usage: list[tuple[str, bytes]] = []
    if len(tokens.rows("test")):
        with progress.task("measuring on the test split", total=7) as advance:
            found |= evaluate.likelihood(subject)
            advance()
            rebuilt, texts["reconstructions"] = evaluate.reconstruction(subject)
            found |= rebuilt | _baselines(subject, language_model, autoencoder)
            advance()
            judge = evaluate.Judge.of(subject, tokens.rows("train"))
            sampled, texts["samples"], lengths = evaluate.samples(subject, judge)
            found |= sampled
            advance()
            judge = evaluate.Judge.of(subject, others)
            varied, texts["variations"] = evaluate.variations(subject, judge, np.asarray(compressed.vectors))
            found |= varied
            advance()
            found |= evaluate.constraints(subject)
            advance()
            texts["interpolations"] = evaluate.interpolations(subject)
            found |= evaluate.paths(subject)
            found |= _others(subject, compressed, latents, latent_transformer, word_transformer)
            advance()
            usage = _usage(subject, found, lengths)
            advance()
    else:
        progress.say(NO_TEST)
        texts["samples"] = evaluate.sample_rows(subject)
    report = render(found, texts, _facts(subject, sequence_vae, latent_transformer), pictures, usage)
    return Evaluation(found, texts, report)


def _baselines(subject: Subject, language_model: TrainedNetwork, autoencoder: TrainedNetwork) -> Metrics:
    """The language model and the autoencoder of the sequence VAE's size, on the same test sequences."""
    from textvae.stages import word_transformer as stage
    from textvae.writing.model import Model

    found: Metrics = {}
    over, seed = f"over the same {len(subject.rows):,} test sequences", subject.child("bootstrap")
    if language_model.weights:
        nats = stage.scores(language_model, subject.tokens, subject.rows)
        predictions = subject.tokens.lengths[subject.rows] + 1.0
        what = (f"an {language_model.settings['cell'].upper()} language model with the decoder's sizes, dropout "
                f"{language_model.settings['dropout']:g}")
        found["lm_nll"] = evaluate.entry(metrics.mean(nats, seed=seed), "nats/sequence", f"-log p(x) of {what}, {over}")
        found["lm_ppl"] = evaluate.entry(metrics.ratio(nats, predictions, seed=seed, exponential=True), "perplexity",
                                         "exp of the same per prediction")
    if autoencoder.weights:
        other = replace(subject, writer=Model(subject.tokens.tokenizer, autoencoder))
        own, _ = evaluate.reconstruction(other)
        for name in ("bleu", "exact"):
            found[f"autoencoder_{name}"] = {
                **own[f"reconstruction_{name}"],
                "definition": f"a plain autoencoder of the same size: {own[f'reconstruction_{name}']['definition']}"}
    return found


def _others(subject: Subject, compressed: CompressedVectors, latents: Latents, latent_transformer: TrainedNetwork,
            word_transformer: TrainedNetwork) -> Metrics:
    """The models that the writer does not use."""
    from textvae.stages import latent_transformer as latent_stage
    from textvae.stages import word_transformer as word_stage

    tokens, entry, over = subject.tokens, evaluate.entry, "the interval is over posts"
    found = evaluate.vectors(compressed)
    if word_transformer.weights:
        own = word_stage.perplexity(word_transformer, tokens, "test")
        found["word_transformer_ppl"] = entry(
            metrics.Estimate(own["perplexity"], own["low"], own["high"]), "perplexity",
            "per token of the causal transformer over compressed word vectors, over all "
            f"{own['sequences']:,} test sequences; {over}")
    if latent_transformer.weights and len(latent_stage.windows(tokens, "test", 2)):
        own = latent_stage.evaluate(latent_transformer, tokens, latents, "test")
        found["latent_transformer_mse"] = entry(
            own["mse"], "squared deviations", "of the next sequence's posterior mean, per active dimension, in squared "
            f"standard deviations of the training split; {own['targets']:,} test sequences predicted")
        for rule, words in RULES.items():
            found[f"latent_{rule}_mse"] = entry(own[f"mse_{rule}"], "squared deviations", f"the same of {words}")
        found["latent_transformer_gain"] = entry(
            metrics.Estimate(own["gain"], own["gain_low"], own["gain_high"]), "nats/dimension",
            f"by how much its NLL per active dimension lies under that of the best rule, {own['best_rule']}; {over}")
    return found


def render(found: Metrics, texts: dict[str, Any], facts: dict[str, str], curves: list[tuple[str, bytes]],
           usage: list[tuple[str, bytes]]) -> str:
    """Write the report: one HTML page with nothing outside it.

    Args:
        found: As ``Evaluation.metrics``; empty where there is no test split.
        texts: As ``Evaluation.texts``.
        facts: What stands in its head, by name.
        curves: Title and PNG of each training; those without bytes are left out.
        usage: Title and PNG of each picture of the latent space.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True,
                              lstrip_blocks=True, undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters |= {"number": number, "label": label,
                            "picture": lambda png: "data:image/png;base64," + base64.b64encode(png).decode("ascii")}
    return environment.get_template("report.html").render(
        sections=_sections(found), texts=texts, facts=facts, notice="" if found else NO_TEST,
        curves=[item for item in curves if item[1]], usage=[item for item in usage if item[1]])


def number(value: float | None) -> str:
    """Four significant digits, thousands apart.

    Example:
        >>> number(1234567.0), number(81.23456), number(0.000123), number(3.0), number(None)
        ('1,234,567', '81.23', '0.000123', '3', '–')
    """
    if value is None or not np.isfinite(value):
        return "–"
    if abs(value) >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.4g}"


def label(name: str) -> str:
    """A metric's name as prose.

    Example:
        >>> label("elbo_nll"), label("sample_distinct_2")
        ('ELBO NLL', 'sample distinct 2')
    """
    return " ".join(word.upper() if word in CAPITALS else word for word in name.split("_"))


def _sections(found: Metrics) -> list[tuple[str, Metrics]]:
    """The metrics that are single numbers, by section."""
    sections: dict[str, Metrics] = {title: {} for title in SECTIONS}
    for name, own in found.items():
        if not isinstance(own["value"], list):
            title = next(title for title, starts in SECTIONS.items() if name.startswith(starts))
            sections[title][name] = own
    return [(title, own) for title, own in sections.items() if own]


def _facts(subject: Subject, sequence_vae: TrainedNetwork, latent_transformer: TrainedNetwork) -> dict[str, str]:
    tokens, config, settings = subject.tokens, subject.config, sequence_vae.settings
    counts = ", ".join(f"{len(tokens.rows(split)):,} {split}" for split in SPLITS)
    margins = [f", margin {own['margin']:g}" if own.get("margin") else "" for own in settings["constraints"]]
    constraints = ", ".join(f"{own['name']} ({own['kind']}, {own['threshold']:g}{margin})"
                            for own, margin in zip(settings["constraints"], margins, strict=True))
    parameters = sequence_vae.metrics.get("parameters")
    declined = latent_transformer.metrics.get("reason")
    return {
        "Sequences": counts,
        "Tokens": f"{len(tokens.ids):,}, {tokens.tokenizer['level']}, vocabulary of {tokens.vocabulary_size:,}, at "
                  f"most {subject.writer.max_length} a sequence",
        "Sequence VAE": f"{settings['encoder'].upper()} encoder, {settings['decoder'].upper()} decoder, hidden "
                        f"{settings['hidden']}, embedding {settings['embedding']}, z {settings['latent']}"
                        + (f", {parameters:,} parameters" if parameters else ""),
        "Training": f"{len(sequence_vae.history)} epochs, the best is {sequence_vae.metrics.get('best_epoch', '–')}",
        "Constraints": constraints or "none",
        "Sampling": f"temperature {config.temperature:g}, strength {config.strength:g}, seed {subject.seed}",
        **({"Latent transformer": f"not trained: {declined}"} if declined else {}),
    }


def _usage(subject: Subject, found: Metrics, sampled: np.ndarray) -> list[tuple[str, bytes]]:
    mean = subject.posterior["mean"]
    lengths = np.array([len(sequence) for sequence in subject.sequences])
    spread = np.var(mean, axis=0, dtype=np.float64)
    if "kl_per_dimension" in found:  # of discrete variables, each of which has several numbers of the mean
        nats = np.array(found["kl_per_dimension"]["value"])
        active = (spread > metrics.ACTIVE).reshape(len(nats), -1).any(axis=1)
        usage = "KL per latent dimension", plots.dimensions(nats, active, measure="KL in nats")
    else:
        usage = ("Variance of the posterior means per latent dimension",
                 plots.dimensions(spread, spread > metrics.ACTIVE, measure="variance of the means"))
    return [usage,
            ("Posterior means of the test sequences", plots.latent_scatter(mean, lengths)),
            ("Length of test sequences and samples", plots.lengths({"test": lengths, "samples": sampled}))]
