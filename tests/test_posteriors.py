"""Families of posteriors, and priors: closed forms against Monte Carlo, draws against densities."""

import math

import numpy as np
import pytest

COUNT = 100_000


def family(kind: str, latent: int = 3, **more):
    from textvae.nn.sequence_vae import POSTERIORS

    given = {"mean_gamma": 0.0, "concentration": 6.0, "categories": 4, "relaxation": 0.5, **more}
    layer = POSTERIORS[kind](latent, **given)
    layer(np.zeros((2, 5), np.float32))
    rng = np.random.default_rng(3)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(0, 0.4, variable.shape))
    return layer


def parameters(layer, rows: int = 1) -> dict[str, np.ndarray]:
    summary = np.random.default_rng(5).standard_normal((rows, 5), np.float32)
    return {name: np.asarray(value) for name, value in layer(summary).items()}


def drawn(layer, q, count: int = COUNT, **more) -> np.ndarray:
    noise = np.random.default_rng(7).standard_normal((count, layer.noise), np.float32)
    return np.asarray(layer.sample({name: np.repeat(value, count, axis=0) for name, value in q.items()}, noise, **more))


@pytest.mark.parametrize("kind", ["gaussian", "full", "vmf", "categorical"])
def test_the_kl_in_closed_form_is_that_of_draws(kind):
    layer = family(kind)
    q = parameters(layer)
    z = drawn(layer, q)
    ratios = np.asarray(layer.log_prob(q, z)) - np.asarray(layer.prior_log_prob(z))
    exact = float(np.sum(np.asarray(layer.kl(q))))
    assert exact > 0.3
    assert exact == pytest.approx(ratios.mean(), abs=float(5 * ratios.std() / math.sqrt(COUNT) + 1e-3))


def test_no_draw_of_a_von_mises_fisher_lies_where_there_is_next_to_no_density():
    """In 32 dimensions one draw in 4,096 lay on the way to the opposite pole, and the mean of p/q was that one's."""
    layer = family("vmf", 32, concentration=80.0)
    q = parameters(layer)
    z = drawn(layer, q, 20_000)
    assert (z @ q["mean"][0]).min() > 0.55  # three in a million lie below it
    ratios = np.asarray(layer.prior_log_prob(z)) - np.asarray(layer.log_prob(q, z))
    assert np.logaddexp.reduce(ratios) - math.log(len(z)) < 0.0  # E_q[p/q] is 1 at most


@pytest.mark.parametrize("kind", ["gaussian", "full", "vmf", "categorical"])
def test_mean_and_variance_are_those_of_draws(kind):
    layer = family(kind)
    q = parameters(layer)
    z = drawn(layer, q)
    scale = layer.resultant if kind == "vmf" else 1.0  # a vMF's "mean" is its direction
    assert z.mean(axis=0) == pytest.approx(q["mean"][0] * scale, abs=0.02)
    if kind == "vmf":
        assert z.var(axis=0).mean() == pytest.approx(np.exp(q["log_var"][0, 0]), rel=0.03)
        assert np.linalg.norm(z, axis=1) == pytest.approx(1.0, abs=1e-4)
    else:
        assert z.var(axis=0) == pytest.approx(np.exp(q["log_var"][0]), rel=0.05)


@pytest.mark.parametrize("kind", ["gaussian", "full", "vmf", "categorical"])
def test_without_strength_the_draw_is_what_stands_for_the_sequence(kind):
    layer = family(kind)
    q = parameters(layer, 6)
    z = np.asarray(layer.sample(q, np.ones((6, layer.noise), np.float32), strength=0.0))
    if kind == "categorical":
        groups = q["mean"].reshape(6, 3, 4)
        assert np.array_equal(z.reshape(6, 3, 4).argmax(-1), groups.argmax(-1)) and set(np.unique(z)) == {0.0, 1.0}
    else:
        assert z == pytest.approx(q["mean"], abs=1e-5)


@pytest.mark.parametrize("kind", ["gaussian", "full", "vmf", "categorical"])
def test_log_prob_is_broadcast_over_pairs(kind):
    layer = family(kind)
    q = parameters(layer, 4)
    z = np.asarray(layer.sample(q, np.random.default_rng(1).standard_normal((4, layer.noise), np.float32)))
    pairs = np.asarray(layer.log_prob(q, z[:, None]))
    assert pairs.shape == (4, 4)
    assert np.diagonal(pairs) == pytest.approx(np.asarray(layer.log_prob(q, z)), rel=1e-4)


@pytest.mark.parametrize("kind", ["gaussian", "full", "vmf", "categorical"])
def test_the_standard_prior_holds_the_draws_from_it(kind):
    layer = family(kind)
    noise = np.random.default_rng(2).standard_normal((20_000, layer.noise), np.float32)
    z = np.asarray(layer.prior(noise))
    assert z.shape == (20_000, layer.width)
    assert z.mean(axis=0) == pytest.approx(0.25 if kind == "categorical" else 0.0, abs=0.03)
    assert np.all(np.isfinite(np.asarray(layer.prior_log_prob(z))))


