"""Replays tests of headlines: a shopper clicks with the headline's rate, whichever rule chose it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from experiments.studies.headlines.rules import RULES, Array, Known, Told
from experiments.studies.headlines.settings import CEILING, ORACLE

_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Group:
    """R tests of K headlines each.

    Parameters
    ----------
    places : array of shape (R,)
        Of the tests in the archive.
    rates : array of shape (S, R, K)
        What the headlines' rates are taken to be, for each of S seeds.
    known : Known
        For R tests.
    """

    places: NDArray[np.int64]
    rates: Array
    known: Known


@dataclass(frozen=True, eq=False)
class Replayed:
    """What an entrant earned in R tests with one number of impressions, over S seeds.

    Parameters
    ----------
    clicks : array of shape (S, R)
        Expected a headline and period: the mean rate of what was shown, times K. Luck with the last clicks is not in
        it.
    kept : array of shape (S, R)
        The rate of the headline that is kept at the end.
    found : array of shape (S, R)
        Whether that is the best one.
    """

    clicks: Array
    kept: Array
    found: NDArray[np.bool_]


def replay(tests: Group, entrant: str, tau: int, seeds: NDArray[np.int64]) -> Replayed:
    """Return what an entrant earns with `tau` impressions a headline.

    Every entrant meets the same shoppers: whether an impression is clicked depends on the seed, the test, the number
    of the impression and the rate of what is shown. Headlines come in an order of the seed's.

    Parameters
    ----------
    tests : Group
    entrant : str
        One of `RULES`, `CEILING` or `ORACLE`.
    tau : int
    seeds : array of shape (S,)
    """
    count, (rows, arms) = len(seeds), tests.known.factors.shape
    order = np.concatenate([_stream(seed, "order", arms).permuted(np.tile(np.arange(arms), (rows, 1)), axis=1)
                            for seed in seeds])  # fmt: skip
    rates = np.take_along_axis(tests.rates.reshape(-1, arms), order, axis=1)
    factors = np.take_along_axis(np.tile(tests.known.factors, (count, 1)), order, axis=1)
    known = Known(factors, tests.known.worded, tests.known.unworded, tests.known.rate, tests.known.beta)
    horizon, every = tau * arms, np.arange(len(rates))
    earned = np.zeros(len(rates))
    streams = [_stream(seed, entrant, arms) for seed in seeds]
    dice = _dice(seeds, rows, arms, horizon, entrant == CEILING)
    if entrant == ORACLE:
        chosen = rates.argmax(1)
        earned, kept = horizon * rates[every, chosen], rates[every, chosen]
    elif entrant == CEILING:
        told = Told(known, horizon, streams)
        for done, thrown in enumerate(dice):
            earned += rates[every, told.choose(done)]
            told.learn_all(thrown < rates)
        kept = rates[every, told.best()]
    else:
        rule = RULES[entrant](known, horizon, streams)
        for done, thrown in enumerate(dice):
            chosen = rule.choose(done)
            own = rates[every, chosen]
            earned += own
            rule.learn(chosen, thrown < own)
        kept = rates[every, rule.best()]
    shape = (count, rows)
    return Replayed((earned / tau).reshape(shape), kept.reshape(shape), (kept >= rates.max(1)).reshape(shape))


def _dice(seeds: NDArray[np.int64], rows: int, arms: int, horizon: int, every_arm: bool) -> Iterator[Array]:
    """Yield uniform numbers for each impression: (S * R,), or (S * R, K) for those who are told of every headline."""
    streams = [_stream(int(seed), "every shopper" if every_arm else "shoppers", arms) for seed in seeds]
    shape = (rows, arms) if every_arm else (rows,)
    for first in range(0, horizon, _BLOCK):
        steps = min(_BLOCK, horizon - first)
        block = np.concatenate([stream.random((_BLOCK, *shape))[:steps] for stream in streams], axis=1)
        yield from block


def _stream(seed: int, purpose: str, arms: int) -> np.random.Generator:
    """Return the random stream of a seed for one purpose, among tests with that many headlines."""
    return np.random.default_rng([int(seed), arms, int.from_bytes(sha256(purpose.encode()).digest()[:4])])
