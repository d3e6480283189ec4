"""Weights of given parents against SciPy's non-negative least squares and its general optimiser."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, nnls
from torch.nn.functional import normalize

from bandits.mixtures.cone_weights import best_weights, lengths, nearest_cosine

S_ENC = 20
STREAM = torch.Generator().manual_seed(2)
PARENTS = normalize(torch.randn(40, 8, S_ENC, generator=STREAM, dtype=torch.float64), dim=-1)
TARGETS = torch.randn(40, S_ENC, generator=STREAM, dtype=torch.float64)
GRAM, SLOPE = PARENTS @ PARENTS.mT, (PARENTS @ TARGETS[..., None])[..., 0]


def reward(weights, gram=GRAM, slope=SLOPE):
    return (weights * slope).sum(-1) / lengths(gram, weights)


def test_eight_parents_as_scipy_s_least_squares():
    found = best_weights(GRAM, SLOPE)
    torch.testing.assert_close(found.sum(-1), torch.ones(40, dtype=torch.float64))
    for vectors, target, weights in zip(PARENTS, TARGETS, found, strict=True):
        expected, _ = nnls(vectors.T.numpy(), target.numpy())
        np.testing.assert_allclose(weights, expected / expected.sum(), atol=1e-7)


@pytest.mark.parametrize(("negative", "nearest"), [(0.1, 0.0), (0.0, 0.7), (0.1, 0.7)])
def test_least_weights_and_least_cosines_as_scipy_s_optimiser(negative, nearest):
    """No start of SLSQP, with any parent as the nearest, ends above."""
    found = best_weights(GRAM, SLOPE, negative, nearest)
    assert found.min() >= -negative - 1e-9
    assert nearest_cosine(GRAM, found).min() >= nearest - 1e-8
    for gram, slope, best in zip(GRAM[:6].numpy(), SLOPE[:6].numpy(), reward(found)[:6].tolist(), strict=True):
        for anchor in range(8 if nearest else 1):
            constraints = [{"type": "eq", "fun": lambda w: w.sum() - 1}]
            if nearest:
                constraints.append(
                    {"type": "ineq", "fun": lambda w, a=anchor, g=gram: g[a] @ w - nearest * np.sqrt(w @ g @ w)}
                )
            start = np.full(8, 0.02) + 0.84 * np.eye(8)[anchor]
            tried = minimize(
                lambda w, g=gram, s=slope: -s @ w / np.sqrt(w @ g @ w), start, method="SLSQP",
                bounds=[(-negative, None)] * 8, constraints=constraints, options={"ftol": 1e-12, "maxiter": 500},
            )  # fmt: skip
            if tried.success:
                assert -tried.fun <= best + 1e-6


def test_empty_places_and_copies():
    """An absent parent gets nothing; a parent listed twice gives the point that it gives once."""
    slope = SLOPE.clone()
    slope[:, 3:] = -torch.inf
    few = best_weights(GRAM, slope)
    assert (few[:, 3:] == 0).all()
    torch.testing.assert_close(few[:, :3], best_weights(GRAM[:, :3, :3], SLOPE[:, :3]))
    twice = [0, 1, 2, 2]
    doubled = best_weights(GRAM[:, twice][:, :, twice], SLOPE[:, twice])
    torch.testing.assert_close(
        reward(doubled, GRAM[:, twice][:, :, twice], SLOPE[:, twice]), reward(few, slope=SLOPE), rtol=1e-6, atol=0
    )


def test_where_every_parent_is_bad_the_least_bad_is_taken():
    slope = -SLOPE.abs()
    found = best_weights(GRAM, slope)
    assert torch.equal(found.argmax(-1), slope.argmax(-1))
    assert (found.max(-1).values == 1).all()


def test_the_greatest_cosine_is_kept_by_a_push_away_from_the_nearest_parent():
    """Targets near one parent; no point of a fine grid over three parents within the bound is better."""
    gram, slope = GRAM[:10, :3, :3], 0.1 * SLOPE[:10, :3] + 3 * GRAM[:10, 0, :3]
    found = best_weights(gram, slope, apart=0.9)
    near = nearest_cosine(gram, found)
    assert near.max() <= 0.9 + 1e-8
    axis = torch.linspace(0, 1, 201, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    grid = torch.cat([grid, 1 - grid.sum(-1, keepdim=True)], dim=-1)
    grid = grid[grid[:, 2] >= 0].expand(10, -1, -1)
    tried = reward(grid, gram[:, None], slope[:, None])
    tried = torch.where(nearest_cosine(gram[:, None], grid) <= 0.9, tried, -torch.inf)
    assert (reward(found, gram, slope) >= tried.amax(-1) - 1e-9).all()


def test_opposites_have_a_mixture_where_every_direction_goes_downhill():
    gram = torch.tensor([[[1.0, -0.95], [-0.95, 1.0]]], dtype=torch.float64)
    found = best_weights(gram, torch.tensor([[-1.0, -2.0]], dtype=torch.float64), nearest=0.7, apart=0.97)
    assert nearest_cosine(gram, found).item() == pytest.approx(0.97)
    assert found[0, 0] > found[0, 1] > 0
