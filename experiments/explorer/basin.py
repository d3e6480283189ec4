"""How far a point can be moved before it says something else, and what it says then.

The *radius* along a direction is the last distance, of those tried, at which the same text is decoded: distances are
doubled or halved from a first one until the text is kept at one and gone at the next, then the ratio of the two is
halved. Distances are shares of the point's own length. Nothing is decoded for it: a text is kept while each of its
tokens leads its rivals, which one pass of the model says of all of them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

import torch
from scipy.stats import binom, binomtest, t
from torch import Tensor

from copyloom import Report
from embeddings.directions import Direction
from embeddings.space import Space
from experiments.bootstrap import interval
from experiments.explorer.point import Point
from experiments.explorer.reading import fluency_model, logits_of, read
from experiments.explorer.ways import Ways
from generator.likelihood import surprisals_alone
from generator.reader import words_of

_FIRST, _LEAST, _MOST = 0.16, 1e-6, 10.0
"""Shares of the point's length: tried first, and the least and greatest that are tried."""
_HALVINGS = 3
_TOGETHER = 32
_RARE = 1 / 30_000
_RINGS = (0.5, 1.0, 1.5, 2.5)
"""Distances at which it is read what is said, beside the median radius."""
_READ, _EDGES = 6, 16
"""Directions of a kind along which it is, and at most so many where the text is lost."""


@dataclass(frozen=True)
class Radii:
    """Between which distances a text is lost, along N directions.

    Parameters
    ----------
    kept : tuple of float
        The last at which it is kept: 0 where it is not even at a millionth, infinite where it is at ten lengths.
    lost : tuple of float
        The first beyond at which another text is decoded; infinite where there is none.
    """

    kept: tuple[float, ...]
    lost: tuple[float, ...]


@dataclass(frozen=True)
class Change:
    """A text that is decoded where the old one is lost.

    Parameters
    ----------
    text : str
    directions : int
        Along how many it comes, of at most sixteen that lose the text.
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
        Share of all directions along which the text is the same.
    kept_interval : (float, float), optional
        95 % interval of it, Wilson's, where directions are random.
    cosine : float
        Mean cosine of what is decoded along some directions to the text at the centre.
    cosine_interval : (float, float), optional
        95 % bootstrap interval over them, where they are random.
    surprise : float
        Mean loss of these texts in nats a token under a model that reads no vectors: the space's critic or pretrained
        model, where it has one.
    words : float
        Their mean number of words.
    styles : dict of str to float
        How far they lie towards each style or label beyond the text at the centre: mean difference of sentence vectors
        along its direction; empty where no directions were given.
    """

    distance: float
    kept: float
    kept_interval: tuple[float, float] | None
    cosine: float
    cosine_interval: tuple[float, float] | None
    surprise: float
    words: float
    styles: dict[str, float]


@dataclass(frozen=True)
class Basin:
    """How far a point says the same, along directions of one kind.

    Parameters
    ----------
    kind : str
        random, principal or steering; see `experiments.explorer.ways`.
    radius : float, optional
        Of random directions: one in 30,000 is expected to change the text sooner, if the logarithms of radii are
        normal; never more than the least that was found.
    middle : float
        The median over directions.
    interval : (float, float), optional
        Interval of the median of at least 95 %, from order statistics, where directions are random.
    names : tuple of str
        Of the directions; empty where they are random.
    radii : tuple of float
        By direction; infinite where no distance up to ten lengths changes the text.
    rings : tuple of Ring
    changes : tuple of Change
        The commonest first.
    """

    kind: str
    radius: float | None
    middle: float
    interval: tuple[float, float] | None
    names: tuple[str, ...]
    radii: tuple[float, ...]
    rings: tuple[Ring, ...]
    changes: tuple[Change, ...]


def basin_of(
    space: Space, point: Point, ids: Sequence[int], ways: Ways, styles: Sequence[Direction] = (),
    report: Report = lambda *_: None,
) -> Basin:  # fmt: skip
    """Return how far a point says the same.

    Parameters
    ----------
    space : Space
    point : Point
    ids : sequence of int
        The tokens that are decoded there, end-of-text included.
    ways : Ways
        Directions along which it is moved.
    styles : sequence of Direction
        Of sentence vectors: what is said around is read along them.
    report : callable
        Hears of progress.
    """
    found = radii_along(space, point, ways.directions * point.length, ids, report=report)
    middle = median(found.kept)
    rings = _rings(space, point, ways, found, middle, styles, report)
    random = ways.kind == "random"
    return Basin(
        ways.kind, least_radius(found.kept) if random else None, middle,
        median_interval(found.kept) if random else None, ways.names, found.kept, rings,
        _changes(space, point, ways, found, report),
    )  # fmt: skip


