"""Click rates of the few texts of one test, when many tests were seen before: each text's, pooled with the others'.

A text's rate is its test's rate times what its words promise times a factor of its own. Of the test's rate, and of
how far the texts of a test differ, a grid of values is kept, weighed by past tests (empirical Bayes) and by the
test's own counts: a test with nothing to choose from is told from one with a winner as the counts come in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import gammaln

from bandits.inputs import Array
from copyloom import InputError

SPREADS = (0.1, 0.2, 0.3, 0.45, 0.7)
"""Standard deviations of a text's own factor, whose mean is 1."""
_RATES = 14
_ROUNDS = 200


@dataclass(frozen=True, eq=False)
class RatePrior:
    """What past tests say of the next one.

    Parameters
    ----------
    rates, spreads, weights : array of shape (C,)
        Cells of the grid: a test's rate, the deviation of its texts' own factors, and the cell's probability.
    """

    rates: Array
    spreads: Array
    weights: Array

    @classmethod
    def fit(cls, tests: Any, impressions: Any, clicks: Any, factors: Any | None = None) -> RatePrior:
        """Return the prior under which past tests are most likely (by expectation maximisation over the grid).

        Parameters
        ----------
        tests : array of shape (N,)
            Which test each text belongs to, 0 to n - 1.
        impressions, clicks : array of shape (N,)
            Of whole tests. Counts need not be whole: all of them times a thousand says that the rates are the truth.
        factors : array of shape (N,), optional
            What the texts' words promise, relative to one another; 1 unless given.

        Raises
        ------
        InputError
            If there is no click, or a test without impressions.
        """
        places, shown = np.asarray(tests), np.asarray(impressions, dtype=np.float64)
        clicked = np.asarray(clicks, dtype=np.float64)
        promised = np.ones(len(places)) if factors is None else np.asarray(factors, dtype=np.float64)
        totals = np.bincount(places, clicked), np.bincount(places, shown)
        if not clicked.sum() or not totals[1].all():
            raise InputError("past tests need clicks, and impressions each; leave out tests that were never shown")
        found = (totals[0] + 0.5) / (totals[1] + 0.5 * totals[1].sum() / clicked.sum())
        rates = np.geomspace(found.min() / 1.2, found.max() * 1.2, _RATES)
        of_rates, of_spreads = np.meshgrid(rates, SPREADS, indexing="ij")
        cells = cls(of_rates.ravel(), of_spreads.ravel(), np.ones(of_rates.size))
        likely = cells._likely(places, shown, clicked, promised)
        weights = np.full(likely.shape[1], 1 / likely.shape[1])
        for _ in range(_ROUNDS):
            shares = weights * likely
            weights = (shares / shares.sum(1, keepdims=True)).mean(0)
        kept = weights > 1e-3
        return cls(cells.rates[kept], cells.spreads[kept], weights[kept] / weights[kept].sum())

    def draw(self, tests: Any, impressions: Any, clicks: Any, rng: np.random.Generator) -> Array:
        """Return rates (N,) as they may be behind the counts: a draw from the belief that counts and prior give."""
        places, shown = np.asarray(tests), np.asarray(impressions, dtype=np.float64)
        clicked = np.asarray(clicks, dtype=np.float64)
        likely = self.weights * self._likely(places, shown, clicked, np.ones(len(places)))
        reached = (likely / likely.sum(1, keepdims=True)).cumsum(1)
        cells = (rng.random((len(reached), 1)) > reached).sum(1).clip(max=len(self.rates) - 1)[places]
        shapes = self.spreads[cells] ** -2
        found: Array = rng.gamma(clicked + shapes) / (shown + shapes / self.rates[cells])
        return np.minimum(found, 1.0)

    def _likely(self, places: Array, shown: Array, clicked: Array, promised: Array) -> Array:
        """Return how likely the counts of each test are in each cell (n, C), relative to the likeliest cell."""
        columns = []
        for rate, spread in zip(self.rates, self.spreads, strict=True):
            shape = spread**-2
            size = shape / (rate * promised)
            one = gammaln(clicked + shape) - gammaln(shape) + shape * np.log(size)
            columns.append(np.bincount(places, one - (clicked + shape) * np.log(size + shown)))
        logs = np.stack(columns, axis=1)
        found: Array = np.exp(logs - logs.max(1, keepdims=True))
        return found


class PooledRates:
    """The belief about R tests of K texts each, side by side.

    Given the test's rate b and the spread s, a text's rate has a Gamma distribution with shape 1 / s² and mean b
    times what its words promise; clicks count as Poisson, which rates of a few per cent allow. Moments are exact over
    the grid.

    Parameters
    ----------
    prior : RatePrior
    factors : array of shape (R, K)
        What the words promise of each text, relative to the others of its test.
    """

    def __init__(self, prior: RatePrior, factors: Any) -> None:
        promised = np.asarray(factors, dtype=np.float64)[..., None]
        shapes = prior.spreads**-2  # (C,)
        self._sizes = (shapes / (prior.rates * promised)).astype(np.float32)  # (R, K, C)
        self._shapes = np.tile(shapes.astype(np.float32), (*promised.shape[:2], 1))
        self._means, self._squares = (np.empty_like(self._sizes) for _ in range(2))
        self._weights = np.tile(np.log(prior.weights), (len(promised), 1))  # (R, C), of logarithms
        self._moments(np.s_[:], np.s_[:])

    def learn(self, texts: Any, clicks: Any) -> None:
        """Learn of one impression in each test: of text `texts` (R,), with `clicks` (R,) of 0 or 1."""
        rows = np.arange(len(texts))
        size, shape = self._sizes[rows, texts], self._shapes[rows, texts]
        self._weights -= shape * np.log1p(1 / size)
        self._sizes[rows, texts] = size = size + 1
        clicked = np.flatnonzero(clicks)
        self._weights[clicked] += np.log(shape[clicked] / size[clicked])
        self._shapes[clicked, np.asarray(texts)[clicked]] += 1
        self._moments(rows, texts)

    def learn_all(self, clicks: Any) -> None:
        """Learn of one impression of every text, with `clicks` (R, K)."""
        self._weights -= (self._shapes * np.log1p(1 / self._sizes)).sum(1)
        self._sizes += 1
        rows, texts = np.nonzero(clicks)
        np.add.at(self._weights, rows, np.log(self._shapes[rows, texts] / self._sizes[rows, texts]))
        self._shapes[rows, texts] += 1
        self._moments(np.s_[:], np.s_[:])

    def moments(self) -> tuple[Array, Array]:
        """Return mean and variance of each text's rate, two arrays of shape (R, K)."""
        weights = np.exp(self._weights - self._weights.max(1, keepdims=True))
        weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)[..., None]
        mean, square = ((cells @ weights)[..., 0] for cells in (self._means, self._squares))
        return mean, np.maximum(square - mean**2, 1e-4 * mean**2)

    def _moments(self, rows: Any, texts: Any) -> None:
        """Bring the cells' moments of some texts to their counts."""
        size = self._sizes[rows, texts]
        self._means[rows, texts] = mean = self._shapes[rows, texts] / size
        self._squares[rows, texts] = mean * (mean + 1 / size)
