"""Once the sequence VAE is trained: the prior that fits its latents, and how much fluency draws from it need."""

from dataclasses import replace
from typing import Any

import numpy as np

from textvae.data import Tokens, TrainedNetwork
from textvae.progress import Progress
from textvae.seeds import child

MOST = 20_000  # training sequences that it is fitted to, and trigrams are counted in: cost grows with them
OF_PRIOR = "prior/"  # where the paths of its weights begin
SHARES = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75)  # of fluency that samples are tried with
# Nats a token that samples must be likelier than held-out texts, as trigrams of training texts have it. Read on PTB:
# half a nat is words in a row, one is clauses; samples of tweets and of news are there without any fluency.
LIKELIER = 0.8
DRAWN, HELD = 200, 500  # samples at each share, and held-out texts
FLOOR = 1e-3  # added to every variance, so that few texts in many dimensions give a density all the same


def fitted(trained: TrainedNetwork, tokens: Tokens, label: np.ndarray | None, *, most: int, seed: int,
           progress: Progress) -> TrainedNetwork:
    """Give a network the mixture that latents of the validation split are most likely under.

    Mixtures of 1, 2, 4, ... Gaussians with full covariances are fitted by EM to a draw from the posterior of each
    training sequence. Where validation latents are likelier under the standard normal, it stays.

    Args:
        trained: Of kind ``"sequence_vae"``, with the standard prior and a Gaussian posterior.
        tokens: What it was trained on; without a validation split one Gaussian is fitted.
        label: int32 [sequences], as the network takes them; None stands for no labels.
        most: Gaussians at the most.
        seed: For draws, and for the means that EM starts from.

    Reference: Ghosh et al. 2020, section 4.
    """
    from sklearn.mixture import GaussianMixture

    from textvae.writing.model import Model

    model = Model(tokens.tokenizer, trained)
    rng = np.random.default_rng(child(seed, "fitted prior"))

    def draws(rows: np.ndarray) -> np.ndarray:
        if not len(rows):
            return np.zeros((0, model.latent))
        own = None if label is None else label[rows]
        z = model.draw(model.posterior([np.array(tokens.sequence(row)) for row in rows], own), rng)
        # A label moves its prior by as much as it moves the fitted one.
        return (z if own is None else z - trained.weights["sequence_vae/prior_means"][own]).astype(np.float64)

    training, validation = (draws(np.sort(rng.permutation(tokens.rows(split, own=True))[:MOST]))
                            for split in ("train", "validation"))
    standard = float(np.mean(-0.5 * np.sum(np.log(2 * np.pi) + validation**2, axis=1))) if len(validation) else -np.inf
    best: tuple[float, Any] = (standard, None)
    limit = min(most if len(validation) else 1, len(training) // 2)
    with progress.part("prior"):
        for count in (2**power for power in range(limit.bit_length())):
            mixture = GaussianMixture(count, reg_covar=FLOOR, random_state=child(seed, f"mixture-{count}"))
            mixture.fit(training)
            found = float(mixture.score(validation)) if len(validation) else 0.0
            best = max(best, (found, mixture), key=lambda own: own[0])
    mixture = best[1]
    if mixture is None:
        progress.say("sequence_vae: the prior stays a standard normal, under which held-out latents are likeliest")
        return trained
    return _with(trained, mixture, best[0] - standard if len(validation) else None)


def fluency(trained: TrainedNetwork, tokens: Tokens, *, seed: int) -> TrainedNetwork:
    """Find how much fluency samples of a network need, for ``Model.sampling``.

    A draw from the prior may ask the decoder for what no text says, the more so the more z says. Where samples without
    any fluency read well already, more only makes them alike.

    Args:
        trained: Of kind ``"sequence_vae"``, trained with a ``latent_dropout``, and with the prior that samples are
            drawn from.
        tokens: What it was trained on; without a validation split some training texts are held out of the trigrams.
        seed: For draws.

    Returns:
        The network with the metric ``fluency``: the least of ``SHARES`` at which samples are ``LIKELIER``, or the
        greatest.
    """
    from textvae.text.language_model import KneserNey
    from textvae.writing.model import Model
    from textvae.writing.writer import TEMPERATURE

    model = Model(tokens.tokenizer, trained)
    rng = np.random.default_rng(child(seed, "trigrams"))
    training, held = ([tokens.sequence(row).tolist() for row in np.sort(rng.permutation(tokens.rows(split))[:most])]
                      for split, most in (("train", MOST), ("validation", HELD)))
    if not held:
        rng.shuffle(training)
        few = min(HELD, len(training) // 2)
        held, training = training[:max(few, 1)], training[few:]  # one sequence is held against itself
    judge = KneserNey.train(training)
    real = judge.perplexity(held)
    for share in SHARES:
        rng = np.random.default_rng(child(seed, "fluency"))
        options = model.sampling("nucleus", TEMPERATURE, share)
        written = model.write(model.code(model.prior(DRAWN, rng)), options, rng)[0]
        if np.log(real / judge.perplexity(ids.tolist() for ids in written)) >= LIKELIER:
            break
    return replace(trained, metrics={**trained.metrics, "fluency": share})


def unfitted(trained: TrainedNetwork) -> TrainedNetwork:
    """The network beside the prior that it was trained with: as it was before ``fitted``, if that was ever called."""
    if trained.settings.get("prior") != "fitted":
        return trained
    return replace(trained, settings={**trained.settings, "prior": "standard"}, weights={
        path: array for path, array in trained.weights.items() if not path.startswith(OF_PRIOR)})


def _with(trained: TrainedNetwork, mixture: Any, gained: float | None) -> TrainedNetwork:
    parts = {"logits": np.log(mixture.weights_), "means": mixture.means_,
             "factors": np.linalg.cholesky(mixture.covariances_)}
    weights = {f"{OF_PRIOR}{name}": part.astype(np.float32) for name, part in parts.items()}
    gain = {} if gained is None else {"val_prior_gain": gained}  # nats a sequence, over the standard normal
    return replace(trained, settings={**trained.settings, "prior": "fitted", "components": len(mixture.means_)},
                   weights={**trained.weights, **weights}, metrics={**trained.metrics, **gain})
