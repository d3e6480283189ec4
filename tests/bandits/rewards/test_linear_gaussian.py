"""The posterior of a linear model with Gaussian noise is known in closed form, and this is it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, multivariate_t

from bandits import ThompsonSampling, seeded_generators
from bandits.rewards.linear_gaussian import LinearPrior, LinearRewardModel
from copyloom import InputError

KNOWN = LinearPrior(noise_sd=3.0, reward_sd=1.0, text_effect_sd=0.7, base_reward=5.0, intercept_sd=2.0)
LEARNT = LinearPrior(
    noise_sd=3.0, reward_sd=1.0, text_effect_sd=0.7, base_reward=5.0, intercept_sd=2.0, noise_strength=4.0
)


def rewards(N=5, d=2, seed=0, noise=2.0):
    """Features (N, d), which text each reward is of, (n,), and the rewards (n,); the last text has none."""
    stream = np.random.default_rng(seed)
    x = stream.standard_normal((N, d))
    text = np.repeat(np.arange(N), [*stream.integers(1, 9, N - 1), 0])
    return x, text, 4.0 + x[text].sum(1) + noise * stream.standard_normal(len(text))


def sums(text, y, N=5):
    return tuple(np.bincount(text, weights=weights, minlength=N) for weights in (np.ones_like(y), y, y**2))


def written_out(prior, x, text):
    """Prior mean and covariance of (b, theta, u), and the rows that make means of rewards of them."""
    N, d = x.shape
    mean = np.r_[prior.base_reward, np.zeros(d + N)]
    variance = np.r_[prior.intercept_sd**2, np.full(d, prior.reward_sd**2 / d), np.full(N, prior.text_effect_sd**2)]
    rows = np.c_[np.ones(N), x, np.eye(N)]
    return mean, variance, rows[text]


def test_known_noise_is_the_textbook_posterior():
    """Bishop 2006, equations 3.50 and 3.51, on single rewards; the model sees their sums."""
    x, text, y = rewards()
    mean, variance, rows = written_out(KNOWN, x, text)
    precision = np.diag(1 / variance) + rows.T @ rows / KNOWN.noise_sd**2
    expected = np.linalg.solve(precision, mean / variance + rows.T @ y / KNOWN.noise_sd**2)
    posterior = LinearRewardModel(KNOWN).fit(x, *sums(text, y))
    np.testing.assert_allclose(posterior.mean, expected, rtol=1e-12)
    np.testing.assert_allclose(posterior.covariance, np.linalg.inv(precision), rtol=1e-10, atol=1e-12)


def test_learnt_noise_is_the_textbook_posterior():
    """Gelman et al. 2013, section 14.2: Student's t with 2 a degrees, its covariance b / (a - 1) times the unit one."""
    x, text, y = rewards()
    mean, variance, rows = written_out(LEARNT, x, text)
    precision = np.diag(1 / variance) + rows.T @ rows / 9
    expected = np.linalg.solve(precision, mean / variance + rows.T @ y / 9)
    a = 4 / 2 + 1 + len(y) / 2
    b = 4 / 2 + 0.5 * (y @ y / 9 + mean @ (mean / variance) - expected @ precision @ expected)
    posterior = LinearRewardModel(LEARNT).fit(x, *sums(text, y))
    np.testing.assert_allclose(posterior.mean, expected, rtol=1e-12)
    np.testing.assert_allclose(posterior.covariance, b / (a - 1) * np.linalg.inv(precision), rtol=1e-10, atol=1e-12)
    logits, spread = posterior.logits()
    every = np.c_[np.ones(5), x, np.eye(5)]
    np.testing.assert_allclose(spread, np.diag(every @ posterior.covariance.numpy() @ every.T))
    np.testing.assert_allclose(logits, every @ expected)


@pytest.mark.parametrize("prior", [KNOWN, LEARNT])
def test_evidence_is_the_density_of_the_rewards(prior):
    x, text, y = rewards()
    mean, variance, rows = written_out(prior, x, text)
    location, scale = rows @ mean, 9 * np.eye(len(y)) + rows @ np.diag(variance) @ rows.T
    if prior is KNOWN:
        expected = multivariate_normal(location, scale).logpdf(y)
    else:
        expected = multivariate_t(location, scale * (4 / 2) / (4 / 2 + 1), df=4 + 2).logpdf(y)
    model = LinearRewardModel(prior)
    data = sums(text, y)
    assert model.log_evidence(model.fit(x, *data), *data).item() == pytest.approx(expected, rel=1e-12)


def test_noise_is_learnt():
    x, text, y = rewards(N=400, noise=0.5, seed=3)
    posterior = LinearRewardModel(LEARNT).fit(x, *sums(text, y, N=400))
    known = LinearPrior(noise_sd=0.5, reward_sd=1 / 6, text_effect_sd=0.7 / 6, base_reward=5.0, intercept_sd=2 / 6)
    told = LinearRewardModel(known).fit(x, *sums(text, y, N=400))  # the scales that go with that noise
    ratio = posterior.covariance.diagonal() / told.covariance.diagonal()
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)
    assert ratio[0].item() == pytest.approx(
        1, abs=0.12
    )  # 1,794 rewards: 2.5 standard errors of their variance and more


