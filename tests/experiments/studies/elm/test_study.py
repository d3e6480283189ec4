"""The study of ELM: every task and method has its numbers, the same again, and differences are read off right."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from copyloom import InputError
from experiments.commands.cli import app
from experiments.elm.questions import Question
from experiments.studies.elm.answering import CONSTANT, ELM, METHODS, POINT, PROMPTED, RULES, TOLD
from experiments.studies.elm.report import answers
from experiments.studies.elm.scores import BEHAVIOURAL, RIGHT, SEMANTIC, STRANGE, Scored, compared, rows_of, score
from tests.experiments.domains.invented import invented_data

TASKS = ("describe", "compare", "would like", "reception", "film for viewer", "product title")
SMALL = [*(word for task in TASKS for word in ("--task", task)), "--questions", "8", "--pairs", "2", "--adapter-steps",
         "1", "--steps", "2", "--rows", "4", "--rank", "2", "--feedback-steps", "1", "--tokens", "8",
         "--people", "10"]  # fmt: skip


@pytest.mark.slow
def test_every_task_has_its_numbers_and_a_second_call_writes_nothing_anew(tmp_path):
    data, folder = invented_data(tmp_path / "data"), tmp_path / "study"
    call = ["study", "elm", "--quick", "--data", str(data), "--folder", str(folder), *SMALL, "--json"]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    rows = {(row["task"], row["method"], row["measure"]): row for row in found["tasks"]}
    tasks = {task for task, _, _ in rows}
    assert tasks == set(TASKS)
    told = {task: {method for name, method, _ in rows if name == task} for task in tasks}
    assert told["describe"] == {*METHODS, RULES}
    assert {*METHODS} - told["compare"] == {POINT}  # it has no point
    assert {*METHODS} - told["reception"] == {TOLD, PROMPTED, POINT}  # words would be the answer
    assert rows["describe", POINT, SEMANTIC]["value"] > rows["describe", CONSTANT, SEMANTIC]["value"]
    assert {row["domain"] for row in rows.values() if row["task"] == "product title"} == {"products"}
    assert max(row["tasks"] for row in found["compared"]) == len(TASKS) - 1  # none about products
    assert all(row["low"] <= row["value"] + 1e-9 for row in rows.values() if row["measure"] != BEHAVIOURAL)
    assert rows["describe", RULES, SEMANTIC]["value"] > rows["describe", ELM, SEMANTIC]["value"]
    assert {row["task"] for row in found["samples"]} == tasks
    assert {row["weight"] for row in found["between"]} >= {0.0, 1.0, 1.4}
    page = (folder / "quick" / "elm.html").read_text()
    assert "What does a model say of a point?" in page
    assert "right, products, whose texts the writer was trained on" in page
    assert "semantic consistency, products" not in page  # a title has no point
    kept = {file: file.stat().st_mtime_ns for file in (folder / "quick" / "answers").iterdir()}
    again = json.loads(CliRunner().invoke(app, call).stdout)
    assert again["tasks"] == found["tasks"]
    assert kept == {file: file.stat().st_mtime_ns for file in (folder / "quick" / "answers").iterdir()}
    other = CliRunner().invoke(app, [*call, "--rank", "3"])
    assert other.exit_code
    assert "holds a training of another configuration (rank: 2 there, 3 now)" in other.output


def scored(right, semantic=None):
    return Scored(
        np.array(right, float), np.zeros(len(right)), None if semantic is None else np.array(semantic, float), None
    )


def test_differences_are_paired_and_the_mean_over_tasks():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=40)
    found = {"one": {ELM: scored(np.ones(40), noise + 0.2), "other": scored(np.zeros(40), noise)},
             "two": {ELM: scored(np.zeros(20)), "other": scored(np.full(20, 0.5))}}  # fmt: skip
    rows = {row["measure"]: row for row in compared(found)}
    assert rows[RIGHT]["above"] == pytest.approx(0.25)
    assert rows[SEMANTIC]["above"] == pytest.approx(0.2)
    assert rows[SEMANTIC]["high"] - rows[SEMANTIC]["low"] == pytest.approx(0, abs=1e-9)
    assert (rows[RIGHT]["tasks"], rows[SEMANTIC]["tasks"]) == (2, 1)
    assert BEHAVIOURAL not in rows
    alone = compared({"two": {**found["two"], "third": scored(np.zeros(20))}})  # no task with a point
    assert {(row["method"], row["measure"]) for row in alone} == {
        (method, measure) for method in ("other", "third") for measure in (RIGHT, STRANGE)
    }
    assert compared({}) == []


def test_what_is_said_follows_the_intervals():
    rows = [{"method": "a", "measure": RIGHT, "above": 0.2, "low": 0.1, "high": 0.3},
            {"method": "b", "measure": RIGHT, "above": -0.2, "low": -0.3, "high": -0.1},
            {"method": "c", "measure": RIGHT, "above": 0.0, "low": -0.1, "high": 0.1},
            {"method": RULES, "measure": RIGHT, "above": -0.5, "low": -0.6, "high": -0.4}]  # fmt: skip
    assert answers({"compared": rows}) == [
        "Right, mean over tasks about films: the ELM is above a; below b; not told apart from c."
    ]
    odd = [{**row, "measure": STRANGE} for row in rows]
    assert answers({"compared": odd}) == [
        "Surprisal, mean over tasks about films: the ELM is odder than a; more usual than b; not told apart from c."
    ]


def test_a_check_gives_what_is_from_0_to_1():
    one = Question("Which?", {}, "A.", lambda text: 1.5, (0,), task="genres")
    with pytest.raises(InputError, match=r"the check of task 'genres' gave 1\.5"):
        score([one], ["B."], None, None, None, 10)


def test_a_share_of_all_or_none_has_an_interval():
    row = next(one for one in rows_of("task", "films", {ELM: scored(np.ones(10))}) if one["measure"] == RIGHT)
    assert row["low"] < 0.8
    assert row["high"] == 1


def test_without_data_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("COPYLOOM_DATA", str(tmp_path / "nothing"))
    done = CliRunner().invoke(app, ["study", "elm", "--quick", "--folder", str(tmp_path / "out")])
    assert done.exit_code
    assert "name one with --data" in done.output
    done = CliRunner().invoke(
        app, ["study", "elm", "--quick", "--data", str(tmp_path), "--folder", str(tmp_path / "out")]
    )
    assert "there is no" in done.output
    data = invented_data(tmp_path / "data", 320, 300)
    call = ["study", "elm", "--quick", "--data", str(data), "--folder", str(tmp_path / "out"), "--task", "sing"]
    assert "there is no task 'sing'; there are describe, plot," in CliRunner().invoke(app, call).output
    for lacking in ("--prompted", "--judge"):
        done = CliRunner().invoke(app, [*call[:-2], lacking, "no-such-model"])
        assert done.exit_code
        assert not (tmp_path / "out" / "quick" / "trained").exists()
