"""How well the model predicts the test split, and how much of that goes through z."""

import numpy as np

from textvae import metrics
from textvae.device import on_gpu
from textvae.evaluate.information import information
from textvae.evaluate.subject import Metrics, Subject, entry

AT_ONCE = 2_000  # samples of a sequence scored at once: each holds a softmax over the vocabulary
ON_GPU = 8_000  # the same there, of several sequences: calls cost more than products do
COUNT = "a sequence's predictions are its tokens and one end of sequence, never padding or begin"


def likelihood(subject: Subject) -> Metrics:
    """Measure reconstruction, KL, ELBO, importance-weighted bound, mutual information and active units."""
    q = subject.posterior
    mean = q["mean"]
    lengths = np.array([len(sequence) + 1 for sequence in subject.sequences], np.float64)
    rebuilt, per_dimension = _terms(subject)
    kl = per_dimension.sum(axis=1)
    seed = subject.child("bootstrap")
    said = information(subject.writer.network, q, seed=subject.child("information"))
    how = "in closed form" if subject.writer.exact_kl else "estimated from that z"
    squares = np.asarray(mean, np.float64)
    parts = np.concatenate([np.ones((len(mean), 1)), squares, squares**2], axis=1)
    over = f"over {len(lengths):,} test sequences"
    found = {
        "test_sequences": entry(float(len(lengths)), "sequences", "test sequences that reconstruction, KL, BLEU and "
                                f"the rest are measured on, of {len(subject.tokens.rows('test')):,}"),
        "test_predictions": entry(float(lengths.sum()), "predictions", f"predictions in them: {COUNT}"),
        "reconstruction": entry(metrics.mean(rebuilt, seed=seed), "nats/sequence",
                                f"-log p(x|z), one z ~ q(z|x) each, {over}"),
        "kl": entry(metrics.mean(kl, seed=seed), "nats/sequence", f"KL(q(z|x) || p(z)), {how}, {over}"),
        "elbo_nll": entry(metrics.mean(rebuilt + kl, seed=seed), "nats/sequence",
                          "reconstruction + KL: the negative ELBO, an upper bound on -log p(x)"),
        "elbo_ppl": entry(metrics.ratio(rebuilt + kl, lengths, seed=seed, exponential=True), "perplexity",
                          f"exp(ELBO NLL per prediction); {COUNT}"),
        **_importance_weighted(subject, rebuilt + kl),
        "mutual_information": entry(metrics.mean(said, seed=seed), "nats",
                                    f"I_q(x; z) with the aggregated posterior {over}, at most log n = "
                                    f"{np.log(len(lengths)):.2f} (Hoffman & Johnson 2016; estimator of He et al. 2019);"
                                    " the interval keeps the aggregated posterior"),
        "active_units": entry(metrics.estimate(parts, metrics.active_units, seed=seed), "dimensions",
                              f"of {mean.shape[1]} latent dimensions, those whose posterior mean has a variance above "
                              f"0.01 {over} (Burda et al. 2016)"),
    }
    if per_dimension.shape[1] > 1:  # else all dimensions share it
        found["kl_per_dimension"] = entry(per_dimension.mean(axis=0).tolist(), "nats",
                                          f"mean KL of each latent dimension {over}")
    return found


def iw_nll(subject: Subject) -> np.ndarray:
    """The importance-weighted bound of each sequence in nats, float64 [sequences]; their mean is the IW-NLL."""
    rebuilt, per_dimension = _terms(subject)
    return _bounds(subject, rebuilt + per_dimension.sum(axis=1))[0]


def _terms(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """-log p(x|z) of one z ~ q(z|x) each, float64 [sequences], and the KL, float64 [sequences, latent]."""
    z = subject.writer.draw(subject.posterior, subject.rng("posterior"))
    return (np.asarray(subject.writer.score(subject.sequences, z, subject.label), np.float64),
            subject.writer.nats(subject.posterior, z, subject.label))


def _bounds(subject: Subject, negative_elbo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measure the bound of ``iw_sequences`` sequences, and with ``negative_elbo``, float64 [all], that of all.

    What the bound takes off a sequence's negative ELBO hardly differs between sequences, where the ELBO itself does by
    tens of nats. So the difference is measured on some and the ELBO on all: a regression estimator (Cochran 1977,
    chapter 7), with the residuals of those that were measured in the interval.

    Returns:
        The bound of each sequence, float64 [all], and the difference of those on which it was measured, float64 [some].
    """
    samples = subject.config.iw_samples
    picked = subject.pick(np.arange(len(subject.sequences)), subject.config.iw_sequences, "iw")
    rng = subject.rng("importance")
    bounds, elbos = np.zeros(len(picked)), np.zeros(len(picked))
    most, at_once = (ON_GPU, max(1, ON_GPU // samples)) if on_gpu() else (AT_ONCE, 1)
    for start in range(0, len(picked), at_once):
        rows = picked[start:start + at_once]
        filled = np.resize(rows, min(at_once, len(picked)))  # XLA compiles once for each number of sequences
        sequences = [subject.sequences[row] for row in filled]
        q = {name: values[filled] for name, values in subject.posterior.items()}
        log_weights = np.concatenate([
            subject.writer.log_weights(sequences, q, part, rng, subject.label[filled])
            for part in _parts(samples, most)], axis=1)[:len(rows)]
        bounds[start:start + at_once] = metrics.importance_weighted(log_weights)
        elbos[start:start + at_once] = -log_weights.mean(axis=1)
    gap = elbos - bounds
    if len(picked) == len(negative_elbo):
        return bounds, gap
    nats = negative_elbo - gap.mean()
    nats[picked] -= (gap - gap.mean()) * len(nats) / len(picked)
    return nats, gap


def _importance_weighted(subject: Subject, negative_elbo: np.ndarray) -> Metrics:
    samples, seed = subject.config.iw_samples, subject.child("bootstrap")
    nats, gap = _bounds(subject, negative_elbo)
    lengths = np.array([len(sequence) for sequence in subject.sequences])
    how = f"with {samples:,} importance samples from q(z|x), over {len(lengths):,} test sequences"
    if len(gap) < len(lengths):
        how += f": their negative ELBO, less the {gap.mean():.3g} nats it is lower by on {len(gap):,} of them"
    return {
        "iw_nll": entry(metrics.mean(nats, seed=seed), "nats/sequence",
                        f"importance-weighted bound on -log p(x) (Burda et al. 2016) {how}"),
        "iw_gap": entry(metrics.mean(gap, seed=seed), "nats/sequence",
                        "by how much it is lower than the negative ELBO from the same samples, over "
                        f"{len(gap):,} test sequences"),
        "iw_ppl": entry(metrics.ratio(nats, lengths + 1.0, seed=seed, exponential=True), "perplexity",
                        f"exp(IW-NLL per prediction), {how}; {COUNT}"),
    }


def _parts(whole: int, most: int) -> list[int]:
    return [min(most, whole - start) for start in range(0, whole, most)]
