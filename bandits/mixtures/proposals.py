"""Mixtures to decode next, and their names."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from copyloom import InputError

#: Parents in rising order and their weights to 4 decimals: one name per mixture.
MixtureKey: TypeAlias = tuple[tuple[int, ...], tuple[float, ...]]


def mixture_key(parents: Sequence[int], weights: Sequence[float]) -> MixtureKey:
    """One name for a mixture, whatever the order in which its parents are given.

    Examples
    --------
    >>> mixture_key([7, 2], [0.3, 0.7])
    ((2, 7), (0.7, 0.3))
    """
    if len(parents) != len(weights):
        raise InputError(f"{len(weights)} weights were given for {len(parents)} parents; pass one weight per parent")
    ordered = sorted(zip(map(int, parents), (round(float(w), 4) for w in weights), strict=True))
    return tuple(parent for parent, _ in ordered), tuple(weight for _, weight in ordered)


@dataclass(frozen=True, eq=False)
class Proposals:
    """Mixtures to decode next, best first.

    Attributes
    ----------
    parents : Tensor of shape (..., n, K), int64
        Indices into the pool, in rising order; -1 in places that a mixture of fewer parents leaves empty, and all
        -1 where a campaign had no candidate left.
    weights : Tensor of shape (..., n, K), float64
        Mixing weights, each row summing to 1; 0 where there is no parent.
    score : Tensor of shape (..., n), float64
        Upper bound on the logit of the text to come; -inf where there is no candidate.
    """

    parents: Tensor
    weights: Tensor
    score: Tensor

    @property
    def valid(self) -> Tensor:
        """Which rows are mixtures at all: Tensor of shape (..., n), bool."""
        return self.parents[..., 0] >= 0
