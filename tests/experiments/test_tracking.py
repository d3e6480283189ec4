"""What is recorded in MLflow and TensorBoard can be read back from them."""

import struct
from pathlib import Path

import pytest

from copyloom import InputError
from experiments.tracking import Record, Tracker


@pytest.fixture
def record(tmp_path: Path) -> Record:
    page = tmp_path / "report.html"
    page.write_text("<p>What came of it")
    settings = {"seeds": 2, "policy": {"name": "ucb"}, "beside": [{"name": "uniform"}], "long": "x" * 2000}
    series = {"expected_ctr/open, mixing, ucb": [0.02, 0.03]}
    return Record("quickstart", settings, {"uplift": 0.15, "words.right": 0.5}, series, [page])


def test_mlflow_has_settings_numbers_by_snapshot_and_the_report(record: Record, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'copyloom[mlflow]'")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = mlflow.MlflowClient(uri)
    artifacts = (tmp_path / "artifacts").as_uri()
    client.create_experiment("copyloom", artifact_location=artifacts)
    where = [Tracker.of(f"mlflow:{uri}").track(record) for _ in range(2)]
    assert where[0] != where[1]  # a run each
    run = client.get_run(where[0].rpartition(" ")[2])
    assert run.info.run_name == "quickstart"
    assert run.info.status == "FINISHED"
    assert run.data.params.pop("long").startswith("xxx")
    assert run.data.params == {"seeds": "2", "policy.name": "ucb", "beside.0.name": "uniform"}
    assert run.data.metrics["uplift"] == 0.15
    history = client.get_metric_history(run.info.run_id, "expected_ctr/open_mixing_ucb")
    assert [(point.step, point.value) for point in history] == [(0, 0.02), (1, 0.03)]
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["report.html"]


def test_tensorboard_has_settings_and_numbers_by_snapshot(record: Record, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="it is not installed: pip install 'copyloom[tensorboard]'")
    folders = [Tracker.of(f"tensorboard:{tmp_path / 'events'}").track(record) for _ in range(3)]
    assert [Path(folder).name for folder in folders] == ["quickstart", "quickstart 2", "quickstart 3"]
    (file,) = Path(folders[1]).iterdir()
    points = {(value.tag, event.step): value for event in events(file) for value in event.summary.value}
    assert points["uplift", 0].simple_value == pytest.approx(0.15)
    assert points["expected_ctr/open_mixing_ucb", 1].simple_value == pytest.approx(0.03)
    (settings,) = [value for (tag, _), value in points.items() if tag.startswith("settings")]
    assert b"| policy.name | ucb |" in settings.tensor.string_val[0]


def events(file: Path) -> list:
    """Return the events of a file: each with its length, 8 bytes, and a checksum of 4 after both."""
    from tensorboardX.proto.event_pb2 import Event

    content, found = file.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        found.append(Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    return found


def test_a_tracker_that_fails_says_that_the_results_are_there(record: Record, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="it is not installed: pip install 'copyloom[tensorboard]'")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"all is finished and written, but --track tensorboard:.*file failed"):
        Tracker.of(f"tensorboard:{tmp_path / 'file'}").track(record)
