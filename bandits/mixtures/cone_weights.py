"""The best weights of a few given parents, when the reward is linear in the normalised point."""

import torch
from torch import Tensor

_MOST_PIVOTS = 60
_PATIENCE = 3  # block pivots without progress before one variable moves at a time
_MOST_PULLS = 20
_JITTER = 1e-12  # parents may be copies of each other
_SLACK = 1e-10
_WORST = 1e30
_TRIED = 16


def best_weights(
    gram: Tensor, slope: Tensor, negative: float = 0.0, nearest: float = 0.0, apart: float = 1.0
) -> Tensor:
    """Weights w that maximise t . v / |v|, with v = sum_i w_i e_i, sum_i w_i = 1 and w_i >= -negative.

    The weights that k parents may have span a cone of k rays: one weight is 1 + (k - 1) negative, the others are
    -negative. Of all directions in a cone, the projection of t on it is the nearest to t, a non-negative
    least-squares problem; if that is the origin, one of the rays is.

    Parameters
    ----------
    gram : Tensor of shape (..., K, K), float64
        Cosines e_i . e_j of the parents.
    slope : Tensor of shape (..., K), float64
        t . e_i; -inf where there is no parent.
    negative : float
        How far a weight may fall below 0.
    nearest : float
        Least cosine of the point to its nearest parent; 0 is no bound.
    apart : float
        Greatest cosine of the point to its nearest parent; 1 is no bound.

    Returns
    -------
    Tensor of shape (..., K)
        0 where there is no parent. Where no weights are found that keep the bounds, some that do not.
    """
    shape, K = slope.shape, slope.shape[-1]
    gram, slope = gram.reshape(-1, K, K), slope.reshape(-1, K)
    live = slope > -torch.inf
    slope = torch.where(live, slope, 0)
    rays = _rays(live, negative)
    cone = (rays.mT @ gram @ rays if negative else gram) + torch.diag_embed((~live).to(gram) + _JITTER)
    along = torch.where(live, _times(rays.mT, slope), -_WORST)
    weights = _sum_to_one(_times(rays, _best_direction(cone, along)))
    near = nearest_cosine(gram, weights)
    for bound, out in ((nearest, near < nearest - _SLACK), (apart, near > apart + _SLACK)):
        if out.any():
            pulled = _pulled(gram[out], slope[out], live[out], rays[out], cone[out], along[out], bound)
            beside = _beside(gram[out], slope[out], live[out], rays[out], cone[out], bound)
            weights[out] = _better(gram[out], slope[out], pulled, beside, bound)
    return torch.where(live, weights, 0).reshape(shape)


def nearest_cosine(gram: Tensor, weights: Tensor) -> Tensor:
    """Cosine of each mixture's point to its nearest parent: Tensor of shape (...)."""
    cosine = _times(gram, weights) / lengths(gram, weights).clamp(min=_JITTER)[..., None]
    return torch.where(weights != 0, cosine, -torch.inf).amax(-1)


def lengths(gram: Tensor, weights: Tensor) -> Tensor:
    """Length of each weighted sum |v|: Tensor of shape (...)."""
    return (weights * _times(gram, weights)).sum(-1).clamp(min=0).sqrt()


def _rays(live: Tensor, negative: float) -> Tensor:
    """The rays of the cone of allowed weights, as columns: (R, K, K)."""
    present = live.to(torch.float64)
    count = present.sum(-1)[:, None, None]
    least = negative / (1 + count * negative)
    return torch.eye(live.shape[-1], dtype=torch.float64) - least * present[:, :, None] * present[:, None, :]


def _best_direction(cone: Tensor, along: Tensor) -> Tensor:
    """Coefficients u >= 0 of the rays that maximise along . u / sqrt(u' cone u): (R, K)."""
    found = _nonnegative_least_squares(cone, along)
    none = ~(found > 0).any(-1)
    if none.any():
        cosine = along[none] / cone[none].diagonal(dim1=-2, dim2=-1).sqrt()
        found[none] = torch.nn.functional.one_hot(cosine.argmax(-1), along.shape[-1]).to(found)
    return found


def _nonnegative_least_squares(gram: Tensor, along: Tensor) -> Tensor:
    """The u >= 0 that minimises u' gram u / 2 - along . u, by block principal pivoting: (R, K).

    Kim and Park 2011, SIAM J. Sci. Comput. 33(6), algorithm 2 with its finite backup rule.
    """
    free = along > 0
    fewest = torch.full_like(free[:, 0], free.shape[-1] + 1, dtype=torch.int64)
    patience = torch.full_like(fewest, _PATIENCE)
    found = torch.zeros_like(along)
    for _ in range(_MOST_PIVOTS):
        found = _solve_face(gram, along, free)
        surplus = _times(gram, found) - along
        wrong = torch.where(free, found < -_SLACK, surplus < -_SLACK)
        count = wrong.sum(-1)
        if not count.any():
            break
        better = count < fewest
        fewest = torch.where(better, count, fewest)
        patience = torch.where(better, _PATIENCE, patience - 1)
        last = wrong & (wrong.flip(-1).cumsum(-1).flip(-1) == 1)
        free = free ^ torch.where((patience >= 0)[:, None], wrong, last)
    return found.clamp(min=0)


def _solve_face(gram: Tensor, along: Tensor, free: Tensor) -> Tensor:
    """Solution of gram u = along on the free coordinates, 0 elsewhere: (R, K)."""
    both = free[:, :, None] & free[:, None, :]
    matrix = torch.where(both, gram, 0) + torch.diag_embed((~free).to(gram))
    return torch.linalg.solve(matrix, torch.where(free, along, 0))


