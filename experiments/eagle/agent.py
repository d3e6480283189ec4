"""The agent: a policy that learns by policy gradient which edits raise a text's utility, held to a reference policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from copyloom import InputError, Report
from experiments.eagle.components import Components
from experiments.eagle.policy import Softmax
from experiments.eagle.reference import Policy
from experiments.eagle.rollout import HORIZON, Trajectory, roll_out
from experiments.eagle.table import Table


class AgentSettings(BaseModel):
    """How the agent learns.

    Parameters
    ----------
    horizon : int
        Edits of a trajectory, at most.
    rollouts : int
        Trajectories from each text in one iteration, at least two: each one's baseline is the others' mean.
    iterations : int
    learning_rate : float
        Of Adam.
    kl_weight : float
        What one nat of divergence from the reference policy costs, each time that an action is chosen, in standard
        deviations of the reference policy's rewards. Infinite: the agent is the reference policy.
    seed : int
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    horizon: int = Field(default=HORIZON, ge=1)
    rollouts: int = Field(default=4, ge=2)
    iterations: int = Field(default=60, ge=0)
    learning_rate: float = Field(default=0.05, gt=0)
    kl_weight: float = Field(default=0.05, ge=0)
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Trained:
    """An agent and how it came about.

    Parameters
    ----------
    policy : Softmax
        What was learnt.
    start : Softmax
        The reference policy as it was learnt from the texts at hand: where the agent started, and what it was held to.
    rewards, divergences : tuple of float
        Mean gain of a trajectory, and nats that it left the reference policy by, in each iteration.
    scale : float
        Standard deviation of the reference policy's rewards: the unit of `AgentSettings.kl_weight`. 0 where nothing was
        learnt.
    calls : int
        Of the environment, those of the reference policy included.
    """

    policy: Softmax
    start: Softmax
    rewards: tuple[float, ...]
    divergences: tuple[float, ...]
    scale: float
    calls: int


def train(
    table: Table, reference: Policy, components: Components, texts: Sequence[str], settings: AgentSettings,
    report: Report = lambda stage, done, total: None,
) -> Trained:  # fmt: skip
    """Return an agent that has learnt on some texts.

    The reference policy is asked about these texts alone; a softmax policy learns its probabilities there, and stands
    for it everywhere else (of the optimistic one and the design, every further text would cost A calls). From there
    the agent climbs the expected reward less the expected divergence, KL(agent || reference), by REINFORCE (Williams
    1992) with the mean of a text's other trajectories as baseline (Kool et al. 2019). The reward is the utility at the
    end less that at the start, less what the guard takes.

    Parameters
    ----------
    table : Table
        Grows; when its calls are spent, the agent goes on learning from what is known.
    reference : Policy
    components : Components
    texts : sequence of str
    settings : AgentSettings
    report : callable

    Raises
    ------
    InputError
        If there are no texts; and as `Table.changed`.
    """
    if not texts:
        raise InputError("no texts were given; the agent needs some to learn on")
    report("asking the reference policy", 0, 1)
    wanted = reference.probabilities(texts)
    batch = [text for text in texts for _ in range(settings.rollouts)]
    if not table.calls:  # the reference policy tried nothing, and nobody knows yet where actions lead
        roll_out(table, reference, batch, settings.horizon, settings.seed)
    start = Softmax.even(table, components).imitating(texts, wanted)
    scale = 0.0
    own, shared = (part.clone().requires_grad_() for part in start.parameters)
    agent, rewards, divergences = replace(start, own=own, shared=shared), list[float](), list[float]()
    optimiser = torch.optim.Adam([own, shared], lr=settings.learning_rate)
    steps = 0 if math.isinf(settings.kl_weight) else settings.iterations
    for iteration in range(steps):
        report("learning", iteration, steps)
        found = roll_out(table, agent, batch, settings.horizon, settings.seed * 1_000_003 + iteration + 1)
        gains = torch.tensor([one.gain for one in found], dtype=torch.float64)
        scale = scale or float(gains.std()) or 1.0  # the first are the reference policy's
        optimiser.zero_grad()
        loss, divergence = _loss(agent, start, found, gains / scale, settings)
        loss.backward()
        optimiser.step()
        rewards.append(float(gains.mean()))
        divergences.append(divergence)
    policy = replace(start, own=own.detach(), shared=shared.detach())
    return Trained(policy, start, tuple(rewards), tuple(divergences), scale, table.calls)


def _loss(
    agent: Softmax, start: Softmax, found: Sequence[Trajectory], rewards: Tensor, settings: AgentSettings
) -> tuple[Tensor, float]:
    """Return what is minimised, and the mean divergence of a trajectory in nats.

    Its gradient is that of the expected divergence less the expected reward: what an action costs later, in the
    divergence of the texts that it leads to, counts as a reward does.
    """
    visits = [(number, text, choice, may) for number, one in enumerate(found)
              for text, choice, may in zip(one.texts, one.choices, one.open, strict=False)]  # fmt: skip
    numbers, texts, choices, opened = zip(*visits, strict=True)
    where, likely = torch.tensor(numbers), agent.log_probabilities(texts)
    apart = (likely.exp() * (likely - start.log_probabilities(texts).detach())).sum(1)
    diverged = torch.zeros(len(found), dtype=torch.float64).index_add(0, where, apart)
    mean = float(diverged.detach().mean())
    taken = likely.masked_fill(~torch.stack(opened), -torch.inf).log_softmax(1)
    taken = taken.gather(1, torch.tensor(choices)[:, None])[:, 0]
    chosen = torch.zeros(len(found), dtype=torch.float64).index_add(0, where, taken)
    returns = (rewards - settings.kl_weight * diverged.detach()).view(-1, settings.rollouts)
    others = (returns.sum(1, keepdim=True) - returns) / (settings.rollouts - 1)
    return -((returns - others).flatten() * chosen).mean() + settings.kl_weight * diverged.mean(), mean
