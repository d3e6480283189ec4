"""A live campaign in one process, without HTTP: decide, expose, reward; and a worker that learns and writes."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from experiments.campaigns.given import Given, given_texts
from experiments.storefront import review
from experiments.storefront.alarms import Alarm
from experiments.storefront.config import SlotConfig, SlotSettings
from experiments.storefront.decide import Choice, DamagedError, Question, Reason
from experiments.storefront.journal import Clock, ConflictError, Decide, Expose, Joined, Journal, Reward, now
from experiments.storefront.screening import screen_all
from experiments.storefront.slots import DEFAULT_TENANT, Slots, change_settings, open_slot, open_storefront, switch
from experiments.texts import name_subject
from generator.checks import WritingRules
from generator.record import ProductRecord

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decision:
    """The text that a shopper sees.

    Parameters
    ----------
    event_id : str
        By which its exposure and rewards are reported.
    text : str
    propensity : float
        With which chance this text was drawn.
    snapshot : int
    reason : str
        bandit, holdout, shadow, sticky, killed or fallback.
    """

    event_id: str
    text: str
    propensity: float
    snapshot: int
    reason: Reason


class LiveCampaign:
    """A slot of a page: which text to show, what shoppers did, and what to show next.

    Everything is on disk before a method returns, in the same ledger that the HTTP service uses: a process may die, go
    on where it was, and share the database with others.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, LiveCampaign.open(f"{folder}/shop.db", "hero", ["Warm.", "Dry."]) as hero:
    ...     decision = hero.decide(unit="visitor 7")
    ...     hero.reward(decision.event_id)
    'joined'
    """

    timeout_seconds = 2.0
    """How long a decision waits to be put on record; reports of what shoppers did wait as long as the database does."""

    def __init__(self, engine: Any, slot: str, tenant: str = DEFAULT_TENANT, clock: Clock = now) -> None:
        self.engine, self.tenant, self.name, self.clock = engine, tenant, slot, clock
        self.slots = Slots(engine)
        self.slots.get(tenant, slot)  # or say which there are
        self.slots.follow(every=1.0)
        self.journal = Journal(engine, self.slots.settings, clock)
        self._alarm = Alarm(
            lambda why: _log.error("slot %s: pages get the baseline: %s", slot, why),
            lambda times, seconds: _log.warning("slot %s: decisions are on record again, %d were not, in %g seconds",
                                                slot, times, seconds),
        )  # fmt: skip
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    @classmethod
    def open(
        cls, database: str | Path, slot: str, texts: Sequence[str] | None = None, *,
        subject: ProductRecord | None = None, tenant: str = DEFAULT_TENANT, settings: SlotSettings | None = None,
        clock: Clock = now, **config: Any,
    ) -> Self:  # fmt: skip
        """Open a slot in a database, which is made where it does not exist, or go on with it.

        Parameters
        ----------
        database : str or Path
            A file of SQLite, or the URL of a PostgreSQL database.
        slot : str
        texts : sequence of str, optional
            What may be shown at once, the first of them as the control; of a subject, those that name it. The shipped
            claims unless given, or those of the settings. Not needed to go on with a slot.
        subject : ProductRecord, optional
            What new texts are about; any text lends its manner to them.
        settings : SlotSettings, optional
            Of a slot that is new; those of an open one are changed by `set`.
        config : optional
            Settings of `SlotConfig`.

        Raises
        ------
        InputError
            If the database or a setting cannot be used, or the slot is open with other texts.
        """
        engine = open_storefront(str(database))
        try:
            if texts is None and not config and any(one.name == slot for one in Slots(engine).of(tenant)):
                return cls(engine, slot, tenant, clock)
            settled = SlotConfig.checked("the arguments", **config)
            if texts is None:
                given = given_texts(settled)
            else:
                own = name_subject(texts, subject) if subject else list(texts)
                given = Given(list(texts), subject, own, [])
                settled = settled.model_copy(update={"rules": settled.rules or WritingRules.like(texts)})
            open_slot(
                engine, tenant, slot, settled, given, settings or SlotSettings(), by="opened in Python", clock=clock
            )
            screen_all(engine, Slots(engine), tenant, clock)
            return cls(engine, slot, tenant, clock)
        except BaseException:
            engine.dispose()
            raise

    def decide(
        self, event_id: str | None = None, *, unit: str = "", context: Mapping[str, object] | None = None,
        product: str = "", deferred: bool = False,
    ) -> Decision:  # fmt: skip
        """Return which text to show; asked again with the same event id, the same one.

        Where the decision cannot be put on record it is the baseline, with the reason "fallback", and the log says why.

        Raises
        ------
        InputError
            If a value cannot be used, or nothing may be shown beside the product; `ConflictError` if the event id was
            used for another question.
        """
        question = Question(event_id or uuid.uuid4().hex, unit, context or {}, product, deferred)
        slot = self.slots.get(self.tenant, self.name)
        try:
            choice = self._recorded(Decide(slot, question, slot.choose(question)))
        except DamagedError:  # the slots said so in the log
            choice = slot.fallback(question)
        if choice.reason != "fallback":
            if choice.place >= len(slot.state.slate):  # decided by another process, of a newer snapshot
                self.slots.refresh()
                slot = self.slots.get(self.tenant, self.name)
            choice = slot.now(question, choice)
        text = slot.state.slate[choice.place]
        return Decision(question.event_id, text, choice.propensity, choice.snapshot, choice.reason)

    def _recorded(self, entry: Decide) -> Choice:
        """Return what a decision is on record, or the baseline; one that is still being written is what was drawn."""
        future = self.journal.submit(entry)
        try:
            found: Choice = future.result(self.timeout_seconds)
        except ConflictError:
            raise
        except TimeoutError:
            self._alarm.fails(TimeoutError(f"it does not answer within {self.timeout_seconds:g} seconds"))
            return entry.slot.fallback(entry.question) if future.cancel() else entry.choice
        except Exception as error:  # a page must have a text, whatever failed
            self._alarm.fails(error)
            return entry.slot.fallback(entry.question)
        self._alarm.works()
        return found

    def expose(self, event_id: str, shown_at: datetime | None = None) -> None:
        """Record that a page showed the text of an event; needed for deferred ones alone."""
        self.journal.submit(Expose(self.tenant, event_id, shown_at)).result()

    def reward(
        self, event_id: str, value: float = 1.0, *, reward_id: str = "", kind: str = "click",
        happened_at: datetime | None = None,
    ) -> Joined:  # fmt: skip
        """Record what a shopper did, once for each reward id (its kind, unless given), and say what became of it.

        Returns
        -------
        str
            joined; dangling (its decision is not known yet, and it is held); late (kept, not learned); duplicate.
        """
        reward = Reward(self.tenant, event_id, reward_id or kind, value, kind, happened_at)
        joined: Joined = self.journal.submit(reward).result()
        return joined

    def work(self) -> Any:
        """Close windows, learn, write and publish what is due, for all slots of the database; return what was done."""
        from experiments.storefront.worker import ALL, Worker

        self._worker = getattr(self, "_worker", None) or Worker(self.engine, clock=self.clock)
        found = self._worker.round()
        done = found.get(f"{self.tenant}/{self.name}") or found[ALL]
        self.slots.refresh()
        if isinstance(done, Exception):
            raise done
        return done

    def work_in_background(self, every: float = 5.0) -> None:
        """Do what `work` does every so many seconds, in a thread, until the campaign is closed."""
        from experiments.storefront.worker import Worker

        worker = Worker(self.engine, clock=self.clock)
        self._threads.append(threading.Thread(target=worker.run, args=(every, self._stop), daemon=True))
        self._threads[-1].start()

    def texts(self) -> list[review.Standing]:
        """Return all texts of the slot and where they stand: what is or was shown first, then what was written."""
        self.slots.refresh()
        return review.texts(self.slots.get(self.tenant, self.name).state)

    def waiting(self) -> list[review.Standing]:
        """Return what was written and waits for a person, the newest first."""
        return [draft for draft in self.texts() if draft.state == "in review"]

    def write(self, text: str, by: str, *, instead_of: str | None = None, reason: str = "") -> None:
        """Add a text that a person wrote, a rewrite of another perhaps; somebody else approves it."""
        review.write(self.engine, self.slots, self.tenant, self.name, text, by, instead_of, reason, self.clock)

    def approve(self, text: str, by: str, reason: str = "") -> None:
        """Let a written text be shown, in a person's name; for a reason, where it claims what nothing backs."""
        self._act("approve", text, by, reason)

    def reject(self, text: str, by: str, reason: str) -> None:
        """Say that a written text must not be shown, and why."""
        self._act("reject", text, by, reason)

    def pause(self, text: str, by: str, reason: str = "") -> None:
        """Show a text no more, from now on and till it is resumed."""
        self._act("pause", text, by, reason)

    def resume(self, text: str, by: str, reason: str = "") -> None:
        """Let a text that was paused be shown again, from the next snapshot on."""
        self._act("resume", text, by, reason)

    def retire(self, text: str, by: str, reason: str = "") -> None:
        """Show a text no more, for good."""
        self._act("retire", text, by, reason)

    def kill(self, by: str, reason: str = "", *, on: bool = False) -> SlotSettings:
        """Show everyone the baseline from now on; or, with `on`, go back to the mode that was before."""
        found = switch(self.engine, self.slots.get(self.tenant, self.name), on, by, reason, self.clock)
        self.slots.refresh()
        return found

    def set(self, by: str, reason: str, **changes: Any) -> SlotSettings:
        """Change settings of the slot, such as its mode, and return them all; who, what and why stay on record."""
        slot = self.slots.get(self.tenant, self.name)
        settings = change_settings(self.engine, slot, changes, by, reason, self.clock)
        self.slots.refresh()
        return settings

    def _act(self, action: review.Action, text: str, by: str, reason: str) -> None:
        review.decide(self.engine, self.slots, self.tenant, self.name, action, [text], by, reason, self.clock)

    def close(self) -> None:
        """Stop the worker and write what waits."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.slots.close()
        self.journal.close()
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
