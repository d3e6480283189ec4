"""What a policy gives to shoppers and what comes back: the border that a live source implements too."""

from __future__ import annotations

from collections.abc import Sequence
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
        Chance of each text at every impression; sums to 1. Over all segments, where those are told apart.
    impressions : int
        How many impressions to draw.
    by_segment : array of shape (G, N), optional
        Chance of each text in each segment, where the policy tells them apart; each row sums to 1.
    """

    sequence: int
    texts: tuple[str, ...]
    probabilities: NDArray[np.float64]
    impressions: int
    by_segment: NDArray[np.float64] | None = None

    def chances(self, segment: int) -> NDArray[np.float64]:
        """Return the chance of each text in a segment, an array of shape (N,)."""
        return self.probabilities if self.by_segment is None else self.by_segment[segment]


@dataclass(frozen=True, eq=False)
class Outcome:
    """Closed impressions of one snapshot, as counts for each text and segment: of one impression, or of all.

    Parameters
    ----------
    id : str
        Unique in its campaign: an outcome that comes twice counts once.
    snapshot : int
        Its number.
    texts : tuple of str
        N texts of the snapshot.
    impressions, clicks : array of shape (N, G)
        Counts for N texts and G segments.
    context : str
        What else is known of the impressions (a device, an hour); "" where nothing is.
    """

    id: str
    snapshot: int
    texts: tuple[str, ...]
    impressions: NDArray[np.int64]
    clicks: NDArray[np.int64]
    context: str = ""


class RewardFeed(Protocol):
    """Where clicks come from: simulated shoppers, a log that is replayed, or a storefront.

    A feed takes a snapshot at once and says later what came of it: in parts or as a whole, in any order, and perhaps
    twice.
    """

    segments: tuple[str, ...]
    """Names of the G segments."""

    def publish(self, snapshot: Snapshot) -> None:
        """Show the texts of `snapshot` from now on; the last one may come again after a restart."""
        ...

    def closed(self) -> Sequence[Outcome]:
        """Return the outcomes that closed since this was asked last.

        What was told, but not recorded before a restart, must be told again; an outcome counts once all the same.
        """
        ...
