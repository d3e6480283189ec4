"""A point says what is decoded there, as surely as the model is, and keeps saying it within its radius."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from copyloom import InputError
from embeddings.directions import Direction
from embeddings.space import Space
from experiments.explorer.basin import basin_of, directions_from, radii_along, says
from experiments.explorer.point import Point
from experiments.explorer.reading import piece
from experiments.explorer.sense import Shelf, sense_of, tokens_of
from experiments.explorer.sensitivity import flip_of, lead_slopes
from generator.decoding import decode

KETTLE, DRONE = TEXTS = ["This quiet kettle is made of steel.", "Give travelers the drone that says you care."]
STORED = [*TEXTS, "A lamp for late readers.", "Hurry: free shipping on the chef knife."]


def quiet(*_):
    """Hear of progress and say nothing."""


@pytest.fixture(scope="module")
def points(space):
    return [Point.of_text(space, text) for text in TEXTS]


@pytest.fixture(scope="module")
def shelf(space):
    return Shelf.of_texts(space, STORED)


def ids_of(space, point):
    (found,) = decode(space.model, point.vectors[None])
    return [*found.ids, *[space.model.end] * found.finished]


def test_a_text_is_its_summary_embedding_and_a_mixture_ends_at_its_parents(space, points):
    (stored,) = space.invert([KETTLE])
    assert torch.equal(points[0].vectors, stored.vectors)
    assert points[0].text == KETTLE
    mixture = Point.of_mixture(space, TEXTS, [1.0, 0.0])
    assert torch.allclose(mixture.vectors, space.invert(TEXTS)[0].vectors, atol=1e-4)
    assert mixture.text is None
    assert Point.of_mixture(space, TEXTS).weights == (0.5, 0.5)


def test_a_step_of_no_strength_stays_and_one_of_full_strength_turns_by_the_trust(space, points):
    normal = torch.randn(space.encoder.size, generator=torch.Generator().manual_seed(0))
    direction = Direction("odd", ("even",), normal / normal.norm(), space.encoder.name, 0.9, 10)
    assert torch.allclose(Point.of_step(space, KETTLE, direction, 0.0).vectors, points[0].vectors, atol=1e-5)
    there = Point.of_step(space, KETTLE, direction, 1.0, trust=30.0)
    assert math.degrees(math.acos(float(there.meaning @ points[0].meaning))) == pytest.approx(30, abs=0.01)


def test_a_draw_is_its_seed(space):
    assert torch.equal(Point.drawn(space, 3).vectors, Point.drawn(space, 3).vectors)
    assert not torch.equal(Point.drawn(space, 3).vectors, Point.drawn(space, 4).vectors)


def test_a_file_holds_vectors_or_a_meaning(space, points, tmp_path):
    np.save(tmp_path / "vectors.npy", points[0].vectors.numpy())
    save_file({"meaning": 7 * points[0].meaning}, tmp_path / "meaning.safetensors")
    assert torch.equal(Point.of_file(space, tmp_path / "vectors.npy").vectors, points[0].vectors)
    there = Point.of_file(space, tmp_path / "meaning.safetensors")
    assert torch.allclose(there.meaning, points[0].meaning, atol=1e-6)


@pytest.mark.parametrize(("array", "message"), [
    (np.zeros((3, 3)), r"has the shape \(3, 3\); copyloom-tiny takes \(8, 256\), or a sentence vector of 384"),
    (np.zeros(384), "not all zero"),
    (np.full((8, 256), np.nan), "not finite"),
])  # fmt: skip
def test_a_file_that_does_not_fit_is_refused(space, tmp_path, array, message):
    np.save(tmp_path / "wrong.npy", array)
    with pytest.raises(InputError, match=message):
        Point.of_file(space, tmp_path / "wrong.npy")


def test_a_file_that_is_none_or_holds_several_is_refused(space, tmp_path):
    (tmp_path / "text.npy").write_text("no numbers")
    save_file({"a": torch.zeros(2), "b": torch.zeros(2)}, tmp_path / "two.safetensors")
    for name, message in (
        ("text.npy", "cannot be read"),
        ("none.safetensors", "cannot be read"),
        ("two.safetensors", "arrays a, b"),
    ):
        with pytest.raises(InputError, match=message):
            Point.of_file(space, tmp_path / name)


def test_a_mixture_of_one_and_a_shelf_of_none_are_refused(space):
    with pytest.raises(InputError, match="two texts or more"):
        Point.of_mixture(space, [KETTLE])
    with pytest.raises(InputError, match="no stored texts"):
        Shelf.of_texts(space, [])


def test_it_says_what_is_decoded_and_is_as_sure_as_the_model(space, points, shelf):
    (stored,) = space.invert([KETTLE])
    sense = sense_of(space, points[0], shelf)
    assert (sense.decoded, sense.finished) == (KETTLE, True)
    assert "".join(token.text for token in sense.tokens[:-1]) == KETTLE
    assert sense.tokens[-1].text is None
    assert sense.least_lead == pytest.approx(stored.margin, abs=0.01)
    assert sense.reached == pytest.approx(1, abs=1e-5)
    for token in sense.tokens:
        assert token.entropy >= 0
        assert token.probability + sum(chance for _, chance in token.rivals) <= 1 + 1e-6
        assert token.lead == pytest.approx(math.log(token.probability / token.rivals[0][1]), abs=1e-3)
    assert tokens_of(space, points[0].vectors, []) == ()


def test_letters_of_several_bytes_stand_where_they_are_whole(random_model, space):
    bare = Space(random_model(), space.encoder, vectors=4)
    ids = [*bare.model.tokenize("é€a"), bare.model.end]
    assert [piece(bare, ids[:step], one) for step, one in enumerate(ids)] == ["", "é", "", "", "€", "a", None]


def test_its_own_text_is_not_near_it_but_the_others_are_in_order(space, points, shelf):
    sense = sense_of(space, points[0], shelf)
    for found, name in ((sense.nearest, "meaning"), (sense.nearest_vectors, "vectors")):
        assert {near.text for near in found} == set(STORED[1:])
        values = [getattr(near, name) for near in found]
        assert values == sorted(values, reverse=True)
    meanings = space.encoder.encode(STORED)
    assert sense.nearest[0].meaning == pytest.approx(float((meanings[1:] @ meanings[0]).max()), abs=1e-5)


def test_what_a_mixture_shares_with_its_parents_are_words_of_theirs(space, shelf):
    sense = sense_of(space, Point.of_mixture(space, TEXTS), shelf)
    parents = " ".join(TEXTS).lower()
    assert all(word in parents for word in sense.shared)
    assert not any(f" {word} " in f" {parents} " for word in sense.own)


def test_one_pass_says_of_moved_points_what_decoding_does(space, points):
    """Near the edge too, where some are changed and some are not."""
    point, ids = points[1], ids_of(space, points[1])
    ways = directions_from(point, 60, 1) * point.length * torch.linspace(0.1, 1.0, 60)[:, None, None]
    decoded = [one.text == DRONE and one.finished for one in decode(space.model, point.vectors + ways)]
    assert 5 < sum(decoded) < 55
    assert says(space, point.vectors + ways, ids).tolist() == decoded


def test_radii_lie_between_the_last_that_kept_the_text_and_the_first_that_did_not(space, points):
    point, ids = points[0], ids_of(space, points[0])
    ways = directions_from(point, 16, 2) * point.length
    radii = torch.tensor(radii_along(space, point, ways, ids))
    assert bool(says(space, point.vectors + radii[:, None, None] * ways, ids).all())
    assert not bool(says(space, point.vectors + 1.07 * radii[:, None, None] * ways, ids).any())
    assert torch.equal(radii, torch.tensor(radii_along(space, point, ways, ids)))


def test_a_thousand_random_moves_within_the_radius_change_nothing(space, points):
    for number, point in enumerate([*points, Point.of_mixture(space, TEXTS)]):
        ids = ids_of(space, point)
        basin = basin_of(space, point, ids, quiet)
        assert 0 < basin.radius <= min(basin.radii)
        assert basin.interval[0] <= basin.middle <= basin.interval[1]
        some = torch.rand(334, 1, 1, generator=torch.Generator().manual_seed(number))
        ways = directions_from(point, 334, 100 + number) * point.length * basin.radius * some
        assert bool(says(space, point.vectors + ways, ids).all())


def test_what_lies_around_changes_with_the_distance(space, points):
    basin = basin_of(space, points[0], ids_of(space, points[0]), quiet, directions=12)
    kept = [ring.kept for ring in basin.rings]
    assert kept == sorted(kept, reverse=True)
    assert (kept[0], kept[-1]) == (1, 0)
    assert basin.changes
    assert KETTLE not in {change.text for change in basin.changes}
    assert sum(change.directions for change in basin.changes) <= 12


def test_the_slope_of_a_lead_is_that_of_small_steps(space, points):
    point, ids = points[0], ids_of(space, points[0])
    leads, slopes = lead_slopes(space, point.vectors, ids)
    assert leads.tolist() == pytest.approx([token.lead for token in tokens_of(space, point.vectors, ids)], abs=1e-3)
    way = slopes[2] / slopes[2].norm()
    step = 3e-5 * point.length
    ahead, behind = (lead_slopes(space, point.vectors + sign * step * way, ids)[0][2] for sign in (1, -1))
    assert float((ahead - behind) / (2 * step)) == pytest.approx(float(slopes[2].norm()), rel=0.02)


def test_the_worst_direction_is_far_worse_than_a_random_one(space, points):
    for point in points:
        ids = ids_of(space, point)
        flip = flip_of(space, point, ids)
        assert flip.distance < basin_of(space, point, ids, quiet, directions=12).middle / 4
        assert flip.decoded != point.text
    chosen = flip_of(space, points[0], ids_of(space, points[0]), place=3)
    assert chosen.place == 3
    with pytest.raises(InputError, match="there is no token 99"):
        flip_of(space, points[0], ids_of(space, points[0]), place=99)


def test_a_model_without_adapter_has_points_of_texts_alone(random_model, space):
    bare = Space(random_model(), space.encoder, vectors=4)
    point = Point.of_text(bare, "ab")
    sense = sense_of(bare, point, Shelf.of_texts(bare, ["cd", "ef"]))
    assert sense.decoded == "ab"
    assert flip_of(bare, point, sense.ids).distance > 0
    with pytest.raises(InputError, match="adapter"):
        Point.drawn(bare, 0)
