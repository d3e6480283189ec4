"""What the best of all rules earns in a test, if our belief is right: by backward induction over all that it may see.

The ceiling is told of every headline at every impression, so no rule comes there. How far one can come that sees the
clicks of what it shows is not known for many headlines; for two or three it can be found, with time in blocks: what is
shown changes between them alone, for our rule as for the best. Counts of clicks that come once in ten thousand tests
are cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from bandits.online.horizon_index import horizon_index
from bandits.rewards.pooled_rates import RatePrior
from experiments.studies.headlines.rules import Array

BLOCKS = 16
_PATHS = 4000
"""Tests drawn from the belief, of which the ceiling is the mean."""
_DRAWS, _CUT = 100_000, 0.9999
"""Rates that are drawn to see how many clicks are possible, and the quantile from which they are cut."""


@dataclass(frozen=True)
class Earned:
    """Expected clicks a test and period, as `experiments.studies.headlines.replay.Replayed` counts them."""

    uniform: float
    words_alone: float
    ours: float
    best_rule: float
    ceiling: float


def earned(prior: RatePrior, factors: Any, tau: int, rng: np.random.Generator, blocks: int = BLOCKS) -> Earned:
    """Return what four rules earn in a test whose rates are drawn from the belief about it.

    Parameters
    ----------
    prior : RatePrior
        What past tests say.
    factors : array of shape (K,)
        What the words promise of each headline. Work grows as (clicks * blocks)^K: two headlines take seconds, three
        minutes.
    tau : int
        Impressions a headline.
    rng : numpy.random.Generator
        For the ceiling.
    blocks : int
        Parts of the test; no more than it has impressions.
    """
    known = np.asarray(factors, dtype=np.float64)
    belief = _Belief(prior, known, tau, min(blocks, tau * len(known)), rng)
    best, ours = belief.values()
    usual = belief.horizon * float(prior.weights @ prior.rates)
    told = usual * known.max() + belief.told_more(rng)
    return Earned(*(float(clicks / tau) for clicks in (usual * known.mean(), usual * known.max(), ours, best, told)))


class _Belief:
    """What may be believed of K headlines, after each number of blocks and of clicks, in each of C cells."""

    def __init__(self, prior: RatePrior, factors: Array, tau: int, blocks: int, rng: np.random.Generator) -> None:
        self.arms, self.blocks = len(factors), blocks
        self.horizon, self.size = tau * self.arms, tau * self.arms / blocks
        self.factors = factors
        cells = rng.choice(len(prior.weights), _DRAWS, p=prior.weights)
        drawn = factors.max() * prior.rates[cells] * rng.gamma(prior.spreads[cells] ** -2) * prior.spreads[cells] ** 2
        self.clicks, self.in_block = (np.arange(int(np.quantile(rng.poisson(shown * drawn), _CUT)) + 2)
                                      for shown in (self.horizon, self.size))  # fmt: skip
        self.logs, self.shapes = np.log(prior.weights), prior.spreads**-2  # (C,)
        self.sizes = self.shapes / (prior.rates * factors[:, None])  # (K, C)
        self.shown = np.arange(blocks + 1) * self.size
        self._after = [[self._seen(arm, shown) for shown in self.shown] for arm in range(self.arms)]

    def values(self) -> tuple[float, float]:
        """Return what the best rule earns from the start on, and what ours does."""
        later: dict[tuple[int, ...], Array] = {}
        for done in range(self.blocks - 1, -1, -1):
            later = {shown: self._value(shown, later) for shown in self._shares(done)}
        best, ours = later[(0,) * self.arms][(0,) * self.arms]
        return float(best), float(ours)

    def told_more(self, rng: np.random.Generator) -> float:
        """Return how much more than words alone is earned on average by who is told of every headline after a block."""
        cells = rng.choice(len(self.shapes), _PATHS, p=np.exp(self.logs))
        rates = rng.gamma(self.shapes[cells], 1 / self.sizes[:, cells]).T
        clicks, total = np.zeros((_PATHS, self.arms, 1)), 0.0
        for shown in self.shown[:-1]:
            shapes, sizes = clicks + self.shapes, self.sizes + shown  # (paths, K, C)
            logs = (
                gammaln(shapes) - gammaln(self.shapes) + self.shapes * np.log(self.sizes) - shapes * np.log(sizes)
            ).sum(1)
            means = (shapes / sizes * _weights(self.logs + logs)[:, None]).sum(-1)
            total += self.size * float((means.max(1) - means[:, self.factors.argmax()]).mean())  # noise cancels
            clicks += rng.poisson(rates * self.size)[..., None]
        return total

    def _shares(self, done: int) -> Iterator[tuple[int, ...]]:
        """Yield how many of `done` blocks each headline may have had."""
        for some in product(range(done + 1), repeat=self.arms - 1):
            if sum(some) <= done:
                yield *some, done - sum(some)

    def _value(self, shown: tuple[int, ...], later: dict[tuple[int, ...], Array]) -> Array:
        """Return what the best rule and ours still earn, by the clicks of each headline (..., 2)."""
        seen = [self._after[arm][count] for arm, count in enumerate(shown)]
        weights = _weights(sum((self._along(arm, one[0]) for arm, one in enumerate(seen)), self.logs))
        means = np.stack([(weights * self._along(arm, one[1])).sum(-1) for arm, one in enumerate(seen)])
        squares = np.stack([(weights * self._along(arm, one[2])).sum(-1) for arm, one in enumerate(seen)])
        earned = np.repeat(self.size * means[..., None], 2, axis=-1)
        for arm, (_, _, _, chances) in enumerate(seen) if later else ():
            value = later[tuple(count + (other == arm) for other, count in enumerate(shown))]
            chance = self._foretold(arm, weights, chances)
            for clicked in self.in_block:
                reached = np.minimum(self.clicks + clicked, self.clicks[-1])
                earned[arm] += chance[..., clicked, None] * np.take(value, reached, axis=arm)
        variances = np.maximum(squares - means**2, 1e-4 * means**2)
        left = self.horizon - sum(shown) * self.size
        ours = horizon_index(means, variances, means, left).argmax(0)
        return np.stack([earned[..., 0].max(0), np.take_along_axis(earned[..., 1], ours[None], 0)[0]], axis=-1)

    def _foretold(self, arm: int, weights: Array, chances: Array) -> Array:
        """Return how likely each number of clicks in the next block is, by the clicks of each headline (..., X)."""
        rows = np.moveaxis(weights, arm, 0)
        found = rows.reshape(len(self.clicks), -1, len(self.shapes)) @ chances
        return np.moveaxis(found.reshape(*rows.shape[:-1], -1), 0, arm)

    def _seen(self, arm: int, shown: float) -> tuple[Array, Array, Array, Array]:
        """Return of a headline, by its clicks and cell, how likely they are, its rate's mean and mean square.

        And how likely each number of clicks in the next block is, along a third axis (negative binomial).
        """
        before, shapes = self.sizes[arm], self.clicks[:, None] + self.shapes
        sizes = before + shown
        logs = gammaln(shapes) - gammaln(self.shapes) + self.shapes * np.log(before) - shapes * np.log(sizes)
        means = shapes / sizes
        some, own = self.in_block, shapes[..., None]
        chances = gammaln(some + own) - gammaln(own) - gammaln(some + 1)
        chances = chances + own * np.log(sizes / (sizes + self.size))[:, None]
        chances = np.exp(chances + some * np.log(self.size / (sizes + self.size))[:, None])
        chances[..., -1] += 1 - chances.sum(-1)
        return logs, means, means**2 + means / sizes, chances

    def _along(self, arm: int, values: NDArray[np.float64]) -> Array:
        """Return values by clicks and cell on a grid of the clicks of all headlines."""
        shape = [1] * self.arms + [len(self.shapes)]
        shape[arm] = len(self.clicks)
        return values.reshape(shape)


def _weights(logs: Array) -> Array:
    weights = np.exp(logs - logs.max(-1, keepdims=True))
    found: Array = weights / weights.sum(-1, keepdims=True)
    return found
