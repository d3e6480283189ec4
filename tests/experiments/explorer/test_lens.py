"""The lens: its last row is what the model expects, and tokens lie nearest to themselves."""

import pytest
import torch

from copyloom import InputError
from embeddings.space import Space
from experiments.explorer import lens
from experiments.explorer.lens import lens_of
from experiments.explorer.point import Point
from experiments.explorer.sense import tokens_of


def test_the_last_row_is_what_the_model_expects_and_there_is_one_a_layer(space):
    point = Point.of_text(space, text := "This quiet kettle is made of steel.")
    found = lens_of(space, point)
    assert len(found.layers) == space.model.model.config.num_hidden_layers + 1
    assert {len(row) for row in found.layers} == {len(point.vectors)} == {len(found.nearest)}
    first = space.model.tokenize(text)[0]
    token, chance = found.layers[-1][-1][0]
    assert token == space.model.detokenize([first])
    assert chance == pytest.approx(tokens_of(space, point.vectors, [first])[0].probability, abs=1e-4)


def test_tokens_lie_nearest_to_themselves(space):
    ids = space.model.tokenize("kettle drone steel lamp knife free")[: space.vectors]
    vectors = space.model.embed(torch.tensor(ids)).float()
    found = lens_of(space, Point(3 * vectors, None, "vector", "tokens"))
    assert [few[0][0] for few in found.nearest] == [space.model.detokenize([token]) for token in ids]
    assert [few[0][1] for few in found.nearest] == pytest.approx([1] * len(ids), abs=1e-5)


def test_a_model_that_cannot_be_seen_into_says_why(space, random_model, monkeypatch):
    point = Point(torch.ones(space.vectors, space.model.hidden_size), None, "vector", "ones")
    monkeypatch.setattr(lens, "_NORMS", ("of another kind",))
    with pytest.raises(InputError, match="none of the norms of another kind"):
        lens_of(space, point)
    bare = Space(random_model(), space.encoder, vectors=4)
    monkeypatch.setattr(type(bare.model), "linear_head", None)
    with pytest.raises(InputError, match="more than a linear layer"):
        lens_of(bare, Point(torch.ones(4, bare.model.hidden_size), None, "vector", "ones"))
