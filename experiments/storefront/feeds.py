"""What a slot's shoppers did, as a campaign reads it: windows close, and each event counts once.

Closing writes one row an event, which never changes. The rows of one call are a batch, and a batch and snapshot are one
outcome of the campaign: it may be told any number of times, and counts once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from embeddings.database import matching, reading, writing
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.state import State
from experiments.storefront.config import SlotSettings
from experiments.storefront.decide import Slot
from experiments.storefront.journal import Clock, now, wait
from experiments.storefront.tables import (
    DecisionRow,
    ExposureRow,
    OutcomeRow,
    PendingRow,
    RetentionRow,
    RewardRow,
    TenantRow,
)
from simulator import Outcome, Snapshot

_AT_ONCE = 1000
"""Events that close in one transaction, at most."""


class StorefrontFeed:
    """The feed of a slot: a `simulator.RewardFeed`.

    Parameters
    ----------
    engine : Engine
    slot : callable
        Returns the slot as it is now.
    campaign : Campaign
        Its own: outcomes that are on its record are not told again.
    clock : callable, optional
    """

    def __init__(self, engine: Engine, slot: Callable[[], Slot], campaign: Campaign, clock: Clock = now) -> None:
        self.engine, self._slot, self.campaign, self.clock = engine, slot, campaign, clock
        self.segments = slot().config.all_segments

    def publish(self, snapshot: Snapshot) -> None:
        """Do nothing: services read the snapshot from the ledger."""

    def closed(self) -> Sequence[Outcome]:
        """Close the windows that have ended, and return the outcomes that are not on the campaign's record."""
        slot = self._slot()
        while close_due(self.engine, slot, self.clock()) == _AT_ONCE:
            pass
        known = {outcome.split("/")[0] for outcome in self.campaign.state.closed}
        with reading(self.engine) as connection:
            return outcomes(connection, slot.id, self.campaign.state, max(map(int, known), default=0))


def close_due(engine: Engine, slot: Slot, at: datetime) -> int:
    """Close the events of a slot whose windows have ended, in one transaction, and return how many there were."""
    with writing(engine) as connection:
        mine = select(TenantRow.name).where(TenantRow.name == slot.tenant)
        connection.execute(mine.with_for_update(key_share=True)).all()  # one batch at a time; decisions go on
        due = select(PendingRow.key).where(PendingRow.slot_id == slot.id, PendingRow.due_at <= at)
        due = due.order_by(PendingRow.due_at, PendingRow.key).limit(_AT_ONCE).with_for_update(skip_locked=True)
        found = list(connection.scalars(due))
        keys = _over(connection, slot, found, at)
        if keys:
            connection.execute(insert(OutcomeRow), _closed(connection, slot, keys, _last(connection, slot) + 1, at))
            for first in range(0, len(keys), 500):
                connection.execute(delete(PendingRow).where(PendingRow.key.in_(keys[first : first + 500])))
    return len(found)


def _last(connection: Connection, slot: Slot) -> int:
    """Return the number of a slot's last batch, whether its events are kept or not; 0 before the first."""
    kept = select(func.max(OutcomeRow.batch)).where(OutcomeRow.slot_id == slot.id)
    deleted = select(RetentionRow.batch).where(RetentionRow.slot_id == slot.id)
    return max(connection.scalar(kept) or 0, connection.scalar(deleted) or 0)


def _over(connection: Connection, slot: Slot, keys: Sequence[str], at: datetime) -> list[str]:
    """Return the events that no reward is waited for; windows that have not ended yet are open for longer.

    On PostgreSQL, a decision and the news that its text was shown can be written side by side, neither seeing the
    other.
    """
    shown = select(DecisionRow.key, DecisionRow.at, ExposureRow.at.label("shown"))
    shown = shown.join(ExposureRow, ExposureRow.key == DecisionRow.key).where(DecisionRow.deferred)
    span, longer = wait(slot.settings, unexposed=False), {}
    for row in matching(connection, shown, DecisionRow.key, keys):
        if max(row.at, row.shown) + span > at:
            longer[row.key] = max(row.at, row.shown) + span
    for key, due in longer.items():
        connection.execute(update(PendingRow).where(PendingRow.key == key).values(due_at=due))
    return [key for key in keys if key not in longer]


