"""Tastes from files of a person's own: an archive of headline tests, or ratings with what is said of the things."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from copyloom import InputError
from copyloom.tables import open_table
from experiments.simulation.config import WorldConfig
from experiments.simulation.identity import content_of
from experiments.studies.headlines.archive import read_archive
from simulator.worlds import Crowd, HeadlineTaste

_RATINGS = ("userId", "movieId", "rating")


def headline_taste(config: WorldConfig) -> HeadlineTaste:
    """Return what the archive of settings teaches.

    Raises
    ------
    InputError
        If the archive cannot be used.
    """
    assert config.archive is not None
    return _taught(config.archive.resolve(), content_of(config.archive))


def crowd_of(config: WorldConfig) -> Crowd:
    """Return the people of the ratings of settings.

    Raises
    ------
    InputError
        If one of the files cannot be used, or they have no thing in common.
    """
    assert config.ratings is not None
    assert config.items is not None
    files = config.ratings, config.items
    return _rated(*(file.resolve() for file in files), config.text, *map(content_of, files))


@lru_cache(maxsize=2)
def _taught(path: Path, content: str) -> HeadlineTaste:
    archive = read_archive(path)
    return HeadlineTaste.fit(archive.headlines, archive.tests, archive.impressions, archive.clicks, archive.groups)


@lru_cache(maxsize=2)
def _rated(ratings: Path, items: Path, column: str, *contents: str) -> Crowd:
    things = open_table(items, wanted=("movieId", column)).table(["movieId", column])
    said = {str(thing): str(text) for thing, text in zip(things["movieId"].to_pylist(), things[column].to_pylist(),
                                                         strict=True) if text}  # fmt: skip
    place = {thing: number for number, thing in enumerate(said)}
    table = open_table(ratings, wanted=_RATINGS)
    rows = table.table(list(_RATINGS))
    known = np.array([place.get(str(thing), -1) for thing in rows["movieId"].to_pylist()], dtype=np.int64)
    if not (known >= 0).any():
        raise InputError(f"no movieId of {ratings} is in {items}; give files of the same things")
    values = _numbers(rows["rating"], table.name)
    users = np.unique([str(user) for user in rows["userId"].to_pylist()], return_inverse=True)[1]
    kept = known >= 0
    people = np.unique(users[kept], return_inverse=True)[1].astype(np.int64)
    return Crowd.fit(people, known[kept], values[kept], list(said.values()))


def _numbers(column: pa.ChunkedArray, name: str) -> np.ndarray:
    found = np.full(len(column), np.nan)
    for row, value in enumerate(column.to_pylist()):
        with suppress(TypeError, ValueError):
            found[row] = float(value)
        if not np.isfinite(found[row]):
            raise InputError(f"{name}, row {row + 1}: rating is {value!r}; give a number")
    return found
