"""The finite-horizon index: what is known of it, and against brute force."""

from functools import cache

import numpy as np
import pytest

from bandits.online.horizon_index import horizon_index


def test_without_time_left_it_is_the_mean_and_with_more_it_is_more():
    left = [0, 10, 100, 1_000, 10_000, 100_000]
    found = horizon_index(0.02, 1e-5, 0.02, left)
    assert found[0] == 0.02
    assert (np.diff(found) > 0).all()


def test_it_depends_on_the_ratio_of_impressions_left_to_impressions_known():
    known, left = np.array([100.0, 1000.0]), np.array([500.0, 5000.0])
    lead = (horizon_index(0.0, 0.02 / known, 0.02, left)) / np.sqrt(0.02 / known)
    assert lead[0] == pytest.approx(lead[1])


def test_a_text_just_worth_trying_beside_a_known_one_is_that_of_dynamic_programming():
    """Bernoulli rewards with a Beta belief, whose one-armed problem is solved exactly."""
    first, second, horizon = 4.0, 46.0, 60

    @cache
    def lead(clicks: int, shown: int, certain: float) -> float:
        if shown == horizon:
            return 0.0
        rate = (first + clicks) / (first + second + shown)
        after = rate * lead(clicks + 1, shown + 1, certain) + (1 - rate) * lead(clicks, shown + 1, certain)
        return max(0.0, rate - certain + after)

    low, high = first / (first + second), 0.5
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if lead(0, 0, middle) > 0 else (low, middle)
    mean = first / (first + second)
    variance = mean * (1 - mean) / (first + second + 1)
    found = horizon_index(mean, variance, mean * (1 - mean), horizon)
    assert found - mean == pytest.approx(low - mean, rel=0.12)
