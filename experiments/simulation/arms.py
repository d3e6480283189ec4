"""A campaign of a study beside the shoppers that it meets; and what, after all, was shown to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embeddings.summary import Lineage
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.config import PolicyConfig
from generator.readability import READABLE
from simulator import SimulatedFeed

OPEN, SATURATED = "open", "pool holds the best"
"""The two kinds of worlds: mixing may help; the stored texts already hold the best text that can be written."""


@dataclass(frozen=True, eq=False)
class Arm:
    """A campaign of a study, and whom it meets.

    Parameters
    ----------
    campaign : Campaign
    feed : SimulatedFeed
    seed : int
        Of the shoppers' taste; arms of one seed meet the same shoppers.
    world : str
        `OPEN` or `SATURATED`.
    """

    campaign: Campaign
    feed: SimulatedFeed
    seed: int
    world: str

    @property
    def mixing(self) -> bool:
        """Whether new texts are written."""
        return self.campaign.state.opening.mixing

    @property
    def policy(self) -> PolicyConfig:
        """What shares its impressions."""
        return self.campaign.state.opening.policy

    def played(self) -> Played:
        """Return what was shown so far, and what came of it."""
        state = self.campaign.state
        chances = [np.array(snapshot.probabilities) for snapshot in state.snapshots]
        apart = [np.array(snapshot.by_segment) for snapshot in state.snapshots if snapshot.by_segment]
        return Played(self.seed, self.feed, state.slate, state.written, *state.totals, chances, apart)


@dataclass(frozen=True, eq=False)
class Played:
    """What an arm showed.

    Parameters
    ----------
    seed : int
    feed : SimulatedFeed
    texts : tuple of str
        The slate: N texts.
    lineages : mapping of str to Lineage
        Of those of them that were written.
    impressions, clicks : array of shape (N,)
    chances : sequence of arrays
        Of each snapshot, the probabilities (n,) of the texts that the slate held then.
    by_segment : sequence of arrays
        The same in each segment, (G, n); empty where the policy does not tell them apart.
    """

    seed: int
    feed: SimulatedFeed
    texts: tuple[str, ...]
    lineages: dict[str, Lineage]
    impressions: NDArray[np.int64]
    clicks: NDArray[np.int64]
    chances: Sequence[NDArray[np.float64]]
    by_segment: Sequence[NDArray[np.float64]] = ()

    def true_rates(self, texts: Sequence[str], snapshot: int | None = None) -> NDArray[np.float64]:
        """Return the true CTR of each text, an array of shape (n,): as of a snapshot, the last unless given."""
        return self.feed.true_rates(texts, snapshot)

    def readable(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return which texts (n,) can be read; all where nothing says otherwise."""
        judge = getattr(self.feed.shoppers, "readable", None)
        found: NDArray[np.bool_] = np.ones(len(texts), bool) if judge is None else judge(texts) >= READABLE
        return found
