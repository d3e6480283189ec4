"""Steering: points move exactly where they should, never too far, and the text itself never comes back."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import InputError, SpaceError
from embeddings.directions import Direction
from embeddings.effort import Effort
from embeddings.encoder import ENCODER_ID
from embeddings.space import Space
from embeddings.steering import (
    Steered,
    angles_between,
    basis,
    exchanged,
    like,
    objections,
    steer,
    towards,
    turned,
    without,
)
from embeddings.summary import SpaceIdentity, SummaryEmbedding
from generator.record import ProductRecord

SIZE = 16
IDENTITY = SpaceIdentity("tiny", "a1", "b2", ENCODER_ID, "", vectors=2, hidden_size=4)


def unit(count: int, seed: int, size: int = SIZE) -> Tensor:
    return normalize(torch.randn(count, size, generator=torch.Generator().manual_seed(seed)), dim=1)


def stored(points: Tensor, encoder: str = ENCODER_ID) -> list[SummaryEmbedding]:
    space = replace(IDENTITY, encoder=encoder)
    return [SummaryEmbedding(f"text {i}", torch.zeros(2, 4), p, space, True, 1.0, 0, "adapter")
            for i, p in enumerate(points)]  # fmt: skip


def directions(count: int, seed: int = 9, size: int = SIZE, encoder: str = ENCODER_ID) -> list[Direction]:
    return [Direction(f"style {i}", ("other",), n, encoder, 0.9, 10) for i, n in enumerate(unit(count, seed, size))]


@given(strength=st.floats(-1, 1), trust=st.floats(0, 90), seed=st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_the_trust_region_holds_whatever_is_asked(strength: float, trust: float, seed: int) -> None:
    points, (direction,) = unit(5, seed), directions(1, seed + 100)
    moved = towards(stored(points), direction, strength, trust)
    assert torch.allclose(moved.norm(dim=1), torch.ones(5), atol=1e-5)
    assert bool((angles_between(points, moved) <= abs(strength) * trust + 1e-3).all())
    exaggerated = like(
        stored(points), stored(unit(1, seed + 200)), directions(4, seed + 300), 1 + 4 * abs(strength), trust
    )
    assert bool((angles_between(points, exaggerated) <= trust + 1e-3).all())
    assert bool((angles_between(points, without(stored(points), [direction], 3.0, trust)) <= trust + 1e-3).all())


def test_strength_nought_leaves_points_as_they_are() -> None:
    points = unit(5, 1)
    assert torch.equal(towards(stored(points), directions(1)[0], 0.0), points)
    assert torch.equal(without(stored(points), directions(2), 0.0), points)
    assert torch.equal(like(stored(points), stored(unit(1, 2)), directions(2), 0.0), points)
    assert torch.equal(towards(stored(points), directions(1)[0], 1.0, trust=0.0), points)


def test_strength_is_a_share_of_the_angle_and_the_projection_grows_with_it() -> None:
    points, (direction,) = unit(5, 1, 300), directions(1, size=300)
    moved = [towards(stored(points), direction, strength) for strength in (-1.0, -0.5, 0.0, 0.5, 1.0)]
    turns = torch.stack([angles_between(points, one) for one in moved])
    assert torch.allclose(turns, torch.tensor([60.0, 30, 0, 30, 60], dtype=torch.float64)[:, None], atol=1e-3)
    projections = torch.stack([one @ direction.normal for one in moved])
    assert bool((projections.diff(dim=0) > 0).all())


def test_a_turn_ends_at_its_target() -> None:
    point, target = torch.tensor([[1.0, 0, 0]]), torch.tensor([[0.0, 1, 0]])
    assert torch.allclose(turned(point, target, math.radians(170)), target, atol=1e-6)
    assert torch.equal(turned(point, point, 1.0), point)


def test_removal_makes_the_projection_zero_and_touches_nothing_else() -> None:
    points, removed = unit(6, 1), directions(3)
    found = without(stored(points), removed, trust=90.0)
    columns = basis(removed).float()
    assert float((found @ torch.stack([d.normal for d in removed]).T).abs().max()) < 1e-6
    assert torch.allclose(found.norm(dim=1), torch.ones(6), atol=1e-6)
    across = points - points @ columns @ columns.T
    assert torch.allclose(normalize(across, dim=1), found, atol=1e-6)


def test_transfer_takes_the_others_part_exactly_and_keeps_the_rest() -> None:
    points, others, styles = unit(6, 1), unit(1, 2), directions(3)
    found, columns = like(stored(points), stored(others), styles, trust=90.0), basis(styles).float()
    assert torch.allclose(found @ columns, (others @ columns).expand(6, -1), atol=1e-6)
    assert torch.allclose(found.norm(dim=1), torch.ones(6), atol=1e-6)
    rest = [normalize(rows - rows @ columns @ columns.T, dim=1) for rows in (points, found)]
    assert torch.allclose(*rest, atol=1e-5)
    several = like(stored(points), stored(unit(4, 3)), styles, trust=90.0)
    assert torch.allclose(several @ columns, (unit(4, 3).mean(0) @ columns).expand(6, -1), atol=1e-6)


def test_twice_the_transfer_goes_twice_as_far() -> None:
    points, others, columns = unit(6, 1), 0.2 * unit(6, 2), basis(directions(2))
    once, twice = (exchanged(points, others, columns, strength).double() @ columns for strength in (1.0, 2.0))
    start = points.double() @ columns
    short = (2 * once - start).norm(dim=1) < 1  # a part is never longer than the whole
    assert bool(short.any())
    assert torch.allclose((twice - start)[short], 2 * (once - start)[short], atol=1e-6)


def test_directions_that_say_the_same_span_one_line() -> None:
    one = directions(1)[0]
    assert basis([one, replace(one, normal=-one.normal)]).shape == (SIZE, 1)


def test_a_direction_of_another_encoder_is_named_with_its_own() -> None:
    points = unit(2, 1)
    with pytest.raises(SpaceError, match=f"encoder large, 'text 0' was stored with {ENCODER_ID}"):
        towards(stored(points), directions(1, encoder="large")[0])
    with pytest.raises(SpaceError, match=f"encoder {ENCODER_ID}, 'text 0' was stored with small"):
        without(stored(points, "small"), directions(1))
    with pytest.raises(InputError, match=r"directions have sizes \[8\], sentence vectors 16"):
        towards(stored(points), directions(1, size=8)[0])


@pytest.mark.parametrize("strength", [1.1, -2.0, math.nan, math.inf])
def test_strengths_and_trusts_out_of_range(strength: float) -> None:
    texts, (direction,) = stored(unit(2, 1)), directions(1)
    with pytest.raises(InputError, match="strength is"):
        towards(texts, direction, strength)
    with pytest.raises(InputError, match="trust is"):
        towards(texts, direction, 1.0, 100 * strength)
    with pytest.raises(InputError, match="strength is"):
        without(texts, [direction], 5 * strength)


def test_nothing_to_work_with() -> None:
    texts = stored(unit(2, 1))
    with pytest.raises(InputError, match="no direction"):
        without(texts, [])
    with pytest.raises(InputError, match="no stored text"):
        like(texts, [], directions(1))
    own = Direction("own", ("other",), texts[0].sentence_vector, ENCODER_ID, 0.9, 10)
    with pytest.raises(InputError, match="lies wholly in the directions"):
        without(texts, [own])


def test_the_text_itself_never_comes_back(space: Space) -> None:
    texts = ["A quiet kettle for cold days.", "You will fall in love with this chef knife."]
    here = space.invert(texts)
    points = torch.stack([row.sentence_vector for row in here])
    for found, row in zip(steer(space, here, points, Effort(2, 1, 1, 8)), here, strict=True):
        assert found is not None
        assert found.parent == row.text != found.text
        assert found.new
        assert found.semantic_consistency == pytest.approx(found.cosine_kept)  # the point was not moved


def test_a_subject_keeps_the_facts_while_the_style_moves(space: Space) -> None:
    mug = ProductRecord(name="trail mug", quality=["leak-proof"], feature=["a screw-on lid"])
    here = space.invert(["You will fall in love with this quiet kettle."])
    (found,) = steer(space, here, here[0].sentence_vector[None], Effort(4), mug)
    assert found is not None
    assert "trail mug" in found.text


def test_points_and_models_that_do_not_do(space: Space, random_model: Any) -> None:
    here = space.invert(["A quiet kettle for cold days."])
    with pytest.raises(InputError, match=r"points has shape \(1, 3\)"):
        steer(space, here, torch.zeros(1, 3))
    with pytest.raises(InputError, match="all of it finite"):
        steer(space, here, torch.full((1, space.encoder.size), torch.nan))
    bare = Space(random_model(), space.encoder)
    with pytest.raises(SpaceError, match="is stored in"):
        steer(bare, here, here[0].sentence_vector[None])
    plain = replace(here[0], space=bare.identity)
    with pytest.raises(InputError, match="has no adapter"):
        steer(bare, [plain], plain.sentence_vector[None])


def test_words_of_a_style_may_be_the_writers_own_but_numbers_agree() -> None:
    shears = ProductRecord(name="garden shears", material=["carbon steel"], quality=["well balanced"])
    point, parent = torch.ones(4), "Give travelers the drone that says you care."

    def against(text: str, own_words: bool) -> list[str]:
        return objections(Steered(text, parent, point, 1.0, 0.0, point), shears, "luxury", own_words)

    fit = "The garden shears of uncommon beauty."
    assert against(fit, own_words=True) == []
    assert any("'uncommon'" in why for why in against(fit, own_words=False))
    for own_words in (True, False):
        assert any("do not agree in number" in why for why in against("Allow yourself a garden shears.", own_words))
