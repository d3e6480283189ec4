"""Laplace's posterior beside an exact one, by Gibbs sampling (beside quadrature: test_reward_model)."""

import numpy as np
import pytest

from bandits import LogisticRewardModel, RewardPrior

TERMS = 60


def polya_gamma(n, c, stream):
    """Draws of PG(n, c): the sum of gammas of Polson, Scott and Windle 2013, equation 2, its tail at its mean."""
    weights = 1 / (2 * np.pi**2 * ((np.arange(TERMS) + 0.5) ** 2 + (c[:, None] / (2 * np.pi)) ** 2))
    mean = n * np.tanh(c / 2) / (2 * c)
    return (stream.gamma(n[:, None], size=weights.shape) * weights).sum(1) + mean - n * weights.sum(1)


def gibbs(prior, x, n, c, draws, stream):
    """Draws of (b, theta, u), (draws, 1 + d + N), from the exact posterior, after 500 to warm up."""
    N, d = x.shape
    rows = np.c_[np.ones(N), x, np.eye(N)]
    mean = np.r_[prior.base_logit, np.zeros(d + N)]
    precision = (
        1 / np.r_[prior.intercept_sd, np.full(d, prior.logit_sd / d**0.5), np.full(N, prior.text_effect_sd)] ** 2
    )
    place, found = mean, []
    for step in range(draws + 500):
        omega = polya_gamma(n, np.abs(rows @ place) + 1e-9, stream)
        factor = np.linalg.cholesky(rows.T @ (omega[:, None] * rows) + np.diag(precision))
        slope = rows.T @ (c - n / 2) + precision * mean
        place = np.linalg.solve(factor.T, np.linalg.solve(factor, slope) + stream.standard_normal(len(mean)))
        if step >= 500:
            found.append(place)
    return np.array(found)


@pytest.mark.parametrize(
    ("impressions", "rate", "mean_error", "sd_error"),
    [(60, 0.15, 0.2, 0.08), (500, 0.3, 0.12, 0.08)],
)
def test_laplace_is_near_polya_gamma_gibbs(impressions, rate, mean_error, sd_error):
    """Eight texts, three features, an effect each: 12 unknowns, 10 or 170 clicks a text on average.

    Errors are in posterior sds. The least independent of the 4,000 draws are worth about 1,000: standard errors 0.03 of
    means and 0.02 of sds. The rest is Laplace's own: 0.13 and 0.013 at 10 clicks, 0.04 and 0.008 at 170, measured with
    20,000 draws.
    """
    stream = np.random.default_rng(61)
    prior = RewardPrior(base_rate=rate, logit_sd=0.6, text_effect_sd=0.3)
    x, n = stream.standard_normal((8, 3)), np.full(8, float(impressions))
    logits = prior.base_logit + x @ [0.4, -0.2, 0.3] + 0.3 * stream.standard_normal(8)
    c = stream.binomial(impressions, 1 / (1 + np.exp(-logits))).astype(float)
    draws = gibbs(prior, x, n, c, 4000, stream)
    posterior = LogisticRewardModel(prior).fit(x, n, c)
    rows = np.c_[np.ones(8), x, np.eye(8)]
    for ours, sd, exact in (
        (posterior.mean.numpy(), np.sqrt(np.diag(posterior.covariance)), draws),
        (*(part.numpy() ** power for part, power in zip(posterior.logits(), (1, 0.5), strict=True)), draws @ rows.T),
    ):
        np.testing.assert_allclose((ours - exact.mean(0)) / exact.std(0), 0, atol=mean_error)
        np.testing.assert_allclose(sd / exact.std(0), 1, atol=sd_error)
    correlation = np.corrcoef(draws.T)
    ours = posterior.covariance.numpy() / np.outer(*2 * [np.sqrt(np.diag(posterior.covariance))])
    np.testing.assert_allclose(ours, correlation, atol=0.12)


def test_polya_gamma_draws_have_the_known_moments():
    """Mean n tanh(c / 2) / 2 c and variance n (sinh c - c) / (4 c^3 cosh^2(c / 2)); 5 standard errors."""
    stream = np.random.default_rng(62)
    n, c = np.repeat([1.0, 40.0], 20_000), np.full(40_000, 1.3)
    for drawn, count in zip(polya_gamma(n, c, stream).reshape(2, -1), (1, 40), strict=True):
        variance = count * (np.sinh(1.3) - 1.3) / (4 * 1.3**3 * np.cosh(0.65) ** 2)
        assert abs(drawn.mean() - count * np.tanh(0.65) / 2.6) < 5 * np.sqrt(variance / 20_000)
        assert abs(drawn.var() / variance - 1) < 0.07
