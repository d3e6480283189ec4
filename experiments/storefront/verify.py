"""Checks that the ledger lost nothing: each event closed once, for what it was worth, and counted once.

All that a slot learned and served follows from its rows and its campaign's events, and is worked out from them again
here. Events are read in the order of their keys, so that a ledger of any size is checked in the same memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, islice
from typing import Any

from sqlalchemy import Connection, Engine, Integer, and_, cast, func, select
from sqlalchemy.orm import aliased

from embeddings.database import reading
from experiments.campaigns.tables import CampaignRow, EventRow
from experiments.storefront.config import SlotConfig, SlotSettings
from experiments.storefront.decide import campaign_name
from experiments.storefront.feeds import aggregated
from experiments.storefront.folding import NEARLY, Fault, Fold, Life, batch_of
from experiments.storefront.tables import (
    DecisionRow,
    ExposureRow,
    OutcomeRow,
    PendingRow,
    RetentionRow,
    RewardRow,
    SettingsRow,
    SlotRow,
    event_key,
)

LAG_SECONDS = 60.0
"""How long a process may go on with settings that were replaced: much longer than any should need to hear of it."""
_AT_ONCE = 2000


def verify(engine: Engine, most: int = 1000) -> list[Fault]:
    """Return what is wrong with the storefront's ledger: nothing, if all is well; `most` faults at most.

    It may be called while services and workers write: what it reads is one state.
    """
    with reading(engine) as connection:
        return list(islice(_faults(connection), most))


def size(engine: Engine) -> dict[str, int]:
    """Return how many events, rewards and snapshots the ledger has."""
    names = select(SlotRow.tenant, SlotRow.name)
    with reading(engine) as connection:
        mine = [campaign_name(row.tenant, row.name) for row in connection.execute(names)]
        snapshots = select(func.count()).select_from(EventRow).join(CampaignRow, CampaignRow.id == EventRow.campaign_id)
        snapshots = snapshots.where(EventRow.kind == "published", CampaignRow.name.in_(mine))
        return {
            "events": connection.scalar(select(func.count()).select_from(DecisionRow)) or 0,
            "rewards": connection.scalar(select(func.count()).select_from(RewardRow)) or 0,
            "snapshots": connection.scalar(snapshots) or 0,
        }


@dataclass(frozen=True)
class Told:
    """A slot's own facts, and its campaign as its events make it.

    Parameters
    ----------
    tenant : str
    config : SlotConfig
    settings : mapping of int to (SlotSettings, datetime or None)
        Each version, and when the next one replaced it.
    fold : Fold
    deleted : int
        The last batch of whose events nothing is kept; 0 where all are.
    deleted_until : datetime, optional
        By when those had closed.
    """

    tenant: str
    config: SlotConfig
    settings: dict[int, tuple[SlotSettings, datetime | None]]
    fold: Fold
    deleted: int
    deleted_until: datetime | None

    @property
    def name(self) -> str:
        """The name of its campaign."""
        return self.fold.name


def told(connection: Connection) -> dict[int, Told]:
    """Return the facts of all slots by their ids; their campaigns' events are still to be read."""
    versions: dict[int, list[Any]] = {}
    for row in connection.execute(select(SettingsRow.__table__).order_by(SettingsRow.slot_id, SettingsRow.version)):
        versions.setdefault(row.slot_id, []).append(row)
    deleted = {row.slot_id: row for row in connection.execute(select(RetentionRow.__table__))}
    found = {}
    for row in connection.execute(select(SlotRow.__table__).order_by(SlotRow.id)):
        mine = versions.get(row.id, [])
        replaced = [*(one.at for one in mine[1:]), None]
        settings = {one.version: (SlotSettings.model_validate_json(one.body), at)
                    for one, at in zip(mine, replaced, strict=False)}  # fmt: skip
        mark = deleted.get(row.id)
        fold = Fold(campaign_name(row.tenant, row.name))
        found[row.id] = Told(row.tenant, SlotConfig.model_validate_json(row.config), settings, fold,
                             mark.batch if mark else 0, mark.until if mark else None)  # fmt: skip
    return found