def test_a_sphere_in_three_dimensions_is_as_the_textbooks_have_it():
    layer = family("vmf")
    kappa = 6.0
    q = parameters(layer)
    ours = float(np.asarray(layer.log_prob(q, q["mean"]))[0])
    assert ours == pytest.approx(math.log(kappa / (4 * math.pi * math.sinh(kappa))) + kappa, abs=1e-5)
    assert layer.resultant == pytest.approx(1 / math.tanh(kappa) - 1 / kappa, rel=1e-6)


def test_relaxed_draws_pass_gradients_and_come_near_to_hard_ones():
    layer = family("categorical", relaxation=0.05)
    q = parameters(layer)
    soft, hard = drawn(layer, q, 2000, training=True), drawn(layer, q, 2000)
    assert soft.reshape(-1, 3, 4).sum(-1) == pytest.approx(1.0, abs=1e-5)
    assert np.mean(np.abs(soft - hard)) < 0.03
    assert not np.array_equal(soft, hard)


def test_normalised_means_keep_the_kl_above_its_floor():
    layer = family("gaussian", mean_gamma=0.6)
    summary = np.random.default_rng(5).standard_normal((64, 5), np.float32) * 0.01
    q = layer(summary, training=True)
    mean = np.asarray(q["mean"])
    assert mean.std(axis=0) == pytest.approx(0.6, rel=0.1)
    per_sequence = np.asarray(layer.kl(q)).sum(axis=1).mean()
    assert per_sequence >= 3 * 0.36 / 2 * 0.8


def test_a_mixture_is_the_sum_of_its_gaussians_and_draws_from_them():
    from textvae.nn import priors

    layer = priors.Mixture(2, components=3, seed=1)
    layer.means.assign([[-5.0, 0.0], [0.0, 5.0], [5.0, 0.0]])
    layer.log_vars.assign(np.full((3, 2), -2.0))
    layer.logits.assign(np.log([0.2, 0.3, 0.5]))
    z = np.array([[0.1, 4.8], [2.0, 2.0]], np.float32)
    variance, direct = math.exp(-2.0), np.zeros(2)
    for share, mean in zip((0.2, 0.3, 0.5), np.asarray(layer.means), strict=True):
        direct += share * np.exp(-((z - mean) ** 2).sum(1) / (2 * variance)) / (2 * math.pi * variance)
    assert np.asarray(layer.log_prob(z, None)) == pytest.approx(np.log(direct), rel=1e-4)
    noise = np.random.default_rng(1).standard_normal((30_000, 3), np.float32)
    draws = np.asarray(layer.sample(noise, None))
    shares = [np.mean(np.linalg.norm(draws - mean, axis=1) < 2.5) for mean in np.asarray(layer.means)]
    assert shares == pytest.approx([0.2, 0.3, 0.5], abs=0.01)


def test_a_fitted_mixture_has_the_density_of_its_covariances_and_draws_with_them():
    from scipy.stats import multivariate_normal

    from textvae.nn import priors

    layer = priors.Fitted(2, components=2)
    z = np.array([[0.1, 4.8], [2.0, 2.0]], np.float32)
    assert np.asarray(layer.log_prob(z, None)) == pytest.approx(
        multivariate_normal(np.zeros(2), np.eye(2)).logpdf(z), rel=1e-5), "standard where nothing is fitted"
    means = np.array([[-4.0, 0.0], [3.0, 1.0]])
    covariances = np.array([[[1.0, 0.8], [0.8, 2.0]], [[0.3, -0.2], [-0.2, 0.5]]])
    layer.means.assign(means)
    layer.factors.assign(np.linalg.cholesky(covariances))
    layer.logits.assign(np.log([0.25, 0.75]))
    direct = sum(share * multivariate_normal(mean, covariance).pdf(z)
                 for share, mean, covariance in zip((0.25, 0.75), means, covariances, strict=True))
    assert np.asarray(layer.log_prob(z, None)) == pytest.approx(np.log(direct), rel=1e-4)
    draws = np.asarray(layer.sample(np.random.default_rng(1).standard_normal((40_000, 3), np.float32), None))
    left = draws[:, 0] < 0
    assert left.mean() == pytest.approx(0.25, abs=0.01)
    assert np.cov(draws[~left].T) == pytest.approx(covariances[1], abs=0.02)


def test_log_bessel_neither_under_nor_overflows():
    from scipy.special import ive

    from textvae.nn.posteriors import log_bessel

    for order, x in ((0.5, 0.1), (15.0, 80.0), (31.0, 200.0)):
        assert log_bessel(order, x) == pytest.approx(math.log(ive(order, x)) + x, rel=1e-9)
    assert math.isfinite(log_bessel(255.0, 0.1)) and math.isfinite(log_bessel(15.0, 900.0))
