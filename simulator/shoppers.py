"""Simulated shoppers: hidden tastes over what a text says, several segments, a base rate of about 2 %."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import binom

from simulator.config import ShopperConfig
from simulator.feed import Outcome, Snapshot

TextFeatures = Callable[[Sequence[str]], NDArray[np.float64]]
"""From n texts to what they say, an array of shape (n, F); shoppers see texts through it, and whether they can read."""


@dataclass(frozen=True, eq=False)
class Shoppers:
    """Tastes of G segments over F features of a text.

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
    """

    tastes: NDArray[np.float64]
    intercepts: NDArray[np.float64]
    shares: NDArray[np.float64]
    features: TextFeatures
    readable: TextFeatures | None = None

    def segment_probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the click probability of each text in each segment, an array of shape (n, G)."""
        features = self.features(texts)
        # not as a product of matrices: its last digit depends on which texts are asked about together
        logits = np.stack([(features * taste).sum(1) for taste in self.tastes], axis=1)
        values: NDArray[np.float64] = expit(self.intercepts + logits)
        return values if self.readable is None else values * self.readable(texts)[:, None]

    def click_probability(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the true CTR of each text over all segments, an array of shape (n,)."""
        return self.segment_probabilities(texts) @ self.shares


def draw_shoppers(
    config: ShopperConfig, features: TextFeatures, reference: Sequence[str], rng: np.random.Generator,
    readable: TextFeatures | None = None,
) -> Shoppers:  # fmt: skip
    """Return shoppers with a fresh taste, drawn independently of what is stored.

    Each feature's taste is Gaussian; the sum is scaled so that the click logit varies by ``logit_sd`` over the
    reference
    texts, and the intercept set so that their mean CTR is the base rate. Nothing rewards novelty: a text is worth
    what it says.

    Parameters
    ----------
    config : ShopperConfig
    features : callable
    reference : sequence of str
        Texts over which the base rate and the spread hold.
    rng : numpy.random.Generator
    readable : callable, optional
        See `Shoppers`.
    """
    values = features(reference)
    shares = np.array(config.segment_shares) / sum(config.segment_shares)
    common = rng.normal(size=(values.shape[1],))
    own = rng.normal(size=(len(shares), values.shape[1]))
    spread = config.logit_sd * config.segment_spread
    tastes = _scaled(values, common, config.logit_sd) + np.stack(
        [_scaled(values, own[g], spread) for g in range(len(shares))]
    )
    logits = values @ tastes.T
    low, high = -30.0, 30.0
    for _ in range(80):  # bisection: the mean CTR grows with the intercept
        middle = (low + high) / 2
        mean = float((expit(middle + logits) @ shares).mean())
        low, high = (middle, high) if mean < config.base_rate else (low, middle)
    return Shoppers(tastes, np.full(len(shares), low), shares, features, readable)


def _scaled(values: NDArray[np.float64], taste: NDArray[np.float64], spread: float) -> NDArray[np.float64]:
    """Return `taste` scaled so that ``values @ taste`` has standard deviation `spread`."""
    logits = values @ taste
    deviation = float(logits.std())
    varies = deviation > 1e-12 * max(float(np.abs(logits).max()), 1e-300)
    return taste * (spread / deviation if varies else 0.0)


class SimulatedFeed:
    """A `RewardFeed` of simulated shoppers.

    The clicks of one text in one snapshot depend on the seed, the snapshot's number, the text and its impressions,
    and on nothing else: another policy meets the same shoppers (common random numbers).
    """

    def __init__(self, shoppers: Shoppers, seed: int) -> None:
        self.shoppers, self.seed = shoppers, seed
        self.segments = tuple(f"segment {i + 1}" for i in range(len(shoppers.shares)))
        self._known: dict[str, NDArray[np.float64]] = {}
        self._closed: list[Outcome] = []

    def publish(self, snapshot: Snapshot) -> None:
        """Show the texts of `snapshot` to shoppers, who answer at once."""
        self._closed.append(self.outcome(snapshot))

    def closed(self) -> list[Outcome]:
        """Return the outcomes of the snapshots that were published since this was asked last."""
        found, self._closed = self._closed, []
        return found

    def outcome(self, snapshot: Snapshot) -> Outcome:
        """Return impressions and clicks (N, G) drawn for `snapshot`."""
        rng = np.random.default_rng([self.seed, snapshot.sequence])
        impressions = self._impressions(snapshot, rng)
        uniforms = np.array([self._uniforms(snapshot.sequence, text) for text in snapshot.texts])
        clicks = binom.ppf(uniforms, impressions, self.probabilities(snapshot.texts))
        clicks = np.maximum(clicks, 0).astype(np.int64)
        return Outcome(str(snapshot.sequence), snapshot.sequence, snapshot.texts, impressions, clicks)

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return click probabilities (n, G), each text read once."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._known]
        if fresh:
            self._known.update(zip(fresh, self.shoppers.segment_probabilities(fresh), strict=True))
        return np.stack([self._known[text] for text in texts])

    def true_rates(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the true CTR of each text, an array of shape (n,); for reports, never for policies."""
        return self.probabilities(texts) @ self.shoppers.shares

    def _impressions(self, snapshot: Snapshot, rng: np.random.Generator) -> NDArray[np.int64]:
        segments = rng.multinomial(snapshot.impressions, self.shoppers.shares)
        chances = [snapshot.chances(segment) for segment in range(len(segments))]
        drawn = [rng.multinomial(count, each / each.sum()) for count, each in zip(segments, chances, strict=True)]
        return np.stack(drawn, axis=1).astype(np.int64)

    def _uniforms(self, sequence: int, text: str) -> NDArray[np.float64]:
        digest = hashlib.shake_128(f"{self.seed}/{sequence}/{text}".encode()).digest(8 * len(self.segments))
        return (np.frombuffer(digest, dtype="<u8") >> np.uint64(11)).astype(np.float64) * 2.0**-53
