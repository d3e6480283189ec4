"""A study comes to the same wherever its parts run, and goes on where it was stopped."""

import json
from pathlib import Path
from typing import Any

import pytest

from copyloom import InputError
from experiments.engines import Engine
from experiments.studies.uplift import study as uplift
from experiments.studies.uplift.settings import UpliftStudy

SMALL = UpliftStudy(worlds=("words",), impressions=(400,), pools=(15,), subjects=2, seeds=4, rounds=4, warm_up=6)


def measured(folder: Path, engine: Engine, memo: Path | None = None) -> dict[str, Any]:
    return uplift.measure(SMALL, folder, lambda *_: None, engine, memo)


@pytest.mark.slow
def test_same_digits_here_over_processes_and_on_ray(tmp_path: Path) -> None:
    here = measured(tmp_path / "here", Engine(processes=1), tmp_path / "memo")
    assert measured(tmp_path / "two", Engine(processes=2)) == here
    assert measured(tmp_path / "again", Engine(processes=2), tmp_path / "memo") == here
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'copyloom[ray]'")
    assert measured(tmp_path / "ray", Engine("ray", processes=2)) == here


@pytest.mark.slow
def test_a_study_that_was_stopped_goes_on_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measured(tmp_path / "whole", Engine(processes=1))
    real, played = uplift.run_study, list[str]()

    def stopped(config: Any, out: Path, *arguments: Any, **more: Any) -> dict[str, Any]:
        if len(played) == 1:
            raise KeyboardInterrupt
        played.append(out.name)
        return real(config, out, *arguments, **more)

    monkeypatch.setattr(uplift, "run_study", stopped)
    with pytest.raises(KeyboardInterrupt):
        measured(tmp_path / "here", Engine(processes=1))
    moved = (tmp_path / "here").rename(tmp_path / "there")
    stamp = (moved / played[0] / "summary.json").stat().st_mtime_ns
    monkeypatch.setattr(uplift, "run_study", real)
    assert measured(moved, Engine(processes=2)) == whole
    assert (moved / played[0] / "summary.json").stat().st_mtime_ns == stamp  # not played again
    pool = moved / "pool-15-0.txt"
    assert pool.exists()
    with pytest.raises(InputError, match="other settings"):
        uplift.measure(SMALL.model_copy(update={"base_rate": 0.03}), moved, lambda *_: None, Engine(processes=1))
    assert json.dumps(whole)
