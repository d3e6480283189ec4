"""Diagnostics in cases where they are known by hand, and verdicts in plain words."""

import numpy as np
import pytest

from bandits.evaluation import LoggedRounds, RoundPolicy
from bandits.evaluation.support import diagnose


def uniform_log(n=4000, N=4, seed=0, **changes):
    rng = np.random.default_rng(seed)
    given = {"texts": rng.integers(N, size=n), "rewards": rng.random(n) < 0.1, "propensities": np.full(n, 1 / N)}
    return LoggedRounds(**{**given, "text_count": N, **changes})


def verdict_on(log, target):
    policy = RoundPolicy.from_array(target, log)
    return diagnose(log, policy.of(log.texts) / log.propensities, policy)


def test_equal_weights_lose_nothing():
    log = uniform_log()
    found = verdict_on(log, np.full(4, 0.25))
    assert found.effective_rounds == 4000
    assert found.effective_rewards == log.rewards.sum()
    assert (found.greatest_weight, found.mean_weight, found.mean_weight_p, found.unsupported) == (1, 1, 1, 0)
    assert found.share_of_top_percent == pytest.approx(0.01)
    assert found.verdict == "enough evidence"
    assert found.reasons == ()


def test_a_single_text_leaves_its_own_rounds():
    log = uniform_log()
    found = verdict_on(log, [1.0, 0, 0, 0])
    assert found.effective_rounds == pytest.approx((log.texts == 0).sum())
    assert found.effective_rewards == pytest.approx(log.rewards[log.texts == 0].sum())
    assert found.greatest_weight == 4


def test_few_rounds_or_few_rewards_are_not_enough():
    found = verdict_on(uniform_log(60), np.full(4, 0.25))
    assert found.verdict == "not enough evidence"
    assert "60 effective rounds of 60" in found.reasons[0]
    clicks = np.arange(4000) < 9
    found = verdict_on(uniform_log(rewards=clicks), np.full(4, 0.25))
    assert found.verdict == "not enough evidence"
    assert found.reasons == ("the estimates rest on 9 effective rewarded rounds; 10 are the least",)
    assert verdict_on(uniform_log(rewards=np.zeros(4000)), np.full(4, 0.25)).effective_rewards == 0


def test_rewards_count_from_the_least_that_there_is():
    rewards = np.where(np.arange(4000) < 9, -1.0, -5.0)
    found = verdict_on(uniform_log(rewards=rewards, reward_range=(-5.0, 0.0)), np.full(4, 0.25))
    assert found.effective_rewards == pytest.approx(9)


def test_one_heavy_round_shows_in_the_tail():
    log = uniform_log(1000)
    weights = np.ones(1000)
    weights[3] = 500
    found = diagnose(log, weights)
    assert found.share_of_top_percent == pytest.approx(509 / 1499)
    assert found.effective_rounds == pytest.approx(1499**2 / (999 + 250_000))
    assert found.unsupported is None


def test_texts_that_the_log_never_shows_are_without_support():
    log = uniform_log(text_count=6)
    found = verdict_on(log, [0.3, 0.3, 0, 0, 0.3, 0.1])
    assert found.unsupported == pytest.approx(0.4)
    assert found.mean_weight_p > 0.001  # the mean weight is 0.6, as it should be
    assert found.verdict == "not enough evidence"
    assert "40.0% of the target's probability" in found.reasons[0]


def test_support_is_looked_at_by_position():
    log = uniform_log(texts=np.arange(4000) % 2, positions=np.arange(4000) % 2, propensities=np.ones(4000))
    target = RoundPolicy(np.array([[0.75, 0.25, 0, 0], [0.25, 0.75, 0, 0]]), log.positions)
    assert diagnose(log, target.of(log.texts), target).unsupported == pytest.approx(0.25)


def test_wrong_propensities_are_found_and_rounded_ones_forgiven():
    wrong = verdict_on(uniform_log(propensities=np.full(4000, 0.2)), [0.7, 0.1, 0.1, 0.1])
    assert wrong.verdict == "propensities do not fit"
    assert wrong.reasons[0].endswith("propensities or the target's probabilities are wrong")
    assert "instead of 1" in wrong.reasons[0]
    log = uniform_log()
    assert "texts that the log lacks" in diagnose(log, np.where(log.texts == 0, 2.0, 0.0)).reasons[0]
    assert verdict_on(uniform_log(propensities=np.full(4000, 0.2499)), np.full(4, 0.25)).mean_weight_p == 1
    assert verdict_on(uniform_log(propensities=np.full(4000, 0.2)), np.full(4, 0.25)).mean_weight_p == 0


def test_right_propensities_are_rarely_accused():
    """Of 400 logs, p-values below 0.05 come about 20 times: above 40 with a chance of 1 in 50,000."""
    shares = np.array([0.6, 0.2, 0.1, 0.1])
    low = sum(verdict_on(uniform_log(500, seed=seed), shares).mean_weight_p < 0.05 for seed in range(400))
    assert 3 <= low <= 40


def test_rounds_of_large_weight_that_the_log_lacks_accuse_nobody():
    """Right propensities, in half of the rounds one of 0.001: of 200 logs none is called wrong."""
    rng = np.random.default_rng(1)
    for _ in range(200):
        rare = np.where(rng.random(2000) < 0.5, 0.001, 0.9)
        texts = (rng.random(2000) < rare).astype(int)
        log = LoggedRounds(texts, rng.random(2000) < 0.1, np.where(texts == 1, rare, 1 - rare), text_count=2)
        assert diagnose(log, texts / log.propensities).verdict != "propensities do not fit"


def test_rewards_that_are_all_the_greatest_are_not_enough():
    found = verdict_on(uniform_log(rewards=np.ones(4000)), np.full(4, 0.25))
    assert found.verdict == "not enough evidence"
    assert "0 effective rounds without the greatest reward" in found.reasons[0]


def test_tiny_propensities_overflow_nothing():
    propensities = np.full(4000, 0.25)
    propensities[0] = 1e-12
    found = verdict_on(uniform_log(propensities=propensities), np.full(4, 0.25))
    assert found.effective_rounds == pytest.approx(1, abs=1e-6)
    assert found.verdict == "not enough evidence"
