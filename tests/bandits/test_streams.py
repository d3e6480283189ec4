"""Every campaign has its own stream, the same in any company."""

import pytest
import torch

from bandits import seeded_generators
from bandits.streams import standard_normal
from copyloom import InputError


def test_a_campaigns_numbers_depend_on_seed_and_place_alone():
    few, many = seeded_generators(11, 2), seeded_generators(11, 9)
    everything = torch.ones(2, 5, dtype=torch.bool)
    assert torch.equal(standard_normal(3, everything, few), standard_normal(3, everything, many[:2]))


def test_streams_differ_between_campaigns_and_seeds():
    seeds = [stream.initial_seed() for seed in range(50) for stream in seeded_generators(seed, 50)]
    assert len(set(seeds)) == 2500


def test_columns_left_out_are_zero_and_cost_no_numbers():
    keep = torch.tensor([[True, False, True]])
    noise = standard_normal(4, keep, seeded_generators(0, 1))
    assert (noise[..., 1] == 0).all()
    assert torch.equal(noise[..., [0, 2]], standard_normal(4, keep[:, [0, 2]], seeded_generators(0, 1)))


def test_negative_seeds_are_refused():
    with pytest.raises(InputError, match="seed is -1"):
        seeded_generators(-1, 3)
