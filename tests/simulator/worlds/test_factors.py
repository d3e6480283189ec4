"""Factors: planted tastes are found, and what nobody rated is liked like the mean."""

import numpy as np
import pytest

from simulator.worlds.factors import Factors


def planted(noise: float):
    rng = np.random.default_rng(0)
    users, items = (grid.ravel() for grid in np.meshgrid(np.arange(60), np.arange(50), indexing="ij"))
    left, right = rng.normal(size=(60, 2)), rng.normal(size=(50, 2))
    ratings = 3 + rng.normal(size=60)[users] + rng.normal(size=50)[items] + (left[users] * right[items]).sum(1)
    seen = rng.random(len(users)) < 0.6
    return users, items, ratings + noise * rng.normal(size=len(users)), seen


def test_planted_tastes_foretell_ratings_that_were_not_seen():
    users, items, ratings, seen = planted(0.1)
    found = Factors.fit(users[seen], items[seen], ratings[seen], 50, size=2, penalty=0.1)
    missed = ratings[~seen] - found.predicted(users[~seen], items[~seen])
    assert (missed**2).mean() < 0.1 * ratings[~seen].var()
    assert (found.users**2).mean(0) == pytest.approx([1, 1])


def test_an_item_without_ratings_and_a_person_who_is_not_known_are_like_the_mean():
    users, items, ratings, seen = planted(0.1)
    found = Factors.fit(users[seen], items[seen], ratings[seen], 51, size=2)
    assert found.items[50].tolist() == [0, 0]
    assert found.predicted(np.array([99]), np.array([50])) == pytest.approx([found.mean])
    assert found.predicted(np.array([99]), np.array([3])) == pytest.approx([found.mean + found.item_bias[3]])
