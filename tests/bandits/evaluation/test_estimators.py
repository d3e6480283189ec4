"""Unbiased by enumeration of every possible log, and the identities between the estimators."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandits.evaluation import LoggedRounds, RoundPolicy
from bandits.evaluation.estimators import Predictions, direct_method, doubly_robust, ips, shrunk, snips, switched
from bandits.evaluation.kernel import smoothed
from bandits.evaluation.predictions import fitted_predictions
from copyloom import InputError

# Two rounds, each with a context, hence policies and click rates, of its own; three texts.
LOGGER = np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
TARGET = np.array([[0.7, 0.0, 0.3], [0.1, 0.8, 0.1]])
RATE = np.array([[0.1, 0.4, 0.9], [0.5, 0.2, 0.3]])
VALUE = (TARGET * RATE).sum(axis=1).mean()


def expectation(estimate, logger=LOGGER, rate=RATE):
    """Mean of an estimate over all texts that could have been shown and all clicks that could have followed."""
    n, N = logger.shape
    total = 0.0
    for texts in product(range(N), repeat=n):
        for clicks in product((0, 1), repeat=n):
            shown, clicked = logger[range(n), texts], rate[range(n), texts]
            if not shown.all():
                continue
            chance = np.prod(shown * np.where(clicks, clicked, 1 - clicked))
            total += chance * estimate(LoggedRounds(np.array(texts), np.array(clicks), shown, N)).value
    return total


def weights_of(log, target):
    return RoundPolicy.from_array(target, log).of(log.texts) / log.propensities


def test_ips_is_unbiased():
    assert expectation(lambda log: ips(log.rewards, weights_of(log, TARGET))) == pytest.approx(VALUE, abs=1e-12)


def test_doubly_robust_is_unbiased_whatever_is_predicted():
    predictions = np.array([[0.9, -3.0, 0.1], [0.0, 0.7, 0.2]])

    def estimate(log):
        model = Predictions(predictions[range(2), log.texts], (TARGET * predictions).sum(axis=1))
        return doubly_robust(log.rewards, weights_of(log, TARGET), model)

    assert expectation(estimate) == pytest.approx(VALUE, abs=1e-12)


@pytest.mark.parametrize("features", [None, [[0.0], [1.0], [3.0]]], ids=["text means", "logistic"])
def test_doubly_robust_is_unbiased_with_predictions_fitted_to_the_same_log(features):
    logger, target, rate = np.array([[0.3, 0.7]] * 3), np.array([0.9, 0.1]), np.array([[0.2, 0.6]] * 3)

    def estimate(log):
        log = LoggedRounds(log.texts, log.rewards, log.propensities, 2, features=features)
        model = fitted_predictions(log, RoundPolicy.from_array(target, log), folds=3)
        return doubly_robust(log.rewards, weights_of(log, target), model)

    assert expectation(estimate, logger, rate) == pytest.approx(0.9 * 0.2 + 0.1 * 0.6, abs=1e-12)


def test_ips_of_the_smoothed_policy_is_unbiased_for_its_value():
    logger = np.array([[0.4, 0.6, 0.0], [0.6, 0.4, 0.0]])
    vectors, supported = np.array([[0.0], [1.0], [0.75]]), np.array([True, True, False])

    def policy(log):
        return smoothed(RoundPolicy.from_array(TARGET, log), vectors, supported, 0.5)

    def estimate(log):
        return ips(log.rewards, policy(log).of(log.texts) / log.propensities)

    near, far = np.exp(-(np.array([0.25, 0.75]) ** 2) / (2 * 0.5**2))
    stand_in = np.array([far, near, 0]) / (near + far)
    value = ((TARGET * supported + TARGET[:, 2:] * stand_in) * RATE).sum(axis=1).mean()
    assert expectation(estimate, logger) == pytest.approx(value, abs=1e-12)


numbers = st.floats(-5, 5, allow_nan=False)
rounds = st.lists(st.tuples(numbers, st.floats(0, 50), numbers, numbers), min_size=2, max_size=20)


@settings(max_examples=100, deadline=None)
@given(rounds)
def test_cutting_leads_from_the_direct_to_the_doubly_robust_estimate(rows):
    rewards, weights, logged, target = np.array(rows).T
    model = Predictions(logged, target)
    direct, robust = direct_method(model).value, doubly_robust(rewards, weights, model).value
    for cut in (switched, shrunk):
        assert doubly_robust(rewards, weights, model, cut(weights, np.inf)).value == robust
        assert doubly_robust(rewards, weights, model, cut(weights, 0.0)).value == pytest.approx(direct)
        kept = cut(weights, 4.0)
        assert ((kept >= 0) & (kept <= weights)).all()
    assert (shrunk(weights, 4.0) <= 1.0).all()  # lambda w / (w^2 + lambda) peaks at sqrt(lambda) / 2


@settings(max_examples=100, deadline=None)
@given(rounds, st.randoms(use_true_random=False))
def test_order_and_repetition_of_rounds_change_nothing(rows, random):
    shuffled = random.sample(rows, len(rows)) * 2
    for estimate in (
        lambda rewards, weights, *model: ips(rewards, weights).value,
        lambda rewards, weights, *model: snips(rewards, weights + 1e-3).value,
        lambda rewards, weights, *model: doubly_robust(rewards, weights, Predictions(*model)).value,
        lambda rewards, weights, *model: (
            doubly_robust(rewards, weights, Predictions(*model), shrunk(weights, 9.0)).value
        ),
    ):
        assert estimate(*np.array(shuffled).T) == pytest.approx(estimate(*np.array(rows).T), abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(rounds)
def test_self_normalised_estimates_stay_within_the_rewards_and_follow_their_shift(rows):
    rewards, weights, *_ = np.array(rows).T
    weights = weights + 1e-3
    estimate = snips(rewards, weights).value
    assert rewards.min() - 1e-9 <= estimate <= rewards.max() + 1e-9
    assert snips(rewards + 3, weights).value == pytest.approx(estimate + 3)
    assert snips(rewards, 7 * weights).value == pytest.approx(estimate)


def test_the_loggers_own_policy_is_worth_its_mean_reward():
    rewards = np.array([0.0, 1.0, 1.0, 0.5])
    assert ips(rewards, np.ones(4)).value == snips(rewards, np.ones(4)).value == rewards.mean()


def test_predictions_that_are_right_leave_the_weights_no_role():
    rewards = np.array([0.2, 0.4, 0.4])
    model = Predictions(logged=rewards, target=np.array([0.3, 0.3, 0.6]))
    assert doubly_robust(rewards, np.array([100.0, 0.0, 3.0]), model).value == pytest.approx(0.4)


def test_hyper_parameters_are_checked():
    for cut, name in ((switched, "threshold"), (shrunk, "shrinkage")):
        with pytest.raises(InputError, match=f"{name} is -1"):
            cut(np.ones(2), -1.0)
        with pytest.raises(InputError, match=f"{name} is nan"):
            cut(np.ones(2), np.nan)


def test_a_target_that_shows_none_of_the_logged_texts_has_no_self_normalised_estimate():
    with pytest.raises(InputError, match="shows no text of the log"):
        snips(np.ones(3), np.zeros(3))
