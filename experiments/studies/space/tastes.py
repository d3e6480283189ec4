"""How much of a simulated reward a linear model learns from a space's first principal components, on other products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold
from torch import Tensor

from embeddings.geometry import Reduction
from experiments.bootstrap import interval
from experiments.studies.space.resampling import Array, Groups
from experiments.studies.space.samples import Sample
from generator.grammar import Grammar
from generator.reader import words_of
from generator.record import KINDS

FEATURES = 16
"""d: as many as a campaign's reward model has (design 4.6)."""
FOLDS = 5
_PENALTIES = np.logspace(-2, 4, 13)
_PAIRS = 12
"""Pairs of attributes that a pairwise taste is for or against."""


@dataclass(frozen=True)
class Learned:
    """Share of a reward's variance that is foretold for products that were not learned from: mean over tastes.

    Parameters
    ----------
    value : float
        At most 1; below 0 where the mean of the others would foretell better.
    low, high : float
        95 % interval over tastes.
    """

    value: float
    low: float
    high: float


def attributes_of(sample: Sample) -> Array:
    """Return what tastes are about, (n, a): the style, which kinds of attributes are said, and how many words.

    Each column has mean 0 and variance 1; what all claims have in common is left out.
    """
    styles = Grammar.load().styles
    rows = [[*(claim.frame.style == style for style in styles), *(kind in claim.frame.kinds for kind in KINDS),
             len(words_of(claim.text))] for claim in sample.claims]  # fmt: skip
    return _standard(np.array(rows, dtype=np.float64))


def rewards(attributes: Array, tastes: int, seed: int, pairwise: bool) -> Array:
    """Return simulated rewards (n, tastes) of texts with attributes (n, a), each of variance 1 and without noise.

    A linear taste is a Gaussian weight for each attribute; a pairwise one for each of twelve products of two
    different attributes.
    """
    rng = np.random.default_rng([seed, int(pairwise)])
    if not pairwise:
        return _standard(attributes @ rng.normal(size=(attributes.shape[1], tastes)), drop=False)
    found = np.zeros((len(attributes), tastes))
    for taste in range(tastes):
        first, second = np.array([rng.choice(attributes.shape[1], 2, replace=False) for _ in range(_PAIRS)]).T
        found[:, taste] = (attributes[:, first] * attributes[:, second]) @ rng.normal(size=_PAIRS)
    return _standard(found, drop=False)


def learnability(values: Tensor, wanted: Array, groups: Groups) -> Learned:
    """Return how well rewards are foretold by ridge regression on the first principal components.

    The components, whitened as a campaign's features are, and the regression with its penalty are fitted on four fifths
    of the products each time; the other fifth is foretold.

    Parameters
    ----------
    values : Tensor of shape (n, size)
    wanted : array of shape (n, tastes)
    groups : array of shape (n,)
        Products.
    """
    foretold = np.zeros_like(wanted)
    baseline = np.zeros_like(wanted)
    for learn, test in GroupKFold(FOLDS).split(wanted, groups=groups):
        reduced = Reduction.fit(values[learn], FEATURES)
        model = RidgeCV(alphas=_PENALTIES, alpha_per_target=True)
        model.fit(reduced(values[learn]).numpy(), wanted[learn])
        foretold[test] = model.predict(reduced(values[test]).numpy()).reshape(len(test), -1)
        baseline[test] = wanted[learn].mean(0)
    shares: Array = 1 - np.square(wanted - foretold).sum(0) / np.square(wanted - baseline).sum(0)
    return Learned(float(shares.mean()), *interval(shares))


def _standard(values: Array, drop: bool = True) -> Array:
    spread = values.std(0)
    kept = spread > 0
    found: Array = (values - values.mean(0)) / np.where(kept, spread, 1.0)
    return found[:, kept] if drop else found
