"""A click model that real tests of headlines teach: which words were clicked more than others of the same test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.sparse import csr_array
from sklearn.decomposition import TruncatedSVD

from copyloom import InputError
from simulator.shoppers import TextFeatures
from simulator.worlds.words import WordFeatures, form
from simulator.worlds.world import World, keeps_all

Array = NDArray[np.float64]
AXES, HASHED = 150, 2**13
"""Axes that hashed words and letters are brought to, and numbers that they are hashed to before."""
PENALTIES = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
"""Prior precisions of a weight that are tried."""
PARTS = 5
"""Parts in which tests try them."""


@dataclass(frozen=True, eq=False)
class HeadlineTaste:
    """What tests of headlines say of words: a Bayesian regression of the click logit, within test.

    Parameters
    ----------
    axes : array of shape (H, A)
        From hashed words and letters to axes in which headlines differ most.
    limits : pair of arrays of shape (F,)
        Least and greatest values of the features over the headlines, beyond which they say nothing.
    mean, scale : arrays of shape (F,)
        Of the features: over the headlines their means are 0; the variances of the axes sum to 1, so do those of form.
    weights : array of shape (F,)
        Posterior mean.
    precision : array of shape (F, F)
        Of the posterior.
    facts : dict
        How many tests and headlines, the penalty chosen, and `explained`: the share of the true variance of the click
        logit within tests that words of other tests predict.
    words : WordFeatures
    """

    axes: Array
    limits: tuple[Array, Array]
    mean: Array
    scale: Array
    weights: Array
    precision: Array
    facts: dict[str, float]
    words: WordFeatures

    @classmethod
    def fit(
        cls, headlines: Sequence[str], tests: NDArray[np.int64], impressions: NDArray[np.int64],
        clicks: NDArray[np.int64], groups: NDArray[np.int64] | None = None, hashed: int = HASHED,
    ) -> HeadlineTaste:  # fmt: skip
        """Learn from tests.

        Parameters
        ----------
        headlines : sequence of str
            N of them.
        tests : array of shape (N,)
            Which of n tests each belongs to, from 0.
        impressions, clicks : array of shape (N,)
        groups : array of shape (n,), optional
            Tests of one number are never on both sides when penalties are tried; each alone unless given.
        hashed : int
            Numbers that words and letters are hashed to.

        Raises
        ------
        InputError
            If there are too few tests to learn from.
        """
        count = int(tests.max(initial=-1)) + 1
        groups = np.arange(count) if groups is None else groups
        if len(np.unique(groups)) < 2 * PARTS:
            raise InputError(f"{count} tests of headlines, of which {len(np.unique(groups))} share nothing, teach no "
                             f"taste; give {2 * PARTS} or more")  # fmt: skip
        words = WordFeatures(hashed)
        counted = words.sparse(headlines)
        axes = _axes(counted, min(AXES, len(headlines) - 1))
        raw = np.concatenate([counted @ axes, form(headlines)], axis=1)
        mean, deviation, many = raw.mean(0), np.maximum(raw.std(0), 1e-9), axes.shape[1]
        formal = deviation[many:] * (len(deviation) - many) ** 0.5
        scale = np.concatenate([np.full(many, np.linalg.norm(deviation[:many])), formal])
        logits, noise = click_logits(impressions, clicks)
        spread = within_variance(tests, logits, noise)
        weight = 1 / (noise + max(spread, 1e-4))
        values, wanted = _centred((raw - mean) / scale, tests, weight), _centred(logits[:, None], tests, weight)[:, 0]
        parts = np.random.default_rng(0).integers(PARTS, size=int(groups.max()) + 1)[groups][tests]
        predicted = _out_of_part(values, wanted, weight, parts)
        penalty = min(PENALTIES, key=lambda one: float(weight @ (wanted - predicted[one]) ** 2))
        precision = values.T @ (values * weight[:, None]) + penalty * np.eye(values.shape[1])
        weights = cho_solve(cho_factor(precision), values.T @ (weight * wanted))
        gained = weight @ wanted**2 - weight @ (wanted - predicted[penalty]) ** 2
        facts = {"tests": count, "headlines": len(headlines), "penalty": penalty, "within_test_sd": float(spread**0.5),
                 "explained": float(gained / _freedom(tests, weight) / max(spread, 1e-12))}  # fmt: skip
        return cls(axes, (raw.min(0), raw.max(0)), mean, scale, weights, precision, facts, words)

    def features(self, texts: Sequence[str]) -> Array:
        """Return the features of n texts, an array of shape (n, F); each text's depend on nothing but the text."""
        raw = np.concatenate([self.words.sparse(texts) @ self.axes, form(texts)], axis=1)
        found: Array = (np.clip(raw, *self.limits) - self.mean) / self.scale
        return found

    def draw(self, rng: np.random.Generator, features: int, segments: int) -> tuple[Array, Array]:
        """Return weights that the tests leave possible (F,), and segments' own tastes (G, F), which they do not know.

        The first are drawn from the posterior: each seed is a crowd that may have clicked as the archive's did.
        """
        drawn = self.weights + solve_triangular(self._root.T, rng.normal(size=features))
        return drawn, rng.normal(size=(segments, features))

    @cached_property
    def _root(self) -> Array:
        return np.asarray(np.linalg.cholesky(self.precision), np.float64)


