"""Tastes of people who rated things: their factors, reached only through what a text says of the thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.linalg import solve

from copyloom import InputError
from simulator.shoppers import TextFeatures
from simulator.worlds.factors import FACTORS, Array, Factors, Ids
from simulator.worlds.words import WordFeatures
from simulator.worlds.world import World, keeps_all

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
        trial = Factors.fit(users[~held], items[~held], ratings[~held], len(texts))
        rest = ratings[held] - trial.predicted(users[held], items[held])
        explained = 1 - float((rest**2).mean() / ratings[held].var()) if held.any() else 0.0
        found = Factors.fit(users, items, ratings, len(texts))
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
