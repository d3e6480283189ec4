"""A control that runs beside any policy: one text keeps its share of the impressions."""

from dataclasses import dataclass

from torch import Tensor

from bandits.numbers import check_count, check_number
from bandits.policies.policy import Allocation, Policy, showable
from bandits.posterior import Posterior
from bandits.streams import Generators
from copyloom import InputError


@dataclass(frozen=True, kw_only=True)
class Holdout:
    """Any policy, but for a share of the impressions that always goes to one text.

    What that share earns is a randomised control of what the policy earns. The policy may show the text as well; its
    probability is then the sum of both. Use the policy's `floor` instead to keep a little for
    every text.

    Parameters
    ----------
    policy : Policy
    text : int
        Index of the control in every campaign's slate.
    share : float
        Probability of the control.

    Examples
    --------
    >>> import torch
    >>> from bandits import LogisticRewardModel, RewardPrior, UpperConfidenceBound
    >>> posterior = LogisticRewardModel(RewardPrior(0.02)).fit(torch.eye(2), [900] * 2, [18, 30])
    >>> policy = Holdout(policy=UpperConfidenceBound(), text=0, share=0.1)
    >>> policy.allocate(posterior, None, torch.Generator()).probabilities.tolist()
    [0.1, 0.9]
    """

    policy: Policy
    text: int
    share: float = 0.1

    def __post_init__(self) -> None:
        check_count("text", self.text, least=0)
        check_number("share", self.share, least=0, most=1)

    @property
    def name(self) -> str:
        """The policy's name, and that there is a holdout."""
        return f"{self.policy.name} with holdout"

    def allocate(self, posterior: Posterior, present: Tensor | None, generator: Generators) -> Allocation:
        """Probabilities of the next snapshot; see `Policy.allocate`.

        Raises
        ------
        InputError
            If the control is not in a campaign's slate.
        """
        shown = showable(posterior, present)
        if self.text >= shown.shape[-1] or not bool(shown[..., self.text].all()):
            raise InputError(f"text {self.text} is the holdout's control but not in every slate; keep it present")
        found = self.policy.allocate(posterior, present, generator)
        probabilities = (1 - self.share) * found.probabilities
        probabilities[..., self.text] += self.share
        return Allocation(probabilities, (1 - self.share) * found.standard_error, found.exact)
