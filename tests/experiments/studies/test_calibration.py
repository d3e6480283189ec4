"""Simulated tests measured like real ones: measures known in advance, and the simulator held to the archive."""

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.studies.calibration.study import MEASURES, calibrated, measures, simulated
from experiments.studies.headlines.archive import read_archive
from simulator import ShopperConfig
from simulator.config import ProductConfig
from tests.experiments.commands.test_cli import run


def test_measures_are_those_that_made_the_tests():
    """2,000 tests of four texts with 2,000 impressions each, noise as large as the effect: within 6 %."""
    rng = np.random.default_rng(0)
    tests = np.repeat(np.arange(2000), 4)
    logits = rng.normal(-4, 0.6, 2000)[tests] + rng.normal(0, 0.25, 8000)
    rates = 1 / (1 + np.exp(-logits))
    shown = np.full(8000, 2000)
    found = measures(tests, shown, rng.binomial(shown, rates))
    within = np.sqrt((rates.reshape(2000, 4).var(1, ddof=1)).mean())
    assert found["within_logit_sd"] == pytest.approx(0.25, rel=0.06)
    assert found["between_logit_sd"] == pytest.approx(0.6, rel=0.06)
    assert found["base_rate"] == pytest.approx(rates.mean(), rel=0.02)
    assert found["within_rate_sd"] == pytest.approx(within, rel=0.06)
    assert (found["arms"], found["impressions"]) == (4, 2000)


def test_the_simulator_is_held_to_the_archive(shared_data: Path):
    """As docs/measured/calibration.md has it: with its settings all measures are the archive's within 15 %."""
    archive = read_archive(shared_data / "upworthy" / "exploratory.parquet")
    real = measures(archive.tests, archive.impressions, archive.clicks)
    fitted = calibrated(real)
    assert fitted == ShopperConfig(base_rate=0.0117, logit_sd=0.25, product={})
    assert ProductConfig().logit_sd == pytest.approx(real["between_logit_sd"], rel=0.05)
    found = simulated(archive, fitted, tests=300)
    for name in MEASURES:
        assert found[name] == pytest.approx(real[name], rel=0.15), name
    usual = ShopperConfig()
    assert 1 < usual.base_rate / real["base_rate"] < 2  # the usual shoppers click and differ more than readers did
    assert 1 < usual.logit_sd / real["within_logit_sd"] < 2


def test_the_command_prints_real_beside_simulated(tmp_path: Path):
    rng = np.random.default_rng(0)
    rows = ["clickability_test_id,headline,impressions,clicks"]
    rows += [f"{test},headline {test} {arm},3000,{rng.binomial(3000, 0.02)}" for test in range(12) for arm in range(3)]
    (tmp_path / "archive.csv").write_text("\n".join(rows))
    found = json.loads(run("study", "calibration", "--archive", str(tmp_path / "archive.csv"), "--json").stdout)
    assert [row["measure"] for row in found["rows"]] == list(MEASURES)
    assert found["tests"] == 12
    assert found["settings"]["shoppers"]["base_rate"] == pytest.approx(0.02, rel=0.1)
