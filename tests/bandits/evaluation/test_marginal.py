"""Marginalised weights between their ends: one cluster a text is IPS, one cluster for all is the mean reward."""

import numpy as np
import pytest

from bandits.evaluation import LoggedRounds, RoundPolicy, ips, marginal_ips, marginal_weights
from copyloom import InputError

LOGGER, TARGET = np.array([0.5, 0.2, 0.2, 0.1]), np.array([0.1, 0.2, 0.3, 0.4])


@pytest.fixture
def log():
    rng = np.random.default_rng(0)
    texts = rng.choice(4, 300, p=LOGGER)
    return LoggedRounds(texts, rng.random(300) < 0.3, LOGGER[texts], 4)


def policies(log):
    return RoundPolicy.from_array(TARGET, log), RoundPolicy.from_array(LOGGER, log)


def test_a_cluster_for_every_text_is_ips(log):
    weights = TARGET[log.texts] / log.propensities
    np.testing.assert_allclose(marginal_weights(np.eye(4), log.texts, *policies(log)), weights)
    plain, counted = ips(log.rewards, weights), marginal_ips(log.rewards, weights, log.texts)
    assert counted.value == pytest.approx(plain.value, abs=1e-12)
    assert counted.standard_error == pytest.approx(plain.standard_error)


def test_one_cluster_for_all_texts_is_the_mean_reward(log):
    np.testing.assert_allclose(marginal_weights(np.ones((4, 1)), np.zeros(300), *policies(log)), 1)
    weights = TARGET[log.texts] / log.propensities
    estimate = marginal_ips(log.rewards, weights / weights.mean(), np.zeros(300))
    assert estimate.value == pytest.approx(log.rewards.mean(), abs=1e-12)


def test_clusters_without_rounds_do_no_harm(log):
    weights = TARGET[log.texts] / log.propensities
    assert marginal_ips(log.rewards, weights, log.texts * 7).value == pytest.approx(ips(log.rewards, weights).value)


def test_weights_are_ratios_of_what_is_seen(log):
    """Text i shows embedding 0 with probability p_i."""
    p = np.array([0.9, 0.5, 0.2, 0.0])
    seen = np.random.default_rng(1).integers(2, size=300)
    ratio = np.array([TARGET @ p / (LOGGER @ p), TARGET @ (1 - p) / (LOGGER @ (1 - p))])
    found = marginal_weights(np.column_stack([p, 1 - p]), seen, *policies(log))
    np.testing.assert_allclose(found, ratio[seen])


def test_unusable_embeddings_are_refused(log):
    for wrong in (np.full((4, 2), 0.4), np.eye(3), np.array([[2.0, -1.0]] * 4)):
        with pytest.raises(InputError, match=r"pass \(4, E\), one distribution a row"):
            marginal_weights(wrong, np.zeros(300), *policies(log))
    never = np.column_stack([np.ones(4), np.zeros(4)])
    with pytest.raises(InputError, match="round 1 saw an embedding that the logger never shows"):
        marginal_weights(never, np.ones(300), *policies(log))
    with pytest.raises(InputError, match="'clusters' is no index"):
        marginal_ips(log.rewards, np.ones(300), np.full(300, -1))
