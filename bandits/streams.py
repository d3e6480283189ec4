"""Random numbers: one stream per campaign, so that a campaign draws the same numbers in any company."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from copyloom import InputError

#: One generator per campaign, leading dimensions in row-major order; a bare one stands for a list of one.
Generators: TypeAlias = torch.Generator | Sequence[torch.Generator]


def seeded_generators(seed: int, count: int) -> list[torch.Generator]:
    """One CPU generator per campaign; the one of campaign s depends on the seed and s, not on the count.

    Parameters
    ----------
    seed : int
        At least 0.
    count : int
        Number of campaigns.

    Examples
    --------
    >>> few, many = seeded_generators(7, 2), seeded_generators(7, 5)
    >>> few[1].initial_seed() == many[1].initial_seed()
    True
    """
    if seed < 0 or count < 0:
        raise InputError(f"seed is {seed} and count is {count}; pass whole numbers of at least 0")
    states = [np.random.SeedSequence(seed, spawn_key=(s,)).generate_state(1, np.uint64) for s in range(count)]
    return [torch.Generator().manual_seed(int(state[0] >> np.uint64(1))) for state in states]


def standard_normal(draws: int, keep: Tensor, generators: Generators, dtype: torch.dtype = torch.float64) -> Tensor:
    """Independent standard normal draws where `keep` is True, zeros elsewhere.

    Each campaign's stream is asked for its kept columns only: padding a slate moves no stream.

    Parameters
    ----------
    draws : int
        Rows per campaign.
    keep : Tensor of shape (B, C), bool
        Which columns are drawn, per campaign.
    generators : torch.Generator or sequence of B of them
        The campaigns' streams; each advances. They may live on the CPU while `keep` lives on an accelerator.
    dtype : torch.dtype
        float64 or float32, whose streams are others and several times as fast.

    Returns
    -------
    Tensor of shape (B, draws, C)

    Raises
    ------
    InputError
        If there is not exactly one generator per campaign.
    """
    streams = [generators] if isinstance(generators, torch.Generator) else list(generators)
    if len(streams) != keep.shape[0]:
        raise InputError(f"{len(streams)} generators were given for {keep.shape[0]} campaigns; pass one for each")
    noise = torch.zeros((keep.shape[0], draws, keep.shape[1]), dtype=dtype, device=keep.device)
    counts = keep.sum(dim=-1).tolist()
    for rows, kept, count, stream in zip(noise, keep, counts, streams, strict=True):
        if count == keep.shape[1] and stream.device == noise.device:
            torch.randn((draws, count), generator=stream, out=rows)  # the same numbers, without a copy
        else:
            drawn = torch.randn((draws, count), generator=stream, dtype=dtype, device=stream.device)
            rows[:, kept] = drawn.to(keep.device)
    return noise
