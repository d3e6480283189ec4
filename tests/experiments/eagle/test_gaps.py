"""Content gaps: a planted one is found, with what lies around it."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from copyloom import InputError
from embeddings.directions import Direction
from experiments.eagle.gaps import content_gaps


def at(degrees: float) -> list[float]:
    return [math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), 0.0]


PLANTED = torch.tensor(at(70))
EXISTING = torch.tensor([at(angle) for angle in (*range(0, 50, 5), *range(90, 140, 5))])


def wanted(points: torch.Tensor) -> torch.Tensor:
    return points @ PLANTED


def test_a_planted_gap_between_two_crowds_is_found_with_its_neighbours() -> None:
    best, *others = content_gaps(EXISTING, wanted, count=3, neighbours=12)
    assert float(best.point @ PLANTED) > math.cos(math.radians(5))
    assert {9, 10} <= set(best.nearest)  # the two edges of the gap
    assert best.cosines[0] == pytest.approx(float((EXISTING @ best.point).max()))
    assert best.score == best.demand - best.supply >= max(gap.score for gap in others)
    apart = [math.degrees(math.acos(min(1, float(best.point @ gap.point)))) for gap in others]
    assert min(apart) > 4.99  # what neighbours are apart


def test_demand_beyond_what_exists_is_found_along_a_direction() -> None:
    up = Direction("up", ("down",), torch.tensor([0.0, 0.0, 1.0]), "an encoder", 1.0, 10)
    found = content_gaps(EXISTING, lambda points: points[:, 2] + points[:, 0], [up], count=1, width=30)
    (best,) = found
    assert float(best.point[2]) == pytest.approx(0.5, abs=1e-6)
    assert float(best.point.norm()) == pytest.approx(1, abs=1e-6)


def test_where_supply_is_even_demand_decides_and_the_order_of_texts_does_not() -> None:
    ring = torch.tensor([at(angle) for angle in range(0, 360, 10)])
    (best,) = content_gaps(ring + 1e-3 * torch.eye(36, 3), lambda points: points[:, 0], count=1, neighbours=2)
    assert float(best.point[0]) > 0.98
    shuffled = EXISTING[torch.randperm(len(EXISTING), generator=torch.Generator().manual_seed(0))]
    one, other = (content_gaps(texts, wanted, count=1)[0] for texts in (EXISTING, shuffled))
    torch.testing.assert_close(one.point, other.point)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"existing": EXISTING[:2]}, "three texts or more"),
        ({"demand": lambda points: torch.ones(len(points))}, "demand is the same"),
        ({"width": 0.0}, "width is 0"),
        ({"count": 0}, "count is 0"),
    ],
)
def test_what_makes_no_sense_is_refused(given, said) -> None:
    with pytest.raises(InputError, match=said):
        content_gaps(**{"existing": normalize(EXISTING), "demand": wanted} | given)
