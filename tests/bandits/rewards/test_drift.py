"""The alarm is rarely raised for nothing and soon for something."""

import pytest
import torch

from bandits import LogisticRewardModel, RewardPrior, UpperConfidenceBound, seeded_generators
from bandits.rewards.drift import DriftAlarm
from bandits.rewards.forgetting import Discount
from copyloom import InputError

PRIOR = RewardPrior(base_rate=0.05, logit_sd=0.4, text_effect_sd=0.15)
ALARM = DriftAlarm(model=LogisticRewardModel(PRIOR), recent=Discount(half_life=2000), false_alarm_rate=0.05)


def first_alarm(R, rounds, change_at=None, per_round=500, N=4, d=2):
    """Snapshot of the first alarm, (R,), inf for none, in worlds from the prior under a policy that learns."""
    stream = torch.Generator().manual_seed(31)

    def normal(*shape):
        return torch.randn(*shape, generator=stream, dtype=torch.float64)

    features, policy = normal(R, N, d), UpperConfidenceBound(scale=1.0, floor=0.05)
    logits = PRIOR.base_logit + 0.5 * normal(R, 1) + (features @ (0.4 / d**0.5 * normal(R, d, 1)))[..., 0]
    logits = logits + 0.15 * normal(R, N)
    n, c = torch.zeros_like(logits), torch.zeros_like(logits)
    watch, first, posterior = ALARM.start(), torch.full((R,), torch.inf), ALARM.model.fit(features, n, c)
    for t in range(rounds):
        rates = (logits - 0.7 if change_at is not None and t >= change_at else logits).sigmoid()
        shown = (per_round * policy.allocate(posterior, None, seeded_generators(0, R)).probabilities).round()
        clicks = torch.binomial(shown, rates, generator=stream)
        n, c = n + shown, c + clicks
        posterior, watch = ALARM.model.refit(posterior, n, c), ALARM.after(watch, features, shown, clicks)
        first = torch.where(ALARM.raised(watch) & first.isinf(), t, first)
    return first


def test_false_alarms_are_as_rare_as_stated():
    """2,000 stationary streams of 30 snapshots, looked at after each: 0.05 is a bound; measured 0.013."""
    assert torch.isfinite(first_alarm(2000, 30)).double().mean() < 0.05


def test_a_fall_of_all_rates_by_half_is_noticed_soon():
    """200 streams, rates fall from about 5 to 2.5 % after 5,000 impressions: measured median delay 2,000."""
    delay = first_alarm(200, 22, change_at=10) - 10
    assert (delay < 0).double().mean() < 0.05
    assert delay.median() <= 4
    assert (delay < 12).double().mean() > 0.9


def test_what_a_watch_knows_is_a_fold_over_the_snapshots(counts):
    """One by one, with texts that join, as all at once with texts of no impressions; each campaign by itself."""
    features, impressions, clicks = counts
    grown, whole, alone = ALARM.start(), ALARM.start(), ALARM.start()
    for texts in (4, 4, 7, 7):
        shown = torch.arange(7) < texts
        grown = ALARM.after(grown, features[:, :texts], impressions[:, :texts], clicks[:, :texts])
        whole = ALARM.after(whole, features, impressions * shown, clicks * shown)
        alone = ALARM.after(alone, features[1], impressions[1] * shown, clicks[1] * shown)
    torch.testing.assert_close(grown.log_peak, whole.log_peak)
    torch.testing.assert_close(grown.log_wealth, whole.log_wealth)
    torch.testing.assert_close(alone.log_wealth, whole.log_wealth[1])
    assert whole.rounds == 4


def test_the_stakes_are_a_fair_mixture(counts):
    """Had every prediction been equal, the bets would be worth what was staked: nothing won, nothing lost."""
    never = DriftAlarm(model=ALARM.model, recent=Discount(half_life=1e15))
    watch = never.start()
    for _ in range(5):
        watch = never.after(watch, *counts)
    assert watch.log_wealth.exp().tolist() == pytest.approx([1 - 1 / 6] * 3)
    assert watch.log_peak.tolist() == pytest.approx([0] * 3, abs=1e-9)


def test_unusable_settings_and_sums_are_refused(counts):
    with pytest.raises(InputError, match="false_alarm_rate is 0"):
        DriftAlarm(model=ALARM.model, recent=ALARM.recent, false_alarm_rate=0)
    watch = ALARM.after(ALARM.start(), *counts)
    with pytest.raises(InputError, match="4 texts were given after 7"):
        ALARM.after(watch, *(array[:, :4] for array in counts))
    with pytest.raises(InputError, match="clicks <= impressions"):
        ALARM.after(watch, counts[0], counts[2], counts[1] + 1)
    for impressions, clicks in (([10, 10], [20, 1]), ([-500, 10], [-20, 1])):  # the sums so far would hide them
        watch = ALARM.after(ALARM.start(), torch.eye(2), [1000, 1000], [50, 50])
        with pytest.raises(InputError, match="clicks <= impressions"):
            ALARM.after(watch, torch.eye(2), impressions, clicks)
