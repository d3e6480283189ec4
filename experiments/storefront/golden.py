"""Publishes every snapshot again, from what was known when it was: the same chances to the last digits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from sqlalchemy import Engine

from copyloom import Report
from experiments.campaigns import phases
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Admitted, Promoted, Published
from experiments.campaigns.ledger import Ledger
from experiments.campaigns.state import State, apply
from experiments.campaigns.workshop import Workshop, hired
from experiments.storefront.decide import Slot
from experiments.storefront.folding import Fault, by_people
from experiments.storefront.slots import Slots
from experiments.storefront.worker import given_of

NEARLY = 1e-10
"""What chances may differ by."""


def publish_again(engine: Engine, report: Report = lambda what, done, total: None) -> tuple[int, list[Fault]]:
    """Learn and allocate again before each snapshot that a worker published: how many there were, and which differ.

    It loads the model that writes, whose sentence vectors are what beliefs are about. What Vowpal Wabbit learned hangs
    on when, and is left out; so are snapshots for which two workers told of outcomes at once.
    """
    slots, many, faults = Slots(engine), 0, list[Fault]()
    for slot in slots.all():
        told = list(_learned_from(slots.ledger, slot))
        if not told or slot.state.opening.policy.name == "vowpal-wabbit":
            continue
        shop, campaign = _opened(engine, slot, report), replace(slots.campaign(slot))
        for known, before, event in told:
            again = _published(shop, campaign, known, before)
            off = max(abs(one - other) for one, other in zip(_all(again), _all(event), strict=True))
            if off > NEARLY:
                faults.append(Fault(slot.campaign, "probabilities", f"snapshot {event.snapshot}",
                                    f"{off:g} from what is learned again", f"{NEARLY:g} at most"))  # fmt: skip
        many += len(told)
    return many, faults


def _learned_from(ledger: Ledger, slot: Slot) -> Iterator[tuple[State, State, Published]]:
    """Yield each snapshot of a worker, with the states from which it was learned and to which it was published."""
    state = known = State()
    for event in ledger.events(slot.campaign):
        if not isinstance(event.what, Admitted | Promoted | Published):
            known = state = apply(state, event.what)
            continue
        if isinstance(event.what, Published) and not by_people(event.what, state):
            yield known, state, event.what
        state = apply(state, event.what)
        known = state if isinstance(event.what, Published) else known


def _published(shop: Workshop, campaign: Campaign, known: State, before: State) -> Published:
    campaign.state = known
    belief = phases.learn(shop, [campaign])
    campaign.state = before
    return cast("Published", phases.publish(shop, [campaign], belief)[0][0])


def _opened(engine: Engine, slot: Slot, report: Report) -> Workshop:
    """Return the workshop of a slot's worker; all that it had written is on record."""
    given = given_of(slot)
    config, writer = hired(slot.config, given, engine, report, slot.campaign)
    writer.recall(slot.state.drafts)
    writer.encoder.recall(engine)
    writer.recall_parents(slot.state.parents)
    return Workshop.of(config, given, writer, report)


def _all(event: Published) -> list[float]:
    return [chance for chances in (event.probabilities, *event.by_segment) for chance in chances]
