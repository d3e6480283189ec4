"""Side effects at equal effect: read off dose-response curves where each first reaches the effect asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.bootstrap import Resampled, bounds

Array = NDArray[np.float64]
EFFECT, READ, COST = "achieved", "read", "cost"
MEASURES = (READ, EFFECT, "along", "cosine", "product", "true", "excess", "unchanged", "finished", COST)
_LITTLE = 1e-6


@dataclass(frozen=True, eq=False)
class Curve:
    """What a method does to N texts at each of its strengths, the first of which is 0.

    Parameters
    ----------
    strengths : array of shape (S,)
    values : dict of str to array of shape (S, N)
        By measure.
    """

    strengths: Array
    values: Mapping[str, Array]

    def at(self, target: float, measures: Sequence[str] = MEASURES) -> tuple[dict[str, float], bool]:
        """Return the means and the strength where the effect is first `target`, and whether it ever is."""
        means = {name: self.values[name].mean(1)[:, None] for name in (EFFECT, *measures)}
        found, reached = at_effect(self.strengths, means, target)
        return {name: float(value[0]) for name, value in found.items()}, bool(reached[0])

    def resampled(self, target: float, samples: Resampled) -> tuple[dict[str, Array], NDArray[np.bool_]]:
        """Return the same in each bootstrap sample, (R,), and in which of them the effect is reached."""
        means = {name: np.array([samples.means(row) for row in self.values[name]]) for name in MEASURES}
        return at_effect(self.strengths, means, target)


def at_effect(
    strengths: Array, means: Mapping[str, Array], target: float
) -> tuple[dict[str, Array], NDArray[np.bool_]]:
    """Return each measure (R,) where the effect first reaches a target, between strengths by straight lines.

    Parameters
    ----------
    strengths : array of shape (S,)
        Rising.
    means : dict of str to array of shape (S, R)
        One of them is the effect, `EFFECT`.
    target : float

    Returns
    -------
    dict of str to array of shape (R,)
        The measures and ``strength``. Where the target is never reached, at the strength above 0 with the largest
        effect, or, of equal ones, with the most texts that are read so.
    array of shape (R,)
        bool; whether it is reached.

    Examples
    --------
    >>> strengths = np.array([0.0, 1.0, 2.0])
    >>> means = {EFFECT: np.array([[0.0], [0.4], [0.8]]), "cosine": np.array([[1.0], [0.8], [0.4]])}
    >>> found, reached = at_effect(strengths, means, 0.6)
    >>> [round(float(found[name][0]), 6) for name in ("strength", "cosine")], bool(reached[0])
    ([1.5, 0.6], True)
    """
    effect = means[EFFECT]
    beyond = effect >= target
    reached = np.asarray(beyond.any(0))
    most = 1 + (effect + _LITTLE * means.get(READ, effect))[1:].argmax(0)
    above = np.where(reached, beyond.argmax(0), most)
    below = np.where(reached, np.maximum(above - 1, 0), above)
    columns = np.arange(effect.shape[1])
    low, high = effect[below, columns], effect[above, columns]
    rise = np.where(high > low, high - low, 1.0)
    share = np.where(reached & (above > 0), np.clip((target - low) / rise, 0.0, 1.0), 1.0)
    every = {"strength": np.repeat(strengths[:, None], effect.shape[1], 1), **means}
    found = {name: rows[below, columns] + share * (rows[above, columns] - rows[below, columns])
             for name, rows in every.items()}  # fmt: skip
    return found, reached


def cost_of(cosine: Array, true: Array, excess: Array) -> Array:
    """Return what a text lost, from 0 to 1: the mean of 1 - cosine, 1 - true and excess nats, cut to between 0 and 1.

    It weighs meaning, facts and fluency alike, so that settings can be ordered; a table shows each by itself.
    """
    cost: Array = (np.clip(1 - cosine, 0, 1) + (1 - true) + np.clip(excess, 0, 1)) / 3
    return cost


def compared(curve: Curve, ours: Curve, target: float, groups: NDArray[np.int64]) -> dict[str, object]:
    """Return each measure at equal effect with its interval, and how much a method's cost is above ours.

    Intervals are over texts, whose outcomes for several wishes are drawn together, and 95 % for one comparison. A
    sample in which the effect is not reached counts with what is reached at most.

    Parameters
    ----------
    curve, ours : Curve
    target : float
    groups : array of shape (N,)
        The text of each outcome.
    """
    samples = Resampled(groups)
    (point, reached), (ours_point, ours_reached) = curve.at(target), ours.at(target)
    drawn, often = curve.resampled(target, samples)
    ours_drawn, _ = ours.resampled(target, samples)
    row: dict[str, object] = {"reached": reached, "reached_share": float(often.mean()), "strength": point["strength"]}
    for name in MEASURES:
        row[name], row[f"{name}_interval"] = point[name], bounds(drawn[name])
    both = reached and ours_reached
    row["cost_above_ours"] = point[COST] - ours_point[COST] if both else None
    row["cost_above_ours_interval"] = bounds(drawn[COST] - ours_drawn[COST]) if both else None
    return row
