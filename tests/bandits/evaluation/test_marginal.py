"""Marginalised weights between their ends: one cluster a text is IPS, one cluster for all is the mean reward."""

import numpy as np
import pytest

from bandits.evaluation import LoggedRounds
from bandits.evaluation.estimators import ips, marginal_ips
from copyloom import InputError

LOGGER, TARGET = np.array([0.5, 0.2, 0.2, 0.1]), np.array([0.1, 0.2, 0.3, 0.4])


@pytest.fixture
def log():
    rng = np.random.default_rng(0)
    texts = rng.choice(4, 300, p=LOGGER)
    return LoggedRounds(texts, rng.random(300) < 0.3, LOGGER[texts], 4)


def test_a_cluster_for_every_text_is_ips(log):
    weights = TARGET[log.texts] / log.propensities
    plain, counted = ips(log.rewards, weights), marginal_ips(log.rewards, weights, log.texts)
    assert counted.value == pytest.approx(plain.value, abs=1e-12)
    assert counted.standard_error == pytest.approx(plain.standard_error)


def test_one_cluster_for_all_texts_is_the_mean_reward(log):
    weights = TARGET[log.texts] / log.propensities
    estimate = marginal_ips(log.rewards, weights / weights.mean(), np.zeros(300))
    assert estimate.value == pytest.approx(log.rewards.mean(), abs=1e-12)


def test_clusters_without_rounds_do_no_harm(log):
    weights = TARGET[log.texts] / log.propensities
    assert marginal_ips(log.rewards, weights, log.texts * 7).value == pytest.approx(ips(log.rewards, weights).value)


def test_unusable_clusters_are_refused(log):
    with pytest.raises(InputError, match="'clusters' is no index"):
        marginal_ips(log.rewards, np.ones(300), np.full(300, -1))
