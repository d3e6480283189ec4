"""The uplift study: its answers are arithmetic on campaigns' click rates; what was played is kept; bad settings."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from copyloom import InputError
from experiments.commands.cli import app
from experiments.simulation.arms import OPEN, SATURATED
from experiments.simulation.runs import DATABASE, render_campaign
from experiments.studies.uplift import report
from experiments.studies.uplift.play import Product
from experiments.studies.uplift.plot import draw
from experiments.studies.uplift.settings import (
    ENTRANTS,
    MIX,
    STORED,
    UpliftStudy,
    drawn,
    given_of,
    held_back,
    parts,
)
from experiments.studies.uplift.study import (
    _against_stored,
    _answers,
    _by_entrant,
    _groups,
    hindrance,
    in_words,
    measure,
)
from experiments.texts import name_subject

SMALL: dict[str, Any] = {"worlds": ("grammar",), "impressions": (600,), "pools": (15,), "subjects": 1, "seeds": 2,
                         "rounds": 3, "warm_up": 1, "editor": False}  # fmt: skip


def quiet(stage: str, done: int, total: int) -> None:
    """Hear of progress and say nothing."""


def rows(gains: dict[tuple[int, str, int], float], entrant: str = MIX) -> list[dict[str, Any]]:
    """Return campaigns of an entrant and those of stored texts that met the same shoppers."""
    found = []
    for (subject, kind, seed), gain in gains.items():
        for name in (STORED, entrant):
            rate = 0.02 * (1 + gain * (name == entrant))
            found.append({"subject": subject, "pool": 15, "world": "grammar", "half_life": 0.0, "impressions": 600,
                          "entrant": name, "seed": seed, "campaigns": kind, "ctr": rate, "ctr_whole": rate,
                          "regret": None if name == STORED else 5.0, "ctr_best_stored": 0.03, "ctr_uniform": 0.02,
                          "written": 4, "shown": 9, "refused_share": 0.25, "printable_share": None, "new_share": 0.5,
                          "effective_texts": 2.0, "distance": 0.3})  # fmt: skip
    return found


def test_the_answers_are_those_of_campaigns_that_met_the_same_shoppers() -> None:
    first = {(0, OPEN, 0): 0.3, (0, OPEN, 1): 0.0, (0, SATURATED, 0): -0.02}
    second = {(1, OPEN, 0): 0.1, (1, OPEN, 1): 0.005}
    every = list(_against_stored(rows({**first, **second})))
    found = _answers(every)
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
    assert found["regret"] == 5.0
    alone = _by_entrant(every)[STORED]
    assert (alone["uplift"], alone["regret"]) == (0, None)
    assert alone["mix_gains"] == pytest.approx(found["uplift"])
    assert _answers(list(_against_stored(rows(second))))["loss_where_mixing_cannot_help"] is None


def test_a_pool_is_drawn_once_and_a_third_is_about_its_subject() -> None:
    subject, stored = drawn(0, 3, 60)
    assert (subject, stored) == drawn(0, 3, 60) != drawn(0, 4, 60)
    assert len(set(stored)) == 60
    assert name_subject(stored, subject) == stored[:20]
    assert drawn(0, 3, 30)[0] == subject


def test_texts_held_back_are_about_the_subject_and_not_in_the_pool() -> None:
    settings = UpliftStudy()
    pool = given_of(settings, 3, 60)
    held = held_back(0, 3, pool, 50)
    assert len(set(held)) == 50
    assert pool.subject is not None
    assert name_subject(held, pool.subject) == held
    assert not set(held) & set(pool.texts)
    assert held == held_back(0, 3, pool, 50)


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ValidationError, match="shared out evenly among 10 subjects"):
        UpliftStudy(seeds=12)
    with pytest.raises(ValidationError, match="50 impressions cannot be shared out evenly among 40 rounds"):
        UpliftStudy(impressions=(50,))
    with pytest.raises(ValidationError, match="given twice"):
        UpliftStudy(worlds=("grammar", "grammar"))
    with pytest.raises(ValidationError, match="greater than or equal to 15"):
        UpliftStudy(pools=(14,))
    with pytest.raises(ValidationError, match=r"entrants\.0"):
        UpliftStudy(entrants=("guess",))  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="http"):
        UpliftStudy(endpoint="localhost:8000")


def test_mix_and_stored_always_play_and_each_part_has_a_name_of_its_own() -> None:
    assert UpliftStudy(entrants=("human",)).entrants == ("mix", "stored", "human")
    settings = UpliftStudy(worlds=("grammar", "words"), pools=(15, 30), impressions=(400, 800), half_lives=(0, 10),
                           subjects=2, seeds=4)  # fmt: skip
    every = list(parts(settings))
    assert len({(part.subject, part.pool, part.name) for part in every}) == len(every) == 64
    config = Product(settings, 1, 30, Path()).config(every[-1])
    assert (config.seeds, config.seed, config.impressions * config.rounds, config.world.name) == (2, 1, 800, "words")  # type: ignore[union-attr]
    assert config.shoppers.drift is not None


def test_an_entrant_that_cannot_play_is_refused_before_anything_is_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COPYLOOM_MODELS", str(tmp_path / "none"))
    settings = UpliftStudy(**SMALL, entrants=("prompted",))
    with pytest.raises(InputError, match="prompted cannot play: smollm2 is not on this machine; get it"):
        measure(settings, tmp_path, quiet)
    assert hindrance("prompted", settings.model_copy(update={"endpoint": "http://localhost:1/v1"})) is None
    assert "no adapter" in str(hindrance("encoder", settings.model_copy(update={"model": "gpt2"})))


@pytest.mark.usefixtures("quick_study")
def test_an_entrant_changes_no_other_and_a_folder_may_be_moved(tmp_path: Path) -> None:
    few = UpliftStudy(**SMALL)
    measure(few, tmp_path / "few", quiet)
    more = few.model_copy(update={"entrants": ("mix", "stored", "human")})
    found = measure(more, tmp_path / "more", quiet)
    kept = "subject-0-pool-15"
    for file in ("mix-grammar-600.json", "stored-grammar-600.json"):
        assert (tmp_path / "few" / kept / file).read_bytes() == (tmp_path / "more" / kept / file).read_bytes()

    table = pq.read_table(tmp_path / "more" / "campaigns.parquet").to_pylist()
    assert {row["entrant"] for row in table} == set(more.entrants)
    assert len({(row["seed"], row["campaigns"], row["ctr_uniform"]) for row in table}) == 4  # the same shoppers
    assert {row["written"] > 0 for row in table} == {True, False}  # stored writes nothing
    assert all(row["regret"] > 0 for row in table)  # the best text is known
    curves = pq.read_table(tmp_path / "more" / "curves.parquet").to_pylist()
    assert [row["impressions"] for row in curves[:3]] == [200, 400, 600]

    page = render_campaign(tmp_path / "more" / kept, "human-grammar-600, open, seed 1")
    assert "seed 1" in page.read_text(encoding="utf-8")

    shutil.move(tmp_path / "more", tmp_path / "moved")
    before = (tmp_path / "moved" / kept / DATABASE).stat().st_mtime_ns
    assert measure(more, tmp_path / "moved", quiet) == found
    assert (tmp_path / "moved" / kept / DATABASE).stat().st_mtime_ns == before
    refused = "holds campaigns with other settings, texts or versions; choose another --folder"
    with pytest.raises(InputError, match=refused):
        measure(more.model_copy(update={"rounds": 2}), tmp_path / "moved", quiet)


def test_the_page_and_the_figures_say_what_was_found(tmp_path: Path) -> None:
    gains = {(subject, kind, seed): 0.2 + 0.01 * seed for subject in (0, 1) for kind in (OPEN, SATURATED)
             for seed in (0, 1)}  # fmt: skip
    every = list(_against_stored(rows(gains)))
    curves = [{**row, "traffic": 600, "snapshot": number, "impressions": 300 * (number + 1)}
              for row in every for number in (0, 1)]  # fmt: skip
    groups = list(_groups(every, curves))
    assert groups[0]["curves"][MIX]["impressions"] == [300, 600]
    found = {**_answers(every), "entrants": _by_entrant(every), "groups": groups,
             "settings": UpliftStudy().model_dump(mode="json")}  # fmt: skip
    files = draw(found, tmp_path)
    assert {file.name for file in files} == {f"{name}.{kind}" for name in ("learning", "uplift", "campaigns")
                                             for kind in ("svg", "pdf")}  # fmt: skip
    report.write(found, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Mixing ended with 20" in page.replace("\u00a0", " ") or "more clicks" in page
    assert "it is not a person" in page
    assert page.count("data:image/svg+xml;base64,") == 3
    first, second = in_words(groups)
    assert (first["entrant"], second["entrant"]) == (STORED, MIX)
    assert (first["uplift"], second["uplift"]) == ("–", "+20.5%")


def test_the_command_says_in_a_line_what_cannot_be(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["study", "uplift", "--seeds", "12", "--folder", str(tmp_path)])
    assert said.exit_code == 2
    assert "shared out evenly among 10 subjects" in " ".join(said.output.split())
    said = CliRunner().invoke(app, ["study", "uplift", "--entrants", "mix,guess", "--folder", str(tmp_path)])
    assert said.exit_code == 2
    assert "guess" in said.output or "entrants" in said.output


@pytest.mark.slow
@pytest.mark.usefixtures("quick_study")
def test_every_entrant_writes_learns_and_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    settings = UpliftStudy(**{**SMALL, "rounds": 14, "impressions": (2800,)}, asked="copyloom-tiny",
                           entrants=tuple(ENTRANTS))  # fmt: skip
    found = measure(settings, tmp_path / "whole", quiet)
    by_entrant = found["entrants"]
    assert list(by_entrant) == list(ENTRANTS)
    assert by_entrant["prompted"]["refused_share"] > by_entrant["human"]["refused_share"]  # it cannot be asked

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "showing texts to shoppers" and done == 7:
            raise KeyboardInterrupt

    for entrant in ("again", "encoder", "prompted"):  # each is stopped once, and gone on with
        some = settings.model_copy(update={"entrants": ("mix", "stored", entrant)})
        with pytest.raises(KeyboardInterrupt):
            measure(some, tmp_path / "stopped", stop)
        measure(some, tmp_path / "stopped", quiet)
    assert measure(settings, tmp_path / "stopped", quiet) == found


@pytest.mark.slow
def test_the_command_prints_the_answers_and_goes_on_where_it_was(tmp_path: Path) -> None:
    options = ["study", "uplift", "--quick", "--subjects", "1", "--seeds", "2", "--rounds", "5", "--warm-up", "16",
               "--half-life", "0", "--half-life", "4", "--folder", str(tmp_path), "--report",
               str(tmp_path / "page.html"), "--json"]  # fmt: skip
    first = CliRunner().invoke(app, options, catch_exceptions=False)
    found = json.loads(first.stdout)
    assert found["campaigns"] == 4
    assert len(found["uplift_interval"]) == 2
    assert 0 <= found["gaining_share"] <= 1
    assert found["loss_where_mixing_cannot_help"] is not None
    still, drifting = found["groups"]
    assert still["regret"] is not None
    assert drifting["regret"] is drifting["loss_where_mixing_cannot_help"] is None  # nobody knows the best there
    assert (tmp_path / "quick" / "campaigns.parquet").exists()
    assert (tmp_path / "page.html").exists()
    again = CliRunner().invoke(app, options, catch_exceptions=False)
    assert json.loads(again.stdout) == found
