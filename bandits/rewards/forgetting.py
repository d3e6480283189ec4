"""Counts that fade: what shoppers did long ago says less of what they do now."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from bandits.inputs import finite_tensor
from bandits.numbers import check_number
from copyloom import InputError

#: What ages a snapshot: each later snapshot by 1, or each impression shown since by 1.
Clock: TypeAlias = Literal["rounds", "impressions"]


@dataclass(frozen=True, kw_only=True)
class Discount:
    """Halves what a snapshot counts with every half-life (as D-LinUCB does, Russac, Vernade and Cappe 2019).

    In the long run as much is remembered as came in 1.44 half-lives.

    Parameters
    ----------
    half_life : float
        In units of the clock.
    clock : {"impressions", "rounds"}
    """

    half_life: float
    clock: Clock = "impressions"

    def __post_init__(self) -> None:
        check_number("half_life", self.half_life, least=0, above=True)
        _check_clock(self.clock)

    def kept(self, age: Tensor, span: Tensor) -> Tensor:
        """Share that a snapshot still counts, 2^(-age / half_life), in the broadcast shape.

        Parameters
        ----------
        age : Tensor
            What has come since its end: 0 for the latest.
        span : Tensor
            What came in it: 1 in rounds, its impressions otherwise.
        """
        return torch.exp2(-age / self.half_life)


@dataclass(frozen=True, kw_only=True)
class SlidingWindow:
    """Counts the latest outcomes in full and older ones not at all.

    Parameters
    ----------
    length : float
        In units of the clock. A snapshot that lies across the edge counts by the share inside it.
    clock : {"impressions", "rounds"}
    """

    length: float
    clock: Clock = "impressions"

    def __post_init__(self) -> None:
        check_number("length", self.length, least=0, above=True)
        _check_clock(self.clock)

    def kept(self, age: Tensor, span: Tensor) -> Tensor:
        """The share of the span that is younger than the length; see `Discount.kept`."""
        return ((self.length - age) / span.clamp(min=torch.finfo(span.dtype).tiny)).clamp(0, 1)


#: A rule for what a snapshot of some age still counts.
Forgetting: TypeAlias = Discount | SlidingWindow


def remembered(forgetting: Forgetting, impressions: Any, *others: Any) -> tuple[Tensor, ...]:
    """Effective counts for `fit`, out of those of every snapshot: a pure function, so rebuilt from any ledger.

    Parameters
    ----------
    forgetting : Forgetting
    impressions : array of shape (..., T, N)
        Of each snapshot, oldest first, and text; 0 where a text was not in the slate.
    *others : array of shape (..., T, N)
        Whatever else is summed, such as clicks.

    Returns
    -------
    tuple of Tensor of shape (..., N)
        Impressions first, then the others; not whole in general. Clicks are at most impressions
        if those of every snapshot are.

    Examples
    --------
    >>> impressions, clicks = [[800, 0], [400, 400], [0, 800]], [[16, 0], [8, 12], [0, 24]]
    >>> [counts.tolist() for counts in remembered(Discount(half_life=1, clock="rounds"), impressions, clicks)]
    [[400.0, 1000.0], [8.0, 30.0]]
    >>> [counts.tolist() for counts in remembered(SlidingWindow(length=1000), impressions, clicks)]
    [[100.0, 900.0], [2.0, 27.0]]
    """
    counts = [finite_tensor(f"counts {i}", given) for i, given in enumerate((impressions, *others))]
    if counts[0].ndim < 2 or any(part.shape != counts[0].shape for part in counts):
        shapes = ", ".join(str(tuple(part.shape)) for part in counts)
        raise InputError(f"counts have shapes {shapes}; pass (..., T, N) for all")
    if (counts[0] < 0).any():
        raise InputError("impressions are negative; pass counts of at least 0")
    span = counts[0].sum(dim=-1)  # (..., T)
    if forgetting.clock == "rounds":
        span = torch.ones_like(span)
    age = span.flip(-1).cumsum(-1).flip(-1) - span
    share = forgetting.kept(age, span)[..., None]
    return tuple((share * part).sum(dim=-2) for part in counts)


def _check_clock(clock: str) -> None:
    if clock not in ("rounds", "impressions"):
        raise InputError(f"clock is {clock!r}; pass 'rounds' or 'impressions'")
