"""Simulated shoppers who come to a shop over HTTP: who comes when, and who clicks on what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.studies.storefront.shop import Shop


@dataclass(frozen=True, eq=False)
class Visits:
    """What shoppers were shown in one batch of visits.

    Parameters
    ----------
    texts : list of str
    kinds : array of shape (n,)
        Who saw them.
    bandit : array of shape (n,), bool
        Whether the policy chose the text.
    """

    texts: list[str]
    kinds: NDArray[np.int64]
    bandit: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Crowd:
    """Shoppers of G kinds. The same visit, with the same text, ends alike in each shop of a seed.

    Parameters
    ----------
    seed : int
    shares : array of shape (G,)
        Of the kinds among all visits.
    rates : callable
        From a text to the click probability of each kind, (G,).
    return_ : bool
        Whether each kind is one person, who comes back; else everyone comes once.
    """

    seed: int
    shares: NDArray[np.float64]
    rates: Callable[[str], NDArray[np.float64]]
    return_: bool = False

    def visit(self, shop: Shop, batch: int, many: int, unseen: Callable[[str], float] | None = None) -> Visits:
        """Let shoppers come, see and click, and return what they saw.

        Parameters
        ----------
        shop : Shop
        batch, many : int
            The number of this batch of visits, and how many there are.
        unseen : callable, optional
            Share of its pages, by a text, that nobody scrolls to: decisions are then deferred until they are shown.
        """
        events, units, kinds, scrolls, clicks = self.arrivals(batch, many)
        answers = shop.ask(events, units, defer=unseen is not None)
        texts = [answer["text"] for answer in answers]
        seen = np.ones(many, bool)
        if unseen is not None:
            seen = scrolls >= np.array([unseen(text) for text in texts])
            shop.expose([event for event, some in zip(events, seen, strict=True) if some])
        rates = {text: self.rates(text) for text in dict.fromkeys(texts)}
        chances = np.array([rates[text][kind] for text, kind in zip(texts, kinds, strict=True)])
        shop.reward([event for event, some in zip(events, seen & (clicks < chances), strict=True) if some])
        bandit = np.array([answer["reason"] == "bandit" for answer in answers])
        return Visits(texts, kinds, bandit)

    def arrivals(
        self, batch: int, many: int
    ) -> tuple[list[str], list[str], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Return events, units and kinds, and numbers in [0, 1): how far they scroll, and what makes them click."""
        rng = np.random.default_rng([self.seed, batch])
        kinds = rng.choice(len(self.shares), many, p=self.shares)
        scrolls, clicks = rng.random((2, many))
        events = [f"{batch} {number}" for number in range(many)]
        return events, [f"person {kind}" for kind in kinds] if self.return_ else events, kinds, scrolls, clicks

    def value(self, target: dict[str, float], kinds: Sequence[NDArray[np.int64]]) -> float:
        """Return the mean click rate, had all visits of these kinds seen texts drawn as a target says."""
        counts = np.bincount(np.concatenate(kinds), minlength=len(self.shares))
        return float(sum(share * (self.rates(text) @ counts) for text, share in target.items()) / counts.sum())
