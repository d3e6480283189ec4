"""Every text alike: the baseline that learns nothing."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bandits.policies.policy import Allocation, showable
from bandits.posterior import Posterior
from bandits.streams import Generators


@dataclass(frozen=True, kw_only=True)
class Uniform:
    """Equal probabilities for all present texts, whatever the clicks say: a baseline.

    Use `OptimalDesign` instead to learn about all texts as fast as can be.

    Examples
    --------
    >>> import torch
    >>> from bandits import LogisticRewardModel, RewardPrior
    >>> posterior = LogisticRewardModel(RewardPrior(0.02)).fit(torch.eye(4), [9, 9, 9, 9], [0, 1, 0, 0])
    >>> Uniform().allocate(posterior, None, torch.Generator()).probabilities.tolist()
    [0.25, 0.25, 0.25, 0.25]
    """

    name: ClassVar[str] = "uniform"

    def allocate(self, posterior: Posterior, present: Tensor | None, generator: Generators) -> Allocation:
        """Probabilities of the next snapshot; see `Policy.allocate`. The generator is not used."""
        shown = showable(posterior, present)
        return Allocation.exactly(shown.to(torch.float64) / shown.sum(dim=-1, keepdim=True), shown)
