"""Settings of a simulated study: many campaigns, and the shoppers that they meet."""

from __future__ import annotations

from typing import Self

from pydantic import PositiveInt, model_validator

from experiments.campaigns.config import CampaignConfig, PolicyConfig
from simulator.config import ShopperConfig


class RunConfig(CampaignConfig):
    """One simulated study: campaigns with mixing and without, for each of many tastes.

    Parameters
    ----------
    seeds : int
        Campaigns, each with a fresh taste.
    beside : tuple of PolicyConfig
        Further policies whose campaigns, with mixing, meet the same shoppers: names, or names with settings.
    shoppers : ShopperConfig
    """

    seeds: PositiveInt = 20
    beside: tuple[PolicyConfig, ...] = ()
    shoppers: ShopperConfig = ShopperConfig()

    @model_validator(mode="after")
    def _each_policy_once(self) -> Self:
        policies = [self.policy, *self.beside]
        if doubled := [policy.label for policy in policies if policies.count(policy) > 1]:
            raise ValueError(f"{doubled[0]} plays twice; name each policy once, in policy or in beside")
        if len(self.shoppers.segment_shares) < 2 and any(policy.segments for policy in policies):
            raise ValueError("a policy tells segments apart, and shoppers.segment_shares has one only; give two")
        return self
