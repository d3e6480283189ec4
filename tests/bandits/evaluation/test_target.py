"""Policies by round, stored once a distribution."""

import numpy as np
import pytest

from bandits.evaluation import LoggedRounds, RoundPolicy
from bandits.evaluation import target as module
from copyloom import InputError


def rounds(n, N):
    return LoggedRounds(np.arange(n) % N, np.zeros(n), np.full(n, 0.5), N)


def test_one_distribution_is_the_same_one_in_all_rounds(monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 3)
    log, shares = rounds(8, 4), np.array([0.1, 0.2, 0.3, 0.4])
    once = RoundPolicy.from_array(shares, log)
    spelt_out = RoundPolicy.from_array(np.tile(shares, (8, 1)), log)
    values = np.random.default_rng(0).random((8, 4))
    np.testing.assert_array_equal(once.of(log.texts), spelt_out.of(log.texts))
    for policy in (once, spelt_out):
        np.testing.assert_allclose(policy.expected(lambda rows: values[rows]), values @ shares)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        ([0.5, 0.6], "distribution 0 .* sums to 1.1"),
        ([1.5, -0.5], "negative"),
        ([np.nan, 1.0], "missing probability"),
        ([1.0], r"has shape \(1,\); pass \(2,\), one a text, or \(6, 2\)"),
    ],
)
def test_what_is_no_policy_is_refused(probabilities, message):
    with pytest.raises(InputError, match=message):
        RoundPolicy.from_array(probabilities, rounds(6, 2))


def test_groups_must_exist():
    with pytest.raises(InputError, match=r"'groups' is no index in 1 row: row 2 \(1.0\)"):
        RoundPolicy(np.array([[0.5, 0.5]]), np.array([0, 1]))
