"""Whole counts and the probabilities behind them, checked at the door: what guarantees about counts are stated for."""

from typing import Any

import numpy as np

from bandits.inputs import Array, finite_tensor
from bandits.numbers import ROUNDING
from copyloom import InputError

MOST = 1e13
"""The largest count: likelihoods of larger ones differ by less than float64 resolves."""


def whole_counts(name: str, values: Any) -> Array:
    """Counts as a float64 array.

    Raises
    ------
    InputError
        If a value is not a whole number of at least 0, or so large that float64 cannot tell intervals any more.
    """
    counts: Array = finite_tensor(name, values).cpu().numpy()
    bad = (counts < 0) | (counts > MOST) | (counts != np.floor(counts))
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InputError(
            f"{name} {where} is {counts[where]:g}; pass whole counts of at least 0 and at most {MOST:g} (guarantees do "
            "not hold for discounted ones)"
        )
    return counts


def clicks_on_impressions(clicks: Any, impressions: Any) -> tuple[Array, Array]:
    """Clicks and impressions, broadcast against each other.

    Raises
    ------
    InputError
        If they are no whole counts, do not broadcast, or there are more clicks than impressions.
    """
    clicks, impressions = whole_counts("clicks", clicks), whole_counts("impressions", impressions)
    try:
        clicks, impressions = np.broadcast_arrays(clicks, impressions)
    except ValueError as error:
        raise InputError(
            f"clicks have shape {clicks.shape} but impressions {impressions.shape}; pass shapes that broadcast"
        ) from error
    bad = clicks > impressions
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InputError(
            f"{where}: {clicks[where]:g} clicks on {impressions[where]:g} impressions; pass at most as many"
        )
    return clicks, impressions


def snapshot_probabilities(probabilities: Any, shape: tuple[int, ...]) -> Array:
    """Probabilities with which snapshots show their texts, of the given shape (..., T, N).

    Raises
    ------
    InputError
        If the shape is another, a value is negative or not finite, or a snapshot's sum to more than 1.
    """
    values: Array = finite_tensor("probabilities", probabilities).cpu().numpy()
    if values.shape != shape:
        raise InputError(f"probabilities have shape {values.shape}; pass one for each count, {shape}")
    if (values < 0).any() or (values.sum(-1) > 1 + ROUNDING).any():
        raise InputError("probabilities are negative or sum to more than 1; pass those of one snapshot in each row")
    return values
