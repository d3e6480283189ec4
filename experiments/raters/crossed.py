"""How sure a mean of marks is: raters and items are drawn anew together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

from experiments.bootstrap import drawn_counts

Array = NDArray[np.float64]
LEAST = 6
"""Items below which even unanimous ones could be chance: (1/2)^5 on either side is more than 5 %."""


@dataclass(frozen=True)
class Sure:
    """A number with its interval.

    Parameters
    ----------
    value : float
    interval : list of float or None
        95 %; None of one rater or one item.
    items : int
        That it rests on.
    """

    value: float
    interval: list[float] | None
    items: int

    def beyond(self, level: float) -> int:
        """Return 1 or -1 if it is surely above or below a level, 0 if there is not enough evidence."""
        if self.interval is None or self.items < LEAST:
            return 0
        return int(self.interval[0] > level) - int(self.interval[1] < level)


class Crossed:
    """How sure means of marks are that raters gave items: both are drawn anew, the same for all means.

    Drawing raters with replacement gives one variance of a mean, drawing items another. What single judgements add is
    in both, and is taken off once (Cameron, Gelbach and Miller, Robust Inference With Multiway Clustering, Journal of
    Business & Economic Statistics 29(2), 2011, equation 2.9); the larger of the two is the least. The interval is the
    mean plus and minus a quantile of Student's t, as percentiles of samples of few raters are too narrow; its degrees
    of freedom are those of raters and items, weighted by their variances (Satterthwaite, Biometrics Bulletin 2(6),
    1946). A difference of two means is paired: the same raters and items are drawn for both.

    Parameters
    ----------
    raters : int
        R of them.
    items : array of shape (U,)
        The item of each unit; units of one item are drawn together.
    seed : int
    """

    def __init__(self, raters: int, items: ArrayLike, seed: int = 0) -> None:
        self._items = np.asarray(items, dtype=np.int64)
        self._raters_drawn = drawn_counts(np.arange(raters), 2 * seed)
        self._items_drawn = drawn_counts(self._items, 2 * seed + 1)

    def mean(self, marks: Array, units: NDArray[np.bool_] | None = None) -> Sure | None:
        """Return the mean of marks (R, U) over some of the units; None where there is no mark."""
        return self._sure(self._only(marks, units))

    def difference(self, marks: Array, units: NDArray[np.bool_], others: NDArray[np.bool_]) -> Sure | None:
        """Return by how much the mean over some units is above that over others; None where either has no mark."""
        return self._sure(self._only(marks, units), self._only(marks, others))

    @staticmethod
    def _only(marks: Array, units: NDArray[np.bool_] | None) -> Array:
        return marks if units is None else np.where(units, marks, np.nan)

    def _sure(self, *some: Array) -> Sure | None:
        """Return the mean of some marks, or by how much it is above that of others."""
        known = np.isfinite(some)
        if not known.any((1, 2)).all():
            return None
        means = [float(np.nanmean(marks)) for marks in some]
        value = means[0] - sum(means[1:])
        many = int(known.any((0, 2)).sum()), len(np.unique(self._items[known.any((0, 1))]))
        if min(many) < 2:
            return Sure(value, None, many[1])
        drawn = (
            (self._raters_drawn, np.ones_like(self._items_drawn)),
            (np.ones_like(self._raters_drawn), self._items_drawn),
        )
        alone = [_variance(some, *counts) * each / (each - 1) for counts, each in zip(drawn, many, strict=True)]
        variance = max(*alone, sum(alone) - _of_judgements(some, means))
        each = sum(own**2 / (number - 1) for own, number in zip(alone, many, strict=True))
        half = float(np.sqrt(variance) * t.ppf(0.975, sum(alone) ** 2 / each if each else 1.0))
        return Sure(value, [value - half, value + half], many[1])


def _variance(some: Sequence[Array], raters: Array, items: Array) -> float:
    """Return the variance of a mean, or of a difference, over the samples that have it."""
    means = [_means(marks, raters, items) for marks in some]
    samples = means[0] - sum(means[1:])
    samples = samples[np.isfinite(samples)]
    return float(samples.var()) if len(samples) > 1 else 0.0


def _of_judgements(some: Sequence[Array], means: Sequence[float]) -> float:
    """Return what the variance would be if judgements were independent."""
    parts = [np.nan_to_num(marks - mean) / np.isfinite(marks).sum() for marks, mean in zip(some, means, strict=True)]
    return float(np.square(parts[0] - sum(parts[1:])).sum())


def _means(marks: Array, raters: Array, items: Array) -> Array:
    """Return the mean of marks (R, U) in samples that draw raters (B, R) and units (B, U) so often; NaN without any."""
    known = np.isfinite(marks)
    sums = ((raters @ np.where(known, marks, 0.0)) * items).sum(1)
    many = ((raters @ known.astype(np.float64)) * items).sum(1)
    found: Array = np.divide(sums, many, out=np.full(len(sums), np.nan), where=many > 0)
    return found