def headline_world(taste: HeadlineTaste, reference: Sequence[str], readable: TextFeatures = keeps_all) -> World:
    """Return the world of shoppers who click what readers of an archive of headlines clicked.

    The direction of their taste is the archive's; how far it spreads over the reference texts, settings say.
    """
    return World("headlines", taste.features, tuple(reference), (), readable, taste.draw, taste.facts)


def click_logits(impressions: NDArray[np.int64], clicks: NDArray[np.int64]) -> tuple[Array, Array]:
    """Return the click logits (N,) of counts, and the variance of their noise (Haldane 1956, Anscombe 1956)."""
    others = impressions - clicks
    return np.log((clicks + 0.5) / (others + 0.5)), 1 / (clicks + 0.5) + 1 / (others + 0.5)


def within_variance(tests: NDArray[np.int64], logits: Array, noise: Array) -> float:
    """Return the variance of click logits within tests, without noise: DerSimonian and Laird (1986), over all tests.

    Parameters
    ----------
    tests : array of shape (N,)
        From 0, of n tests.
    logits, noise : array of shape (N,)
    """
    weight = 1 / noise
    total = np.bincount(tests, weight)
    rest = logits - (np.bincount(tests, weight * logits) / total)[tests]
    freedom = len(tests) - len(total)
    return max(0.0, (float(weight @ rest**2) - freedom) / _freedom(tests, weight)) if freedom else 0.0


def _freedom(tests: NDArray[np.int64], weight: Array) -> float:
    """Return by what a variance within tests is multiplied in a sum of weighted squares around the tests' means."""
    return float(weight.sum() - (np.bincount(tests, weight**2) / np.bincount(tests, weight)).sum())


def _axes(counted: csr_array, count: int) -> Array:
    """Return the axes (H, A) in which headlines differ most (Halko, Martinsson and Tropp 2011, algorithm 4.4)."""
    found: Array = TruncatedSVD(count, n_iter=3, random_state=0).fit(counted).components_.T
    return found


def _centred(values: Array, tests: NDArray[np.int64], weight: Array) -> Array:
    """Return values (N, F) less their weighted mean in the same test."""
    sums = np.zeros((int(tests.max()) + 1, values.shape[1]))
    np.add.at(sums, tests, values * weight[:, None])
    return values - (sums / np.bincount(tests, weight)[:, None])[tests]


def _out_of_part(values: Array, wanted: Array, weight: Array, parts: NDArray[np.int64]) -> dict[float, Array]:
    """Return what is predicted of each headline (N,) by the tests of all parts but its own, with each penalty."""
    found = {penalty: np.zeros(len(wanted)) for penalty in PENALTIES}
    for part in range(PARTS):
        known = parts != part
        weighted = values[known] * weight[known, None]
        square, product, unit = values[known].T @ weighted, weighted.T @ wanted[known], np.eye(values.shape[1])
        for penalty, predicted in found.items():
            predicted[~known] = values[~known] @ np.linalg.solve(square + penalty * unit, product)
    return found
