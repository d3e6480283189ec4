"""Where to look first: the allocation that learns most about all texts at once, whatever the clicks."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from bandits.inputs import finite_tensor, mask_tensor
from bandits.numbers import check_number
from bandits.policies.policy import Allocation, check_floor, showable
from bandits.posterior import Posterior
from bandits.streams import Generators
from copyloom import InputError

_MOST_STEPS = 10_000
_NOTHING = 1e-6
"""Size of a dimension, beside the largest, below which texts do not span it."""


@dataclass(frozen=True, eq=False)
class Design:
    """A D-optimal design and how near it is to one.

    Attributes
    ----------
    weights : Tensor of shape (..., N), float64
        Shares of the impressions; most are 0.
    worst_variance : Tensor of shape (...)
        Largest x' V^-1 x over the texts, V = sum_i weights_i x_i x_i': what one impression's worth of data leaves
        unknown of the least known text. No design brings it below `rank`, and it is `rank` at the optimum (Kiefer and
        Wolfowitz 1960), so that their ratio certifies the weights: log det V is at most rank (ratio - 1) below the
        best.
    rank : int
        Dimensions that the texts span.
    """

    weights: Tensor
    worst_variance: Tensor
    rank: int

    @property
    def certificate(self) -> Tensor:
        """`worst_variance` / `rank`, at least 1 but for rounding: Tensor of shape (...)."""
        return self.worst_variance / self.rank


def optimal_design(features: Any, present: Any = None, *, tolerance: float = 0.01) -> Design:
    """D-optimal (and so G-optimal) weights of texts, by Frank-Wolfe steps towards and away from texts.

    Steps of exact length after Fedorov and Wynn, and away from texts that know least after Atwood (1973); see Todd
    and Yildirim (2007), "On Khachiyan's algorithm", section 3.

    Parameters
    ----------
    features : array of shape (..., N, p)
        A leading column of ones, where there is an intercept to learn, is the caller's.
    present : array of shape (..., N), bool, optional
        Which texts may have weight.
    tolerance : float
        Stops when `Design.certificate` is at most 1 + tolerance in every campaign, or after 10,000 steps: it says how
        far they came.

    Raises
    ------
    InputError
        If features are not finite, or the texts of a campaign do not span all p dimensions.
    """
    check_number("tolerance", tolerance, least=0, above=True)
    rows = finite_tensor("features", features)
    if rows.ndim < 2 or rows.shape[-2] < 1:
        raise InputError(f"features has shape {tuple(rows.shape)}; pass (..., N, p) with at least one text")
    shown = mask_tensor("present", present, rows.shape[:-1]).to(rows.device)
    rows, p = torch.where(shown[..., None], rows, 0), rows.shape[-1]
    if bool((torch.linalg.matrix_rank(rows) < p).any()):
        raise InputError(f"the texts do not span the {p} dimensions of their features; drop columns or add texts")
    weights = shown.to(torch.float64) / shown.sum(dim=-1, keepdim=True)
    variance = _variances(rows, weights)
    for _ in range(_MOST_STEPS):
        done = variance.amax(dim=-1) <= p * (1 + tolerance)
        if bool(done.all()):
            break
        weights = torch.where(done[..., None], weights, _step(weights, variance, p))
        variance = _variances(rows, weights)
    return Design(weights, variance.amax(dim=-1), p)


def in_span(features: Any) -> Tensor:
    """Return whitened coordinates (N, r), float64, of features (N, p) in the r dimensions that they span.

    A design of few texts, or of texts that hardly differ, is one over these: leverages, weights and certificate are
    those of the features with a pseudo-inverse in the place of V^-1, for they do not depend on a basis.

    Parameters
    ----------
    features : array of shape (N, p)

    Raises
    ------
    InputError
        If features are not finite, or all are zero.

    Examples
    --------
    >>> optimal_design(in_span([[3.0, 0, 0], [0, 2, 0]])).weights.tolist()
    [0.5, 0.5]
    """
    rows = finite_tensor("features", features)
    if rows.ndim != 2:
        raise InputError(f"features has shape {tuple(rows.shape)}; pass (N, p)")
    left, sizes, _ = torch.linalg.svd(rows.to(torch.float64), full_matrices=False)
    spanned = sizes > _NOTHING * sizes.amax() if sizes.any() else torch.zeros_like(sizes, dtype=torch.bool)
    if not spanned.any():
        raise InputError("all features are zero, so there is nothing to learn from any text; pass others")
    return left[:, spanned]


def _variances(rows: Tensor, weights: Tensor) -> Tensor:
    """Leverage x' V^-1 x of each text: (..., N)."""
    inverse = torch.linalg.inv(rows.mT @ (weights[..., None] * rows))
    return ((rows @ inverse) * rows).sum(dim=-1)


def _step(weights: Tensor, variance: Tensor, p: int) -> Tensor:
    """One step of exact length, towards the worst known text or away from the best known, whichever is further off."""
    high, towards = variance.max(dim=-1, keepdim=True)
    low, away = torch.where(weights > 1e-12, variance, torch.inf).min(dim=-1, keepdim=True)
    forward = high - p >= p - low
    place, value = torch.where(forward, towards, away), torch.where(forward, high, low)
    held = weights.gather(-1, place)
    whole = -held / (1 - held).clamp(min=1e-12)  # takes all of a text's weight away
    size = torch.where(value > 1, (value - p) / (p * (value - 1)), whole)
    size = torch.where(forward, size, torch.maximum(size, whole))
    moved = ((1 - size) * weights).scatter_add(-1, place, size).clamp(min=0)
    return moved / moved.sum(dim=-1, keepdim=True)


@dataclass(frozen=True, kw_only=True)
class OptimalDesign:
    """Impressions by the D-optimal design over the slate's features: a start, before clicks say anything.

    It earns what uniform play earns, but learns faster: for the first quarter or so of
    d / (logit_sd^2 p (1 - p)) impressions (design, section 4.7). Use `ThompsonSampling` instead from then on.

    Parameters
    ----------
    tolerance : float
        See `optimal_design`.
    floor : float
        Least probability of every present text.
    """

    tolerance: float = 0.01
    floor: float = 0.0
    name: ClassVar[str] = "optimal design"

    def __post_init__(self) -> None:
        check_number("tolerance", self.tolerance, least=0, above=True)
        check_floor(self.floor)

    def allocate(self, posterior: Posterior, present: Tensor | None, generator: Generators) -> Allocation:
        """Probabilities of the next snapshot; see `Policy.allocate`.

        A slate whose texts do not span the features gets the design of what the prior's own knowledge completes: a
        thousandth of an impression along each dimension.
        """
        shown = showable(posterior, present)
        rows = posterior.design.expand(*shown.shape, posterior.design.shape[-1])
        weights = _completed(rows, shown, self.tolerance)
        return Allocation.exactly(weights, shown, self.floor)


def _completed(rows: Tensor, shown: Tensor, tolerance: float) -> Tensor:
    """Weights of the texts in the design over them and a small text along each dimension."""
    N, p = rows.shape[-2:]
    small = 1e-3**0.5 * torch.eye(p, dtype=rows.dtype, device=rows.device).expand(*rows.shape[:-2], p, p)
    everything = torch.cat([torch.where(shown[..., None], rows, 0), small], dim=-2)
    may = torch.cat([shown, torch.ones_like(small[..., 0], dtype=torch.bool)], dim=-1)
    weights = optimal_design(everything, may, tolerance=tolerance).weights[..., :N].round(decimals=10)
    return weights / weights.sum(dim=-1, keepdim=True)  # rounded, so that company and padding do not show
