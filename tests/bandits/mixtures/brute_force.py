"""The best mixture by trying every set of parents under a fine grid of weights, then ever finer around the best."""

import itertools

import torch

_GRID = {1: 1, 2: 161, 3: 25}
_STARTS, _FINEST = 3, 1e-7


def brute_force(pool, features, offset, value, region):
    """Best value, or -inf: `value` takes features (Q, d); of pools of up to a dozen texts and at most 3 parents."""
    best = -torch.inf
    for k in range(1, min(region.most_parents, len(pool)) + 1):
        sets = torch.tensor(list(itertools.combinations(range(len(pool)), k)))
        vectors, rows = pool[sets], features[sets]  # (C, k, S), (C, k, d)
        weights = _grid(k, region.negative).expand(len(sets), -1, -1)
        score = _score(weights, vectors, rows, offset, value, region)
        top = score.topk(min(_STARTS, score.shape[-1]), dim=-1)
        weights = weights.gather(1, top.indices[..., None].expand(-1, -1, k)).flatten(0, 1)[:, None]
        score = top.values.flatten()
        vectors, rows = (x.repeat_interleave(top.values.shape[-1], dim=0) for x in (vectors, rows))
        moves, step = _moves(k), 0.05
        while k > 1 and step > _FINEST:
            around = weights + step * moves
            found = _score(around, vectors, rows, offset, value, region).max(-1)
            better = found.values > score
            weights = torch.where(
                better[:, None, None], around[torch.arange(len(around)), found.indices][:, None], weights
            )
            score = torch.where(better, found.values, score)
            step = step if better.any() else step / 2
        best = max(best, score.max().item())
    return best


def _score(weights, vectors, rows, offset, value, region):
    """Values (C, G) of weightings (C, G, k), -inf where they are not allowed."""
    sums = weights @ vectors
    length = sums.norm(dim=-1)
    points = sums / length.clamp(min=1e-6)[..., None]
    used = weights.abs() > 1e-12
    near = torch.where(used, points @ vectors.mT, -torch.inf).amax(-1)
    allowed = (length > 1e-6) & (weights >= -region.negative - 1e-12).all(-1) & (near >= region.nearest - 1e-9)
    if region.apart < 1:
        allowed &= (near <= region.apart) & (used.sum(-1) > 1)
    mixed = offset + weights @ rows / length.clamp(min=1e-6)[..., None]
    return torch.where(allowed, value(mixed.flatten(0, 1)).reshape(allowed.shape), -torch.inf)


def _grid(k, negative):
    """Weightings that sum to 1, none below -negative: (G, k)."""
    axis = torch.linspace(0, 1, _GRID[k], dtype=torch.float64)
    rest = torch.cartesian_prod(*[axis] * (k - 1)).reshape(-1, k - 1) if k > 1 else torch.zeros(1, 0).double()
    share = torch.cat([rest, 1 - rest.sum(-1, keepdim=True)], dim=-1)
    return share[(share >= -1e-12).all(-1)] * (1 + k * negative) - negative


def _moves(k):
    """Small changes that keep the sum: (P, k)."""
    steps = torch.tensor(list(itertools.product((-1, -0.5, 0, 0.5, 1), repeat=k)), dtype=torch.float64)
    return steps[steps.sum(-1) == 0]
