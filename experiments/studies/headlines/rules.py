"""Rules for choosing among the headlines of one test, each for many tests side by side.

LOLA's rule and its parameters are those of Ye, Yoganarasimhan and Zheng (Marketing Science 44(5), 2025) as their code
has them, without the impression that it gives each headline for nothing. Thompson sampling draws from the Beta prior
whose moments past tests have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandits.online.horizon_index import horizon_index
from bandits.rewards.pooled_rates import PooledRates, RatePrior
from experiments.studies.headlines.settings import ENTRANTS

Array = NDArray[np.float64]
BREADTH = 0.08
"""What UCB and LOLA add is this times sqrt(log(t + 2) / impressions)."""
TRUST = 1000
"""Impressions for which LOLA takes its prediction."""
FIRST_SHARE = 0.2
"""Of the impressions, that explore-then-commit spends on all headlines alike."""
PATIENCE = 0.05
"""Ours looks at the counts again when they have grown by that share without a click: each impression takes four times
as long, and earns the same."""


@dataclass(frozen=True, eq=False)
class Known:
    """What was learned from other tests, for R tests of K headlines each.

    Parameters
    ----------
    factors : array of shape (R, K)
        What the words promise, relative to the others of the test; their mean is 1.
    worded, unworded : RatePrior
        With and without the words.
    rate : float
        Mean rate of all headlines.
    beta : tuple of float
        The Beta distribution with the mean and variance of the headlines' rates.
    """

    factors: Array
    worded: RatePrior
    unworded: RatePrior
    rate: float
    beta: tuple[float, float]


class Rule:
    """Chooses a headline of each test, impression by impression; this one shows them in turn.

    Parameters
    ----------
    known : Known
    horizon : int
        Impressions of each test in all.
    streams : sequence of numpy.random.Generator
        Of its own: S of them, each for R / S tests that follow one another.
    """

    def __init__(self, known: Known, horizon: int, streams: Sequence[np.random.Generator]) -> None:
        self.known, self.horizon, self.streams = known, horizon, streams
        self.impressions, self.clicks = (np.zeros(known.factors.shape) for _ in range(2))
        self._rows = np.arange(len(known.factors))
        self._arms = known.factors.shape[1]

    def choose(self, done: int) -> NDArray[np.int64]:
        """Return the headline to show in each test, (R,), after `done` impressions."""
        return np.full(len(self._rows), done % self._arms)

    def learn(self, headlines: NDArray[np.int64], clicks: NDArray[np.bool_]) -> None:
        """Learn whether the headlines that were chosen were clicked, both (R,)."""
        self.impressions[self._rows, headlines] += 1
        self.clicks[self._rows, headlines] += clicks

    def best(self) -> NDArray[np.int64]:
        """Return the headline to keep in each test, (R,)."""
        found: NDArray[np.int64] = self._rates().argmax(1)
        return found

    def _rates(self) -> Array:
        return self.clicks / np.maximum(self.impressions, 1)


class ExploreThenCommit(Rule):
    """Shows all alike at first, then the one that had most clicks an impression."""

    def choose(self, done: int) -> NDArray[np.int64]:  # noqa: D102 - as `Rule` has it
        if done < FIRST_SHARE * self.horizon:
            return super().choose(done)
        if not hasattr(self, "_kept"):
            self._kept = super().best()
        return self._kept


class _Scored(Rule):
    """Shows the headline with the highest score."""

    def choose(self, done: int) -> NDArray[np.int64]:
        found: NDArray[np.int64] = self._scores(done).argmax(1)
        return found

    def _scores(self, done: int) -> Array:
        raise NotImplementedError


class Words(_Scored):
    """Always shows what the words promise most of."""

    def _scores(self, done: int) -> Array:
        return self.known.factors

    def best(self) -> NDArray[np.int64]:  # noqa: D102
        return self.choose(0)


class UpperBound(_Scored):
    """UCB: clicks an impression and a bonus for what was shown little."""

    def _scores(self, done: int) -> Array:
        bonus = BREADTH * np.sqrt(np.log(done + 2) / np.maximum(self.impressions, 1))
        return np.where(self.impressions > 0, self._rates() + bonus, 1.0)


class TwoBounds(UpperBound):
    """LOLA: the lower of two upper bounds, of the counts and of the counts with the words as past impressions."""

    def _scores(self, done: int) -> Array:
        trusted = self.impressions + TRUST
        promised = TRUST * self.known.rate * self.known.factors
        worded = (self.clicks + promised) / trusted + BREADTH * np.sqrt(np.log(done + 2) / trusted)
        return np.minimum(super()._scores(done), worded)

    def best(self) -> NDArray[np.int64]:  # noqa: D102
        promised = TRUST * self.known.rate * self.known.factors
        found: NDArray[np.int64] = ((self.clicks + promised) / (self.impressions + TRUST)).argmax(1)
        return found


class Thompson(_Scored):
    """Thompson sampling with independent Beta beliefs."""

    def _scores(self, done: int) -> Array:
        first, second = self.known.beta
        clicked = np.split(first + self.clicks, len(self.streams))
        passed = np.split(second + self.impressions - self.clicks, len(self.streams))
        drawn = zip(self.streams, clicked, passed, strict=True)
        return np.concatenate([stream.beta(one, other) for stream, one, other in drawn])


class Pooled(Rule):
    """Ours: the pooled belief about the test, and the index of a horizon that is known.

    It looks again, and may show another headline, after each click and once what is shown has had `PATIENCE` of the
    impressions that the belief about it is worth. Without the words where `worded` is false.
    """

    worded = True

    def __init__(self, known: Known, horizon: int, streams: Sequence[np.random.Generator]) -> None:
        super().__init__(known, horizon, streams)
        factors = known.factors if self.worded else np.ones_like(known.factors)
        self.belief = PooledRates(known.worded if self.worded else known.unworded, factors)
        self._left = horizon
        self._shown, self._since, self._patience = (np.zeros(len(self._rows), dtype=np.int64) for _ in range(3))
        self._look(self._rows)

    def choose(self, done: int) -> NDArray[np.int64]:  # noqa: D102 - as `Rule` has it
        return self._shown

    def learn(self, headlines: NDArray[np.int64], clicks: NDArray[np.bool_]) -> None:  # noqa: D102
        self._left -= 1
        self._since += 1
        due = np.flatnonzero(clicks | (self._since >= self._patience) | (self._left == 0))
        if due.size:
            self.belief.learn(due, self._shown[due], self._since[due], clicks[due])
            self._since[due] = 0
            self._look(due)

    def best(self) -> NDArray[np.int64]:  # noqa: D102
        found: NDArray[np.int64] = self.belief.moments()[0].argmax(1)
        return found

    def _look(self, rows: NDArray[np.int64]) -> None:
        mean, variance = self.belief.moments(rows)
        shown = self._wanted(mean, variance)
        each = np.arange(len(rows)), shown
        self._shown[rows], self._patience[rows] = shown, PATIENCE * mean[each] / variance[each]

    def _wanted(self, mean: Array, variance: Array) -> NDArray[np.int64]:
        found: NDArray[np.int64] = horizon_index(mean, variance, mean, self._left).argmax(1)
        return found


class PooledWithoutWords(Pooled):
    """The same without the words."""

    worded = False


class Naming(Pooled):
    """The same belief, to name the best headline in the end, whatever clicks that costs.

    Of the likeliest best and the one that is hardest to tell from it, it shows the one that it knows less of.

    .. [Russo2020] D. Russo. Simple Bayesian algorithms for best-arm identification. Operations Research 68(6), 2020.
    .. [Shang2020] X. Shang et al. Fixed-confidence guarantees for Bayesian best-arm identification. AISTATS 2020.
    """

    def _wanted(self, mean: Array, variance: Array) -> NDArray[np.int64]:
        rows, first = np.arange(len(mean)), mean.argmax(1)
        apart = (mean[rows, first][:, None] - mean) ** 2 / (variance[rows, first][:, None] + variance)
        apart[rows, first] = np.inf
        second = apart.argmin(1)
        return np.where(variance[rows, first] >= variance[rows, second], first, second)


class Told(Pooled):
    """The ceiling: told at each impression whether each headline would have been clicked, and shows the best so far."""

    def learn_all(self, clicks: NDArray[np.bool_]) -> None:
        """Learn whether the headlines would have been clicked, (R, K)."""
        self._left -= 1
        self._since += 1
        due = np.flatnonzero(clicks.any(1) | (self._since >= self._patience) | (self._left == 0))
        for headline in range(clicks.shape[1]) if due.size else ():
            self.belief.learn(due, headline, self._since[due], clicks[due, headline])
        self._since[due] = 0
        self._look(due)

    def _wanted(self, mean: Array, variance: Array) -> NDArray[np.int64]:
        found: NDArray[np.int64] = mean.argmax(1)
        return found


RULES: dict[str, Callable[[Known, int, Sequence[np.random.Generator]], Rule]] = dict(zip(
    ENTRANTS,
    (Rule, ExploreThenCommit, Thompson, UpperBound, Words, TwoBounds, Naming, PooledWithoutWords, Pooled),
    strict=True,
))  # fmt: skip
"""The entrants, by name."""
