"""Evidence that texts are not drawn from their probabilities: exact, and the same in whichever order rows grow."""

import itertools
import math

import numpy as np
import pytest

from bandits.sequential.sample_ratio import tilt_evidence
from copyloom import InputError


def test_the_mean_e_value_of_every_text_is_one_by_enumeration():
    """Three impressions of one row and two of another, whose probabilities differ."""
    shares, many = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]), (3, 2)
    mean = np.zeros(3)
    for drawn in itertools.product(range(3), repeat=sum(many)):
        rows = [0] * many[0] + [1] * many[1]
        counts = np.zeros((2, 3))
        np.add.at(counts, (rows, drawn), 1)
        chance = math.prod(shares[row, text] for row, text in zip(rows, drawn, strict=True))
        mean += chance * np.exp(tilt_evidence(counts, shares))
    assert mean == pytest.approx(np.ones(3))


def test_rows_may_stand_in_any_order_and_in_parts():
    rng, shares = np.random.default_rng(0), np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    counts = np.array([rng.multinomial(100, row) for row in shares])
    whole = tilt_evidence(counts, shares)
    assert tilt_evidence(counts[::-1], shares[::-1]) == pytest.approx(whole)
    parts = np.concatenate([counts // 2, counts - counts // 2])
    assert tilt_evidence(parts, np.concatenate([shares, shares])) == pytest.approx(whole)


def test_looking_after_every_batch_errs_no_oftener_than_stated():
    """In 400 streams of 50 looks at moving probabilities, 5 % at most may ever reach log 20: the mean of three."""
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(400):
        shares = rng.dirichlet((2, 2, 2), 5)
        counts = np.zeros((5, 3))
        reached = -np.inf
        for look in range(50):
            for row in range(min(look // 8 + 1, 5)):  # older snapshots go on closing
                counts[row] += rng.multinomial(20, shares[row])
            evidence = tilt_evidence(counts, shares)
            reached = max(reached, float(np.logaddexp.reduce(evidence) - math.log(3)))
        wrong += reached >= math.log(20)
    assert wrong <= 20


def test_a_text_that_is_lost_every_fifth_time_is_found():
    rng, shares = np.random.default_rng(2), np.full((1, 4), 0.25)
    counts = rng.multinomial(2000, shares[0])[None]
    counts[0, 3] = rng.binomial(counts[0, 3], 0.8)
    assert tilt_evidence(counts, shares).argmax() == 3
    assert tilt_evidence(counts, shares)[3] > math.log(100)


def test_a_text_that_cannot_come_and_does_is_proof():
    assert tilt_evidence([[9, 1, 0]], [[0.5, 0.0, 0.5]])[1] == np.inf
    with pytest.raises(InputError, match="probabilities have shape"):
        tilt_evidence([[1, 2]], [[1.0]])
