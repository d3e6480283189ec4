"""Worlds and click models of a run's settings: what they see, what is refused, and a study that goes on."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from copyloom import InputError
from embeddings.geometry import Reduction
from embeddings.space import Space
from experiments.simulation.config import RunConfig, WorldConfig
from experiments.simulation.past_clicks import crowd_of, headline_taste
from experiments.simulation.runs import SUMMARY, run_study
from experiments.simulation.worlds import unseen_world
from tests.experiments.simulation.test_runs import numbers, quiet, states, stop_at

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = f"{ROOT / 'examples' / 'click_model' / 'shoppers.py'}:ShortTexts"
SMALL: dict[str, Any] = {
    "seeds": 1, "rounds": 4, "impressions": 300, "device": "cpu", "click_model": EXAMPLE,
    "rules": {"full_stop": False, "only_known_words": False, "min_characters": 5},
    "proposer": {"every": 2, "until": 1.0, "shortlist": 2, "admit": 2, "warm_up": 4},
    "shoppers": {"product": {}, "position": {}, "fatigue": {"audience": 300}, "novelty": {}, "sessions": {}, "bots": {},
                 "rewards": {"delay": 1, "window": 2, "lost": 0.1, "doubled": 0.1, "repeated": 0.3}},
}  # fmt: skip


TEXTS = (
    "Double room close to the old town", "Sunny flat with a view of the river", "Quiet studio near the station",
    "Cosy loft that warms in winter",
)  # fmt: skip


@pytest.mark.slow
def test_a_study_of_late_and_tired_shoppers_of_ones_own_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    texts = tmp_path / "claims.txt"
    texts.write_text("\n".join(TEXTS))
    settings = RunConfig(**SMALL, texts=texts)
    data = run_study(settings, tmp_path / "one", quiet)
    with pytest.raises(KeyboardInterrupt):
        run_study(settings, tmp_path / "other", stop_at("showing texts to shoppers", 3))
    run_study(settings, tmp_path / "other", quiet)
    assert numbers(tmp_path / "one") == numbers(tmp_path / "other")
    summary = json.loads((tmp_path / "one" / SUMMARY).read_text())
    assert summary["world"] == "a click model of your own"
    assert data["campaigns"][0]["expected_ctr"]
    page = (tmp_path / "one" / "report.html").read_text()
    assert "They click as a model of your own says" in page
    assert "product, position, fatigue, novelty, sessions, bots, rewards decide" in page


def lay_tables(folder: Path) -> dict[str, Any]:
    """Write an archive of tests and ratings of things, and return the worlds that they teach."""
    rng = np.random.default_rng(0)
    said = [f"{first} {second} {third}"
            for first in ("A quiet mug", "The last kettle", "Nobody's lamp", "Tea that sings")
            for second in ("for early risers", "you will not forget", "with a lid", "at half the price")
            for third in ("today", "again", "at home")]  # fmt: skip
    tests = [f"{test},{said[(test + 5 * arm) % 48]} {test},3000,{rng.binomial(3000, 0.02 + 0.02 * arm)}"
             for test in range(20) for arm in range(3)]  # fmt: skip
    rated = [f"{user},{item},{1 + (user % 2 == item % 2) * 3 + rng.integers(2)}"
             for user in range(40) for item in range(48) if rng.random() < 0.7]  # fmt: skip
    tables = {
        "archive": ["clickability_test_id,headline,impressions,clicks", *tests],
        "ratings": ["userId,movieId,rating", *rated],
        "items": ["movieId,extract", *(f"{number},{text}." for number, text in enumerate(said))],
    }
    files = {name: folder / f"{name}.csv" for name in tables}
    for name, rows in tables.items():
        files[name].write_text("\n".join(rows))
    archive = files.pop("archive")
    return {"headlines": {"name": "headlines", "archive": archive}, "ratings": {"name": "ratings", **files}}


@pytest.mark.parametrize(
    ("world", "more"),
    [
        ("headlines", {"policy": {"segments": {}}}),
        pytest.param("sentence-space", {}, marks=pytest.mark.slow),
        pytest.param("unseen-space", {"features": 6}, marks=pytest.mark.slow),
        pytest.param("ratings", {}, marks=pytest.mark.slow),
        pytest.param(
            "words", {"shoppers": {"drift": {"changes": [2]}, "rewards": {"delay": 1}}}, marks=pytest.mark.slow
        ),
    ],
)
def test_a_run_in_any_world_goes_on_as_if_it_had_not_stopped(
    world: str, more: dict[str, Any], memo: Path, tmp_path: Path
) -> None:
    proposer = {
        "every": 1,
        "until": 1.0,
        "shortlist": 2,
        "admit_every": 1,
        "admit": 2,
        "warm_up": 8,
        "promote_at": 0.02,
    }
    common = {"seeds": 1, "rounds": 4, "impressions": 300, "device": "cpu", "proposer": proposer}
    settings = RunConfig(**common, world=lay_tables(tmp_path).get(world, world), **more)
    run_study(settings, tmp_path / "one", quiet, memo=memo)
    with pytest.raises(KeyboardInterrupt):
        run_study(settings, tmp_path / "other", stop_at("showing texts to shoppers", 2), memo=memo)
    run_study(settings, tmp_path / "other", quiet, memo=memo)
    assert numbers(tmp_path / "one") == numbers(tmp_path / "other")
    assert states(tmp_path / "one") == states(tmp_path / "other")


def test_what_is_unseen_is_orthogonal_to_what_the_policy_reads(space: Space) -> None:
    vectors = torch.randn(60, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    reduction = Reduction.fit(vectors, 5)
    world = unseen_world(lambda texts: vectors[[int(text) for text in texts]], reduction, ("0", "1"), space.model, ())
    rest = world.features([str(number) for number in range(60)])
    np.testing.assert_allclose(rest @ reduction.basis.numpy(), 0, atol=1e-12)
    assert np.linalg.matrix_rank(rest) == 7
    assert np.abs(np.corrcoef(rest[:, 0], reduction(vectors)[:, 0])[0, 1]) < 1e-9
    np.testing.assert_array_equal(world.features(["7"])[0], rest[7])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"world": "weather"}, "world.name"),
        ({"world": "headlines"}, "the world headlines needs archive; give archive"),
        ({"world": {"name": "words", "archive": "a.csv"}}, "the world words needs no file; leave out archive"),
        ({"world": {"name": "ratings", "ratings": "a.csv"}}, "needs ratings and items; give items"),
        ({"click_model": "ShortTexts"}, "click_model"),
        ({"click_model": EXAMPLE, "shoppers": {"drift": {"half_life": 2}}}, "shoppers.drift is for tastes"),
        ({"click_model": EXAMPLE, "shoppers": {"base_rate": 0.1}}, "shoppers.base_rate is for tastes"),
        ({"shoppers": {"bots": {"share": 2}}}, "shoppers.bots.share"),
        ({"shoppers": {"rewards": {"delay": 1e6}}}, "shoppers.rewards.delay: .* less than or equal to 100"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RunConfig.checked(**settings)


def test_files_that_teach_nothing_are_refused(tmp_path: Path) -> None:
    items, ratings, archive = tmp_path / "items.csv", tmp_path / "ratings.csv", tmp_path / "archive.csv"
    archive.write_text("headline,clicks\nA mug,3\n")
    with pytest.raises(InputError, match="clickability_test_id"):
        headline_taste(WorldConfig(name="headlines", archive=archive))
    items.write_text("movieId,extract\n1,A mug is lost.\n2,A mug is found.\n")
    world = WorldConfig(name="ratings", ratings=ratings, items=items)
    for content, message in (
        ("userId,movieId\n1,1\n", "rating"),
        ("userId,movieId,rating\n1,7,4\n", "no movieId of"),
        ("userId,movieId,rating\n1,1,good\n", "row 1: rating is 'good'; give a number"),
        ("userId,movieId,rating\n1,1,4\n", "teach no tastes"),
    ):
        ratings.write_text(content)
        with pytest.raises(InputError, match=message):
            crowd_of(world)


def test_settings_of_the_guide_are_taken() -> None:
    page = (ROOT / "docs" / "guide" / "shoppers.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    assert len(blocks) == 4
    for block in blocks:
        RunConfig.checked(**block)
