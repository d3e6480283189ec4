"""How far a point can be moved before it says something else, and what it says then.

The *radius* along a direction is the least distance at which another text is decoded, found by trying growing
distances and halving between the last that kept the text and the first that did not. Distances are shares of the
point's own length. Nothing is decoded for it: a text is kept while each of its tokens leads its rivals, which one pass
of the model says of all of them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, median

import torch
from scipy.stats import binom
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import Report
from embeddings.space import Space
from experiments.explorer.point import Point
from experiments.explorer.reading import logits_of, read

DIRECTIONS = 32
_GROWTH = tuple(0.02 * 2**step for step in range(10))
_HALVINGS = 5
_TOGETHER = 32
_RARE = 1 / 30_000
BEYOND = 1.15
"""How far beyond the radius it is asked what is said there."""


@dataclass(frozen=True)
class Change:
    """A text that is decoded beyond the radius.

    Parameters
    ----------
    text : str
    directions : int
        Along how many it comes.
    cosine : float
        Of its sentence vector to that of the text that was left.
    """

    text: str
    directions: int
    cosine: float


@dataclass(frozen=True)
class Ring:
    """What is decoded at one distance.

    Parameters
    ----------
    distance : float
        As a share of the point's length.
    kept : float
        Share of directions along which the text is the same.
    cosine : float
        Mean cosine of what is decoded to the text at the centre.
    """

    distance: float
    kept: float
    cosine: float


@dataclass(frozen=True)
class Basin:
    """How far a point says the same, along random directions.

    Parameters
    ----------
    radius : float
        Up to here a random direction changes the text in fewer than one case of 30,000, if the logarithms of radii are
        normal; never more than the least that was found. As a share of the point's length.
    middle : float
        The median over directions.
    interval : (float, float)
        95 % interval of the median, from order statistics.
    radii : tuple of float
        By direction; infinite where no distance up to ten lengths changes the text.
    rings : tuple of Ring
    changes : tuple of Change
        The commonest first.
    """

    radius: float
    middle: float
    interval: tuple[float, float]
    radii: tuple[float, ...]
    rings: tuple[Ring, ...]
    changes: tuple[Change, ...]


def directions_from(point: Point, count: int, seed: int) -> Tensor:
    """Return random directions (N, P, D), each of length 1, as likely everywhere."""
    noise = torch.randn(count, *point.vectors.shape, generator=torch.Generator().manual_seed(seed))
    return normalize(noise.flatten(1), dim=1).view_as(noise)


def basin_of(
    space: Space, point: Point, ids: Sequence[int], report: Report, directions: int = DIRECTIONS, seed: int = 0
) -> Basin:
    """Return how far a point says the same.

    Parameters
    ----------
    space : Space
    point : Point
    ids : sequence of int
        The tokens that are decoded there, end-of-text included.
    report : callable
        Hears of progress.
    directions : int
        Random ones that are tried.
    seed : int
        Of them.
    """
    ways = directions_from(point, directions, seed) * point.length
    radii = radii_along(space, point, ways, ids, report)
    ordered, middle = sorted(radii), median(radii)
    low, high = (int(binom.ppf(share, directions, 0.5)) for share in (0.025, 0.975))
    interval = ordered[max(low - 1, 0)], ordered[min(high, directions - 1)]
    rings, changes = _around(space, point, ways, radii, middle, report)
    return Basin(_least(radii), middle, interval, tuple(radii), rings, changes)


def radii_along(
    space: Space, point: Point, ways: Tensor, ids: Sequence[int], report: Report = lambda *_: None
) -> list[float]:
    """Return the radius along each of some directions (N, P, D), in units of their length."""
    low, high = torch.zeros(len(ways)), torch.full((len(ways),), math.inf)
    for number, distance in enumerate(_GROWTH):
        report("growing", number, len(_GROWTH) + _HALVINGS)
        left = torch.nonzero(high.isinf())[:, 0]
        if not len(left):
            break
        kept = says(space, point.vectors + distance * ways[left], ids)
        low[left[kept]], high[left[~kept]] = distance, distance
    for number in range(_HALVINGS):
        report("growing", len(_GROWTH) + number, len(_GROWTH) + _HALVINGS)
        left = torch.nonzero(high.isfinite())[:, 0]
        middle = (low[left] + high[left]) / 2
        kept = says(space, point.vectors + middle[:, None, None] * ways[left], ids)
        low[left[kept]], high[left[~kept]] = middle[kept], middle[~kept]
    report("growing", 1, 1)
    found: list[float] = torch.where(high.isinf(), high, low).tolist()
    return found


@torch.no_grad()
def says(space: Space, vectors: Tensor, ids: Sequence[int]) -> Tensor:
    """Return for each of some vectors (N, P, D) whether exactly these tokens are decoded, (N,) of bool."""
    wanted = torch.tensor(ids, dtype=torch.long)
    kept = [(logits_of(space, some, ids).argmax(-1).cpu() == wanted).all(1) for some in vectors.split(_TOGETHER)]
    return torch.cat(kept) if kept else torch.zeros(0, dtype=torch.bool)


def _least(radii: Sequence[float]) -> float:
    """Return a distance that one direction in 30,000 does not reach, if logarithms of radii are normal."""
    logs = [math.log(max(radius, 1e-9)) for radius in radii if math.isfinite(radius)]
    if len(logs) < 2:
        return min(radii)
    spread = NormalDist.from_samples(logs)
    return min(*radii, math.exp(spread.inv_cdf(_RARE)) if spread.stdev > 0 else math.inf)


def _around(
    space: Space, point: Point, ways: Tensor, radii: Sequence[float], middle: float, report: Report
) -> tuple[tuple[Ring, ...], tuple[Change, ...]]:
    """Return what is decoded at growing distances along some directions, and just beyond the radius along all."""
    if not math.isfinite(middle) or middle <= 0:
        return (), ()
    distances, some = [middle * share for share in (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)], ways[:8]
    at_rings = torch.cat([point.vectors + distance * some for distance in distances])
    beyond = [row for row, radius in enumerate(radii) if math.isfinite(radius)]
    reach = torch.tensor([radii[row] * BEYOND for row in beyond])
    at_edges = point.vectors + reach[:, None, None] * ways[beyond]
    report("reading what lies around", 0, 1)
    texts = [one.text for one in read(space, torch.cat([point.vectors[None], at_rings, at_edges]))]
    report("reading what lies around", 1, 1)
    distinct = list(dict.fromkeys(texts))
    encoded = space.encoder.encode([text or " " for text in distinct])
    cosine = dict(zip(distinct, (encoded @ encoded[0]).tolist(), strict=True))
    here, at_rings_texts, at_edges_texts = texts[0], texts[1 : 1 + len(at_rings)], texts[1 + len(at_rings) :]
    rings = []
    for number, distance in enumerate(distances):
        own = at_rings_texts[number * len(some) : (number + 1) * len(some)]
        rings.append(Ring(distance, sum(text == here for text in own) / len(own),
                          sum(cosine[text] for text in own) / len(own)))  # fmt: skip
    counted = Counter(text for text in at_edges_texts if text != here).most_common()
    return tuple(rings), tuple(Change(text, count, cosine[text]) for text, count in counted)
