"""Fitted predictions against direct computation; none has seen the reward that it is for."""

import numpy as np
import pytest

from bandits.evaluation import LoggedRounds, RoundPolicy
from bandits.evaluation.predictions import fitted_predictions, shrunken_means
from copyloom import InputError

N, n = 4, 600


@pytest.fixture
def log():
    rng = np.random.default_rng(0)
    texts, positions = rng.integers(N, size=n), rng.integers(2, size=n)
    rewards = rng.random(n) < 0.1 + 0.2 * texts + 0.1 * positions
    return LoggedRounds(texts, rewards, np.full(n, 0.25), N, positions=positions)


@pytest.fixture
def target(log):
    return RoundPolicy(np.array([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]]), log.positions)


def with_rewards(log, rewards, features=None):
    return LoggedRounds(log.texts, rewards, log.propensities, N, positions=log.positions, features=features)


@pytest.mark.parametrize("features", [None, np.random.default_rng(2).random((n, 2))], ids=["text means", "logistic"])
def test_no_prediction_has_seen_its_own_reward(log, target, features):
    rewards = log.rewards.copy()
    before = fitted_predictions(with_rewards(log, rewards, features), target)
    rewards[7] = 1 - rewards[7]
    after = fitted_predictions(with_rewards(log, rewards, features), target)
    assert (before.logged[7], before.target[7]) == (after.logged[7], after.target[7])
    assert (before.logged != after.logged).any()


def test_text_means_come_from_the_other_folds(log, target):
    model = fitted_predictions(log, target, folds=3, seed=5)
    fold = np.random.default_rng(5).permutation(n) % 3
    cell = log.positions * N + log.texts
    counts, sums = (np.bincount(cell[fold != 1], values[fold != 1]) for values in (np.ones(n), log.rewards))
    means, _ = shrunken_means(counts, sums, sums)
    np.testing.assert_allclose(model.logged[fold == 1], means[cell[fold == 1]])
    table = means.reshape(2, N)[log.positions]
    asked = target.probabilities[log.positions]
    np.testing.assert_allclose(model.target[fold == 1], (table * asked).sum(axis=1)[fold == 1])


def test_model_error_is_the_derivative_of_the_plain_plug_in(log, target):
    """Of the mean over rounds of the target's shrunken means, all data used; the strength of shrinking held fixed."""
    cell = log.positions * N + log.texts
    counts, sums = np.bincount(cell), np.bincount(cell, log.rewards)
    means, weight = shrunken_means(counts.astype(float), sums, sums)
    asked = np.array([target.probabilities[p] * (log.positions == p).mean() for p in range(2)]).ravel()

    def value(rewards):
        sums, mean = np.bincount(cell, rewards), rewards.mean()
        return asked @ (mean + (sums - counts * mean) * weight)

    np.testing.assert_allclose(value(log.rewards), asked @ means)
    model = fitted_predictions(log, target)
    for row in (0, 11):
        bumped = log.rewards.copy()
        bumped[row] += 1
        pull = model.model_error[row] / (log.rewards[row] - model.logged[row])
        assert pull == pytest.approx(n * (value(bumped) - value(log.rewards)))


def test_shrinking_is_complete_without_differences_and_absent_without_noise():
    counts = np.array([10.0, 30.0, 20.0])
    means, _ = shrunken_means(counts, counts * 0.2, counts * 0.2)
    np.testing.assert_allclose(means, 0.2)
    levels = np.array([1.0, 2.0, 4.0])
    means, _ = shrunken_means(counts, counts * levels, counts * levels**2)
    np.testing.assert_allclose(means, levels)


def test_a_text_without_rounds_is_predicted_at_the_mean_of_all():
    means, weight = shrunken_means(np.array([100.0, 0.0, 100.0]), np.array([50.0, 0, 10]), np.array([50.0, 0, 10]))
    assert means[1] == pytest.approx(0.3)
    assert 0.1 < means[2] < 0.3 < means[0] < 0.5
    assert (weight > 0).all()


def test_shrunken_means_predict_better_than_raw_ones_and_than_one_for_all():
    """Squared error over 40 texts of 200 rounds each, rates 5 % with standard deviation 1.5 %."""
    rng = np.random.default_rng(3)
    rate, counts = np.clip(rng.normal(0.05, 0.015, 40), 0.01, 1), np.full(40, 200.0)
    clicks = rng.binomial(200, rate).astype(float)
    shrunken, _ = shrunken_means(counts, clicks, clicks)
    error = [((guess - rate) ** 2).mean() for guess in (shrunken, clicks / counts, np.full(40, clicks.sum() / 8000))]
    assert error[0] < min(error[1:])


def test_the_logistic_model_finds_what_features_texts_and_positions_do():
    """40,000 rounds: of 4 texts and a feature, the slopes are known to about 0.05 in the logit."""
    rng = np.random.default_rng(4)
    texts, positions, feature = rng.integers(4, size=40_000), rng.integers(2, size=40_000), rng.standard_normal(40_000)
    logit = -1 + 0.3 * texts - 0.5 * positions + 0.8 * feature
    rewards = 2 + 3 * (rng.random(40_000) < 1 / (1 + np.exp(-logit)))  # 2 or 5
    log = LoggedRounds(texts, rewards, np.full(40_000, 0.25), 4, positions, feature[:, None], reward_range=(2, 5))
    target = RoundPolicy.from_array([0, 0, 0, 1.0], log)
    model = fitted_predictions(log, target)
    truth = 2 + 3 / (1 + np.exp(-(logit + 0.3 * (3 - texts))))
    assert np.abs(model.target - truth).max() < 0.15
    assert np.abs(model.target - truth).mean() < 0.03
    assert model.model_error is None


@pytest.mark.parametrize("features", [None, [[0.0], [1.0], [2.0], [5.0]]], ids=["text means", "logistic"])
def test_a_log_without_a_click_or_with_nothing_else_has_a_fit(features):
    for reward in (0.0, 1.0):
        log = LoggedRounds([0, 1, 0, 1], np.full(4, reward), np.full(4, 0.5), 2, features=features)
        model = fitted_predictions(log, RoundPolicy.from_array([0.5, 0.5], log))
        assert (np.abs(model.target - reward) < 0.35).all()


def test_unusable_input_is_refused(log, target):
    with pytest.raises(InputError, match="folds is 1"):
        fitted_predictions(log, target, folds=1)
