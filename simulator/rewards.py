"""The way back: outcomes that come late, clicks that are lost or counted twice, and what is told again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simulator.config import RewardConfig
from simulator.counting import draw_clicks
from simulator.feed import Outcome
from simulator.streams import text_uniforms, uniforms

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class WayBack:
    """What becomes of outcomes before they are told.

    Parameters
    ----------
    config : RewardConfig
    seed : int
    """

    config: RewardConfig
    seed: int

    def send(self, outcome: Outcome) -> Iterator[tuple[int, Outcome]]:
        """Yield parts of an outcome, each with the number of the snapshot after whose publication it is told."""
        clicks = outcome.clicks
        if self.config.lost:
            clicks = self._some(outcome, "kept", clicks, 1 - self.config.lost)
        if self.config.doubled:
            twice = self._some(outcome, "doubled", clicks, self.config.doubled)
            clicks = np.minimum(clicks + twice, outcome.impressions)
        for wait, part in self._parts(replace(outcome, clicks=clicks)):
            yield outcome.snapshot + wait, part
            if uniforms(f"{self.seed}/repeated/{part.id}", 1)[0] < self.config.repeated:
                yield outcome.snapshot + wait + 1, part

    def _parts(self, outcome: Outcome) -> Iterator[tuple[int, Outcome]]:
        """Yield what is told after each number of snapshots: of those not told yet, a share 1 / (1 + delay)."""
        if not self.config.delay:
            yield 0, outcome
            return
        clicked, others, wait = outcome.clicks, outcome.impressions - outcome.clicks, 0
        while clicked.any() or others.any():
            told = [self._some(outcome, f"{name} {wait}", left, 1 / (1 + self.config.delay))
                    for name, left in (("clicked", clicked), ("not clicked", others))]  # fmt: skip
            clicked, others = clicked - told[0], others - told[1]
            if wait == self.config.window:  # whatever is still on its way is closed, without a click
                told[1] = told[1] + clicked + others
                clicked, others = np.zeros_like(clicked), np.zeros_like(others)
            if told[0].any() or told[1].any():
                yield wait, replace(outcome, id=f"{outcome.id}.{wait}", impressions=told[0] + told[1], clicks=told[0])
            wait += 1

    def _some(self, outcome: Outcome, purpose: str, counts: Counts, share: float) -> Counts:
        drawn: Callable[..., NDArray[np.float64]] = text_uniforms
        uniform = drawn(self.seed, purpose, outcome.snapshot, outcome.texts, counts.shape[1])
        return draw_clicks(counts, np.full(counts.shape, share), uniform)
