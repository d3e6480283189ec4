"""What is remembered is what the rule says, however the outcomes came."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bandits import LogisticRewardModel, RewardPrior
from bandits.rewards.forgetting import Discount, SlidingWindow, remembered
from copyloom import InputError

RULES = [
    Discount(half_life=3, clock="rounds"),
    Discount(half_life=700.0),
    SlidingWindow(length=2.5, clock="rounds"),
    SlidingWindow(length=900),
]


def snapshots(seed, T=6, N=3):
    stream = torch.Generator().manual_seed(seed)
    impressions = torch.randint(0, 300, (2, T, N), generator=stream).double()
    return impressions, torch.binomial(impressions, torch.full_like(impressions, 0.3), generator=stream)


def test_half_lives_halve():
    impressions, clicks = snapshots(0)
    n, c = remembered(Discount(half_life=2, clock="rounds"), impressions, clicks)
    share = 0.5 ** (torch.arange(5, -1, -1, dtype=torch.float64) / 2)
    torch.testing.assert_close(n, (share[:, None] * impressions).sum(1))
    torch.testing.assert_close(c, (share[:, None] * clicks).sum(1))


def test_impressions_age_by_what_came_after_them():
    impressions = torch.tensor([[1000.0], [500.0], [250.0]])
    (n,) = remembered(Discount(half_life=250), impressions)
    assert n.item() == pytest.approx(1000 / 8 + 500 / 2 + 250)
    (n,) = remembered(SlidingWindow(length=500), impressions)
    assert n.item() == pytest.approx(500)
    (n,) = remembered(SlidingWindow(length=1.5, clock="rounds"), impressions)
    assert n.item() == pytest.approx(250 + 250)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), half_life=st.floats(0.1, 1e6))
def test_a_discount_can_be_kept_up_step_by_step(seed, half_life):
    """The fold E <- 2^(-n / half_life) E + new is the same sum, at any point of it."""
    impressions, clicks = snapshots(seed)
    rule, kept = Discount(half_life=half_life), [torch.zeros(2, 3, dtype=torch.float64)] * 2
    for t in range(6):
        new = [impressions[:, t], clicks[:, t]]
        fade = torch.exp2(-new[0].sum(-1, keepdim=True) / half_life)
        kept = [fade * old + part for old, part in zip(kept, new, strict=True)]
        whole = remembered(rule, impressions[:, : t + 1], clicks[:, : t + 1])
        for ours, theirs in zip(kept, whole, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), rule=st.sampled_from(RULES))
def test_effective_counts_are_counts(seed, rule):
    """0 <= clicks <= impressions <= what was shown, to the last bit: `fit` takes them."""
    impressions, clicks = snapshots(seed)
    n, c = remembered(rule, impressions, torch.where(impressions > 150, impressions, clicks))
    assert (c >= 0).all()
    assert (c <= n).all()
    assert (n <= impressions.sum(1)).all()
    LogisticRewardModel(RewardPrior(0.3)).fit(torch.zeros(3, 1), n, c)


@pytest.mark.parametrize("clock", ["rounds", "impressions"])
def test_who_never_forgets_remembers_all(clock):
    impressions, clicks = snapshots(1)
    for rule in (Discount(half_life=1e15, clock=clock), SlidingWindow(length=1e15, clock=clock)):
        for ours, all_ in zip(remembered(rule, impressions, clicks), (impressions, clicks), strict=True):
            torch.testing.assert_close(ours, all_.sum(1))


def test_forgetting_returns_to_the_prior():
    """A text that is no longer shown is, in the end, as unknown as before."""
    impressions = torch.zeros(40, 2)
    impressions[0, 0], impressions[:, 1] = 5000, 5000
    n, c = remembered(Discount(half_life=5000), impressions, 0.1 * impressions)
    model = LogisticRewardModel(RewardPrior(0.02, text_effect_sd=0.5))
    features = torch.zeros(2, 1)
    _, faded = model.fit(features, n, c).logits()
    _, never = model.fit(features, [0, n[1].item()], [0, c[1].item()]).logits()
    assert faded[0].item() == pytest.approx(never[0].item(), rel=1e-6)


def test_before_the_first_snapshot_nothing_is_remembered():
    assert remembered(RULES[1], torch.zeros(2, 0, 3))[0].tolist() == [[0] * 3] * 2


def test_unusable_rules_and_counts_are_refused():
    for build in (lambda: Discount(half_life=0), lambda: SlidingWindow(length=math.inf)):
        with pytest.raises(InputError, match="pass a finite number above 0"):
            build()
    with pytest.raises(InputError, match="clock is 'days'"):
        Discount(half_life=1, clock="days")
    with pytest.raises(InputError, match=r"counts have shapes \(2, 3\), \(3, 3\)"):
        remembered(RULES[0], torch.ones(2, 3), torch.ones(3, 3))
    with pytest.raises(InputError, match="counts 1 holds 6 NaN"):
        remembered(RULES[0], torch.ones(2, 3), torch.full((2, 3), math.nan))
    with pytest.raises(InputError, match="impressions are negative"):
        remembered(RULES[0], -torch.ones(2, 3))
