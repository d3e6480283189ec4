"""``copyloom study basins``: how far texts last around refined vectors, the adapter's output and equal mixtures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest, spearmanr
from torch import Tensor

from copyloom import InputError, Report
from embeddings.mixing import adapt, mix
from embeddings.space import Space
from experiments.bootstrap import RESAMPLES, bounds
from experiments.explorer.basin import least_radius, median_interval, radii_along, says
from experiments.explorer.point import Point
from experiments.explorer.reading import read
from experiments.explorer.ways import RANDOM, random_ways
from experiments.nested import finite
from generator.decoding import Decoded

CHECKED = 7
"""Seed of the checks beside that of the radii."""


@dataclass(frozen=True)
class _Found:
    """What one point says and how far: radii by direction, and how many of its checks changed it."""

    text: str
    radii: tuple[float, ...]
    checks: int
    changed: int


def measure(
    space: Space, texts: Sequence[str], report: Report, directions: int = RANDOM, checks: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Return all that the command prints.

    Parameters
    ----------
    space : Space
    texts : sequence of str
        Different ones, two or more.
    report : callable
    directions : int
        Random ones for each point, from which its radii come.
    checks : int
        Moves by the safe radius in further random directions, of all points of a kind together.
    seed : int
        Of directions and checks.

    Raises
    ------
    InputError
        If there are fewer than two texts.
    """
    if len(set(texts)) < 2:
        raise InputError(f"{len(set(texts))} different texts were given; give two or more")
    stored = space.invert(texts, None, lambda done, total: report("inverting", done, total))
    refined = torch.stack([one.vectors for one in stored])
    sentences = torch.stack([one.sentence_vector for one in stored])
    kinds = {"refined": refined}
    if space.adapter is not None:
        kinds["adapter"] = adapt(space.adapter, sentences)
    halves = torch.full((len(texts), 2), 0.5)
    pairs = [torch.stack([rows, rows.roll(-1, 0)], 1) for rows in (refined, sentences)]
    kinds["mixture"] = mix(pairs[0], pairs[1], halves, space.adapter)
    room = max(len(space.model.tokenize(text)) for text in texts) + 1
    found = {kind: _points(space, kind, vectors, room, report, directions, checks, seed)
             for kind, vectors in kinds.items()}  # fmt: skip
    return finite({
        "model": space.model.name, "device": space.model.device.type, "texts": len(texts), "directions": directions,
        "seed": seed, "rows": [_row(kind, points, len(texts)) for kind, points in found.items()],
        "margin_and_radius": _margins({one.text: one.margin for one in stored}, found["refined"]),
        "points": [{"kind": kind, "text": point.text, "middle": median(point.radii),
                    "interval": median_interval(point.radii),
                    "radius": least_radius(point.radii), "least": min(point.radii),
                    "checks": point.checks, "changed": point.changed}
                   for kind, points in found.items() for point in points],
    })  # fmt: skip


def _points(
    space: Space, kind: str, vectors: Tensor, room: int, report: Report, directions: int, checks: int, seed: int
) -> list[_Found]:
    """Return what each point that comes to an end says and how far; a point's share of the checks is spread evenly."""
    said = read(space, vectors, room)
    found = []
    for number, (one, text) in enumerate(zip(vectors, said, strict=True)):
        report(f"radii, {kind}", number, len(vectors))
        if text.finished:
            share = (number + 1) * checks // len(vectors) - number * checks // len(vectors)
            found.append(_point(space, one, text, directions, share, seed + 1000 * number))
    report(f"radii, {kind}", 1, 1)
    return found


def _point(space: Space, vectors: Tensor, said: Decoded, directions: int, checks: int, seed: int) -> _Found:
    point, ids = Point(vectors, None, "vector", said.text), [*said.ids, space.model.end]
    radii = radii_along(space, point, random_ways(point, directions, seed).directions * point.length, ids).kept
    moves = random_ways(point, checks, seed + CHECKED).directions * point.length * min(least_radius(radii), 1.0)
    return _Found(said.text, radii, checks, int((~says(space, point.vectors + moves, ids)).sum()))


def _row(kind: str, points: Sequence[_Found], texts: int) -> dict[str, Any]:
    """Return the medians over points, with bootstrap intervals over points, and what the checks say; None of none."""
    if not points:
        return {"kind": kind, "points": 0, "finished": 0.0, "middle": None, "middle_interval": [None, None],
                "tenth": None, "ninetieth": None, "radius": None, "radius_interval": [None, None], "checks": 0,
                "changed": 0, "changed_at_most": None}  # fmt: skip
    middles, safe = (np.array([of(point.radii) for point in points]) for of in (median, least_radius))
    checks, changed = sum(point.checks for point in points), sum(point.changed for point in points)
    seldom = binomtest(changed, checks).proportion_ci(method="wilson") if checks else None
    return {
        "kind": kind, "points": len(points), "finished": len(points) / texts,
        "middle": float(np.median(middles)), "middle_interval": _interval(middles),
        "tenth": float(np.quantile(middles, 0.1)), "ninetieth": float(np.quantile(middles, 0.9)),
        "radius": float(np.median(safe)), "radius_interval": _interval(safe),
        "checks": checks, "changed": changed, "changed_at_most": None if seldom is None else float(seldom.high),
    }  # fmt: skip


def _interval(values: NDArray[np.float64]) -> list[float]:
    """Return the 95 % bootstrap interval of the median."""
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    return bounds(np.median(values[drawn], 1))


def _margins(margins: dict[str, float], points: Sequence[_Found]) -> dict[str, Any]:
    """Return the rank correlation of the margin, at which inversion stops, with the median radius."""
    pairs = np.array([(margins[point.text], median(point.radii)) for point in points if point.text in margins])
    if len(pairs) < 5 or len(set(pairs[:, 0])) < 2:
        return {"rank_correlation": None, "interval": None, "texts": len(pairs)}
    rng = np.random.default_rng(0)
    drawn = [spearmanr(*pairs[rng.integers(len(pairs), size=len(pairs))].T).statistic for _ in range(500)]
    interval = bounds(np.array([one for one in drawn if math.isfinite(one)]))
    return {
        "rank_correlation": float(spearmanr(*pairs.T).statistic), "interval": interval, "texts": len(pairs)
    }  # fmt: skip
