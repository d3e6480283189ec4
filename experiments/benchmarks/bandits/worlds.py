"""The worlds of the bandit benchmark: texts with features, and the click rate of each at any time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bandits.inputs import Array

_POOL, _PARENTS, _REPLACED, _STEP = 64, 3, 0.1, 100


@dataclass(frozen=True)
class Cell:
    """One kind of world.

    Parameters
    ----------
    name : str
    texts : int
        That may be shown at a time: normalised mixtures of three of 64 random directions.
    d : int
        Features.
    rate : float
        Mean click rate of the texts at the start.
    logit_sd : float
        Standard deviation of their logits.
    horizon : int
        Rounds.
    drift : str
        "abrupt": another taste from the middle on; "slow": the taste turns by a right angle from start to end.
    delay : float
        Mean of the exponential delay of an outcome, as a share of the horizon; a fifth of outcomes never arrive.
    curvature : float
        Share of the logits' variance that is a quadratic function of the features.
    hint : str
        A further feature, which is said to predict the logits: right (correlation 0.7), random, or reversed (-0.7).
        To all it is one more feature; ours also plays with it as a `TextPrior`, as that comes.
    churn : int
        Rounds after which a tenth of the texts is exchanged, again and again; 0 for never.
    """

    name: str
    texts: int = 100
    d: int = 16
    rate: float = 0.022
    logit_sd: float = 0.45
    horizon: int = 10_000
    drift: Literal["none", "abrupt", "slow"] = "none"
    delay: float = 0.0
    curvature: float = 0.0
    hint: Literal["none", "right", "random", "reversed"] = "none"
    churn: int = 0


BASE = Cell("base")
_GRID = [
    replace(BASE, name=f"d = {d}, CTR {rate:.1%}", d=d, rate=rate) for d in (8, 16, 64) for rate in (0.005, 0.02, 0.1)
]
CELLS = {
    cell.name: cell
    for cell in [
        BASE, *_GRID,
        replace(BASE, name="abrupt drift", drift="abrupt"), replace(BASE, name="slow drift", drift="slow"),
        replace(BASE, name="delay", delay=0.1), replace(BASE, name="quadratic reward", curvature=0.5),
        replace(BASE, name="right prior", hint="right"), replace(BASE, name="random prior", hint="random"),
        replace(BASE, name="reversed prior", hint="reversed"), replace(BASE, name="churn", churn=500),
    ]
}  # fmt: skip
"""The base task, the grid of sizes and rates, and what else happens to a campaign."""


class World:
    """The texts and shoppers of one seed of a cell.

    Attributes
    ----------
    features : Tensor of shape (N, d), or (N, d + 1) with a hint
        Of all texts that there ever are; each has a variance of about 1.
    uniforms : array of shape (T,)
        A shopper clicks where it lies below the rate of what is shown, whoever the learner: common random numbers.
    """

    def __init__(self, cell: Cell, seed: int) -> None:
        rng = np.random.default_rng([seed, 0])
        self.cell = cell
        exchanges = (cell.horizon - 1) // cell.churn if cell.churn else 0
        self._each = round(_REPLACED * cell.texts)
        count = cell.texts + exchanges * self._each
        points = _mixtures(count, cell.d, rng)
        self._tastes = rng.standard_normal((2, cell.d)), rng.standard_normal((2, cell.d, cell.d))
        self._points = points
        self._intercept, self._scale = 0.0, (1.0, 0.0)
        self._standardise()
        hint = self._hint(rng)
        self.features = points if hint is None else np.hstack([points, hint[:, None]])
        self.uniforms = rng.random(cell.horizon)
        self.delays = rng.exponential(cell.delay * cell.horizon, cell.horizon) if cell.delay else None
        self.arrives = rng.random(cell.horizon) >= (0.2 if cell.delay else 0.0)
        self._known: dict[int, Array] = {}

    def rates(self, t: int) -> Array:
        """Return the click rate of every text in round `t`: (N,)."""
        era = self._era(t)
        if era not in self._known:
            self._known[era] = 1 / (1 + np.exp(-self._intercept - self._logits(era)))
        return self._known[era]

    def texts_at(self, t: int) -> NDArray[np.intp]:
        """Return the numbers of the texts that may be shown in round `t`."""
        gone = self._each * (t // self.cell.churn) if self.cell.churn else 0
        return np.arange(gone, gone + self.cell.texts)

    def _era(self, t: int) -> int:
        if self.cell.drift == "abrupt":
            return int(t >= self.cell.horizon / 2)
        return t // _STEP if self.cell.drift == "slow" else 0

    def _logits(self, era: int) -> Array:
        linear, quadratic = (self._blend(tastes, era) for tastes in self._tastes)
        a, b = self._scale
        curved = ((self._points @ quadratic) * self._points).sum(1) if b else 0.0
        return a * (self._points @ linear) + b * curved

    def _blend(self, tastes: Array, era: int) -> Array:
        angle = {"none": 0.0, "abrupt": era * math.pi / 2, "slow": era * _STEP / self.cell.horizon * math.pi / 2}
        turned = angle[self.cell.drift]
        found: Array = math.cos(turned) * tastes[0] + math.sin(turned) * tastes[1]
        return found

    def _standardise(self) -> None:
        """Set scale and intercept so that the first texts' logits have the cell's spread and their rates its mean."""
        cell, first = self.cell, slice(0, self.cell.texts)
        parts = []
        for scale, share in (((1.0, 0.0), 1 - cell.curvature), ((0.0, 1.0), cell.curvature)):
            self._scale = scale
            parts.append(math.sqrt(share) / self._logits(0)[first].std() if share else 0.0)
        self._scale = (parts[0], parts[1])
        whole = cell.logit_sd / self._logits(0)[first].std()
        self._scale = (parts[0] * whole, parts[1] * whole)
        logits = self._logits(0)[first]
        self._intercept = math.log(cell.rate / (1 - cell.rate))
        for _ in range(100):  # a fixed point: the mean rate becomes the cell's
            self._intercept += math.log(cell.rate / float(np.mean(1 / (1 + np.exp(-self._intercept - logits)))))

    def _hint(self, rng: np.random.Generator) -> Array | None:
        if self.cell.hint == "none":
            return None
        logits, noise = self._logits(0), rng.standard_normal(len(self._points))
        correlation = {"right": 0.7, "random": 0.0, "reversed": -0.7}[self.cell.hint]
        found: Array = correlation * (logits - logits.mean()) / logits.std() + math.sqrt(1 - correlation**2) * noise
        return found


def _mixtures(count: int, d: int, rng: np.random.Generator) -> Array:
    """Return normalised mixtures of random directions, of length sqrt(d): (count, d)."""
    pool = rng.standard_normal((_POOL, d))
    pool /= np.linalg.norm(pool, axis=1, keepdims=True)
    rows = [rng.dirichlet(np.ones(_PARENTS)) @ pool[rng.choice(_POOL, _PARENTS, replace=False)] for _ in range(count)]
    points = np.stack(rows)
    found: Array = points / np.linalg.norm(points, axis=1, keepdims=True) * math.sqrt(d)
    return found
