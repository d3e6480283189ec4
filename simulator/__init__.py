"""Text to click: shoppers with hidden tastes, and the feed through which any source of clicks is read."""

from simulator.feed import Outcome, RewardFeed, Snapshot
from simulator.shoppers import ShopperConfig, Shoppers, SimulatedFeed, TextFeatures, draw_shoppers

__all__ = [
    "Outcome", "RewardFeed", "ShopperConfig", "Shoppers", "SimulatedFeed", "Snapshot", "TextFeatures", "draw_shoppers",
]  # fmt: skip
