"""Which policy shares a campaign's impressions: those of `bandits` by the names that settings give them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from bandits import (
    EpsilonGreedy,
    Holdout,
    OptimalDesign,
    Policy,
    Posterior,
    ThompsonSampling,
    TopTwoThompson,
    Uniform,
    UpperConfidenceBound,
)
from bandits.online.vowpal_wabbit import VowpalWabbit
from bandits.online.vowpal_wabbit_config import VowpalWabbitConfig
from bandits.policies.policy import Allocation
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.config import PolicyConfig
from experiments.campaigns.state import State

_BAG = VowpalWabbitConfig(explore="bag", strength=10)
_BY_NAME: dict[str, Callable[[PolicyConfig, float], Policy]] = {
    "uniform": lambda config, scale: Uniform(),
    "ucb": lambda config, scale: UpperConfidenceBound(scale=scale, floor=config.floor),
    "epsilon-greedy": lambda config, scale: EpsilonGreedy(epsilon=config.epsilon, floor=config.floor),
    "top-two": lambda config, scale: TopTwoThompson(floor=config.floor),
    "thompson": lambda config, scale: ThompsonSampling(scale=scale, floor=config.floor),
    "optimal-design": lambda config, scale: OptimalDesign(floor=config.floor),
}


def policy_classes() -> dict[str, type]:
    """Return the class of each policy by its name in settings; the page of settings lists them."""
    named = {name: type(make(PolicyConfig.model_validate(name), 1.0)) for name, make in _BY_NAME.items()}
    return {**named, "vowpal-wabbit": VowpalWabbit}


class Policies:
    """Allocates the impressions of campaigns, each by the policy that it was opened with.

    Campaigns of one policy are allocated together. What Vowpal Wabbit has learned is kept between calls, and learned
    again from a campaign's outcomes where it is not: a pure function of them and their order.

    Parameters
    ----------
    rounds : int
        Snapshots of a campaign.
    """

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self._learners: dict[str, _Learner] = {}

    def allocate(
        self, campaigns: Sequence[Campaign], belief: Posterior, shown: Tensor, columns: Tensor, segments: int = 1
    ) -> list[Tensor]:
        """Return the probabilities of each campaign's slate in each segment: tensors of shape (segments, texts).

        Parameters
        ----------
        campaigns : sequence of S campaigns
        belief : Posterior
            Of S campaigns; its present rows are the slates' texts in their order: R of them, or where segments are told
            apart, each text once a segment, side by side.
        shown : Tensor of shape (S, R), bool
            Which of them may be shown.
        columns : Tensor of shape (S, R, p)
            What describes them to policies that learn of their own.
        segments : int
            How many are told apart.
        """
        groups: dict[tuple[PolicyConfig, int, int], list[int]] = defaultdict(list)
        for row, state in enumerate(campaign.state for campaign in campaigns):
            groups[state.opening.policy, len(state.snapshots), _control(state)].append(row)
        segment_of = torch.arange(shown.shape[1]) % segments
        found: dict[int, list[Tensor]] = defaultdict(list)
        for (config, snapshot, control), rows in groups.items():
            some, mine = [campaigns[row] for row in rows], belief.of(rows)
            described = [columns[row, belief.present[row]] for row in rows]
            chosen = self._policy(config, snapshot, some, described, segments)
            streams = [campaign.stream() for campaign in some]
            for segment in range(segments):
                policy = chosen
                if config.holdout is not None:
                    policy = Holdout(policy=chosen, text=control * segments + segment, share=config.holdout.share)
                said = policy.allocate(mine, shown[rows] & (segment_of == segment), streams).probabilities
                for number, row in enumerate(rows):
                    chances = said[number, belief.present[row] & (segment_of == segment)]
                    found[row].append(chances / chances.sum())
        return [torch.stack(found[row]) for row in range(len(campaigns))]

    def _policy(
        self, config: PolicyConfig, snapshot: int, campaigns: Sequence[Campaign], columns: Sequence[Tensor],
        segments: int,
    ) -> Policy:  # fmt: skip
        if snapshot < config.design_rounds:
            return OptimalDesign(floor=config.floor)
        if config.name != "vowpal-wabbit":
            played = min(snapshot / max(self.rounds - 1, 1), 1.0)
            return _BY_NAME[config.name](config, config.scale + played * (config.final_scale - config.scale))
        learners = []
        for campaign, features in zip(campaigns, columns, strict=True):
            known = self._learners.get(campaign.name)
            if known is None or not known.fits(features):  # of a step that came to nothing, say
                self._learners[campaign.name] = _Learner.of(campaign, features)
            learners.append(self._learners[campaign.name])
            learners[-1].follow(campaign.state, features, segments)
        return _Learned(learners)


@dataclass(eq=False)
class _Learner:
    """Vowpal Wabbit for one campaign, and the outcomes that it has learned from."""

    bandit: VowpalWabbit
    known: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, campaign: Campaign, features: Tensor) -> _Learner:
        config = campaign.state.opening.policy
        seed = int(np.random.SeedSequence(campaign.seeds).generate_state(1)[0] >> 1)
        return cls(VowpalWabbit(features, config.vowpal_wabbit or _BAG, floor=config.floor, seed=seed))

    def fits(self, features: Tensor) -> bool:
        """Say whether its texts are the first of these, (N, d)."""
        mine = self.bandit.slate.features
        return len(mine) <= len(features) and bool(np.array_equal(mine, features[: len(mine)].numpy()))

    def follow(self, state: State, features: Tensor, segments: int) -> None:
        """Take in the texts (N, d), each once a segment, and outcomes that are new since, in the order they came in.

        Another order may teach it otherwise, as it is no posterior. What was shown without a chance teaches nothing.
        """
        if len(features) > len(self.bandit.slate.features):
            self.bandit.add(features[len(self.bandit.slate.features) :])
        for event in [event for name, event in state.closed.items() if name not in self.known]:
            snapshot = state.snapshots[event.snapshot]
            counts = [(place * segments + (segment if segments > 1 else 0), chance, impressions, clicks)
                      for place, segment, impressions, clicks in event.counts
                      if (chance := snapshot.chances(segment)[place]) > 0]  # fmt: skip
            self.bandit.learn_counts(counts, sum(chance > 0 for chance in snapshot.probabilities))
            self.known.add(event.id)


@dataclass(frozen=True, eq=False)
class _Learned:
    """The policy of learners, one a campaign; their posterior is their own."""

    learners: Sequence[_Learner]
    name: ClassVar[str] = "vowpal wabbit"

    def allocate(self, posterior: Posterior, present: Tensor | None, generator: Any) -> Allocation:
        shown = posterior.present if present is None else present
        found = torch.zeros(shown.shape, dtype=torch.float64)
        for row, learner in enumerate(self.learners):
            columns = posterior.present[row].nonzero()[:, 0]
            places = shown[row, columns].nonzero()[:, 0]
            said = learner.bandit.probabilities(places.tolist())
            found[row, columns[places]] = torch.from_numpy(said)
        return Allocation(found, torch.zeros_like(found), exact=True)


def _control(state: State) -> int:
    """Return the place of the text that a holdout shows; -1 where nothing is held out."""
    return -1 if state.control is None else state.slate.index(state.control)
