"""The study of a shop's statistics, in short: over HTTP, resumed, and what it makes of what was played."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from experiments.commands.cli import app
from experiments.studies.storefront import study, watched
from experiments.studies.storefront.shop import prepare


def quiet(stage, done, total):
    """Hear nothing."""


def test_harm_rings_over_http_and_what_was_played_is_kept(tmp_path, monkeypatch):
    """Texts with a quarter of the baseline's clicks turn the slot off; a text that pages lose is found."""
    monkeypatch.setattr(watched, "HARM", tuple(replace(one, looks=6, visits=600) for one in watched.HARM))
    found = study.run(tmp_path, alike=0, counted=1, unlike=0, harm=1, pairs=0, report=quiet)
    assert found["faults"] == 0
    rang = {(row["scene"], row["alarm"]): row for row in found["alarms"] if row["rang"]}
    assert (watched.HARM[0].name, "guardrail") in rang
    assert (watched.HARM[1].name, "guardrail") in rang
    played = (tmp_path / "campaigns.jsonl").read_text()
    assert len(played.splitlines()) == 4
    with (tmp_path / "campaigns.jsonl").open("a") as file:
        file.write(played[:100])  # the process died while it wrote
    assert study.run(tmp_path, alike=0, counted=1, unlike=0, harm=1, pairs=0, report=quiet) == found


def test_equal_texts_ring_nothing_and_the_log_knows_other_policies(tmp_path):
    """Without learning, so that no model is loaded; people come back. Intervals miss once in twenty times."""
    beginning = tmp_path / "beginning.db"
    prepare(beginning, watched.given(), watched.CONFIG, False, quiet)
    scene = replace(watched.UNLIKE[1], frozen=True, looks=3, rates=(0.1,) * 4)
    found = watched.play(scene, 0, beginning)
    assert not any(found["rang"].values())
    assert (found["faults"], found["looks"], found["off"]) == (0, 3, False)
    assert {row["target"] for row in found["estimates"]} >= {"all alike", "always the baseline"}
    for row in found["estimates"]:
        assert row["low"] < row["truth"] < row["high"], row


def test_the_summary_counts_campaigns_and_pairs():
    def rang(first):
        return {"rang": dict.fromkeys(watched.ALARMS) | {"guardrail": first}, "estimates": [], "faults": 0}

    scene = {"scene": {"name": "s", "visits": 100}}
    side = {"faults": 1, "bandit": 10, "best_stored": 0.1, "uniform": 0.1, "best": 0.1, "written": 4, "refused": 1,
            "rewritten": 2, "rewritten_refused": 0, "written_shown": 5, "unreadable": 0, "off": False,
            "best_text": "a"}  # fmt: skip
    found = study.summary([
        ({**scene, "seed": 0}, rang(3)), ({**scene, "seed": 1}, rang(None)),
        *(({"mixing": mixing, "seed": seed}, {**side, "rates": [0.1] * 4 + [end]})
          for seed in (0, 1) for mixing, end in ((True, 0.15 + 0.01 * seed), (False, 0.1))),
    ])  # fmt: skip
    guard = next(row for row in found["alarms"] if row["alarm"] == "guardrail")
    assert (guard["rang"], guard["campaigns"], guard["visits"], guard["stated"]) == (1, 2, 300, 0.05)
    assert guard["interval"] == pytest.approx([0.0126, 0.9874], abs=1e-4)
    assert found["faults"] == 4
    assert found["mixing"]["end"]["uplift"] == pytest.approx(0.55)
    assert found["mixing"]["whole"]["with"] == pytest.approx(0.111)
    assert (found["mixing"]["refused"], found["mixing"]["written_shown"]) == (2, 0.5)


@pytest.mark.parametrize("scene", [watched.ALIKE[1], watched.HARM[0]], ids=lambda scene: scene.name)
def test_what_is_counted_without_http_is_what_the_service_counts(tmp_path, scene):
    prepare(tmp_path / "beginning.db", watched.given(), watched.CONFIG, False, quiet)
    scene = replace(scene, frozen=True, looks=3, visits=600)
    counted = watched.count(scene, 5, tmp_path / "beginning.db")
    assert watched.play(scene, 5, tmp_path / "beginning.db") == counted


@pytest.mark.slow
def test_the_command_plays_learning_campaigns_and_a_pair(tmp_path):
    options = [
        "--alike",
        "1",
        "--counted",
        "0",
        "--unlike",
        "1",
        "--harm",
        "0",
        "--pairs",
        "1",
        "--rounds",
        "9",
        "--visits",
        "60",
    ]
    result = CliRunner().invoke(app, ["study", "storefront", "--out", str(tmp_path), *options, "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["campaigns"], found["faults"], found["mixing"]["pairs"]) == (6, 0, 1)
    assert found["mixing"]["written_shown"] > 0
    assert str(tmp_path / "study.json") in found.pop("files")
    assert json.loads((tmp_path / "study.json").read_text()) == found
    shown = CliRunner().invoke(app, ["study", "storefront", "--out", str(tmp_path), *options])
    assert "Mean true click rate, 1 pairs" in shown.output
