"""The posterior is what Laplace's method says it is, and near what it approximates."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_expit
from torch.nn.functional import logsigmoid

from bandits import LogisticRewardModel, RewardPrior
from copyloom import InputError

PRIOR = RewardPrior(base_rate=0.025, logit_sd=0.5, text_effect_sd=0.2)


def log_posterior(parameters, features, impressions, clicks, prior=PRIOR):
    """The model as it is written in the docstring, over (b, theta, u) of one campaign."""
    d = features.shape[1]
    b, theta, u = parameters[0], parameters[1 : 1 + d], parameters[1 + d :]
    logits = b + features @ theta + u
    likelihood = clicks * logsigmoid(logits) + (impressions - clicks) * logsigmoid(-logits)
    return (
        likelihood.sum()
        - 0.5 * (b - prior.base_logit) ** 2 / prior.intercept_sd**2
        - 0.5 * d * (theta**2).sum() / prior.logit_sd**2
        - 0.5 * (u**2).sum() / prior.text_effect_sd**2
    )


def test_gradient_is_zero_at_the_mode(counts):
    posterior = LogisticRewardModel(PRIOR).fit(*counts)
    for s, data in enumerate(zip(*counts, strict=True)):
        mode = posterior.mean[s].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(log_posterior(mode, *data), mode)
        assert gradient.abs().max() < 1e-8


def test_covariance_is_the_inverse_of_the_negative_hessian_at_the_mode(counts):
    posterior = LogisticRewardModel(PRIOR).fit(*counts)
    for s, (x, n, c) in enumerate(zip(*counts, strict=True)):
        hessian = torch.autograd.functional.hessian(
            lambda q, x=x, n=n, c=c: log_posterior(q, x, n, c), posterior.mean[s]
        )
        torch.testing.assert_close(posterior.covariance[s], torch.linalg.inv(-hessian), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("impressions", "error"), [(2_000, 0.15), (50_000, 0.03), (2_000_000, 0.005)])
def test_intercept_alone_agrees_with_quadrature_ever_better(impressions, error):
    """One text without features or effect of its own: the exact posterior is a 1-d integral.

    Laplace's error in the mean is of the order of skewness / 6 posterior sds, skewness ~ 1 / sqrt(clicks);
    the bounds are about 1 / sqrt(clicks), with clicks 3 % of impressions.
    """
    prior = RewardPrior(base_rate=0.02, text_effect_sd=0)
    clicks = round(0.03 * impressions)
    posterior = LogisticRewardModel(prior).fit(np.zeros((1, 1)), [impressions], [clicks])
    mean, sd = posterior.coefficients[0].item(), posterior.covariance[0, 0].sqrt().item()
    grid = np.linspace(mean - 10 * sd, mean + 10 * sd, 4001)
    log_density = clicks * log_expit(grid) + (impressions - clicks) * log_expit(-grid)
    log_density -= 0.5 * ((grid - prior.base_logit) / prior.intercept_sd) ** 2
    density = np.exp(log_density - log_density.max())
    exact_mean = (grid * density).sum() / density.sum()
    exact_sd = np.sqrt(((grid - exact_mean) ** 2 * density).sum() / density.sum())
    assert abs(mean - exact_mean) < error * exact_sd
    assert abs(sd / exact_sd - 1) < error


def test_intercept_and_slope_agree_with_quadrature():
    """Four texts, one feature, no text effects: a 2-d integral, 1,520 clicks (1 / sqrt(clicks) = 0.026)."""
    prior = RewardPrior(base_rate=0.02, logit_sd=0.5, text_effect_sd=0)
    x, n, c = np.array([-1.5, -0.5, 0.5, 1.5]), np.full(4, 16_000), np.array([230, 310, 420, 560])
    posterior = LogisticRewardModel(prior).fit(x[:, None], n, c)
    mean, covariance = posterior.coefficients.numpy(), posterior.covariance[:2, :2].numpy()
    sds = np.sqrt(np.diag(covariance))
    b = np.linspace(mean[0] - 7 * sds[0], mean[0] + 7 * sds[0], 301)[:, None, None]
    theta = np.linspace(mean[1] - 7 * sds[1], mean[1] + 7 * sds[1], 301)[None, :, None]
    eta = b + theta * x
    log_density = (c * np.log(expit(eta)) + (n - c) * np.log(expit(-eta))).sum(-1)
    log_density -= 0.5 * ((b[..., 0] - prior.base_logit) / 0.5) ** 2 + 0.5 * (theta[..., 0] / 0.5) ** 2
    density = np.exp(log_density - log_density.max())
    density /= density.sum()
    points = np.stack(np.broadcast_arrays(b[..., 0], theta[..., 0]), -1)
    exact_mean = (density[..., None] * points).sum((0, 1))
    centred = points - exact_mean
    exact_covariance = np.einsum("ij,ija,ijb->ab", density, centred, centred)
    np.testing.assert_allclose((mean - exact_mean) / sds, 0, atol=0.03)
    np.testing.assert_allclose(covariance / np.outer(sds, sds), exact_covariance / np.outer(sds, sds), atol=0.03)


def test_without_data_the_posterior_is_the_prior():
    posterior = LogisticRewardModel(PRIOR).fit(torch.zeros(4, 3), torch.zeros(4), torch.zeros(4))
    assert posterior.coefficients.tolist() == [PRIOR.base_logit, 0, 0, 0]
    variances = torch.tensor([0.5**2] + [0.5**2 / 3] * 3 + [0.2**2] * 4, dtype=torch.float64)
    torch.testing.assert_close(posterior.covariance, torch.diag(variances))


def test_no_texts_at_all_is_the_prior_too():
    posterior = LogisticRewardModel(PRIOR).fit(torch.zeros(5, 0, 3), torch.zeros(5, 0), torch.zeros(5, 0))
    mean, variance = posterior.predict(torch.ones(1, 3))
    torch.testing.assert_close(mean, torch.full((5, 1), PRIOR.base_logit, dtype=torch.float64))
    torch.testing.assert_close(variance, torch.full((5, 1), 0.25 + 0.25 + 0.04, dtype=torch.float64))


def test_whitened_features_give_a_logit_spread_of_logit_sd():
    """Averaged over features with unit variance, Var(x . theta) under the prior is logit_sd^2."""
    features = torch.randn(20_000, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    posterior = LogisticRewardModel(PRIOR).fit(torch.zeros(0, 8), torch.zeros(0), torch.zeros(0))
    _, variance = posterior.predict(features)
    own = 0.25 + PRIOR.text_effect_sd**2
    assert variance.mean().item() - own == pytest.approx(PRIOR.logit_sd**2, rel=0.02)  # 4 sds of a mean of chi2


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_order_of_texts_is_irrelevant(data):
    N = data.draw(st.integers(2, 6))
    stream = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    x, n = stream.standard_normal((N, 2)), stream.integers(0, 500, N)
    c, order = stream.binomial(n, 0.1), stream.permutation(N)
    model = LogisticRewardModel(PRIOR)
    mean, variance = model.fit(x, n, c).logits()
    shuffled_mean, shuffled_variance = model.fit(x[order], n[order], c[order]).logits()
    torch.testing.assert_close(shuffled_mean, mean[order], rtol=0, atol=1e-12)
    torch.testing.assert_close(shuffled_variance, variance[order], rtol=0, atol=1e-12)


def test_splitting_a_texts_counts_over_rows_is_irrelevant_without_text_effects(counts):
    """Two rows with the same features are two texts; only a text effect could tell them apart."""
    features, impressions, clicks = counts
    model = LogisticRewardModel(RewardPrior(0.025, text_effect_sd=0))
    whole = model.fit(features, impressions, clicks)
    some, few = (impressions / 4).floor(), (clicks / 4).floor()
    split = model.fit(
        torch.cat([features, features], 1),
        torch.cat([some, impressions - some], 1),
        torch.cat([few, clicks - few], 1),
    )
    torch.testing.assert_close(split.coefficients, whole.coefficients, rtol=0, atol=1e-12)
    torch.testing.assert_close(split.precision_cholesky, whole.precision_cholesky, rtol=1e-12, atol=1e-12)


def test_a_text_without_impressions_changes_nothing_for_the_others(counts):
    features, impressions, clicks = counts
    model = LogisticRewardModel(PRIOR)
    whole = model.fit(features, impressions, clicks)
    more = model.fit(
        torch.cat([features, features[:, :1]], 1),
        torch.cat([impressions, torch.zeros(3, 1)], 1),
        torch.cat([clicks, torch.zeros(3, 1)], 1),
    )
    torch.testing.assert_close(more.coefficients, whole.coefficients, rtol=0, atol=1e-12)
    torch.testing.assert_close(more.logits()[0][:, :-1], whole.logits()[0], rtol=0, atol=1e-12)


def test_absent_rows_are_as_if_dropped(counts):
    features, impressions, clicks = (array.clone() for array in counts)
    keep = torch.tensor([True, False, True, True, False, True, False])
    features[:, ~keep], impressions[:, ~keep], clicks[:, ~keep] = torch.nan, -1.0, torch.nan
    model = LogisticRewardModel(PRIOR)
    masked = model.fit(features, impressions, clicks, present=keep)
    dropped = model.fit(features[:, keep], impressions[:, keep], clicks[:, keep])
    torch.testing.assert_close(masked.coefficients, dropped.coefficients, rtol=0, atol=1e-12)
    for ours, theirs in zip(masked.logits(), dropped.logits(), strict=True):
        torch.testing.assert_close(ours[:, keep], theirs, rtol=0, atol=1e-12)
        assert torch.isfinite(ours).all()


def test_a_campaign_in_a_batch_is_the_campaign_alone(counts):
    features, impressions, clicks = counts
    impressions[1], clicks[1] = 0, 0  # converges at once, while the others go on
    model = LogisticRewardModel(PRIOR)
    batch = model.fit(features, impressions, clicks)
    for s in range(3):
        alone = model.fit(features[s], impressions[s], clicks[s])
        torch.testing.assert_close(batch.mean[s], alone.mean, rtol=0, atol=1e-12)
        torch.testing.assert_close(batch.covariance[s], alone.covariance, rtol=0, atol=1e-12)


def test_leading_dimensions_nest_and_broadcast(counts):
    features, impressions, clicks = counts
    model = LogisticRewardModel(PRIOR)
    nested = model.fit(features[None], impressions.expand(2, 3, 7), clicks)
    assert nested.mean.shape == (2, 3, 10)
    assert nested.covariance.shape == (2, 3, 10, 10)
    torch.testing.assert_close(nested.mean[1], model.fit(*counts).mean, rtol=0, atol=1e-12)


@pytest.mark.parametrize("effect_sd", [0.0, 0.2, 3.0])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_refitting_is_fitting_sooner(effect_sd, seed):
    """From other totals and another prior the search ends at the mode too: to 1e-10 posterior standard deviations."""
    stream = np.random.default_rng(seed)
    x, n, few = stream.standard_normal((4, 6, 2)), stream.integers(0, 10_000, (4, 6)), stream.integers(0, 50, (4, 6))
    c, present = stream.binomial(n, 0.03), stream.random((4, 6)) < 0.8
    model = LogisticRewardModel(RewardPrior(0.025, text_effect_sd=effect_sd))
    whole = model.fit(x, n, c, present)
    again = model.refit(LogisticRewardModel(PRIOR).fit(x, few, few, present), n, c)
    sds = whole.covariance.diagonal(dim1=-2, dim2=-1).sqrt().clamp(min=1e-9)
    assert ((again.mean - whole.mean).abs() < 1e-10 * sds).all()
    torch.testing.assert_close(again.covariance, whole.covariance, rtol=1e-9, atol=1e-12)
    assert torch.equal(again.present, whole.present)


def test_coefficients_may_have_a_prior_of_their_own(counts):
    mean, sd = [0.3, -0.1], [0.05, 2.0]
    model = LogisticRewardModel(PRIOR, theta_mean=mean, theta_sd=sd)
    nothing = model.fit(counts[0][0], torch.zeros(7), torch.zeros(7))
    assert nothing.coefficients.tolist() == [PRIOR.base_logit, *mean]
    torch.testing.assert_close(nothing.covariance.diagonal()[1:3], torch.tensor([0.05**2, 4.0], dtype=torch.float64))
    x, n, c = (array[0] for array in counts)
    mode = model.fit(x, n, c).mean.clone().requires_grad_()
    scales = torch.tensor(sd, dtype=torch.float64)
    shift = 0.5 * (2 * (mode[1:3] / PRIOR.logit_sd).square()).sum()
    shift = shift - 0.5 * ((mode[1:3] - torch.tensor(mean, dtype=torch.float64)) / scales).square().sum()
    (gradient,) = torch.autograd.grad(log_posterior(mode, x, n, c) + shift, mode)
    assert gradient.abs().max() < 1e-8


def test_the_usual_prior_written_out_is_the_usual_prior(counts):
    usual = LogisticRewardModel(PRIOR).fit(*counts)
    written = LogisticRewardModel(PRIOR, theta_mean=[0, 0], theta_sd=[0.5 / 2**0.5] * 2).fit(*counts)
    torch.testing.assert_close(written.mean, usual.mean, rtol=0, atol=1e-12)


@pytest.mark.parametrize("effect_sd", [0.0, 0.3])
def test_evidence_is_the_integral_of_likelihood_and_prior(effect_sd):
    """One text, intercept and its own effect alone: their sum is all that counts, so the integral is in 1-d.

    Laplace's relative error is of the order of 1 / clicks: 800 clicks, bound 0.002.
    """
    prior = RewardPrior(base_rate=0.02, text_effect_sd=effect_sd)
    n, c = 30_000, 800
    model = LogisticRewardModel(prior)
    posterior = model.fit(np.zeros((1, 1)), [n], [c])
    sd = math.hypot(prior.intercept_sd, effect_sd)
    grid = np.linspace(-6, -2, 40_001)
    log_density = c * log_expit(grid) + (n - c) * log_expit(-grid) - 0.5 * ((grid - prior.base_logit) / sd) ** 2
    log_density -= math.log(sd * math.sqrt(2 * math.pi))
    exact = log_density.max() + math.log(np.exp(log_density - log_density.max()).sum() * (grid[1] - grid[0]))
    assert model.log_evidence(posterior, [n], [c]).item() == pytest.approx(exact, abs=0.002)


def test_without_data_the_evidence_is_one(counts):
    model = LogisticRewardModel(PRIOR)
    posterior = model.fit(counts[0], torch.zeros(7), torch.zeros(7))
    assert model.log_evidence(posterior, torch.zeros(3, 7), torch.zeros(3, 7)).tolist() == pytest.approx([0] * 3)


@settings(max_examples=40, deadline=None)
@given(
    impressions=st.lists(st.integers(0, 10**9), min_size=3, max_size=3),
    shares=st.lists(st.sampled_from([0.0, 1e-6, 0.5, 1.0]), min_size=3, max_size=3),
    size=st.sampled_from([1e-3, 1.0, 30.0]),
    effect_sd=st.sampled_from([0.0, 0.15, 3.0]),
)
def test_extreme_counts_converge(impressions, shares, size, effect_sd):
    """All clicks, none, a thousand million impressions, features far from white: damped Newton gets there."""
    n = torch.tensor(impressions, dtype=torch.float64)
    c = (n * torch.tensor(shares, dtype=torch.float64)).round()
    features = size * torch.tensor([[1.0, 0.0], [0.0, -1.0], [0.5, 0.5]])
    prior = RewardPrior(0.02, text_effect_sd=effect_sd)
    posterior = LogisticRewardModel(prior).fit(features, n, c)
    mean, variance = posterior.logits()
    assert torch.isfinite(mean).all()
    assert (variance > 0).all()


def test_more_impressions_at_the_same_rate_never_widen():
    model = LogisticRewardModel(PRIOR)
    x = torch.tensor([[1.0], [-1.0]])
    variances = [model.fit(x, [n, n], [0.02 * n, 0.02 * n]).logits()[1] for n in (0, 50, 500, 50_000)]
    for wide, narrow in pairwise(variances):
        assert (narrow < wide).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": [[math.nan], [1.0]]}, "features holds 1 NaN or infinite values"),
        ({"features": [[math.inf], [1.0]]}, "features holds 1 NaN or infinite values"),
        ({"features": [1.0, 2.0]}, r"features has shape \(2,\)"),
        ({"features": torch.zeros(2, 0)}, r"features has shape \(2, 0\)"),
        ({"features": [[1.0]]}, "shapes do not fit"),
        ({"features": [["a"], ["b"]]}, "features is no array of numbers"),
        ({"impressions": [10, math.nan]}, "impressions holds 1 NaN"),
        ({"impressions": [10, 10, 10]}, "shapes do not fit"),
        ({"impressions": torch.zeros(3, 2), "clicks": torch.zeros(2, 2)}, "do not broadcast"),
        ({"clicks": [11, 0]}, "11 clicks on 10 impressions"),
        ({"clicks": [-1, 0]}, "-1 clicks on 10 impressions"),
        ({"clicks": 3}, "shapes do not fit"),
        ({"present": [1, 0]}, "present has dtype"),
        ({"present": [True]}, "shapes do not fit"),
    ],
)
def test_unusable_input_is_refused(change, message):
    given_ = {"features": [[1.0], [2.0]], "impressions": [10, 10], "clicks": [1, 1], **change}
    with pytest.raises(InputError, match=message):
        LogisticRewardModel(PRIOR).fit(**given_)


def test_unusable_totals_are_refused_when_refitting(counts):
    model = LogisticRewardModel(PRIOR)
    posterior = model.fit(*counts)
    with pytest.raises(InputError, match=r"clicks has shape \(7,\); pass that of the posterior: \(3, 7\)"):
        model.refit(posterior, counts[1], counts[2][0])
    with pytest.raises(InputError, match="impressions holds 21 NaN"):
        model.refit(posterior, counts[1] * math.nan, counts[2])
    with pytest.raises(InputError, match="pass counts with 0 <= clicks <= impressions"):
        model.log_evidence(posterior, counts[1], counts[1] + 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"theta_sd": [0.1, 0]}, "theta_sd is .* above 0"),
        ({"theta_sd": [0.1, math.inf]}, "theta_sd holds 1"),
        ({"theta_mean": [math.nan, 0]}, "theta_mean holds 1"),
        ({"theta_mean": [0.0]}, r"theta_mean has shape \(1,\) but features have 2 columns"),
        ({"theta_sd": 0.1}, r"theta_sd has shape \(\) but features have 2 columns"),
    ],
)
def test_impossible_priors_of_coefficients_are_refused(counts, change, message):
    with pytest.raises(InputError, match=message):
        LogisticRewardModel(PRIOR, **change).fit(*counts)


@pytest.mark.parametrize(
    "change",
    [
        {"base_rate": 0},
        {"base_rate": 1},
        {"base_rate": math.nan},
        {"logit_sd": 0},
        {"text_effect_sd": -0.1},
        {"intercept_sd": 0},
        {"logit_sd": math.inf},
        {"logit_sd": "wide"},
    ],
)
def test_impossible_priors_are_refused(change):
    with pytest.raises(InputError, match=next(iter(change))):
        RewardPrior(**{"base_rate": 0.02, **change})
