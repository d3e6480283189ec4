"""A live campaign in one process, without HTTP: decide, expose, reward; and a worker that learns and writes."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from copyloom import InputError
from experiments.campaigns.given import Given, given_texts
from experiments.storefront import review
from experiments.storefront.config import SlotConfig, SlotSettings
from experiments.storefront.decide import Question, Reason
from experiments.storefront.journal import Clock, Decide, Expose, Joined, Journal, Reward, now
from experiments.storefront.slots import DEFAULT_TENANT, Slots, change_settings, open_slot, open_storefront
from experiments.texts import name_subject
from generator.checks import BrandRules
from generator.record import ProductRecord


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

    def __init__(self, engine: Any, slot: str, tenant: str = DEFAULT_TENANT, clock: Clock = now) -> None:
        self.engine, self.tenant, self.name, self.clock = engine, tenant, slot, clock
        self.slots = Slots(engine)
        self.slots.get(tenant, slot)  # or say which there are
        self.slots.follow(every=1.0)
        self.journal = Journal(engine, self.slots.settings, clock)
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
                settled = settled.model_copy(update={"rules": settled.rules or BrandRules.like(texts)})
            open_slot(
                engine, tenant, slot, settled, given, settings or SlotSettings(), by="opened in Python", clock=clock
            )
            return cls(engine, slot, tenant, clock)
        except BaseException:
            engine.dispose()
            raise

    def decide(
        self, event_id: str | None = None, *, unit: str = "", context: Mapping[str, object] | None = None,
        product: str = "", deferred: bool = False,
    ) -> Decision:  # fmt: skip
        """Return which text to show; asked again with the same event id, the same one.

        Raises
        ------
        ConflictError
            If the event id was used for another question.
        InputError
            If the database cannot be written.
        """
        question = Question(event_id or uuid.uuid4().hex, unit, context or {}, product, deferred)
        slot = self.slots.get(self.tenant, self.name)
        choice = self.journal.submit(Decide(slot, question, slot.choose(question))).result()
        if choice.place >= len(slot.state.slate):  # decided by another process, of a newer snapshot
            self.slots.refresh()
            slot = self.slots.get(self.tenant, self.name)
        choice = slot.now(question, choice)
        text = slot.state.slate[choice.place]
        return Decision(question.event_id, text, choice.propensity, choice.snapshot, choice.reason)

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
        reward = Reward(self.tenant, event_id, reward_id or kind, checked_value(value), kind, happened_at)
        joined: Joined = self.journal.submit(reward).result()
        return joined

    def work(self) -> Any:
        """Close windows, learn, write and publish what is due, for all slots of the database; return what was done."""
        from experiments.storefront.worker import Worker

        self._worker = getattr(self, "_worker", None) or Worker(self.engine, clock=self.clock)
        found = self._worker.round()
        done = found.get(f"{self.tenant}/{self.name}") or found["all"]
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

    def waiting(self) -> list[review.Standing]:
        """Return what was written and waits for a person, the newest first."""
        self.slots.refresh()
        return review.waiting(self.slots.get(self.tenant, self.name).state)

    def approve(self, text: str, by: str, reason: str = "") -> None:
        """Let a written text be shown, in a person's name; for a reason, where it claims what nothing backs."""
        review.decide(self.engine, self.slots, self.tenant, self.name, "approve", [text], by, reason, self.clock)

    def reject(self, text: str, by: str, reason: str) -> None:
        """Say that a written text must not be shown, and why."""
        review.decide(self.engine, self.slots, self.tenant, self.name, "reject", [text], by, reason, self.clock)

    def set(self, by: str, reason: str, **changes: Any) -> SlotSettings:
        """Change settings of the slot, such as its mode, and return them all; who, what and why stay on record."""
        slot = self.slots.get(self.tenant, self.name)
        settings = change_settings(self.engine, slot, changes, by, reason, self.clock)
        self.slots.refresh()
        return settings

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


def checked_value(value: float) -> float:
    """Return a reward's value; InputError unless it is from 0 to 1."""
    if not 0 <= value <= 1:
        raise InputError(f"a reward of {value!r} was given; pass a number from 0 to 1")
    return float(value)
