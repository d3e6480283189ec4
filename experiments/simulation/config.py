"""Settings of a simulated study: many campaigns, and the shoppers that they meet."""

from __future__ import annotations

from pydantic import PositiveInt

from experiments.campaigns.config import CampaignConfig
from simulator.shoppers import ShopperConfig


class RunConfig(CampaignConfig):
    """One simulated study: campaigns with mixing and without, for each of many tastes.

    Parameters
    ----------
    seeds : int
        Campaigns, each with a fresh taste.
    shoppers : ShopperConfig
    """

    seeds: PositiveInt = 20
    shoppers: ShopperConfig = ShopperConfig()