def outcomes(connection: Connection, slot_id: int, state: State, after: int) -> list[Outcome]:
    """Return the outcomes of a slot's batches after one: one of each batch and snapshot.

    A batch with events of a snapshot that is newer than the state is left for later, and those after it.
    """
    query = select(OutcomeRow.batch, DecisionRow.snapshot, DecisionRow.place, DecisionRow.segment, OutcomeRow.clicked,
                   func.count().label("many"))  # fmt: skip
    query = query.join(DecisionRow, DecisionRow.key == OutcomeRow.key)
    query = query.where(OutcomeRow.slot_id == slot_id, OutcomeRow.batch > after, OutcomeRow.why != "void")
    query = query.group_by(OutcomeRow.batch, DecisionRow.snapshot, DecisionRow.place, DecisionRow.segment,
                           OutcomeRow.clicked)  # fmt: skip
    groups: dict[tuple[int, int], list[Any]] = defaultdict(list)
    for row in connection.execute(query):
        groups[row.batch, row.snapshot].append(row)
    unknown = min((batch for batch, snapshot in groups if snapshot >= len(state.snapshots)), default=math.inf)
    return [_outcome(state, batch, snapshot, rows) for (batch, snapshot), rows in sorted(groups.items())
            if batch < unknown]  # fmt: skip


def _outcome(state: State, batch: int, snapshot: int, rows: Sequence[Any]) -> Outcome:
    places = sorted({row.place for row in rows})
    counts = np.zeros((2, len(places), len(state.opening.segments)), np.int64)
    for row in rows:
        cell = places.index(row.place), row.segment
        counts[0][cell] += row.many
        counts[1][cell] += row.many * bool(row.clicked)
    texts = tuple(state.slate[place] for place in places)
    return Outcome(f"{batch}/{snapshot}", snapshot, texts, counts[0], counts[1])


def _closed(connection: Connection, slot: Slot, keys: Sequence[str], batch: int, at: datetime) -> list[dict[str, Any]]:
    """Return the outcomes of events, as rows."""
    shown = select(ExposureRow.key).where(ExposureRow.late.is_(False))
    exposed = {row.key for row in matching(connection, shown, ExposureRow.key, keys)}
    deferred = select(DecisionRow.key).where(DecisionRow.deferred)
    void = {row.key for row in matching(connection, deferred, DecisionRow.key, keys)} - exposed
    rewards: dict[str, list[Any]] = defaultdict(list)
    query = select(RewardRow).where(RewardRow.late.is_(False)).order_by(RewardRow.at, RewardRow.reward_id)
    for row in matching(connection, query, RewardRow.key, keys):
        rewards[row.key].append(row.value)
    return [_row(key, slot, batch, at, None if key in void else rewards[key]) for key in keys]


def _row(key: str, slot: Slot, batch: int, at: datetime, rewards: Sequence[float] | None) -> dict[str, Any]:
    why = "void" if rewards is None else "reward" if rewards else "default"
    value = aggregated(slot.settings, rewards or ())
    clicked = why != "void" and value > slot.settings.click_above
    return {"key": key, "slot_id": slot.id, "batch": batch, "why": why, "value": value, "clicked": clicked,
            "settings": slot.version, "at": at}  # fmt: skip


def aggregated(settings: SlotSettings, rewards: Sequence[float]) -> float:
    """Return what the rewards of one event are worth together, in the order in which they came."""
    if not rewards:
        return settings.default_reward
    if settings.aggregation == "earliest":
        return rewards[0]
    return min(sum(rewards), 1.0) if settings.aggregation == "sum" else max(rewards)
