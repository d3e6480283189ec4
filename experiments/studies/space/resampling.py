"""How sure a statistic of pairs is: bootstrap over groups of texts, as pairs that share a text say the same twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from experiments.bootstrap import bounds, drawn_counts
from experiments.studies.space.qualities import (
    directions,
    effective_dimension,
    effective_dimension_of,
    isoscore,
    isoscore_of,
)

Array = NDArray[np.float64]
Groups = NDArray[np.int64]
Pairs = NDArray[np.int64]
Mask = NDArray[np.bool_]
_TWO_SIDED = 1.96
"""Standard errors on either side of 95 %."""


def mean_cosine_samples(values: Tensor, groups: Groups) -> Array:
    """Return bootstrap samples of the mean cosine over pairs of different texts: RESAMPLES, less those without a pair.

    Parameters
    ----------
    values : Tensor of shape (n, size)
    groups : array of shape (n,)
        Drawn whole. A group that is drawn twice is no pair with itself: its own pairs count twice, not four times.
    """
    rows = directions(values)
    between = (rows @ rows.T).numpy()
    np.fill_diagonal(between, 0.0)
    same = groups[:, None] == groups[None]
    inside, members = (between * same).sum(1), same.sum(1)
    counts = drawn_counts(groups)
    total = ((counts @ between) * counts).sum(1) + (counts - counts**2) @ inside
    pairs = counts.sum(1) ** 2 - counts**2 @ members + counts @ (members - 1)
    found: Array = total[pairs > 0] / pairs[pairs > 0]
    return found


def variance_intervals(values: Tensor, groups: Groups) -> dict[str, tuple[float, float]]:
    """Return 95 % intervals of the IsoScore and the effective dimension: jackknife over groups, of their logarithms.

    A bootstrap draws texts twice, and two equal texts use fewer dimensions; leaving texts out does not (Efron and
    Stein, Annals of Statistics 1981). The IsoScore's is of that of so many texts: with more of them it grows. An
    effective dimension that is as large as the vectors, where texts are too few to tell, may be anything from 1.

    Parameters
    ----------
    values : Tensor of shape (n, size)
    groups : array of shape (n,)
        Left out whole.
    """
    size, centred = values.shape[1], values.double() - values.double().mean(0)
    gram = (centred @ centred.T).numpy()
    found: dict[str, list[float]] = {"isoscore": [], "effective_dimension": []}
    for group in np.unique(groups):
        kept = groups != group
        count, some = int(kept.sum()), gram[np.ix_(kept, kept)]
        sums = some.sum(0)
        total = (np.trace(some) - sums.sum() / count) / (count - 1)
        squares = ((some**2).sum() - 2 * (sums**2).sum() / count + (sums.sum() / count) ** 2) / (count - 1) ** 2
        found["isoscore"].append(isoscore_of(total, squares, size))
        found["effective_dimension"].append(effective_dimension_of(total, squares, count, size))
    whole = {"isoscore": isoscore(values), "effective_dimension": effective_dimension(values)}
    most = {"isoscore": 1.0, "effective_dimension": float(size)}
    return {name: _jackknifed(whole[name], np.array(some), most[name]) for name, some in found.items()}


def _jackknifed(whole: float, without: Array, most: float) -> tuple[float, float]:
    if whole >= most:
        return min(1.0, most), most
    logs = np.log(np.maximum(without, 1e-12))
    error = float(np.sqrt((len(logs) - 1) * np.square(logs - logs.mean()).mean()))
    return whole * float(np.exp(-_TWO_SIDED * error)), min(whole * float(np.exp(_TWO_SIDED * error)), most)


class ResampledPairs:
    """Bootstrap samples of pairs of texts, the same ones for all statistics, so that differences are paired.

    Parameters
    ----------
    groups : array of shape (n,)
        What is of one group, such as a product, is drawn together.
    pairs : array of shape (m, 2)
        Numbers of texts. A pair counts as often as both of its groups are drawn.
    """

    def __init__(self, groups: Groups, pairs: Pairs) -> None:
        counts = drawn_counts(groups)
        one, other = counts[:, pairs[:, 0]], counts[:, pairs[:, 1]]
        same = groups[pairs[:, 0]] == groups[pairs[:, 1]]
        self._weights = np.where(same, one, one * other)
        self._weights /= np.maximum(self._weights.sum(1, keepdims=True), 1e-12)

    def correlations(self, one: Array, other: Array) -> Array:
        """Return Spearman's correlation of two values (m,) of the pairs in each sample, (RESAMPLES,).

        Ranks are those among all pairs; a sample weighs the pairs.
        """
        return weighted_rank_correlations(self._weights, one, other)

    def higher(self, values: Array, some: Mask, others: Mask) -> tuple[float, list[float]]:
        """Return how likely a value of `some` pairs (m,) is higher than one of `others`, and its 95 % interval.

        The area under the ROC curve; one half where they are alike.
        """
        ahead = np.sign(values[some][:, None] - values[others][None]) / 2 + 0.5
        one, other = self._weights[:, some], self._weights[:, others]
        weight = np.maximum(one.sum(1) * other.sum(1), 1e-12)
        return float(ahead.mean()), bounds(((one @ ahead) * other).sum(1) / weight)


def weighted_rank_correlations(weights: Array, one: Array, other: Array) -> Array:
    """Return Spearman's correlation of two values (m,) under each of some weights (R, m); 0 where nothing varies.

    Ranks are those without weights; each row of weights sums to 1.
    """
    a, b = (_standard(rankdata(values)) for values in (one, other))
    mean_a, mean_b = weights @ a, weights @ b
    spread = (weights @ a**2 - mean_a**2) * (weights @ b**2 - mean_b**2)
    found: Array = (weights @ (a * b) - mean_a * mean_b) / np.sqrt(np.where(spread > 1e-12, spread, np.inf))
    return found


def rank_correlation(one: Array, other: Array) -> float:
    """Return Spearman's correlation of values (m,); 0 where one of them is the same for all."""
    a, b = rankdata(one), rankdata(other)
    return float(np.mean(_standard(a) * _standard(b)))


def _standard(values: Array) -> Array:
    spread = values.std()
    found: Array = (values - values.mean()) / (spread if spread > 0 else 1.0)
    return found
