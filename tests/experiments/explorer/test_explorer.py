"""A point says what is decoded there, as surely as the model is, and keeps saying it within its radius."""

import math

import numpy as np
import pytest
import torch
from numpy.random import default_rng
from safetensors.torch import save_file
from scipy.stats import binom, norm

from copyloom import InputError
from embeddings.directions import Direction
from embeddings.mixing import adapt
from embeddings.space import Space
from experiments.explorer.basin import basin_of, least_radius, median_interval, radii_along, says
from experiments.explorer.exploring import explore
from experiments.explorer.page import write
from experiments.explorer.point import Point
from experiments.explorer.reading import piece
from experiments.explorer.sense import Shelf, sense_of, tokens_of
from experiments.explorer.sensitivity import flip_of, lead_slopes
from experiments.explorer.ways import principal_ways, random_ways, steering_ways
from generator.decoding import decode

KETTLE, DRONE = TEXTS = ["This quiet kettle is made of steel.", "Give travelers the drone that says you care."]
STORED = [*TEXTS, "A lamp for late readers.", "Hurry: free shipping on the chef knife."]


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
    (np.full((8, 256), 1e37), "too large"),
    (np.zeros((8, 256)), "has a length"),
    (np.zeros((8, 256), complex), "no array of real numbers"),
])  # fmt: skip
def test_a_file_that_does_not_fit_is_refused(space, tmp_path, array, message):
    np.save(tmp_path / "wrong.npy", array)
    with pytest.raises(InputError, match=message):
        Point.of_file(space, tmp_path / "wrong.npy")


def test_a_file_that_is_none_or_holds_several_is_refused(space, tmp_path):
    (tmp_path / "text.npy").write_text("no numbers")
    (tmp_path / "empty.npy").write_text("")
    with open(tmp_path / "archive.npy", "wb") as file:
        np.savez(file, a=np.zeros(2))
    save_file({"a": torch.zeros(2), "b": torch.zeros(2)}, tmp_path / "two.safetensors")
    for name, message in (
        ("text.npy", "cannot be read"),
        ("empty.npy", "cannot be read"),
        ("archive.npy", "cannot be read"),
        ("none.safetensors", "cannot be read"),
        ("two.safetensors", "arrays a, b"),
    ):
        with pytest.raises(InputError, match=message):
            Point.of_file(space, tmp_path / name)


def test_a_mixture_of_one_and_a_shelf_of_few_are_refused(space):
    with pytest.raises(InputError, match="two texts or more"):
        Point.of_mixture(space, [KETTLE])
    with pytest.raises(InputError, match="2 different stored texts were given"):
        Shelf.of_texts(space, [KETTLE, DRONE, KETTLE])
    with pytest.raises(InputError, match="1 different stored texts were given"):
        Shelf.of_stored(3 * space.invert([KETTLE]))


def test_a_text_longer_than_others_decode_is_read_to_its_end(space, shelf):
    sense = sense_of(space, Point.of_text(space, long := " ".join(9 * [KETTLE])), shelf)
    assert len(space.model.tokenize(long)) > 64
    assert (sense.decoded, sense.finished) == (long, True)


def test_it_says_what_is_decoded_and_is_as_sure_as_the_model(space, points, shelf):
    (stored,) = space.invert([KETTLE])
    sense = sense_of(space, points[0], shelf)
    assert (sense.decoded, sense.finished) == (KETTLE, True)
    assert "".join(token.text for token in sense.tokens[:-1]) == KETTLE
    assert sense.tokens[-1].text is None
    assert sense.least_lead == pytest.approx(stored.margin, abs=0.01)
    assert sense.reached == pytest.approx(1, abs=1e-5)
    for token in sense.tokens:
        assert token.probability + sum(chance for _, chance in token.rivals) <= 1 + 1e-6
        assert token.lead == pytest.approx(math.log(token.probability / token.rivals[0][1]), abs=1e-3)
    assert tokens_of(space, points[0].vectors, []) == ()


def test_an_entropy_is_in_bits(space, points):
    ids = ids_of(space, points[0])
    chances = space.model.logits(points[0].vectors[None])[0, -1].double().softmax(-1)
    expected = -float((chances * chances.log2()).nansum())
    assert tokens_of(space, points[0].vectors, ids)[0].entropy == pytest.approx(expected, abs=1e-3)


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
    steps = random_ways(point, 60, 1).directions * point.length * torch.linspace(0.1, 1.0, 60)[:, None, None]
    decoded = [one.text == DRONE and one.finished for one in decode(space.model, point.vectors + steps)]
    assert 5 < sum(decoded) < 55
    assert says(space, point.vectors + steps, ids).tolist() == decoded
    assert says(space, point.vectors + steps[:0], ids).tolist() == []


@pytest.mark.parametrize("first", [1e-4, 0.16, 5.0])
def test_radii_lie_between_the_last_that_kept_the_text_and_the_first_that_did_not(space, points, first):
    point, ids = points[0], ids_of(space, points[0])
    steps = random_ways(point, 8, 2).directions * point.length
    found = radii_along(space, point, steps, ids, first)
    kept, lost = torch.tensor(found.kept), torch.tensor(found.lost)
    assert bool((lost / kept <= 2 ** (1 / 8) + 1e-5).all())
    assert bool(says(space, point.vectors + kept[:, None, None] * steps, ids).all())
    assert not bool(says(space, point.vectors + lost[:, None, None] * steps, ids).any())


def test_a_move_that_is_none_keeps_the_text_however_far(space, points):
    point, ids = points[0], ids_of(space, points[0])
    found = radii_along(space, point, torch.zeros(2, *point.vectors.shape), ids)
    assert (found.kept, found.lost) == ((math.inf, math.inf), (math.inf, math.inf))


