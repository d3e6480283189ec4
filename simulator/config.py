"""Settings of simulated shoppers."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class ShopperConfig(BaseModel):
    """How shoppers differ.

    Parameters
    ----------
    base_rate : float
        Mean click probability over the reference texts, before what cannot be read loses clicks.
    logit_sd : float
        Standard deviation of the click logit over the reference texts, for the average shopper.
    segment_shares : tuple of float
        Share of impressions of each segment, in proportion.
    segment_spread : float
        How far a segment's taste lies from the common one, as a share of ``logit_sd``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_rate: float = Field(0.02, gt=0, lt=1)
    logit_sd: float = Field(0.4, ge=0)
    segment_shares: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (0.5, 0.3, 0.2)
    segment_spread: float = Field(0.5, ge=0)
