"""The best of all rules: never below ours, never above the ceiling, and what two looks at a test can earn."""

import numpy as np
import pytest

from bandits.rewards.pooled_rates import PooledRates, RatePrior
from experiments.studies.headlines.best_rule import earned
from experiments.studies.headlines.replay import Group, replay
from experiments.studies.headlines.rules import Known

PRIOR = RatePrior(np.array([0.01, 0.03, 0.03]), np.array([0.3, 0.3, 0.7]), np.array([0.5, 0.3, 0.2]))
WIDE = RatePrior(np.array([0.002, 0.01, 0.06]), np.array([0.3, 0.2, 0.45]), np.array([0.3, 0.66, 0.04]))
"""As wide as past tests of an archive: the greatest rate is five times the mean."""


def test_with_one_look_all_show_what_promises_most():
    found = earned(PRIOR, [0.9, 1.1], 50, np.random.default_rng(0), blocks=1)
    mean = float(PRIOR.weights @ PRIOR.rates)
    assert found.uniform == pytest.approx(2 * mean)
    assert [found.words_alone, found.ours, found.best_rule, found.ceiling] == pytest.approx([2.2 * mean] * 4)


@pytest.mark.parametrize("tau", [50, 1000])
def test_of_one_headline_all_earn_the_same_but_for_the_clicks_that_are_cut(tau):
    found = earned(WIDE, [1.0], tau, np.random.default_rng(0))
    assert [found.ours, found.best_rule] == pytest.approx([found.uniform] * 2, rel=5e-4)


def test_a_block_is_an_impression_at_least():
    few, many = (earned(PRIOR, [0.9, 1.1], 2, np.random.default_rng(0), blocks=blocks) for blocks in (4, 25))
    assert few == many


@pytest.mark.parametrize("prior", [PRIOR, WIDE])
@pytest.mark.parametrize("factors", [(1.0, 1.0), (0.7, 1.3), (0.9, 1.0, 1.1)])
def test_it_is_never_below_ours_nor_above_the_ceiling(prior, factors):
    found = earned(prior, factors, 30, np.random.default_rng(0), blocks=5)
    assert found.uniform < found.ours <= found.best_rule < found.ceiling
    assert found.best_rule >= found.words_alone * (1 - 1e-4)
    assert found.best_rule - found.ours < 0.05 * (found.ceiling - found.uniform)


def test_the_best_of_two_looks_is_what_drawing_tests_says():
    """Show one for half of the time, then what looks better, by the belief that the rules themselves have."""
    count, half, rng = 40_000, 100, np.random.default_rng(1)
    cells = rng.choice(3, count, p=PRIOR.weights)
    shape, factors = PRIOR.spreads[cells] ** -2, np.array([0.9, 1.1])
    values = []
    for first in (0, 1):
        rates = rng.gamma(shape, PRIOR.rates[cells] * factors[first] / shape)
        clicks = rng.poisson(rates * half)
        belief = PooledRates(PRIOR, np.tile(factors, (count, 1)))
        for step in range(clicks.max() + 1):  # a click at a time, then the rest without
            rows = np.flatnonzero(clicks >= step)
            last = clicks[rows] == step
            shown = np.where(last, half - step * 1e-6, 1e-6)
            belief.learn(rows, first, shown, ~last)
        means = belief.moments()[0]  # their mean is known, so only what the better one has more is drawn
        known = PRIOR.weights @ PRIOR.rates * factors
        values.append(half * (known[first] + known[1] + (means.max(1) - means[:, 1]).mean()))
    found = earned(PRIOR, factors, half, np.random.default_rng(0), blocks=2)
    way = found.ceiling - found.uniform
    assert (found.best_rule - max(values) / half) / way == pytest.approx(0, abs=0.02)


def test_ours_is_what_a_replay_of_tests_drawn_from_the_belief_earns():
    """The replay may change what is shown at every impression, and so earns a little more."""
    rng, count = np.random.default_rng(2), 20_000
    cells = rng.choice(3, count, p=PRIOR.weights)[:, None]
    factors = np.tile([0.9, 1.1], (count, 1))
    rates = rng.gamma(PRIOR.spreads[cells] ** -2, PRIOR.rates[cells] * factors * PRIOR.spreads[cells] ** 2)
    tests = Group(np.arange(count), rates[None], Known(factors, PRIOR, PRIOR, 0.018, (2.0, 100.0)))
    more = (
        replay(tests, "ours", 100, np.arange(1)).clicks.mean()
        - replay(tests, "words alone", 100, np.arange(1)).clicks.mean()
    )
    found = earned(PRIOR, [0.9, 1.1], 100, np.random.default_rng(0), blocks=20)
    way = found.ceiling - found.uniform
    assert (more - (found.ours - found.words_alone)) / way == pytest.approx(0, abs=0.03)
