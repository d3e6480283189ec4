"""Writes what shoppers do: decisions, exposures and rewards, many in one durable transaction.

What is acknowledged is on disk. What comes twice counts once, whatever the order in which it comes: a unique key of the
database sees to it, not the sender. ``docs/guide/live.md`` has the rules.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Table, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError

from copyloom import CopyloomError, InputError
from embeddings.database import matching, writing
from experiments.campaigns.ledger import Clock as Clock
from experiments.campaigns.ledger import now as now
from experiments.storefront.alarms import cause
from experiments.storefront.config import SlotSettings
from experiments.storefront.decide import Choice, Question, Slot
from experiments.storefront.tables import (
    DecisionRow,
    ExposureRow,
    PendingRow,
    RewardRow,
    TenantRow,
    event_key,
)
from experiments.storefront.values import MAX_KIND, check_moment, check_name, check_value

Joined = Literal["joined", "dangling", "late", "duplicate"]
_TOGETHER = 256
"""Entries of one transaction, at most."""
_WAITING = 20_000
"""Entries that may wait; more are refused, so that a database that hangs does not fill the memory."""
_REMEMBERED = 50
"""Draws of a unit that are looked at for the first that it may still see."""


class ConflictError(InputError):
    """An event or reward id was used before, for something else."""


@dataclass(frozen=True)
class Decide:
    """An event was given a text."""

    slot: Slot
    question: Question
    choice: Choice


@dataclass(frozen=True)
class Expose:
    """A page showed the text of an event, at `shown_at`."""

    tenant: str
    event_id: str
    shown_at: datetime | None = None

    def __post_init__(self) -> None:
        """Raise `InputError` for what the service refuses over HTTP too."""
        check_name("the event id", self.event_id)
        check_moment("shown_at", self.shown_at)


@dataclass(frozen=True)
class Reward:
    """A shopper did something with the text of an event.

    Parameters
    ----------
    tenant, event_id, reward_id : str
        A reward id that comes twice for an event counts once.
    value : float
        From 0 to 1.
    kind : str
        What the shopper did: click, order.
    happened_at : datetime, optional
    """

    tenant: str
    event_id: str
    reward_id: str
    value: float
    kind: str = ""
    happened_at: datetime | None = None

    def __post_init__(self) -> None:
        """Raise `InputError` for what the service refuses over HTTP too."""
        check_name("the event id", self.event_id)
        check_name("the reward id", self.reward_id)
        check_name("the kind", self.kind, MAX_KIND, least=0)
        check_value(self.value)
        check_moment("happened_at", self.happened_at)


Entry = Decide | Expose | Reward


class Journal:
    """Takes entries from any thread, and writes all that wait in one transaction.

    Parameters
    ----------
    engine : Engine
    settings : callable
        From the id of a slot to its settings as they are now.
    clock : callable, optional
    """

    def __init__(self, engine: Engine, settings: Callable[[int], SlotSettings], clock: Clock = now) -> None:
        self.engine, self.clock, self._settings = engine, clock, settings
        self._waiting: queue.SimpleQueue[tuple[Entry, Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="copyloom journal", daemon=True)
        self._thread.start()

    def submit(self, entry: Entry) -> Future[Any]:
        """Return what will become of an entry once it is on disk: a Choice, or how an exposure or reward was joined.

        The future fails with `ConflictError` where an id was used for something else, and with another `CopyloomError`
        where the database cannot be written; then nothing is on record, and the entry may be given again. One that is
        cancelled before it is written never is.
        """
        future: Future[Any] = Future()
        if self.waiting < _WAITING:
            self._waiting.put((entry, future))
        else:
            _fail(future, TimeoutError(f"{_WAITING:,} entries wait for it"))
        return future

    @property
    def waiting(self) -> int:
        """How many entries wait to be written."""
        return self._waiting.qsize()

    def close(self) -> None:
        """Write what waits, and stop."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        open_ = True
        while open_:
            batch = [self._waiting.get()]
            while len(batch) < _TOGETHER and not self._waiting.empty():
                batch.append(self._waiting.get())
            open_ = None not in batch
            if some := [pair for pair in batch if pair is not None and pair[1].set_running_or_notify_cancel()]:
                self._write(some)

    def _write(self, batch: Sequence[tuple[Entry, Future[Any]]]) -> None:
        """Write entries together; one by one where together they fail, so that a bad one harms no other."""
        try:
            with writing(self.engine) as connection:
                found = record(connection, [entry for entry, _ in batch], self._settings, self.clock())
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, OperationalError | InputError):
                for pair in batch:
                    self._write([pair])
                return
            for _, future in batch:
                _fail(future, error)
            return
        for (_, future), said in zip(batch, found, strict=True):
            _fail(future, said) if isinstance(said, Exception) else future.set_result(said)


