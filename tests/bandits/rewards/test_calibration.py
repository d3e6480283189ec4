"""Simulation-based calibration: worlds drawn from the prior rank uniformly among draws of their posteriors.

Talts, Betancourt, Simpson, Vehtari and Gelman 2018, algorithm 1. Ranks of 1,500 worlds among 19 draws, chi-square with
19 degrees of freedom, refused below p = 0.001: with fixed seeds a false alarm is made once, when seeds are chosen.
"""

import pytest
import torch
from scipy.stats import chisquare

from bandits import LogisticRewardModel, RewardPrior, seeded_generators
from bandits.streams import standard_normal

R, N, D, DRAWS = 1500, 6, 3, 19


def world(base, base_sd, predictor_sd, effect_sd):
    """Features (R, N, D), theta's first coordinate (R,) and linear predictors (R, N) from the prior."""
    stream = torch.Generator().manual_seed(71)

    def normal(*shape):
        return torch.randn(*shape, generator=stream, dtype=torch.float64)

    features, theta = normal(R, N, D), predictor_sd / D**0.5 * normal(R, D)
    predictors = base + base_sd * normal(R, 1) + (features @ theta[..., None])[..., 0] + effect_sd * normal(R, N)
    return features, theta[:, 0], predictors, stream


def theta_draws(posterior):
    """Draws of theta, (R, DRAWS, D): m + z L^-1 has covariance (L L')^-1."""
    noise = standard_normal(DRAWS, torch.ones(R, 1 + D, dtype=torch.bool), seeded_generators(72, R))
    deviations = torch.linalg.solve_triangular(posterior.precision_cholesky, noise, upper=False, left=False)
    return (posterior.coefficients[:, None] + deviations)[..., 1:]


def p_values(posterior, theta, predictors):
    """Of the ranks of theta's first coordinate and of the first text's predictor."""
    drawn = theta_draws(posterior)
    logits = posterior.sample_logits(DRAWS, seeded_generators(73, R))
    ranks = (drawn[..., 0] < theta[:, None]).sum(-1), (logits[..., 0] < predictors[:, :1]).sum(-1)
    return [chisquare(torch.bincount(rank, minlength=DRAWS + 1)).pvalue for rank in ranks]


@pytest.mark.parametrize("effect_sd", [0.0, 0.3])
def test_logistic_posteriors_are_calibrated(effect_sd):
    """At about 50 clicks a text, where Laplace's approximation is good."""
    prior = RewardPrior(base_rate=0.05, logit_sd=0.5, text_effect_sd=effect_sd)
    features, theta, logits, stream = world(prior.base_logit, 0.5, 0.5, effect_sd)
    shown = torch.full_like(logits, 1000)
    posterior = LogisticRewardModel(prior).fit(
        features, shown, torch.binomial(shown, logits.sigmoid(), generator=stream)
    )
    assert min(p_values(posterior, theta, logits)) > 1e-3


@pytest.mark.parametrize("wrong", [RewardPrior(0.05, 0.25, 0.3), RewardPrior(0.05, 0.5, 0.1)])
def test_a_wrong_prior_is_seen(wrong):
    """The check has teeth: half the spread of theta, or a third of that of text effects, is not calibrated."""
    features, theta, logits, stream = world(wrong.base_logit, 0.5, 0.5, 0.3)
    shown = torch.full_like(logits, 1000)
    posterior = LogisticRewardModel(wrong).fit(
        features, shown, torch.binomial(shown, logits.sigmoid(), generator=stream)
    )
    assert min(p_values(posterior, theta, logits)) < 1e-4
