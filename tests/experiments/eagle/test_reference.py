"""Reference policies: known optima, and what they cost."""

import math

import pytest
import torch

from copyloom import InputError
from experiments.eagle.components import Components
from experiments.eagle.reference import GOptimal, Optimistic, Uniform
from experiments.eagle.table import Table
from experiments.eagle.utility import Guard, Linear
from tests.experiments.eagle.steps import Steps, encode

ALONG_X = Linear(torch.tensor([1.0, 0.0]))
WHOLE = Components(torch.zeros(2).double(), torch.eye(2).double())


def table(steps: dict[str, list[float]], **settings: object) -> Table:
    world = Steps(steps)
    return Table(world, world.actions, encode, ALONG_X, **settings)


def test_a_design_of_steps_around_the_circle_is_the_known_optimum() -> None:
    """Points on a circle share alike, each with the one opposite; the centre teaches nothing."""
    corners = {f"{k}": [math.cos(k * math.pi / 2), math.sin(k * math.pi / 2)] for k in range(4)}
    design = GOptimal(table(corners), WHOLE, epsilon=0, tolerance=1e-6)
    (found,) = design.probabilities(["0 0"])
    axes = found[:4].reshape(2, 2).sum(0)  # of opposite points, which teach the same
    torch.testing.assert_close(axes, torch.tensor([0.5, 0.5], dtype=torch.float64), atol=1e-5, rtol=0)
    assert float(found[4]) == pytest.approx(0, abs=1e-6)  # STOP stays at the centre
    assert design.certificates["0 0"] == pytest.approx(1, abs=1e-5)


def test_a_design_in_one_dimension_takes_the_longest_step() -> None:
    design = GOptimal(table({"short": [1, 0], "long": [3, 0], "middle": [2, 0]}), WHOLE, epsilon=0.4, tolerance=1e-6)
    (found,) = design.probabilities(["0 0"])
    torch.testing.assert_close(found, torch.tensor([0.1, 0.7, 0.1, 0.1], dtype=torch.float64), atol=1e-4, rtol=0)


def test_the_optimist_takes_what_gains_most_and_stops_where_nothing_gains() -> None:
    known = table({"left": [-1, 0], "right": [1, 0]})
    (found,) = Optimistic(known, epsilon=0.3).probabilities(["0 0"])
    torch.testing.assert_close(found, torch.tensor([0.1, 0.8, 0.1], dtype=torch.float64))
    (found,) = Optimistic(table({"left": [-1, 0]}), epsilon=0).probabilities(["0 0"])
    assert found.tolist() == [0, 1]


def test_the_guard_takes_back_what_a_strange_text_gains() -> None:
    strange = Guard(lambda texts: encode(texts)[:, 0].abs() * 3, price=1.0, slack=0.5)
    gains = table({"right": [1, 0]}, guard=strange).gains(["0 0", "0 0"], ["1 0", "0.1 0"])
    assert gains.tolist() == pytest.approx([1 - (3 - 0.5), 0.1])


def test_informed_policies_call_each_action_once_a_text_and_the_uniform_one_nothing() -> None:
    known = table({"left": [-1, 0], "right": [1, 0]})
    assert Uniform(known).probabilities(["0 0", "1 1"]).unique().tolist() == [1 / 3]
    assert known.calls == 0
    Optimistic(known).probabilities(["0 0", "1 1"])
    assert known.calls == 4
    GOptimal(known, WHOLE).probabilities(["0 0", "1 1"])
    assert known.calls == 4


def test_calls_beyond_what_is_allowed_are_refused_and_known_actions_stay_open() -> None:
    known = table({"left": [-1, 0], "right": [1, 0]}, most_calls=3)
    with pytest.raises(InputError, match="4 changes are asked for after 0, but 3 are allowed"):
        known.realised(["0 0", "1 1"])
    known.changed(["0 0", "0 0", "1 1"], [0, 1, 0])
    assert known.open(["0 0", "1 1", "2 2"]).tolist() == [[True, True, True], [True, False, True], [False, False, True]]
    one_more = table({"left": [-1, 0], "right": [1, 0]}, most_calls=1)
    assert one_more.open(["0 0", "0 0"]).tolist() == [[True, True, True], [False, False, True]]


def test_an_action_that_is_known_to_change_nothing_is_closed() -> None:
    known = table({"nowhere": [0, 0], "right": [1, 0]})
    assert known.open(["0 0"]).tolist() == [[True, True, True]]
    known.realised(["0 0"])
    assert known.open(["0 0", "1 0"]).tolist() == [[False, True, True], [True, True, True]]


def test_components_are_uncorrelated_of_unit_size_and_no_more_than_there_are() -> None:
    stream = torch.Generator().manual_seed(0)
    rows = torch.randn(40, 6, generator=stream) @ torch.diag(torch.tensor([5.0, 3, 2, 1, 0, 0]))
    found = Components.of(rows, 9)(rows)
    assert found.shape == (40, 4)
    torch.testing.assert_close(found.T @ found / 40, torch.eye(4, dtype=torch.float64))
    with pytest.raises(InputError, match="all vectors are the same"):
        Components.of(torch.ones(3, 2), 2)
