"""Whether answers say what lies at their points: semantic and behavioural consistency.

*Semantic consistency* of an answer is the cosine of its sentence vector to the point that it should say (Tennenholtz et
al., ICLR 2024, section 4). *Behavioural consistency* of a set of answers, which the paper leaves open, is defined so:
for each person, the rank correlation (Spearman) over the answers of the rating that is foretold from an answer's
sentence vector with the one that is foretold from its point's; then the mean over people. Answers that are foretold
alike have a correlation of 0, so that who always says the same is not better off. Both are foretold by one map,
a ridge regression from sentence vectors to factors and bias, learnt from entities that are not held out
(`experiments.domains.tastes.Tastes`).
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from experiments.bootstrap import bounds
from simulator.worlds.factors import Array

_RESAMPLES = 500
FEWEST = 8
"""Answers that say something of ranks."""


def behavioural(answers: Array, points: Array) -> float:
    """Return the mean over people of rank correlations of ratings foretold from answers and points, both (n, U)."""
    found = _correlations(answers, points)
    return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")


def behavioural_interval(answers: Array, points: Array, seed: int = 0) -> list[float]:
    """Return its 95 % bootstrap interval over answers (percentile method)."""
    rng, samples = np.random.default_rng(seed), []
    for _ in range(_RESAMPLES):
        rows = rng.integers(len(answers), size=len(answers))
        samples.append(behavioural(answers[rows], points[rows]))
    return bounds(np.array([one for one in samples if np.isfinite(one)] or [np.nan]))


def _correlations(answers: Array, points: Array) -> Array:
    """Return Spearman's correlation of each column (U,): 0 where all answers are equal, NaN where all points are."""
    first, second = (ranks - ranks.mean(0) for ranks in (rankdata(values, axis=0) for values in (answers, points)))
    scale = np.sqrt((first**2).sum(0) * (second**2).sum(0))
    told = (first * second).sum(0) / np.where(scale > 0, scale, 1.0)
    found: Array = np.where((second != 0).any(0), told, np.nan)
    return found
