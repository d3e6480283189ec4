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
    posterior, every = ALARM.model.fit(features, n, c), []
    for t in range(rounds):
        rates = (logits - 0.7 if change_at is not None and t >= change_at else logits).sigmoid()
        shown = (per_round * policy.allocate(posterior, None, seeded_generators(0, R)).probabilities).round()
        clicks = torch.binomial(shown, rates, generator=stream)
        n, c = n + shown, c + clicks
        posterior = ALARM.model.refit(posterior, n, c)
        every.append((shown, clicks))
    raised = ALARM.raised(features, *(torch.stack(counts, -2) for counts in zip(*every, strict=True)))
    return torch.where(raised.any(-1), raised.int().argmax(-1), torch.inf)


def test_false_alarms_are_as_rare_as_stated():
    """2,000 stationary streams of 30 snapshots, looked at after each: 0.05 is a bound; measured 0.013."""
    assert torch.isfinite(first_alarm(2000, 30)).double().mean() < 0.05


def test_a_fall_of_all_rates_by_half_is_noticed_soon():
    """200 streams, rates fall from about 5 to 2.5 % after 5,000 impressions: measured median delay 2,000."""
    delay = first_alarm(200, 22, change_at=10) - 10
    assert (delay < 0).double().mean() < 0.05
    assert delay.median() <= 4
    assert (delay < 12).double().mean() > 0.9


def test_what_was_known_by_a_snapshot_stays_and_each_campaign_is_alone(counts):
    features, impressions, clicks = counts
    shown = torch.stack([torch.arange(7) < texts for texts in (4, 4, 7, 7)])
    n, c = impressions[:, None] * shown, clicks[:, None] * shown
    whole = ALARM.log_worth(features, n, c)
    torch.testing.assert_close(ALARM.log_worth(features, n[:, :3], c[:, :3]), whole[:, :3])
    torch.testing.assert_close(ALARM.log_worth(features[1], n[1], c[1]), whole[1])
    torch.testing.assert_close(ALARM.log_worth(features[:, :4], n[:, :2, :4], c[:, :2, :4]), whole[:, :2])
    assert whole.shape == (3, 4)


def test_the_stakes_are_a_fair_mixture(counts):
    """Had every prediction been equal, the bets would be worth what was staked: nothing won, nothing lost."""
    never = DriftAlarm(model=ALARM.model, recent=Discount(half_life=1e15))
    n, c = (array[:, None].expand(-1, 5, -1) for array in counts[1:])
    assert never.log_worth(counts[0], n, c).flatten().tolist() == pytest.approx([0] * 15, abs=1e-9)


def test_unusable_settings_and_sums_are_refused():
    with pytest.raises(InputError, match="false_alarm_rate is 0"):
        DriftAlarm(model=ALARM.model, recent=ALARM.recent, false_alarm_rate=0)
    for impressions, clicks in (([10, 10], [20, 1]), ([-500, 10], [-20, 1])):  # the sums so far would hide them
        with pytest.raises(InputError, match="clicks <= impressions"):
            ALARM.raised(torch.eye(2), [[1000, 1000], impressions], [[50, 50], clicks])