def _fail(future: Future[Any], error: Exception) -> None:
    if not isinstance(error, CopyloomError):
        said = cause(error)
        error = InputError(f"the database could not be written ({said}); nothing of this is on record, try again")
    future.set_exception(error)


def record(
    connection: Connection, entries: Sequence[Entry], settings: Callable[[int], SlotSettings], at: datetime
) -> list[Any]:
    """Write entries in a transaction, and return what became of each: see `Journal.submit`."""
    found: dict[int, Any] = {}
    decides = {number: entry for number, entry in enumerate(entries) if isinstance(entry, Decide)}
    exposes = {number: entry for number, entry in enumerate(entries) if isinstance(entry, Expose)}
    rewards = {number: entry for number, entry in enumerate(entries) if isinstance(entry, Reward)}
    found.update(zip(decides, _decide(connection, list(decides.values()), at), strict=True))
    standing = _standing(connection, [*exposes.values(), *rewards.values()])
    found.update(zip(exposes, _expose(connection, list(exposes.values()), settings, at, standing), strict=True))
    found.update(zip(rewards, _reward(connection, list(rewards.values()), at, standing), strict=True))
    return [found[number] for number in range(len(entries))]


def _decide(connection: Connection, entries: Sequence[Decide], at: datetime) -> list[Choice | ConflictError]:
    """Record decisions; of an event that has one, that one is returned."""
    asked = {entry.choice.key: entry for entry in reversed(entries)}  # of those in one batch, the first
    known = _decisions(connection, asked)
    fresh = _sticky(connection, {key: entry for key, entry in asked.items() if key not in known}, at)
    if fresh:
        rows = [_decision(entry, at) for entry in fresh.values()]
        made = {key for (key,) in insert_new(connection, DecisionRow, rows)}
        exposed = _keys(connection, ExposureRow.key, [key for key, entry in fresh.items() if entry.question.deferred])
        insert_new(connection, PendingRow, [{"key": key, "slot_id": entry.slot.id,
                                             "due_at": at + wait(entry.slot.settings,
                                                                  entry.question.deferred and key not in exposed)}
                                            for key, entry in fresh.items() if key in made])  # fmt: skip
        known |= _decisions(connection, fresh)  # another process may have been first
    found: list[Choice | ConflictError] = []
    for entry in entries:
        row = known[entry.choice.key]
        same = row.request in ("", entry.question.fingerprint(entry.slot.name))
        found.append(_choice(row) if same else ConflictError(
            f"the event id {entry.question.event_id!r} was used for another question; give every event an id of its own"
        ))  # fmt: skip
    return found