@pytest.mark.parametrize("prior", [KNOWN, LEARNT])
def test_without_data_the_posterior_is_the_prior(prior):
    posterior = LinearRewardModel(prior).fit(torch.zeros(3, 2), *torch.zeros(3, 3))
    assert posterior.coefficients.tolist() == [5, 0, 0]
    expected = torch.tensor([4.0, 0.5, 0.5, 0.49, 0.49, 0.49], dtype=torch.float64)
    torch.testing.assert_close(posterior.covariance.diagonal(), expected)
    mean, variance = LinearRewardModel(prior).fit(torch.zeros(4, 0, 2), *torch.zeros(3, 4, 0)).predict(torch.ones(1, 2))
    assert mean.tolist() == [[5.0]] * 4
    assert variance[:, 0].tolist() == pytest.approx([4.0 + 1.0 + 0.49] * 4)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), prior=st.sampled_from([KNOWN, LEARNT]))
def test_order_absence_and_company_are_irrelevant(seed, prior):
    stream, model = np.random.default_rng(seed), LinearRewardModel(prior)
    x, n = stream.standard_normal((3, 6, 2)), stream.integers(0, 9, (3, 6))
    totals = n * stream.standard_normal((3, 6))
    squares = totals**2 / np.maximum(n, 1) + n * stream.random((3, 6))
    keep, order = stream.random(6) < 0.7, stream.permutation(6)
    whole = model.fit(x, n, totals, squares, keep)
    holes = np.where(keep, totals, np.nan)
    shuffled = model.fit(x[:, order], n[:, order], holes[:, order], squares[:, order], keep[order])
    alone = model.fit(x[1][keep], n[1][keep], totals[1][keep], squares[1][keep])
    for ours, other in zip(whole.logits(), shuffled.logits(), strict=True):
        torch.testing.assert_close(ours[:, order], other, rtol=1e-9, atol=1e-12)
    for ours, other in zip(whole.logits(), alone.logits(), strict=True):
        torch.testing.assert_close(ours[1][torch.from_numpy(keep)], other, rtol=1e-9, atol=1e-12)


def test_rewards_of_any_scale():
    """The same rewards in cents are the same belief in cents."""
    x, text, y = rewards()
    cents = LinearPrior(
        noise_sd=300, reward_sd=100, text_effect_sd=70, base_reward=500, intercept_sd=200, noise_strength=4
    )
    euro = LinearRewardModel(LEARNT).fit(x, *sums(text, y))
    cent = LinearRewardModel(cents).fit(x, *sums(text, 100 * y))
    torch.testing.assert_close(cent.mean, 100 * euro.mean)
    torch.testing.assert_close(cent.covariance, 1e4 * euro.covariance)


def test_coefficients_may_have_a_prior_of_their_own():
    model = LinearRewardModel(KNOWN, theta_mean=[1.0, -2.0], theta_sd=[0.1, 3.0])
    nothing = model.fit(torch.zeros(1, 2), *torch.zeros(3, 1))
    assert nothing.coefficients.tolist() == [5, 1, -2]
    assert nothing.covariance.diagonal()[1:3].tolist() == pytest.approx([0.01, 9.0])


def test_policies_take_the_belief_as_it_is():
    """Each campaign's own noise, held in the belief, reaches draws and allocations."""
    x, text, y = rewards()
    two = [np.stack(pair) for pair in zip(sums(text, y), sums(text, 3 * y), strict=True)]
    posterior = LinearRewardModel(LEARNT).fit(x, *two)
    assert posterior.text_effect_variance.shape == (2, 1)
    drawn = posterior.sample_logits(20_000, seeded_generators(5, 2))
    mean, variance = posterior.logits()
    assert ((drawn.mean(1) - mean).abs() < 5 * (variance / 20_000).sqrt()).all()
    assert ((drawn.var(1) / variance - 1).abs() < 5 * math.sqrt(2 / 20_000)).all()
    probabilities = ThompsonSampling().allocate(posterior, None, seeded_generators(6, 2)).probabilities
    assert probabilities.argmax(-1).tolist() == mean.argmax(-1).tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counts": [-1, 1]}, r"text \(0,\) has -1 rewards"),
        ({"counts": [0, 1]}, "has 0 rewards of sum 2"),
        ({"squares": [3.0, 1.0]}, "sum of squares 3, as no rewards have"),
        ({"totals": [math.nan, 1.0]}, "totals holds 1 NaN"),
        ({"totals": [1.0]}, "shapes do not fit"),
        ({"features": [[math.inf], [0.0]]}, "features holds 1"),
    ],
)
def test_impossible_sums_are_refused(change, message):
    usable = {"features": [[0.0], [1.0]], "counts": [1, 1], "totals": [2.0, 1.0], "squares": [4.0, 1.0]}
    with pytest.raises(InputError, match=message):
        LinearRewardModel(KNOWN).fit(**{**usable, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"noise_sd": 0},
        {"reward_sd": -1},
        {"text_effect_sd": -1},
        {"base_reward": math.inf},
        {"intercept_sd": 0},
        {"noise_strength": 0},
        {"noise_strength": math.nan},
    ],
)
def test_impossible_priors_are_refused(change):
    with pytest.raises(InputError, match=next(iter(change))):
        LinearPrior(**{"noise_sd": 1.0, "reward_sd": 1.0, **change})
