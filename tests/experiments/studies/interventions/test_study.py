"""The study of interventions: equal effects are read off right, it goes on where it stopped, it is what it says."""

import dataclasses
import json
import math

import numpy as np
import pytest

from copyloom import CopyloomError
from experiments.studies.interventions import study
from experiments.studies.interventions.kept import Kept
from experiments.studies.interventions.matching import COST, EFFECT, MEASURES, Curve, at_effect, compared, cost_of
from experiments.studies.interventions.measuring import Judge, Outcome
from experiments.studies.interventions.report import main_table, write
from experiments.studies.interventions.settings import InterventionStudy
from experiments.studies.interventions.ways import HEADS, LAYER, LEFT, METHODS, POINT, Way, places, strengths
from experiments.styles import paired_claims
from generator.decoding import Decoded
from generator.grammar import Grammar
from generator.language_model import LanguageModel
from generator.settings import validated

SMALL = InterventionStudy(wishes=("emotional",), texts=3, validation=2, products=10, layers=1, strengths=2, ranges=1)


def curve(effect, cost):
    """Return a curve of texts that are all alike but for the effect, (S, N)."""
    effect, cost = np.array(effect, dtype=float), np.array(cost, dtype=float)
    flat = np.repeat(cost[:, None], effect.shape[1], 1)
    return Curve(np.arange(len(effect), dtype=float), {name: effect if name == EFFECT else flat for name in MEASURES})


def test_equal_effect_is_first_reached_between_two_doses():
    effect = [[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]]
    found, reached = curve(effect, [0.0, 0.2, 0.6, 1.0]).at(0.5)
    assert reached
    assert (found["strength"], found[COST], found[EFFECT]) == (pytest.approx(1.5), pytest.approx(0.4), 0.5)
    found, reached = curve(effect, [0.0, 0.2, 0.6, 1.0]).at(0.8)
    assert not reached
    assert (found["strength"], found[EFFECT]) == (2.0, 0.75)
    nothing, reached = at_effect(
        np.arange(3.0), {EFFECT: np.zeros((3, 1)), "read": np.array([[0.0], [0.1], [0.3]])}, 0.5
    )
    assert (float(nothing["strength"][0]), bool(reached[0])) == (2.0, False)


def test_methods_are_compared_on_the_same_resampled_texts():
    """Ours beside itself differs by nothing, in every sample; a method that costs more everywhere surely does."""
    effect = (np.random.default_rng(0).random((4, 60)) < np.array([0, 0.3, 0.6, 0.9])[:, None]).astype(float)
    ours, dear = curve(effect, [0, 0.1, 0.2, 0.3]), curve(effect, [0, 0.3, 0.6, 0.9])
    groups = np.arange(60)
    assert compared(ours, ours, 0.5, groups)["cost_above_ours_interval"] == [0.0, 0.0]
    row = compared(dear, ours, 0.5, groups)
    assert row["reached"]
    assert 0 < row["cost_above_ours_interval"][0] < row["cost_above_ours"]
    never = compared(curve(np.zeros((4, 60)), [0, 1, 1, 1]), ours, 0.5, groups)
    assert (never["reached"], never["reached_share"], never["cost_above_ours"]) == (False, 0.0, None)


def test_the_cost_weighs_three_losses():
    kept, lost = (np.array([value]) for value in (1.0, 0.0))
    assert cost_of(kept, kept, lost) == 0
    assert cost_of(lost, lost, np.array([9.0])) == 1
    assert cost_of(np.array([0.7]), lost, np.array([-1.0])) == pytest.approx(1.3 / 3)


def test_a_claim_in_the_style_is_that_and_babble_is_not(space):
    """The judge sees the grammar's own claim about the same product as wished and true; a heap of words is neither."""
    grammar = Grammar.load()
    learnt, judged = study.frames_apart(grammar)
    assert not learnt & judged
    assert learnt | judged == {frame.text for frame in grammar.frames}
    claims = paired_claims(grammar.styles, 10, "judge", frames=judged)
    assert {claim.frame.text for claim in claims} <= judged
    judge = Judge(space, claims, ["emotional"])
    own = grammar.styles.index("emotional")
    left, wished = [claims[n * 10 : n * 10 + 10][(own + 1) % 10] for n in range(10)], claims[own::10]
    found = judge.outcomes(left, "emotional", [Decoded(claim.text, (), True, 0.0) for claim in wished])
    assert all(one.read and one.product and one.true and not one.unchanged for one in found)
    assert sum(one.achieved for one in found) >= 9
    assert np.mean([one.along for one in found]) > 0.5
    heap = judge.outcomes(left[:2], "emotional", [Decoded("heart love heart heart you heart love", (), True, 0.0)] * 2)
    assert all(not one.achieved and not one.product for one in heap)
    same = judge.outcomes(left, "emotional", [Decoded(claim.text, (), True, 0.0) for claim in left])
    assert all(one.unchanged and one.along == one.excess == 0 and one.cosine == pytest.approx(1) for one in same)
    (empty,) = judge.outcomes(left[:1], "emotional", [Decoded("", (), True, 0.0)])
    assert math.isfinite(empty.loss)
    assert not empty.read


