"""All studies take their settings from a YAML file, and write them beside their results."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from experiments.commands.cli import app, study_app

STUDIES = sorted(typer.main.get_command(study_app).commands)  # type: ignore[attr-defined]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["study", *arguments])


def said(result: Result) -> str:
    return " ".join(result.output.replace("│", " ").split())


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = [f"{test},headline {test} {arm},3000,{rng.binomial(3000, 0.02)}" for test in range(12) for arm in range(3)]
    path = tmp_path / "archive.csv"
    path.write_text("\n".join(["clickability_test_id,headline,impressions,clicks", *rows]))
    return path


@pytest.mark.parametrize("name", STUDIES)
def test_an_unknown_key_is_an_error_that_names_it(name: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    for key in ("sedes", "out", "as_json", "help"):  # where results go is no setting
        file.write_text(f"{key}: 3\n")
        result = run(name, "--settings", str(file))
        assert result.exit_code == 2
        assert f"settings.yaml: {key} is not known. Allowed: " in said(result)


def test_a_value_that_does_not_fit_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    for content, message in (
        ("seeds: many", "Invalid value for '--seeds': Input should be a valid integer"),
        ("seeds: 2.5", "Invalid value for '--seeds': Input should be a valid integer"),
        ("seeds: {a: 1}", "seeds has {'a': 1}; give a number, a text or yes or no"),
        ("seeds: [1, 2]", "Invalid value for '--seeds': Input should be a valid integer"),
        ("seeds: 12", "12 seeds cannot be shared out evenly among 10 subjects"),
        ("worlds: [grammar, weather]", "worlds"),
        ("pools: [1]", "the command line and settings from "),
        ("- seeds", "must hold a mapping of settings such as 'seeds: 20'"),
        ("{", "is not a readable YAML file"),
    ):
        file.write_text(content)
        result = run("uplift", "--settings", str(file), "--folder", str(tmp_path / "study"))
        assert result.exit_code == 2, content
        assert message in said(result), content
    result = run("uplift", "--settings", str(tmp_path / "none.yaml"))
    assert "none.yaml is not a readable YAML file" in said(result)


def test_a_file_says_what_the_command_line_would_and_that_comes_first(archive: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "settings.yaml", tmp_path / "found.json"
    file.write_text(f"archive: {archive}\ndelimiter: ','\n")
    found = json.loads(run("calibration", "--settings", str(file), "--out", str(out), "--json").stdout)
    files = found.pop("files")
    assert found == json.loads(out.read_text())
    assert {Path(file) for file in files} == set(tmp_path.iterdir()) - {archive, file}
    assert found["rows"] == json.loads(run("calibration", "--archive", str(archive), "--json").stdout)["rows"]
    assert found["run"]["settings"] == {"archive": str(archive), "delimiter": ","}
    assert {"copyloom", "python", "torch"} <= found["run"]["versions"].keys()
    written = tmp_path / "found-settings.yaml"
    assert yaml.safe_load(written.read_text()) == found["run"]["settings"]
    again = json.loads(run("calibration", "--settings", str(written), "--json").stdout)
    assert again == {**found, "files": []}
    file.write_text("archive: nowhere.csv\n")
    first = json.loads(run("calibration", "--settings", str(file), "--archive", str(archive), "--json").stdout)
    assert first["rows"] == found["rows"]
    rows = pq.read_table(tmp_path / "found-rows.parquet").to_pylist()
    assert [row["measure"] for row in rows] == [row["measure"] for row in found["rows"]]
    assert rows[0]["interval"] == found["rows"][0]["interval"]
    numbers = {row["name"]: row["value"] for row in pq.read_table(tmp_path / "found-numbers.parquet").to_pylist()}
    assert numbers["tests"] == 12
    assert (tmp_path / "found-rows.csv").read_text().startswith('"measure","meaning"')


def test_an_argument_may_stand_in_the_file_too(tmp_path: Path) -> None:
    rows = [f"claim {number}{'!' * (number % 2)},{100},{5 + number % 2 * 5}" for number in range(24)]
    (tmp_path / "log.csv").write_text("\n".join(["text,impressions,clicks", *rows]))
    file = tmp_path / "settings.yaml"
    file.write_text(f"source: {tmp_path / 'log.csv'}\nseed: 3\ncoding: rules\n")
    found = json.loads(run("preferences", "--settings", str(file), "--json").stdout)
    assert found["texts"] == 24
    assert found["run"]["settings"] | {"source": ""} == {
        "source": "", "coding": "rules", "seed": 3, "raters": 1, "sheet_texts": 45,
    }  # fmt: skip


def test_trackers_are_asked_for_by_name_before_any_work(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    for spec, message in (
        ("mlflow", "--track mlflow needs mlflow; install it with: pip install 'copyloom[mlflow]'"),
        ("wandb", "--track 'wandb' is no tracker; give mlflow, mlflow:URI, tensorboard or tensorboard:FOLDER"),
    ):
        result = run("calibration", "--archive", "nowhere.csv", "--track", spec)
        assert result.exit_code == 2
        assert message in said(result)


def test_what_is_tracked_of_a_study(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.tracking import Record, Tracker

    seen: list[Record] = []
    monkeypatch.setattr(Tracker, "of", classmethod(lambda cls, spec: cls("mlflow")))
    monkeypatch.setattr(Tracker, "track", lambda self, record: seen.append(record) or "here")
    options: list[Any] = ["calibration", "--archive", str(archive), "--out", str(archive.parent / "x.json")]
    result = run(*options, "--track", "mlflow")
    assert "Tracked: here" in said(result)
    (record,) = seen
    assert (record.run, record.settings) == ("study calibration", {"archive": str(archive)})
    assert record.numbers["tests"] == 12
    assert {file.name for file in record.files} >= {"x.json", "x-settings.yaml", "x-rows.csv"}
