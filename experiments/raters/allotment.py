"""Who judges what: each source as often on each sheet, each unit by as many raters, no item twice on a sheet."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from experiments.raters.units import Sources, Unit

Label = Sources
_NEVER, _FULLER, _TRIES = 1e9, 1e3, 20


class _Placed(NamedTuple):
    """A unit as it is placed: its item, what one has seen who has judged it, its labels, and one of them by lot."""

    item: str
    seen: frozenset[str]
    labels: Sequence[Label]
    label: Label


def allot(units: Sequence[Unit], raters: int, many: int, overlap: int, rng: random.Random) -> list[list[int]]:
    """Return the numbers of the units that each rater judges.

    As many units as `raters` with `many` each can judge, each by `overlap` of them. Of an item as many units are taken
    as raters allow who see an item once at most: with twice the overlap two sources of each item, and so on. Where all
    sources wrote for all items, the counts of sources on a sheet differ by one at most; by two where the units cannot
    be shared out evenly among sources.

    Parameters
    ----------
    units : sequence of Unit
        All texts, or all pairs.
    raters, many, overlap : int
    rng : random.Random
    """
    placed = [_Placed(unit.item, unit.seen, unit.labels, rng.choice(unit.labels)) for unit in units]
    chosen = _choose(placed, raters * many // overlap, raters // overlap, rng)
    best: tuple[int, int, list[list[int]]] | None = None
    for _ in range(_TRIES):
        sheets, missed = _assign(placed, chosen, raters, many, overlap, rng)
        _even_out(placed, sheets)
        uneven = sum(_unevenness(placed, sheet) for sheet in sheets)
        if best is None or (missed, uneven) < best[:2]:
            best = missed, uneven, sheets
        if not missed and not uneven:
            break
    return best[2] if best else []


def _choose(units: Sequence[_Placed], many: int, each: int, rng: random.Random) -> list[list[int]]:
    """Return units by item, `many` of them and up to `each` of an item, labels as even as can be."""
    items = defaultdict(list)
    for number, unit in enumerate(units):
        items[unit.item].append(number)
    alike: dict[tuple[Label, ...], list[str]] = defaultdict(list)
    for item in rng.sample(sorted(items), len(items)):
        alike[tuple(sorted({label for number in items[item] for label in units[number].labels}))].append(item)
    taken = Counter[Label]()
    chosen: list[list[int]] = []
    left = many
    while left > 0 and any(alike.values()):
        labels = _least(alike, taken, each, rng)
        own = items[alike[labels].pop()]
        rng.shuffle(own)
        picked: list[int] = []
        while len(picked) < min(each, len(own), left):
            picked.append(min((number for number in own if number not in picked),
                              key=lambda number: min(taken[label] for label in units[number].labels)))  # fmt: skip
            taken.update(units[picked[-1]].labels)
        left -= len(picked)
        chosen.append(picked)
    return chosen


def _least(
    alike: Mapping[tuple[Label, ...], Sequence[str]], taken: Counter[Label], each: int, rng: random.Random
) -> tuple[Label, ...]:
    """Return the labels of an item whose labels were taken least so far; of equals, by lot over items."""

    def level(labels: tuple[Label, ...]) -> tuple[float, float]:
        some = sorted(taken[label] for label in labels)[:each]
        return sum(some) / len(some), -(rng.random() ** (1 / len(alike[labels])))

    return min((labels for labels, items in alike.items() if items), key=level)


def _assign(
    units: Sequence[_Placed], chosen: Sequence[Sequence[int]], raters: int, many: int, overlap: int, rng: random.Random
) -> tuple[list[list[int]], int]:
    """Return what each rater judges, item by item, and how many judgements found no rater."""
    sheets: list[list[int]] = [[] for _ in range(raters)]
    seen: list[set[str]] = [set() for _ in range(raters)]
    counts = [Counter[Label]() for _ in range(raters)]
    missed = 0
    for numbers in rng.sample(list(chosen), len(chosen)):
        slots = [number for number in numbers for _ in range(overlap)]
        cost = np.array([[
            _NEVER if len(sheets[rater]) >= many or units[number].seen & seen[rater]
            else _FULLER * len(sheets[rater]) + counts[rater][units[number].label] + rng.random() / 2
            for number in slots] for rater in range(raters)])  # fmt: skip
        for rater, slot in zip(*linear_sum_assignment(cost), strict=True):
            if cost[rater, slot] >= _NEVER:
                missed += 1
                continue
            unit = units[slots[slot]]
            sheets[rater].append(slots[slot])
            seen[rater] |= unit.seen
            counts[rater][unit.label] += 1
    return sheets, missed


def _even_out(units: Sequence[_Placed], sheets: list[list[int]]) -> None:
    """Let raters exchange units as long as the labels on their sheets become more even."""
    changed = True
    while changed:
        changed = any(_exchange(units, ours, theirs) for ours in sheets for theirs in sheets if ours is not theirs)


def _exchange(units: Sequence[_Placed], ours: list[int], theirs: list[int]) -> bool:
    """Exchange a unit of a label that is too often on one sheet for one of another label; False if none helps."""
    here, there = _labels(units, ours), _labels(units, theirs)
    for give, take in ((give, take) for give in here for take in there if give != take):
        if here[give] - here[take] + there[take] - there[give] <= 2:
            continue
        for place, ours_given in enumerate(ours):
            if units[ours_given].label != give:
                continue
            for other, theirs_given in enumerate(theirs):
                if units[theirs_given].label == take and not (
                    _seen(units, ours, place) & units[theirs_given].seen
                    or _seen(units, theirs, other) & units[ours_given].seen
                ):
                    ours[place], theirs[other] = theirs_given, ours_given
                    return True
    return False


def _labels(units: Sequence[_Placed], sheet: Iterable[int]) -> Counter[Label]:
    return Counter(units[number].label for number in sheet)


def _seen(units: Sequence[_Placed], sheet: Sequence[int], without: int) -> frozenset[str]:
    """Return what is seen on a sheet without the unit at one place."""
    return frozenset().union(*(units[number].seen for place, number in enumerate(sheet) if place != without))


def _unevenness(units: Sequence[_Placed], sheet: Sequence[int]) -> int:
    """Return by how much more than one the counts of labels on a sheet differ."""
    counts = _labels(units, sheet).values()
    return max(0, max(counts, default=0) - min(counts, default=0) - 1)
