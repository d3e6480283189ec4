"""A batch of mixtures of a few texts each out of a pool of any size, apart from each other."""

from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from bandits.inputs import finite_tensor
from bandits.mixtures.proposals import MixtureKey, Proposals
from bandits.mixtures.realised_bound import RealisedBound
from bandits.mixtures.region import MixtureRegion
from bandits.mixtures.sparse_cone import SparseCone
from copyloom import InputError

_CHUNK = 4096  # texts reduced at once
_CHECKED = 16  # neighbours in the pool
_TOLERANCE = 1e-3  # single precision


def best_sparse_mixtures(
    pool: Tensor,
    region: MixtureRegion,
    reduce: Callable[[Tensor], Tensor],
    bound: RealisedBound,
    n: int,
    max_per_parent: int,
    tried: Sequence[Collection[MixtureKey]],
    members: Tensor,
) -> Proposals:
    """The best mixture of each of B campaigns, then the best that keeps apart from it, and so on.

    Points nearer than `region.apart` would be decoded to the same text, so a batch keeps that distance, from what was
    tried as well. A softer penalty would trade reward for distance at a rate that nobody knows.

    Parameters
    ----------
    pool : Tensor of shape (M, S)
    region : MixtureRegion
    reduce : callable
        From wanted points (Q, S) to features (Q, d); affine.
    bound : RealisedBound
    n, max_per_parent : int
    tried : sequence of B collections of MixtureKey
    members : Tensor of shape (B, M), bool

    Returns
    -------
    Proposals
        Of shape (B, n, region.most_parents).

    Raises
    ------
    InputError
        If `reduce` is not affine.
    """
    cone = _cone(pool, reduce)
    blocked = _tried_points(cone.pool, tried)
    uses = torch.zeros(members.shape, dtype=torch.int64)
    singles = cone.singles(bound, len(members))
    rounds = []
    for _ in range(n):
        found = cone.best(bound, region, allowed=members & (uses < max_per_parent), blocked=blocked, singles=singles)
        blocked = torch.cat([blocked, found.points[:, None]], dim=1)
        uses.scatter_add_(1, found.parents.clamp(min=0), (found.parents >= 0).long())
        rounds.append(found)
    score = torch.stack([found.value for found in rounds], dim=1)
    order = score.argsort(dim=-1, descending=True, stable=True)
    rows = torch.arange(len(order))[:, None]
    return Proposals(
        parents=torch.stack([found.parents for found in rounds], dim=1)[rows, order],
        weights=torch.stack([found.weights for found in rounds], dim=1)[rows, order],
        score=score[rows, order],
    )


def _cone(pool: Tensor, reduce: Callable[[Tensor], Tensor]) -> SparseCone:
    """The pool with its features; a mixture's are those of the same weighted sum only if `reduce` is affine."""
    offset = finite_tensor("what reduce gave", reduce(torch.zeros_like(pool[:1])))
    parts = [finite_tensor("what reduce gave", reduce(part)) for part in pool.split(_CHUNK)]
    features = torch.cat(parts) - offset
    some = min(_CHECKED, len(pool) - 1)
    sums = pool[:some] + pool[1 : some + 1]
    slack = max(_TOLERANCE, 8 * torch.finfo(pool.dtype).eps)
    length = torch.linalg.vector_norm(sums, dim=-1, keepdim=True).clamp(min=_TOLERANCE)
    expected = offset + (features[:some] + features[1 : some + 1]) / length
    found = reduce(sums / length).to(expected)
    if not torch.allclose(found, expected, rtol=slack, atol=slack * max(1.0, float(features.abs().max()))):
        raise InputError(
            "reduce is not affine; pass a linear map with or without an offset, and curvature as feature_map"
        )
    return SparseCone(pool, features, offset[0])


def _tried_points(pool: Tensor, tried: Sequence[Collection[MixtureKey]]) -> Tensor:
    """Wanted points of what was tried, 0 where a campaign tried less than another: (B, T, S)."""
    points = torch.zeros(len(tried), max(map(len, tried), default=0), pool.shape[1], dtype=torch.float64)
    for row, keys in zip(points, tried, strict=True):
        for point, (parents, weights) in zip(row, sorted(keys), strict=False):
            if all(0 <= parent < len(pool) for parent in parents):
                vectors = pool[list(parents)].to(torch.float64)
                point.copy_(normalize(torch.tensor(weights, dtype=torch.float64) @ vectors, dim=0))
    return points