def _faults(connection: Connection) -> Iterator[Fault]:
    slots = told(connection)
    for slot_id, slot in slots.items():
        yield from slot.fold.read(connection)
        yield from _count_faults(connection, slot_id, slot)
    for key, group in groupby(connection.execute(_events()), lambda row: row.key):
        rows = list(group)
        yield from _Event(key, rows[0], rows, slots[rows[0].slot_id]).faults()
    yield from _orphans(connection, slots)
    yield from _sticky(connection, slots)


def _count_faults(connection: Connection, slot_id: int, slot: Told) -> Iterator[Fault]:
    """Yield where the outcomes on a campaign's record are not the sums of its events, batch by batch."""
    query = select(OutcomeRow.batch, DecisionRow.snapshot, DecisionRow.place, DecisionRow.segment,
                   func.count().label("many"), func.sum(cast(OutcomeRow.clicked, Integer)).label("clicks"))  # fmt: skip
    query = query.join(DecisionRow, DecisionRow.key == OutcomeRow.key)
    query = query.where(OutcomeRow.slot_id == slot_id, OutcomeRow.why != "void")
    columns = (OutcomeRow.batch, DecisionRow.snapshot, DecisionRow.place, DecisionRow.segment)
    rows = connection.execute(query.group_by(*columns).order_by(*columns).execution_options(yield_per=_AT_ONCE))
    last, left = slot.fold.last_batch, dict(slot.fold.state.closed)
    for (batch, snapshot), group in groupby(rows, lambda row: (row.batch, row.snapshot)):
        counts = tuple((row.place, row.segment, row.many, int(row.clicks)) for row in group)
        event, subject = left.pop(f"{batch}/{snapshot}", None), f"outcome {batch}/{snapshot}"
        if batch <= slot.deleted:
            yield Fault(slot.name, "record", subject, "events of it", f"none up to batch {slot.deleted}: deleted")
        elif event is None and batch <= last:
            yield Fault(slot.name, "counts", subject, "not on record", f"{counts}, as batch {last} is")
        elif event is not None and (event.snapshot, tuple(sorted(event.counts))) != (snapshot, counts):
            yield Fault(slot.name, "counts", subject, f"{event.counts} on record", f"{counts}, of its events")
    for name in left:
        if batch_of(name) > slot.deleted:
            yield Fault(slot.name, "counts", f"outcome {name}", "on record, without events", "the events of its batch")


def _events() -> Any:
    """Return the query of all decisions in the order of their keys, with all that is known of each, once a reward."""
    columns = [column for column in DecisionRow.__table__.columns if column.name != "product"]
    query = select(
        *columns, PendingRow.key.label("open"),
        OutcomeRow.slot_id.label("closed_slot"), OutcomeRow.why, OutcomeRow.value, OutcomeRow.clicked,
        OutcomeRow.settings.label("closed_settings"), OutcomeRow.at.label("closed_at"),
        ExposureRow.late.label("exposed_late"),
        RewardRow.reward_id, RewardRow.value.label("reward"), RewardRow.late,
    )  # fmt: skip
    for row in (PendingRow, OutcomeRow, ExposureRow, RewardRow):
        query = query.outerjoin(row, row.key == DecisionRow.key)
    return query.order_by(DecisionRow.key, RewardRow.at, RewardRow.reward_id).execution_options(yield_per=_AT_ONCE)


