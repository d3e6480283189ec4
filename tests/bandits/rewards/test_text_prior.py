"""A predictor is followed as far as clicks confirm it: a right one pays, a wrong one is found out."""

import math

import pytest
import torch

from bandits import LogisticRewardModel, RewardPrior, UpperConfidenceBound, seeded_generators
from bandits.rewards.text_prior import TextPrior, TrustReport
from copyloom import InputError

PRIOR = RewardPrior(base_rate=0.02, logit_sd=0.3, text_effect_sd=0.15)
TRUST = TextPrior(trust=0.5, trust_sd=1.0)


def worlds(R, N=20, d=4):
    """Features, what a predictor could know of the logits, and true click rates of R campaigns."""
    stream = torch.Generator().manual_seed(11)

    def normal(*shape):
        return torch.randn(*shape, generator=stream, dtype=torch.float64)

    features, known = normal(R, N, d), 0.3 * normal(R, N)
    theta, base, own = 0.3 / d**0.5 * normal(R, d, 1), PRIOR.base_logit + 0.3 * normal(R, 1), 0.15 * normal(R, N)
    return features, known, (base + (features @ theta)[..., 0] + known + own).sigmoid()


def regret_and_belief(model, features, rates, rounds, per_round=100):
    """Clicks missed in each round, (R, rounds), and the belief in the end, under a nearly greedy policy."""
    stream, policy = torch.Generator().manual_seed(12), UpperConfidenceBound(scale=0.5)
    impressions, clicks, missed = torch.zeros_like(rates), torch.zeros_like(rates), []
    posterior = model.fit(features, impressions, clicks)
    for _ in range(rounds):
        shares = policy.allocate(posterior, None, seeded_generators(0, len(rates))).probabilities
        missed.append(per_round * (rates.max(-1).values - (shares * rates).sum(-1)))
        shown = per_round * shares
        impressions = impressions + shown
        clicks = clicks + torch.binomial(shown, rates, generator=stream)
        posterior = model.refit(posterior, impressions, clicks)
    return torch.stack(missed, -1), posterior


def test_a_right_prior_pays_and_a_wrong_one_does_not_block_learning():
    """200 campaigns, 6,000 impressions each, nearly greedy; regret as a share of that without a predictor.

    Measured (standard error): right 0.49 (0.06), unrelated 1.32 (0.08), reversed 1.04 (0.09), as its column tells
    as much. Bounds are about 4 standard errors off.
    """
    features, known, rates = worlds(200)
    bare, _ = regret_and_belief(LogisticRewardModel(PRIOR), features, rates, rounds=60)
    unrelated = 0.3 * torch.randn(known.shape, generator=torch.Generator().manual_seed(13), dtype=torch.float64)
    ratio, late, belief = {}, {}, {}
    for name, said in {"right": known, "unrelated": unrelated, "reversed": -known}.items():
        wide = TRUST.append(features, said - 3.0, centre=-3.0)
        missed, belief[name] = regret_and_belief(TRUST.model(PRIOR, 4), wide, rates, rounds=60)
        ratio[name] = (missed.sum() / bare.sum()).item()
        late[name] = (missed[:, -10:].sum() / bare[:, :10].sum()).item()
    assert ratio["right"] < 0.75
    assert ratio["unrelated"] < 1.65
    assert ratio["reversed"] < 1.4
    assert max(late.values()) < 1  # whatever was said, the last rounds miss less than the first ones without it
    assert TRUST.report(belief["reversed"]).mean.median() < 0


def test_a_right_prior_leaves_less_to_learn():
    """Before a click, the best text is likelier to be the one believed best; noise-free counts narrow both alike."""
    features, known, rates = worlds(200)
    n = torch.full_like(rates, 50)
    none = LogisticRewardModel(PRIOR).fit(features, n, n * rates)
    right = TRUST.model(PRIOR, 4).fit(TRUST.append(features, known, centre=0), n, n * rates)
    truth = rates.logit()
    errors = [((belief.logits()[0] - truth).square().mean()).item() for belief in (none, right)]
    assert errors[1] < 0.6 * errors[0]


@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_impressions_until_a_reversed_prior_is_dropped(rate):
    """Noise-free clicks, even spread, nothing else to explain them: trust crosses 0 where the formula says."""
    column = torch.tensor([-0.1, 0.1], dtype=torch.float64).repeat(10)
    prior = TextPrior(trust=0.5, trust_sd=0.5)
    base = RewardPrior(rate, text_effect_sd=0)
    needed = 0.5 / (0.5**2 * 0.1**2 * rate * (1 - rate))
    features = prior.append(torch.zeros(20, 1), column, centre=0)
    n = torch.full((20,), needed / 20, dtype=torch.float64)
    posterior = prior.model(base, d=1).fit(features, n, n * (base.base_logit - column).sigmoid())
    assert prior.report(posterior).mean.item() == pytest.approx(0, abs=0.02)


