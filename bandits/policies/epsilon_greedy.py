"""Greed with a coin: mostly the text that looks best, now and then any."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from bandits.numbers import check_number
from bandits.policies.policy import Allocation, all_to_best, check_floor, showable
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
        shown = showable(posterior, present)
        mean, _ = posterior.logits()
        alike = shown.to(mean) / shown.sum(dim=-1, keepdim=True)
        shares = (1 - self.epsilon) * all_to_best(mean, shown) + self.epsilon * alike
        return Allocation.exactly(shares, shown, self.floor)
