"""Predictions and draws agree with the moments they come from."""

import math

import pytest
import torch

from bandits import LogisticRewardModel, RewardPrior, seeded_generators
from bandits.streams import standard_normal
from copyloom import InputError

MODEL = LogisticRewardModel(RewardPrior(base_rate=0.025, logit_sd=0.5, text_effect_sd=0.2))


def test_logits_are_the_linear_map_of_mean_and_covariance(counts):
    posterior = MODEL.fit(*counts)
    rows = torch.cat([posterior.design, torch.eye(7, dtype=torch.float64).expand(3, 7, 7)], dim=-1)
    mean, variance = posterior.logits()
    torch.testing.assert_close(mean, (rows @ posterior.mean[..., None])[..., 0])
    torch.testing.assert_close(variance, (rows @ posterior.covariance @ rows.mT).diagonal(dim1=-2, dim2=-1))


def test_predictions_are_the_linear_map_of_the_coefficients(counts):
    posterior = MODEL.fit(*counts)
    features = torch.tensor([[0.3, -1.0], [2.0, 0.1]], dtype=torch.float64)
    rows = torch.cat([torch.ones(2, 1), features], dim=-1)
    mean, variance = posterior.predict(features)
    torch.testing.assert_close(mean, posterior.coefficients @ rows.T)
    head = posterior.covariance[:, :3, :3]
    torch.testing.assert_close(variance, (rows @ head @ rows.T).diagonal(dim1=-2, dim2=-1) + 0.2**2)


def test_an_unseen_twin_is_less_certain_than_the_shown_text(counts):
    features, impressions, clicks = counts
    posterior = MODEL.fit(features, impressions + 1, clicks)
    _, shown = posterior.logits()
    _, unseen = posterior.predict(features)
    assert (unseen > shown).all()


def test_texts_that_join_unshown_are_believed_as_if_they_had_been_there(counts):
    features, impressions, clicks = counts
    more = torch.randn(3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    present = torch.tensor([[True, True], [True, False], [False, False]])
    none = torch.zeros(3, 2, dtype=torch.float64)
    wanted = MODEL.fit(
        torch.cat([features, more], 1), torch.cat([impressions, none], 1), torch.cat([clicks, none], 1),
        torch.cat([torch.ones(3, 7, dtype=torch.bool), present], 1),
    )  # fmt: skip
    found = MODEL.fit(*counts).joined_by(more, present)
    assert torch.equal(found.present, wanted.present)
    for mine, theirs in zip(found.logits(), wanted.logits(), strict=True):
        torch.testing.assert_close(mine[wanted.present], theirs[wanted.present])
    torch.testing.assert_close(found.covariance[0], wanted.covariance[0])


def test_some_campaigns_of_many(counts):
    posterior = MODEL.fit(*counts)
    some = posterior.of([2, 0])
    assert torch.equal(some.mean, posterior.mean[[2, 0]])
    assert torch.equal(some.covariance, posterior.covariance[[2, 0]])
    assert some.leading == (2,)


def test_doubt_about_features_adds_what_simulation_says(counts):
    """Var(b + (x + e) . theta) by 400,000 draws: the sd of that estimate is 0.22 % of it, the bound 1 %."""
    posterior = MODEL.fit(*(array[0] for array in counts))
    features = torch.tensor([[0.5, -1.0]], dtype=torch.float64)
    doubt = torch.tensor([[0.4, 0.9]], dtype=torch.float64)
    mean, variance = posterior.predict(features)
    variance = variance - 0.2**2 + doubt @ posterior.theta_second_moment()
    stream = torch.Generator().manual_seed(1)
    noise = standard_normal(400_000, torch.ones(1, 3, dtype=torch.bool), stream)[0]
    factor = posterior.precision_cholesky
    drawn = posterior.coefficients + torch.linalg.solve_triangular(factor, noise, upper=False, left=False)
    intercept, theta = drawn[:, 0], drawn[:, 1:]
    noise = torch.randn(400_000, 2, generator=stream, dtype=torch.float64) * doubt.sqrt()
    drawn = intercept + ((features + noise) * theta).sum(-1)
    assert drawn.var().item() == pytest.approx(variance.item(), rel=0.01)
    assert drawn.mean().item() == pytest.approx(mean.item(), abs=5 * math.sqrt(variance.item() / 400_000))


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_draws_have_the_stated_moments(counts, scale):
    """100,000 draws: bounds of 5 standard errors; false alarm below 1e-4 for the 35 numbers compared."""
    posterior = MODEL.fit(*(array[0] for array in counts))
    drawn = posterior.sample_logits(100_000, torch.Generator().manual_seed(2), scale)
    rows = torch.cat([posterior.design, torch.eye(7, dtype=torch.float64)], dim=-1)
    covariance = scale**2 * rows @ posterior.covariance @ rows.T
    sd = covariance.diagonal().sqrt()
    assert ((drawn.mean(0) - posterior.logits()[0]).abs() < 5 * sd / math.sqrt(100_000)).all()
    error = (torch.cov(drawn.T) - covariance).abs() / torch.outer(sd, sd)
    assert (error < 5 * math.sqrt(2 / 100_000)).all()  # Var of a sample covariance <= 2 sd_i^2 sd_j^2 / n


def test_scale_zero_is_the_mean(counts):
    posterior = MODEL.fit(*counts)
    drawn = posterior.sample_logits(2, seeded_generators(0, 3), scale=0)
    torch.testing.assert_close(drawn, posterior.logits()[0][:, None].expand(3, 2, 7))


def test_padding_moves_no_stream(counts):
    """A campaign draws the same numbers, now and next time, however long the slates beside it are."""
    features, impressions, clicks = (array[0] for array in counts)
    short = MODEL.fit(features[:4], impressions[:4], clicks[:4])
    padded = MODEL.fit(features, impressions, clicks, present=torch.arange(7) < 4)
    streams = seeded_generators(4, 1), seeded_generators(4, 1)
    for _ in range(2):
        ours, theirs = short.sample_logits(33, streams[0]), padded.sample_logits(33, streams[1])
        torch.testing.assert_close(ours, theirs[:, :4], rtol=0, atol=1e-12)


def test_unusable_requests_are_refused(counts):
    posterior = MODEL.fit(*counts)
    with pytest.raises(InputError, match=r"features has shape \(4, 3\)"):
        posterior.predict(torch.zeros(4, 3))
    with pytest.raises(InputError, match=r"features has shape \(2, 4, 2\)"):
        posterior.predict(torch.zeros(2, 4, 2))
    with pytest.raises(InputError, match="NaN"):
        posterior.predict(torch.full((1, 2), math.nan))
    with pytest.raises(InputError, match="draws is 0"):
        posterior.sample_logits(0, seeded_generators(0, 3))
    with pytest.raises(InputError, match="scale is -1"):
        posterior.sample_logits(1, seeded_generators(0, 3), -1)
    with pytest.raises(InputError, match="1 generators were given for 3 campaigns"):
        posterior.sample_logits(1, torch.Generator())
