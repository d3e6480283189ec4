"""The agent: it finds what enumeration finds, keeps to its reference policy as asked, and is the same for a seed."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from copyloom import InputError
from experiments.eagle.agent import AgentSettings, _loss, train
from experiments.eagle.components import Components
from experiments.eagle.policy import Softmax
from experiments.eagle.reference import GOptimal, Optimistic, Uniform
from experiments.eagle.rollout import best_of, roll_out
from experiments.eagle.table import Table
from tests.experiments.eagle.steps import Steps, encode

STEPS = {"right": [1.0, 0.0], "up": [0.0, 1.0], "back": [-1.0, -1.0], "aside": [1.0, -1.0]}
STARTS = ["0 0", "0 1", "-1 0", "-1 1"]
COMPONENTS = Components(torch.zeros(2).double(), torch.eye(2).double())


def hill(vectors: torch.Tensor) -> torch.Tensor:
    """Highest at (2, 1), and nowhere else as high."""
    return -(vectors.double() - torch.tensor([2.0, 1.0])).square().sum(1)


def world(most_calls: int | None = None) -> Table:
    steps = Steps(STEPS)
    return Table(steps, steps.actions, encode, hill, most_calls=most_calls)


def best_by_enumeration(start: str, horizon: int) -> float:
    """The gain of the best sequence of actions, of all that there are."""
    here = encode([start])
    ends = [here + torch.tensor(steps).sum(0) for length in range(1, horizon + 1)
            for steps in itertools.product(STEPS.values(), repeat=length)]  # fmt: skip
    return float(hill(torch.cat([here, *ends])).max() - hill(here))


@pytest.mark.parametrize("reference", [Uniform, Optimistic, lambda table: GOptimal(table, COMPONENTS)])
def test_policy_gradient_finds_the_best_sequence_of_actions(reference) -> None:
    table = world()
    settings = AgentSettings(horizon=4, rollouts=16, iterations=150, learning_rate=0.1, kl_weight=0.001)
    agent = train(table, reference(table), COMPONENTS, STARTS, settings)
    found = roll_out(table, agent.policy, STARTS, 4, greedy=True)
    assert [one.gain for one in found] == pytest.approx([best_by_enumeration(start, 4) for start in STARTS])
    assert agent.rewards[-1] > agent.rewards[0]


def test_an_infinite_kl_weight_gives_the_reference_policy() -> None:
    table, held = world(), AgentSettings(iterations=20, kl_weight=math.inf)
    agent = train(table, Uniform(table), COMPONENTS, STARTS, held)
    torch.testing.assert_close(agent.policy.probabilities(["5 5"]), Uniform(table).probabilities(["5 5"]))
    reference = GOptimal(table, COMPONENTS)
    agent = train(table, reference, COMPONENTS, ["0 1", "-1 0"], held)
    found, wanted = (one.probabilities(["0 1", "-1 0"]) for one in (agent.policy, reference))
    torch.testing.assert_close(found, wanted, atol=0.03, rtol=0)
    assert all(map(torch.equal, agent.policy.parameters, agent.start.parameters))


def test_a_larger_kl_weight_keeps_the_agent_nearer() -> None:
    nats = []
    for weight in (0.01, 0.3, 10.0):
        table = world()
        settings = AgentSettings(iterations=40, learning_rate=0.1, kl_weight=weight)
        nats.append(train(table, Uniform(table), COMPONENTS, STARTS, settings).divergences[-1])
    assert nats[0] > nats[1] > nats[2]


def test_the_gradient_is_that_of_the_expected_reward() -> None:
    """Over all actions from one text, against a difference of the exact expectation; a trajectory is one edit."""
    table = world()
    table.realised(["0 0"])
    even = Softmax.even(table, COMPONENTS)
    own = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    agent = replace(even, own=own)
    settings = AgentSettings(rollouts=4000, horizon=1, kl_weight=0.5)
    found = roll_out(table, agent, ["0 0"] * 4000, 1, seed=1)
    loss, _ = _loss(agent, even, found, torch.tensor([one.gain for one in found], dtype=torch.float64), settings)
    (sampled,) = torch.autograd.grad(loss, own)
    gains = table.gains(["0 0"] * 5, table.realised(["0 0"])[0])
    likely = agent.log_probabilities(["0 0"])[0]
    (exact,) = torch.autograd.grad(-(likely.exp() * (gains - 0.5 * (likely + math.log(5)))).sum(), own)
    torch.testing.assert_close(sampled, exact, atol=0.1, rtol=0)


def test_the_same_seed_gives_the_same_trajectories_whatever_else_is_rolled_out() -> None:
    table = world()
    both = roll_out(table, Uniform(table), ["0 0", "3 1"], 5, seed=7)
    again = roll_out(world(), Uniform(world()), ["3 1", "0 0"], 5, seed=7)
    assert [one.texts for one in both] == [one.texts for one in reversed(again)]
    assert [one.texts for one in both] != [
        one.texts for one in roll_out(table, Uniform(table), ["0 0", "3 1"], 5, seed=8)
    ]
    trained = [
        train(world(), Uniform(world()), COMPONENTS, STARTS, AgentSettings(iterations=5)).rewards for _ in range(2)
    ]
    assert trained[0] == trained[1]


def test_draws_follow_the_probabilities_and_never_a_closed_action() -> None:
    """Chi-square with 4 degrees of freedom; a false alarm in 10,000."""
    table = world()
    texts = ["0 0"] * 4000
    taken = torch.tensor([one.choices[0] for one in roll_out(table, Uniform(table), texts, 1)])
    counts = taken.bincount(minlength=5).double()
    assert float(((counts - 800) ** 2 / 800).sum()) < 23.5
    limited = world(most_calls=2)
    limited.changed(["0 0", "0 0"], [1, 3])
    taken = torch.tensor([one.choices[0] for one in roll_out(limited, Uniform(limited), texts, 1)])
    assert set(taken.tolist()) == {1, 3, 4}


def test_a_trajectory_ends_where_it_stops_and_is_cut_at_its_best() -> None:
    table = world()

    class Right:
        def probabilities(self, texts):
            return torch.eye(5, dtype=torch.float64)[[4 if text.startswith("4") else 0 for text in texts]]

    (found,) = roll_out(table, Right(), ["0 1"], 9)
    assert found.texts == ("0 1", "1 1", "2 1", "3 1", "4 1", "4 1")
    assert found.choices == (0, 0, 0, 0, 4)
    assert (found.gain, found.calls) == (0, 4)
    assert found.until_best.texts[-1] == "2 1"
    assert found.until_best.gain == 4


def test_a_search_spends_the_calls_it_is_given_and_no_more() -> None:
    table = world()
    (found,) = best_of(table, Uniform(table), ["0 0"], calls=60, horizon=4, seed=3)
    assert found.calls <= 60
    assert table.calls == found.calls
    assert found.gain == best_by_enumeration("0 0", 4)
    (few,) = best_of(world(), Uniform(world()), ["0 0"], calls=2, horizon=4, seed=3)
    assert few.calls <= 2
    assert few.gain <= found.gain


def test_calls_that_are_spent_leave_the_agent_what_it_knows() -> None:
    table = world(most_calls=30)
    agent = train(table, Uniform(table), COMPONENTS, STARTS, AgentSettings(iterations=30, learning_rate=0.1))
    assert agent.calls == 30
    assert agent.rewards[-1] > agent.rewards[0]


def test_what_cannot_be_learnt_on_is_refused() -> None:
    table = world()
    with pytest.raises(InputError, match="no texts were given"):
        train(table, Uniform(table), COMPONENTS, [], AgentSettings())
    with pytest.raises(InputError, match="horizons of 0 or more"):
        roll_out(table, Uniform(table), ["0 0"], -1)
    with pytest.raises(InputError, match=r"wanted has shape \(1, 2\)"):
        Softmax.even(table, COMPONENTS).imitating(["0 0"], torch.ones(1, 2))