@dataclass(frozen=True)
class _Event:
    """A decision with what came of it, and its checks."""

    key: str
    row: Any
    rows: Sequence[Any]
    slot: Told

    def faults(self) -> Iterator[Fault]:
        row, slot = self.row, self.slot
        if row.tenant != slot.tenant or self.key != event_key(row.tenant, row.event_id):
            yield self._fault("record", f"the key {self.key} of {row.tenant}", event_key(slot.tenant, row.event_id))
        if (row.open is None) == (row.why is None):
            yield self._fault("closing", "open and closed" if row.open else "neither open nor closed", "one of the two")
        yield from self._settings(row.settings, row.at, "decided")
        yield from self._outcome() if row.why is not None else self._open()
        yield from self._decision()

    def _open(self) -> Iterator[Fault]:
        if self.row.exposed_late or any(row.late for row in self.rows):
            yield self._fault("reward", "late, though the event is open", "on time")

    def _outcome(self) -> Iterator[Fault]:
        """Yield where an outcome is not what rewards and exposure make it."""
        row, (settings, _) = self.row, self.slot.settings.get(self.row.closed_settings, (None, None))
        yield from self._settings(row.closed_settings, row.closed_at, "closed")
        if row.closed_slot != row.slot_id:
            yield self._fault("outcome", f"that of slot {row.closed_slot}", f"slot {row.slot_id}")
        if settings is None:
            return
        rewards = [one.reward for one in self.rows if one.reward_id is not None and not one.late]
        void = row.deferred and row.exposed_late is not False
        why = "void" if void else "reward" if rewards else "default"
        value = aggregated(settings, () if void else rewards)
        clicked = not void and value > settings.click_above
        if (row.why, bool(row.clicked)) != (why, clicked) or abs(row.value - value) > NEARLY:
            yield self._fault("outcome", f"{row.why}, {row.value:g}, {'' if row.clicked else 'not '}clicked",
                              f"{why}, {value:g}, {'' if clicked else 'not '}clicked")  # fmt: skip

    def _settings(self, version: int, at: datetime, what: str) -> Iterator[Fault]:
        if version not in self.slot.settings:
            yield self._fault("settings", f"{what} by version {version}", "one of the slot's versions")
            return
        replaced = self.slot.settings[version][1]
        if replaced is not None and at - replaced > timedelta(seconds=LAG_SECONDS):
            yield self._fault(
                "settings", f"{what} by version {version} at {at:%F %T}", f"a newer one, of {replaced:%F %T}"
            )

    def _decision(self) -> Iterator[Fault]:
        """Yield where the text or its propensity is not what snapshot, settings and reason make it."""
        row, slot, lives = self.row, self.slot, self.slot.fold.lives
        if not 0 <= row.snapshot < len(lives):
            yield self._fault("record", f"snapshot {row.snapshot}", f"one of {len(lives)}")
            return
        life, segments = lives[row.snapshot], slot.config.all_segments
        if not life.may(row.place):
            yield self._fault(
                "approval", f"text {row.place}, {self._text()}", "one that was approved, and not paused or retired"
            )
        if not 0 <= row.segment < len(segments):
            yield self._fault("segment", f"segment {row.segment}", f"one of {len(segments)}")
            return
        if slot.config.segment_by and row.request:
            segment = slot.config.segment_of(json.loads(row.context))
            if segment != row.segment:
                yield self._fault("segment", f"segment {row.segment}", f"{segment}, of its context")
        settings, _ = slot.settings.get(row.settings, (None, None))
        if settings is not None:
            yield from self._propensity(life, settings)

    def _propensity(self, life: Life, settings: SlotSettings) -> Iterator[Fault]:
        row, chance = self.row, self._chance(life)
        places = [_baseline(settings, self.slot.fold.state.slate, shown, row.among) for shown in life.shown]
        reasons = {"off": ("killed",), "shadow": ("shadow",)}.get(settings.mode, ("bandit", "holdout", "sticky"))
        if row.reason not in (*reasons, "fallback"):
            yield self._fault(
                "propensity", f"the reason {row.reason}", f"{' or '.join(reasons)} where the mode is {settings.mode}"
            )
        if row.reason == "sticky":
            return
        if row.reason == "bandit" and (row.place != row.drawn or chance <= 0):
            yield self._fault("propensity", f"text {row.place}", f"text {row.drawn}, as drawn, with a chance above 0")
        if row.reason != "bandit" and row.place not in places:
            yield self._fault("propensity", f"text {row.place}", f"the baseline, {places}")
        share = 1.0 if row.reason in ("killed", "shadow", "fallback") else settings.holdout
        right = {(1 - share) * chance + share * (row.place == place) for place in places}
        if not any(abs(row.propensity - one) <= NEARLY for one in right):
            yield self._fault("propensity", f"{row.propensity!r}", " or ".join(map(repr, sorted(right))))

    def _chance(self, life: Life) -> float:
        """Return the chance that the policy gave the text, among those that were asked for."""
        chances, place = life.published.chances(self.row.segment), self.row.place
        if not self.row.among:
            return chances[place] if 0 <= place < len(chances) else 0.0
        some = {one: chances[one] if one < len(chances) else 0.0 for one in map(int, self.row.among.split())}
        total = sum(some.values())
        return some.get(place, 0.0) / total if total > 0 else (place in some) / len(some)

    def _text(self) -> str:
        slate = self.slot.fold.state.slate
        return repr(slate[self.row.place]) if 0 <= self.row.place < len(slate) else "which is none of the slate"

    def _fault(self, rule: str, found: str, expected: str) -> Fault:
        return Fault(self.slot.name, rule, f"event {self.row.event_id!r}", found, expected)