def test_no_text_is_moved_by_more_than_the_cap():
    prior = TextPrior(trust=0.5, trust_sd=1.0, cap=0.4)
    features = prior.append(torch.zeros(3, 1), [-9.0, -3.1, 40.0], centre=-3.0)
    nothing = prior.model(PRIOR, d=1).fit(features, [0] * 3, [0] * 3)
    moved = nothing.logits()[0] - PRIOR.base_logit
    assert moved.tolist() == pytest.approx([-0.2, -0.05, 0.2])


def test_columns_broadcast_over_campaigns_and_absent_rows_hold_anything():
    said = torch.tensor([[-3.0, -4.0, math.nan], [-2.0, -2.5, -3.0]])
    features = TRUST.append(torch.zeros(3, 2), said, centre=[-3.5, -2.5])
    assert features.shape == (2, 3, 3)
    assert features[1, :, 2].tolist() == [0.5, 0, -0.5]
    present = torch.tensor([[True, True, False], [True, True, True]])
    posterior = TRUST.model(PRIOR, d=2).fit(features, torch.full((2, 3), 100), torch.ones(2, 3), present)
    assert torch.isfinite(TRUST.report(posterior).mean).all()


def test_conflict_is_standard_normal_if_the_prior_is_right():
    """2,000 campaigns from the prior: bounds of 5 standard errors on mean and variance, false alarm below 1e-5."""
    stream = torch.Generator().manual_seed(14)
    column = torch.randn(2000, 10, generator=stream, dtype=torch.float64)
    prior = TextPrior(trust=0.3, trust_sd=0.3, cap=5)
    trust = 0.3 + 0.3 * torch.randn(2000, 1, generator=stream, dtype=torch.float64)
    base = RewardPrior(base_rate=0.1, logit_sd=0.1, text_effect_sd=0)
    base_logit = base.base_logit + 0.5 * torch.randn(2000, 1, generator=stream, dtype=torch.float64)
    n = torch.full((2000, 10), 500.0, dtype=torch.float64)
    c = torch.binomial(n, (base_logit + trust * column).sigmoid(), generator=stream)
    features = prior.append(torch.zeros(10, 1), column, centre=torch.zeros(2000))
    conflict = prior.report(prior.model(base, d=1).fit(features, n, c)).conflict
    assert abs(conflict.mean().item()) < 5 / math.sqrt(2000)
    assert abs(conflict.var().item() - 1) < 5 * math.sqrt(2 / 2000)


@pytest.mark.parametrize(
    ("mean", "sd", "verdict"),
    [
        (0.5, 1.0, "not enough evidence yet"),
        (0.4, 0.96, "not enough evidence yet"),
        (0.9, 0.3, "helpful"),
        (0.2, 0.3, "no conflict"),
        (-0.2, 0.3, "no conflict"),
        (-0.9, 0.3, "misleading"),
    ],
)
def test_reports_speak_plainly(mean, sd, verdict):
    report = TrustReport(TRUST, torch.tensor(mean), torch.tensor(sd))
    (line,) = report.in_words()
    assert line.startswith(verdict)
    assert f"(trust {mean:.2f} +- {sd:.2f} after data, 0.50 +- 1.00 before)" in line


def test_too_much_trust_is_named():
    prior = TextPrior(trust=1.0, trust_sd=1.0)
    assert TrustReport(prior, torch.tensor([-0.1]), torch.tensor([0.1])).in_words()[0].startswith("no conflict")
    prior = TextPrior(trust=0.5, trust_sd=0.5)
    assert TrustReport(prior, torch.tensor(-0.6), torch.tensor(0.4)).in_words()[0].startswith("trusted too much")


def test_unusable_priors_and_predictions_are_refused():
    with pytest.raises(InputError, match=r"trust is 1.5; pass a finite number at least 0 and at most 1"):
        TextPrior(trust=1.5, trust_sd=1.0)
    with pytest.raises(InputError, match="cap is 0"):
        TextPrior(cap=0)
    with pytest.raises(InputError, match="do not fit"):
        TRUST.append(torch.zeros(3, 1), torch.zeros(2), centre=0)
    with pytest.raises(InputError, match="centre holds 1 NaN"):
        TRUST.append(torch.zeros(3, 1), torch.zeros(3), centre=math.nan)
