"""All that is asked of one point, in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from typing import Any

from copyloom import InputError, Report
from embeddings.directions import Direction
from embeddings.space import Space
from experiments.explorer.basin import basin_of
from experiments.explorer.lens import lens_of
from experiments.explorer.point import Point
from experiments.explorer.sense import Sense, Shelf, sense_of
from experiments.explorer.sensitivity import flip_of
from experiments.explorer.ways import RANDOM, principal_ways, random_ways, steering_ways
from experiments.nested import finite

WITHOUT_CAPTUM = "what words are owed to is left out: it needs Captum; install copyloom[explain]"


def explore(
    space: Space, point: Point, shelf: Shelf, report: Report, directions: Sequence[Direction] = (),
    random: int = RANDOM, seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Return what a point says, what that is owed to and what lies around it, as ``copyloom explore --json`` prints it.

    Parameters
    ----------
    space : Space
    point : Point
    shelf : Shelf
        Stored texts that it is laid beside.
    report : callable
        Hears of progress.
    directions : sequence of Direction
        Of styles or labels: it is moved along them, too, and what it says around is read along them.
    random : int
        Random directions along which it is moved.
    seed : int
        Of them.
    """
    report("reading the point", 0, 1)
    sense = sense_of(space, point, shelf)
    report("reading the point", 1, 1)
    return finite({
        "kind": point.kind, "said": point.said, "parents": point.parents, "weights": point.weights,
        "decoded": sense.decoded, "finished": sense.finished,
        "exact": None if point.text is None else sense.finished and sense.decoded == point.text,
        "reached": sense.reached, "least_lead": sense.least_lead, "tokens": [asdict(token) for token in sense.tokens],
        "nearest": [asdict(near) for near in sense.nearest],
        "nearest_vectors": [asdict(near) for near in sense.nearest_vectors],
        "shared": sense.shared, "own": sense.own, "stored_texts": len(shelf.texts),
        "model": space.model.name, "vectors": space.vectors, "hidden_size": space.model.hidden_size,
    } | _surroundings(space, point, shelf, sense, report, directions, random, seed)
      | _inside(space, point, shelf, sense, report))  # fmt: skip


def _surroundings(
    space: Space, point: Point, shelf: Shelf, sense: Sense, report: Report, directions: Sequence[Direction],
    random: int, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Return how far the point says the same along each kind of direction, and its nearest change."""
    kinds = [random_ways(point, random, seed), principal_ways(shelf)]
    if directions and (steering := steering_ways(space, point, directions)):
        kinds.append(steering)
    basins = [basin_of(space, point, sense.ids, ways, directions, report) for ways in kinds]
    report("looking for the nearest change", 0, 1)
    flip = flip_of(space, point, sense.ids)
    report("looking for the nearest change", 1, 1)
    return {
        "basin_radius": basins[0].radius, "basin_middle": basins[0].middle, "basin_interval": basins[0].interval,
        "directions": random, "seed": seed, "basins": [asdict(basin) for basin in basins], "flip": asdict(flip),
    }  # fmt: skip


def _inside(space: Space, point: Point, shelf: Shelf, sense: Sense, report: Report) -> dict[str, Any]:
    """Return what the model has in mind at each vector, and what each token is owed to; the reason where it cannot."""
    found: dict[str, Any] = {"owed": None, "left_out": []}
    try:
        found["lens"] = asdict(lens_of(space, point))
    except InputError as error:
        found["lens"] = None
        found["left_out"].append(str(error))
    if find_spec("captum") is None:
        found["left_out"].append(WITHOUT_CAPTUM)
    else:
        from experiments.explorer.owing import owed

        found["owed"] = asdict(owed(space, point, shelf, sense.ids, report))
    return found
