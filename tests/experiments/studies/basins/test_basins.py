"""A study of basins: what it finds of a text is what the explorer finds, and bad lists are refused."""

import json
from pathlib import Path
from statistics import median

import pytest

from copyloom import InputError
from experiments.explorer.basin import radii_along
from experiments.explorer.point import Point
from experiments.explorer.ways import random_ways
from experiments.studies.basins.study import measure
from tests.experiments.commands.test_cli import fails, run

TEXTS = [
    "This quiet kettle is made of steel.",
    "Give travelers the drone that says you care.",
    "A lamp for late readers.",
]


def quiet(*_):
    """Hear of progress and say nothing."""


def test_radii_are_those_of_the_explorer_and_rows_are_their_medians(space):
    found = measure(space, TEXTS, quiet, directions=8, checks=10)
    rows = {row["kind"]: row for row in found["rows"]}
    assert set(rows) == {"refined", "adapter", "mixture"}
    assert (rows["refined"]["points"], rows["refined"]["finished"], rows["refined"]["checks"]) == (3, 1.0, 10)
    points = [point for point in found["points"] if point["kind"] == "refined"]
    assert [point["text"] for point in points] == TEXTS
    assert [point["checks"] for point in points] == [3, 3, 4]
    (stored,) = space.invert([TEXTS[0]])
    point = Point(stored.vectors, None, "vector", "")
    ids = [*space.model.tokenize(TEXTS[0]), space.model.end]
    radii = radii_along(space, point, random_ways(point, 8).directions * point.length, ids).kept
    assert points[0]["middle"] == pytest.approx(median(radii), rel=0.05)
    assert rows["refined"]["middle"] == pytest.approx(median(point["middle"] for point in points))
    assert rows["refined"]["middle"] > rows["mixture"]["middle"]


def test_few_texts_are_refused_and_the_command_writes_numbers(space, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 different texts were given"):
        measure(space, TEXTS[:1] * 2, quiet)
    (tmp_path / "one.txt").write_text(TEXTS[0])
    assert "one distinct text only" in fails(
        "study", "basins", "--texts", str(tmp_path / "one.txt"), "--out", str(tmp_path)
    )
    options = ("--count", "2", "--directions", "8", "--checks", "4", "--out", str(tmp_path), "--json")
    result = run("study", "basins", *options)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["rows"] == json.loads((tmp_path / "study.json").read_text())["rows"]
