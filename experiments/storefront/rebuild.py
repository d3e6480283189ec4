"""Works out again what the ledger's rows make: counts, what they teach, and the queue of open events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import torch
from sqlalchemy import Connection, Engine, Integer, cast, delete, func, insert, select
from torch import Tensor

from embeddings.database import reading, writing
from experiments.campaigns.rewards import Rewards
from experiments.storefront.config import SlotSettings
from experiments.storefront.folding import Fault, batch_of
from experiments.storefront.journal import wait
from experiments.storefront.tables import DecisionRow, ExposureRow, OutcomeRow, PendingRow, TenantRow
from experiments.storefront.verify import Told, told

NEARLY = 1e-10
"""What means and variances of beliefs may differ by."""
_AT_ONCE = 2000

Cells = Mapping[tuple[int, int], tuple[int, int]]
"""Impressions and clicks by a text's place and the number of a segment."""


@dataclass(frozen=True)
class Rebuilt:
    """What was worked out again, beside what is on record.

    Parameters
    ----------
    slots, events : int
        How many campaigns, and impressions in their counts.
    difference : float
        The largest of a belief's mean or variance (in logits), of counts from rows and counts on record.
    missing, extra : int
        Open events that the queue lacked, and others that it held.
    faults : list of Fault
        Where the two differ.
    """

    slots: int
    events: int
    difference: float
    missing: int
    extra: int
    faults: list[Fault]


def rebuild(engine: Engine, check: bool = False) -> Rebuilt:
    """Compare campaigns with what their rows make, and put the queue of open events right; `check` only says.

    Campaigns' events are never changed: where they differ from the rows, the faults say so.
    """
    faults: list[Fault] = []
    difference, events = 0.0, 0
    with reading(engine) as connection:
        slots = told(connection)
        for slot_id, slot in slots.items():
            faults += slot.fold.read(connection)
            mine = _counts_of_rows(connection, slot_id, slot)
            theirs = {cell: counts for cell, counts in _counts_on_record(slot).items() if any(counts)}
            events += sum(shown for shown, _ in theirs.values())
            difference = max(difference, _difference(slot, mine, theirs))
            faults += _differing(slot, mine, theirs)
        missing, extra = (connection.scalar(select(func.count()).select_from(query.subquery())) or 0
                          for query in (_missing(), _extra()))  # fmt: skip
    if difference > NEARLY:
        faults.append(Fault("", "counts", "belief", f"a difference of {difference:g}", f"{NEARLY:g} at most"))
    if check:
        faults += [Fault("", "queue", "open events", f"{many} {what}", "none")
                   for many, what in ((missing, "missing"), (extra, "that are not open")) if many]  # fmt: skip
    else:
        missing, extra = _mend_queue(engine, slots)
    return Rebuilt(len(slots), events, difference, missing, extra, faults)


def _counts_of_rows(connection: Connection, slot_id: int, slot: Told) -> dict[tuple[int, int], tuple[int, int]]:
    """Return what the outcomes of a slot's events make, up to the last batch on record; of deleted ones, the record."""
    query = select(DecisionRow.place, DecisionRow.segment, func.count().label("many"),
                   func.sum(cast(OutcomeRow.clicked, Integer)).label("clicks"))  # fmt: skip
    query = query.join(DecisionRow, DecisionRow.key == OutcomeRow.key).where(
        OutcomeRow.slot_id == slot_id, OutcomeRow.why != "void", OutcomeRow.batch <= slot.fold.last_batch
    )
    shown: Counter[tuple[int, int]] = Counter()
    clicked: Counter[tuple[int, int]] = Counter()
    for row in connection.execute(query.group_by(DecisionRow.place, DecisionRow.segment)):
        shown[row.place, row.segment] += row.many
        clicked[row.place, row.segment] += int(row.clicks)
    for name, event in slot.fold.state.closed.items():
        for place, segment, many, clicks in event.counts if batch_of(name) <= slot.deleted else ():
            shown[place, segment] += many
            clicked[place, segment] += clicks
    return {cell: (many, clicked[cell]) for cell, many in shown.items()}


