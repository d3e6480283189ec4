"""The planner's chances against the stopping rule itself, simulated."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bandits.sequential.planning import PlannedCampaign, chance_to_name_best, impressions_to_match_prior, plan_traffic
from bandits.sequential.stopping import identify_best
from copyloom import InputError

TWO = PlannedCampaign(impressions_per_day=10_000, days=14, base_rate=0.02, texts=2, lift=0.2)


@pytest.mark.parametrize(
    "campaign",
    [
        PlannedCampaign(10_000, 14, 0.02, 2, lift=0.2),
        PlannedCampaign(10_000, 14, 0.02, 8, lift=0.3, margin=0.1),
        PlannedCampaign(10_000, 14, 0.05, 5, logit_sd=0.4, power=0.6, alpha=0.1),
        PlannedCampaign(10_000, 14, 0.003, 3, lift=0.5),
    ],
)
def test_what_is_needed_gives_the_power(campaign):
    """1,000 campaigns, looked at once and 15 times: the power to within Monte Carlo error, peeking a little above.

    A proportion is off by more than 3.3 standard errors with probability 0.001.
    """
    plan, rng = plan_traffic(campaign), np.random.default_rng(2)
    rates = campaign.rates(campaign.effect, campaign.texts)
    batch = math.ceil(plan.needed_per_text / 15)
    clicks = rng.binomial(batch, rates, size=(1000, 15, len(rates)))
    options = {"delta": campaign.alpha, "margin": campaign.margin}
    once = identify_best(np.full((1000, 1, len(rates)), 15 * batch), clicks.sum(1, keepdims=True), **options)
    peeked = identify_best(np.full(clicks.shape, batch), clicks, **options)
    error = math.sqrt(campaign.power * (1 - campaign.power) / 1000)
    assert_allclose((once.best == 0).mean(), campaign.power, atol=3.3 * error + 0.005)
    assert campaign.power - 3.3 * error < (peeked.best == 0).mean() < campaign.power + 0.12
    assert (peeked.best > 0).mean() < campaign.alpha


def test_two_texts_by_enumeration():
    """Chance as a sum over both texts' clicks, each judged by the stopping rule."""
    n, rates = 60, (0.5, 0.1)
    grid = np.arange(n + 1)
    clicks = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 1, 2)
    named = identify_best(np.full(clicks.shape, n), clicks).best == 0
    chances = [np.array([math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in grid]) for p in rates]
    exact = (np.outer(*chances).ravel() * named).sum()
    assert 0.3 < exact < 0.99
    assert_allclose(chance_to_name_best(n, rates), exact, atol=2e-3)


def test_more_of_what_helps_helps():
    base = chance_to_name_best(30_000, [0.024, 0.02])
    assert chance_to_name_best(40_000, [0.024, 0.02]) > base
    assert chance_to_name_best(30_000, [0.025, 0.02]) > base
    assert chance_to_name_best(30_000, [0.024, 0.02], margin=0.05) > base
    assert chance_to_name_best(30_000, [0.024, 0.02, 0.02]) < base
    assert chance_to_name_best(30_000, [0.024, 0.02], delta=0.01) < base
    assert chance_to_name_best(0, [0.024, 0.02]) == 0


