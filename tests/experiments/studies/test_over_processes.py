"""A study comes to the same wherever its parts run, and goes on where it was stopped."""

from pathlib import Path
from typing import Any

import pytest

from experiments.engines import Engine
from experiments.studies.uplift.settings import UpliftStudy
from experiments.studies.uplift.study import measure

SMALL = UpliftStudy(worlds=("words",), impressions=(400,), pools=(15,), subjects=2, seeds=4, rounds=4, warm_up=6,
                    editor=False)  # fmt: skip


def quiet(stage: str, done: int, total: int) -> None:
    """Hear of progress and say nothing."""


def measured(folder: Path, engine: Engine) -> dict[str, Any]:
    return measure(SMALL, folder, quiet, engine)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the study comes to in this process, not stopped."""
    return measured(tmp_path_factory.mktemp("study") / "here", Engine(processes=1))


@pytest.mark.slow
def test_same_digits_here_over_processes_and_on_ray(here: dict[str, Any], tmp_path: Path) -> None:
    assert measured(tmp_path / "two", Engine(processes=2)) == here
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'copyloom[ray]'")
    assert measured(tmp_path / "ray", Engine("ray", processes=2)) == here


@pytest.mark.slow
def test_a_study_that_was_stopped_goes_on_elsewhere(here: dict[str, Any], tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("products", 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(SMALL, tmp_path / "here", stop, Engine(processes=1))
    moved = (tmp_path / "here").rename(tmp_path / "there")
    kept = {file: file.stat().st_mtime_ns for file in (moved / "subject-0-pool-15").rglob("*.json")}
    assert kept
    assert measured(moved, Engine(processes=2)) == here
    assert {file: file.stat().st_mtime_ns for file in kept} == kept  # not played again
