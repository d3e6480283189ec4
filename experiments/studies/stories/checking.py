"""Whether the comparison can be believed: people's own headlines take the part of the written ones.

Nothing is told of their clicks, they are judged as written headlines are, and then their clicks are looked at. How
often they are clicked more than the best of the others is believed to be, and by how much, is foretold and counted; the
chance in their own counts is part of what is foretold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from experiments.bootstrap import Resampled
from experiments.studies.headlines.words import Array
from experiments.studies.stories.comparing import gain_of, mean_of
from experiments.studies.stories.scoring import Scored
from experiments.studies.stories.settings import LEAST

EACH, FAR, PICKED = "each in turn", "of these, those that lie far", "best by words of half"
BINS = 5
"""Parts of equal size in which what is foretold stands beside what came."""


@dataclass(frozen=True, eq=False)
class StandIns:
    """Headlines that stand in for written ones, Q of them, each before others of its test whose clicks are told.

    Parameters
    ----------
    headlines : array of shape (Q,)
        Places in the archive.
    foretold, came : arrays of shape (Q,)
        How likely its clicks an impression are above the rate that the best of the others is believed to have, and
        whether they are.
    best, expected, rates : arrays of shape (Q,)
        That rate, the one that was foretold, and clicks an impression.
    """

    headlines: NDArray[np.int64]
    foretold: Array
    came: Array
    best: Array
    expected: Array
    rates: Array


def check(scored: Scored, draws: int, seed: int, near: float | None = None) -> dict[str, Any]:
    """Return what was foretold of people's headlines of tests with `LEAST` or more, and what came.

    Parameters
    ----------
    scored : Scored
    draws, seed : int
    near : float, optional
        Those that lie no nearer than so to what was learned from are also looked at alone.

    Returns
    -------
    dict
        ``rows`` (each headline in turn; the same, of those that lie far; the one of half of a test's headlines of which
        words promise most, before the other half), each with what was foretold and what came, and ``bins`` of the
        first.
    """
    each = stand_ins(scored, *_each_in_turn(scored), draws, seed)
    picked = stand_ins(scored, *_best_of_half(scored, seed), draws, seed)
    far = scored.near[each.headlines] <= (-np.inf if near is None else near)
    parts = {EACH: (each, far | True), FAR: (each, far), PICKED: (picked, np.ones(len(picked.came), dtype=bool))}
    rows = [_row(name, scored, found, chosen) for name, (found, chosen) in parts.items() if chosen.any()]
    return {"rows": rows, "bins": _bins(each)}


def stand_ins(
    scored: Scored, headlines: NDArray[np.int64], places: NDArray[np.int64], told: NDArray[np.bool_], draws: int,
    seed: int,
) -> StandIns:  # fmt: skip
    """Return what is foretold of stand-ins, and what came.

    Parameters
    ----------
    scored : Scored
    headlines, places : arrays of shape (L,)
        Headlines of the archive, and the number of the stand-in that they are held beside: itself among them.
    told : array of shape (L,)
        Whether a headline's clicks are told; those of the stand-in are not.
    draws, seed : int
    """
    shown, clicked = scored.archive.impressions[headlines], scored.archive.clicks[headlines]
    count = int(places.max()) + 1
    best, own, foretold, expected = np.zeros(count), np.zeros(count, dtype=np.int64), np.zeros(count), np.zeros(count)
    folds = scored.folds[scored.archive.tests[headlines]]
    for number, prior in enumerate(scored.priors):
        mine = np.flatnonzero(folds == number)
        rng = np.random.default_rng([seed, number, 1])
        local = np.unique(places[mine], return_inverse=True)[1]
        rates = prior.draw(local, (shown * told)[mine], (clicked * told)[mine], rng, scored.factors[headlines[mine]],
                           draws)  # fmt: skip
        np.maximum.at(best, places[mine[told[mine]]], rates.mean(0)[told[mine]])
        alone = ~told[mine]
        asked = mine[alone]
        own[places[asked]] = headlines[asked]
        expected[places[asked]] = rates[:, alone].mean(0)
        seen = rng.poisson(rates[:, alone] * shown[asked]) / shown[asked]
        foretold[places[asked]] = (seen > best[places[asked]]).mean(0)
    rates = scored.archive.rates[own]
    return StandIns(own, foretold, (rates > best).astype(float), best, expected, rates)


def _each_in_turn(scored: Scored) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return each headline before all others of its test."""
    headlines, places, told = [], [], []
    for rows in _tests(scored):
        size = len(rows)
        headlines.append(np.tile(rows, size))
        places.append(np.repeat(rows, size))
        told.append(~np.eye(size, dtype=bool).ravel())
    return _joined(headlines, places, told)


def _best_of_half(scored: Scored, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return, of a random half of each test, the headline of which words promise most, before the other half."""
    rng, headlines, places, told = np.random.default_rng([seed, 2]), [], [], []
    for number, rows in enumerate(_tests(scored)):
        first, others = np.split(rng.permutation(rows), [len(rows) // 2])
        headlines.append(np.append(others, first[scored.factors[first].argmax()]))
        places.append(np.full(len(others) + 1, number))
        told.append(np.arange(len(others) + 1) < len(others))
    return _joined(headlines, places, told)


def _tests(scored: Scored) -> list[NDArray[np.int64]]:
    """Return the places of the headlines of each test that has enough of them."""
    ends = np.cumsum(scored.archive.arms)
    return [np.arange(end - arms, end) for end, arms in zip(ends, scored.archive.arms, strict=True) if arms >= LEAST]


def _joined(
    headlines: list[NDArray[np.int64]], places: list[NDArray[np.int64]], told: list[NDArray[np.bool_]]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return the parts as one, stand-ins numbered from 0."""
    numbers = np.unique(np.concatenate(places), return_inverse=True)[1]
    return np.concatenate(headlines), numbers, np.concatenate(told)


def _row(name: str, scored: Scored, found: StandIns, chosen: NDArray[np.bool_]) -> dict[str, Any]:
    """Return means over tests, each weighing alike, of what was foretold and what came; with differences."""
    tests, places = np.unique(scored.archive.tests[found.headlines[chosen]], return_inverse=True)
    groups = Resampled(scored.archive.groups[tests])

    def by_test(values: Array) -> Array:
        return np.bincount(places, values[chosen]) / np.bincount(places)

    came, foretold, best, expected, rates = map(by_test, (found.came, found.foretold, found.best, found.expected,
                                                          found.rates))  # fmt: skip
    return {"stand_ins": name, "tests": len(tests), "headlines": int(chosen.sum()),
            **mean_of("foretold", foretold, groups), **mean_of("came", came, groups),
            **mean_of("came_more", came - foretold, groups), **gain_of("gain_foretold", expected, best, groups),
            **gain_of("gain", rates, best, groups),
            **gain_of("gained_more", best + rates - expected, best, groups)}  # fmt: skip


def _bins(found: StandIns) -> list[dict[str, Any]]:
    """Return parts of stand-ins, from those that were least likely to be better on."""
    rows = []
    for part in np.array_split(found.foretold.argsort(kind="stable"), BINS):
        if part.size:
            share = binomtest(int(found.came[part].sum()), len(part)).proportion_ci(method="wilson")
            rows.append({"headlines": len(part), "foretold": float(found.foretold[part].mean()),
                         "came": float(found.came[part].mean()), "came_interval": [share.low, share.high],
                         "gain_foretold": float(found.expected[part].sum() / found.best[part].sum() - 1),
                         "gain": float(found.rates[part].sum() / found.best[part].sum() - 1)})  # fmt: skip
    return rows
