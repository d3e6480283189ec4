"""The beta-binomial sequences against direct products, brute force and long streams that are peeked at."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import betaln

from bandits.sequential.confidence_sequences import difference_interval, log_martingale, matched_beta, rate_interval
from copyloom import InputError

PRIOR = matched_beta(0.02, 0.5)


def direct_product(outcomes, rate, a, b):
    """The martingale one impression at a time: predictive probability over the probability at the rate."""
    value, clicks = 0.0, 0
    for seen, outcome in enumerate(outcomes):
        predictive = (a + clicks) / (a + b + seen)
        value += math.log(predictive / rate if outcome else (1 - predictive) / (1 - rate))
        clicks += outcome
    return value


@given(outcomes=st.lists(st.booleans(), max_size=60), rate=st.floats(0.001, 0.999), seed=st.integers(0, 99))
def test_the_martingale_is_the_product_of_predictions_in_any_order(outcomes, rate, seed):
    shuffled = np.random.default_rng(seed).permutation(outcomes) if outcomes else outcomes
    value = log_martingale(sum(outcomes), len(outcomes), rate, (0.7, 3.0))
    assert_allclose(value, direct_product(outcomes, rate, 0.7, 3.0), atol=1e-10)
    assert_allclose(value, direct_product(shuffled, rate, 0.7, 3.0), atol=1e-10)


def test_the_martingale_has_mean_one():
    """By enumeration of all streams of 12 impressions."""
    rate, n = 0.3, 12
    values = [math.exp(log_martingale(c, n, rate)) * math.comb(n, c) * rate**c * (1 - rate) ** (n - c)
              for c in range(n + 1)]  # fmt: skip
    assert_allclose(sum(values), 1, rtol=1e-12)


@pytest.mark.parametrize(("clicks", "impressions"), [(2_000_000, 10**8), (1, 10**8), (0, 10**8), (10**8, 10**8)])
def test_a_hundred_million_impressions_keep_their_digits(clicks, impressions):
    with mpmath.workdps(40):
        a = b = mpmath.mpf(1) / 2
        mixture = mpmath.log(mpmath.beta(a + clicks, b + impressions - clicks) / mpmath.beta(a, b))
        for bound in rate_interval(clicks, impressions):
            if 0 < bound < 1:
                rate = mpmath.mpf(float(bound))
                likelihood = clicks * mpmath.log(rate) + (impressions - clicks) * mpmath.log(1 - rate)
                assert_allclose(float(mixture - likelihood), math.log(20), rtol=1e-6)


@settings(deadline=None)
@given(
    impressions=st.integers(0, 10**8), share=st.floats(0, 1), alpha=st.floats(1e-6, 0.5), prior=st.sampled_from(
        [(0.5, 0.5), (1.0, 1.0), PRIOR, (2.0, 2000.0)]
    ),
)  # fmt: skip
def test_the_ends_are_where_the_martingale_crosses(impressions, share, alpha, prior):
    clicks = round(share * impressions)
    lower, upper = rate_interval(clicks, impressions, alpha, prior)
    observed = clicks / max(impressions, 1)
    assert 0 <= lower <= observed <= upper <= 1 or impressions == 0
    assert (lower == 0) == (clicks == 0)
    assert (upper == 1) == (clicks == impressions)
    for bound in (lower, upper):
        if 0 < bound < 1 - 1e-9:
            assert_allclose(log_martingale(clicks, impressions, bound, prior), math.log(1 / alpha), atol=1e-3)


@pytest.mark.parametrize("n", [1, 7, 1000, 10**6, 10**8])
def test_no_click_and_all_clicks_have_closed_forms(n):
    cost = math.log(20) + betaln(0.5, 0.5) - betaln(0.5, 0.5 + n)
    assert_allclose(rate_interval(0, n)[1], -math.expm1(-cost / n), rtol=1e-9)
    assert_allclose(rate_interval(n, n)[0], math.exp(-cost / n), rtol=1e-9)
    assert rate_interval(0, n)[0] == 0
    assert rate_interval(n, n)[1] == 1


def test_before_the_first_impression_everything_is_possible():
    assert [float(bound) for bound in rate_interval(0, 0)] == [0, 1]
    assert [float(bound) for bound in difference_interval(0, 0, 0, 0)] == [-1, 1]


def test_less_error_means_wider():
    alphas = [0.5, 0.1, 0.05, 0.01, 1e-6]
    widths = [np.subtract(*rate_interval([3, 40], [900, 2000], alpha)[::-1]) for alpha in alphas]
    leads = [np.subtract(*difference_interval(3, 900, 40, 2000, alpha)[::-1]) for alpha in alphas]
    assert (np.diff(widths, axis=0) > 0).all()
    assert (np.diff(leads) > 0).all()


def test_a_matched_prior_is_narrower():
    """By a fifth at 10,000 impressions."""
    plain, matched = (np.subtract(*rate_interval(200, 10_000, prior=prior)[::-1]) for prior in ((0.5, 0.5), PRIOR))
    assert matched < 0.85 * plain


def test_matched_beta_has_the_mean_and_spread_of_logit_normal_rates():
    a, b = matched_beta(0.02, 0.2)
    logits = math.log(0.02 / 0.98) + 0.2 * np.random.default_rng(0).standard_normal(200_000)
    rates = 1 / (1 + np.exp(-logits))
    assert_allclose(a / (a + b), 0.02, rtol=1e-12)
    assert_allclose(math.sqrt(a * b / (a + b + 1)) / (a + b), rates.std(), rtol=0.06)


def brute_force(first, second, alpha):
    """Extent of the pairs of rates at which the product of martingales is below 1 / alpha, on a grid."""
    grid = np.linspace(0, 1, 1501)[1:-1]
    log_value = log_martingale(*first, grid)[:, None] + log_martingale(*second, grid)[None, :]
    difference = (grid[None, :] - grid[:, None])[log_value < math.log(1 / alpha)]
    return difference.min(), difference.max()


@pytest.mark.parametrize(
    ("first", "second"),
    [((3, 20), (9, 15)), ((0, 10), (4, 7)), ((5, 5), (0, 9)), ((1, 50), (30, 31)), ((0, 9), (9, 9)), ((2, 90), (0, 0))],
)  # fmt: skip
@pytest.mark.parametrize("alpha", [0.05, 0.3])
def test_differences_are_the_extent_of_the_joint_set(first, second, alpha):
    lower, upper = difference_interval(*first, *second, alpha)
    assert_allclose([lower, upper], brute_force(first, second, alpha), atol=2e-3)
    assert_allclose(difference_interval(*second, *first, alpha), [-upper, -lower], atol=1e-9)


@settings(deadline=None)
@given(counts=st.tuples(*[st.integers(0, 10**7)] * 4))
def test_differences_hold_the_observed_one_and_never_fail(counts):
    (c, n), (d, m) = sorted(counts[:2]), sorted(counts[2:])
    lower, upper = difference_interval(c, n, d, m)
    assert -1 <= lower <= upper <= 1
    if n and m:
        assert lower <= d / m - c / n <= upper


def test_large_counts_give_the_normal_limit():
    """Half-width sqrt(2 K (v / n + v / m)) for the joint budget K."""
    n, c = 10**8, 2 * 10**6
    budget = math.log(20) - 2 * float(log_martingale(c, n, c / n))
    expected = math.sqrt(2 * budget * 2 * 0.02 * 0.98 / n)
    lower, upper = difference_interval(c, n, c, n)
    assert_allclose([-lower, upper], [expected, expected], rtol=1e-4)


def test_streams_that_are_peeked_at_stay_inside():
    """2,000 streams, 60 looks, probabilities following the noise; at 5 %, more than 132 have chance below 0.001."""
    rng, rate = np.random.default_rng(3), 0.03
    n, c = np.zeros((2, 2000)), np.zeros((2, 2000))
    alarms = np.zeros((3, 2000), dtype=bool)
    for _ in range(60):
        ahead = (c[0] + 1) * n[1] > (c[1] + 1) * n[0]
        shown = rng.binomial(300, np.where(ahead, 0.8, 0.2))
        for text, count in enumerate((shown, 300 - shown)):
            n[text] += count
            c[text] += rng.binomial(count, rate)
        lower, upper = rate_interval(c[0], n[0])
        alarms[0] |= (lower > rate) | (upper < rate)
        alarms[1] |= log_martingale(c[0], n[0], rate) >= math.log(20)
        lower, upper = difference_interval(c[0], n[0], c[1], n[1])
        alarms[2] |= (lower > 0) | (upper < 0)
    assert alarms.sum(1).max() <= 132
    assert_array_equal(alarms[0], alarms[1])
    assert alarms[0].any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([5], [4]), r"5 clicks on 4 impressions"),
        (([-1], [4]), r"clicks \(0,\) is -1; pass whole counts"),
        (([0.5], [4]), "whole counts"),
        (([math.nan], [4]), "NaN"),
        (([1, 2], [4, 5, 6]), "shapes that broadcast"),
        (([1], [4], 0.0), "alpha is 0.0"),
        (([1], [4], 0.7), "alpha is 0.7"),
        (([1], [4], 0.05, (0.0, 1.0)), "prior is 0.0"),
    ],
)
def test_unusable_counts_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        rate_interval(*arguments)


def test_unusable_slates_and_rates_are_refused():
    with pytest.raises(InputError, match="shapes that broadcast"):
        difference_interval([1, 2], [9, 9], [1, 2, 3], [9, 9, 9])
    with pytest.raises(InputError, match="outside"):
        log_martingale(1, 2, 1.5)
    with pytest.raises(InputError, match="logit_sd is 9"):
        matched_beta(0.02, 9)


def test_the_largest_counts_have_the_normal_limits_width_and_larger_ones_are_refused():
    lower, upper = rate_interval([10**13 // 50], [10**13])
    allowed = math.log(1 / 0.05) + 0.5 * math.log(2e11 * 0.98) + 1  # what evidence grows to, roughly
    assert float(upper[0] - lower[0]) == pytest.approx(2 * math.sqrt(2 * allowed * 0.02 * 0.98 / 1e13), rel=0.1)
    with pytest.raises(InputError, match=r"is 8e\+15; pass whole counts of at least 0 and at most 1e\+13"):
        rate_interval([10**12], [8 * 10**15])
