"""A click model of one's own: shoppers who like short texts that name a benefit, and free shipping on Fridays."""

import numpy as np


class ShortTexts:
    """Shoppers on phones and at desks; on the phone length matters more."""

    segments = ("phone", "desk")
    drifts = True  # probabilities differ from snapshot to snapshot

    def __init__(self, seed, slope=0.02):
        self.shares = np.array([0.6, 0.4])
        self.slopes = slope * np.array([1.0, 0.4])
        self.benefit = 0.6 + 0.1 * np.random.default_rng(seed).normal()  # each seed is another crowd

    def segment_probabilities(self, texts, snapshot=0):
        """Return the click probability of each text in each segment, an array of shape (n, G)."""
        friday = snapshot % 7 == 4
        return np.array([self._rates(text, friday) for text in texts])

    def _rates(self, text, friday):
        logit = -3.2 + self.benefit * ("that" in text.split()) + 0.5 * (friday and "free shipping" in text)
        return 1 / (1 + np.exp(-(logit - self.slopes * (len(text) - 50))))