def test_what_was_kept_is_not_measured_again_even_if_the_last_line_was_torn(tmp_path):
    one = Outcome("a", True, True, True, True, 0.5, 0.4, True, False, 1.0, 0.1, False, 1)
    way = Way(POINT, "classifier", 0.3)
    assert Kept(tmp_path, "x").get("test", way, "urgent", lambda: [one]) == [one]
    (file,) = tmp_path.iterdir()
    with file.open("a") as torn:
        torn.write('["half a li')
    again = Kept(tmp_path, "x")
    assert again.get("test", way, "urgent", lambda: pytest.fail("measured again")) == [one]
    assert again.get("test", way, "luxury", lambda: [one, one]) == [one, one]
    assert Kept(tmp_path, "x").get("test", way, "luxury", lambda: pytest.fail("measured again")) == [one, one]
    assert Kept(tmp_path, "another").get("test", way, "urgent", list) == []


def test_places_are_spread_over_a_model():
    settings = InterventionStudy(layers=3)
    found = places(settings, 30, 270)
    assert [place for place in found["layer"] if place.startswith("front")] == ["front 0", "front 14", "front 29"]
    assert "last 45" in found[HEADS]
    assert set(found) == set(METHODS)


def test_a_small_study_from_end_to_end(space, tmp_path, monkeypatch):
    """The same seed gives the same numbers, the second time from what was kept; intervals hold their means."""
    few_methods = (POINT, LAYER, HEADS)
    one = space.model  # decodes few rows at a time here, and three methods act at one place each: quick
    few = LanguageModel(one.model, one.tokenizer, one.name, dataclasses.replace(one.device, decode_rows=8))
    quick = dataclasses.replace(space, model=few)
    monkeypatch.setattr(study.Space, "load", staticmethod(lambda *_: quick))
    monkeypatch.setattr(study, "places", lambda *given: {name: places(*given)[name][:1] for name in few_methods})
    monkeypatch.setattr(study, "first_strengths", lambda *given: [strengths(*given)[1]])
    made = study._bench(quick, SMALL, tmp_path, lambda *_: None)

    def once(*_):
        return dataclasses.replace(made[0], kept=Kept(tmp_path, "small")), *made[1:]

    monkeypatch.setattr(study, "_bench", once)
    found, texts = study.measure(SMALL, tmp_path, "cpu", lambda *_: None)
    monkeypatch.setattr(study, "carry_out", lambda *_: pytest.fail("decoded again"))
    again, _ = study.measure(SMALL, tmp_path, "cpu", lambda *_: None)
    assert json.dumps(again) == json.dumps(found)
    left = found["doses"][0]
    assert (left["method"], left["unchanged"], left["achieved"]) == (LEFT, 1.0, 0.0)
    assert [row["method"] for row in found["methods"]] == list(few_methods)
    assert {row["random"] for row in found["doses"]} == {True, False}
    for row in found["doses"]:
        low, high = row["cosine_interval"]
        assert low - 1e-9 <= row["cosine"] <= high + 1e-9
    assert sum(row["chosen"] for row in found["places"]) == len(few_methods)
    assert len(texts) == 3 * len(found["doses"])
    files = {file.name for file in write(found, texts, tmp_path)}
    assert {"texts.parquet", "table.md", "interventions.svg", "interventions.html"} <= files
    page = (tmp_path / "interventions.html").read_text()
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert len(main_table(found)[1]) == len(few_methods) + 1


def test_the_verdict_names_what_costs_least_and_says_when_it_cannot_tell():
    def row(method, cost, reached=True, above=(0.0, 0.0)):
        return {"method": method, "name": METHODS[method], "place": "here", "reached": reached, COST: cost,
                "cost_above_ours": sum(above) / 2, "cost_above_ours_interval": list(above)}  # fmt: skip

    ours, better, unsure = row(POINT, 0.4), row("layer", 0.2, above=(-0.3, -0.1)), row("layer", 0.3, above=(-0.2, 0.1))
    never = row(HEADS, 0.9, reached=False)
    said = study.verdict({"target": 0.5, "methods": [ours, better, never]})
    assert "activation addition (here) costs least" in said
    assert "the evidence favours it as default" in said
    assert said.endswith("Not reached by head shift.")
    assert "not told apart, so the default" in study.verdict({"target": 0.5, "methods": [ours, unsure]})
    worse = row("layer", 0.6, above=(0.1, 0.3))
    assert "moved point (here) costs least: the default stays." in study.verdict(
        {"target": 0.5, "methods": [ours, worse]}
    )
    assert study.verdict({"target": 0.5, "methods": [never]}).startswith("No method brings 50%")


@pytest.mark.parametrize("given", [{"wishes": ()}, {"wishes": ("loud",)}, {"wishes": ("urgent", "urgent")},
                                   {"wishes": Grammar.load().styles}, {"texts": 1}, {"strengths": 9}])  # fmt: skip
def test_wrong_settings_are_refused(given):
    with pytest.raises(CopyloomError):
        validated(InterventionStudy, given, "a test")
