"""The belief that follows every outcome is the one fitted from the counts, and decisions are draws from it."""

import numpy as np
import pytest

from bandits import LogisticRewardModel, OnlineThompson, RewardPrior, ThompsonSampling, seeded_generators
from bandits.online.bandit import Decision
from bandits.rewards.text_prior import TextPrior

RNG = np.random.default_rng(1)
FEATURES = RNG.standard_normal((12, 4))
RATES = 1 / (1 + np.exp(3.5 - 0.5 * FEATURES @ RNG.standard_normal(4)))


def fed(outcomes, prior, refit_every):
    bandit = OnlineThompson(FEATURES, prior, refit_every=refit_every)
    for text, reward in outcomes:
        bandit.learn(Decision(text, 1.0), reward)
    return bandit


def outcomes(count):
    texts = RNG.integers(12, size=count)
    return [(int(text), float(RNG.random() < RATES[text])) for text in texts]


@pytest.mark.parametrize("sd", [0.0, 0.3])
def test_after_a_fit_the_belief_is_that_of_the_counts_in_any_order(sd):
    prior, events = RewardPrior(0.03, text_effect_sd=sd), outcomes(400)
    impressions = np.bincount([text for text, _ in events], minlength=12)
    clicks = np.bincount([text for text, _ in events], [reward for _, reward in events], minlength=12)
    mean, variance = LogisticRewardModel(prior).fit(FEATURES, impressions, clicks).logits()
    for order in (events, events[::-1], sorted(events)):
        found = fed(order, prior, 100).logits()
        np.testing.assert_allclose(found[0], mean.numpy(), atol=1e-9)
        np.testing.assert_allclose(found[1], variance.numpy(), atol=1e-9)


@pytest.mark.parametrize("sd", [0.0, 0.3])
def test_between_fits_it_stays_close_to_what_a_fit_would_say(sd):
    """Within a tenth of a posterior standard deviation, and of the variance, after 99 outcomes that no fit saw."""
    prior, events = RewardPrior(0.03, text_effect_sd=sd), outcomes(2099)
    mean, variance = fed(events, prior, 1).logits()
    found, spread = fed(events, prior, 100).logits()
    assert np.abs((found - mean) / np.sqrt(variance)).max() < 0.1
    assert np.abs(spread / variance - 1).max() < 0.1


@pytest.mark.parametrize("sd", [0.0, 0.3])
def test_decisions_match_the_shares_of_the_snapshot_policy(sd):
    """Chi-square of 4,000 decisions against a million draws of `ThompsonSampling`: a false alarm of 0.1 %."""
    prior, events = RewardPrior(0.03, text_effect_sd=sd), outcomes(500)
    bandit = fed(events, prior, 500)
    posterior = LogisticRewardModel(prior).fit(FEATURES, bandit._impressions, bandit._clicks)
    policy = ThompsonSampling(scale=0.7, draws=1_000_000)
    shares = policy.allocate(posterior, None, seeded_generators(0, 1)).probabilities.numpy()
    plays = np.bincount([bandit.choose().text for _ in range(4000)], minlength=12)
    usual = shares * 4000 >= 5
    expected = np.append(shares[usual] * 4000, shares[~usual].sum() * 4000 + 1e-9)
    counted = np.append(plays[usual], plays[~usual].sum())
    from scipy.stats import chi2

    assert ((counted - expected) ** 2 / expected)[expected > 1].sum() < chi2.ppf(0.999, usual.sum())


def test_the_scale_goes_from_first_to_last_over_the_horizon():
    bandit = OnlineThompson(FEATURES, RewardPrior(0.03), scale=1.0, final_scale=0.2, horizon=100)
    scales = []
    for _ in range(120):
        scales.append(bandit._scale_now())
        bandit.choose()
    assert scales[0] == 1.0
    assert scales[50] == pytest.approx(0.6)
    assert scales[100:] == pytest.approx([0.2] * 20)


@pytest.mark.parametrize("adding", [False, True])
def test_an_outcome_counts_half_after_a_half_life(adding):
    """Whenever it came, whenever the belief was fitted, and whether or not texts were added."""
    bandit = OnlineThompson(FEATURES, RewardPrior(0.03), half_life=50, refit_every=100)
    for i in range(300):
        bandit.learn(Decision(0, 1.0), 1.0)
        if adding and i % 40 == 0:
            bandit.add(FEATURES[:1])
    assert bandit._impressions.sum() == pytest.approx(sum(0.5 ** (age / 50) for age in range(300)))


def test_rewards_between_0_and_1_count_in_part():
    whole = fed([(0, 1.0), (0, 0.0)], RewardPrior(0.03), 2).logits()
    halves = fed([(0, 0.5), (0, 0.5)], RewardPrior(0.03), 2).logits()
    np.testing.assert_allclose(whole, halves)


def test_no_text_at_all_can_be_added_to_later():
    bandit = OnlineThompson(np.empty((0, 4)), RewardPrior(0.03))
    bandit.add(FEATURES[:1])
    assert bandit.choose() == Decision(0, 1.0)


def test_a_text_prior_orders_texts_before_any_click_and_is_dropped_when_wrong():
    """Half the draws show what the predictor likes best; a reversed predictor ends with a trust below 0."""
    said = np.linspace(-1, 1, 12)
    prior = TextPrior(trust=1.0, trust_sd=1.0)
    features = prior.append(np.zeros((12, 1)), said, centre=0.0)
    bandit = OnlineThompson(features, prior.model(RewardPrior(0.1, text_effect_sd=0.0), d=1), seed=1)
    assert np.mean([bandit.choose().text for _ in range(400)]) > 8
    rng = np.random.default_rng(0)
    for _ in range(4000):
        decision = bandit.choose()
        bandit.learn(decision, float(rng.random() < 1 / (1 + np.exp(2 + said[decision.text]))))
    assert np.mean([bandit.choose().text for _ in range(400)]) < 3
    assert bandit.logits()[0][0] > bandit.logits()[0][11]