def _pulled(
    gram: Tensor, slope: Tensor, live: Tensor, rays: Tensor, cone: Tensor, along: Tensor, bound: float
) -> Tensor:
    """Best weights (R, K) whose nearest parent is at cosine `bound`, whichever parent is best for that.

    With one parent a as the anchor the bound has a multiplier, which is a pull towards the anchor or away from it:
    the solution is the best direction of the cone for t + pull a, with the least pull that keeps the bound.
    """
    R, K = slope.shape
    anchor = torch.eye(K, dtype=gram.dtype).repeat(R, 1)  # (R K, K)
    gram, slope, live, rays, cone, along = (
        x.repeat_interleave(K, dim=0) for x in (gram, slope, live, rays, cone, along)
    )
    toward = _times(rays.mT @ gram, anchor)
    pull = _pull(cone, along, toward, live, bound)
    for _ in range(_MOST_PULLS):
        face = (_best_direction(cone, along + pull * toward) > 0) | (anchor > 0)
        before, pull = pull, _pull(cone, along, toward, face, bound)
        if ((pull - before).abs() <= _SLACK * pull.abs()).all():
            break
    weights = _sum_to_one(_times(rays, _best_direction(cone, along + pull * toward)))
    reward = torch.where((live & (anchor > 0)).any(-1), _reward(gram, slope, weights, bound), -torch.inf)
    return weights.reshape(R, K, K)[torch.arange(R), reward.reshape(R, K).argmax(-1)]


def _better(gram: Tensor, slope: Tensor, one: Tensor, other: Tensor, bound: float) -> Tensor:
    """Whichever weights have more reward of those whose nearest parent is at cosine `bound`: (R, K)."""
    first = _reward(gram, slope, one, bound) >= _reward(gram, slope, other, bound)
    return torch.where(first[:, None], one, other)


def _reward(gram: Tensor, slope: Tensor, weights: Tensor, bound: float) -> Tensor:
    """Reward (R,) of weights, -inf where the nearest parent is not at cosine `bound`."""
    kept = (nearest_cosine(gram, weights) - bound).abs() <= _SLACK
    return torch.where(kept, (slope * weights).sum(-1) / lengths(gram, weights).clamp(min=_JITTER), -torch.inf)


def _beside(gram: Tensor, slope: Tensor, live: Tensor, rays: Tensor, cone: Tensor, bound: float) -> Tensor:
    """The best of the points between two rays of the cone that are at cosine `bound` to the nearest parent: (R, K).

    For where every direction goes downhill, and for opposites: no pull makes such a point the best of its cone. The
    point r_i + share r_j is at that cosine to a parent a where ((r_i + share r_j) . a)^2 = bound^2 |r_i + share r_j|^2.
    """
    R, K = slope.shape
    if K == 1:
        return torch.ones_like(slope)
    i, j = torch.triu_indices(K, K, offset=1)
    toward = rays.mT @ gram  # (R, rays, parents)
    first, second = toward[:, i], toward[:, j]  # (R, pairs, parents)
    square = second.square() - bound**2 * cone[:, j, j, None]
    linear = first * second - bound**2 * cone[:, i, j, None]
    rest = first.square() - bound**2 * cone[:, i, i, None]
    root = (linear.square() - square * rest).clamp(min=0).sqrt()
    square = torch.where(square.abs() > _JITTER, square, _JITTER)
    share = torch.stack([(root - linear) / square, (-root - linear) / square], dim=-1)  # (R, pairs, parents, 2)
    along = _times(rays.mT, slope)[..., None, None]
    length = (
        cone[:, i, i, None, None] + 2 * share * cone[:, i, j, None, None] + share.square() * cone[:, j, j, None, None]
    )
    reward = (along[:, i] + share * along[:, j]) / length.clamp(min=_JITTER).sqrt()
    there = (
        (share > 0) & (live[:, i] & live[:, j])[..., None, None] & (first[..., None] + share * second[..., None] > 0)
    )
    reward = torch.where(there, reward, -torch.inf).flatten(1)
    best = reward.topk(min(_TRIED, reward.shape[1]), dim=-1).indices  # another parent may be nearer
    pair, rows = best // (2 * K), torch.arange(R)[:, None]
    weights = rays.mT[rows, i[pair]] + share.flatten(1)[rows, best].clamp(min=0)[..., None] * rays.mT[rows, j[pair]]
    weights = _sum_to_one(weights)
    found = _reward(gram[:, None], slope[:, None], weights, bound)
    return weights[rows[:, 0], found.argmax(-1)]


def _pull(cone: Tensor, along: Tensor, toward: Tensor, free: Tensor, bound: float) -> Tensor:
    """The pull at which the best direction of a face has cosine `bound` to the anchor: (R, 1).

    The projection of t + pull a onto the face's span is t_F + pull a_F: a quadratic equation.
    """
    target, anchor = _solve_face(cone, along, free), _solve_face(cone, toward, free)
    tt, ta, aa = ((x * y).sum(-1, keepdim=True) for x, y in ((along, target), (toward, target), (toward, anchor)))
    spare = (aa - bound**2).clamp(min=_JITTER)
    root = (ta**2 * spare**2 - aa * spare * (ta**2 - bound**2 * tt)).clamp(min=0).sqrt()
    return (root - ta * spare) / (aa * spare)


def _sum_to_one(weights: Tensor) -> Tensor:
    return weights / weights.sum(-1, keepdim=True)


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector[..., None])[..., 0]
