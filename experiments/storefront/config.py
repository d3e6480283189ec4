"""Settings of a slot: those that its campaign is opened with, and those that may change while it runs."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from experiments.campaigns.config import CampaignConfig, PolicyConfig, ProposerConfig, Strict

OTHER = "other"
"""The segment of shoppers of whom nothing, or something unknown, is said."""
ALL = ("all",)

Mode = Literal["online", "shadow", "frozen", "off"]


class SlotSettings(Strict):
    """What may change while a slot runs; every version is kept.

    Parameters
    ----------
    mode : str
        online; shadow: everyone sees the baseline, the policy's choice is only logged; frozen: nothing is learned or
        written; off: everyone sees the baseline (the kill switch).
    baseline : str, optional
        The text of the holdout, of shadow and off, and where anything fails; the first stored one that is shown, unless
        given.
    holdout : float
        Share of units (of events, where there is none) that always see the baseline: what the bandit is compared with.
    sticky_days : float
        How long a unit sees the text that it was given first, shown or not; 0: each event is drawn anew.
    window_seconds : float
        How long after a text is shown a reward counts for it.
    grace_seconds : float
        How much longer rewards are waited for that come late from a queue or a phone.
    activation_seconds : float
        How long a deferred decision waits to be exposed; after that it is void, and teaches nothing.
    default_reward : float
        Of an event without a reward.
    aggregation : str
        What several rewards of one event are worth: the earliest, their sum (1 at most), or the largest.
    click_above : float
        An event whose reward is above it counts as a click, which is what is learned from.
    guard : bool
        Turn the slot off by itself where the bandit surely earns fewer clicks than the holdout, or pages stop showing
        its texts: by tests that hold at any time, at the level of the overview's intervals.
    auto_approve : bool
        Show written texts that pass the checks without a person's approval: every `ProposerConfig.admit_every`
        snapshots the most promising ones, as many as `ProposerConfig.admit`; a person may approve more.
    """

    mode: Mode = "online"
    baseline: str | None = None
    holdout: float = Field(0.05, ge=0, lt=1)
    sticky_days: float = Field(0, ge=0, le=3650)
    window_seconds: float = Field(1800, gt=0, le=7_776_000)
    grace_seconds: float = Field(5, ge=0, le=604_800)
    activation_seconds: float = Field(3600, gt=0, le=7_776_000)
    default_reward: float = Field(0, ge=0, le=1)
    aggregation: Literal["earliest", "sum", "max"] = "earliest"
    click_above: float = Field(0, ge=0, lt=1)
    guard: bool = True
    auto_approve: bool = False


class SlotConfig(CampaignConfig):
    """What the campaign of a slot is opened with.

    Parameters
    ----------
    rounds : int
        Without end unless given.
    impressions : int
        Closed ones from one snapshot to the next, at least.
    policy : PolicyConfig
        Thompson sampling of one width throughout, as a slot has no end.
    proposer : ProposerConfig
        At first 24 mixtures, then four every eight snapshots, up to three texts of each: no more than people review.
        Of a pretrained writer, only texts that readers print with a probability of 0.7. Where nobody reviews
        (`SlotSettings.auto_approve`), the defaults of `ProposerConfig` earn more.
    segment_by : str, optional
        Key of the context whose value tells segments of shoppers apart.
    segments : tuple of str
        Its values; shoppers with any other are "other".
    """

    rounds: PositiveInt = 10**9
    impressions: PositiveInt = 1000
    policy: PolicyConfig = PolicyConfig(scale=0.75, final_scale=0.75, floor=0.002)
    proposer: ProposerConfig = ProposerConfig(
        every=8, shortlist=4, admit_every=8, admit=3, warm_up=24, effort={"printed": 0.7, "kept": 3}
    )
    segment_by: str | None = None
    segments: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.policy.holdout is not None:
            raise ValueError("a slot holds units out by its own setting `holdout`; leave it out of the policy")
        if (self.segment_by is None) != (not self.segments):
            raise ValueError("give segment_by (a key of the context) and segments (its values) together")
        if len({*self.segments, OTHER}) <= len(self.segments):
            raise ValueError(f"segments holds a value twice, or {OTHER!r}, which stands for all others")
        return self

    @property
    def all_segments(self) -> tuple[str, ...]:
        """Names of the G segments that outcomes tell apart."""
        return (*self.segments, OTHER) if self.segments else ALL

    def segment_of(self, context: dict[str, object]) -> int:
        """Return the number of the segment of a context."""
        value = context.get(self.segment_by) if self.segment_by else None
        names = self.all_segments
        return names.index(value) if isinstance(value, str) and value in names else len(names) - 1
