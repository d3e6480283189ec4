"""A world: what shoppers see in a text, over which texts their tastes are scaled, and where tastes come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.config import ShopperConfig
from simulator.drift import DrawTastes, gaussian_tastes
from simulator.shoppers import Shoppers, TextFeatures, draw_shoppers


def keeps_all(texts: Sequence[str]) -> NDArray[np.float64]:
    """Return that each of n texts keeps all its clicks, (n,)."""
    return np.ones(len(texts))


@dataclass(frozen=True, eq=False)
class World:
    """The features that tastes are drawn over, and the texts over which their scale is set.

    Parameters
    ----------
    name : str
    features : callable
    reference : tuple of str
        Texts over which base rate and spread of the click logit hold.
    writable : tuple of str
        Every text that the grammar can write about the subject; empty where there is no grammar to say so.
    readable : callable
        Share of its clicks that each of n texts keeps, as `generator.readability.Readability` says; all unless given.
    tastes : callable
        What shoppers like is drawn by it; see `simulator.drift.DrawTastes`. Its scale does not matter: settings say how
        far tastes spread.
    facts : mapping
        What else a report may say of it: of which data, how well it fits.
    """

    name: str
    features: TextFeatures
    reference: tuple[str, ...]
    writable: tuple[str, ...] = ()
    readable: TextFeatures = keeps_all
    tastes: DrawTastes = gaussian_tastes
    facts: Mapping[str, Any] = field(default_factory=dict)

    def shoppers(self, config: ShopperConfig, rng: np.random.Generator) -> Shoppers:
        """Return shoppers who live in it."""
        return draw_shoppers(config, self.features, self.reference, rng, self.readable, self.tastes)
