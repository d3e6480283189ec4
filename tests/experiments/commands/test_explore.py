"""``copyloom explore``: numbers for programs, a page for people, clear errors."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embeddings.exchange import save_embeddings
from experiments.styles import style_directions
from tests.experiments.commands.test_cli import fails, run

TEXT = "This quiet kettle is made of steel."
QUICK = ("--model", "copyloom-tiny", "--device", "cpu", "--directions", "8", "--json")


@pytest.fixture(scope="module", autouse=True)
def styles(space: Any) -> Iterator[None]:
    """Find the directions of styles, which every call asks for, once."""
    directions = style_directions(space.encoder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.styles.style_directions", lambda encoder: directions)
        yield


def test_a_text_is_explained_with_a_page(tmp_path: Path) -> None:
    result = run("explore", "--text", TEXT, "--out", str(tmp_path), *QUICK)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["decoded"], found["exact"], found["kind"]) == (TEXT, True, "text")
    assert 0 < found["basin_radius"] <= found["basin_middle"]
    assert len(found["nearest"]) == len(found["nearest_vectors"]) == 8
    page = Path(found["page"]).read_text(encoding="utf-8")
    assert TEXT in page
    assert 'src="http' not in page
    assert "<script" not in page
    assert json.loads((tmp_path / "point.json").read_text())["basins"] == found["basins"]
    assert [basin["kind"] for basin in found["basins"]] == ["random", "principal", "steering"]
    assert found["owed"]["missed"] < 0.01
    assert found["left_out"] == []


def test_mixtures_steps_and_vectors_are_points_too(tmp_path: Path, space: Any) -> None:
    np.save(tmp_path / "point.npy", np.random.default_rng(0).normal(size=(8, 256)).astype(np.float32))
    save_embeddings(space.invert([TEXT, "A lamp for late readers.", "Care is here."]), tmp_path / "stored.safetensors")
    for kind, options in (
        ("mixture", ("--mix", TEXT, "--mix", "A lamp for late readers.", "--weight", "0.7", "--weight", "0.3")),
        ("step", ("--text", TEXT, "--towards", "shorter", "--strength", "0.5")),
        ("vector", ("--vector", str(tmp_path / "point.npy"), "--stored", str(tmp_path / "stored.safetensors"))),
    ):
        result = run("explore", *options, "--out", str(tmp_path / kind), *QUICK)
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        assert found["kind"] == kind
        assert found["exact"] is None
        assert (
            len(found["owed"]["parents"]) == len(found["owed"]["along"]) == (kind == "mixture") * len(found["tokens"])
        )
        assert (tmp_path / kind / "point.html").exists()


@pytest.mark.parametrize(("options", "message"), [
    ((), "say which point: one of"),
    (("--text", TEXT, "--draw", "1"), "say which point: one of"),
    (("--draw", "1", "--towards", "emotional"), "--towards is a step from a text"),
    (("--text", TEXT, "--towards", "sleepy"), "there is no direction 'sleepy'; there are"),
    (("--text", TEXT, "--weight", "1"), "--weight is of a text of a mixture"),
    (("--text", TEXT, "--strength", "0.5"), "--strength is of a step"),
    (("--mix", TEXT), "two texts or more"),
    (("--mix", TEXT, "--mix", "A lamp.", "--weight", "1"), "weights"),
    (("--vector", "none.npy"), "cannot be read"),
    (("--text", TEXT, "--stored", "none.txt"), "none.txt"),
])  # fmt: skip
def test_what_is_asked_wrongly_is_refused(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    assert message in fails("explore", *options, "--out", str(tmp_path), *QUICK)


def test_a_place_that_is_none_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert "cannot be written" in fails("explore", "--text", TEXT, "--model", "none", "--out", str(tmp_path / "file"))
