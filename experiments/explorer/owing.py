"""What each token of a point's text is owed to: which vectors, which of their numbers, which parent's weight.

All is told beside the *average text*, the mixture of all stored texts at equal weights: what is given here is how much
more probable each token is at the point than there, in nats, and which part of the point brings it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import Report
from embeddings.mixing import mix
from embeddings.space import Space
from experiments.explorer.attribution import STEPS, TokenIntegratedGradients, TokenOcclusion
from experiments.explorer.jacobian import Forward, token_jacobian
from experiments.explorer.point import Point
from experiments.explorer.reading import log_probabilities, read
from experiments.explorer.sense import Shelf

_WAY = 11
"""Weights from one parent to the other at which tokens are looked at."""
_NUMBERS = 10
_FAINT = 0.05
"""Nats below which the sign of what a vector brings says nothing."""

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Owed:
    """What each of T tokens is owed to. All in nats, but for `sensitivity` and the shares.

    Parameters
    ----------
    average : str
        What the average text says.
    gained : tuple of float
        By token: its log probability at the point less that at the average text.
    vectors : T rows of P
        What each vector brings, by integrated gradients; a row sums to `gained`, but for `missed`.
    without : T rows of P
        What goes when a vector is put back to the average text's (occlusion).
    slopes : T rows of P
        Gradient times vector.
    sensitivity : tuple of float
        Nats by which a token's log probability would change if the point moved by its own length as it does at first,
        in the worst direction: the Jacobian's norm times the length.
    numbers : tuple of (int, int, float)
        The numbers that bring most to the whole text: vector, dimension, nats.
    parents : T rows of K
        What each parent's weight brings as it grows from 0, where the average text stands in its stead, to its share;
        by integrated gradients. Empty unless the point is a mixture.
    without_parents : T rows of K
        What goes when the average text takes a parent's place.
    way : tuple of float
        Weights of the second of two parents, from 0 to 1, or as far as the point's own goes.
    along : T rows of the weights' number
        The token's log probability there. Empty unless there are two parents.
    missed : float
        The greatest error of `vectors` and `parents`: without sign over tokens, as a share of all that they gain.
    agreeing : float, optional
        Share of tokens and vectors where `vectors` and `without` have one sign, of those that bring 0.05 nats by both.
    """

    average: str
    gained: tuple[float, ...]
    vectors: Rows
    without: Rows
    slopes: Rows
    sensitivity: tuple[float, ...]
    numbers: tuple[tuple[int, int, float], ...]
    parents: Rows
    without_parents: Rows
    way: tuple[float, ...]
    along: Rows
    missed: float
    agreeing: float | None


def owed(
    space: Space, point: Point, shelf: Shelf, ids: Sequence[int], report: Report = lambda *_: None, steps: int = STEPS
) -> Owed:
    """Return what each token of a point's text is owed to.

    Parameters
    ----------
    space : Space
    point : Point
        Of this space.
    shelf : Shelf
        Stored texts, whose average is what the point is compared with.
    ids : sequence of int
        The tokens that are decoded at the point, end-of-text included.
    report : callable
        Hears of progress.
    steps : int
        Places between the average text and the point at which slopes are taken.
    """

    def spoken(vectors: Tensor) -> Tensor:
        return log_probabilities(space, vectors, ids)

    def heard(done: int, total: int) -> None:
        report("finding what words are owed to", done, total)

    average, here = average_text(space, shelf), point.vectors[None]
    gained = spoken(here).detach()[0] - spoken(average).detach()[0]
    integrated = TokenIntegratedGradients(spoken)
    brought = integrated.attribute(here, average, steps, report=heard)
    missed = integrated.compute_convergence_delta(brought, average, here)[0]
    without = TokenOcclusion(spoken).attribute(here, average)[0]
    slopes = token_jacobian(spoken, here)[1][0]
    parents, without_parents, way, along, astray = _parents(space, point, shelf, average, spoken, steps)
    total = float(gained.abs().sum().clamp_min(1e-9))
    return Owed(
        average=read(space, average)[0].text, gained=tuple(gained.tolist()), vectors=_rows(brought[0].sum(-1)),
        without=_rows(without), slopes=_rows((slopes * point.vectors).sum(-1)),
        sensitivity=tuple((slopes.flatten(1).norm(dim=1) * point.length).tolist()),
        numbers=_greatest(brought[0].sum(0)), parents=parents, without_parents=without_parents, way=way, along=along,
        missed=max(float(missed.abs().sum()), astray) / total, agreeing=_agreeing(brought[0].sum(-1), without),
    )  # fmt: skip


def average_text(space: Space, shelf: Shelf) -> Tensor:
    """Return the mixture (1, P, D) of all stored texts at equal weights."""
    weights = torch.full((1, len(shelf.texts)), 1 / len(shelf.texts))
    return mix(shelf.vectors[None], shelf.meanings[None], weights, space.adapter)


def _parents(
    space: Space, point: Point, shelf: Shelf, average: Tensor, spoken: Forward, steps: int
) -> tuple[Rows, Rows, tuple[float, ...], Rows, float]:
    """Return what each parent brings, by integrated gradients and by occlusion, the way between two, what is missed.

    The input is the weights (B, K); what they lack of 1 is the average text's.
    """
    if not point.stored:
        return (), (), (), (), 0.0
    vectors = torch.stack([*(one.vectors for one in point.stored), average[0]])
    middle = normalize(shelf.meanings.mean(0), dim=0)
    meanings = torch.stack([*(one.sentence_vector for one in point.stored), middle])

    def weighed(weights: Tensor) -> Tensor:
        whole = torch.cat([weights, 1 - weights.sum(1, keepdim=True)], 1)
        rows = len(weights)
        return spoken(mix(vectors.expand(rows, -1, -1, -1), meanings.expand(rows, -1, -1), whole, space.adapter))

    weights = torch.tensor([point.weights])
    integrated = TokenIntegratedGradients(weighed)
    brought = integrated.attribute(weights, n_steps=steps)
    missed = integrated.compute_convergence_delta(brought, torch.zeros_like(weights), weights)
    way, along = _along(point, weighed)
    without = TokenOcclusion(weighed).attribute(weights)[0]
    return _rows(brought[0]), _rows(without), way, along, float(missed.abs().sum())


@torch.no_grad()
def _along(point: Point, weighed: Forward) -> tuple[tuple[float, ...], Rows]:
    """Return weights of the second of two parents, and the log probability of each token there."""
    if len(point.stored) != 2:
        return (), ()
    own = point.weights[1]
    second = torch.linspace(min(0.0, own), max(1.0, own), _WAY)
    return tuple(second.tolist()), _rows(weighed(torch.stack([1 - second, second], 1)).T)


def _greatest(brought: Tensor) -> tuple[tuple[int, int, float], ...]:
    """Return vector, dimension and nats of the numbers (P, D) that bring or cost most."""
    flat = brought.flatten()
    rows = flat.abs().topk(min(_NUMBERS, len(flat))).indices.tolist()
    return tuple((*divmod(row, brought.shape[1]), float(flat[row])) for row in rows)


def _agreeing(brought: Tensor, without: Tensor) -> float | None:
    """Return the share of places (T, P) where both have one sign, of those where neither is faint."""
    clear = (brought.abs() > _FAINT) & (without.abs() > _FAINT)
    return float((brought.sign() == without.sign())[clear].float().mean()) if bool(clear.any()) else None


def _rows(values: Tensor) -> Rows:
    return tuple(tuple(row) for row in values.tolist())
