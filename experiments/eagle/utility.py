"""Utility: what points of the space of sentence vectors are worth, and what a text may cost to get there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from bandits.inputs import finite_tensor
from bandits.numbers import check_number
from copyloom import InputError


class Utility(Protocol):
    """Says what sentence vectors are worth."""

    def __call__(self, vectors: Tensor) -> Tensor:
        """Return the utility (n,), float64, of sentence vectors (n, S)."""
        ...


@dataclass(frozen=True, eq=False)
class Linear:
    """A predicted rating: of a user, of a segment, of the average rater.

    Parameters
    ----------
    weights : Tensor of shape (S,)
    intercept : float

    Examples
    --------
    >>> Linear(torch.tensor([2.0, 0.0]), 1.0)(torch.eye(2)).tolist()
    [3.0, 1.0]
    """

    weights: Tensor
    intercept: float = 0.0

    def __call__(self, vectors: Tensor) -> Tensor:
        """Return the utility (n,) of sentence vectors (n, S)."""
        _check(vectors, self.weights.shape[-1], "weights")
        return vectors.double() @ self.weights.double() + self.intercept


@dataclass(frozen=True, eq=False)
class Novelty:
    """The Euclidean distance from the nearest point of what exists: of unit vectors, 0 to 2.

    Parameters
    ----------
    existing : Tensor of shape (M, S)
    cap : float
        Further than so much no point is rewarded for: beyond it lies what is no text of the kind any more.

    Examples
    --------
    >>> Novelty(torch.eye(2)[:1], cap=1.0)(torch.tensor([[1.0, 0.0], [0.0, 1.0]])).tolist()
    [0.0, 1.0]
    """

    existing: Tensor
    cap: float

    def __post_init__(self) -> None:
        """Raise where nothing exists, or no distance counts."""
        check_number("cap", self.cap, least=0, above=True)
        if self.existing.ndim != 2 or not len(self.existing):
            raise InputError(f"existing has shape {tuple(self.existing.shape)}; pass (M, S) with at least one text")

    def __call__(self, vectors: Tensor) -> Tensor:
        """Return the utility (n,) of sentence vectors (n, S)."""
        _check(vectors, self.existing.shape[-1], "existing")
        apart = torch.cdist(vectors.double(), self.existing.double(), compute_mode="donot_use_mm_for_euclid_dist")
        return apart.amin(1).clamp(max=self.cap)


@dataclass(frozen=True, eq=False)
class WeightedSum:
    """Several utilities at once.

    Parameters
    ----------
    parts : sequence of (float, Utility)
        Weights and utilities.
    """

    parts: Sequence[tuple[float, Utility]]

    def __post_init__(self) -> None:
        """Raise where there is nothing to sum."""
        if not self.parts:
            raise InputError("no utilities were given; pass at least one, with its weight")

    def __call__(self, vectors: Tensor) -> Tensor:
        """Return the utility (n,) of sentence vectors (n, S)."""
        return torch.stack([weight * utility(vectors) for weight, utility in self.parts]).sum(0)


@dataclass(frozen=True, eq=False)
class Guard:
    """What a text costs that a language model finds stranger than the text that it was made of.

    Parameters
    ----------
    nats : callable
        From texts to their mean surprisal (n,), in nats a token: `generator.likelihood.surprisals_alone` of the
        reference language model.
    price : float
        Utility that each nat costs.
    slack : float
        Nats that are free.
    """

    nats: Callable[[Sequence[str]], Tensor]
    price: float = 1.0
    slack: float = 0.5

    def __post_init__(self) -> None:
        """Raise where strangeness would earn something."""
        check_number("price", self.price, least=0)
        check_number("slack", self.slack, least=0)


def _check(vectors: Tensor, size: int, name: str) -> None:
    if vectors.ndim != 2 or vectors.shape[1] != size:
        raise InputError(f"vectors has shape {tuple(vectors.shape)}, but {name} is of size {size}; pass (n, {size})")
    finite_tensor("vectors", vectors)
