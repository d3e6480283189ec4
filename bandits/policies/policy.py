"""What every policy is: a posterior in, the probabilities of one snapshot out."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from bandits.inputs import mask_tensor
from bandits.numbers import check_number
from bandits.posterior import Posterior
from bandits.streams import Generators
from copyloom import InputError


@dataclass(frozen=True, eq=False)
class Allocation:
    """Probabilities with which one snapshot shows its texts.

    Impressions are drawn from exactly these numbers, so as logged propensities they are exact under every
    policy. `exact` and `standard_error` speak of something else: how well they match what the policy means
    to play.

    Attributes
    ----------
    probabilities : Tensor of shape (..., N), float64
        Sums to 1 over the present texts; 0 elsewhere.
    standard_error : Tensor of shape (..., N), float64
        Monte Carlo standard error of each probability; zeros when exact.
    exact : bool
        Whether the probabilities are computed in closed form rather than estimated by draws.

    Raises
    ------
    InputError
        If shapes differ, or probabilities are negative or do not sum to 1.
    """

    probabilities: Tensor
    standard_error: Tensor
    exact: bool

    def __post_init__(self) -> None:
        shapes = tuple(self.probabilities.shape), tuple(self.standard_error.shape)
        if shapes[0] != shapes[1]:
            raise InputError(f"probabilities have shape {shapes[0]} but standard errors {shapes[1]}; pass equal ones")
        totals = self.probabilities.sum(dim=-1)
        if not bool((self.probabilities >= 0).all() and ((totals - 1).abs() <= 1e-9).all()):
            raise InputError("probabilities are negative or do not sum to 1; pass one distribution per campaign")

    @classmethod
    def exactly(cls, shares: Tensor, shown: Tensor, floor: float = 0.0) -> "Allocation":
        """The allocation in closed form: shares (..., N) of what the floors of the shown texts leave."""
        probabilities = with_floor(shares, shown, floor)
        return cls(probabilities, torch.zeros_like(probabilities), exact=True)


class Policy(Protocol):
    """A rule for sharing impressions among the texts of a slate.

    The loop calls `allocate` once per snapshot, after folding all closed outcomes into the posterior; every
    impression until the next snapshot is drawn from that one allocation. A policy keeps no state: what it
    knows is the posterior, what it draws comes from the generator. A campaign's allocation depends on its
    own posterior, slate and generator alone, whatever campaigns stand beside it. (The posterior itself agrees
    to rounding, about 1e-12, so only texts tied to the last bit could change places in other company.)

    Policies that explore by design also take `floor`: each present text's least probability. It keeps every
    propensity away from 0, which off-policy evaluation needs.
    """

    @property
    def name(self) -> str:
        """What kind of policy this is, for tables and logs; its repr adds the hyper-parameters."""

    def allocate(self, posterior: Posterior, present: Tensor | None, generator: Generators) -> Allocation:
        """Probabilities of the next snapshot.

        Parameters
        ----------
        posterior : Posterior
            Belief about the N texts of each campaign.
        present : Tensor of shape (..., N), bool, or None
            Which texts may be shown; None stands for all that the posterior knows.
        generator : torch.Generator or sequence of them
            One per campaign; policies that do not draw leave them untouched.

        Raises
        ------
        InputError
            If a campaign has no text to show, `present` names a text that the posterior does not know, or the
            floor is too high for the number of texts.
        """


def showable(posterior: Posterior, present: Tensor | None) -> Tensor:
    """Which texts may be shown: Tensor of shape (..., N), bool.

    Raises
    ------
    InputError
        If a campaign has none, or one that the posterior does not know.
    """
    if present is None:
        mask = posterior.present
    else:
        mask = mask_tensor("present", present, posterior.present.shape).to(posterior.present.device)
    if (mask & ~posterior.present).any():
        where = tuple((mask & ~posterior.present).nonzero()[0].tolist())
        raise InputError(f"text {where} is present but was absent from the fit; fit the posterior on it first")
    if not mask.any(dim=-1).all():
        raise InputError("a campaign has no present text; a slate needs at least one")
    return mask


def all_to_best(values: Tensor, shown: Tensor) -> Tensor:
    """Shares that give everything to the shown text of the highest value, of equals the first: (..., N)."""
    values = torch.where(shown, values, -torch.inf)
    best = values.argmax(dim=-1, keepdim=True)  # torch documents: the first of equals
    return torch.zeros_like(values).scatter(-1, best, 1.0)


def times_shown(winners: Tensor, shown: Tensor) -> Tensor:
    """Return how often each text is among `winners`.

    Parameters
    ----------
    winners : Tensor of shape (..., draws), int64
    shown : Tensor of shape (..., N)
        For its shape and device.

    Returns
    -------
    Tensor of shape (..., N), float64
    """
    counts = torch.zeros(shown.shape, dtype=torch.float64, device=shown.device)
    return counts.scatter_add(-1, winners, torch.ones_like(winners, dtype=torch.float64))


def error_of_shares(counts: Tensor, draws: int) -> Tensor:
    """Monte Carlo standard error of shares that were counted in independent draws.

    One draw is added to each side, so that what never happened is not called certain (Laplace's rule of succession).

    Parameters
    ----------
    counts : Tensor of shape (..., N)
        In how many draws a text was shown.
    draws : int

    Returns
    -------
    Tensor of shape (..., N)
    """
    smoothed = (counts + 1) / (draws + 2)
    return (smoothed * (1 - smoothed) / draws).sqrt()


def check_floor(floor: float) -> None:
    """Raise unless the floor is a probability."""
    check_number("floor", floor, least=0, most=1)


def with_floor(shares: Tensor, present: Tensor, floor: float) -> Tensor:
    """Every present text gets the floor; what is left is dealt out by the shares.

    Parameters
    ----------
    shares : Tensor of shape (..., N)
        A distribution over the present texts.
    present : Tensor of shape (..., N), bool
    floor : float

    Returns
    -------
    Tensor of shape (..., N)

    Raises
    ------
    InputError
        If the floors alone sum to more than 1.
    """
    return torch.where(present, floor + free_share(present, floor) * shares, 0)


def free_share(present: Tensor, floor: float) -> Tensor:
    """What the floors leave to be dealt out: Tensor of shape (..., 1).

    Raises
    ------
    InputError
        If the floors alone sum to more than 1.
    """
    count = present.sum(dim=-1, keepdim=True)
    free = 1 - floor * count.to(torch.float64)
    if (free < -1e-12).any():
        most = int(count.max())
        raise InputError(f"a floor of {floor:g} for {most} texts sums to more than 1; pass at most {1 / most:.4g}")
    return free.clamp(min=0)
