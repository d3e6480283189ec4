"""Tastes along a campaign: where they drift, they keep base rate and spread over the reference texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from simulator.config import ShopperConfig

Array = NDArray[np.float64]
DrawTastes = Callable[[np.random.Generator, int, int], tuple[Array, Array]]
"""From random numbers, F and G to what all shoppers like (F,) and what each segment likes besides (G, F)."""


def gaussian_tastes(rng: np.random.Generator, features: int, segments: int) -> tuple[Array, Array]:
    """Return tastes that are independent for each feature."""
    return rng.normal(size=(features,)), rng.normal(size=(segments, features))


def scaled_tastes(config: ShopperConfig, values: Array, common: Array, own: Array) -> tuple[Array, Array]:
    """Return tastes (G, F) and intercepts (G,) with the base rate and the spread asked for.

    Parameters
    ----------
    config : ShopperConfig
    values : array of shape (R, F)
        Features of the reference texts.
    common : array of shape (F,)
    own : array of shape (G, F)
    """
    shares = segment_shares(config)
    spread = config.logit_sd * config.segment_spread
    tastes = _scaled(values, common, config.logit_sd) + np.stack([_scaled(values, each, spread) for each in own])
    logits = values @ tastes.T
    low, high = -30.0, 30.0
    for _ in range(80):  # bisection: the mean CTR grows with the intercept
        middle = (low + high) / 2
        mean = float((expit(middle + logits) @ shares).mean())
        low, high = (middle, high) if mean < config.base_rate else (low, middle)
    return tastes, np.full(len(shares), low)


def segment_shares(config: ShopperConfig) -> Array:
    """Return the share of impressions of each segment, (G,), which sum to 1."""
    return np.array(config.segment_shares) / sum(config.segment_shares)


def _scaled(values: Array, taste: Array, spread: float) -> Array:
    """Return `taste` scaled so that ``values @ taste`` has standard deviation `spread`."""
    logits = values @ taste
    deviation = float(logits.std())
    varies = deviation > 1e-12 * max(float(np.abs(logits).max()), 1e-300)
    return taste * (spread / deviation if varies else 0.0)


@dataclass(eq=False)
class TastePath:
    """Tastes that drift from snapshot to snapshot.

    Before they are scaled, tastes follow a stationary autoregression of first order: their correlation with what they
    were t snapshots ago is 2 ** (-t / half_life). Each snapshot draws from a stream of its own.

    Parameters
    ----------
    config : ShopperConfig
        With a drift.
    values : array of shape (R, F)
        Features of the reference texts.
    first : pair of arrays of shapes (F,) and (G, F)
        Tastes of snapshot 0, before they are scaled.
    draw : callable
        See `DrawTastes`.
    seed : int
    """

    config: ShopperConfig
    values: Array
    first: tuple[Array, Array]
    draw: DrawTastes
    seed: int
    _raw: list[tuple[Array, Array]] = field(default_factory=list)
    _known: dict[int, tuple[Array, Array]] = field(default_factory=dict)

    def at(self, snapshot: int) -> tuple[Array, Array]:
        """Return tastes (G, F) and intercepts (G,) of a snapshot."""
        if snapshot not in self._known:
            self._known[snapshot] = scaled_tastes(self.config, self.values, *self.raw(snapshot))
        return self._known[snapshot]

    def raw(self, snapshot: int) -> tuple[Array, Array]:
        """Return the tastes of a snapshot before they are scaled, (F,) and (G, F)."""
        drift = self.config.drift
        self._raw = self._raw or [self.first]
        while len(self._raw) <= snapshot:
            number, (common, own) = len(self._raw), self._raw[-1]
            changed = drift is not None and number in drift.changes
            half_life = drift.half_life if drift is not None else None
            kept = 0.0 if changed else 1.0 if half_life is None else 2 ** (-1 / half_life)
            fresh = self.draw(np.random.default_rng([self.seed, number]), len(common), len(own))
            new = (1 - kept**2) ** 0.5
            self._raw.append((kept * common + new * fresh[0], kept * own + new * fresh[1]))
        return self._raw[snapshot]
