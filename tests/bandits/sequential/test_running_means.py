"""The empirical-Bernstein sequences against quadrature, a loop over rows, and logs of moving policies."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.special import gamma, gammainc

from bandits.sequential.confidence_sequences import rate_interval
from bandits.sequential.running_means import _boundary, _log_mixture, running_mean_interval
from copyloom import InputError


@pytest.mark.parametrize("rho", [0.3, 2.0, 20.0])
@pytest.mark.parametrize(("s", "v"), [(0.0, 0.0), (3.0, 0.5), (10.0, 30.0), (60.0, 500.0)])
def test_the_mixture_is_the_integral(s, v, rho):
    def integrand(share):
        density = rho**rho * (1 - share) ** (rho - 1) * math.exp(-rho * (1 - share)) / (gamma(rho) * gammainc(rho, rho))
        return math.exp(share * s + (math.log1p(-share) + share) * v) * density

    value = sum(quad(integrand, *part)[0] for part in ((0, 0.5), (0.5, 0.99), (0.99, 1)))
    assert_allclose(_log_mixture(np.float64(s), np.float64(v), rho), math.log(value), rtol=1e-6, atol=1e-6)


def test_no_row_loses_the_supermartingale():
    """E exp(lambda (Y - mu) - psi(lambda) (Y - g)^2) <= 1 for two-point rows, by enumeration."""
    for share in (0.1, 0.5, 0.9):
        for guess in (0.0, 0.3, 1.0):
            for chance, high in ((0.02, 1.0), (0.02, 40.0), (0.7, 1.2)):
                psi, mean = -math.log1p(-share) - share, chance * high
                if mean > 1:
                    continue
                value = sum(p * math.exp(share * (y - mean) - psi * (y - guess) ** 2)
                            for p, y in ((chance, high), (1 - chance, 0.0)))  # fmt: skip
                assert value <= 1


def test_the_boundary_is_where_the_mixture_crosses_and_grows():
    variance = np.array([0.0, 1.0, 50.0, 1e4, 1e8])
    bound = _boundary(variance, 0.025, 100.0)
    level = math.log(40)
    rho = 100 / (2 * level + math.log(1 + 2 * level))
    assert_allclose(_log_mixture(bound, variance, rho), level, rtol=1e-5)
    assert (np.diff(bound) > 0).all()
    assert (_boundary(variance, 0.01, 100.0) > bound).all()


def loop(values, least, low, high, alpha, tightest_at):
    """The lower bound, one row at a time."""
    scale, total, variance, bounds = high - least, 0.0, 0.0, []
    for t, value in enumerate(values):
        guess = min(max(total / t if t else 0.0, low), high)
        total += value
        variance += ((value - guess) / scale) ** 2
        boundary = scale * float(_boundary(np.array([variance]), alpha / 2, tightest_at / scale**2)[0])
        bounds.append(min(max((total - boundary) / (t + 1), low), high))
    return bounds


def test_rows_are_folded_as_in_a_loop():
    values = np.random.default_rng(0).choice([0.0, 0.5, 4.0], 40, p=[0.6, 0.3, 0.1])
    lower, upper = running_mean_interval(values, values**2, np.ones(40), least=0, most=4, means=(0, 1))
    assert_allclose(lower, loop(values, 0, 0, 1, 0.05, 100.0), rtol=1e-9, atol=1e-12)
    assert_allclose(-upper, loop(-values, -4, -1, 0, 0.05, 100.0), rtol=1e-9, atol=1e-12)


def test_a_step_of_many_rows_is_their_sums():
    """Where the guess does not move between the rows, a snapshot's sums say all."""
    values = np.random.default_rng(1).random(30)
    one = running_mean_interval([values.sum()], [(values**2).sum()], [30], least=0, most=1)
    shuffled = np.random.default_rng(2).permutation(values)
    again = running_mean_interval([shuffled.sum()], [(shuffled**2).sum()], [30], least=0, most=1)
    assert_allclose(one, again, rtol=1e-12)
    idle = running_mean_interval([0, values.sum(), 0], [0, (values**2).sum(), 0], [0, 30, 0], least=0, most=1)
    assert_allclose(np.array(idle)[:, 1:], np.repeat(one, 2, axis=1), rtol=1e-12)
    assert [float(bound[0]) for bound in idle] == [0, 1]


