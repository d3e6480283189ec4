"""Features that say the same twice, say nothing, or are of wild scale."""

import math
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bandits import LogisticRewardModel, RewardPrior
from copyloom import InputError

CLICKS = RewardPrior(base_rate=0.05, logit_sd=0.5, text_effect_sd=0.2)


def fitted(features, impressions, clicks, theta_sd=None):
    return LogisticRewardModel(CLICKS, theta_sd=theta_sd).fit(features, impressions, clicks)


def agree(ours, theirs, rtol=1e-9):
    for a, b in zip(ours.logits(), theirs.logits(), strict=True):
        torch.testing.assert_close(a, b, rtol=rtol, atol=1e-12)


@contextmanager
def suppress_only(message):
    """Let an InputError pass if it says this."""
    try:
        yield
    except InputError as error:
        if message not in str(error):
            raise


def test_a_column_given_twice_is_one_of_twice_the_variance(counts):
    features, n, c = counts
    twice = torch.cat([features, features[..., :1]], dim=-1)
    agree(fitted(twice, n, c, [0.3, 0.4, 0.3]), fitted(features, n, c, [0.3 * math.sqrt(2), 0.4]))


def test_a_column_of_zeros_says_nothing(counts):
    features, n, c = counts
    more = torch.cat([features, torch.zeros(3, 7, 1)], dim=-1)
    posterior = fitted(more, n, c, [0.3, 0.4, 0.7])
    agree(posterior, fitted(features, n, c, [0.3, 0.4]))
    torch.testing.assert_close(posterior.coefficients[:, 3], torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(posterior.covariance[:, 3, 3], torch.full((3,), 0.49, dtype=torch.float64))


def test_a_constant_column_is_a_second_intercept(counts):
    features, n, c = counts
    posterior = fitted(torch.cat([features, torch.ones(3, 7, 1)], dim=-1), n, c)
    assert all(torch.isfinite(part).all() for part in posterior.logits())


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_a_column_in_other_units_is_the_same_belief(scale, counts):
    features, n, c = counts
    other = features * torch.tensor([scale, 1.0])
    agree(fitted(other, n, c, [0.3 / scale, 0.4]), fitted(features, n, c, [0.3, 0.4]), rtol=1e-6)


def test_more_features_than_texts(counts):
    features = torch.randn(2, 30, generator=torch.Generator().manual_seed(81), dtype=torch.float64)
    posterior = fitted(features, torch.tensor([500.0, 500.0]), torch.tensor([20.0, 30.0]))
    mean, variance = posterior.logits()
    assert mean[1] > mean[0]
    assert (variance > 0).all()


@settings(max_examples=40, deadline=None)
@given(exponents=st.lists(st.integers(-150, 150), min_size=6, max_size=6), n=st.sampled_from([1, 1000, 10**9]))
def test_wild_scales_are_fitted_or_refused(exponents, n):
    """Never NaN: a belief of finite numbers, or an error that says what to do."""
    features = torch.tensor([10.0**e for e in exponents], dtype=torch.float64).reshape(3, 2)
    shown = torch.full((3,), n, dtype=torch.float64)
    with suppress_only("whiten the features"):
        posterior = fitted(features, shown, (shown / 3).round())
        assert all(torch.isfinite(part).all() for part in posterior.logits())


def test_one_text_is_a_beta_posterior_nearly():
    """Intercept alone, prior wide: the belief about the rate is that of its own clicks."""
    model = LogisticRewardModel(RewardPrior(base_rate=0.1, text_effect_sd=0, intercept_sd=50))
    mean, variance = model.fit(torch.zeros(1, 1), [10_000], [1000]).logits()
    assert mean.item() == pytest.approx(math.log(1 / 9), abs=1e-3)
    assert variance.item() == pytest.approx(1 / (10_000 * 0.1 * 0.9), rel=1e-3)
