"""Which text a shopper sees: a pure function of the published snapshot, the slot's settings and the event.

Nothing is ever written or learned while a shopper waits. The draw is seeded by the tenant's secret, the slot and the
event's id, so a question that is asked again has the same answer.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Literal

import numpy as np

from copyloom import CopyloomError, InputError
from embeddings.database import text_id
from experiments.campaigns.state import State
from experiments.storefront.config import SlotConfig, SlotSettings
from experiments.storefront.tables import event_key
from experiments.storefront.values import check_context, check_name
from generator.brand_book import BrandBook, BrandRules

_RESTORE = "see `copyloom ledger verify` and `restore`"
_NEARLY = 1e-6
Reason = Literal["bandit", "holdout", "shadow", "sticky", "killed", "fallback"]


class DamagedError(CopyloomError):
    """What is on record of a slot cannot be read, or makes no sense."""


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
        The product that the page is about: texts about others are left out, where a slot has texts about products.
    deferred : bool
        The page may never show the text: nothing counts before it is exposed.
    among : tuple of str
        Ids (`embeddings.database.text_id`) of the texts to choose among; all of the slot unless given. The first of
        them that may be shown stands in for a baseline that is not among them.
    """

    event_id: str
    unit: str = ""
    context: Mapping[str, object] = field(default_factory=dict)
    product: str = ""
    deferred: bool = False
    among: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise `InputError` for what the service refuses over HTTP too."""
        check_name("the event id", self.event_id)
        check_name("the unit", self.unit, least=0)
        check_name("the product", self.product, least=0)
        check_context(self.context)

    @cached_property
    def context_json(self) -> str:
        """The context in one spelling."""
        return json.dumps(self.context, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    def fingerprint(self, slot: str) -> str:
        """Return what is equal for equal questions to a slot."""
        parts = (slot, self.event_id, self.unit, self.context_json, self.product, str(self.deferred), *self.among)
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
    brand : BrandBook
        The tenant's.
    brand_version : int
        0 where there are no rules.
    about : mapping of str to frozenset of str
        The products that texts of a catalogue are about, by the texts' ids.
    records : mapping of str to tuple of str
        What the catalogue says of these products, phrase by phrase; of one that is gone, nothing.
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
    brand: BrandBook
    brand_version: int
    about: Mapping[str, frozenset[str]] = field(default_factory=dict)
    records: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def rules(self) -> BrandRules:
        """The brand's rules as they hold here."""
        return self.brand.of(self.name)

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
        """The chances of each text of the last snapshot in each segment, (G, N).

        Raises
        ------
        DamagedError
            If there is no snapshot, or it holds no chances.
        """
        if not self.state.snapshots:
            raise DamagedError(f"slot {self.name!r} has no snapshot; {_RESTORE}")
        last, segments = self.state.snapshots[-1], len(self.state.opening.segments)
        found = [last.chances(segment) for segment in range(segments)]
        if not all(min(one) >= 0 and abs(sum(one) - 1) < _NEARLY for one in found):
            raise DamagedError(
                f"snapshot {last.snapshot} of slot {self.name!r} holds no chances that sum to 1; {_RESTORE}"
            )
        return np.array(found)

    @cached_property
    def places(self) -> dict[str, int]:
        """The places on the slate by the ids of their texts."""
        return {text_id(text): place for place, text in enumerate(self.state.slate)}

    @cached_property
    def products(self) -> list[list[frozenset[str]]]:
        """For each text of the slate the products that it is about; of one made of texts, those of each; or nothing."""
        return [self.products_of(text) for text in self.state.slate] if self.about else []

    def products_of(self, text: str, state: State | None = None) -> list[frozenset[str]]:
        """Return the products that a text is about: what the catalogue says or, of a text made of others, of those.

        What is written of a slot's own subject is about that.
        """
        found: list[frozenset[str]] = []
        usable, waiting, seen = (state or self.state).usable, [text], {text}
        while waiting:
            one = waiting.pop()
            draft = usable.get(one)
            if (products := self.about.get(text_id(one))) is not None:
                found.append(products)
            elif draft is not None and not self.has_subject:
                waiting += [parent for parent in draft.lineage.parents if parent not in seen]
                seen.update(draft.lineage.parents)
        return found

    @cached_property
    def has_subject(self) -> bool:
        """Whether new texts are about one product that was given with the slot."""
        return bool(json.loads(self.subject)["subject"])

    def may(self, question: Question, place: int) -> bool:
        """Return whether the text at a place of any snapshot's slate may answer a question now."""
        if place >= len(self.state.slate) or self.state.slate[place] not in self.state.shown:
            return False
        return self._fits(question, place) and (
            not question.among or text_id(self.state.slate[place]) in question.among
        )

    def asked_for(self, question: Question) -> list[int]:
        """Return the places of the texts that a question leaves to choose among; none where it leaves all."""
        if not self._narrows(question):
            return []
        shown, many = set(self.state.shown), len(self.state.snapshots[-1].probabilities)
        named = [self.places.get(one, many) for one in question.among] if question.among else range(many)
        return [place for place in named
                if place < many and self.state.slate[place] in shown and self._fits(question, place)]  # fmt: skip

    def _narrows(self, question: Question) -> bool:
        """Say whether a question may leave some texts out."""
        return bool(question.among) or bool(question.product and self.about)

    def _fits(self, question: Question, place: int) -> bool:
        """Say whether the text at a place may stand on the page of a question's product."""
        if not question.product or not self.about:
            return True
        return all(question.product in products for products in self.products[place])

    def choose(self, question: Question) -> Choice:
        """Return which text the event of a question is given, and why.

        Raises
        ------
        InputError
            If none of the texts that the question names may be shown.
        DamagedError
            If the last snapshot makes no sense.
        """
        segment = self.config.segment_of(dict(question.context))
        unit = self._hash("unit", question.unit) if question.unit else ""
        chances, baseline = self._offered(question, segment)
        sums = chances.cumsum()
        drawn = int(np.searchsorted(sums, self._uniform("draw", question.event_id) * sums[-1], side="right"))
        drawn = min(drawn, int(chances.nonzero()[0][-1]))  # rounding may lead past the last
        place, reason = self._served(drawn, baseline, unit or question.event_id)
        return Choice(
            key=event_key(self.tenant, question.event_id),
            snapshot=self.state.snapshots[-1].snapshot,
            place=place,
            drawn=drawn,
            segment=segment,
            reason=reason,
            propensity=float(self._propensities(chances, baseline)[place]),
            unit=unit,
        )

    def now(self, question: Question, choice: Choice) -> Choice:
        """Return what an event that was decided before is shown now: what it was given, if that may still be shown."""
        baseline = self._baseline_of(question)
        off = self.settings.mode == "off" and choice.place != baseline
        if not off and self.may(question, choice.place):
            return choice
        return replace(choice, place=baseline, reason="killed")

    def fallback(self, question: Question) -> Choice:
        """Return the baseline for a question that could not be put on record, or be drawn for."""
        segment = self.config.segment_of(dict(question.context))
        place = self._baseline_of(question)
        key, number = event_key(self.tenant, question.event_id), max(len(self.state.snapshots) - 1, 0)
        return Choice(key, number, place, place, segment, "fallback", 1.0, "")

    def propensities(self, question: Question) -> np.ndarray:
        """Return the chances of each text of the last snapshot at an event, holdout included: (N,)."""
        return self._propensities(*self._offered(question, self.config.segment_of(dict(question.context))))

    def _offered(self, question: Question, segment: int) -> tuple[np.ndarray, int]:
        """Return the policy's chances of each text, (N,), and the place of the baseline, for a question."""
        chances = self.chances[segment]
        if not self._narrows(question):
            return chances, self.baseline
        named = self.asked_for(question)
        if not named and question.among:
            raise InputError(
                f"none of the {len(question.among)} texts that were named may be shown by slot {self.name!r}; name "
                "texts that are live, by the SHA-256 of their UTF-8"
            )
        if not named:
            raise InputError(
                f"slot {self.name!r} has no live text that may stand on the page of product {question.product!r}; show "
                "the page's own text, or add one to the slot"
            )
        eligible = np.zeros_like(chances)
        eligible[named] = chances[named] if chances[named].sum() > 0 else 1.0
        return eligible / eligible.sum(), self._baseline_of(question)

    def _baseline_of(self, question: Question) -> int:
        """Return the place of the baseline, or of what stands in for it where a question leaves it out."""
        named = self.asked_for(question)
        return self.baseline if not named or self.baseline in named else named[0]

    def _served(self, drawn: int, baseline: int, unit: str) -> tuple[int, Reason]:
        if self.settings.mode == "off":
            return baseline, "killed"
        if self.settings.mode == "shadow":
            return baseline, "shadow"
        if self._uniform("holdout", unit) < self.settings.holdout:
            return baseline, "holdout"
        return drawn, "bandit"

    def _propensities(self, chances: np.ndarray, baseline: int) -> np.ndarray:
        share = 1.0 if self.settings.mode in ("off", "shadow") else self.settings.holdout
        found = (1 - share) * chances
        found[baseline] += share
        return found

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
