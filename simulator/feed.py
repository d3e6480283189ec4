"""What a policy gives to shoppers and what comes back: the border that a live source implements too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The slate that impressions draw from until the next snapshot.

    Parameters
    ----------
    sequence : int
        Number of the snapshot in its campaign, from 0.
    texts : tuple of str
        N texts.
    probabilities : array of shape (N,)
        Chance of each text at every impression; sums to 1.
    impressions : int
        How many impressions to draw.
    """

    sequence: int
    texts: tuple[str, ...]
    probabilities: NDArray[np.float64]
    impressions: int


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Closed outcomes of one snapshot, as counts for each text and segment.

    Parameters
    ----------
    sequence : int
        Of the snapshot.
    impressions, clicks : array of shape (N, G)
        Counts for N texts and G segments.
    """

    sequence: int
    impressions: NDArray[np.int64]
    clicks: NDArray[np.int64]


class RewardFeed(Protocol):
    """Where clicks come from: simulated shoppers, a log that is replayed, or a storefront."""

    segments: tuple[str, ...]
    """Names of the G segments."""

    def outcomes(self, snapshot: Snapshot) -> Outcomes:
        """Return what happened to the impressions of `snapshot`; called once for each, in order."""
        ...
