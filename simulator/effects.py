"""What, beside taste, moves the click logit: product, place on the page, fatigue and novelty, each a part of its own.

A simulation counts; it draws no row per impression. So what differs between the impressions of a text (their places,
how often people saw it before) is a mixture: its shares and its shifts of the click logit, whose mean probability is
drawn from. That is exact where impressions are independent: a mixture of yes-or-no draws is one of its mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import poisson

from simulator.config import FatigueConfig, NoveltyConfig, PositionConfig, ProductConfig, ShopperConfig
from simulator.feed import Snapshot
from simulator.streams import uniforms

Array = NDArray[np.float64]
Mixture = tuple[Array, Array]
"""Shares and shifts of the click logit, of J kinds of impressions: both broadcast to (J, N, G), shares sum to 1."""


class Effect:
    """What moves the click logit of the texts of a snapshot."""

    lasting = False
    """Whether it belongs to a text's true rate: what it does to someone who sees the text for the first time."""
    remembers = False
    """Whether it depends on earlier snapshots."""

    def mixture(self, snapshot: Snapshot, impressions: NDArray[np.int64]) -> Mixture:
        """Return the kinds of impressions (N, G) of a snapshot."""
        raise NotImplementedError

    def after(self, snapshot: Snapshot, impressions: NDArray[np.int64]) -> None:
        """Remember that a snapshot was shown; nothing, unless an effect does."""


def mean_probability(probabilities: Array, mixtures: Sequence[Mixture]) -> Array:
    """Return the mean click probability (N, G) over kinds of impressions that are independent of one another.

    >>> half = np.array([[0.5]])
    >>> mean_probability(half, [(np.array([0.5, 0.5]), np.array([-1.0, 1.0]))]).item()
    0.5
    """
    return _mean(logit(probabilities), mixtures) if mixtures else probabilities


def _mean(logits: Array, mixtures: Sequence[Mixture]) -> Array:
    if not mixtures:
        found: Array = expit(logits)
        return found
    (shares, shifts), *others = mixtures
    return np.sum([share * _mean(logits + shift, others) for share, shift in zip(shares, shifts, strict=True)], axis=0)


@dataclass(frozen=True)
class Product(Effect):
    """All texts of a product are clicked more or less than those of others, the same in every campaign of a seed."""

    config: ProductConfig
    seed: int
    lasting = True

    @property
    def shift(self) -> float:
        """Its click logit beside that of the base rate: Gaussian, of a mean at which exp(shift) is 1 on average."""
        rng = np.random.default_rng(uniforms(f"{self.seed}/product", 4).view(np.uint64))
        return float(rng.normal() * self.config.logit_sd - self.config.logit_sd**2 / 2)

    def mixture(self, snapshot: Snapshot, impressions: NDArray[np.int64]) -> Mixture:
        """Return one kind."""
        return np.ones(1), np.array([self.shift])


@dataclass(frozen=True)
class Position(Effect):
    """Impressions fall on places by chance, each clicked more or less."""

    config: PositionConfig
    lasting = True

    def mixture(self, snapshot: Snapshot, impressions: NDArray[np.int64]) -> Mixture:
        """Return a kind for each place."""
        shares = np.array(self.config.shares)
        return shares / shares.sum(), np.array(self.config.logits)


@dataclass(eq=False)
class Fatigue(Effect):
    """Who saw a text before likes it less.

    Impressions find people at random: how often a person saw a text before is Poisson distributed, around the text's
    impressions so far (and half of the snapshot's own) for each person of the segment's audience.

    Parameters
    ----------
    config : FatigueConfig
    shares : array of shape (G,)
        Of the audience that each segment is.
    """

    config: FatigueConfig
    shares: Array
    remembers = True
    _seen: dict[str, Array] = field(default_factory=dict)

    def mixture(self, snapshot: Snapshot, impressions: NDArray[np.int64]) -> Mixture:
        """Return a kind for each number of earlier sights, up to those that one in 10,000 impressions exceeds."""
        seen = np.array([self._seen.get(text, np.zeros(len(self.shares))) for text in snapshot.texts])
        mean = (seen + impressions / 2) / np.maximum(self.config.audience * self.shares, 1e-300)
        times = np.arange(int(poisson.ppf(1 - 1e-4, mean.max(initial=0.0))) + 1)
        shares = poisson.pmf(times[:, None, None], mean)
        return shares / shares.sum(0), -self.config.logit * times.astype(np.float64)

    def after(self, snapshot: Snapshot, impressions: NDArray[np.int64]) -> None:
        """Remember who saw what; those who leave take it with them."""
        for text, shown in zip(snapshot.texts, impressions, strict=True):
            self._seen[text] = self._seen.get(text, np.zeros(len(self.shares))) + shown
        self._seen = {text: (1 - self.config.turnover) * seen for text, seen in self._seen.items()}


@dataclass(eq=False)
class Novelty(Effect):
    """A text that joined later is clicked more, or less, until people are used to it."""

    config: NoveltyConfig
    remembers = True
    _joined: dict[str, float] = field(default_factory=dict)

    def mixture(self, snapshot: Snapshot, impressions: NDArray[np.int64]) -> Mixture:
        """Return one kind, whose shift differs from text to text."""
        usual = -np.inf if not self._joined else snapshot.sequence  # of the first snapshot, all is known
        age = snapshot.sequence - np.array([self._joined.get(text, usual) for text in snapshot.texts])
        return np.ones(1), (self.config.logit * 0.5 ** (age / self.config.half_life))[None, :, None]

    def after(self, snapshot: Snapshot, impressions: NDArray[np.int64]) -> None:
        """Remember when each text joined."""
        joined = float("-inf") if not self._joined else float(snapshot.sequence)
        self._joined = dict.fromkeys(snapshot.texts, joined) | self._joined


def effects_of(config: ShopperConfig, shares: Array, seed: int) -> list[Effect]:
    """Return the effects that settings add, fresh for one campaign."""
    found: list[Effect] = []
    if config.product is not None:
        found.append(Product(config.product, seed))
    if config.position is not None:
        found.append(Position(config.position))
    if config.fatigue is not None:
        found.append(Fatigue(config.fatigue, shares))
    if config.novelty is not None:
        found.append(Novelty(config.novelty))
    return found
