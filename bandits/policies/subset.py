"""Several texts at once: which few to show together, when each has clicks of its own."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from bandits.inputs import check_count, check_number
from bandits.policies.policy import error_of_shares, slate, times_shown
from bandits.posterior import Posterior
from bandits.streams import Generators
from copyloom import InputError


@dataclass(frozen=True, eq=False)
class SubsetAllocation:
    """Subsets to show, drawn independently from a policy's distribution.

    Attributes
    ----------
    subsets : Tensor of shape (..., draws, size), int64
        Indices of texts, the most promising first; show any row, each as likely as the others.
    inclusion : Tensor of shape (..., N), float64
        Probability that a text is in the subset shown, if a row is drawn at random; sums to `size`. As a logged
        propensity it is exact.
    standard_error : Tensor of shape (..., N), float64
        Monte Carlo standard error of `inclusion` as an estimate of what the policy means; zeros when exact.
    exact : bool
        Whether the subsets are computed rather than drawn.
    """

    subsets: Tensor
    inclusion: Tensor
    standard_error: Tensor
    exact: bool


class SubsetPolicy(Protocol):
    """A rule for showing several texts together. Their rewards add up, and each text's own is seen (semi-bandit)."""

    def choose(self, posterior: Posterior, present: Tensor | None, generator: Generators) -> SubsetAllocation:
        """Subsets of the next snapshot; arguments as in `Policy.allocate`."""
        ...


@dataclass(frozen=True, kw_only=True)
class CombinatorialThompson:
    """The best `size` texts of each posterior draw (combinatorial Thompson sampling; Wen, Kveton and Ashkan 2015).

    Mixing several texts into one is another matter: see `MixtureProposer`.

    Parameters
    ----------
    size : int
        Texts shown together.
    scale : float
        Factor on the deviations of the draws.
    draws : int
        Subsets drawn.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    size: int
    scale: float = 0.5
    draws: int = 256
    name: ClassVar[str] = "combinatorial thompson"

    def __post_init__(self) -> None:
        check_count("size", self.size)
        check_number("scale", self.scale, least=0)
        check_count("draws", self.draws)

    def choose(self, posterior: Posterior, present: Tensor | None, generator: Generators) -> SubsetAllocation:
        """Subsets of the next snapshot; see `SubsetPolicy.choose`. Each campaign's generator advances."""
        shown = _enough(slate(posterior, present), self.size)
        subsets, counts = _best(posterior.sample_logits(self.draws, generator, self.scale), shown, self.size)
        error = torch.where(shown, error_of_shares(counts, self.draws), 0)
        return SubsetAllocation(subsets, counts / self.draws, error, exact=False)


@dataclass(frozen=True, kw_only=True)
class CombinatorialUCB:
    """The `size` texts with the highest upper bounds (CombLinUCB; Wen, Kveton and Ashkan 2015).

    Parameters
    ----------
    size : int
        Texts shown together.
    scale : float
        Width of the bound in posterior standard deviations.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    size: int
    scale: float = 1.0
    name: ClassVar[str] = "combinatorial ucb"

    def __post_init__(self) -> None:
        check_count("size", self.size)
        check_number("scale", self.scale, least=0)

    def choose(self, posterior: Posterior, present: Tensor | None, generator: Generators) -> SubsetAllocation:
        """The one subset of the next snapshot; see `SubsetPolicy.choose`."""
        shown = _enough(slate(posterior, present), self.size)
        mean, variance = posterior.logits()
        subsets, counts = _best((mean + self.scale * variance.sqrt())[..., None, :], shown, self.size)
        return SubsetAllocation(subsets, counts, torch.zeros_like(counts), exact=True)


def _enough(shown: Tensor, size: int) -> Tensor:
    if bool((shown.sum(dim=-1) < size).any()):
        raise InputError(f"a campaign has {int(shown.sum(dim=-1).min())} texts, and {size} are to be shown together")
    return shown


def _best(values: Tensor, shown: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The texts of the highest values, (..., draws, N), in each draw, (..., draws, size), and how often each: (..., N).

    Of equals the first.
    """
    values = torch.where(shown[..., None, :], values, -torch.inf)
    subsets = values.argsort(dim=-1, descending=True, stable=True)[..., :size]
    return subsets, times_shown(subsets.flatten(-2), shown)
