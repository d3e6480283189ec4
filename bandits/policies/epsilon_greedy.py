"""Greed with a coin: mostly the text that looks best, now and then any."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bandits.inputs import check_number
from bandits.policies.policy import Allocation, check_floor, slate, with_floor
from bandits.posterior import Posterior
from bandits.streams import Generators


@dataclass(frozen=True, kw_only=True)
class EpsilonGreedy:
    """The text with the highest posterior mean, but for `epsilon` of the impressions, which all texts share.

    With an epsilon of 0 it is plain greed, which at times settles on a poor text for good. Use `ThompsonSampling` or
    `UpperConfidenceBound` instead unless a plain rule is what is wanted: these explore where it pays.

    Parameters
    ----------
    epsilon : float
        Probability of exploring.
    floor : float
        Least probability of every present text.

    Raises
    ------
    InputError
        If a value is out of range.

    Examples
    --------
    >>> import torch
    >>> from bandits import LogisticRewardModel, RewardPrior
    >>> posterior = LogisticRewardModel(RewardPrior(0.02)).fit(torch.eye(2), [900] * 2, [18, 30])
    >>> EpsilonGreedy(epsilon=0.5).allocate(posterior, None, torch.Generator()).probabilities.tolist()
    [0.25, 0.75]
    """

    epsilon: float = 0.1
    floor: float = 0.0
    name: ClassVar[str] = "epsilon-greedy"

    def __post_init__(self) -> None:
        check_number("epsilon", self.epsilon, least=0, most=1)
        check_floor(self.floor)

    def allocate(self, posterior: Posterior, present: Tensor | None, generator: Generators) -> Allocation:
        """Probabilities of the next snapshot; see `Policy.allocate`. Ties go to the lowest index."""
        shown = slate(posterior, present)
        mean, _ = posterior.logits()
        best = torch.where(shown, mean, -torch.inf).argmax(dim=-1, keepdim=True)
        greedy = torch.zeros_like(mean).scatter(-1, best, 1.0)
        alike = shown.to(mean) / shown.sum(dim=-1, keepdim=True)
        probabilities = with_floor((1 - self.epsilon) * greedy + self.epsilon * alike, shown, self.floor)
        return Allocation(probabilities, torch.zeros_like(probabilities), exact=True)
