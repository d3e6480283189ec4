"""Settings of simulated shoppers: how they differ, and the effects that can be added one by one."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

Share = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """Settings that never change, of which unknown ones are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ProductConfig(Part):
    """How often people click on a product, whatever is said of it: one draw for each seed of a study.

    Parameters
    ----------
    logit_sd : float
        Standard deviation between products, in click logits; where clicks are rare, the base rate stays their mean. As
        large as between tests of the Upworthy archive unless given: docs/measured/calibration.md.
    """

    logit_sd: float = Field(0.63, ge=0)


class PositionConfig(Part):
    """Where on a page a text stands, drawn for each impression; the base rate is that of the first place.

    Parameters
    ----------
    shares : tuple of float
        Share of impressions at each place, in proportion.
    logits : tuple of float
        Click logit of each place beside the first. Assumed; position bias of this kind and how to estimate it: Craswell
        et al. (2008), An experimental comparison of click position-bias models.
    """

    shares: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (0.5, 0.3, 0.2)
    logits: tuple[float, ...] = (0.0, -0.5, -1.0)

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        if len(self.shares) != len(self.logits):
            raise ValueError(f"{len(self.shares)} shares and {len(self.logits)} logits were given; give each place one")
        return self


class FatigueConfig(Part):
    """People like a text less each time they have seen it.

    Parameters
    ----------
    audience : int
        People who come again and again, over all segments. Assumed.
    logit : float
        How much each earlier sight of a text takes from a person's click logit. Assumed; wear-out of online ads: Abrams
        and Vee (2007), Personalized ad delivery when ads fatigue.
    turnover : float
        Share of the audience that is new to all texts at each snapshot. Assumed.
    """

    audience: int = Field(20_000, ge=100)
    logit: float = Field(0.1, ge=0)
    turnover: Share = 0.1


class NoveltyConfig(Part):
    """A text that joins the slate later is clicked more at first; those of the first snapshot are known already.

    Parameters
    ----------
    logit : float
        What it is clicked more in its first snapshot, in click logits; negative where people dislike what is new.
        Assumed; novelty and primacy in tests: Kohavi, Tang and Xu (2020), Trustworthy online controlled experiments,
        chapter 23.
    half_life : float
        Snapshots until half of that is gone. Assumed.
    """

    logit: float = 0.3
    half_life: float = Field(3.0, gt=0)


class DriftConfig(Part):
    """Tastes change, and base rate and spread stay; at least one of both must be given.

    Parameters
    ----------
    half_life : float, optional
        Snapshots in which the correlation of a taste with what it was halves. Assumed.
    changes : tuple of int
        Snapshots at which every taste is drawn anew at once.
    """

    half_life: float | None = Field(None, gt=0)
    changes: tuple[PositiveInt, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.half_life is None and not self.changes:
            raise ValueError("give half_life, changes or both")
        return self


class SessionConfig(Part):
    """Impressions of one session are more alike than others, so that clicks vary more than a binomial.

    Parameters
    ----------
    impressions : float
        Of one text in a session, on average. Assumed.
    correlation : float
        Of two clicks in a session (intraclass correlation). Assumed.
    """

    impressions: float = Field(3.0, ge=1)
    correlation: float = Field(0.1, ge=0, lt=1)


class BotConfig(Part):
    """Impressions that no person sees, clicked whatever the text says.

    Parameters
    ----------
    share : float
        Of the impressions. Assumed; compare what your log filter takes out.
    rate : float
        Clicks an impression. Assumed.
    """

    share: Share = 0.05
    rate: Share = 0.05


class RewardConfig(Part):
    """What happens to clicks on the way back.

    Parameters
    ----------
    delay : float
        Snapshots until an impression is told, and whether it was clicked: geometric, this on average; 100 at most, as
        what comes later than a campaign lasts says nothing.
    window : int, optional
        Snapshots after which an impression is closed as not clicked whatever comes later, so that a share
        (delay / (1 + delay)) ** (window + 1) of clicks is lost.
    lost : float
        Share of clicks that never arrive.
    doubled : float
        Share of clicks that are counted twice, as far as impressions allow.
    repeated : float
        Share of outcomes that are told twice, in the next snapshot again; they have one id, so that they count once.
    """

    delay: float = Field(0.0, ge=0, le=100)
    window: int | None = Field(None, ge=0)
    lost: Share = 0.0
    doubled: Share = 0.0
    repeated: Share = 0.0


class ShopperConfig(Part):
    """How shoppers differ, and what else decides about a click. Effects are left out unless given; ``{}`` adds one.

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
    product : ProductConfig, optional
    position : PositionConfig, optional
    fatigue : FatigueConfig, optional
    novelty : NoveltyConfig, optional
    drift : DriftConfig, optional
    sessions : SessionConfig, optional
    bots : BotConfig, optional
    rewards : RewardConfig, optional
    """

    base_rate: float = Field(0.02, gt=0, lt=1)
    logit_sd: float = Field(0.4, ge=0)
    segment_shares: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (0.5, 0.3, 0.2)
    segment_spread: float = Field(0.5, ge=0)
    product: ProductConfig | None = None
    position: PositionConfig | None = None
    fatigue: FatigueConfig | None = None
    novelty: NoveltyConfig | None = None
    drift: DriftConfig | None = None
    sessions: SessionConfig | None = None
    bots: BotConfig | None = None
    rewards: RewardConfig | None = None


TASTE = ("base_rate", "logit_sd", "segment_shares", "segment_spread", "drift")
"""What is decided by a click model; all other settings of shoppers act on any."""
