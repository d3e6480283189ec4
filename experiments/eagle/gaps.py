"""Content gaps: points where demand is high and little exists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from bandits.numbers import check_count, check_number
from copyloom import InputError
from embeddings.directions import Direction
from embeddings.steering import angles_between, turned

_BETWEEN = (0.25, 0.5, 0.75)
"""Weights of the neighbour at which points between two texts are looked at."""

_SAME = 1 - 1e-6
"""Cosine from which on two texts are one point."""
_TOGETHER = 1024
"""Points whose distances from all texts are in memory at a time."""


@dataclass(frozen=True, eq=False)
class Gap:
    """A point where something is wanted that does not exist.

    Parameters
    ----------
    point : Tensor of shape (S,)
        Of unit length.
    demand, supply : float
        From their means over what exists, in standard deviations; see `content_gaps`.
    nearest : tuple of int
        The numbers of the existing texts nearest to it.
    cosines : tuple of float
        Of these to it.
    """

    point: Tensor
    demand: float
    supply: float
    nearest: tuple[int, ...]
    cosines: tuple[float, ...]

    @property
    def score(self) -> float:
        """Demand less supply."""
        return self.demand - self.supply


def content_gaps(
    existing: Tensor, demand: Callable[[Tensor], Tensor], directions: Sequence[Direction] = (), *, count: int = 10,
    neighbours: int = 5, width: float | None = None,
) -> list[Gap]:  # fmt: skip
    """Return the points with the most demand beyond supply, the best first, none near to a better one.

    Candidates lie between each text and its neighbours, and a width beyond each text along directions. Supply at a
    point is the logarithm of a kernel density: of the sum over what exists of exp(-(angle / width)^2 / 2). Demand and
    supply are centred and scaled by what they are at the existing texts themselves, so that one can be taken from the
    other; supply that hardly differs among these is left in nats. Far from every text demand is extrapolated and
    supply is as low as can be: look at `Gap.cosines` before a gap is believed.

    Parameters
    ----------
    existing : Tensor of shape (M, S)
        Sentence vectors, of unit length.
    demand : callable
        From points (n, S) to numbers (n,): a `Utility` without its novelty.
    directions : sequence of Direction
        Along which, both ways, points beyond the texts are looked at.
    count : int
        Gaps, at most.
    neighbours : int
        Of each text, between which points are looked at.
    width : float, optional
        In degrees: nearer than this a text serves the same demand, and two gaps are one. By default half of the texts
        have a neighbour as near.

    Raises
    ------
    InputError
        If fewer than three texts exist, demand does not differ among them, or a setting makes no sense.
    """
    for name, value in (("count", count), ("neighbours", neighbours)):
        check_count(name, value)
    if existing.ndim != 2 or len(existing) < 3:
        raise InputError(f"existing has shape {tuple(existing.shape)}; pass (M, S) with three texts or more")
    width = _usual(existing) if width is None else width
    check_number("width", width, least=0, most=90, above=True)
    points = torch.cat([_between(existing, neighbours), *_beyond(existing, directions, width)])
    among = demand(existing)
    if not float(among.double().std()) > 0:
        raise InputError("demand is the same at all existing texts, so nowhere is more wanted than elsewhere")
    wanted = _scaled(demand(points), among)
    offered = _scaled(_log_density(points, existing, width), _log_density(existing, existing, width), least=1.0)
    chosen: list[int] = []
    for row in torch.argsort(offered - wanted, stable=True).tolist():
        others = points[chosen]
        if not bool((angles_between(points[row].expand_as(others), others) < width).any()):
            chosen.append(row)
        if len(chosen) == count:
            break
    return [_gap(points[row], float(wanted[row]), float(offered[row]), existing, neighbours) for row in chosen]


def _between(existing: Tensor, neighbours: int) -> Tensor:
    """Return points between texts and their nearest neighbours, each pair once: (n, S)."""
    near = existing @ existing.T
    near.fill_diagonal_(-torch.inf)
    found = near.topk(min(neighbours, len(existing) - 1), dim=1).indices
    pairs = sorted({(min(i, j), max(i, j)) for i, row in enumerate(found.tolist()) for j in row})
    one, other = (existing[list(side)] for side in zip(*pairs, strict=True))
    return torch.cat([normalize((1 - weight) * one + weight * other, dim=1) for weight in _BETWEEN])


def _beyond(existing: Tensor, directions: Sequence[Direction], degrees: float) -> list[Tensor]:
    angle = torch.deg2rad(torch.tensor(degrees)).item()
    return [turned(existing, (sign * one.normal).expand_as(existing), angle) for one in directions for sign in (1, -1)]


def _log_density(points: Tensor, existing: Tensor, width: float) -> Tensor:
    found = []
    for some in points.double().split(_TOGETHER):
        angles = (some @ existing.double().T).clamp(-1, 1).arccos().rad2deg()
        found.append((-((angles / width) ** 2) / 2).logsumexp(1))
    return torch.cat(found)


def _usual(existing: Tensor) -> float:
    """Return the median angle, in degrees, from a text to its nearest neighbour that is another point."""
    cosines = (existing.double() @ existing.double().T).clamp(-1, 1)
    apart = torch.where(cosines < _SAME, cosines, -1).amax(1)
    return float(apart.arccos().rad2deg().clamp(max=90).median())


def _scaled(values: Tensor, among: Tensor, least: float = 0.0) -> Tensor:
    return (values.double() - among.double().mean()) / max(float(among.double().std()), least)


def _gap(point: Tensor, demand: float, supply: float, existing: Tensor, count: int) -> Gap:
    cosines, rows = (existing @ point).topk(min(count, len(existing)))
    return Gap(point, demand, supply, tuple(rows.tolist()), tuple(cosines.tolist()))
