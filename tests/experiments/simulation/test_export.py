"""A run as tables and figures, and beside another run."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from copyloom import InputError
from experiments.simulation.compare import compare
from experiments.simulation.config import RunConfig
from experiments.simulation.export import export
from experiments.simulation.runs import REPORT_DATA, run_study

SMALL: dict[str, Any] = {
    "seeds": 3,
    "rounds": 6,
    "impressions": 400,
    "device": "cpu",
    "proposer": {"every": 2, "until": 1.0, "shortlist": 3, "admit": 2, "warm_up": 40},
}


def quiet(stage: str, done: int, total: int) -> None:
    """Hear of progress and say nothing."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, memo: Path) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("run")
    return folder, run_study(RunConfig(**SMALL), folder, quiet, memo=memo)["summary"]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, memo: Path) -> Path:
    folder = tmp_path_factory.mktemp("other")
    run_study(RunConfig(**{**SMALL, "policy": "uniform"}), folder, quiet, memo=memo)
    return folder


def test_tables_hold_every_snapshot_and_text_and_agree_with_the_summary(run: Any, tmp_path: Path) -> None:
    folder, summary = run
    said = export(folder, tmp_path / "export")
    rounds = pq.read_table(tmp_path / "export" / "rounds.parquet").to_pylist()
    texts = pq.read_table(tmp_path / "export" / "texts.parquet").to_pylist()
    assert said["rows"] == {"rounds": len(rounds), "texts": len(texts)}
    assert len(rounds) == 3 * 2 * 2 * 6
    assert {row["impressions"] for row in rounds} == {400}
    main = [row for row in rounds if row["world"] == "open" and row["mixing"] and row["round"] == 5]
    assert np.mean([row["expected_ctr"] for row in main]) == pytest.approx(summary["ctr_loop"])
    first = [row for row in texts if row["campaign"] == "open, seed 0, mixing"]
    assert sum(row["impressions"] for row in first) == 6 * 400
    assert all(len(row["parents"]) == len(row["weights"]) for row in first)
    assert any(row["parents"] for row in first if row["kind"] == "written")
    table = pacsv.read_csv(tmp_path / "export" / "rounds.csv")
    assert table.num_rows == len(rounds)
    assert [Path(file).name for file in said["files"][-4:]] == ["ctr.svg", "ctr.pdf", "uplift.svg", "uplift.pdf"]
    assert all(Path(file).stat().st_size > 1000 for file in said["files"])


def test_a_run_that_was_stopped_is_exported_without_what_only_its_end_knows(memo: Path, tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if stage == "showing texts to shoppers" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(RunConfig(**SMALL), tmp_path / "run", stop, memo=memo)
    said = export(tmp_path / "run", tmp_path / "export")
    assert len(said["files"]) == 4
    assert {row["expected_ctr"] for row in pq.read_table(said["files"][0]).to_pylist()} == {None}
    with pytest.raises(InputError, match="holds no run"):
        export(tmp_path, tmp_path / "export")
    with pytest.raises(InputError, match="holds no finished run"):
        compare(tmp_path / "run", tmp_path / "run")


def test_schemas_are_the_same_whatever_is_known(run: Any, tmp_path: Path) -> None:
    folder, _ = run
    broken = shutil.copytree(folder, tmp_path / "broken")
    data = json.loads((broken / REPORT_DATA).read_text())
    del data["curves"], data["campaigns"]
    (broken / REPORT_DATA).write_text(json.dumps(data))
    with pytest.raises(InputError, match="is damaged"):
        export(broken, tmp_path / "export")
    export(folder, tmp_path / "whole")
    for name in ("rounds", "texts"):
        schemas = [pq.read_schema(tmp_path / where / f"{name}.parquet") for where in ("export", "whole")]
        assert schemas[0] == schemas[1]
    with pytest.raises(InputError, match="older Copyloom"):
        compare(broken, folder)


def test_runs_with_the_same_shoppers_are_compared_seed_by_seed(run: Any, other: Path) -> None:
    folder, summary = run
    same = compare(folder, folder)
    assert (same["difference"], same["interval"], same["settings"], same["paired"]) == (0, [0, 0], {}, True)
    found = compare(other, folder)
    assert found["paired"]
    assert found["settings"] == {"policy.name": ["uniform", "thompson"]}
    assert found["ctr"][1] == pytest.approx(summary["ctr_loop"])
    assert found["difference"] > 0
    low, high = found["interval"]
    assert low < found["difference"] < high


def test_runs_with_other_shoppers_are_two_groups(run: Any, memo: Path, tmp_path: Path) -> None:
    folder, _ = run
    run_study(RunConfig(**{**SMALL, "seeds": 2, "seed": 9}), tmp_path, quiet, memo=memo)
    found = compare(folder, tmp_path)
    assert not found["paired"]
    assert found["why"] == "seed differs, so the shoppers do"
    assert found["seeds"] == [3, 2]
    low, high = found["interval"]
    assert low < found["difference"] < high
