"""How much a text is worth trying while there is time left to use what is learned: the finite-horizon Gittins index.

.. [Lattimore2016] T. Lattimore. Regret analysis of the finite-horizon Gittins index strategy for multi-armed bandits.
   COLT 2016.
.. [ChernoffPetkau1986] H. Chernoff, A. J. Petkau. Numerical solutions for Bayes sequential decision problems. SIAM
   Journal on Scientific and Statistical Computing 7(1), 1986.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from bandits.inputs import Array

_LEAST, _MOST, _STEPS = 1e-3, 1e4, 600
_WIDTH, _POINTS, _NODES = 9.0, 1801, 21
_OVERSHOOT = 0.5826
"""By how many standard deviations of a step a walk oversteps a boundary that it may stop at [ChernoffPetkau1986]_."""


def horizon_index(mean: Any, variance: Any, noise: Any, left: Any) -> Array:
    """Return the index of each text: show the one whose index is highest.

    A text's index is the certain reward an impression against which it is just worth trying, with the right to stop
    at any time before the end. With a Gaussian belief it is the mean plus a number of standard deviations that
    depends only on how many impressions are left beside how many the belief is worth (noise / variance): the free
    boundary of the one-armed problem for Brownian motion [Lattimore2016]_, found by backward induction. Following the
    index is optimal for one unknown text beside a known one, and nearly so for more of them.

    Parameters
    ----------
    mean, variance : array
        Of the belief about each text's rate.
    noise : array
        Variance of one reward.
    left : array
        Impressions that are left; with none the index is the mean.

    Examples
    --------
    >>> horizon_index([0.02, 0.02], [1e-5, 1e-6], 0.02, 10_000).round(4).tolist()
    [0.0233, 0.0204]
    >>> horizon_index(0.02, 1e-5, 0.02, 0).round(4).tolist()
    0.02
    """
    mean, variance = np.asarray(mean, dtype=np.float64), np.asarray(variance, dtype=np.float64)
    logs, deviations = _boundary()
    ratio = np.maximum(np.asarray(left) * variance / noise, _LEAST / 10)
    found: Array = mean + np.sqrt(variance) * np.interp(np.log(ratio), logs, deviations)
    return found


@cache
def _boundary() -> tuple[Array, Array]:
    """Return log ratios of impressions left to impressions known, and the standard deviations that the index adds.

    The sum of both is 1, so that at ratio r the belief is worth 1 / (1 + r), and its mean moves from one ratio to the
    next by a Gaussian step whose variance is their difference.
    """
    ratios = np.geomspace(_LEAST, _MOST, _STEPS)
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()
    places = np.linspace(-_WIDTH, _WIDTH, _POINTS)  # the mean less the certain reward, in standard deviations
    value = np.maximum(places, 0) * np.sqrt(1 + ratios[0]) * ratios[0] / (1 + ratios[0])
    deviations = np.zeros(_STEPS)
    for step in range(1, _STEPS):
        ratio, later = ratios[step], ratios[step - 1]
        lead = places * np.sqrt(1 + ratio)
        reached = (lead[:, None] + np.sqrt(ratio - later) * nodes) / np.sqrt(1 + later)
        far = np.where(reached > _WIDTH, reached * np.sqrt(1 + later) * later / (1 + later), 0.0)
        after = np.where(np.abs(reached) > _WIDTH, far, np.interp(reached, places, value))
        trying = lead * (1 / (1 + later) - 1 / (1 + ratio)) + after @ weights
        first = int(np.argmax(trying > 0))
        gap = trying[first] - trying[first - 1]
        crossing = places[first] - (places[first] - places[first - 1]) * trying[first] / gap
        deviations[step] = _OVERSHOOT * np.sqrt((ratio - later) / (1 + ratio)) - crossing
        value = np.maximum(trying, 0)
    return np.log(np.append(_LEAST / 10, ratios)), np.append(0.0, deviations)
