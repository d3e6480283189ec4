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
    def fit(
        cls, tests: Any, impressions: Any, clicks: Any, factors: Any | None = None, steps: int = _RATES
    ) -> RatePrior:
        """Return the prior under which past tests are most likely (by expectation maximisation over the grid).

        Parameters
        ----------
        tests : array of shape (N,)
            Which test each text belongs to, 0 to n - 1.
        impressions, clicks : array of shape (N,)
            Of whole tests. Counts need not be whole: all of them times a thousand says that the rates are the truth.
        factors : array of shape (N,), optional
            What the texts' words promise, relative to one another; 1 unless given.
        steps : int
            Rates of tests on the grid, from the least to the greatest. A rule that chooses earns as much with few;
            what is foretold of a text that was never shown is nearer with more.

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
        rates = np.geomspace(found.min() / 1.2, found.max() * 1.2, steps)
        of_rates, of_spreads = np.meshgrid(rates, SPREADS, indexing="ij")
        cells = cls(of_rates.ravel(), of_spreads.ravel(), np.ones(of_rates.size))
        likely = cells._likely(places, shown, clicked, promised)
        weights = np.full(likely.shape[1], 1 / likely.shape[1])
        for _ in range(_ROUNDS):
            shares = weights * likely
            weights = (shares / shares.sum(1, keepdims=True)).mean(0)
        kept = weights > 1e-3
        return cls(cells.rates[kept], cells.spreads[kept], weights[kept] / weights[kept].sum())

    def draw(
        self, tests: Any, impressions: Any, clicks: Any, rng: np.random.Generator, factors: Any | None = None,
        count: int = 1,
    ) -> Array:  # fmt: skip
        """Return rates (`count`, N) as they may be behind the counts: draws from the belief that counts and prior give.

        Parameters
        ----------
        tests, impressions, clicks, factors
            As `fit` takes them; a text that was never shown has no impressions.
        rng : numpy.random.Generator
        count : int
        """
        places, shown = np.asarray(tests), np.asarray(impressions, dtype=np.float64)
        clicked = np.asarray(clicks, dtype=np.float64)
        promised = np.ones(len(places)) if factors is None else np.asarray(factors, dtype=np.float64)
        likely = self.weights * self._likely(places, shown, clicked, promised)
        reached = (likely / likely.sum(1, keepdims=True)).cumsum(1)
        cells = np.stack([(rng.random((len(reached), 1)) > reached).sum(1) for _ in range(count)])
        cells = cells.clip(max=len(self.rates) - 1)[:, places]
        shapes = self.spreads[cells] ** -2
        found: Array = rng.gamma(clicked + shapes) / (shown + shapes / (self.rates[cells] * promised))
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
        self._factors = np.asarray(factors, dtype=np.float32)
        self._shapes = (prior.spreads**-2).astype(np.float32)  # (C,)
        self._sizes = (prior.spreads**-2 / prior.rates).astype(np.float32)  # of a text that promises 1
        self._impressions, self._clicks = np.zeros((2, *self._factors.shape), dtype=np.float32)
        self._weights = np.tile(np.log(prior.weights), (len(self._factors), 1))  # (R, C), of logarithms

    def learn(self, tests: Any, texts: Any, impressions: Any, clicks: Any) -> None:
        """Learn of impressions of one text in each of some tests.

        Parameters
        ----------
        tests : array of shape (M,)
            Which of the R tests, each at most once.
        texts : array of shape (M,), or int
            Which text of each.
        impressions : array of shape (M,)
            Since the last time.
        clicks : array of shape (M,)
            0 or 1: whether one of the impressions was clicked.
        """
        shown, clicked = np.asarray(impressions, dtype=np.float32)[:, None], np.asarray(clicks, dtype=bool)
        size = self._sizes / self._factors[tests, texts][:, None] + self._impressions[tests, texts][:, None]
        shape = self._shapes + self._clicks[tests, texts][:, None]
        gained = -shape * np.log1p(shown / size)
        gained[clicked] += np.log(shape[clicked] / (size + shown)[clicked])
        self._weights[tests] += gained
        self._impressions[tests, texts] += shown[:, 0]
        self._clicks[tests, texts] += clicked

    def moments(self, tests: Any = np.s_[:]) -> tuple[Array, Array]:
        """Return mean and variance of each text's rate in some tests, two arrays of shape (M, K)."""
        weights = self._weights[tests]
        weights = np.exp(weights - weights.max(1, keepdims=True))
        weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)[..., None]
        size = self._sizes / self._factors[tests][..., None] + self._impressions[tests][..., None]
        mean = (self._shapes + self._clicks[tests][..., None]) / size
        first, second = (mean @ weights)[..., 0], ((mean * mean + mean / size) @ weights)[..., 0]
        return first, np.maximum(second - first**2, 1e-4 * first**2)
