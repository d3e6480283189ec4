"""Subsets: the best few of each draw, and inclusion probabilities that say how often."""

import pytest
import torch

from bandits import CombinatorialThompson, CombinatorialUCB, LogisticRewardModel, RewardPrior, seeded_generators
from copyloom import InputError

MODEL = LogisticRewardModel(RewardPrior(0.025))


@pytest.fixture
def posterior(counts):
    return MODEL.fit(*counts)


@pytest.mark.parametrize("policy", [CombinatorialThompson(size=3), CombinatorialUCB(size=3)], ids=repr)
def test_subsets_hold_different_present_texts_and_inclusion_counts_them(policy, posterior):
    present = torch.ones(3, 7, dtype=torch.bool)
    present[1, 2] = False
    found = policy.choose(posterior, present, seeded_generators(0, 3))
    assert found.subsets.shape[::2] == (3, 3)
    for row in found.subsets.reshape(-1, 3).tolist():
        assert len(set(row)) == 3
    assert not (found.subsets[1] == 2).any()
    torch.testing.assert_close(found.inclusion.sum(-1), torch.full((3,), 3.0, dtype=torch.float64))
    share = (found.subsets == 4).any(-1).double().mean(-1)
    torch.testing.assert_close(found.inclusion[:, 4], share)


def test_with_one_text_a_draw_it_is_plain_thompson_sampling(posterior):
    from bandits import ThompsonSampling

    plain = ThompsonSampling(scale=0.5, draws=64).allocate(posterior, None, seeded_generators(1, 3))
    found = CombinatorialThompson(size=1, scale=0.5, draws=64).choose(posterior, None, seeded_generators(1, 3))
    torch.testing.assert_close(found.inclusion, plain.probabilities)


def test_the_stated_error_is_the_spread_of_many_choices(posterior):
    policy = CombinatorialThompson(size=3, draws=64)
    many = [policy.choose(posterior, None, seeded_generators(seed, 3)) for seed in range(200)]
    spread = torch.stack([found.inclusion for found in many]).std(0)
    stated = torch.stack([found.standard_error for found in many]).square().mean(0).sqrt()
    assert not many[0].exact
    assert ((spread - stated).abs() <= 0.2 * stated + 1 / 64).all()


def test_an_absent_text_and_bounds_have_no_error(posterior):
    present = torch.ones(3, 7, dtype=torch.bool)
    present[1, 2] = False
    assert CombinatorialThompson(size=3).choose(posterior, present, seeded_generators(0, 3)).standard_error[1, 2] == 0
    found = CombinatorialUCB(size=3).choose(posterior, None, torch.Generator())
    assert found.exact
    assert not found.standard_error.any()


def test_ucb_takes_the_highest_bounds_best_first(posterior):
    mean, variance = posterior.logits()
    found = CombinatorialUCB(size=2, scale=1.5).choose(posterior, None, torch.Generator())
    assert torch.equal(found.subsets[:, 0], (mean + 1.5 * variance.sqrt()).topk(2).indices)


def test_more_texts_than_there_are_are_refused(posterior):
    with pytest.raises(InputError, match="7 texts, and 8"):
        CombinatorialUCB(size=8).choose(posterior, None, torch.Generator())
    with pytest.raises(InputError, match="size is 0"):
        CombinatorialThompson(size=0)
