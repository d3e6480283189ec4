"""The benchmark's baseline does what was published, and its ratios belong together."""

from functools import partial

import pytest
import torch

from embeddings.starts import token_mean_start
from experiments.benchmarks.inversion.one_at_a_time import best_rate, invert_one
from experiments.benchmarks.inversion.run import _ratios, _row
from experiments.studies.inversion import choices

TEXTS = [
    f"A quiet kettle for {n} cold days."
    for n in ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "many")
]


def test_the_baseline_stops_where_every_token_is_the_likeliest(space):
    model, text = space.model, "A quiet kettle."
    start = token_mean_start(model, text, space.vectors, None)
    solved = invert_one(model, text, start)
    ids = torch.tensor([*model.tokenize(text), model.end])
    logits = model.logits(torch.cat([solved.vectors, model.embed(ids[:-1])])[None])[0, space.vectors - 1 :]
    assert logits.argmax(-1).tolist() == ids.tolist()
    assert solved.steps > 0
    assert invert_one(model, text, solved.vectors).steps == 0
    assert invert_one(model, text, start, max_steps=2).steps == 2


def test_the_best_rate_takes_the_fewest_steps(space):
    text = "Tea."
    start = token_mean_start(space.model, text, space.vectors, None)
    rate = best_rate(space.model, [text], start[None])
    assert invert_one(space.model, text, start, rate).steps <= invert_one(space.model, text, start).steps


def test_cost_and_number_of_steps_make_the_speed(space):
    texts = ["A quiet kettle.", "Tea."]
    found = space.invert(texts)
    ours, single = _row(found, 2.0), {**_row(found, 9.0), "steps": 12.0, "seconds_per_step": 9.0 / 24}
    ratios = _ratios(ours, ours, single)
    assert ratios["cost_per_step"] * ratios["number_of_steps"] == pytest.approx(ratios["token_mean"])
    assert ratios["token_mean"] == pytest.approx(4.5)


def test_the_study_of_choices_measures_each(monkeypatch):
    """With few texts: every table has a row for each choice, and the extremes are as they must be."""
    for name, value in (("_TEXTS", 8), ("_PAIRS", 6), ("_RADII", (0.5, 2.0)), ("_WEIGHTS", (0.0, 3000.0)),
                        ("_NOISES", (0.0,)), ("_SPANS", (10, 20)), ("_CHARACTERS", 120)):  # fmt: skip
        monkeypatch.setattr(choices, name, value)
    monkeypatch.setattr(choices, "probe_radius", partial(choices.probe_radius, radii=(0.5, 2.0)))
    monkeypatch.setattr(choices, "bench_texts", lambda data: (TEXTS, "claims"))
    found = choices.choices(None, "cpu", lambda *stage: None)
    assert {name: len(rows) for name, rows in found.items() if name != "texts"} == {
        "radius": 4, "mixtures": 2, "relational": 2, "transfer": 1, "surprisal": 2, "spans": 2,
    }  # fmt: skip
    assert found["transfer"][0]["exact_unchanged"] == 1
    assert found["transfer"][0]["steps_carried"] == 0
    assert found["spans"][0]["spans"] > found["spans"][1]["spans"]
    assert all(-1 <= row["semantic_consistency"] <= 1 for row in found["mixtures"])
    assert found["relational"][1]["rank_correlation"] > found["relational"][0]["rank_correlation"]
