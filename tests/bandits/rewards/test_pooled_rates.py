"""The pooled belief about texts of a test: exact over its grid, and learned from past tests."""

import numpy as np
import pytest
from scipy.special import gammaln

from bandits.rewards.pooled_rates import PooledRates, RatePrior
from copyloom import InputError

PRIOR = RatePrior(np.array([0.005, 0.01, 0.02, 0.04]), np.array([0.2, 0.4, 0.2, 0.4]), np.array([0.1, 0.4, 0.3, 0.2]))
FACTORS = np.array([[1.2, 0.8, 1.0], [1.0, 1.0, 1.0]])


def moments(shown: np.ndarray, clicked: np.ndarray, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the rates of one test, from the counts at once."""
    shape = PRIOR.spreads**-2
    size = shape / (PRIOR.rates * factors[:, None])
    shown, clicked = shown[:, None], clicked[:, None]
    logs = shape * np.log(size) - gammaln(shape) + gammaln(clicked + shape) - (clicked + shape) * np.log(size + shown)
    weights = np.exp(logs.sum(0) + np.log(PRIOR.weights) - (logs.sum(0) + np.log(PRIOR.weights)).max())
    weights /= weights.sum()
    mean = (clicked + shape) / (size + shown)
    first = mean @ weights
    return first, (mean**2 + mean / (size + shown)) @ weights - first**2


def test_impression_by_impression_it_is_the_belief_of_the_counts():
    rng, belief = np.random.default_rng(0), PooledRates(PRIOR, FACTORS)
    shown, clicked = np.zeros((2, 3)), np.zeros((2, 3))
    for _ in range(2000):
        texts, clicks = rng.integers(3, size=2), rng.random(2) < 0.03
        belief.learn([0, 1], texts, [1, 1], clicks)
        shown[[0, 1], texts] += 1
        clicked[[0, 1], texts] += clicks
    mean, variance = belief.moments()
    for test in range(2):
        expected = moments(shown[test], clicked[test], FACTORS[test])
        assert mean[test] == pytest.approx(expected[0], rel=1e-4)
        assert variance[test] == pytest.approx(expected[1], rel=1e-3)
        assert belief.moments([test])[0][0] == pytest.approx(mean[test])


def test_many_impressions_at_once_are_the_same_as_one_by_one():
    rng, together, apart = np.random.default_rng(1), PooledRates(PRIOR, FACTORS), PooledRates(PRIOR, FACTORS)
    for _ in range(60):
        test, text, many, clicked = rng.integers(2), rng.integers(3), rng.integers(1, 40), rng.random() < 0.5
        together.learn([test], text, [many], [clicked])
        for one in range(many):
            apart.learn([test], text, [1], [clicked and one == many - 1])
    for one, other in zip(together.moments(), apart.moments(), strict=True):
        assert one == pytest.approx(other, rel=1e-3)


def drawn(spread: float, tests: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    places = np.repeat(np.arange(tests), 4)
    rates = 0.015 * rng.gamma(4, 1 / 4, tests)[places] * rng.gamma(spread**-2, spread**2, 4 * tests)
    shown = np.full(4 * tests, 4000)
    return places, shown, rng.binomial(shown, rates)


def test_past_tests_say_how_far_texts_differ():
    small, large = (RatePrior.fit(*drawn(spread)) for spread in (0.1, 0.45))
    assert np.sqrt(small.weights @ small.spreads**2) == pytest.approx(0.1, abs=0.05)
    assert np.sqrt(large.weights @ large.spreads**2) == pytest.approx(0.45, abs=0.07)
    assert small.weights @ small.rates == pytest.approx(0.015, rel=0.1)


def test_drawn_rates_have_the_spread_of_the_true_ones_not_of_the_counts():
    places, shown, clicked = drawn(0.2)
    prior = RatePrior.fit(places, shown, clicked)
    found = prior.draw(places, shown, clicked, np.random.default_rng(0))[0]

    def spread(rates: np.ndarray) -> float:
        means = np.bincount(places, rates) / 4
        return float((rates / means[places]).std())

    assert spread(found) < spread(clicked / shown)
    assert found.mean() == pytest.approx((clicked / shown).mean(), rel=0.03)


def test_tests_without_a_click_or_an_impression_are_refused():
    with pytest.raises(InputError, match="need clicks"):
        RatePrior.fit([0, 0], [100, 100], [0, 0])
    with pytest.raises(InputError, match="need clicks"):
        RatePrior.fit([0, 0, 1, 1], [100, 100, 0, 0], [3, 1, 0, 0])
