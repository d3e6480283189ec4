"""Standard errors against closed forms, intervals against how often they are right."""

from itertools import product

import numpy as np
import pytest

from bandits.evaluation import LoggedRounds, RoundPolicy
from bandits.evaluation.estimate import Estimate
from bandits.evaluation.estimators import direct_method, doubly_robust, ips, marginal_ips, shrunk, snips, switched
from bandits.evaluation.predictions import fitted_predictions
from bandits.evaluation.tuning import tuned_cut
from copyloom import InputError


def test_a_mean_has_the_textbook_error_and_interval():
    values = np.array([1.0, 4.0, 2.0, 7.0])
    estimate = Estimate.mean_of(values)
    error = np.sqrt(((values - 3.5) ** 2).sum() / 3 / 4)
    assert estimate.value == 3.5
    assert estimate.standard_error == pytest.approx(error)
    assert estimate.interval("normal") == pytest.approx((3.5 - 1.959964 * error, 3.5 + 1.959964 * error))
    low, high = estimate.interval("normal", level=0.5)
    assert (high - low) / 2 == pytest.approx(0.67449 * error, rel=1e-5)


def test_influence_is_the_derivative_of_the_estimate_in_the_weight_of_a_round():
    rng = np.random.default_rng(0)
    above, below = rng.random(6), rng.random(6) + 0.5
    estimate = Estimate(above, below, np.zeros(6))

    def value(share):
        return (share @ above) / (share @ below)

    even = np.full(6, 1 / 6)
    slope = [(value(even + step) - value(even - step)) / 2e-6 for step in 1e-6 * (np.eye(6) - 1 / 6)]
    np.testing.assert_allclose(estimate.influence, slope, atol=1e-8)


def test_influence_of_counted_marginal_weights_is_that_derivative_too():
    """A round of weight 2 counts as two rounds: the estimate's share of it moves by its influence."""
    rng = np.random.default_rng(1)
    rewards, weights, clusters = rng.random(400), rng.exponential(size=400), rng.integers(3, size=400)
    estimate = marginal_ips(rewards, weights, clusters)
    for row in (0, 57):
        again = [np.append(array, array[row]) for array in (rewards, weights, clusters)]
        assert 401 * (marginal_ips(*again).value - estimate.value) == pytest.approx(estimate.influence[row], abs=0.02)


def test_the_bootstrap_agrees_with_the_delta_method_on_many_rounds():
    rng = np.random.default_rng(2)
    rewards, weights = rng.random(4000), rng.exponential(size=4000)
    for estimate in (ips(rewards, weights), snips(rewards, weights)):
        normal, resampled = estimate.interval("normal"), estimate.interval(resamples=2000)
        np.testing.assert_allclose(resampled, normal, atol=0.15 * (normal[1] - normal[0]) / 2)
        assert resampled == estimate.interval(resamples=2000)
        assert resampled != estimate.interval(resamples=2000, seed=1)


def test_the_bootstrap_is_the_studentised_one():
    """Three values: all 27 resamples, weighted alike, against 20,000 drawn ones."""
    values, root = np.array([0.0, 1.0, 5.0]), np.sqrt(3)
    deviations = []
    for rows in product(range(3), repeat=3):
        drawn = values[list(rows)]
        if drawn.std() > 0:
            deviations.append((drawn.mean() - 2) / (drawn.std() / root))
    high, low = 2 - np.quantile(deviations, [0.2, 0.8], method="inverted_cdf") * values.std() / root
    assert Estimate.mean_of(values).interval(level=0.6, resamples=20_000) == pytest.approx((low, high))


def test_a_biased_estimates_interval_holds_that_of_the_unbiased_one():
    unbiased = Estimate.mean_of(np.arange(10.0))
    biased = Estimate.mean_of(np.full(10, 5.0), unbiased=unbiased)
    elsewhere = Estimate.mean_of(np.full(10, 9.0), unbiased=unbiased)
    for kind in ("normal", "bootstrap"):
        low, high = unbiased.interval(kind)
        assert biased.interval(kind) == (low, high)
        assert elsewhere.interval(kind) == (low, 9.0)


RATE = np.array([0.03, 0.05, 0.02, 0.08, 0.04, 0.06])
LOGGER = np.array([0.3, 0.25, 0.2, 0.1, 0.1, 0.05])
TARGET = np.array([0.05, 0.15, 0.1, 0.4, 0.1, 0.2])
CLUSTERS = np.array([0, 1, 0, 2, 3, 2])
BOTH, NORMAL = ("normal", "bootstrap"), ("normal",)
KINDS = {"IPS": BOTH, "SNIPS": BOTH, "DR": BOTH, "Switch-DR": NORMAL, "DRos": NORMAL, "DM": NORMAL, "MIPS": NORMAL}


