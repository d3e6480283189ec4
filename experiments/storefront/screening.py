"""Holds texts to the brand rules of the day: each once to each version, on record with what was done for it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Connection, Engine, select

from embeddings.database import matching, reading, text_id, writing
from experiments.campaigns import people
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Happening, Paused, Reviewed
from experiments.campaigns.ledger import Ledger, StaleError
from experiments.campaigns.state import State
from experiments.storefront import review
from experiments.storefront.brand import check_version, note
from experiments.storefront.decide import Slot
from experiments.storefront.journal import Clock, now
from experiments.storefront.names import BRAND
from experiments.storefront.slots import Slots, audit
from experiments.storefront.tables import ScreeningRow
from generator.brand_book import BrandBook, BrandRules


@dataclass(frozen=True)
class Screened:
    """A text that was held to brand rules.

    Parameters
    ----------
    slot, text : str
    state : str
        Where it stood before.
    version : int
        Of the rules.
    refusals : tuple of str
        What they have against it.
    did : str
        paused; taken back (its approval was); left: nothing else would be shown; "" where nothing was to be done.
    """

    slot: str
    text: str
    state: review.TextState
    version: int
    refusals: tuple[str, ...]
    did: str = ""


def screen_all(engine: Engine, slots: Slots, tenant: str, clock: Clock = now) -> list[Screened]:
    """Hold the texts of all slots of a tenant to the rules that hold now, and return those that break them."""
    slots.refresh()
    with contextlib.suppress(StaleError):  # whoever set newer ones holds the texts to those
        return [one for slot in slots.of(tenant) for one in screen(engine, slots, slot, clock) if one.refusals]
    return []


def screen(engine: Engine, slots: Slots, slot: Slot, clock: Clock = now) -> list[Screened]:
    """Hold the texts of a slot to the rules that hold now, where that was not done yet, and return what was found.

    Of those that break them and may be shown, it takes from the page those that are live, and back the approvals of
    those that are not live yet, if the rules say so (`when_broken`). That is done once: whoever resumes or approves
    one afterwards, for a reason, has the last word. A text that was left, as nothing else would have been shown, is
    looked at again: it is taken from the page once something else may stand there.
    """
    if not slot.brand_version:
        return []
    campaign = Campaign(slot.campaign, seeds=())
    ledger = Ledger(engine, clock=clock, shared=True)
    ledger.resume([campaign])
    state = campaign.state
    with reading(engine) as connection:
        mine = (ScreeningRow.slot_id == slot.id, ScreeningRow.version == slot.brand_version, ScreeningRow.did != "left")
        known = set(connection.scalars(select(ScreeningRow.text_id).where(*mine)))
    fresh = [one for one in review.texts(state) if text_id(one.text) not in known and one.state != "retired"]
    found = _judged(slot, state, fresh)
    if not found:
        return []
    happened: list[Happening] = [what for one in found if (what := _event(one))]

    def keep(connection: Connection, events: Sequence[Happening]) -> None:
        check_version(connection, slot.tenant, slot.brand_version)
        _keep(connection, slot, found, clock)

    if happened:
        with ledger.step([campaign], keep) as record:
            record([happened])
            if any(one.did == "paused" for one in found):
                record([[people.without_hidden(campaign.state)]])
        slots.refresh()
    else:
        with writing(engine) as connection:
            keep(connection, [])
    return found


def versions_of(engine: Engine, slot: Slot, texts: Sequence[str]) -> dict[str, int]:
    """Return by texts of a slot the last version of the brand rules to which each was held; no others."""
    ids = {text_id(text): text for text in texts}
    query = select(ScreeningRow.text_id, ScreeningRow.version).where(ScreeningRow.slot_id == slot.id)
    found: dict[str, int] = {}
    with reading(engine) as connection:
        for row in matching(connection, query, ScreeningRow.text_id, list(ids)):
            found[ids[row.text_id]] = max(row.version, found.get(ids[row.text_id], 0))
    return found


def broken(slots: Sequence[Slot], book: BrandBook) -> list[Screened]:
    """Return the texts of slots that break rules, whether they hold or not yet, of those that may be shown some day."""
    found = [Screened(slot.name, one.text, one.state, slot.brand_version, _against(rules, one.text))
             for slot in slots for rules in (book.of(slot.name),) for one in review.texts(slot.state)
             if one.state in ("live", "approved", "paused", "in review")]  # fmt: skip
    return [one for one in found if one.refusals]


@lru_cache(maxsize=10_000)  # pages ask again at each look; of hundreds of texts that took half a second
def _against(rules: BrandRules, text: str) -> tuple[str, ...]:
    return tuple(refusal.reason for refusal in rules.refusals(text))


def _judged(slot: Slot, state: State, fresh: Sequence[review.Standing]) -> list[Screened]:
    """Return what the rules have against texts, and what is to be done for it."""
    against = {one.text: _against(slot.rules, one.text) for one in fresh}
    left = [text for text in state.shown if not against.get(text)] or [state.slate[slot.baseline]]
    pauses = slot.brand.when_broken == "pause"
    found = []
    for one in fresh:
        did = ""
        if against[one.text] and pauses:
            if one.text in state.shown:
                did = "left" if one.text in left else "paused"
            elif one.state == "approved":
                did = "taken back"
        found.append(Screened(slot.name, one.text, one.state, slot.brand_version, against[one.text], did))
    return found


def _event(one: Screened) -> Happening | None:
    """Return what happens to a text in the name of the brand rules."""
    why = f"version {one.version}: {'; '.join(one.refusals)}"
    if one.did == "paused":
        return Paused(texts=(one.text,), paused=True, by=BRAND, reason=why)
    return Reviewed(texts=(one.text,), approved=False, by=BRAND, reason=why) if one.did == "taken back" else None


def _keep(connection: Connection, slot: Slot, found: Sequence[Screened], clock: Clock) -> None:
    new = note(connection, slot, {one.text: (one.refusals, one.did) for one in found}, clock())
    for one in found:
        if one.did and one.text in new:
            audit(connection, slot.tenant, BRAND, _DID[one.did], f"{slot.name}: {one.text}", one.state,
                  one.state if one.did == "left" else one.did, f"version {one.version}: {'; '.join(one.refusals)}",
                  clock())  # fmt: skip


_DID = {"paused": "pause", "taken back": "reject", "left": "breaks the rules, and stays: nothing else may be shown"}