def _counts_on_record(slot: Told) -> dict[tuple[int, int], tuple[int, int]]:
    shown, clicked = slot.fold.state.by_segment.tolist()
    return {(place, segment): (many, clicked[place][segment])
            for place, row in enumerate(shown) for segment, many in enumerate(row)}  # fmt: skip


def _differing(slot: Told, mine: Cells, theirs: Cells) -> Iterator[Fault]:
    for cell in sorted({*mine, *theirs}):
        if mine.get(cell) != theirs.get(cell):
            yield Fault(slot.name, "counts", f"text {cell[0]} in segment {cell[1]}",
                        f"{theirs.get(cell)} on record", f"{mine.get(cell)}, shown and clicked by rows")  # fmt: skip


def _difference(slot: Told, mine: Cells, theirs: Cells) -> float:
    """Return by how much beliefs about each text's rate differ, of counts of one and the other."""
    first, second = (_belief(slot, cells) for cells in (mine, theirs))
    return float((first - second).abs().max()) if first.numel() else 0.0


def _belief(slot: Told, cells: Cells) -> Tensor:
    """Return mean and variance of each text's logit, (2, N), where nothing is known of texts but their clicks."""
    count = len(slot.fold.state.slate)
    counts = torch.zeros(2, 1, count, dtype=torch.float64)
    for (place, _), said in cells.items():
        if place < count:
            counts[:, 0, place] += torch.tensor(said, dtype=torch.float64)
    rewards = Rewards(slot.config.prior.model_copy(update={"text_prior": None, "curvature": None}), count)
    features = torch.eye(count, dtype=torch.float64)[None]
    belief = rewards.fit(features, counts[0], counts[1], torch.ones(1, count, dtype=torch.bool))
    return torch.cat(belief.predict(rewards.widen(features)))


def _missing() -> Any:
    """Return the query of decisions that are open, but not in the queue."""
    query = select(DecisionRow.key, DecisionRow.slot_id, DecisionRow.settings, DecisionRow.deferred, DecisionRow.at,
                   ExposureRow.at.label("shown"))  # fmt: skip
    for row in (PendingRow, OutcomeRow, ExposureRow):
        query = query.outerjoin(row, row.key == DecisionRow.key)
    return query.where(PendingRow.key.is_(None), OutcomeRow.key.is_(None))


def _extra() -> Any:
    """Return the query of events in the queue that are not open."""
    query = select(PendingRow.key).outerjoin(DecisionRow, DecisionRow.key == PendingRow.key)
    query = query.outerjoin(OutcomeRow, OutcomeRow.key == PendingRow.key)
    return query.where(DecisionRow.key.is_(None) | OutcomeRow.key.is_not(None))


def _mend_queue(engine: Engine, slots: Mapping[int, Told]) -> tuple[int, int]:
    """Put the queue right while nothing closes, and return how many events were missing, and how many too many."""
    with writing(engine) as connection:
        connection.execute(select(TenantRow.name).order_by(TenantRow.name).with_for_update(key_share=True)).all()
        extra = list(connection.scalars(_extra()))
        for first in range(0, len(extra), 500):
            connection.execute(delete(PendingRow).where(PendingRow.key.in_(extra[first : first + 500])))
        missing = 0
        while rows := connection.execute(_missing().limit(_AT_ONCE)).all():
            connection.execute(insert(PendingRow), [
                {"key": row.key, "slot_id": row.slot_id, "due_at": _due(row, slots[row.slot_id].settings)}
                for row in rows
            ])  # fmt: skip
            missing += len(rows)
    return missing, len(extra)


def _due(row: Any, versions: Mapping[int, tuple[SlotSettings, datetime | None]]) -> datetime:
    """Return when the window of an open event ends, by the settings that held when it was decided."""
    settings, _ = versions[row.settings]
    began: datetime = max(row.at, row.shown) if row.deferred and row.shown else row.at
    return began + wait(settings, unexposed=row.deferred and row.shown is None)
