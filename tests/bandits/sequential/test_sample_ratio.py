"""The sample-ratio check against the static martingale, Pearson's statistic and streams whose probabilities move."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chisquare, dirichlet_multinomial, multinomial

from bandits.sequential.sample_ratio import _log_evidence, check_sample_ratio
from copyloom import InputError

STREAM = np.random.default_rng(4)


def moving(streams, snapshots, texts, batch, seed=0):
    """Probabilities that follow the counts, and impressions drawn from them."""
    rng = np.random.default_rng(seed)
    counts, shares = np.zeros((streams, snapshots, texts)), np.zeros((streams, snapshots, texts))
    for s in range(snapshots):
        weights = rng.gamma(2.0, size=(streams, texts)) * (1 + counts[:, max(s - 1, 0)])
        shares[:, s] = 0.02 + (1 - 0.02 * texts) * weights / weights.sum(1, keepdims=True)
        counts[:, s] = rng.multinomial(batch, shares[:, s])
    return counts, shares


def test_constant_probabilities_give_the_dirichlet_multinomial_martingale():
    shares, k = np.array([0.5, 0.3, 0.2]), 60.0
    counts = STREAM.multinomial(100, shares, size=7)
    total = counts.cumsum(0)
    marginal = [dirichlet_multinomial(k * shares, n.sum()).logpmf(n) - multinomial(n.sum(), shares).logpmf(n)
                for n in total]  # fmt: skip
    assert_allclose(_log_evidence(counts.astype(float), np.tile(shares, (7, 1)), k), marginal, atol=1e-9)


def test_each_snapshot_has_mean_one_whatever_came_before():
    """By enumeration of two categories, after a lopsided first snapshot."""
    first, shares = np.array([30.0, 10.0]), np.array([[0.5, 0.5], [0.8, 0.2]])
    before = _log_evidence(first[None], shares[:1], 20.0)[0]
    mean = 0.0
    for n in range(9):
        second = np.array([n, 8.0 - n])
        after = _log_evidence(np.stack([first, second]), shares, 20.0)[1]
        mean += math.exp(after - before + multinomial(8, shares[1]).logpmf(second))
    assert_allclose(mean, 1, rtol=1e-10)


def test_constant_probabilities_give_pearsons_statistic():
    shares = np.array([0.5, 0.3, 0.2])
    counts = STREAM.multinomial(200, shares, size=5)
    found = check_sample_ratio(counts, np.tile(shares, (5, 1)))
    assert_allclose(found.p_value, chisquare(counts.sum(0), 1000 * shares).pvalue, rtol=1e-9)
    assert_allclose(found.expected, 1000 * shares)
    assert_allclose(found.residual, (counts.sum(0) - 1000 * shares) / np.sqrt(1000 * shares * (1 - shares)))


def test_residuals_add_up_over_moving_snapshots():
    counts, shares = moving(3, 9, 4, 100)
    found = check_sample_ratio(counts, shares)
    expected = (100 * shares).sum(1)
    assert_allclose(found.expected, expected)
    assert_allclose(found.residual, (counts.sum(1) - expected) / np.sqrt((100 * shares * (1 - shares)).sum(1)))


def test_right_probabilities_raise_few_alarms():
    """2,000 streams, 50 looks; at the stated 5 %, more than 132 have chance below 0.001."""
    counts, shares = moving(2000, 50, 3, 200)
    found = check_sample_ratio(counts, shares, alpha=0.05)
    assert 0 < found.mismatch.sum() <= 132
    assert found.departing.any(1).sum() <= 132
    assert 60 < (found.p_value < 0.05).sum() < 145  # 100 expected of a single look


def test_lost_impressions_are_found_and_named():
    counts, shares = moving(200, 50, 5, 1000, seed=1)
    counts[..., 2] = np.random.default_rng(2).binomial(counts[..., 2].astype(int), 0.85)
    found = check_sample_ratio(counts, shares)
    assert found.mismatch.mean() > 0.95
    assert (np.abs(found.residual).argmax(1) == 2)[found.mismatch].mean() > 0.95
    assert (found.residual[:, 2] < 0).all()
    assert found.departing[:, 2].mean() > 0.9
    assert_array_equal(found.alarm_at >= 0, found.mismatch)


def test_the_alarm_is_the_first_and_stays():
    counts, shares = np.tile([[100.0, 100.0]], (6, 1)), np.full((6, 2), 0.5)
    counts[2] = [200, 0]
    found = check_sample_ratio(counts, shares)
    assert found.alarm_at == 2
    assert check_sample_ratio(counts[:3], shares[:3]).log_evidence == found.log_evidence
    assert not check_sample_ratio(counts[:2], shares[:2]).mismatch


def test_texts_in_another_order_are_judged_alike():
    counts, shares = moving(4, 6, 4, 300)
    order = [3, 1, 0, 2]
    found, again = check_sample_ratio(counts, shares), check_sample_ratio(counts[..., order], shares[..., order])
    assert_allclose(again.log_evidence, found.log_evidence, rtol=1e-9)
    assert_allclose(again.p_value, found.p_value, rtol=1e-7)
    assert_array_equal(again.departing, found.departing[:, order])


def test_a_text_that_could_not_be_shown_settles_it():
    found = check_sample_ratio([[99, 1, 0]], [[1.0, 0.0, 0.0]])
    assert found.mismatch
    assert found.p_value == 0
    assert found.departing.tolist() == [True, True, False]
    fine = check_sample_ratio([[99, 0, 0], [0, 40, 60]], [[1.0, 0.0, 0.0], [0.0, 0.4, 0.6]])
    assert not fine.mismatch
    assert fine.p_value == 1
    assert fine.residual.tolist() == [0, 0, 0]


def test_idle_snapshots_change_nothing():
    counts, shares = moving(1, 4, 3, 50)
    idle = np.insert(counts, 2, 0, axis=1), np.insert(shares, 2, 1 / 3, axis=1)
    found, again = check_sample_ratio(counts, shares), check_sample_ratio(*idle)
    assert_allclose(again.log_evidence, found.log_evidence, atol=1e-9)
    assert_allclose(again.p_value, found.p_value, rtol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1, 2]], [[0.5, 0.4]]), "sums to 0.9;"),
        (([[1, 2]], [[0.5, 0.5, 0.0]]), "one for each count"),
        (([[]], [[]]), "at least one snapshot"),
        (([1, 2], [0.5, 0.5]), r"pass \(..., T, N\)"),
        (([[1.5, 2]], [[0.5, 0.5]]), "whole counts"),
        (([[1, 2]], [[math.nan, 0.5]]), "NaN"),
        (([[1, 2]], [[1.5, -0.5]]), "negative or sum"),
        (([[1, 2]], [[0.5, 0.5]], 0.0), "alpha is 0.0"),
        (([[1, 2]], [[0.5, 0.5]], 0.05, 0.0), "prior_impressions is 0.0"),
    ],
)
def test_unusable_input_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        check_sample_ratio(*arguments)


def test_rounded_probabilities_are_no_mismatch_in_large_counts():
    rng = np.random.default_rng(0)
    counts = rng.multinomial(10**9, [1 / 3] * 3, size=6)
    assert not check_sample_ratio(counts, np.full((6, 3), 1 / 3, dtype=np.float32)).mismatch
    assert not check_sample_ratio(counts, [[0.3333333, 0.3333333, 0.3333333]] * 6).mismatch
    assert not check_sample_ratio(counts, [[0.333333, 0.333333, 0.333333]] * 6).mismatch
