"""The upper confidence bound is taken at its word."""

import torch

from bandits import LogisticRewardModel, RewardPrior, UpperConfidenceBound

MODEL = LogisticRewardModel(RewardPrior(0.025))


def test_all_goes_to_the_highest_bound(counts):
    posterior = MODEL.fit(*counts)
    mean, variance = posterior.logits()
    for scale in (0.0, 0.5, 3.0):
        shown = UpperConfidenceBound(scale=scale).allocate(posterior, None, torch.Generator()).probabilities
        assert shown.argmax(-1).tolist() == (mean + scale * variance.sqrt()).argmax(-1).tolist()
        assert ((shown == 0) | (shown == 1)).all()


def test_ties_go_to_the_lowest_present_index():
    """Texts of equal features without data are equal to the last bit."""
    posterior = MODEL.fit(torch.ones(5, 2), torch.zeros(5), torch.zeros(5))
    present = torch.tensor([False, False, True, True, True])
    assert UpperConfidenceBound().allocate(posterior, None, torch.Generator()).probabilities[0] == 1
    assert UpperConfidenceBound().allocate(posterior, present, torch.Generator()).probabilities[2] == 1


def test_width_decides_between_a_safe_and_an_unknown_text():
    """Text 0 is known to be slightly better than the base rate; of text 1 nothing is known."""
    posterior = MODEL.fit(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), [100_000, 0], [2600, 0])
    greedy = UpperConfidenceBound(scale=0).allocate(posterior, None, torch.Generator())
    curious = UpperConfidenceBound(scale=1).allocate(posterior, None, torch.Generator())
    assert greedy.probabilities.tolist() == [1, 0]
    assert curious.probabilities.tolist() == [0, 1]


def test_the_floor_is_what_the_others_get(counts):
    posterior = MODEL.fit(*(array[0] for array in counts))
    shown = UpperConfidenceBound(floor=0.01).allocate(posterior, None, torch.Generator()).probabilities
    values = torch.tensor([0.01] * 6 + [1 - 6 * 0.01], dtype=torch.float64)
    torch.testing.assert_close(shown.sort().values, values, rtol=0, atol=1e-15)
