"""What people thought of entities: their ratings as vectors of entities and of people, and as texts foretell them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from copyloom import InputError
from simulator.worlds.factors import Array, Factors, Ids

FEWEST = 5
"""Ratings that make a behavioural vector."""
SIZE, PENALTY = 16, 20.0
"""Factors, and their penalty in ratings: of those tried they foretell held-out ratings of MovieLens best."""
_PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0)
"""Of the regression from sentence vectors to what people think, chosen by fifths of the entities."""


@dataclass(frozen=True, eq=False)
class Tastes:
    """Ratings, and what is learnt from them.

    Parameters
    ----------
    users, items : array of shape (R,)
        Numbers of people and of entities.
    ratings : array of shape (R,)
    factors : Factors
    counts : array of shape (N,)
        Ratings of each entity.
    weights : array of shape (S + 1, K + 1), optional
        From a sentence vector and 1 to an entity's factors and bias: how a text is foretold to be liked.
    explained : float
        Share of the variance of the vectors of entities that were left out which their texts foretell.
    """

    users: Ids
    items: Ids
    ratings: Array
    factors: Factors
    counts: NDArray[np.int64]
    weights: Array | None = None
    explained: float = float("nan")

    @classmethod
    def fit(cls, users: Ids, items: Ids, ratings: Array, count: int) -> Tastes:
        """Learn from ratings of `count` entities."""
        if not len(ratings) or int(users.max()) < 1:
            raise InputError(f"{len(ratings)} ratings teach no tastes; give those of two people or more")
        factors = Factors.fit(users, items, ratings, count, SIZE, PENALTY)
        return cls(users, items, ratings, factors, np.bincount(items, minlength=count))

    @cached_property
    def rated(self) -> NDArray[np.bool_]:
        """Which entities (N,) have ratings enough for a behavioural vector."""
        found: NDArray[np.bool_] = self.counts >= FEWEST
        return found

    @cached_property
    def item_values(self) -> Array:
        """Factors and bias of each entity (N, K + 1)."""
        return np.column_stack([self.factors.items, self.factors.item_bias])

    @cached_property
    def items_seen(self) -> Tensor:
        """Behavioural vectors of entities (N, K + 1), as an adapter reads them; see `standardised`."""
        return standardised(self.item_values, self.rated)

    @cached_property
    def users_seen(self) -> Tensor:
        """Behavioural vectors of people (U, K + 1), as an adapter reads them: factors, and how kindly they rate."""
        values = np.column_stack([self.factors.users, self.factors.user_bias])
        return standardised(values, np.ones(len(values), bool))

    def with_texts(self, semantic: NDArray[np.float32], known: Sequence[int]) -> Tastes:
        """Return tastes that foretell ratings of texts, learnt from the entities of `known` that are rated."""
        rows = np.array([number for number in known if self.rated[number]])
        if len(rows) < 20:
            raise InputError(f"{len(rows)} rated entities teach not how texts are liked; give 20 or more")
        inputs = np.column_stack([semantic[rows].astype(float), np.ones(len(rows))])
        targets, share = self.item_values[rows], self.counts[rows] / (self.counts[rows] + FEWEST)
        fold = np.arange(len(rows)) % 5
        missed = {penalty: sum(_missed(inputs, targets, share, fold == one, penalty) for one in range(5))
                  for penalty in _PENALTIES}  # fmt: skip
        best = min(_PENALTIES, key=missed.__getitem__)
        total = float(share @ ((targets - np.average(targets, axis=0, weights=share)) ** 2).sum(1))
        return replace(self, weights=_ridge(inputs, targets, share, best), explained=1 - missed[best] / total)

    def foretold(self, semantic: Tensor) -> Array:
        """Return the factors and bias (B, K + 1) that texts are foretold, by sentence vectors (B, S)."""
        if self.weights is None:
            raise InputError("these tastes know no texts; make them part of a domain first")
        return np.column_stack([semantic.double().numpy(), np.ones(len(semantic))]) @ self.weights

    def liking(self, users: Sequence[int]) -> tuple[Tensor, float]:
        """Return the mean rating that texts are foretold by some people, linear in sentence vectors: (S,), and a term.

        Raises
        ------
        InputError
            If these tastes know no texts.
        """
        if self.weights is None:
            raise InputError("these tastes know no texts; make them part of a domain first")
        rows = list(users)
        found = self.weights @ np.append(self.factors.users[rows].mean(0), 1.0)
        term = float(found[-1] + self.factors.mean + self.factors.user_bias[rows].mean())
        return torch.from_numpy(found[:-1]), term

    def ratings_of(self, values: Array, users: Sequence[int]) -> Array:
        """Return the ratings (B, U) that people give entities of some factors and biases (B, K + 1)."""
        rows = list(users)
        own = values[:, :-1] @ self.factors.users[rows].T
        found: Array = self.factors.mean + own + values[:, -1:] + self.factors.user_bias[rows]
        return found


def standardised(values: Array, told: NDArray[np.bool_]) -> Tensor:
    """Return values (N, K) of mean 0 and variance 1 / K over the rows that are told, cut at three deviations.

    So they are about as long as sentence vectors.
    """
    mean, deviation = values[told].mean(0), np.maximum(values[told].std(0), 1e-9)
    return torch.from_numpy(np.clip((values - mean) / deviation, -3, 3) / values.shape[1] ** 0.5).float()


def _ridge(inputs: Array, targets: Array, share: Array, penalty: float) -> Array:
    weighted = inputs.T * share
    scale = penalty * np.eye(inputs.shape[1])
    scale[-1, -1] = 1e-6  # of the constant
    return np.asarray(np.linalg.solve(weighted @ inputs + scale, weighted @ targets), np.float64)


def _missed(inputs: Array, targets: Array, share: Array, out: NDArray[np.bool_], penalty: float) -> float:
    weights = _ridge(inputs[~out], targets[~out], share[~out], penalty)
    return float(share[out] @ ((targets[out] - inputs[out] @ weights) ** 2).sum(1))