def radii_along(
    space: Space, point: Point, steps: Tensor, ids: Sequence[int], first: float = _FIRST,
    report: Report = lambda *_: None,
) -> Radii:  # fmt: skip
    """Return the radius along each of some directions (N, P, D), in units of their length.

    Parameters
    ----------
    space : Space
    point : Point
    steps : Tensor of shape (N, P, D)
    ids : sequence of int
        The tokens that are decoded at the point.
    first : float
        The distance tried first: near the radius it costs least.
    report : callable
        Hears of progress.
    """
    kept, lost = torch.zeros(len(steps)), torch.full((len(steps),), math.inf)

    def look(rows: Tensor, distances: Tensor) -> None:
        same = says(space, point.vectors + distances[:, None, None] * steps[rows], ids)
        kept[rows[same]], lost[rows[~same]] = distances[same], distances[~same]

    look(torch.arange(len(steps)), torch.full((len(steps),), min(max(first, _LEAST), _MOST)))
    rounds = 0
    while len(rows := torch.nonzero((lost.isinf() & (kept < _MOST)) | ((kept == 0) & (lost > _LEAST)))[:, 0]):
        report("growing", rounds, rounds + 1 + _HALVINGS)
        rounds += 1
        look(rows, torch.where(lost[rows].isinf(), 2 * kept[rows], lost[rows] / 2))
    for number in range(_HALVINGS):
        report("growing", rounds + number, rounds + _HALVINGS)
        if len(rows := torch.nonzero(lost.isfinite() & (kept > 0))[:, 0]):
            look(rows, (kept[rows] * lost[rows]).sqrt())
    report("growing", 1, 1)
    return Radii(tuple(torch.where(lost.isinf(), lost, kept).tolist()), tuple(lost.tolist()))


@torch.no_grad()
def says(space: Space, vectors: Tensor, ids: Sequence[int]) -> Tensor:
    """Return for each of some vectors (N, P, D) whether exactly these tokens are decoded, (N,) of bool."""
    wanted = torch.tensor(ids, dtype=torch.long)
    if not len(vectors):
        return torch.zeros(0, dtype=torch.bool)
    return torch.cat(
        [(logits_of(space, some, ids).argmax(-1).cpu() == wanted).all(1) for some in vectors.split(_TOGETHER)]
    )


def least_radius(radii: Sequence[float]) -> float:
    """Return a distance within which one direction in 30,000 loses the text, if logarithms of radii are normal.

    It is the lower end of a prediction interval: mean and spread of so few radii are known with an error of their own.
    Never more than the least of them; 0 where one is. Where nothing is lost at ten lengths, ten count.
    """
    if min(radii) <= 0 or not math.isfinite(min(radii)):
        return min(radii)
    logs = [math.log(min(radius, _MOST)) for radius in radii]
    return min(*radii, math.exp(fmean(logs) + t.ppf(_RARE, len(logs) - 1) * math.sqrt(1 + 1 / len(logs)) * stdev(logs)))


def median_interval(radii: Sequence[float]) -> tuple[float, float]:
    """Return an interval that holds the median in at least 95 of 100 cases, whatever the distribution."""
    ordered, low = sorted(radii), int(binom.ppf(0.025, len(radii), 0.5))
    return ordered[max(low - 1, 0)], ordered[min(len(radii) - low, len(radii) - 1)]


def _rings(
    space: Space, point: Point, ways: Ways, found: Radii, middle: float, styles: Sequence[Direction], report: Report
) -> tuple[Ring, ...]:
    """Return what is said at growing distances along some of the directions."""
    if not math.isfinite(middle) or middle <= 0:
        return ()
    distances, some = [middle * share for share in _RINGS], ways.directions[:_READ] * point.length
    report("reading what lies around", 0, 1)
    moved = torch.cat([point.vectors[None], *(point.vectors + distance * some for distance in distances)])
    here, *texts = (one.text for one in read(space, moved, point.room))
    meaning, surprise = _meanings(space, [here, *texts]), _surprises(space, texts)
    report("reading what lies around", 1, 1)
    rings = []
    for number, distance in enumerate(distances):
        own = texts[number * len(some) : (number + 1) * len(some)]
        there = torch.stack([meaning[text] for text in own])
        near = (there @ meaning[here]).double().numpy()
        share, around = None, None
        kept = binomtest(sum(radius >= distance for radius in found.kept), len(found.kept))
        if ways.kind == "random":
            (low, high), wilson = interval(near), kept.proportion_ci(method="wilson")
            share, around = (float(wilson.low), float(wilson.high)), (low, high)
        rings.append(Ring(
            distance, kept.statistic, share, float(near.mean()), around,
            fmean(surprise[text] for text in own), fmean(len(words_of(text)) for text in own),
            {style.name: float((there - meaning[here]).mean(0) @ style.normal) for style in styles},
        ))  # fmt: skip
    return tuple(rings)


def _changes(space: Space, point: Point, ways: Ways, found: Radii, report: Report) -> tuple[Change, ...]:
    """Return what is said where the text is lost."""
    rows = [row for row, distance in enumerate(found.lost) if math.isfinite(distance)][:_EDGES]
    lost = torch.tensor([found.lost[row] for row in rows]) * point.length
    there = point.vectors + lost[:, None, None] * ways.directions[rows]
    report("reading what lies beyond", 0, 1)
    here, *texts = (one.text for one in read(space, torch.cat([point.vectors[None], there]), point.room))
    meaning = _meanings(space, [here, *texts])
    report("reading what lies beyond", 1, 1)
    return tuple(Change(text, count, float(meaning[text] @ meaning[here]))
                 for text, count in Counter(texts).most_common() if text != here)  # fmt: skip


def _meanings(space: Space, texts: Sequence[str]) -> dict[str, Tensor]:
    """Return the sentence vector of each text."""
    distinct = list(dict.fromkeys(texts))
    return dict(zip(distinct, space.encoder.encode([text or " " for text in distinct]), strict=True))


def _surprises(space: Space, texts: Sequence[str]) -> dict[str, float]:
    """Return the loss of each text, nats a token, under a model that reads no vectors."""
    distinct = list(dict.fromkeys(texts))
    found = surprisals_alone(fluency_model(space)[0], distinct)
    return dict(zip(distinct, found.tolist(), strict=True))
