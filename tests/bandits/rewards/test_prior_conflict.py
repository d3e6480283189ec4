"""The score's z is near standard normal where the prior is right, and far below where it is not."""

import math

import pytest
import torch

from bandits import LogisticRewardModel, RewardPrior, seeded_generators
from bandits.rewards.prior_conflict import predictive_conflict
from copyloom import InputError

PRIOR = RewardPrior(base_rate=0.03, logit_sd=0.4, text_effect_sd=0.15)
MODEL = LogisticRewardModel(PRIOR)


def drawn_campaigns(prior, R=150, N=8, d=3):
    stream = torch.Generator().manual_seed(21)
    features = torch.randn(R, N, d, generator=stream, dtype=torch.float64)
    nothing = torch.zeros(R, N, dtype=torch.float64)
    before = LogisticRewardModel(prior).fit(features, nothing, nothing)
    rates = before.sample_logits(1, seeded_generators(22, R))[:, 0].sigmoid()
    n = torch.randint(200, 3000, (R, N), generator=stream).double()
    return features, n, torch.binomial(n, rates, generator=stream)


def test_no_conflict_with_the_prior_that_the_world_was_drawn_from():
    """150 campaigns, scores a little skewed: mean within 5 standard errors, sd within 0.25 of 1."""
    z = predictive_conflict(MODEL, *drawn_campaigns(PRIOR), seeded_generators(23, 150), draws=100)
    assert abs(z.mean().item()) < 5 / math.sqrt(150)
    assert abs(z.std().item() - 1) < 0.25
    assert (z < -3).sum() <= 5  # 0.2 expected of a normal score; its left tail is heavier


@pytest.mark.parametrize(
    "truth", [RewardPrior(0.3, 0.4, 0.15), RewardPrior(0.03, 2.0, 0.15), RewardPrior(0.03, 0.4, 1.0)]
)
def test_a_wrong_prior_is_noticed(truth):
    """Base rate, spread of the features' part, spread of texts: each far off, in most of 150 campaigns."""
    z = predictive_conflict(MODEL, *drawn_campaigns(truth), seeded_generators(23, 150), draws=50)
    assert (z < -3).double().mean() > 0.7


def test_a_campaign_has_its_own_stream(counts):
    z = predictive_conflict(MODEL, *counts, seeded_generators(24, 3), draws=20)
    alone = predictive_conflict(MODEL, *(a[2] for a in counts), seeded_generators(24, 3)[2], draws=20)
    torch.testing.assert_close(z[2], alone)


def test_unusable_counts_are_refused(counts):
    features, n, c = counts
    with pytest.raises(InputError, match="not whole"):
        predictive_conflict(MODEL, features, n + 0.5, c, seeded_generators(0, 3))
    with pytest.raises(InputError, match="clicks <= impressions"):
        predictive_conflict(MODEL, features, n, n + 1, seeded_generators(0, 3))
    with pytest.raises(InputError, match="draws is 1"):
        predictive_conflict(MODEL, features, n, c, seeded_generators(0, 3), draws=1)


@pytest.mark.parametrize("texts", [0, 4])
def test_without_impressions_there_is_no_conflict(texts):
    nothing = torch.zeros(2, texts)
    z = predictive_conflict(MODEL, torch.zeros(2, texts, 3), nothing, nothing, seeded_generators(0, 2), draws=5)
    assert z.tolist() == [0, 0]
