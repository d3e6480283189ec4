"""Directions: a known normal is found again, files hold all of it, and what cannot be used is said."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import InputError, SpaceError
from embeddings.directions import (
    Direction,
    label_direction,
    label_directions,
    load_directions,
    number_direction,
    save_directions,
)

SIZE, COUNT = 12, 400


def cloud(seed: int = 0) -> Tensor:
    return normalize(torch.randn(COUNT, SIZE, generator=torch.Generator().manual_seed(seed)), dim=1)


def known_normal() -> Tensor:
    return normalize(torch.arange(1.0, SIZE + 1), dim=0)


def test_the_normal_of_labels_is_found_again() -> None:
    vectors = cloud()
    labels = ["above" if value > 0 else "below" for value in vectors @ known_normal()]
    above, below = label_directions(vectors, labels)
    if above.name != "above":
        above, below = below, above
    assert above.normal @ known_normal() > 0.97
    assert above.normal @ below.normal == pytest.approx(-1, abs=1e-4)
    assert above.against == ("below",)
    assert above.score > 0.9
    assert float(above.normal.norm()) == pytest.approx(1)


def test_labels_that_mean_nothing_score_like_chance() -> None:
    labels = [str(number % 2) for number in range(COUNT)]
    assert abs(label_direction(cloud(), labels, "1").score - 0.5) < 0.1


def test_the_direction_of_a_number_is_found_again() -> None:
    vectors = cloud()
    found = number_direction(vectors, (3 + 10 * vectors @ known_normal()).tolist(), "words")
    assert found.normal @ known_normal() > 0.999
    assert found.score > 0.99
    assert (found.measure, found.against) == ("correlation", ())


def test_groups_keep_cross_validation_from_learning_by_heart() -> None:
    """Texts of a group are alike and say nothing of other groups: accuracy is high only where groups are torn apart."""
    generator = torch.Generator().manual_seed(3)
    centres = normalize(torch.randn(20, 200, generator=generator), dim=1)
    vectors = normalize(centres.repeat_interleave(5, 0) + 0.01 * torch.randn(100, 200, generator=generator), dim=1)
    groups = [str(row // 5) for row in range(100)]
    labels = [str(row // 5 % 2) for row in range(100)]
    assert label_direction(vectors, labels, "1").score > 0.95
    assert label_direction(vectors, labels, "1", groups).score < 0.75


def test_a_file_holds_all(tmp_path: Path) -> None:
    vectors, path = cloud(), tmp_path / "d.safetensors"
    labels = [("a", "b", "c")[row % 3] for row in range(COUNT)]
    given = [*label_directions(vectors, labels), number_direction(vectors, list(range(COUNT)), "rank")]
    save_directions(given, path)
    for one, other in zip(given, load_directions(path), strict=True):
        assert one.description == other.description
        assert torch.equal(one.normal, other.normal)


def test_a_file_that_is_none_of_these(tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    with pytest.raises(InputError, match="there is no file"):
        load_directions(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="damaged"):
        load_directions(path)
    with pytest.raises(InputError, match="no direction was given"):
        save_directions([], path)


def test_directions_of_two_encoders_make_no_file(tmp_path: Path) -> None:
    one = Direction("calm", ("loud",), known_normal(), "small encoder", 1.0, 10)
    other = Direction("loud", ("calm",), known_normal(), "large encoder", 1.0, 10)
    with pytest.raises(SpaceError, match=r"large encoder.*small encoder"):
        save_directions([one, other], tmp_path / "d.safetensors")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"] * COUNT, "all 400 texts are labelled 'a'"),
        (["a"] * 3 + ["b"] * (COUNT - 3), "3 texts are labelled 'a' and 397 otherwise; give at least 5"),
        (["b"] * COUNT, "all 400"),
        (["a", "b"], "2 labels were given for 400 vectors"),
        (["b", "c"] * (COUNT // 2), "no text is labelled 'a'; the labels are b, c"),
    ],
)
def test_labels_that_do_not_do(labels: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        label_direction(cloud(), labels, "a")


def test_numbers_and_vectors_that_do_not_do() -> None:
    vectors = cloud()
    with pytest.raises(InputError, match="'words' of text 2 is nan"):
        number_direction(vectors, [1.0, float("nan")] + [2.0] * (COUNT - 2), "words")
    with pytest.raises(InputError, match="not all of one value"):
        number_direction(vectors, [1.0] * COUNT, "words")
    with pytest.raises(InputError, match="no labelled texts"):
        label_directions(vectors[:0], [])
    vectors[7, 0] = torch.nan
    with pytest.raises(InputError, match="the vector of text 8 holds NaN"):
        label_direction(vectors, ["a", "b"] * (COUNT // 2), "a")
    with pytest.raises(InputError, match="do not differ in meaning"):
        label_direction(torch.ones(20, 3), ["a", "b"] * 10, "a")
