"""The bound is what channel and posterior say together, and its gradient is its gradient."""

import pytest
import torch

from bandits import LogisticRewardModel, RealisedFeatureMap, RewardPrior
from bandits.mixtures.realised_bound import RealisedBound
from bandits.rewards.features import QuadraticFeatures
from copyloom import InputError

D, B = 3, 2
STREAM = torch.Generator().manual_seed(11)
FEATURES = torch.randn(B, 6, D, generator=STREAM, dtype=torch.float64)


def draw(*shape):
    return torch.randn(shape, generator=STREAM, dtype=torch.float64)


def posterior_of(features):
    shown, clicks = torch.full((B, 12), 1500), torch.randint(10, 90, (B, 12), generator=STREAM)
    return LogisticRewardModel(RewardPrior(0.025)).fit(features, shown, clicks)


@pytest.fixture(scope="module", params=["shared", "of its own"])
def channel(request):
    leading = () if request.param == "shared" else (B,)
    return RealisedFeatureMap().fit(draw(*leading, 9, D), draw(*leading, 9, D))


def test_it_is_what_channel_and_posterior_say(channel):
    posterior = posterior_of(draw(B, 12, D))
    realised, error = channel.predict(FEATURES)
    mean, variance = posterior.predict(realised)
    variance = variance + (error @ posterior.theta_second_moment()[..., None])[..., 0]
    found = RealisedBound(channel, posterior, exploration=0.7).value(FEATURES)
    torch.testing.assert_close(found, mean + 0.7 * variance.sqrt(), rtol=1e-12, atol=0)


def test_one_campaign_needs_no_leading_dimension():
    channel = RealisedFeatureMap().fit(draw(9, D), draw(9, D))
    clicks = torch.tensor([30, 40, 50])
    alone = LogisticRewardModel(RewardPrior(0.025)).fit(draw(3, D), torch.full((3,), 1000), clicks)
    bound = RealisedBound(channel, alone, exploration=0.7)
    torch.testing.assert_close(bound.value(FEATURES[:1])[0], bound.of(FEATURES[0]), rtol=1e-12, atol=0)
    assert bound.gradient(FEATURES[:1]).shape == (1, 6, D)


@pytest.mark.parametrize("feature_map", [None, QuadraticFeatures(D)])
def test_the_gradient_is_that_of_finite_differences(channel, feature_map):
    shown = draw(B, 12, D)
    posterior = posterior_of(shown if feature_map is None else feature_map(shown))
    bound = RealisedBound(channel, posterior, 0.7, feature_map)
    gradient = bound.gradient(FEATURES)
    for j in range(D):
        step = 1e-5 * torch.eye(D, dtype=torch.float64)[j]
        slope = (bound.value(FEATURES + step) - bound.value(FEATURES - step)) / 2e-5
        torch.testing.assert_close(gradient[..., j], slope, rtol=1e-5, atol=1e-7)


def test_curvature_is_taken_over_the_channel_s_error(channel):
    """Mean and sd of the logit against 400,000 draws of the realised text and of the coefficients."""
    feature_map = QuadraticFeatures(D)
    posterior = posterior_of(feature_map(draw(B, 12, D)))
    realised, error = channel.predict(FEATURES)
    noise = torch.randn(400_000, D, generator=STREAM, dtype=torch.float64)
    mean = RealisedBound(channel, posterior, 0.0, feature_map).value(FEATURES)
    bound = RealisedBound(channel, posterior, 1.0, feature_map).value(FEATURES)
    for b in range(B):
        texts = feature_map(realised[b, 0] + error[b, 0].sqrt() * noise)
        coefficients = torch.distributions.MultivariateNormal(
            posterior.coefficients[b],
            precision_matrix=posterior.precision_cholesky[b] @ posterior.precision_cholesky[b].T,
        )
        torch.manual_seed(b)
        beta = coefficients.sample((len(texts),))
        logits = beta[:, 0] + (texts * beta[:, 1:]).sum(-1) + 0.15 * torch.randn(len(texts), dtype=torch.float64)
        assert mean[b, 0].item() == pytest.approx(logits.mean().item(), abs=4 * logits.std().item() / 632)
        assert (bound - mean)[b, 0].item() == pytest.approx(
            logits.std().item(), rel=0.1
        )  # fourth moments are not exact


def test_unusable_features_are_refused(channel):
    posterior = posterior_of(draw(B, 12, D))
    bound = RealisedBound(channel, posterior, 0.5)
    with pytest.raises(InputError, match="reduce gave 2 features; the channel was fitted on 3"):
        bound.value(FEATURES[..., :2])
    with pytest.raises(InputError, match="NaN or infinite"):
        bound.value(FEATURES / 0)
    broken = RealisedBound(channel, posterior_of(draw(B, 12, D)), 0.5, lambda x: x.detach())
    with pytest.raises(InputError, match="the feature map is not differentiable by torch"):
        broken.gradient(FEATURES)