def test_one_normal_radius_in_thirty_thousand_is_below_the_least():
    rng = default_rng(0)
    below = [norm.cdf(math.log(least_radius(np.exp(some)))) for some in rng.standard_normal((4000, 32))]
    assert np.mean(below) == pytest.approx(1 / 30_000, rel=0.2)
    assert least_radius([0.3, 0.0, 0.2]) == 0
    assert least_radius([math.inf, math.inf]) == math.inf
    assert least_radius([0.3, 5.0, math.inf, math.inf]) < 0.05


@pytest.mark.parametrize("count", [8, 32, 101])
def test_the_median_lies_in_its_interval_as_often_as_said(count):
    low, high = (int(end) for end in median_interval(range(count)))
    assert binom.cdf(high, count, 0.5) - binom.cdf(low, count, 0.5) >= 0.95
    assert binom.cdf(high - 1, count, 0.5) - binom.cdf(low + 1, count, 0.5) < 0.95


def test_a_thousand_random_moves_by_the_radius_change_nothing(space, points):
    for number, point in enumerate([*points, Point.of_mixture(space, TEXTS)]):
        ids = ids_of(space, point)
        radii = radii_along(space, point, random_ways(point).directions * point.length, ids).kept
        assert 0 < least_radius(radii) <= min(radii)
        moves = random_ways(point, 334, 100 + number).directions * point.length * least_radius(radii)
        assert bool(says(space, point.vectors + moves, ids).all())


def test_what_lies_around_changes_with_the_distance(space, points):
    basin = basin_of(space, points[0], ids_of(space, points[0]), random_ways(points[0], 12))
    kept = [ring.kept for ring in basin.rings]
    assert kept == sorted(kept, reverse=True)
    assert (kept[0], kept[-1]) == (1, 0)
    for ring in basin.rings:
        assert ring.kept_interval[0] <= ring.kept <= ring.kept_interval[1]
        assert ring.cosine_interval[0] <= ring.cosine <= ring.cosine_interval[1]
    assert basin.interval[0] <= basin.middle <= basin.interval[1]
    assert KETTLE not in {change.text for change in basin.changes}
    assert sum(change.directions for change in basin.changes) == 12


def test_stored_texts_differ_most_along_principal_directions_and_styles_have_their_own(space, points, shelf):
    ways = principal_ways(shelf)
    spread = [float((shelf.vectors.flatten(1) @ way.flatten()).var()) for way in ways.directions]
    beside = [float((shelf.vectors.flatten(1) @ way.flatten()).var()) for way in random_ways(points[0], 8).directions]
    assert spread[0] == pytest.approx(spread[1])
    assert spread == sorted(spread, reverse=True)
    assert spread[-1] > max(beside)
    normal = torch.nn.functional.normalize(points[1].meaning - points[0].meaning, dim=0)
    direction = Direction("drone", ("kettle",), normal, space.encoder.name, 0.9, 10)
    moved = steering_ways(space, points[0], [direction])
    rings = basin_of(space, points[0], ids_of(space, points[0]), moved, [direction]).rings
    assert rings[0].styles == {"drone": 0}  # the text is the same there
    assert rings[-1].styles["drone"] > 0.1
    (way,) = moved.directions
    assert float(way.norm()) == pytest.approx(1, abs=1e-5)
    there, here = adapt(space.adapter, torch.stack([points[1].meaning, points[0].meaning]))
    assert float((way * (there - here)).sum() / (there - here).norm()) > 0.1  # a random one: within 0.02 of 0


def test_the_slope_of_a_lead_is_that_of_small_steps(space, points):
    point, ids = points[0], ids_of(space, points[0])
    leads, slopes = lead_slopes(space, point.vectors, ids)
    assert leads.tolist() == pytest.approx([token.lead for token in tokens_of(space, point.vectors, ids)], abs=1e-3)
    way = slopes[2] / slopes[2].norm()
    step = 3e-5 * point.length
    ahead, behind = (lead_slopes(space, point.vectors + sign * step * way, ids)[0][2] for sign in (1, -1))
    assert float((ahead - behind) / (2 * step)) == pytest.approx(float(slopes[2].norm()), rel=0.02)


def test_a_chosen_direction_is_far_worse_than_a_random_one(space, points):
    for point in points:
        ids = ids_of(space, point)
        flip = flip_of(space, point, ids)
        assert flip.distance < basin_of(space, point, ids, random_ways(point, 12)).middle / 4
        assert flip.expected == pytest.approx(flip.distance, rel=0.2)
        assert flip.decoded != point.text
    with pytest.raises(InputError, match="nothing is decoded"):
        flip_of(space, points[0], [])


def test_a_model_without_adapter_has_points_of_texts_alone(random_model, space):
    bare = Space(random_model(), space.encoder, vectors=4)
    point = Point.of_text(bare, "ab")
    sense = sense_of(bare, point, Shelf.of_texts(bare, ["cd", "ef", "gh"]))
    assert sense.decoded == "ab"
    assert flip_of(bare, point, sense.ids).distance > 0
    assert steering_ways(bare, point, []) is None
    with pytest.raises(InputError, match="adapter"):
        Point.drawn(bare, 0)


def test_without_captum_it_says_what_is_left_out(space, shelf, tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.explorer.exploring.find_spec", lambda name: None)
    found = explore(space, Point.drawn(space, 1), shelf, lambda *_: None, random=8)
    assert found["owed"] is None
    write(found, tmp_path / "point.html")
    assert "it needs Captum; install copyloom[explain]" in (tmp_path / "point.html").read_text(encoding="utf-8")
    assert [basin["kind"] for basin in found["basins"]] == ["random", "principal"]
