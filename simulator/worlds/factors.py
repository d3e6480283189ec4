"""What people like, in a few numbers: factors of users and items by alternating least squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ids = NDArray[np.int64]
FACTORS, ROUNDS = 8, 8
"""Factors of users and items, and rounds of alternating least squares."""
PENALTY = 10.0
"""Of factors and of biases, in ratings: of most users and items there are few."""


@dataclass(frozen=True, eq=False)
class Factors:
    """A rating is about ``mean + user_bias + item_bias + user . item`` (Koren, Bell and Volinsky 2009).

    Parameters
    ----------
    users : array of shape (U, K)
        Of mean square 1 in each factor.
    items : array of shape (N, K)
    user_bias : array of shape (U,)
        Ratings above the mean.
    item_bias : array of shape (N,)
    mean : float
    """

    users: Array
    items: Array
    user_bias: Array
    item_bias: Array
    mean: float

    @classmethod
    def fit(
        cls, users: Ids, items: Ids, ratings: Array, count: int, size: int = FACTORS, penalty: float = PENALTY
    ) -> Factors:
        """Learn from R ratings, by alternating least squares.

        Parameters
        ----------
        users, items : array of shape (R,)
            Numbers from 0.
        ratings : array of shape (R,)
        count : int
            Items, N; those without a rating have factors and bias 0.
        size : int
            Factors, K.
        penalty : float
            Of the squares of factors and biases.
        """
        rng, many = np.random.default_rng(1), int(users.max()) + 1
        mean = float(ratings.mean())
        item_bias, user_bias = np.zeros(count), np.zeros(many)
        for _ in range(5):
            item_bias = _shrunk(items, ratings - mean - user_bias[users], count, penalty)
            user_bias = _shrunk(users, ratings - mean - item_bias[items], many, penalty)
        rest = ratings - mean - user_bias[users] - item_bias[items]
        right = rng.normal(scale=0.1, size=(count, size))
        left = np.zeros((many, size))
        for _ in range(ROUNDS):
            left = _least_squares(users, right[items], rest, many, penalty)
            right = _least_squares(items, left[users], rest, count, penalty)
        scale: Array = np.maximum(np.sqrt((left**2).mean(0)), 1e-12)
        return cls(left / scale, right * scale, user_bias, item_bias, mean)

    def predicted(self, users: Ids, items: Ids) -> Array:
        """Return the ratings (R,) that users give items; of users who are not known, those of the mean user."""
        inside = users < len(self.users)
        users = np.where(inside, users, 0)
        own = self.user_bias[users] + (self.users[users] * self.items[items]).sum(1)
        return self.mean + self.item_bias[items] + np.where(inside, own, 0.0)


def _shrunk(rows: Ids, values: Array, count: int, penalty: float) -> Array:
    found: Array = np.bincount(rows, values, count) / (np.bincount(rows, minlength=count) + penalty)
    return found


def _least_squares(rows: Ids, features: Array, wanted: Array, count: int, penalty: float) -> Array:
    """Return the ridge weights of each of `count` rows (count, K), all at once."""
    size = features.shape[1]
    squares, products = np.zeros((count, size, size)), np.zeros((count, size))
    np.add.at(squares, rows, features[:, :, None] * features[:, None, :])
    np.add.at(products, rows, features * wanted[:, None])
    return np.asarray(np.linalg.solve(squares + penalty * np.eye(size), products[..., None])[..., 0], np.float64)
