"""From impressions and probabilities to clicks: one after the other, in sessions, and of bots."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv
from scipy.stats import binom

from simulator.config import BotConfig, SessionConfig

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Uniforms = Callable[[str], Array]
"""From a purpose to a uniform number for each text and segment, (N, G)."""


def draw_clicks(impressions: Counts, probabilities: Array, uniform: Array) -> Counts:
    """Return binomial draws (N, G), by their quantiles: a better text, or more of it, keeps the clicks it had."""
    found: Counts = np.maximum(binom.ppf(uniform, impressions, probabilities), 0).astype(np.int64)
    return found


def draw_people(config: SessionConfig | None, impressions: Counts, probabilities: Array, draw: Uniforms) -> Counts:
    """Return the clicks of people (N, G).

    In sessions of m impressions and correlation r, n impressions have clicks of variance n p (1 - p) (1 + (m - 1) r):
    drawn are beta-binomials of that variance, not the sessions one by one.
    """
    if config is None:
        return draw_clicks(impressions, probabilities, draw("clicks"))
    together = np.minimum(config.impressions, np.maximum(impressions, 1)) - 1
    correlation = together * config.correlation / np.maximum(impressions - 1, 1)
    varies = (correlation > 0) & (probabilities > 0) & (probabilities < 1)
    weight = 1 / np.where(varies, correlation, 0.5) - 1
    inside = np.where(varies, probabilities, 0.5)
    drawn = betaincinv(weight * inside, weight * (1 - inside), draw("sessions"))
    return draw_clicks(impressions, np.where(varies, drawn, probabilities), draw("clicks"))


def draw_bots(config: BotConfig | None, impressions: Counts, draw: Uniforms) -> tuple[Counts, Counts]:
    """Return how many of the impressions are bots', and their clicks, (N, G) each."""
    if config is None:
        return np.zeros_like(impressions), np.zeros_like(impressions)
    shown = draw_clicks(impressions, np.full(impressions.shape, config.share), draw("bots"))
    return shown, draw_clicks(shown, np.full(impressions.shape, config.rate), draw("clicks of bots"))
