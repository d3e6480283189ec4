"""What is read from logs and runs, and what the command writes."""

import csv
import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from copyloom import InputError
from experiments.campaigns.events import Closed, Opened, Published
from experiments.commands.cli import app
from experiments.simulation.runs import DATABASE
from experiments.studies.preferences import log as reading
from experiments.studies.preferences.log import Asked, read_log
from experiments.studies.preferences.report import render
from experiments.studies.preferences.study import measure

TEXTS = [f"{start} {thing}{end}" for start in ("Feel the joy of", "Made of steel, the", "Hurry, take the", "The")
         for thing in ("kettle", "old kettle with a lid", "mug")
         for end in ("", "!", " for you", " in 3 sizes")]  # fmt: skip


def quiet(stage: str, done: int, total: int) -> None:
    """Hear of progress and say nothing."""


def write_csv(path: Path, rows: list[dict]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def rows(segments: tuple[str, ...] = ("new", "known")) -> list[dict]:
    rng = np.random.default_rng(0)
    return [{"test": number % 5, "text": text, "segment": segment, "impressions": 3000,
             "clicks": int(rng.binomial(3000, 0.06 if text.endswith("!") else 0.03))}
            for number, text in enumerate(TEXTS) for segment in segments]  # fmt: skip


def test_a_table_of_impressions(tmp_path: Path) -> None:
    log = read_log(write_csv(tmp_path / "log.csv", rows()), Asked())
    assert set(log.texts) == set(TEXTS)
    assert log.compared == "test, segment"
    assert set(log.segments) == {"new", "known"}
    found = measure(log, "auto", (), quiet)
    exclamation = next(row for row in found["attributes"] if row["attribute"] == "exclamation")
    assert exclamation["verdict"] == "more clicks"
    assert exclamation["low"] < np.log(0.06 / 0.94) - np.log(0.03 / 0.97) < exclamation["high"]
    assert {row["segment"] for row in found["segments"]} == {"new", "known"}
    assert found["impressions"] + found["impressions_that_cannot_tell"] == 3000 * len(TEXTS) * 2


def test_one_event_a_row_and_a_visitors_first_time(tmp_path: Path) -> None:
    events = [{"text": text, "click": click, "visitor": visitor, "snapshot": 0}
              for text in TEXTS[:4] for visitor, click in (("a", 0), ("a", 1), ("b", 1), ("", 0), ("", 0))]  # fmt: skip
    log = read_log(write_csv(tmp_path / "events.csv", events), Asked())
    (cells,) = log.cells.values()
    assert cells.impressions.tolist() == [4] * 4
    assert cells.clicks.tolist() == [1] * 4
    assert "4 rows are others" in log.notes[1]


def test_the_archive_is_known_by_its_columns(tmp_path: Path) -> None:
    table = pa.table({"clickability_test_id": [f"t{place // 4}" for place in range(48)], "headline": TEXTS,
                      "impressions": [2000] * 48, "clicks": [20 + place for place in range(48)]})  # fmt: skip
    pq.write_table(table, tmp_path / "archive.parquet")
    log = read_log(tmp_path / "archive.parquet", Asked())
    assert log.compared == "test"
    assert len(log.texts) == 48


@pytest.mark.parametrize(
    ("change", "asked", "said"),
    [
        ({"clicks": 4000}, {}, "row 1: 4000 clicks on 3000 impressions"),
        ({"impressions": "many"}, {}, "row 1: impressions is 'many'; give a whole number"),
        ({"clicks": 2.5}, {}, "give a whole number"),
        ({"text": ""}, {}, "row 1 has no text"),
        ({}, {"text": "words"}, "no column 'words'"),
        ({}, {"attributes": ("segment",)}, "in another row of the same text"),
        ({}, {"campaign": "open"}, "is no run folder"),
    ],
)
def test_logs_that_cannot_be(change: dict, asked: dict, said: str, tmp_path: Path) -> None:
    some = rows()
    some[0] |= change
    with pytest.raises(InputError, match=said):
        read_log(write_csv(tmp_path / "log.csv", some), Asked(**asked))


def test_counts_of_many_without_impressions_are_refused(tmp_path: Path) -> None:
    some = [{"text": row["text"], "clicks": row["clicks"]} for row in rows()]
    with pytest.raises(InputError, match="--impressions"):
        read_log(write_csv(tmp_path / "log.csv", some), Asked())
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no run"):
        read_log(tmp_path / "empty", Asked())


def test_a_log_in_which_nothing_can_be_compared(tmp_path: Path) -> None:
    some = [{"text": text, "test": number, "impressions": 100, "clicks": 3} for number, text in enumerate(TEXTS)]
    with pytest.raises(InputError, match="nothing can be compared"):
        measure(read_log(write_csv(tmp_path / "log.csv", some), Asked()), "auto", (), quiet)


def recorded_events(seed: int) -> list:
    """Return what happened to a campaign of two snapshots whose shoppers like exclamation marks."""
    rng = np.random.default_rng(seed)
    events = [Opened(slate=tuple(TEXTS), parents=tuple(TEXTS), segments=("new", "known"))]
    for snapshot in range(2):
        events.append(Published(snapshot=snapshot, probabilities=(1 / 48,) * 48, impressions=96_000))
        counts = tuple((place, segment, 1000, int(rng.binomial(1000, 0.08 if text.endswith("!") else 0.04)))
                       for place, text in enumerate(TEXTS) for segment in range(2))  # fmt: skip
        events.append(Closed(id=str(snapshot), snapshot=snapshot, counts=counts))
    return events


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that holds a run of three seeds, as its ledger tells it."""
    (tmp_path / DATABASE).touch()

    class Recorded:
        def names(self) -> list[str]:
            return [f"open, seed {seed}, {mixing}" for seed in range(3) for mixing in ("mixing", "no mixing")]

        def events(self, name: str) -> list[SimpleNamespace]:
            return [SimpleNamespace(what=event) for event in recorded_events(int(name.split()[2][0]))]

    monkeypatch.setattr(reading, "recorded", lambda path: nullcontext(Recorded()))
    return tmp_path


def test_one_campaign_of_a_run(run: Path) -> None:
    log = read_log(run, Asked(campaign="open, seed 1, no mixing"))
    (cells,) = log.cells.values()
    assert int(cells.impressions.sum()) == 2 * 2 * 48 * 1000
    assert len(np.unique(cells.strata)) == 4
    assert set(log.segments) == {"new", "known"}
    assert sum(int(some.clicks.sum()) for some in log.segments.values()) == int(cells.clicks.sum())
    with pytest.raises(InputError, match=r"no campaign 'x' among the 6 of .*; give one, or all"):
        read_log(run, Asked(campaign="x"))
    with pytest.raises(InputError, match="--within is of tables"):
        read_log(run, Asked(within=("day",)))


def test_the_mean_of_all_campaigns_that_mix(run: Path) -> None:
    log = read_log(run, Asked())
    assert list(log.cells) == [f"open, seed {seed}, mixing" for seed in range(3)]
    found = measure(log, "rules", (), quiet)
    assert found["campaigns"] == 3
    row = next(row for row in found["attributes"] if row["attribute"] == "exclamation")
    each = [one["difference"] for one in found["by_campaign"] if one["attribute"] == "exclamation"]
    assert row["difference"] == pytest.approx(np.mean(each))
    assert row["high"] - row["difference"] == pytest.approx(4.303 * np.std(each, ddof=1) / 3**0.5, rel=1e-3)
    assert render(found)


def test_the_command_writes_tables_figure_and_page(tmp_path: Path) -> None:
    log, out = write_csv(tmp_path / "log.csv", rows()), tmp_path / "study"
    run = CliRunner().invoke(app, ["study", "preferences", str(log), "--out", str(out), "--json"])
    assert run.exit_code == 0, run.output
    found = json.loads(run.stdout)
    assert {Path(file).name for file in found["files"]} == {path.name for path in out.iterdir()}
    assert {path.suffix for path in out.iterdir()} == {
        ".csv",
        ".parquet",
        ".md",
        ".tex",
        ".svg",
        ".pdf",
        ".html",
        ".json",
        ".yaml",
    }
    assert pq.read_table(out / "part_worths.parquet").num_rows == len(found["part_worths"])
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert "exclamation" in page
    assert CliRunner().invoke(app, ["study", "preferences", str(log)]).exit_code == 0


def test_texts_and_names_are_escaped_on_the_page(tmp_path: Path) -> None:
    some = [{**row, "<b>": "x" if place % 4 else "<i>"} for place, row in enumerate(rows(("one",)))]
    log = read_log(write_csv(tmp_path / "log.csv", some), Asked(attributes=("<b>",)))
    page = render(measure(log, "rules", (), quiet))
    assert "<b>" not in page
    assert "<i>" not in page
