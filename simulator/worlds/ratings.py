"""Tastes of people who rated things: their factors, reached only through what a text says of the thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from scipy.linalg import solve

from copyloom import InputError
from simulator.shoppers import TextFeatures
from simulator.worlds.words import WordFeatures
from simulator.worlds.world import World, keeps_all

Array = NDArray[np.float64]
Ids = NDArray[np.int64]
FACTORS, ROUNDS = 8, 8
"""Factors of users and items, and rounds of alternating least squares."""
PENALTY = 10.0
"""Of factors and of biases, in ratings: of most users and items there are few."""
HASHED = 2**11
PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0)
"""Of the regression from texts to factors, in items; chosen by items that were left out."""


@dataclass(frozen=True, eq=False)
class Crowd:
    """People and what they like, learned from ratings, and how texts say what things are like.

    Parameters
    ----------
    users : array of shape (U, K)
        Each user's taste over K factors.
    weights : array of shape (H, K + 1)
        From hashed words of a text to the factors of what it is about, and to how much all like that.
    mean : array of shape (K + 1,)
        Of factors and liking over the items.
    facts : dict
        Users, items and ratings; `explained`: share of the variance of ratings that were left out that factors and
        biases explain; `text_explained`: share of the variance of the factors of items that were left out that their
        texts explain, weighted by ratings.
    words : WordFeatures
    """

    users: Array
    weights: Array
    mean: Array
    facts: dict[str, float]
    words: WordFeatures

    @classmethod
    def fit(cls, users: Ids, items: Ids, ratings: Array, texts: Sequence[str], hashed: int = HASHED) -> Crowd:
        """Learn tastes.

        Parameters
        ----------
        users, items : array of shape (R,)
            Numbers from 0.
        ratings : array of shape (R,)
        texts : sequence of str
            What is said of each item.
        hashed : int
            Numbers that words and letters are hashed to.

        Raises
        ------
        InputError
            If there are too few items, users or ratings.
        """
        counted = np.bincount(items, minlength=len(texts))
        if int((counted > 0).sum()) < 5 * FACTORS or len(np.unique(users)) < 2 * FACTORS:
            raise InputError(f"{len(ratings)} ratings of {int((counted > 0).sum())} things with a text by "
                             f"{len(np.unique(users))} people teach no tastes; give {5 * FACTORS} things and "
                             f"{2 * FACTORS} people or more")  # fmt: skip
        rng = np.random.default_rng(0)
        held = rng.random(len(ratings)) < 0.1
        trial = _factorised(users[~held], items[~held], ratings[~held], len(texts))
        rest = ratings[held] - _predicted(trial, users[held], items[held])
        explained = 1 - float((rest**2).mean() / ratings[held].var()) if held.any() else 0.0
        found = _factorised(users, items, ratings, len(texts))
        words = WordFeatures(hashed)
        rated = np.flatnonzero(counted)
        targets, weight = np.column_stack([found.items, found.item_bias])[rated], counted[rated] / (counted[rated] + 5)
        said = words([texts[item] for item in rated.tolist()])
        weights, mean, text_explained = _text_to_factors(said, targets, weight, rng)
        facts = {"users": len(found.users), "items": len(rated), "ratings": len(ratings), "explained": explained,
                 "text_explained": text_explained}  # fmt: skip
        return cls(found.users, weights, mean, facts, words)

    def features(self, texts: Sequence[str]) -> Array:
        """Return the factors of what n texts are about, and how much all like that, (n, K + 1)."""
        found: Array = self.words.sparse(texts) @ self.weights + self.mean
        return found

    def draw(self, rng: np.random.Generator, features: int, segments: int) -> tuple[Array, Array]:
        """Return the taste of a crowd (K + 1,), and of its segments beside it (G, K + 1).

        A crowd is as many users drawn with replacement; a segment is a cluster of them, the largest first. Of a user's
        factors the direction counts, or clusters would tell those who rated much from those who did not.
        """
        drawn = self.users[rng.integers(len(self.users), size=len(self.users))]
        crowd = drawn / np.maximum(np.linalg.norm(drawn, axis=1, keepdims=True), 1e-12)
        centres, member = kmeans2(crowd, segments, minit="++", seed=rng)
        order = np.argsort(-np.bincount(member, minlength=segments), kind="stable")
        common = np.append(crowd.mean(0), 1.0)  # what all like counts once
        own = np.column_stack([centres[order] - crowd.mean(0), np.zeros(segments)])
        return common, own


def rating_world(crowd: Crowd, reference: Sequence[str], readable: TextFeatures = keeps_all) -> World:
    """Return the world of shoppers who like texts about what they would have rated well.

    Which impressions each segment gets, settings say; the first segment has the taste of the largest cluster.
    """
    return World("ratings", crowd.features, tuple(reference), (), readable, crowd.draw, crowd.facts)


@dataclass(frozen=True, eq=False)
class _Factors:
    users: Array
    items: Array
    user_bias: Array
    item_bias: Array
    mean: float


def _factorised(users: Ids, items: Ids, ratings: Array, count: int) -> _Factors:
    """Return factors and biases by alternating least squares (Koren, Bell and Volinsky 2009)."""
    rng, many = np.random.default_rng(1), int(users.max()) + 1
    mean = float(ratings.mean())
    item_bias, user_bias = np.zeros(count), np.zeros(many)
    for _ in range(5):
        item_bias = _shrunk(items, ratings - mean - user_bias[users], count)
        user_bias = _shrunk(users, ratings - mean - item_bias[items], many)
    rest = ratings - mean - user_bias[users] - item_bias[items]
    right = rng.normal(scale=0.1, size=(count, FACTORS))
    left = np.zeros((many, FACTORS))
    for _ in range(ROUNDS):
        left = _least_squares(users, right[items], rest, many)
        right = _least_squares(items, left[users], rest, count)
    size: Array = np.maximum(np.sqrt((left**2).mean(0)), 1e-12)  # users' factors have mean square 1
    return _Factors(left / size, right * size, user_bias, item_bias, mean)


def _predicted(found: _Factors, users: Ids, items: Ids) -> Array:
    inside = users < len(found.users)
    users = np.where(inside, users, 0)
    own = found.user_bias[users] + (found.users[users] * found.items[items]).sum(1)
    return found.mean + found.item_bias[items] + np.where(inside, own, 0.0)


def _shrunk(rows: Ids, values: Array, count: int) -> Array:
    found: Array = np.bincount(rows, values, count) / (np.bincount(rows, minlength=count) + PENALTY)
    return found


def _least_squares(rows: Ids, features: Array, wanted: Array, count: int) -> Array:
    """Return the ridge weights of each of `count` rows (count, K), all at once."""
    size = features.shape[1]
    squares, products = np.zeros((count, size, size)), np.zeros((count, size))
    np.add.at(squares, rows, features[:, :, None] * features[:, None, :])
    np.add.at(products, rows, features * wanted[:, None])
    return np.asarray(np.linalg.solve(squares + PENALTY * np.eye(size), products[..., None])[..., 0], np.float64)


def _text_to_factors(
    values: Array, targets: Array, weight: Array, rng: np.random.Generator
) -> tuple[Array, Array, float]:
    """Return the ridge weights from texts to factors, the factors' mean, and the share explained of those left out."""
    mean = weight @ targets / weight.sum()
    held = rng.random(len(targets)) < 0.2
    rest = targets - mean
    some, every = (_sums(values[rows], rest[rows], weight[rows]) for rows in (~held, slice(None)))
    errors = {}
    for penalty in PENALTIES:
        missed = rest[held] - values[held] @ _solved(*some, penalty)
        errors[penalty] = float(weight[held] @ (missed**2).sum(1))
    best = min(PENALTIES, key=errors.__getitem__)
    total = float(weight[held] @ (rest[held] ** 2).sum(1))
    return _solved(*every, best), mean, 1 - errors[best] / max(total, 1e-12)


def _sums(values: Array, wanted: Array, weight: Array) -> tuple[Array, Array]:
    weighted = (values * weight[:, None]).T
    return weighted @ values, weighted @ wanted


def _solved(square: Array, product: Array, penalty: float) -> Array:
    found: Array = solve(square + penalty * np.eye(len(square)), product, assume_a="pos")
    return found
