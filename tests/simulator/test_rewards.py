"""The way back: what is late comes in full, what is lost is as much as was said, and nothing comes without an id."""

from collections import defaultdict

import numpy as np
import pytest
from scipy.stats import binomtest

from simulator import Outcome, ShopperConfig, Shoppers, SimulatedFeed, Snapshot
from simulator.rewards import WayBack

SHOPPERS = Shoppers(
    np.zeros((2, 1)), np.array([-2.0, 0.0]), np.array([0.5, 0.5]), lambda texts: np.ones((len(texts), 1))
)


def snapshot(number, impressions=4000):
    return Snapshot(number, ("one", "two"), np.array([0.5, 0.5]), impressions)


def sent(impressions, clicks, seed=0, number=0, **rewards):
    shape = (1, 1)
    outcome = Outcome("7", number, ("one",), np.full(shape, impressions), np.full(shape, clicks))
    return list(WayBack(ShopperConfig(rewards=rewards).rewards, seed).send(outcome))


def told(config, rounds, seed=0):
    """Return what a feed told after each snapshot."""
    feed = SimulatedFeed(SHOPPERS, seed, ShopperConfig(**config))
    found = []
    for number in range(rounds):
        feed.publish(snapshot(number))
        found.append(feed.closed())
    return found


def test_delays_are_geometric_and_what_is_late_comes_in_full():
    parts = sent(200_000, 50_000, delay=1.5)
    assert sum(part.clicks.item() for _, part in parts) == 50_000
    assert sum(part.impressions.item() for _, part in parts) == 200_000
    left = 50_000
    for wait, part in parts[:6]:
        test = binomtest(part.clicks.item(), left, 1 / 2.5)
        assert test.pvalue > 1e-5, wait
        left -= part.clicks.item()
    mean = sum(wait * part.clicks.item() for wait, part in parts) / 50_000
    assert mean == pytest.approx(1.5, abs=4.5 * (1.5 * 2.5 / 50_000) ** 0.5)


def test_what_comes_after_the_window_is_lost_as_often_as_said():
    parts = sent(200_000, 50_000, delay=1.5, window=3)
    assert max(wait for wait, _ in parts) == 3
    assert sum(part.impressions.item() for _, part in parts) == 200_000
    lost = 50_000 - sum(part.clicks.item() for _, part in parts)
    assert binomtest(lost, 50_000, (1.5 / 2.5) ** 4).pvalue > 1e-5


def test_clicks_are_lost_and_doubled_as_often_as_said():
    ((_, one),) = sent(200_000, 50_000, lost=0.2)
    assert binomtest(50_000 - one.clicks.item(), 50_000, 0.2).pvalue > 1e-5
    ((_, other),) = sent(200_000, 50_000, doubled=0.1)
    assert binomtest(other.clicks.item() - 50_000, 50_000, 0.1).pvalue > 1e-5
    ((_, full),) = sent(100, 100, doubled=0.5)
    assert full.clicks.item() == 100


def test_parts_have_ids_of_their_own_and_what_is_repeated_has_the_same():
    parts = [part for seed in range(50) for _, part in sent(40, 20, seed, delay=2.0, repeated=0.4)]
    assert len(parts) > len({part.id for part in parts})
    one = sent(400, 200, delay=2.0)
    assert len({part.id for _, part in one}) == len(one)
    told_again = sum(len(sent(40, 20, seed, repeated=0.4)) - 1 for seed in range(500))
    assert binomtest(told_again, 500, 0.4).pvalue > 1e-5


def test_an_outcome_is_told_once_its_time_has_come():
    found = told({"rewards": {"delay": 1.0, "repeated": 0.3}}, 12)
    for number, outcomes in enumerate(found):
        assert all(outcome.snapshot <= number for outcome in outcomes)
    late = [outcome for outcomes in found for outcome in outcomes]
    assert any(outcome.id.endswith(".3") for outcome in late)
    whole, seen = told({}, 12), defaultdict(int)
    for outcome in {outcome.id: outcome for outcome in late}.values():
        seen[outcome.snapshot] += outcome.clicks
    np.testing.assert_array_equal(seen[0], whole[0][0].clicks)  # eleven snapshots are enough for all


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_after_a_restart_all_goes_on_as_if_there_had_been_none(stop):
    config = {"fatigue": {"audience": 500}, "novelty": {}, "bots": {}, "sessions": {},
              "rewards": {"delay": 1.5, "window": 4, "lost": 0.1, "doubled": 0.1, "repeated": 0.3}}  # fmt: skip
    before = told(config, 9)
    feed = SimulatedFeed(SHOPPERS, 0, ShopperConfig(**config))
    feed.recall(snapshot(number) for number in range(stop))
    again = feed.closed()
    expected = [outcome for outcomes in before[:stop] for outcome in outcomes]
    assert sorted(outcome.id for outcome in again) == sorted(outcome.id for outcome in expected)
    feed.publish(snapshot(stop - 1))  # the loop shows the last one once more
    assert feed.closed() == []
    for number in range(stop, 9):
        feed.publish(snapshot(number))
        for one, other in zip(feed.closed(), before[number], strict=True):
            assert one.id == other.id
            np.testing.assert_array_equal(one.clicks, other.clicks)


def test_the_same_shoppers_meet_a_policy_whose_reports_are_late():
    late, prompt = told({"rewards": {"delay": 1.0}}, 40), told({}, 3)
    clicks = sum(outcome.clicks for outcomes in late for outcome in outcomes if outcome.snapshot < 3)
    np.testing.assert_array_equal(clicks, sum(outcomes[0].clicks for outcomes in prompt))
