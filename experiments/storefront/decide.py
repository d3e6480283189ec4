"""Which text a shopper sees: a pure function of the published snapshot, the slot's settings and the event.

Nothing is ever written or learned while a shopper waits. The draw is seeded by the tenant's secret, the slot and the
event's id, so a question that is asked again has the same answer.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Literal

import numpy as np

from experiments.campaigns.state import State
from experiments.storefront.config import SlotConfig, SlotSettings
from experiments.storefront.tables import event_key

Reason = Literal["bandit", "holdout", "shadow", "sticky", "killed", "fallback"]


@dataclass(frozen=True)
class Question:
    """What a page asks: a text for a slot.

    Parameters
    ----------
    event_id : str
        The caller's own name of this event, unique in its tenant.
    unit : str
        Whoever should be treated alike (a visitor's id); "" where nothing is known. Only its hash is stored.
    context : mapping
        What is known of the shopper, the page, the hour: JSON.
    product : str
        The product that the page is about.
    deferred : bool
        The page may never show the text: nothing counts before it is exposed.
    """

    event_id: str
    unit: str = ""
    context: Mapping[str, object] = field(default_factory=dict)
    product: str = ""
    deferred: bool = False

    @cached_property
    def context_json(self) -> str:
        """The context in one spelling."""
        return json.dumps(self.context, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    def fingerprint(self, slot: str) -> str:
        """Return what is equal for equal questions to a slot."""
        parts = (slot, self.event_id, self.unit, self.context_json, self.product, str(self.deferred))
        return sha256("\0".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Choice:
    """The text that an event is given, as the ledger keeps it.

    Parameters
    ----------
    key : str
        Of the event; see `experiments.storefront.tables`.
    snapshot, place, drawn, segment : int
        The snapshot; the places on its slate of the text and of what the policy drew; the number of the segment.
    reason : str
        bandit, holdout, shadow, sticky, killed or fallback.
    propensity : float
        Chance of the text at this event, holdout included. Of a sticky one, that of its first draw.
    unit : str
        Hashed.
    """

    key: str
    snapshot: int
    place: int
    drawn: int
    segment: int
    reason: Reason
    propensity: float
    unit: str


@dataclass(frozen=True, eq=False)
class Slot:
    """A slot as a process sees it now: everything that a decision needs, in memory.

    Parameters
    ----------
    id : int
    tenant, name : str
    secret : bytes
        The tenant's.
    config : SlotConfig
    subject : str
        What its campaign is about, and earlier texts with their clicks: JSON.
    settings : SlotSettings
    version : int
        Of the settings.
    state : State
        Of its campaign.
    """

    id: int
    tenant: str
    name: str
    secret: bytes
    config: SlotConfig
    subject: str
    settings: SlotSettings
    version: int
    state: State

    @property
    def campaign(self) -> str:
        """The name of its campaign."""
        return campaign_name(self.tenant, self.name)

    @cached_property
    def baseline(self) -> int:
        """The place of the text that the holdout sees, and everyone where nothing else may be shown."""
        shown, named = set(self.state.shown), self.settings.baseline
        if named in shown:
            return self.state.slate.index(named)
        return next(place for place, text in enumerate(self.state.slate) if text in shown)

    @cached_property
    def chances(self) -> np.ndarray:
        """The chances of each text of the last snapshot in each segment, (G, N)."""
        last, segments = self.state.snapshots[-1], len(self.state.opening.segments)
        return np.array([last.chances(segment) for segment in range(segments)])

    @cached_property
    def _cumulative(self) -> np.ndarray:
        return self.chances.cumsum(1)

    def choose(self, question: Question) -> Choice:
        """Return which text the event of a question is given, and why."""
        segment = self.config.segment_of(dict(question.context))
        unit = self._hash("unit", question.unit) if question.unit else ""
        sums = self._cumulative[segment]
        drawn = int(np.searchsorted(sums, self._uniform("draw", question.event_id) * sums[-1], side="right"))
        drawn = min(drawn, int(self.chances[segment].nonzero()[0][-1]))  # rounding may lead past the last
        place, reason = self._served(drawn, unit or question.event_id)
        return Choice(
            key=event_key(self.tenant, question.event_id),
            snapshot=self.state.snapshots[-1].snapshot,
            place=place,
            drawn=drawn,
            segment=segment,
            reason=reason,
            propensity=self._propensity(place, segment),
            unit=unit,
        )

    def _served(self, drawn: int, unit: str) -> tuple[int, Reason]:
        if self.settings.mode == "off":
            return self.baseline, "killed"
        if self.settings.mode == "shadow":
            return self.baseline, "shadow"
        if self._uniform("holdout", unit) < self.settings.holdout:
            return self.baseline, "holdout"
        return drawn, "bandit"

    def _propensity(self, place: int, segment: int) -> float:
        if self.settings.mode in ("off", "shadow"):
            return 1.0
        share = self.settings.holdout
        return float((1 - share) * self.chances[segment, place] + share * (place == self.baseline))

    def _hash(self, what: str, value: str) -> str:
        return hashed(self.secret, what, value)

    def _uniform(self, what: str, value: str) -> float:
        """Return a number in [0, 1) that only who knows the secret can foretell."""
        return int(self._hash(f"{what}\0{self.name}", value)[:13], 16) / 16**13


def hashed(secret: bytes, what: str, value: str) -> str:
    """Return what stands for a value (a unit, say), to those who do not know a tenant's secret: 32 digits."""
    return hmac.new(secret, f"{what}\0{value}".encode(), sha256).hexdigest()[:32]


def campaign_name(tenant: str, slot: str) -> str:
    """Return the name of a slot's campaign."""
    return f"{tenant}/{slot}"
