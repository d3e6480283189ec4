"""Tastes drift, and base rate and spread stay."""

import numpy as np
import pytest
from scipy.special import logit

from simulator import ShopperConfig, draw_shoppers
from simulator.drift import TastePath, gaussian_tastes

REFERENCE = [str(number) for number in range(40)]
VALUES = np.random.default_rng(0).normal(size=(40, 7))


def features(texts):
    return VALUES[[int(text) for text in texts]]


def drawn(seed=0, **config):
    return draw_shoppers(ShopperConfig(**config), features, REFERENCE, np.random.default_rng(seed))


def test_base_rate_and_spread_stay():
    shoppers = drawn(drift={"half_life": 2, "changes": [3]}, segment_spread=0, base_rate=0.03, logit_sd=0.5)
    rates = [shoppers.segment_probabilities(REFERENCE, snapshot) for snapshot in range(6)]
    for each in rates:
        assert (each @ shoppers.shares).mean() == pytest.approx(0.03, rel=1e-9)
        assert logit(each).std(axis=0) == pytest.approx([0.5] * 3)
    assert not np.allclose(rates[0], rates[1])


def test_the_first_snapshot_is_as_without_drift():
    still, moving = drawn(4), drawn(4, drift={"half_life": 1})
    np.testing.assert_array_equal(still.segment_probabilities(REFERENCE), moving.segment_probabilities(REFERENCE, 0))
    assert moving.drifts
    assert not still.drifts


def test_the_correlation_halves_in_a_half_life():
    """Before they are scaled, tastes are a stationary autoregression: 20,000 features, within 4.5 standard errors."""
    first = gaussian_tastes(np.random.default_rng(1), 20_000, 1)
    path = TastePath(ShopperConfig(drift={"half_life": 4}), VALUES, first, gaussian_tastes, 5)
    for snapshot, expected in ((1, 2**-0.25), (4, 0.5), (8, 0.25)):
        common, _ = path.raw(snapshot)
        assert np.corrcoef(first[0], common)[0, 1] == pytest.approx(expected, abs=4.5 / 20_000**0.5)
        assert common.std() == pytest.approx(1, abs=0.03)


def test_a_change_forgets_everything_at_once():
    first = gaussian_tastes(np.random.default_rng(1), 20_000, 1)
    path = TastePath(ShopperConfig(drift={"changes": [3]}), VALUES, first, gaussian_tastes, 5)
    np.testing.assert_array_equal(path.raw(2)[0], first[0])
    assert abs(np.corrcoef(first[0], path.raw(3)[0])[0, 1]) < 4.5 / 20_000**0.5
    np.testing.assert_array_equal(path.raw(4)[0], path.raw(3)[0])


def test_a_snapshot_is_the_same_in_whatever_order_it_is_asked():
    forwards, at_once = drawn(2, drift={"half_life": 3}), drawn(2, drift={"half_life": 3})
    for snapshot in range(5):
        forwards.segment_probabilities(REFERENCE, snapshot)
    np.testing.assert_array_equal(
        forwards.segment_probabilities(REFERENCE, 5), at_once.segment_probabilities(REFERENCE, 5)
    )
