"""Which text of a pair stands first: each source as often as the other, on each sheet and over raters."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence


def sides(seen: Sequence[tuple[int, Hashable, int]], rng: random.Random) -> list[bool]:
    """Return whether the two texts of a pair change places, for each time that a rater sees a pair.

    Those that do and those that do not differ by one at most on each sheet among pairs of the same two sources, over
    the raters of each pair, and, for each two sources, over all sheets. Judgements are put in twos, once by sheet and
    once by pair; the two of one pairing are told apart, which alternates along paths and circles of even length.

    Parameters
    ----------
    seen : sequence of (rater, sources, unit)
    rng : random.Random

    Examples
    --------
    >>> seen = [(rater, "two sources", unit) for rater in range(3) for unit in range(4)]
    >>> turned = sides(seen, random.Random(0))
    >>> [sum(turned[4 * rater : 4 * rater + 4]) for rater in range(3)]
    [2, 2, 2]
    """
    order = rng.sample(range(len(seen)), len(seen))
    by_sheet, left = _in_twos(order, lambda place: seen[place][:2])
    by_sheet |= _in_twos(left, lambda place: seen[place][1])[0]
    by_pair, _ = _in_twos(order, lambda place: seen[place][2])
    turned: dict[int, bool] = {}
    for start in order:
        if start in turned:
            continue
        first = rng.random() < 0.5
        for partners in ((by_sheet, by_pair), (by_pair, by_sheet)):
            place, now, step = start, first, 0
            while place not in turned or place == start:
                turned[place] = now
                following = partners[step % 2].get(place)
                if following is None or following == start:
                    break
                place, now, step = following, not now, step + 1
    return [turned[place] for place in range(len(seen))]


def _in_twos(places: Sequence[int], key: Callable[[int], Hashable]) -> tuple[dict[int, int], list[int]]:
    """Return partners of one key, and those that are left over."""
    waiting: dict[Hashable, int] = {}
    partners: dict[int, int] = {}
    for place in places:
        kind = key(place)
        if kind in waiting:
            other = waiting.pop(kind)
            partners |= {place: other, other: place}
        else:
            waiting[kind] = place
    return partners, list(waiting.values())
