"""The bandit benchmark: its worlds are as stated, its rounds are shared by all, and a run goes on where it stopped."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from copyloom import InputError
from experiments.benchmarks.bandits import cone, run
from experiments.benchmarks.bandits.entrants import CEILING, GRIDS, MAKERS, OURS, UNIFORM, VW, missing, tuned
from experiments.benchmarks.bandits.play import Replicate, play
from experiments.benchmarks.bandits.worlds import BASE, CELLS, World
from experiments.commands.cli import app

SMALL = replace(BASE, name="small", texts=20, d=4, rate=0.1, horizon=1000)
needs_rivals = pytest.mark.skipif(bool(missing()), reason="an entrant's package is not installed (extra bench)")


@pytest.mark.parametrize("cell", CELLS.values(), ids=lambda cell: cell.name)
def test_the_first_texts_have_the_stated_rate_and_spread(cell):
    world = World(cell, 3)
    rates = world.rates(0)[world.texts_at(0)]
    assert rates.mean() == pytest.approx(cell.rate, rel=1e-6)
    assert np.log(rates / (1 - rates)).std() == pytest.approx(cell.logit_sd, rel=1e-6)
    assert np.linalg.norm(world.features[:, : cell.d], axis=1) == pytest.approx(np.sqrt(cell.d))


def test_worlds_change_as_their_names_say():
    abrupt = World(replace(SMALL, drift="abrupt"), 0)
    assert np.array_equal(abrupt.rates(0), abrupt.rates(499))
    assert np.corrcoef(abrupt.rates(0), abrupt.rates(500))[0, 1] < 0.9
    slow = World(replace(SMALL, drift="slow"), 0)
    steps = [np.abs(slow.rates(t) - slow.rates(t + 100)).max() for t in range(0, 900, 100)]
    assert 0 < max(steps) < np.abs(slow.rates(0) - slow.rates(999)).max()
    churn = World(replace(SMALL, churn=100), 0)
    assert len(churn.features) == 20 + 9 * 2
    assert churn.texts_at(99).tolist() == list(range(20))
    assert churn.texts_at(999).tolist() == list(range(18, 38))
    hints = {kind: World(replace(SMALL, hint=kind), 0) for kind in ("right", "reversed")}
    logits = {kind: np.log(world.rates(0) / (1 - world.rates(0))) for kind, world in hints.items()}
    assert np.corrcoef(hints["right"].features[:, -1], logits["right"])[0, 1] > 0.3
    assert np.corrcoef(hints["reversed"].features[:, -1], logits["reversed"])[0, 1] < -0.3


def test_uniform_play_misses_what_it_must():
    world = World(SMALL, 1)
    found = play(SMALL, UNIFORM, {}, 1)
    expected = 1000 * (world.rates(0).max() - world.rates(0).mean())
    assert found.regret == pytest.approx(expected, rel=0.1)
    assert found.curve == [pytest.approx(found.regret)]


def test_learners_lie_between_uniform_play_and_the_ceiling():
    regret = {name: np.mean([play(SMALL, name, {}, seed).regret for seed in range(3)])
              for name in (UNIFORM, OURS, CEILING)}  # fmt: skip
    assert regret[CEILING] < regret[OURS] < regret[UNIFORM]


@needs_rivals
@pytest.mark.parametrize("change", [{"churn": 100}, {"delay": 0.1}, {"hint": "right"}], ids=str)
def test_every_entrant_plays_every_kind_of_world(change):
    cell = replace(SMALL, horizon=220, **change)
    for name in MAKERS:
        settings = GRIDS[name][0] if name in GRIDS else {}
        assert 0 < play(cell, name, settings, 0).regret < 220


def test_entrants_may_try_as_many_settings_each():
    assert {len(settings) for settings in GRIDS.values()} == {20}


def test_what_was_played_is_kept_and_a_torn_line_is_not(tmp_path):
    task, other = run.Task(SMALL, UNIFORM, {}, 0), run.Task(SMALL, UNIFORM, {}, 1)
    run.Store(tmp_path / "s").add(task, Replicate(1.0, [1.0], 0.5))
    with (tmp_path / "s").open("a") as file:
        file.write('{"key": "tor')
    store = run.Store(tmp_path / "s")
    assert store[task] == Replicate(1.0, [1.0], 0.5)
    store.add(other, Replicate(2.0, [2.0], 0.5))
    again = run.Store(tmp_path / "s")
    assert again[other].regret == 2.0
    assert task in again


def test_summaries_compare_seed_by_seed():
    rows = {name: [Replicate(scale * (10 + seed), [0.0], 1.0) for seed in range(20)]
            for name, scale in ((OURS, 1.0), (VW, 2.0), ("mabwiser", 0.9), (UNIFORM, 4.0), (CEILING, 0.0))}  # fmt: skip
    found = run.summary(SMALL, rows)
    assert found["ratio_to_best_vw"] == pytest.approx(0.5)
    assert found["ratio_interval"] == pytest.approx([0.5, 0.5])
    assert found["ceiling_share"] == pytest.approx(0.75)
    assert found["significantly_lower"] == ["mabwiser"]
    assert found["rounds_per_second"] == {OURS: 1000, VW: 1000, "mabwiser": 1000}
    assert found["seeds"] == 20


@needs_rivals
def test_the_command_prints_what_it_promises_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "experiments.benchmarks.bandits.worlds.CELLS", {"base": replace(SMALL, name="base", horizon=200)}
    )
    monkeypatch.setattr("experiments.benchmarks.bandits.worlds.BASE", replace(SMALL, name="base", horizon=200))
    command = ["bench", "bandits", "--seeds", "2", "--processes", "1", "--out", str(tmp_path), "--json"]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    found = json.loads(first.stdout)
    assert set(found["regret"]) > {OURS, VW, "bayesianbandits", "mabwiser", UNIFORM, CEILING}
    assert found["seeds"] == 2
    assert len(found["ratio_interval"]) == 2
    assert isinstance(found["ceiling_share"], float)
    played = (tmp_path / "replicates.jsonl").read_text()
    assert json.loads(CliRunner().invoke(app, command).stdout)["regret"] == found["regret"]
    assert (tmp_path / "replicates.jsonl").read_text() == played


def test_an_unknown_cell_is_refused():
    found = CliRunner().invoke(app, ["bench", "bandits", "--cell", "moon"])
    assert found.exit_code == 2
    assert "no cell 'moon'" in found.output


def test_settings_are_recorded_for_the_base_task():
    for name in GRIDS:
        assert dict(tuned("base", name)) in [dict(settings) for settings in GRIDS[name]]
    with pytest.raises(InputError, match="no settings are recorded"):
        tuned("base", "nobody")


def test_mixing_pays_where_points_are_normalised(monkeypatch, tmp_path):
    monkeypatch.setattr(cone, "POOLS", ((200, 8), (300, 16)))
    monkeypatch.setattr(cone, "DRAWS", 3)
    monkeypatch.setattr(cone, "PROPOSALS", ((500, 2, False),))
    done = CliRunner().invoke(app, ["bench", "bandits", "--cone", "--json", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["proposals"][0]["milliseconds_each"] > 0
    for row in found["pools"]:
        reward = row["reward"]
        assert reward["plain"] == pytest.approx(reward["single"])  # the vertex result
        assert reward["single"] < reward["pursuit, 3"] <= reward["search, 3"] + 1e-9
        assert reward["search, 3"] < reward["search, 8"] <= reward["cone"] + 1e-9
        assert reward["cone"] <= 1 + 1e-9


def test_a_right_hint_is_worth_more_as_a_text_prior():
    cell = replace(SMALL, hint="right", rate=0.05)
    regret = {
        prior: np.mean([play(cell, OURS, {"text_prior": prior}, seed).regret for seed in range(6)])
        for prior in (False, True)
    }
    assert regret[True] < regret[False]
