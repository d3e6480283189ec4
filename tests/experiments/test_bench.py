"""The benchmark's baseline does what was published, and its ratios belong together."""

import pytest
import torch

from embeddings.starts import token_mean_start
from experiments.bench.inversion import _ratios, _row
from experiments.bench.one_at_a_time import best_rate, invert_one


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