def _orphans(connection: Connection, slots: dict[int, Told]) -> Iterator[Fault]:
    """Yield outcomes and open events without a decision, and late rewards and exposures of events that never closed."""
    for row, rule in ((OutcomeRow, "closing"), (PendingRow, "queue")):
        query = select(row.key, row.slot_id).outerjoin(DecisionRow, DecisionRow.key == row.key)
        for one in connection.execute(query.where(DecisionRow.key.is_(None)).execution_options(yield_per=_AT_ONCE)):
            yield Fault(slots[one.slot_id].name, rule, f"event {one.key}", f"in {row.__tablename__}", "a decision")
    for late in (RewardRow, ExposureRow):
        lost = select(late.key).outerjoin(OutcomeRow, OutcomeRow.key == late.key)
        lost = lost.outerjoin(DecisionRow, DecisionRow.key == late.key)  # of those with one, the event tells
        lost = lost.where(late.late, OutcomeRow.key.is_(None), DecisionRow.key.is_(None))
        for key in connection.scalars(lost.execution_options(yield_per=_AT_ONCE)):
            yield Fault("", "reward", f"event {key}", f"late in {late.__tablename__}", "a closed event")


def _sticky(connection: Connection, slots: dict[int, Told]) -> Iterator[Fault]:
    """Yield sticky decisions that repeat no draw of their unit: its first may be the later one, by a clock put back."""
    first = aliased(DecisionRow)
    same = and_(
        first.slot_id == DecisionRow.slot_id, first.unit == DecisionRow.unit, first.reason == "bandit",
        first.place == DecisionRow.place, first.propensity == DecisionRow.propensity,
    )  # fmt: skip
    drawn = select(func.max(first.at)).where(same).scalar_subquery().label("drawn_at")
    query = select(DecisionRow.slot_id, DecisionRow.event_id, DecisionRow.at, DecisionRow.settings, drawn)
    query = query.where(DecisionRow.reason == "sticky", DecisionRow.request != "").order_by(DecisionRow.key)
    for row in connection.execute(query.execution_options(yield_per=_AT_ONCE)):
        slot = slots[row.slot_id]
        settings, _ = slot.settings.get(row.settings, (None, None))
        since = row.at - timedelta(days=settings.sticky_days if settings else 0.0)
        deleted = slot.deleted_until is not None and since < slot.deleted_until
        if not deleted and (row.drawn_at is None or row.drawn_at < since):
            yield Fault(slot.name, "propensity", f"event {row.event_id!r}", "sticky, text and propensity of no draw",
                        f"those that its unit was given since {since:%F %T}")  # fmt: skip


def _baseline(settings: SlotSettings, slate: Sequence[str], shown: Sequence[int], among: str) -> int:
    """Return the place of the baseline, of the places that may be shown, and that were asked for."""
    named = next((place for place in shown if slate[place] == settings.baseline), shown[0] if shown else -1)
    asked = [int(place) for place in among.split()]
    return named if not asked or named in asked else asked[0]