@pytest.fixture(scope="module")
def covered():
    """How often each interval held the target's value, in 400 logs of 2,000 rounds at shop click rates."""
    rng, value = np.random.default_rng(3), RATE @ TARGET
    # Within clusters rates differ, so MIPS aims at the value of the policy that keeps the logger's mix in them.
    mass, asked = np.bincount(CLUSTERS, LOGGER), np.bincount(CLUSTERS, TARGET)
    clustered = (LOGGER * (asked / mass)[CLUSTERS]) @ RATE
    hits: dict[tuple[str, str], int] = {}
    for repeat in range(400):
        texts = rng.choice(6, 2000, p=LOGGER)
        rewards = (rng.random(2000) < RATE[texts]).astype(float)
        log = LoggedRounds(texts, rewards, LOGGER[texts], 6)
        target = RoundPolicy.from_array(TARGET, log)
        weights, model = target.of(texts) / log.propensities, fitted_predictions(log, target, seed=repeat)
        threshold = tuned_cut(rewards, weights, model, switched, [0.5, 1.0, 2.0, np.inf])
        shrinkage = tuned_cut(rewards, weights, model, shrunk, [0.5, 4.0, 16.0, np.inf])
        estimates = {
            "IPS": ips(rewards, weights),
            "SNIPS": snips(rewards, weights),
            "DR": doubly_robust(rewards, weights, model),
            "Switch-DR": doubly_robust(rewards, weights, model, switched(weights, threshold)),
            "DRos": doubly_robust(rewards, weights, model, shrunk(weights, shrinkage)),
            "DM": direct_method(model),
            "MIPS": marginal_ips(rewards, weights, CLUSTERS[texts]),
        }
        for name, estimate in estimates.items():
            aim = clustered if name == "MIPS" else value
            for kind in KINDS[name]:
                low, high = estimate.interval(kind, resamples=200, seed=repeat)
                hits[name, kind] = hits.get((name, kind), 0) + (low <= aim <= high)
    return {key: count / 400 for key, count in hits.items()}


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in KINDS for kind in KINDS[name] if name != "DM"])
def test_intervals_hold_the_truth_about_95_times_in_100(covered, name, kind):
    """A share of 400 has standard deviation 0.011 at 0.95: right intervals fail here once in about 1,000 times.

    Those of cut weights hold the doubly robust one, and may be right more often.
    """
    most = 1 if name in ("Switch-DR", "DRos") else 0.985
    assert 0.915 <= covered[name, kind] <= most


def test_the_direct_methods_interval_knows_the_models_noise_but_not_its_bias(covered):
    """Without the noise of the fitted means it would be of width 0, and right never."""
    assert 0.6 <= covered["DM", "normal"] <= 0.985


def test_the_bootstrap_leaves_out_draws_without_weight_or_spread():
    assert Estimate(np.array([3.0, 0, 0]), np.array([1.0, 0, 0]), np.zeros(3)).interval() == (3, 3)
    assert Estimate.mean_of(np.zeros(50)).interval() == (0, 0)
    assert np.isnan(Estimate.mean_of(np.ones(50), np.full(50, np.nan)).interval()).all()


def test_unusable_input_is_refused():
    estimate = Estimate.mean_of(np.arange(3.0))
    for level in (0.0, 1.0, np.nan):
        with pytest.raises(InputError, match="level is"):
            estimate.interval(level=level)
    with pytest.raises(InputError, match="kind is 'exact'"):
        estimate.interval("exact")
    with pytest.raises(InputError, match="resamples is 0"):
        estimate.interval("bootstrap", resamples=0)
    with pytest.raises(InputError, match=r"shape \(1,\); pass 2 rounds"):
        Estimate.mean_of(np.ones(1))


def test_groups_of_one_change_nothing_and_groups_add_up():
    rng = np.random.default_rng(0)
    plain = Estimate(
        rng.random(60), rng.random(60) + 0.5, 0.1 * rng.standard_normal(60), Estimate.mean_of(rng.random(60))
    )
    alone = plain.grouped(rng.permutation(60))
    assert alone.value == pytest.approx(plain.value)
    assert alone.standard_error == pytest.approx(plain.standard_error)
    names = np.array([f"visitor {i}" for i in rng.integers(9, size=60)])
    pulls = np.array([plain.influence[names == name].sum() for name in np.unique(names)]) * len(np.unique(names)) / 60
    grouped = plain.grouped(names)
    assert grouped.value == pytest.approx(plain.value)
    assert grouped.standard_error == pytest.approx(pulls.std(ddof=1) / np.sqrt(len(pulls)))
    assert len(grouped.unbiased.numerators) == len(pulls)


@pytest.mark.parametrize("kind", ["normal", "bootstrap"])
def test_intervals_of_visitors_hold_where_those_of_rounds_do_not(kind):
    """100 visitors of 20 rounds each, in mixed order, who click at very different rates: 200 logs."""
    rng, held = np.random.default_rng(3), {"rounds": 0, "visitors": 0}
    for _ in range(200):
        visitors = rng.permutation(np.repeat(np.arange(100), 20))
        rewards = (rng.random(2000) < rng.beta(0.5, 2, 100)[visitors]).astype(float)
        estimate = snips(rewards, rng.choice([0.5, 1.5], 2000))
        for name, one in (("rounds", estimate), ("visitors", estimate.grouped(visitors))):
            low, high = one.interval(kind, resamples=200)
            held[name] += low < 0.2 < high
    assert held["rounds"] < 140
    assert held["visitors"] > 180  # 190 expected, standard deviation 3


def test_unusable_groups_are_refused():
    estimate = Estimate.mean_of(np.arange(4.0))
    with pytest.raises(InputError, match=r"groups have shape \(3,\)"):
        estimate.grouped([1, 2, 3])
    with pytest.raises(InputError, match="all rounds are of one visitor"):
        estimate.grouped(["ann"] * 4)