def test_the_plan_agrees_with_itself():
    plan = plan_traffic(TWO)
    assert plan.feasible
    assert "can finish" in plan.verdict
    assert plan.needed == 2 * plan.needed_per_text
    assert_allclose(plan.days_needed, plan.needed / 10_000)
    assert_allclose(chance_to_name_best(plan.needed_per_text, [0.024, 0.02]), 0.8, atol=2e-3)
    least = TWO.rates(plan.least_effect, 2)
    assert_allclose(chance_to_name_best(plan.impressions_per_text, least), 0.8, atol=2e-3)
    assert plan.most_texts == 2
    assert chance_to_name_best(140_000 // 3, [0.024, 0.02, 0.02]) < 0.8


def test_a_plan_that_cannot_finish_says_what_to_change():
    plan = plan_traffic(PlannedCampaign(1_000, 14, 0.02, 8, lift=0.2))
    assert not plan.feasible
    assert plan.verdict.startswith("cannot finish")
    for part in ("days", "impressions a day", "texts that differ more (lift", "larger margin"):
        assert part in plan.verdict
    enough = PlannedCampaign(1_000, math.ceil(plan.days_needed), 0.02, 8, lift=0.2)
    assert plan_traffic(enough).feasible
    hopeless = plan_traffic(PlannedCampaign(10, 1, 0.001, 8, lift=0.1))
    assert hopeless.most_texts == 1
    assert hopeless.least_effect is None
    assert "at most" not in hopeless.verdict


def test_the_prior_is_matched_after_t_half():
    """Design 4.7: about 14,000 at Upworthy's scale; the information of that many impressions is the prior's."""
    impressions = impressions_to_match_prior(16, 0.29, 0.014)
    assert_allclose(impressions, 16 / (0.29**2 * 0.014 * 0.986))
    rows = np.random.default_rng(0).standard_normal((round(impressions), 16))
    information = 0.014 * 0.986 * rows.T @ rows
    assert_allclose(np.trace(information) / 16, 16 / 0.29**2, rtol=0.01)
    plan = plan_traffic(PlannedCampaign(10_000, 14, 0.02, 8, logit_sd=0.29, features=16))
    assert plan.prior_impressions == math.ceil(impressions_to_match_prior(16, 0.29, 0.02))
    assert impressions_to_match_prior(plan.learnable_features, 0.29, 0.02) <= plan.impressions


def test_spread_texts_lie_where_a_normal_sample_is_expected():
    campaign = PlannedCampaign(10_000, 14, 0.02, 9, logit_sd=0.3)
    rates = campaign.rates(0.3, 9)
    logits = np.log(rates / (1 - rates)) - math.log(0.02 / 0.98)
    drawn = np.sort(0.3 * np.random.default_rng(0).standard_normal((20_000, 9)))[:, ::-1].mean(0)
    assert_allclose(logits, drawn, atol=0.01)


def test_near_ties_need_a_margin():
    closest = plan_traffic(PlannedCampaign(10_000, 14, 1e-6, 1000, logit_sd=0.01))  # the smallest allowed
    assert not closest.feasible
    assert closest.needed > 1e12
    assert plan_traffic(PlannedCampaign(10**7, 14, 0.02, 10, logit_sd=0.01, margin=0.3)).feasible


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lift": None}, "pass exactly one"),
        ({"logit_sd": 0.3}, "pass exactly one"),
        ({"lift": 0.0}, "lift is 0.0"),
        ({"lift": math.nan}, "lift is nan"),
        ({"lift": 60.0}, "takes rates to 1"),
        ({"base_rate": 0.0}, "base_rate is 0.0"),
        ({"base_rate": 2.0}, "base_rate is 2.0"),
        ({"texts": 1}, "texts is 1"),
        ({"texts": 5000}, "at most 1000"),
        ({"impressions_per_day": 0}, "impressions_per_day is 0"),
        ({"days": -1}, "days is -1"),
        ({"features": 0}, "features is 0"),
        ({"alpha": 0.9}, "alpha is 0.9"),
        ({"power": 1.0}, "power is 1.0"),
        ({"margin": -1}, "margin is -1"),
    ],
)
def test_unusable_plans_are_refused(options, message):
    given = {"impressions_per_day": 10_000, "days": 14, "base_rate": 0.02, "texts": 2, "lift": 0.2}
    with pytest.raises(InputError, match=message):
        PlannedCampaign(**{**given, **options})


def test_what_no_traffic_can_finish_is_refused_in_words():
    plan = plan_traffic(PlannedCampaign(10_000, 14, 0.5, 1000, logit_sd=0.01))
    assert not plan.feasible
    assert plan.needed is plan.needed_per_text is plan.days_needed is None
    assert "no traffic tells them apart" in plan.verdict
    apart = plan_traffic(PlannedCampaign(10_000, 14, 0.02, 10, logit_sd=10.0))  # the best rates are all 1
    assert "differ less (logit_sd 0.54)" in apart.verdict


def test_the_least_logit_sd_is_found_below_those_that_take_rates_to_1():
    campaign = PlannedCampaign(20_000, 14, 0.02, 100, logit_sd=0.3)
    least = plan_traffic(campaign).least_effect
    per_text = campaign.impressions // 100
    assert chance_to_name_best(per_text, campaign.rates(least, 100)) == pytest.approx(0.8, abs=0.01)
    assert chance_to_name_best(per_text, campaign.rates(0.9 * least, 100)) < 0.8


def test_unusable_rates_are_refused():
    for rates in ([], [0.1, math.nan], [0.1, 1.1], 0.5):
        with pytest.raises(InputError, match="pass a click rate"):
            chance_to_name_best(1000, rates)
    with pytest.raises(InputError, match=r"impressions_per_day \* days"):
        PlannedCampaign(10**17, 14, 0.02, 10, logit_sd=0.3)
