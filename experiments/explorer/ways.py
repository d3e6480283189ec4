"""Directions along which a point is moved: random ones, those in which stored texts differ most, those of styles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from embeddings.directions import Direction
from embeddings.mixing import adapt
from embeddings.space import Space
from embeddings.steering import turned
from experiments.explorer.point import Point
from experiments.explorer.sense import Shelf

RANDOM = 32
_PRINCIPAL = 4
_TURN = math.radians(10)
"""How far a meaning is turned to see which way its vectors go."""


@dataclass(frozen=True, eq=False)
class Ways:
    """Directions of one kind.

    Parameters
    ----------
    kind : str
    names : tuple of str
        One a direction; empty where they are random.
    directions : Tensor of shape (N, P, D)
        Each of length 1.
    """

    kind: Literal["random", "principal", "steering"]
    names: tuple[str, ...]
    directions: Tensor


def random_ways(point: Point, count: int = RANDOM, seed: int = 0) -> Ways:
    """Return random directions, as likely everywhere."""
    noise = torch.randn(count, *point.vectors.shape, generator=torch.Generator().manual_seed(seed))
    return Ways("random", (), _unit(noise))


def principal_ways(shelf: Shelf) -> Ways:
    """Return the directions, there and back, in which stored texts differ most: their first principal components."""
    centred = shelf.vectors.flatten(1) - shelf.vectors.flatten(1).mean(0)
    spread, components = torch.linalg.svd(centred, full_matrices=False)[1:]
    rows = range(min(_PRINCIPAL, int((spread > 1e-5 * spread[0]).sum())))
    found = torch.stack([sign * components[row] for row in rows for sign in (1, -1)])
    names = tuple(f"component {row + 1}, {end}" for row in rows for end in ("there", "back"))
    return Ways("principal", names, _unit(found.view(-1, *shelf.vectors.shape[1:])))


def steering_ways(space: Space, point: Point, directions: Sequence[Direction]) -> Ways | None:
    """Return which way the vectors go where a meaning is turned towards each direction; None without an adapter."""
    if space.adapter is None or point.meaning is None:
        return None
    normals = torch.stack([direction.normal for direction in directions])
    there = adapt(space.adapter, turned(point.meaning.expand_as(normals), normals, _TURN))
    return Ways("steering", tuple(direction.name for direction in directions),
                _unit(there - adapt(space.adapter, point.meaning[None])))  # fmt: skip


def _unit(steps: Tensor) -> Tensor:
    return normalize(steps.flatten(1), dim=1).view_as(steps)
