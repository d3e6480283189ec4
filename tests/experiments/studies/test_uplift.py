"""The uplift study: its answers are arithmetic on campaigns' click rates; what was played is kept; bad settings."""

import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from experiments.commands.cli import app
from experiments.simulation.arms import OPEN, SATURATED
from experiments.studies.uplift.settings import Part, UpliftStudy, drawn, parts, run_config
from experiments.studies.uplift.study import _answers, _rows
from experiments.texts import name_subject


def campaigns(uplifts: dict[tuple[str, int], float]) -> list[dict[str, object]]:
    found = []
    for (world, seed), uplift in uplifts.items():
        for mixing in (True, False):
            rate = 0.02 * (1 + uplift * mixing)
            found.append({"world": world, "seed": seed, "mixing": mixing, "expected_ctr": [0.01] * 8 + [rate] * 2,
                          "true_rates": [0.01, 0.03] + [0.04] * mixing})  # fmt: skip
    return found


def test_the_answers_are_those_of_campaigns_that_met_the_same_shoppers() -> None:
    first = list(_rows(Part("grammar", 100, 15, 0), campaigns({(OPEN, 0): 0.3, (OPEN, 1): 0.0, (SATURATED, 0): -0.02})))
    second = list(_rows(Part("grammar", 100, 15, 1), campaigns({(OPEN, 0): 0.1, (OPEN, 1): 0.005})))
    assert {row["ctr_best_stored"] for row in first} == {0.03}  # of the campaign that shows stored texts alone
    found = _answers([*first, *second])
    assert found["campaigns"] == 4
    ratios = np.array([[1.3, 1.0], [1.1, 1.005]])
    assert found["uplift"] == pytest.approx(ratios.prod() ** 0.25 - 1)
    assert found["gaining_share"] == 0.5  # a gain of less than 1 % is none
    assert found["losing_share"] == 0
    assert found["loss_where_mixing_cannot_help"] == pytest.approx(0.02)
    first_mean, second_mean = np.log(ratios).mean(1)  # over the means of two subjects, with one degree of freedom
    low, high = np.log1p(found["uplift_interval"])
    assert (low + high) / 2 == pytest.approx((first_mean + second_mean) / 2)
    assert high - low == pytest.approx(12.7062 * (first_mean - second_mean), rel=1e-4)
    assert found["gaining_share_interval"] == pytest.approx([0.5, 0.5])
    assert _answers(second)["loss_where_mixing_cannot_help"] is None


def test_a_pool_is_drawn_once_and_a_third_is_about_its_subject() -> None:
    subject, stored = drawn(0, 3, 60)
    assert (subject, stored) == drawn(0, 3, 60) != drawn(0, 4, 60)
    assert len(set(stored)) == 60
    assert name_subject(stored, subject) == stored[:20]
    assert drawn(0, 3, 30)[0] == subject


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ValidationError, match="shared out evenly among 10 subjects"):
        UpliftStudy(seeds=12)
    with pytest.raises(ValidationError, match="50 impressions cannot be shared out evenly among 40 rounds"):
        UpliftStudy(impressions=(50,))
    with pytest.raises(ValidationError, match="given twice"):
        UpliftStudy(worlds=("grammar", "grammar"))
    with pytest.raises(ValidationError, match="greater than or equal to 15"):
        UpliftStudy(pools=(14,))


def test_each_part_has_a_run_of_its_own(tmp_path: Path) -> None:
    settings = UpliftStudy(worlds=("grammar", "words"), pools=(15, 30), impressions=(400, 800), subjects=2, seeds=4)
    every = list(parts(settings))
    assert len({part.name for part in every}) == len(every) == 16
    config = run_config(settings, every[-1], tmp_path)
    assert (config.seeds, config.seed, config.impressions * config.rounds, config.world.name) == (2, 1, 800, "words")  # type: ignore[union-attr]
    assert config.texts is not None
    assert len(config.texts.read_text(encoding="utf-8").splitlines()) == 30


def test_the_command_says_in_a_line_what_cannot_be(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["study", "uplift", "--seeds", "12", "--folder", str(tmp_path)])
    assert said.exit_code == 2
    assert "shared out evenly among 10 subjects" in " ".join(said.output.split())


@pytest.mark.slow
def test_the_command_prints_the_answers_and_goes_on_where_it_was(tmp_path: Path) -> None:
    options = ["study", "uplift", "--quick", "--subjects", "1", "--seeds", "2", "--rounds", "5", "--warm-up", "16",
               "--folder", str(tmp_path), "--json"]  # fmt: skip
    first = CliRunner().invoke(app, options, catch_exceptions=False)
    found = json.loads(first.stdout)
    assert found["campaigns"] == 2
    assert len(found["uplift_interval"]) == 2
    assert 0 <= found["gaining_share"] <= 1
    assert found["loss_where_mixing_cannot_help"] is not None
    assert (tmp_path / "quick" / "campaigns.parquet").exists()
    again = CliRunner().invoke(app, options, catch_exceptions=False)
    assert json.loads(again.stdout) == found
