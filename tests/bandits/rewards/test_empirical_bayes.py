"""A prior learned from campaigns is the one that they came from, and it predicts the next ones better."""

import math

import pytest
import torch

from bandits import LogisticRewardModel, RewardPrior
from bandits.rewards.empirical_bayes import learn_prior
from copyloom import InputError

TRUTH = RewardPrior(base_rate=0.025, logit_sd=0.5, text_effect_sd=0.2, intercept_sd=0.4)
PARAMETERS = ("base_rate", "logit_sd", "text_effect_sd", "intercept_sd")


def campaigns(C=240, N=12, d=4, impressions=2000.0, seed=0, truth=TRUTH, later=None):
    """Features (C, N, d), impressions and clicks (C, N) of campaigns from the prior, and what came `later`."""
    stream = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=stream, dtype=torch.float64)

    features = normal(C, N, d)
    theta, base = truth.logit_sd / d**0.5 * normal(C, d, 1), truth.base_logit + truth.intercept_sd * normal(C, 1)
    rates = (base + (features @ theta)[..., 0] + truth.text_effect_sd * normal(C, N)).sigmoid()
    shown = [torch.full((C, N), n, dtype=torch.float64) for n in (impressions, later) if n]
    return features, *(part for n in shown for part in (n, torch.binomial(n, rates, generator=stream)))


def on_its_scale(name, value):
    return math.log(value / (1 - value)) if name == "base_rate" else math.log(value)


def test_known_scales_are_recovered_within_the_stated_errors():
    """Four parameters, four samples of 240 campaigns: 3.5 standard errors, false alarm 0.7 %; fixed seeds."""
    scores = []
    for seed in range(4):
        learned = learn_prior(*campaigns(seed=seed))
        assert learned.campaigns == 240
        for name in PARAMETERS:
            error = learned.standard_errors[name]
            assert error < 0.06
            away = on_its_scale(name, getattr(learned.prior, name)) - on_its_scale(name, getattr(TRUTH, name))
            assert abs(away) < 3.5 * error
            scores.append(away / error)
            low, high = learned.intervals[name]
            assert low < getattr(learned.prior, name) < high
    assert (
        0.4 < torch.tensor(scores).square().mean() < 2.2
    )  # chi-square, 16 degrees: errors are neither vain nor modest


def test_evidence_is_greatest_where_it_says():
    data = campaigns(C=50)
    learned = learn_prior(*data, guess_sd=1e3)

    def evidence(prior):
        model = LogisticRewardModel(prior)
        return model.log_evidence(model.fit(*data), *data[1:]).sum().item()

    assert learned.log_evidence == pytest.approx(evidence(learned.prior), abs=1e-6)
    for name in PARAMETERS:
        for factor in (0.97, 1.03):
            other = {each: getattr(learned.prior, each) for each in PARAMETERS}
            other[name] *= factor
            assert evidence(RewardPrior(**other)) < learned.log_evidence


def test_the_learned_prior_predicts_new_campaigns_better():
    """Log predictive score of 1,000 impressions a text after 300, in 100 new campaigns, paired: t above 4."""
    livelier = RewardPrior(base_rate=0.025, logit_sd=0.8, text_effect_sd=0.4)
    learned = learn_prior(*campaigns(seed=1, truth=livelier)).prior
    features, early, first, late, then = campaigns(100, impressions=300.0, seed=2, truth=livelier, later=1000.0)

    def score(prior):
        model = LogisticRewardModel(prior)
        before, after = model.fit(features, early, first), model.fit(features, early + late, first + then)
        return model.log_evidence(after, early + late, first + then) - model.log_evidence(before, early, first)

    gain = score(learned) - score(RewardPrior(base_rate=0.025))
    assert gain.mean() / (gain.std() / 10) > 4


@pytest.mark.parametrize(("C", "impressions"), [(1, 5.0), (1, 2000.0), (3, 100.0), (3, 2000.0)])
def test_few_campaigns_give_no_degenerate_prior(C, impressions):
    for seed in range(3):
        prior = learn_prior(*campaigns(C=C, impressions=impressions, seed=seed)).prior
        assert 0.003 < prior.base_rate < 0.2
        for name in PARAMETERS[1:]:
            assert 0.2 < getattr(prior, name) / getattr(RewardPrior(0.02), name) < 5


def test_no_clicks_or_only_clicks_are_no_obstacle():
    features, n, _ = campaigns(C=2, impressions=500.0)
    assert 0 < learn_prior(features, n, torch.zeros_like(n)).prior.base_rate < 0.01
    assert 0.99 < learn_prior(features, n, n).prior.base_rate < 1


def test_padding_and_order_are_irrelevant():
    features, n, c = campaigns(C=30)
    keep = torch.arange(12) < 9
    holes = torch.where(keep, c, torch.nan)
    padded = learn_prior(features, n, holes, keep)
    dropped = learn_prior(features[:, keep].flip(0), n[:, keep], c[:, keep].flip(0))
    for name in PARAMETERS:
        assert getattr(padded.prior, name) == pytest.approx(getattr(dropped.prior, name), rel=1e-4)


def test_unusable_logs_are_refused():
    features, n, c = campaigns(C=2)
    with pytest.raises(InputError, match="no impressions"):
        learn_prior(features, n * 0, c * 0)
    with pytest.raises(InputError, match="clicks <= impressions"):
        learn_prior(features, n, n + 1)
    with pytest.raises(InputError, match="guess_sd is 0"):
        learn_prior(features, n, c, guess_sd=0)
