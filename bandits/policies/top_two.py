"""Top-two Thompson sampling: to find the best text, also show its rival."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bandits.numbers import check_count, check_number
from bandits.policies.policy import Allocation, check_floor, free_share, showable, times_shown, with_floor
from bandits.posterior import Posterior
from bandits.streams import Generators


@dataclass(frozen=True, kw_only=True)
class TopTwoThompson:
    """The best text of a draw, or its challenger: the best of later draws that are won by another.

    With alpha_i the share of draws that text i wins, it is shown with probability
    alpha_i (lead + (1 - lead) sum_{j != i} alpha_j / (1 - alpha_j)) (Russo 2020, "Simple Bayesian algorithms for
    best-arm identification", section 3.3). Where one text wins every draw, runners-up are its challengers.

    Use it to end a campaign with the best text known; use `ThompsonSampling` instead to earn clicks on the way, as
    this keeps half of the impressions for rivals.

    Parameters
    ----------
    lead : float
        Probability of the leader rather than the challenger.
    draws : int
        Posterior draws per campaign and snapshot.
    floor : float
        Least probability of every present text.

    Examples
    --------
    >>> import torch
    >>> from bandits import LogisticRewardModel, RewardPrior, seeded_generators
    >>> posterior = LogisticRewardModel(RewardPrior(0.02)).fit(torch.eye(3), [90_000] * 3, [1800, 3000, 900])
    >>> TopTwoThompson().allocate(posterior, None, seeded_generators(0, 1)).probabilities.tolist()
    [0.5, 0.5, 0.0]
    """

    lead: float = 0.5
    draws: int = 1024
    floor: float = 0.0
    name: ClassVar[str] = "top-two thompson"

    def __post_init__(self) -> None:
        check_number("lead", self.lead, least=0, most=1)
        check_count("draws", self.draws)
        check_floor(self.floor)

    def allocate(self, posterior: Posterior, present: Tensor | None, generator: Generators) -> Allocation:
        """Probabilities of the next snapshot; see `Policy.allocate`. Each campaign's generator advances."""
        shown = showable(posterior, present)
        free = free_share(shown, self.floor)
        logits = posterior.sample_logits(self.draws, generator).masked_fill_(~shown[..., None, :], -torch.inf)
        order = logits.topk(min(2, logits.shape[-1]), dim=-1).indices  # (..., draws, 2)
        wins, seconds = (times_shown(order[..., place], shown) / self.draws for place in (0, -1))
        odds = torch.where(wins < 1, wins / (1 - wins), 0)
        challenger = wins * (odds.sum(dim=-1, keepdim=True) - odds)
        settled = (wins == 1).any(dim=-1, keepdim=True)
        challenger = torch.where(settled, torch.where(shown.sum(-1, keepdim=True) > 1, seconds, wins), challenger)
        shares = self.lead * wins + (1 - self.lead) * challenger
        return Allocation(
            probabilities=with_floor(shares / shares.sum(dim=-1, keepdim=True), shown, self.floor),
            standard_error=torch.where(shown, free * self._error(wins, shown), 0),
            exact=False,
        )

    def _error(self, wins: Tensor, shown: Tensor) -> Tensor:
        """Standard error of each text's share by the delta method, from multinomial shares of wins: (..., N).

        The challenger's part rests on the few draws that the leader lost, so it is far above a binomial one.
        """
        wins = (wins * self.draws + shown / shown.sum(dim=-1, keepdim=True)) / (self.draws + 1)
        rest = 1 / (1 - wins).clamp(min=1 / (self.draws + 1))
        odds = wins * rest
        challenger = odds.sum(dim=-1, keepdim=True) - odds
        slope = (1 - self.lead) * wins[..., :, None] * rest[..., None, :].square()  # of a text's share, in another's
        own = self.lead + (1 - self.lead) * challenger - slope.diagonal(dim1=-2, dim2=-1)
        slope = slope + torch.diag_embed(own)
        mean, square = ((moment * wins[..., None, :]).sum(-1) for moment in (slope, slope.square()))
        return ((square - mean.square()).clamp(min=0) / self.draws).sqrt()
