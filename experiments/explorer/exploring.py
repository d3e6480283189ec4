"""All that is asked of one point, in one go."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from copyloom import Report
from embeddings.space import Space
from experiments.explorer.basin import DIRECTIONS, basin_of
from experiments.explorer.point import Point
from experiments.explorer.sense import Shelf, sense_of
from experiments.explorer.sensitivity import flip_of


def explore(
    space: Space, point: Point, shelf: Shelf, report: Report, directions: int = DIRECTIONS, seed: int = 0
) -> dict[str, Any]:
    """Return what a point says, how sure that is, and what lies around it, as ``copyloom explore --json`` prints it.

    Parameters
    ----------
    space : Space
    point : Point
    shelf : Shelf
        Stored texts that it is laid beside.
    report : callable
        Hears of progress.
    directions : int
        Random ones along which it is moved.
    seed : int
        Of them.
    """
    report("reading the point", 0, 1)
    sense = sense_of(space, point, shelf)
    report("reading the point", 1, 1)
    found: dict[str, Any] = {
        "kind": point.kind, "said": point.said, "parents": list(point.parents), "weights": list(point.weights),
        "decoded": sense.decoded, "finished": sense.finished,
        "exact": None if point.text is None else sense.finished and sense.decoded == point.text,
        "reached": sense.reached, "least_lead": sense.least_lead, "tokens": [asdict(token) for token in sense.tokens],
        "nearest": [asdict(near) for near in sense.nearest],
        "nearest_vectors": [asdict(near) for near in sense.nearest_vectors],
        "shared": list(sense.shared), "own": list(sense.own), "stored_texts": len(shelf.texts),
        "model": space.model.name, "vectors": space.vectors, "hidden_size": space.model.hidden_size,
    }  # fmt: skip
    basin = basin_of(space, point, sense.ids, report, directions, seed)
    report("looking for the nearest change", 0, 1)
    flip = flip_of(space, point, sense.ids)
    report("looking for the nearest change", 1, 1)
    return found | {
        "basin_radius": _finite(basin.radius), "basin_middle": _finite(basin.middle),
        "basin_interval": [_finite(end) for end in basin.interval], "directions": directions, "seed": seed,
        "radii": [_finite(radius) for radius in basin.radii], "rings": [asdict(ring) for ring in basin.rings],
        "changes": [asdict(change) for change in basin.changes],
        "flip": {**asdict(flip), "distance": _finite(flip.distance)},
    }  # fmt: skip


def _finite(value: float) -> float | None:
    """Return a distance; None for one that was not found, which JSON cannot hold."""
    return value if math.isfinite(value) else None
