"""``copyloom plan`` prints what the planner says, and its exit status is the verdict."""

import json

import pytest
import typer
from typer.testing import CliRunner

from bandits.sequential.planning import PlannedCampaign, plan_traffic
from copyloom import InputError
from experiments.commands.plan import plan

app = typer.Typer()
app.command()(plan)


def run(*options):
    return CliRunner().invoke(app, ["--impressions-per-day", "10000", "--base-rate", "0.02", *options])


def test_json_holds_the_plan_and_what_was_asked():
    result = run("--texts", "2", "--lift", "0.2", "--days", "14", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    expected = plan_traffic(PlannedCampaign(10_000, 14, 0.02, 2, lift=0.2))
    assert found["feasible"] is True
    assert found["needed"] == expected.needed
    assert found["lift"] == 0.2
    assert found["logit_sd"] is None


def test_a_plan_that_cannot_finish_is_refused_in_words():
    result = run("--texts", "8", "--logit-sd", "0.29", "--features", "8")
    assert result.exit_code == 1
    words = " ".join(result.stdout.split())
    assert "cannot finish" in words
    assert "larger margin" in words
    assert "impressions of each text" in words
    assert json.loads(run("--texts", "8", "--logit-sd", "0.29", "--json").stdout)["feasible"] is False


@pytest.mark.parametrize("options", [["--texts", "2"], ["--texts", "2", "--lift", "0.2", "--logit-sd", "0.2"]])
def test_a_scenario_must_be_chosen(options):
    result = run(*options)
    assert isinstance(result.exception, InputError)
    wanted = "exactly one" if "--lift" in options else "--lift (or --logit-sd) must be given"
    assert wanted in str(result.exception)
