"""The channel starts at the identity and learns what decoding really does."""

import math

import numpy as np
import pytest
import torch

from bandits import RealisedFeatureMap
from copyloom import InputError


def random_pairs(n, d=3, seed=0, noise=0.3):
    stream = np.random.default_rng(seed)
    wanted = stream.standard_normal((n, d))
    truth = stream.standard_normal((1 + d, d))
    realised = truth[0] + wanted @ truth[1:] + noise * stream.standard_normal((n, d))
    return wanted, realised, truth


def test_without_pairs_it_predicts_what_was_wanted():
    channel = RealisedFeatureMap(residual_variance=0.5).fit(torch.empty(4, 0, 3), torch.empty(4, 0, 3))
    features = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mean, variance = channel.predict(features)
    assert torch.equal(mean, features.expand(4, 6, 3))
    assert (variance > 0.5).all()


def test_it_is_the_ridge_solution_towards_the_identity():
    """Against least squares on the data with the prior appended as extra rows."""
    wanted, realised, _ = random_pairs(20)
    channel = RealisedFeatureMap(strength=4.0, residual_variance=0.5, residual_strength=6.0).fit(wanted, realised)
    design = np.vstack([np.c_[np.ones(20), wanted], 2 * np.eye(4)])
    target = np.vstack([realised, 2 * np.eye(4)[:, 1:]])
    solution, residual, *_ = np.linalg.lstsq(design, target, rcond=None)
    np.testing.assert_allclose(channel.coefficients_.numpy(), solution, atol=1e-12)
    np.testing.assert_allclose(channel.residual_variance_.numpy(), (6 * 0.5 + residual) / (6 + 20))
    x = np.array([1, 0.3, -1, 2])
    mean, variance = channel.predict(x[None, 1:])
    np.testing.assert_allclose(mean.numpy()[0], x @ solution)
    leverage = x @ np.linalg.inv(design.T @ design) @ x
    np.testing.assert_allclose(variance.numpy()[0], channel.residual_variance_.numpy() * (1 + leverage))


def test_it_finds_the_map_and_the_noise_behind_many_pairs():
    """20,000 pairs: a coefficient's sd is 0.3 / sqrt(20,000) = 0.002, that of the variance 1 % of it."""
    wanted, realised, truth = random_pairs(20_000)
    channel = RealisedFeatureMap().fit(wanted, realised)
    np.testing.assert_allclose(channel.coefficients_.numpy(), truth, atol=0.012)
    np.testing.assert_allclose(channel.residual_variance_.numpy(), 0.09, rtol=0.06)


def test_predictions_are_least_certain_far_from_what_was_seen():
    channel = RealisedFeatureMap().fit(*random_pairs(50)[:2])
    _, variance = channel.predict(torch.tensor([[0.0, 0.0, 0.0], [5.0, 5.0, 5.0]]))
    assert (variance[1] > variance[0]).all()


def test_order_and_company_and_padding_are_irrelevant():
    wanted, realised, _ = random_pairs(12)
    order = np.random.default_rng(1).permutation(12)
    alone = RealisedFeatureMap().fit(wanted, realised)
    padding = np.full((3, 3), math.nan)
    batch = RealisedFeatureMap().fit(
        np.stack([np.vstack([wanted[order], padding]), np.ones((15, 3))]),
        np.stack([np.vstack([realised[order], padding]), np.ones((15, 3))]),
        present=np.stack([np.arange(15) < 12, np.ones(15, dtype=bool)]),
    )
    for name in ("coefficients_", "residual_variance_", "precision_cholesky_"):
        torch.testing.assert_close(getattr(batch, name)[0], getattr(alone, name), rtol=0, atol=1e-12)


def test_unusable_input_is_refused():
    with pytest.raises(InputError, match=r"wanted has shape \(3, 2\) and realised \(2, 2\)"):
        RealisedFeatureMap().fit(np.zeros((3, 2)), np.zeros((2, 2)))
    with pytest.raises(InputError, match="realised holds 1 NaN"):
        RealisedFeatureMap().fit(np.zeros((1, 1)), np.full((1, 1), math.nan))
    with pytest.raises(InputError, match=r"fitted on \(..., Q, 2\)"):
        RealisedFeatureMap().fit(np.zeros((3, 2)), np.zeros((3, 2))).predict(np.zeros((3, 4)))
    with pytest.raises(InputError, match="strength is 0"):
        RealisedFeatureMap(strength=0)
