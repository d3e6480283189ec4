"""A campaign by name, and the slates of many as tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from bandits.rewards.forgetting import Discount, Forgetting, SlidingWindow, remembered
from experiments.campaigns.config import ForgettingConfig
from experiments.campaigns.state import State


@dataclass(eq=False)
class Campaign:
    """A campaign: its state, and where its policy's draws come from.

    Parameters
    ----------
    name : str
        Unique in its ledger.
    seeds : tuple of int
        Of its random numbers; those of one snapshot are a stream of their own.
    state : State
    recorded : int
        How many of its events the ledger holds.
    """

    name: str
    seeds: tuple[int, ...]
    state: State = field(default_factory=State)
    recorded: int = 0

    def stream(self) -> torch.Generator:
        """Return the random numbers of the next snapshot: the same whatever runs beside it."""
        entropy = (*self.seeds, len(self.state.snapshots))
        state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(state >> np.uint64(1)))


@dataclass(frozen=True, eq=False)
class Slates:
    """The slates of S campaigns, padded to the longest: what the reward model and the policy read.

    Parameters
    ----------
    features : Tensor of shape (S, N, d)
    impressions, clicks : Tensor of shape (S, N, G)
        Of each segment: what they still count, where a campaign forgets.
    for_all : Tensor of shape (2, S, N)
        Impressions and clicks that speak for all shoppers: see `counted_for_all`.
    present : Tensor of shape (S, N)
        bool; False where a row is padding.
    """

    features: Tensor
    impressions: Tensor
    clicks: Tensor
    for_all: Tensor
    present: Tensor

    @classmethod
    def of(cls, campaigns: Sequence[Campaign], features: Callable[[Sequence[str]], Tensor]) -> Slates:
        """Return the slates of `campaigns`; `features` maps n texts to what the reward model reads, (n, d)."""
        slates = [campaign.state.slate for campaign in campaigns]
        stacked, present = padded(slates, features)
        most = max((len(campaign.state.opening.segments) for campaign in campaigns), default=0)
        impressions, clicks = (torch.zeros(*present.shape, most, dtype=torch.float64) for _ in range(2))
        for_all = torch.zeros(2, *present.shape, dtype=torch.float64)
        for row, campaign in enumerate(campaigns):
            shown, clicked = counted(campaign.state)
            place = (row, slice(shown.shape[0]), slice(shown.shape[1]))
            impressions[place], clicks[place] = shown, clicked
            for_all[:, row, : len(shown)] = torch.stack(counted_for_all(campaign.state))
        return cls(stacked, impressions, clicks, for_all, present)


def standardised(impressions: Tensor, clicks: Tensor) -> tuple[Tensor, Tensor]:
    """Return impressions and clicks of each text as if it had been shown to every segment by its share, (N,) each.

    A policy that tells segments apart shows each of them other texts: a text that a keen segment sees most would look
    good for all. So its clicks are divided by what is usual among those who saw it, and multiplied by what is usual
    among all (indirect standardisation; Fleiss et al. 2003, chapter 19). What a segment likes of it in particular
    stays.

    Parameters
    ----------
    impressions, clicks : Tensor of shape (N, G)
    """
    seen, own = impressions.sum(0), impressions.sum(1)
    usual = (clicks.sum(0) + 1) / (seen + 2)
    expected = (impressions @ usual) / own.clamp(min=1)
    overall = seen @ usual / seen.sum().clamp(min=1)
    factor = torch.where(own > 0, overall / expected.clamp(min=1e-12), 0.0)
    return own, torch.minimum(clicks.sum(1) * factor, own)


def counted_for_all(state: State) -> tuple[Tensor, Tensor]:
    """Return impressions and clicks of each text that speak for all shoppers, (N,) each: see `standardised`."""
    shown, clicked = counted(state)
    return standardised(shown, clicked) if state.tells_apart else (shown.sum(1), clicked.sum(1))


def counted(state: State) -> tuple[Tensor, ...]:
    """Return the impressions and clicks of each text and segment that count, (N, G): not all where it forgets."""
    forgetting = state.opening.policy.forgetting
    if forgetting is None or not state.snapshots:
        return tuple(torch.tensor(state.by_segment, dtype=torch.float64))
    shape = len(state.slate), len(state.opening.segments)
    found = remembered(forgetting_of(forgetting), *torch.from_numpy(state.histories).double().flatten(-2))
    return tuple(counts.reshape(shape) for counts in found)


def padded(texts: Sequence[Sequence[str]], features: Callable[[Sequence[str]], Tensor]) -> tuple[Tensor, Tensor]:
    """Return the features (S, N, d) of S families of texts, zeros after the shorter ones, and which are none (S, N)."""
    distinct = list(dict.fromkeys(text for family in texts for text in family))
    known = features(distinct)
    place = {text: row for row, text in enumerate(distinct)}
    shape = (len(texts), max(map(len, texts), default=0))
    found, present = torch.zeros(*shape, known.shape[1], dtype=torch.float64), torch.zeros(shape, dtype=torch.bool)
    for row, family in enumerate(texts):
        found[row, : len(family)] = known[[place[text] for text in family]]
        present[row, : len(family)] = True
    return found, present


def forgetting_of(config: ForgettingConfig) -> Forgetting:
    """Return the rule of forgetting that settings name."""
    if config.half_life is not None:
        return Discount(half_life=config.half_life, clock=config.clock)
    return SlidingWindow(length=config.window or 0.0, clock=config.clock)
