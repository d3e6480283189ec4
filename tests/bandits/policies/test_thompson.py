"""Thompson's shares are probabilities of being best, within the error they state."""

import math

import pytest
import torch
from scipy.stats import norm

from bandits import LogisticRewardModel, RewardPrior, ThompsonSampling, seeded_generators
from copyloom import InputError

MODEL = LogisticRewardModel(RewardPrior(0.025))


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_two_texts_share_as_the_normal_distribution_says(scale):
    """P(1 beats 0) = Phi(mean difference / (scale * sd of the difference)), for 200 campaigns at once.

    The errors in units of the stated standard error have mean square 1, with sd sqrt(2 / 200) = 0.1; the
    bounds are 4 of these, and 4.5 for each campaign: false alarm below 0.3 %.
    """
    stream = torch.Generator().manual_seed(6)
    features = torch.randn(200, 2, 3, generator=stream, dtype=torch.float64)
    clicks = torch.randint(15, 35, (200, 2), generator=stream)
    posterior = MODEL.fit(features, torch.full((200, 2), 1000), clicks)
    contrast = torch.cat([features[:, 1] - features[:, 0], torch.tensor([[-1.0, 1.0]]).expand(200, 2)], dim=-1)
    contrast = torch.cat([torch.zeros(200, 1), contrast], dim=-1)  # no intercept in a difference
    difference = (contrast * posterior.mean).sum(-1)
    sd = (contrast[:, None] @ posterior.covariance @ contrast[..., None])[:, 0, 0].sqrt()
    exact = torch.from_numpy(norm.cdf((difference / (scale * sd)).numpy()))
    allocation = ThompsonSampling(scale=scale, draws=4096).allocate(posterior, None, seeded_generators(8, 200))
    z = (allocation.probabilities[:, 1] - exact) / allocation.standard_error[:, 1]
    assert z.abs().max() < 4.5
    assert abs(z.square().mean().item() - 1) < 0.4


def test_half_the_scale_is_bolder_than_the_whole():
    posterior = MODEL.fit(torch.eye(2), [1000, 1000], [20, 30])
    best = [
        ThompsonSampling(scale=scale, draws=4096).allocate(posterior, None, torch.Generator()).probabilities[1]
        for scale in (1.0, 0.5, 0.0)
    ]
    assert best[0] + 0.05 < best[1]
    assert best[1] < best[2] == 1


def test_equal_texts_share_equally():
    """Five exchangeable texts, 16,384 draws: 4.5 standard errors of 0.2 each."""
    posterior = MODEL.fit(torch.eye(5), [100] * 5, [3] * 5)
    allocation = ThompsonSampling(draws=16_384).allocate(posterior, None, torch.Generator().manual_seed(1))
    assert ((allocation.probabilities - 0.2).abs() < 4.5 * math.sqrt(0.2 * 0.8 / 16_384)).all()


def test_the_error_of_a_text_that_never_won_is_not_zero():
    posterior = MODEL.fit(torch.eye(2), [10**6, 10**6], [10**4, 10**5])
    allocation = ThompsonSampling(draws=100).allocate(posterior, None, torch.Generator())
    assert allocation.probabilities.tolist() == [0, 1]
    assert (allocation.standard_error > 0).all()


def test_the_floor_shrinks_shares_and_errors_alike(counts):
    posterior = MODEL.fit(*counts)
    plain = ThompsonSampling(draws=128).allocate(posterior, None, seeded_generators(0, 3))
    floored = ThompsonSampling(draws=128, floor=0.02).allocate(posterior, None, seeded_generators(0, 3))
    free = 1 - 7 * 0.02
    torch.testing.assert_close(floored.probabilities, 0.02 + free * plain.probabilities)
    torch.testing.assert_close(floored.standard_error, free * plain.standard_error)


@pytest.mark.parametrize("draws", [0, -5, 2.5, True])
def test_unusable_draws_are_refused(draws):
    with pytest.raises(InputError, match="draws"):
        ThompsonSampling(draws=draws)