def _sticky(connection: Connection, fresh: Mapping[str, Decide], at: datetime) -> dict[str, Decide]:
    """Return decisions with the first text that their unit saw and may still see, where the slot is sticky."""
    found = dict(fresh)
    sticky = {(e.slot.id, e.choice.unit): e.slot for e in fresh.values()
              if e.slot.settings.sticky_days and e.choice.unit and e.choice.reason == "bandit"}  # fmt: skip
    seen: dict[tuple[int, str], list[Any]] = {}
    for (slot_id, unit), slot in sticky.items():
        since = at - timedelta(days=slot.settings.sticky_days)
        query = select(DecisionRow).where(DecisionRow.slot_id == slot_id, DecisionRow.unit == unit)
        query = query.where(DecisionRow.at >= since, DecisionRow.reason == "bandit")
        rows = connection.execute(query.order_by(DecisionRow.at, DecisionRow.key).limit(_REMEMBERED))
        seen[slot_id, unit] = list(rows)
    for key, entry in fresh.items():
        if entry.choice.reason != "bandit" or (entry.slot.id, entry.choice.unit) not in seen:
            continue
        before = seen[entry.slot.id, entry.choice.unit]
        first = next((row for row in before if entry.slot.may(entry.question, row.place)), None)
        if first is None:
            before.append(entry.choice)
        else:
            choice = replace(entry.choice, place=first.place, reason="sticky", propensity=first.propensity)
            found[key] = replace(entry, choice=choice)
    return found


@dataclass(frozen=True)
class _Standing:
    """Where events stand, and will till the transaction ends: open, or closed; of others no decision is known."""

    open: frozenset[str]
    closed: frozenset[str]

    def of(self, key: str) -> Joined:
        """Return what becomes of the first news of an event."""
        return "late" if key in self.closed else "joined" if key in self.open else "dangling"


def _standing(connection: Connection, entries: Sequence[Expose | Reward]) -> _Standing:
    """Return where the events of entries stand; on PostgreSQL, their closing waits for this transaction.

    An event that is not known may be decided and closed while we write: so the closing of its tenant's waits too.
    """
    keys = sorted({event_key(entry.tenant, entry.event_id) for entry in entries})
    decided, pending = _decided_and_open(connection, keys)
    unknown = [key for key in keys if key not in decided and key not in pending]
    if unknown:
        tenants = select(TenantRow.name).where(TenantRow.name.in_({entry.tenant for entry in entries}))
        connection.execute(tenants.order_by(TenantRow.name).with_for_update(read=True)).all()
        more = _decided_and_open(connection, unknown)
        decided, pending = decided | more[0], pending | more[1]
    return _Standing(frozenset(pending), frozenset(decided - pending))


def _decided_and_open(connection: Connection, keys: Sequence[str]) -> tuple[set[str], set[str]]:
    """Return which events are decided and which are open: read in this order, a decided one that is not open closed."""
    decided = _keys(connection, DecisionRow.key, keys)
    query = select(PendingRow.key).order_by(PendingRow.key).with_for_update()
    return decided, {row.key for row in matching(connection, query, PendingRow.key, keys)}


def _expose(
    connection: Connection, entries: Sequence[Expose], settings: Callable[[int], SlotSettings], at: datetime,
    standing: _Standing,
) -> list[Joined]:  # fmt: skip
    """Record that texts were shown, each event once, and say what became of each; windows of deferred ones begin."""
    keys = [event_key(entry.tenant, entry.event_id) for entry in entries]
    asked = dict(zip(reversed(keys), reversed(entries), strict=True))  # of those in one batch, the first
    known = _keys(connection, ExposureRow.key, list(asked))
    _shown(connection, {key: asked[key] for key in sorted(set(asked) - known)}, settings, at, standing)
    found: list[Joined] = []
    for key in keys:
        found.append("duplicate" if key in known else standing.of(key))
        known.add(key)
    return found


def _shown(
    connection: Connection, fresh: Mapping[str, Expose], settings: Callable[[int], SlotSettings], at: datetime,
    standing: _Standing,
) -> None:  # fmt: skip
    rows = [{"key": key, "shown_at": entry.shown_at or at, "at": at, "late": key in standing.closed}
            for key, entry in fresh.items()]  # fmt: skip
    insert_new(connection, ExposureRow, rows)
    query = select(PendingRow.key, PendingRow.slot_id).join(DecisionRow, DecisionRow.key == PendingRow.key)
    for row in list(matching(connection, query.where(DecisionRow.deferred), PendingRow.key, list(fresh))):
        due = at + wait(settings(row.slot_id), unexposed=False)
        connection.execute(update(PendingRow).where(PendingRow.key == row.key).values(due_at=due))


