"""Simulated shoppers: hidden tastes over what a text says, several segments, a base rate of about 2 %."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from copyloom import InputError
from simulator.config import ShopperConfig
from simulator.drift import DrawTastes, TastePath, gaussian_tastes, scaled_tastes, segment_shares

TextFeatures = Callable[[Sequence[str]], NDArray[np.float64]]
"""From n texts to what they say, an array of shape (n, F); shoppers see texts through it, and whether they can read."""


@dataclass(frozen=True, eq=False)
class Shoppers:
    """Tastes of G segments over F features of a text: a `ClickModel`.

    Parameters
    ----------
    tastes : array of shape (G, F)
    intercepts : array of shape (G,)
        Click logit of a text without any feature.
    shares : array of shape (G,)
    features : callable
    readable : callable, optional
        What share of its clicks each of n texts keeps, an array of shape (n,); all unless given. Nobody clicks what
        cannot be read, whatever their taste.
    path : TastePath, optional
        Tastes and intercepts of each snapshot, where they drift.
    """

    tastes: NDArray[np.float64]
    intercepts: NDArray[np.float64]
    shares: NDArray[np.float64]
    features: TextFeatures
    readable: TextFeatures | None = None
    path: TastePath | None = None

    @property
    def drifts(self) -> bool:
        """Whether probabilities differ from snapshot to snapshot."""
        return self.path is not None

    def segment_probabilities(self, texts: Sequence[str], snapshot: int = 0) -> NDArray[np.float64]:
        """Return the click probability of each text in each segment, an array of shape (n, G)."""
        features = self.features(texts)
        tastes, intercepts = self.path.at(snapshot) if self.path else (self.tastes, self.intercepts)
        # not as a product of matrices: its last digit depends on which texts are asked about together
        logits = np.stack([(features * taste).sum(1) for taste in tastes], axis=1)
        values: NDArray[np.float64] = expit(intercepts + logits)
        return values if self.readable is None else values * self.readable(texts)[:, None]

    def click_probability(self, texts: Sequence[str], snapshot: int = 0) -> NDArray[np.float64]:
        """Return the true CTR of each text over all segments, an array of shape (n,)."""
        return self.segment_probabilities(texts, snapshot) @ self.shares


def draw_shoppers(
    config: ShopperConfig, features: TextFeatures, reference: Sequence[str], rng: np.random.Generator,
    readable: TextFeatures | None = None, tastes: DrawTastes = gaussian_tastes,
) -> Shoppers:  # fmt: skip
    """Return shoppers with a fresh taste, drawn independently of what is stored.

    Each feature's taste is Gaussian unless `tastes` draws others; the sum is scaled so that the click logit varies by
    ``logit_sd`` over the reference texts, and the intercept set so that their mean CTR is the base rate. Nothing
    rewards novelty: a text is worth what it says. Of the settings, those of a taste and its drift count here; a
    `SimulatedFeed` adds the others.

    Parameters
    ----------
    config : ShopperConfig
    features : callable
    reference : sequence of str
        Texts over which the base rate and the spread hold.
    rng : numpy.random.Generator
    readable : callable, optional
        See `Shoppers`.
    tastes : callable
        See `simulator.drift.DrawTastes`.

    Raises
    ------
    InputError
        If tastes should drift little by little that are not drawn around zero: the drift would lose what they share.
    """
    if config.drift is not None and config.drift.half_life is not None and tastes is not gaussian_tastes:
        raise InputError("drift.half_life is for worlds whose tastes are drawn around zero (grammar, sentence-space, "
                         "unseen-space, words); give drift.changes, or another world")  # fmt: skip
    values = features(reference)
    shares = segment_shares(config)
    raw = tastes(rng, values.shape[1], len(shares))
    scaled = scaled_tastes(config, values, *raw)
    path = None
    if config.drift is not None:
        path = TastePath(config, values, raw, tastes, int(rng.spawn(1)[0].integers(2**62)))
    return Shoppers(*scaled, shares, features, readable, path)
