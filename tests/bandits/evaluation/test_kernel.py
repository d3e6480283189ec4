"""Texts never shown are judged by shown ones like them, as closely as the log allows."""

import numpy as np
import pytest

from bandits.evaluation import LoggedRounds, RoundPolicy
from bandits.evaluation.estimators import snips
from bandits.evaluation.kernel import chosen_bandwidth, smoothed
from copyloom import InputError

VECTORS = np.array([[0.0], [1.0], [2.0], [1.1], [5.0]])
SHOWN = np.array([True, True, True, False, False])


def spread(shares, bandwidth):
    policy = RoundPolicy(np.array([shares]), np.zeros(2, int))
    return smoothed(policy, VECTORS, SHOWN, bandwidth).probabilities[0]


def test_shown_texts_keep_their_probability():
    np.testing.assert_array_equal(spread([0.2, 0.3, 0.5, 0.0, 0.0], 1.0), [0.2, 0.3, 0.5, 0, 0])


def test_a_narrow_kernel_gives_all_to_the_nearest_and_a_wide_one_the_same_to_all():
    for tiny in (0.01, 1e-3):  # the second underflows everywhere but at the nearest
        np.testing.assert_allclose(spread([0, 0, 0, 0.75, 0.25], tiny), [0, 0.75, 0.25, 0, 0], atol=1e-12)
    np.testing.assert_allclose(spread([0, 0, 0, 0.5, 0.5], 1e6), [1 / 3, 1 / 3, 1 / 3, 0, 0], atol=1e-9)


def test_the_shares_are_gaussian():
    near, middle, far = np.exp(-(np.array([0.1, 0.9, 1.1]) ** 2) / (2 * 0.7**2))
    np.testing.assert_allclose(
        spread([0, 0, 0, 1.0, 0], 0.7)[:3], np.array([far, near, middle]) / (near + middle + far)
    )


def random_log(rate, vectors, unseen, n=20_000):
    """A log of a logger that never shows the last texts."""
    rng, N = np.random.default_rng(0), len(vectors)
    logger = np.where(np.arange(N) < N - unseen, rng.random(N) + 0.2, 0)
    logger /= logger.sum()
    texts = rng.choice(N, n, p=logger)
    return LoggedRounds(texts, rng.random(n) < rate[texts], logger[texts], N)


def test_it_values_texts_never_shown_where_alike_texts_earn_alike():
    """60 texts in 3 dimensions, 10 never shown; the target shows only those.

    Its value is 0.099, the logger's 0.060; from 20,000 rounds the estimate has a standard error of 0.006.
    """
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((60, 3))
    vectors[-10:, 0] = np.abs(vectors[-10:, 0]) + 0.3  # what is never shown would earn more
    rate = 0.05 * np.exp(0.6 * vectors[:, 0])
    log = random_log(rate, vectors, 10)
    target = RoundPolicy.from_array(np.where(np.arange(60) >= 50, 0.1, 0), log)
    bandwidth = chosen_bandwidth(log.texts, log.rewards, vectors)
    likely = smoothed(target, vectors, np.arange(60) < 50, bandwidth).of(log.texts) / log.propensities
    estimate, truth = snips(log.rewards, likely), rate[50:].mean()
    assert abs(estimate.value - truth) < 0.2 * (truth - log.rewards.mean())
    assert target.of(log.texts).max() == 0


def test_the_bandwidth_is_wide_where_likeness_says_nothing_and_narrow_where_it_does():
    vectors = np.random.default_rng(2).standard_normal((60, 2))
    log = random_log(0.05 + 0.1 * (vectors[:, 0] > 0), vectors, 0)
    telling = chosen_bandwidth(log.texts, log.rewards, vectors)
    silent = chosen_bandwidth(log.texts, np.zeros(len(log)), vectors)
    assert telling < 0.2 * silent
    assert chosen_bandwidth(log.texts, log.rewards, 10 * vectors) == pytest.approx(10 * telling)


def test_unusable_input_is_refused():
    policy = RoundPolicy(np.full((1, 5), 0.2), np.zeros(2, int))
    with pytest.raises(InputError, match="bandwidth is 0"):
        smoothed(policy, VECTORS, SHOWN, 0)
    with pytest.raises(InputError, match=r"shape \(4, 1\).*of shape \(5, S\)"):
        smoothed(policy, VECTORS[:4], SHOWN, 1.0)
    with pytest.raises(InputError, match="not finite"):
        smoothed(policy, VECTORS * np.nan, SHOWN, 1.0)
    with pytest.raises(InputError, match="at least one of them True"):
        smoothed(policy, VECTORS, np.zeros(5, dtype=bool), 1.0)
    with pytest.raises(InputError, match="shows 2 texts"):
        chosen_bandwidth([0, 1, 1], np.ones(3), VECTORS)
    with pytest.raises(InputError, match="same embedding"):
        chosen_bandwidth([0, 1, 2], np.ones(3), np.zeros((3, 2)))
