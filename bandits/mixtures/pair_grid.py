"""Every pair of texts under every weighting of a list: the exact best, where the pool is small."""

from collections.abc import Callable, Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from bandits.mixtures.proposals import MixtureKey, Proposals, mixture_key
from bandits.mixtures.realised_bound import RealisedBound
from bandits.numbers import ROUNDING
from copyloom import InputError

_CHUNK = 512  # mixtures scored at once: small arrays stay in cache
_SHORTEST = 1e-6  # parents that cancel have no wanted point


def best_pairs(
    pool: Tensor,
    weightings: Sequence[tuple[float, float]],
    reduce: Callable[[Tensor], Tensor],
    bound: RealisedBound,
    n: int,
    max_per_parent: int,
    tried: Sequence[Collection[MixtureKey]],
    members: Tensor,
) -> Proposals:
    """The n best untried pairs of each of B campaigns, taken greedily, ties by lowest candidate.

    Parameters
    ----------
    pool : Tensor of shape (M, S)
    weightings : sequence of pairs of float
    reduce : callable
        From wanted points (Q, S) to features (Q, d).
    bound : RealisedBound
    n, max_per_parent : int
    tried : sequence of B collections of MixtureKey
    members : Tensor of shape (B, M), bool

    Returns
    -------
    Proposals
        Of shape (B, n, 2).
    """
    B, M = members.shape
    parents, weights = _candidates(M, weightings)
    score = _scores(pool, parents, weights, reduce, bound).reshape(B, -1)
    score = torch.where(members[:, parents].all(dim=-1), score, -torch.inf)
    for row, column in _tried_cells(tried, weightings, M):
        score[row, column] = -torch.inf
    chosen, best = _pick(score.numpy(), parents.numpy(), n, max_per_parent, M)
    found = torch.from_numpy(chosen).clamp(min=0)
    valid = torch.from_numpy(chosen >= 0)[..., None]
    if len(parents) == 0:
        parents, weights = torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1, 2, dtype=torch.float64)
    return Proposals(
        parents=torch.where(valid, parents[found], -1),
        weights=torch.where(valid, weights[found], 0),
        score=torch.from_numpy(best),
    )


def both_ways(weightings: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    """Each weighting and its reverse, once, in the order given.

    Raises
    ------
    InputError
        If there is none, or one is not a pair that sums to 1.
    """
    seen: dict[tuple[float, ...], tuple[float, float]] = {}
    for pair in weightings:
        total = float(sum(pair))
        if len(pair) != 2 or not abs(total - 1) <= ROUNDING:
            raise InputError(f"weighting {tuple(pair)} is not a pair that sums to 1")
        first, second = (float(weight) / (1 if abs(total - 1) <= 1e-9 else total) for weight in pair)
        for w in ((first, second), (second, first)):
            seen.setdefault(mixture_key((0, 1), w)[1], w)
    if not seen:
        raise InputError("no weighting was given; pass at least one pair that sums to 1")
    return tuple(seen.values())


def _candidates(M: int, weightings: Sequence[tuple[float, float]]) -> tuple[Tensor, Tensor]:
    """Parents (Q, 2) and weights (Q, 2) of all mixtures: pair by pair, all weightings of each."""
    pairs = torch.triu_indices(M, M, offset=1).T  # (M (M - 1) / 2, 2)
    grid = torch.tensor(weightings, dtype=torch.float64)
    return pairs.repeat_interleave(len(grid), dim=0), grid.repeat(len(pairs), 1)


def _scores(
    pool: Tensor, parents: Tensor, weights: Tensor, reduce: Callable[[Tensor], Tensor], bound: RealisedBound
) -> Tensor:
    """Upper bound on every candidate's logit, -inf where parents cancel: (..., Q)."""
    score = torch.full((*bound.posterior.leading, len(parents)), -torch.inf, dtype=torch.float64)
    for start in range(0, len(parents), _CHUNK):
        part = slice(start, start + _CHUNK)
        points = _weighted_sum(pool, parents[part], weights[part])
        length = torch.linalg.vector_norm(points, dim=-1, keepdim=True)
        bounds = bound.of(reduce(points / length.clamp(min=_SHORTEST)))
        score[..., part] = torch.where(length[:, 0] > _SHORTEST, bounds, -torch.inf).cpu()
    return score


def _tried_cells(
    tried: Sequence[Collection[MixtureKey]], weightings: Sequence[tuple[float, float]], M: int
) -> list[tuple[int, int]]:
    """(campaign, candidate) of the tried mixtures that are candidates."""
    place = {mixture_key((0, 1), pair)[1]: g for g, pair in enumerate(weightings)}
    cells = []
    for row, keys in enumerate(tried):
        for parents, weights in keys:
            if weights in place and len(parents) == 2 and 0 <= parents[0] < parents[1] < M:
                i, j = parents
                pair = i * M - i * (i + 1) // 2 + j - i - 1  # rank in lexicographic order
                cells.append((row, pair * len(weightings) + place[weights]))
    return cells


def _pick(score: np.ndarray, parents: np.ndarray, n: int, most: int, M: int) -> tuple[np.ndarray, np.ndarray]:
    """Greedy choice per campaign: candidates (B, n), -1 where none is left, and their scores (B, n)."""
    chosen = np.full((len(score), n), -1, dtype=np.int64)
    best = np.full((len(score), n), -np.inf)
    for b, row in enumerate(score):
        uses = np.zeros(M, dtype=np.int64)
        for k in range(n if row.size else 0):
            top = int(row.argmax())
            if row[top] == -np.inf:
                break
            chosen[b, k], best[b, k] = top, row[top]
            row[top] = -np.inf
            for parent in parents[top]:
                uses[parent] += 1
                if uses[parent] == most:
                    row[(parents == parent).any(axis=-1)] = -np.inf
    return chosen, best


def _weighted_sum(pool: Tensor, parents: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of the parents' vectors: (Q, S)."""
    weights = weights.to(pool)
    parents = parents.to(pool.device)
    return weights[:, :1] * pool[parents[:, 0]] + weights[:, 1:] * pool[parents[:, 1]]
