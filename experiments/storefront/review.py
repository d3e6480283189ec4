"""What people do to the texts of a slot, in their names: approve, reject, rewrite, pause, resume, retire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, Engine

from copyloom import InputError
from embeddings.summary import Lineage
from experiments.campaigns import people
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Happening
from experiments.campaigns.ledger import Ledger
from experiments.campaigns.state import State
from experiments.storefront.brand import check_version, note
from experiments.storefront.decide import Slot
from experiments.storefront.facts import objections
from experiments.storefront.journal import Clock, now
from experiments.storefront.slots import Slots, audit
from experiments.texts import MAX_TEXTS

TextState = Literal["screened", "in review", "approved", "live", "paused", "retired", "rejected"]
Action = Literal["approve", "reject", "pause", "resume", "retire"]


@dataclass(frozen=True)
class Standing:
    """A text of a slot, and where it stands.

    Parameters
    ----------
    text : str
    state : str
        screened (refused by the checks), in review, approved (joins with the next snapshot), live, paused, retired,
        rejected.
    lineage : Lineage, optional
        Its parents and their weights; None of a text that was given.
    refusals : tuple of str
        What the checks have against it.
    author : str
        Who wrote it, where a person did.
    """

    text: str
    state: TextState
    lineage: Lineage | None = None
    refusals: tuple[str, ...] = ()
    author: str = ""


def texts(state: State) -> list[Standing]:
    """Return all texts of a campaign and where they stand: the slate first, then what was written, newest first."""
    refused = {draft.text: draft for draft in state.drafts if draft.refusals and draft.text not in state.usable}
    written = [*reversed(state.usable.values()), *reversed(refused.values())]
    slate = set(state.slate)
    found = [Standing(text, _on_slate(state, text), _lineage(state, text), (), state.authors.get(text, ""))
             for text in state.slate]  # fmt: skip
    return found + [
        Standing(one.text, _written(state, one.text), one.lineage, tuple(refusal.reason for refusal in one.refusals),
              state.authors.get(one.text, ""))
        for one in written if one.text and one.text not in slate
    ]  # fmt: skip


def numbers(state: State) -> dict[str, int]:
    """Return by text in which order they came: a number that it keeps for good."""
    every = dict.fromkeys([*state.opening.slate, *(draft.text for draft in state.drafts if draft.text)])
    return {text: number for number, text in enumerate(every)}


def waiting(state: State) -> list[Standing]:
    """Return what waits for a person, newest first."""
    return [draft for draft in texts(state) if draft.state == "in review"]


def decide(
    engine: Engine, slots: Slots, tenant: str, name: str, action: Action, which: Sequence[str], by: str, reason: str,
    clock: Clock = now,
) -> None:  # fmt: skip
    """Do something to texts of a slot in a person's name; what may not be shown is out of the snapshot at once.

    A text with facts that nothing backs, or that breaks the brand's rules, is approved for a reason alone, which stays
    on record; and so is one resumed that breaks the brand's rules.

    Raises
    ------
    InputError
        If it cannot be done to one of them; then nothing is done.
    """
    if action in ("approve", "resume"):
        slots.refresh()  # for the brand rules that hold now

    def happen(campaign: Campaign) -> list[Happening]:
        if action in ("approve", "resume") and not reason.strip():
            _check_facts(slots.get(tenant, name), campaign.state, which, action)
        match action:
            case "approve" | "reject":
                return people.review(campaign, which, action == "approve", by, reason)
            case "pause":
                return people.pause(campaign, which, by, reason)
            case "resume":
                return people.resume(campaign, which, by, reason)
            case "retire":
                return people.retire(campaign, which, reason, by)

    _record(engine, slots, tenant, name, happen, action, list(which), by, reason, clock)


def write(
    engine: Engine, slots: Slots, tenant: str, name: str, text: str, by: str, instead_of: str | None = None,
    reason: str = "", clock: Clock = now,
) -> str:  # fmt: skip
    """Add a text that a person wrote, to be approved by another, and return it as it is kept: in one line.

    The text that it replaces is rejected if it waits.

    Raises
    ------
    InputError
        If the slot has the text already, or not the one that it replaces, or has as many as it can.
    """
    text = " ".join(text.split())

    def happen(campaign: Campaign) -> list[Happening]:
        happened = people.write(campaign, text, by, instead_of)
        state = campaign.state
        if instead_of in state.usable and instead_of not in state.slate and instead_of not in state.reviews:
            return happened + people.review(campaign, [instead_of], False, by, f"rewritten: {text}")
        check_room(state, 1)
        return happened

    _record(engine, slots, tenant, name, happen, "write", [text], by, reason, clock)
    return text


def write_new(
    engine: Engine, slots: Slots, tenant: str, name: str, texts: Sequence[str], by: str, clock: Clock = now
) -> list[str]:
    """Add those texts that a slot does not have, written by a person, all or none; return them.

    Raises
    ------
    InputError
        If one cannot be a text of the slot, or there are too many.
    """
    state = slots.get(tenant, name).state
    fresh = [text for text in texts if text not in state.slate and text not in state.usable]

    def happen(campaign: Campaign) -> list[Happening]:
        check_room(campaign.state, len(fresh))
        return [event for text in fresh for event in people.write(campaign, text, by)]

    if fresh:
        _record(engine, slots, tenant, name, happen, "write", fresh, by, "imported", clock)
    return fresh


def check_room(state: State, fresh: int) -> None:
    """Raise `InputError` if a slot would have more texts, shown and waiting, than it can."""
    many = len(state.shown) + len(waiting(state)) + fresh
    if fresh and many > MAX_TEXTS:
        raise InputError(
            f"the slot would have {many:,} texts, shown and waiting, and takes {MAX_TEXTS} at most; reject or retire "
            "some, or give fewer (a catalogue's by --product, other rows by --where)"
        )


def _record(engine, slots, tenant, name, happen, action, which, by, reason, clock):  # type: ignore[no-untyped-def]
    slot = slots.get(tenant, name)
    campaign = Campaign(slot.campaign, seeds=())
    ledger = Ledger(engine, clock=clock, shared=True)
    ledger.resume([campaign])
    before = {draft.text: draft.state for draft in texts(campaign.state)}

    def keep(connection: Connection, events: Sequence[Happening]) -> None:
        after = {draft.text: draft.state for draft in texts(campaign.state)}
        if action in ("approve", "resume"):
            check_version(connection, tenant, slot.brand_version)
        if action in ("approve", "resume", "write"):
            held = {text: ([one.reason for one in slot.rules.refusals(text)], "") for text in which}
            note(connection, slot, held, clock())
        for text in which:
            audit(connection, tenant, by, action, f"{name}: {text}", before.get(text), after.get(text), reason, clock())

    with ledger.step([campaign], keep) as record:
        record([happen(campaign)])
        if action in ("pause", "retire"):
            record([[people.without_hidden(campaign.state)]])
    slots.refresh()


def _check_facts(slot: Slot, state: State, which: Sequence[str], action: Action) -> None:
    """Raise if something speaks against one of the texts."""
    for text in which:
        brands = [refusal.reason for refusal in slot.rules.refusals(text)]
        if found := objections(slot, text, state) if action == "approve" else brands:
            raise InputError(
                f"{text!r}: {'; '.join(found)}; give a reason why it may be shown all the same, or edit it"
            )


def _on_slate(state: State, text: str) -> TextState:
    if text in state.retired:
        return "retired"
    if text in state.paused:
        return "paused"
    return "live" if state.slate.index(text) < len(state.snapshots[-1].probabilities) else "approved"


def _written(state: State, text: str) -> TextState:
    if text not in state.usable:
        return "screened"
    said = state.reviews.get(text)
    return "in review" if said is None else "approved" if said else "rejected"


def _lineage(state: State, text: str) -> Lineage | None:
    return state.usable[text].lineage if text in state.usable else None
