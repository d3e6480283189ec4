"""Top-two Thompson sampling: its probabilities are those of the rule it states."""

import numpy as np
import pytest
import torch

from bandits import LogisticRewardModel, RewardPrior, ThompsonSampling, TopTwoThompson, seeded_generators

POSTERIOR = LogisticRewardModel(RewardPrior(0.05)).fit(torch.eye(4), [400] * 4, [20, 24, 18, 25])


def test_probabilities_follow_the_formula_from_the_shares_of_the_same_draws():
    wins = ThompsonSampling(scale=1, draws=500).allocate(POSTERIOR, None, seeded_generators(3, 1)).probabilities
    found = TopTwoThompson(lead=0.6, draws=500).allocate(POSTERIOR, None, seeded_generators(3, 1)).probabilities
    for i in range(4):
        rivals = sum(wins[j] / (1 - wins[j]) for j in range(4) if j != i)
        torch.testing.assert_close(found[i], wins[i] * (0.6 + 0.4 * rivals))


def test_probabilities_are_those_of_playing_the_rule():
    """Chi-square of 40,000 plays of the rule, with three degrees of freedom: false alarm of 0.1 %."""
    wins = ThompsonSampling(scale=1, draws=500).allocate(POSTERIOR, None, seeded_generators(3, 1)).probabilities.numpy()
    found = TopTwoThompson(lead=0.5, draws=500).allocate(POSTERIOR, None, seeded_generators(3, 1)).probabilities.numpy()
    rng, plays = np.random.default_rng(0), np.zeros(4)
    for _ in range(40_000):
        leader = choice = rng.choice(4, p=wins)
        if rng.random() < 0.5:
            while choice == leader:
                choice = rng.choice(4, p=wins)
        plays[choice] += 1
    expected = 40_000 * found
    assert ((plays - expected) ** 2 / expected).sum() < 16.27


def test_a_settled_leader_shares_with_its_runner_up():
    settled = LogisticRewardModel(RewardPrior(0.02)).fit(torch.eye(3), [90_000] * 3, [1800, 3000, 900])
    assert TopTwoThompson(lead=0.5).allocate(settled, None, seeded_generators(0, 1)).probabilities.tolist() == [
        0.5, 0.5, 0.0,
    ]  # fmt: skip


def test_a_single_text_gets_everything():
    alone = LogisticRewardModel(RewardPrior(0.02)).fit(torch.ones(1, 1), [10], [1])
    assert TopTwoThompson().allocate(alone, None, seeded_generators(0, 1)).probabilities.tolist() == [1.0]


@pytest.mark.parametrize("clicks", [[1800, 2000, 1805, 1400], [1850, 2000, 1860, 1400], [1950, 2000, 1960, 1980]])
def test_the_standard_error_is_that_of_repeated_allocations(clicks):
    """Also where the leader wins nearly every draw, so that few of them say who challenges it."""
    posterior = LogisticRewardModel(RewardPrior(0.02)).fit(torch.eye(4), [90_000] * 4, clicks)
    found = [TopTwoThompson().allocate(posterior, None, seeded_generators(seed, 1)) for seed in range(200)]
    spread = torch.stack([one.probabilities for one in found]).std(0)
    stated = torch.stack([one.standard_error for one in found]).mean(0)
    large = spread > 0.005
    assert large.any()
    assert ((stated / spread)[large].log().abs() < 0.25).all()
    assert (stated >= 0.75 * spread).all()