def _reward(
    connection: Connection, entries: Sequence[Reward], at: datetime, standing: _Standing
) -> list[Joined | ConflictError]:
    """Record rewards, each reward id of an event once, and say what became of each."""
    keys = [event_key(entry.tenant, entry.event_id) for entry in entries]
    known = _values(connection, keys)
    found: list[Joined | ConflictError] = []
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    places: dict[tuple[str, str], int] = {}
    for key, entry in zip(keys, entries, strict=True):
        name = (key, entry.reward_id)
        if name in known:
            found.append(_again(entry, known[name]))
            continue
        known[name], places[name] = entry.value, len(found)
        rows[name] = {"key": key, "reward_id": entry.reward_id, "value": entry.value, "kind": entry.kind,
                      "happened_at": entry.happened_at or at, "at": at, "late": key in standing.closed}  # fmt: skip
        found.append(standing.of(key))
    made = {tuple(name) for name in insert_new(connection, RewardRow, list(rows.values()))}
    if overtaken := rows.keys() - made:  # another process was first
        known |= _values(connection, [key for key, _ in overtaken])
        for name in overtaken:
            found[places[name]] = _again(entries[places[name]], known[name])
    return found


def _values(connection: Connection, keys: Iterable[str]) -> dict[tuple[str, str], float]:
    """Return the rewards of events that are on record."""
    query = select(RewardRow.key, RewardRow.reward_id, RewardRow.value)
    rows = matching(connection, query, RewardRow.key, sorted(set(keys)))
    return {(row.key, row.reward_id): row.value for row in rows}


def _again(entry: Reward, before: float) -> Joined | ConflictError:
    """Return what becomes of a reward whose id is on record with a value."""
    if before == entry.value:
        return "duplicate"
    return ConflictError(
        f"the reward id {entry.reward_id!r} of event {entry.event_id!r} was used for the value {before:g}; "
        "give every reward an id of its own"
    )


def wait(settings: SlotSettings, unexposed: bool) -> timedelta:
    """Return how long an event stays open: till it is shown, or for what may come of it."""
    seconds = settings.activation_seconds if unexposed else settings.window_seconds
    return timedelta(seconds=seconds + settings.grace_seconds)


def _decision(entry: Decide, at: datetime) -> dict[str, Any]:
    slot, question, choice = entry.slot, entry.question, entry.choice
    return {
        "key": choice.key, "tenant": slot.tenant, "event_id": question.event_id, "slot_id": slot.id,
        "snapshot": choice.snapshot, "place": choice.place, "drawn": choice.drawn, "segment": choice.segment,
        "reason": choice.reason, "propensity": choice.propensity,
        "settings": slot.version, "among": " ".join(map(str, slot.asked_for(question))), "unit": choice.unit,
        "context": question.context_json, "product": question.product, "deferred": question.deferred,
        "request": question.fingerprint(slot.name), "at": at,
    }  # fmt: skip


def _choice(row: Any) -> Choice:
    return Choice(row.key, row.snapshot, row.place, row.drawn, row.segment, row.reason, row.propensity, row.unit)


def _decisions(connection: Connection, keys: Iterable[str]) -> dict[str, Any]:
    table = DecisionRow.__table__
    return {row.key: row for row in matching(connection, select(table), table.c.key, list(keys))}


def _keys(connection: Connection, column: Any, keys: Sequence[str]) -> set[str]:
    return {row[0] for row in matching(connection, select(column), column, keys)}


def insert_new(connection: Connection, row: type[Any], rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Insert the rows whose key the table does not hold, and return their keys.

    They come in the order of their keys, so that of two transactions neither waits for what waits for it.
    """
    if not rows:
        return []
    table: Table = row.__table__
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    names = [column.name for column in table.primary_key]
    ordered = sorted(rows, key=lambda one: tuple(one[name] for name in names))
    statement = dialect.insert(table).on_conflict_do_nothing().returning(*table.primary_key)
    return list(connection.execute(statement, ordered))
