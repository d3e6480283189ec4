"""Headlines replayed: same shoppers for all, the rules beside what they must earn, and the command."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from bandits.rewards.pooled_rates import RatePrior
from copyloom import InputError
from experiments.studies.headlines.archive import read_archive
from experiments.studies.headlines.replay import Group, replay
from experiments.studies.headlines.rules import Known
from experiments.studies.headlines.settings import CEILING, ENTRANTS, ORACLE, HeadlineStudy
from experiments.studies.headlines.words import accuracy, folds_of, learn
from tests.experiments.commands.test_cli import fails, run

SEEDS = np.arange(3)


@pytest.fixture(scope="module")
def tests() -> Group:
    """Tests of four headlines at about 3 %, of which words tell a little."""
    rng = np.random.default_rng(0)
    factors = np.exp(rng.normal(0, 0.15, (60, 4)))
    factors /= factors.mean(1, keepdims=True)
    rates = 0.03 * rng.gamma(4, 1 / 4, (60, 1)) * factors * rng.gamma(16, 1 / 16, (60, 4))
    places, many = np.repeat(np.arange(60), 4), np.full(240, 1e6)
    priors = [RatePrior.fit(places, many, many * rates.ravel(), one) for one in (factors.ravel(), None)]
    known = Known(factors, priors[0], priors[1], 0.03, (2.0, 64.0))
    return Group(np.arange(60), np.tile(rates, (len(SEEDS), 1, 1)), known)


def test_each_entrant_earns_between_the_worst_and_the_best(tests):
    earned = {name: replay(tests, name, 60, SEEDS) for name in (*ENTRANTS, CEILING, ORACLE)}
    rates = tests.rates[0]
    for name, found in earned.items():
        assert (found.clicks <= 4 * rates.max(1) + 1e-12).all(), name
        assert (found.clicks >= 4 * rates.min(1) - 1e-12).all(), name
        assert ((found.kept == rates.max(1)) == found.found).all(), name
    assert earned["uniform"].clicks == pytest.approx(np.tile(4 * rates.mean(1), (3, 1)))
    means = {name: found.clicks.mean() for name, found in earned.items()}
    assert means["uniform"] < means["ours"] < means[CEILING] < means[ORACLE]
    assert earned[ORACLE].clicks == pytest.approx(np.tile(4 * rates.max(1), (3, 1)))
    found_best = {name: found.found.mean() for name, found in earned.items()}
    assert found_best["ours to name the best"] > max(found_best["uniform"], found_best["thompson"])
    assert means["ours"] > max(means["explore then commit"], means["thompson"], means["ucb"])


@pytest.mark.parametrize("entrant", ["ours", "ours to name the best", "thompson", CEILING])
def test_the_same_seed_is_the_same_table_and_seeds_do_not_depend_on_one_another(tests, entrant):
    together = replay(tests, entrant, 20, SEEDS)
    assert np.array_equal(together.clicks, replay(tests, entrant, 20, SEEDS).clicks)
    alone = Group(tests.places, tests.rates[1:2], tests.known)
    assert np.array_equal(together.clicks[1], replay(alone, entrant, 20, SEEDS[1:2]).clicks[0])


def archive_of(path: Path) -> Path:
    """Fifty tests of three headlines and ten of two: those with "why" are clicked half as often again."""
    rng = np.random.default_rng(1)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["clickability_test_id", "headline", "impressions", "clicks"])
        for number in range(60):
            rate = 0.02 * rng.gamma(4, 1 / 4)
            for place, words in enumerate(("why", "how", "when")[: 3 if number < 50 else 2]):
                true = rate * (1.5 if words == "why" else 1.0) * rng.gamma(25, 1 / 25)
                rows.writerow(
                    [number, f"{words} thing {number} is number {place}", 2000, rng.binomial(2000, min(true, 1))]
                )
    return path


def test_words_are_learned_from_other_tests_alone(tmp_path):
    archive = read_archive(archive_of(tmp_path / "archive.csv"))
    folds = folds_of(archive, 3)
    held_out = folds == 0
    found = learn(archive, held_out, {})
    own = held_out[archive.tests]
    why = np.array([headline.startswith("why") for headline in archive.headlines])
    assert found.factors[own & why].mean() > 1.1 > found.factors[own & ~why].mean()
    clicks = archive.clicks.copy()
    archive.clicks[own] = 0
    assert np.array_equal(found.factors[own], learn(archive, held_out, {}).factors[own])
    archive.clicks[:] = clicks
    assert accuracy(archive, found.factors)["best_named"] > 0.5


def test_the_command_prints_each_entrant_and_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    monkeypatch.setenv("COPYLOOM_MODELS", str(tmp_path / "none"))  # without the writer's states
    archive, out = archive_of(tmp_path / "archive.csv"), tmp_path / "found.json"
    asked = ("study", "headlines", "--archive", str(archive), "--seeds", "2", "--folds", "2", "--tau", "5",
             "--truth", "raw", "--folder", str(tmp_path / "kept"), "--out", str(out), "--best-rule", "3",
             "--plot", str(tmp_path / "plot.svg"), "--report", str(tmp_path / "page.html"), "--json")  # fmt: skip
    result = run(*asked)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [row["entrant"] for row in found["rows"]] == [*ENTRANTS, CEILING, ORACLE]
    assert (
        found["ceiling_share"]["raw"]["5"] == next(r for r in found["rows"] if r["entrant"] == "ours")["ceiling_share"]
    )
    for row in found["rows"]:
        assert row["interval"][0] <= row["clicks"] <= row["interval"][1]
    assert (tmp_path / "plot.svg").read_text().startswith("<?xml")
    (beside,) = found["best_rule"]
    assert (beside["tau"], beside["tests"]) == (5, 3)
    assert 0 < beside["ours"] <= beside["best_rule"]
    assert beside["further_interval"][0] <= beside["further"] <= beside["further_interval"][1]
    page = (tmp_path / "page.html").read_text()
    assert "the best of all rules" in page
    assert "was not on this machine" in page
    assert 'src="http' not in page
    assert all(f'<th scope="row">{name}</th>' in page for name in (*ENTRANTS, CEILING, ORACLE))
    assert not found["words"]["states"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").rglob("*.np?")}
    again = json.loads(run(*asked, "--entrant", "lola").stdout)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").rglob("*.np?")} == before
    assert again["rows"] == [
        row for row in found["rows"] if row["entrant"] in ("uniform", "lola", "ours", CEILING, ORACLE)
    ]


def test_what_is_asked_wrongly_is_refused(tmp_path):
    archive = archive_of(tmp_path / "archive.csv")
    assert "--archive must be given" in fails("study", "headlines")
    assert "there is no 'best'" in fails("study", "headlines", "--archive", str(archive), "--entrant", "best")
    for wrong in ({"taus": (0,)}, {"seeds": 1}, {"folds": 1}, {"truths": ("x",)}, {"best_rule": -1}):
        with pytest.raises(InputError):
            HeadlineStudy(**wrong)
