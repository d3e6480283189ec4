"""Utilities: closed forms."""

import pytest
import torch

from copyloom import InputError
from experiments.eagle.utility import Guard, Linear, Novelty, WeightedSum

POINTS = torch.tensor([[1.0, 0.0], [0.6, 0.8], [-1.0, 0.0]])


def test_novelty_is_the_distance_from_the_nearest_up_to_a_cap() -> None:
    found = Novelty(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), cap=1.0)(POINTS)
    assert found.tolist() == pytest.approx([0, (0.6**2 + 0.2**2) ** 0.5, 1.0])


def test_a_weighted_sum_is_linear() -> None:
    rating, new = Linear(torch.tensor([1.0, 2.0]), 3.0), Novelty(POINTS[:1], cap=2.0)
    both = WeightedSum([(0.5, rating), (2.0, new)])(POINTS)
    torch.testing.assert_close(both, 0.5 * rating(POINTS) + 2 * new(POINTS))
    assert rating(POINTS).tolist() == pytest.approx([4.0, 5.2, 2.0])


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: Linear(torch.ones(3))(POINTS), r"vectors has shape \(3, 2\), but weights is of size 3"),
        (lambda: Linear(torch.ones(2))(POINTS / 0), "NaN or infinite"),
        (lambda: Novelty(POINTS[:0], cap=1), "at least one text"),
        (lambda: Novelty(POINTS, cap=0), "cap is 0"),
        (lambda: WeightedSum([]), "no utilities"),
        (lambda: Guard(lambda texts: torch.zeros(len(texts)), price=-1), "price is -1"),
    ],
)
def test_what_makes_no_sense_is_refused(made, said) -> None:
    with pytest.raises(InputError, match=said):
        made()