def test_mirrored_rows_give_mirrored_bounds():
    values = np.random.default_rng(3).random(200) * 0.4
    lower, upper = running_mean_interval(values - 0.2, (values - 0.2) ** 2, np.ones(200), least=-0.2, most=0.2)
    left, right = running_mean_interval(0.2 - values, (0.2 - values) ** 2, np.ones(200), least=-0.2, most=0.2)
    assert_allclose(lower, -right, atol=1e-12)
    assert_allclose(upper, -left, atol=1e-12)


def test_clicks_give_nearly_the_width_of_the_exact_sequence():
    clicks = np.full(100, 2.0)
    lower, upper = running_mean_interval(clicks, clicks, np.full(100, 100), least=0, most=1)
    exact = np.subtract(*rate_interval(200, 10_000)[::-1])
    assert 0.7 < (upper[-1] - lower[-1]) / exact < 1.1


@settings(deadline=None, max_examples=50)
@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=50), alpha=st.floats(0.001, 0.4))
def test_the_bounds_hold_the_mean_and_widen_with_less_error(values, alpha):
    rows = np.array(values)
    lower, upper = running_mean_interval(rows, rows**2, np.ones(len(rows)), least=0, most=1, alpha=alpha)
    mean = rows.cumsum() / np.arange(1, len(rows) + 1)
    assert (lower <= mean + 1e-12).all()
    assert (mean <= upper + 1e-12).all()
    wider = running_mean_interval(rows, rows**2, np.ones(len(rows)), least=0, most=1, alpha=alpha / 2)
    assert (wider[0] <= lower + 1e-12).all()
    assert (wider[1] >= upper - 1e-12).all()


def test_policy_values_under_moving_propensities_and_rates_stay_inside():
    """500 logs of 300 rows, peeked at after each; the target is the running mean of the policy's true values.

    At the stated 5 %, more than 41 alarms have chance below 0.001.
    """
    rng, logs, T = np.random.default_rng(5), 500, 300
    rates = 0.3 + 0.2 * np.sin(np.arange(T) / 40)[:, None] * np.array([1.0, -1.0]) + np.array([0.1, 0.0])
    share, seen = np.full(logs, 0.5), np.ones((logs, 2))
    weights, rewards = np.empty((logs, T)), np.empty((logs, T))
    for t in range(T):
        action = (rng.random(logs) >= share).astype(int)
        reward = (rng.random(logs) < rates[t, action]).astype(float)
        weights[:, t] = 0.5 / np.where(action == 0, share, 1 - share)
        rewards[:, t] = reward
        seen[np.arange(logs), action] += reward
        share = np.clip(seen[:, 0] / seen.sum(1), 0.1, 0.9)  # follows the clicks
    truth = rates.mean(1).cumsum() / np.arange(1, T + 1)
    rows = weights * rewards
    lower, upper = running_mean_interval(rows, rows**2, np.ones(rows.shape), least=0, most=5.0, means=(0, 1))
    assert ((lower > truth) | (upper < truth)).any(1).sum() <= 41
    assert (upper - lower)[:, -1].mean() < 0.6


@pytest.mark.parametrize(
    ("sums", "options", "message"),
    [
        (([2.0], [4.0], [1]), {}, r"step \(0,\) has 1 rows with sum 2"),
        (([1.0], [0.1], [1]), {}, "cannot have"),
        (([1.0], [1.0], [0]), {}, "0 rows with sum 1"),
        (([1.0, 0.0], [1.0], [1]), {}, "pass equal ones"),
        (([math.inf], [1.0], [1]), {}, "infinite"),
        (([1.0], [1.0], [1.5]), {}, "whole counts"),
        (([1.0], [1.0], [1]), {"means": (-1, 1)}, "means is"),
        (([1.0], [1.0], [1]), {"most": math.inf}, "means is"),
        (([1.0], [1.0], [1]), {"alpha": 0}, "alpha is 0"),
        (([1.0], [1.0], [1]), {"tightest_at": 0}, "tightest_at is 0"),
    ],
)
def test_unusable_sums_are_refused(sums, options, message):
    with pytest.raises(InputError, match=message):
        running_mean_interval(*sums, **{"least": 0, "most": 1, **options})
