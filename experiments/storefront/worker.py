"""The slow clock of a storefront: closes windows, learns, writes, publishes. It may die at any moment and start again.

Services only read what it publishes. Several workers do no harm: each step is one transaction that begins after
whatever others have recorded; but one does the work.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, Engine

from copyloom import InputError, Report
from embeddings.database import reading, writing
from experiments import loop
from experiments.campaigns import phases
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Happening, Reviewed
from experiments.campaigns.given import Given
from experiments.campaigns.ledger import Ledger, StaleError
from experiments.campaigns.state import State
from experiments.campaigns.workshop import Workshop, hired
from experiments.storefront import review
from experiments.storefront.alarms import ClockWatch, cause
from experiments.storefront.brand import check_version, note
from experiments.storefront.decide import Slot, campaign_name
from experiments.storefront.feeds import StorefrontFeed
from experiments.storefront.journal import Clock, now, wait
from experiments.storefront.names import AUTOMATIC, GUARD
from experiments.storefront.outbox import Outbox
from experiments.storefront.overview import Tallies, compare, guardrails
from experiments.storefront.predictions import keep_predictions, predict
from experiments.storefront.screening import screen
from experiments.storefront.slots import Slots, switch
from experiments.storefront.tracing import span, tell
from generator.record import ProductRecord

ALL = "all slots"
"""Instead of the name of one, where nothing can be read."""
_FRESH_SECONDS = 1.0
"""How old what is known of a slot may be before work on it begins."""
_log = logging.getLogger(__name__)


def give_way() -> None:
    """Let all other processes of the machine go first from now on: a page waits for them, and nobody for a worker."""
    if hasattr(os, "SCHED_IDLE"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            return
    os.nice(10)


@dataclass(frozen=True)
class Done:
    """What a worker did for a slot in one round.

    Parameters
    ----------
    closed : int
        Outcomes that were taken.
    published : int, optional
        The number of the snapshot, where there was a new one.
    written : int
        Texts that were written.
    """

    closed: int = 0
    published: int | None = None
    written: int = 0


class Worker:
    """Works for all slots of a database.

    Parameters
    ----------
    engine : Engine
    report : callable, optional
        Hears of long work.
    clock : callable, optional
    write : bool
        Whether it loads models, learns and writes; without it, windows are closed and outcomes recorded.
    """

    def __init__(
        self, engine: Engine, report: Report = lambda what, done, total: None, clock: Clock = now, write: bool = True
    ) -> None:
        self.engine, self.report, self.clock, self.write = engine, report, clock, write
        self.slots, self.ledger = Slots(engine), Ledger(engine, clock=clock, shared=True)
        self._shops: dict[str, Workshop] = {}
        self._feeds: dict[str, StorefrontFeed] = {}
        self._tallies = Tallies()
        self.watch: ClockWatch | None = None
        self._screened: dict[int, tuple[int, int, tuple[str, ...]]] = {}
        self._read_until: dict[int, tuple[int, int]] = {}

    def run(self, every: float, stop: threading.Event) -> None:
        """Work until told to stop; what fails is logged when it begins and when it is over, and tried again."""
        # Writing takes minutes: meanwhile another one closes windows, looks for harm, and knows what waits.
        quick = Worker(self.engine, clock=self.clock, write=False) if self.write else self
        beside = [("outbox", Outbox(self.engine, quick.slots, self.clock).run)]
        if quick is not self:
            beside.append(("closing", quick.rounds))
        for name, what in beside:
            threading.Thread(target=what, args=(every, stop), name=f"copyloom {name}", daemon=True).start()
        self.rounds(every, stop)

    def rounds(self, every: float, stop: threading.Event) -> None:
        """Do what is due again and again, until told to stop."""
        before: dict[str, str] = {}
        self.watch = ClockWatch(self.clock)
        while not stop.is_set():
            failed = {name: cause(said) for name, said in self.round().items() if isinstance(said, Exception)}
            for name in failed.keys() - before.keys():
                _log.error("%s: %s; this is tried again every %g s", name, failed[name], every)
            for name in before.keys() - failed.keys():
                _log.warning("%s: it can be worked for again", name)
            before = failed
            stop.wait(every)

    def round(self) -> dict[str, Done | Exception]:
        """Do what is due for each slot, and return it by the names of their campaigns; or why it failed."""
        try:
            self.slots.refresh()
        except Exception as error:  # a server that went away, say
            return {ALL: error}
        found: dict[str, Done | Exception] = {
            campaign_name(*name): InputError(why) for name, why in self.slots.unreadable.items()
        }
        for slot in self.slots.all():
            if slot.campaign in found:
                continue
            try:
                with span("work", tenant=slot.tenant, slot=slot.name):
                    found[slot.campaign] = self.work(slot)
            except Exception as error:  # one slot must not stop the others
                _log.debug("slot %s", slot.campaign, exc_info=error)
                found[slot.campaign] = error
                self._forget(slot)
        return found

    def work(self, slot: Slot) -> Done:
        """Do what is due for a slot."""
        slot = slot if self.slots.age < _FRESH_SECONDS else self._now(slot)
        campaign = self.slots.campaign(slot)
        feed = self._feeds.setdefault(
            slot.campaign, StorefrontFeed(self.engine, lambda: self.slots.get(slot.tenant, slot.name), campaign,
                                          lambda: self._closing_at(slot))
        )  # fmt: skip
        before = len(campaign.state.closed)
        with span("close"):
            loop.collect([campaign], [feed], self.ledger)
            closed = len(campaign.state.closed) - before
            tell({"outcomes": closed})
        self._screen(slot)
        if closed and self._guarded(slot):
            return Done(closed)
        if not self.write or slot.settings.mode in ("off", "frozen"):
            return Done(closed)
        drafts = len(campaign.state.drafts)
        shop = self._shops.get(slot.campaign) or self._opened(slot, campaign)
        shop.writer.checker.also = slot.rules.refusals
        self._read(shop, slot, campaign)
        published = self._decide(shop, slot, campaign) if self._due(slot, campaign) else None
        return Done(closed, published, len(campaign.state.drafts) - drafts)

    def _screen(self, slot: Slot) -> None:
        """Hold the texts of a slot to the brand rules that hold now, where rules or texts are new."""
        known = slot.brand_version, len(slot.state.drafts), tuple(slot.state.shown)
        if self._screened.get(slot.id) == known:
            return
        try:
            found = screen(self.engine, self.slots, slot, self.clock)
        except StaleError:  # there are newer rules, for the next round
            return
        for one in found:
            if one.did:
                _log.warning("slot %s: %r breaks the brand rules, version %d: %s", slot.campaign, one.text, one.version,
                             one.did)  # fmt: skip
        self._screened[slot.id] = known

    def _read(self, shop: Workshop, slot: Slot, campaign: Campaign) -> None:
        """Keep sentence vectors of what people wrote and of the brand's examples: pages read no text themselves."""
        tone, state = slot.brand.tone, campaign.state
        known = slot.brand_version, len(state.drafts)
        if self._read_until.get(slot.id) == known:
            return
        texts = list(dict.fromkeys([*state.slate, *state.authors, *tone.good, *tone.bad]))
        shop.writer.sentence_vectors(texts)  # before the lock is taken
        with writing(self.engine) as connection:
            shop.writer.encoder.keep(connection, texts)
        self._read_until[slot.id] = known

    def _guarded(self, slot: Slot) -> bool:
        """Turn a slot off that does harm, where its settings say so; and say whether that was done."""
        if not slot.settings.guard or slot.settings.mode in ("off", "shadow"):
            return False
        with reading(self.engine) as connection:
            harm = [one.what for one in guardrails(compare(self._tallies.of(connection, slot))) if one.alarm]
        if harm:
            why = f"{harm[0]}: worse than in the holdout. It is counted anew once holdout or baseline change"
            _log.error("slot %s is turned off: %s", slot.campaign, why)
            switch(self.engine, slot, on=False, by=GUARD, reason=why, clock=self.clock)
            self.slots.refresh()
        return bool(harm)

    def _closing_at(self, slot: Slot) -> datetime:
        """Return the time by which windows of a slot have ended: behind the clock while one is open over its jump."""
        if self.watch is None:
            return self.clock()
        if jump := self.watch.jumped():
            _log.error("the clock jumped by %+.0f seconds; no window that was open closes early", jump)
        settings = self.slots.get(slot.tenant, slot.name).settings
        longest = max(wait(settings, unexposed=True), wait(settings, unexposed=False))
        return self.clock() - self.watch.skipped(longest.total_seconds())

    def _now(self, slot: Slot) -> Slot:
        """Return a slot as it is now: writing takes minutes, in which people change settings."""
        self.slots.refresh()
        return self.slots.get(slot.tenant, slot.name)

    def _due(self, slot: Slot, campaign: Campaign) -> bool:
        return campaign.state.stale or campaign.state.fresh >= slot.config.impressions

    def _decide(self, shop: Workshop, slot: Slot, campaign: Campaign) -> int:
        """Write what is due, then admit, promote and publish; two steps, so that what was written is not lost."""
        some = [campaign]
        with span("learn"):
            belief = phases.learn(shop, some)
        mixing = _to_mix(slot, campaign)
        if shop.proposes(mixing.state) and len(mixing.state.parents) > 1:
            with span("propose"), self.ledger.step(some, shop.writer.keep) as record:
                record(phases.propose(shop, [mixing], belief))
        if slot.settings.auto_approve and shop.admits(campaign.state):
            unsaid = [text for text in _unsaid(campaign.state) if not slot.rules.refusals(text)]
            self._approve(slot, campaign, phases.most_promising(shop, campaign, unsaid, belief))
        waiting = [one.text for one in review.waiting(campaign.state)]
        expected = predict(shop, belief, waiting)

        def keep(connection: Connection, events: Sequence[Happening]) -> None:
            shop.writer.keep(connection, events)
            keep_predictions(connection, slot, len(campaign.state.snapshots) - 1, expected)

        with span("publish", snapshot_id=len(campaign.state.snapshots)), self.ledger.step(some, keep) as record:
            record(phases.admit(shop, some, belief))
            record(phases.promote(shop, some))
            record(phases.publish(shop, some, belief))
        return len(campaign.state.snapshots) - 1

    def _approve(self, slot: Slot, campaign: Campaign, best: Sequence[str]) -> None:
        """Approve texts in nobody's name, where the slot's settings say so and no person spoke meanwhile.

        Few at a time: shoppers could not tell apart all that is written, and would see much that is worse. What breaks
        the brand rules that hold now waits for a person.
        """
        slot, unsaid = self._now(slot), _unsaid(campaign.state)
        texts = [text for text in best if text in unsaid and not slot.rules.refusals(text)]

        def keep(connection: Connection, events: Sequence[Happening]) -> None:
            check_version(connection, slot.tenant, slot.brand_version)
            note(connection, slot, {text: ((), "") for text in texts}, self.clock())

        if slot.settings.auto_approve and texts:
            # Not shared: where somebody was first, or there are newer brand rules, they wait for the next time.
            with contextlib.suppress(StaleError), Ledger(self.engine).step([campaign], keep) as record:
                record([[Reviewed(texts=tuple(texts), approved=True, by=AUTOMATIC, reason="setting auto_approve")]])

    def _opened(self, slot: Slot, campaign: Campaign) -> Workshop:
        """Load what writes for a slot, and write its first mixtures unless they are on record."""
        given, opening = given_of(slot), campaign.state.opening
        with span("load", model=slot.config.model):
            config, writer = hired(slot.config, given, self.engine, self.report, slot.campaign)
            writer.checker.also = slot.rules.refusals
            shop = loop.opened(config, given, writer, [campaign], [opening], self.ledger, self.report)
        self._shops[slot.campaign] = shop
        return shop

    def _forget(self, slot: Slot) -> None:
        """Begin anew with a slot after an error: what is not on record may be wrong."""
        self._shops.pop(slot.campaign, None)
        campaign = self.slots.campaign(slot)
        with contextlib.suppress(Exception):  # the next round says what is wrong
            self.ledger.resume([campaign])


def _to_mix(slot: Slot, campaign: Campaign) -> Campaign:
    """Return a campaign without those parents that a catalogue's products have: no page shows a mixture of two such."""
    if slot.has_subject or not slot.about:
        return campaign
    state = campaign.state
    parents = tuple(text for text in state.parents if not slot.products_of(text, state))
    return replace(campaign, state=replace(state, parents=parents))


def _unsaid(state: State) -> list[str]:
    """Return the texts that a worker wrote, that passed the checks, and of which nobody said anything."""
    return [text for text in state.usable if text not in state.reviews and not state.authors.get(text)]


def given_of(slot: Slot) -> Given:
    """Return what a slot's campaign was opened with: its texts, its subject, and earlier texts with their clicks."""
    told, opening = json.loads(slot.subject), slot.state.opening
    subject = ProductRecord.model_validate(told["subject"]) if told["subject"] else None
    past = tuple((text, shown, clicked) for text, shown, clicked in told["past"])
    return Given(list(opening.parents), subject, list(opening.slate), [], past)
