"""What is deleted: a person's data, when asked to, and events that were learned from long ago."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from copyloom import InputError
from embeddings.database import reading, writing
from experiments.storefront.decide import hashed
from experiments.storefront.journal import Clock, now
from experiments.storefront.slots import audit
from experiments.storefront.tables import (
    DecisionRow,
    DeliveryRow,
    ExposureRow,
    OutcomeRow,
    RetentionRow,
    RewardRow,
    SlotRow,
    TenantRow,
    WebhookRow,
)
from experiments.storefront.verify import Told, told

_AT_ONCE = 500


def forget(engine: Engine, tenant: str, unit: str, by: str, clock: Clock = now) -> int:
    """Delete who a unit is, and what was known of it, from its events; return how many these were.

    They still count, and their ids still answer as they did. That this was done is on record, but not for whom.

    Raises
    ------
    InputError
        If there is no such tenant, or no unit is named.
    """
    if not unit:
        raise InputError("no unit is named; give the id that the pages send")
    with writing(engine) as connection:
        secret = connection.scalar(select(TenantRow.secret).where(TenantRow.name == tenant))
        if secret is None:
            raise InputError(f"there is no tenant {tenant!r}; check its name")
        if engine.dialect.name == "sqlite":  # or what was deleted could be read in the file
            connection.exec_driver_sql("PRAGMA secure_delete=ON")
        slots = select(SlotRow.id).where(SlotRow.tenant == tenant)
        mine = update(DecisionRow).where(
            DecisionRow.slot_id.in_(slots), DecisionRow.unit == hashed(secret, "unit", unit)
        )
        many = connection.execute(mine.values(unit="", context="{}", request="")).rowcount
        names = select(WebhookRow.name).where(WebhookRow.tenant == tenant)
        connection.execute(delete(DeliveryRow).where(DeliveryRow.name.in_(names)))  # answers quote what was refused
        audit(connection, tenant, by, "unit forgotten", "", None, {"decisions": many}, "", clock())
    _empty_log(engine)
    return many


def prune(engine: Engine, days: float, by: str, clock: Clock = now) -> int:
    """Delete the events that closed more than some days ago and are learned from, batch by batch; return how many.

    What they came to stays in the campaigns' events. Their ids are forgotten: a decision that is asked for again is a
    new event. Of slots that show people what they saw before, as many days are kept as they do. Rewards and exposures
    whose decision never came are deleted after the same time, and what messages of webhooks were answered.

    Raises
    ------
    InputError
        If the days are below 0, or a campaign's events cannot be true.
    """
    if not days >= 0:
        raise InputError(f"{days} days were given; pass 0 or more")
    deleted = 0
    with reading(engine) as connection:
        slots = told(connection)
        for slot in slots.values():
            if fault := next(slot.fold.read(connection), None):
                raise InputError(f"nothing is deleted from a ledger that is not sound: {fault}")
    for slot_id, slot in slots.items():
        sticky = slot.settings[max(slot.settings)][0].sticky_days
        until = clock() - timedelta(days=max(days, sticky))
        many = sum(_delete_batch(engine, slot_id, batch, until, clock())
                   for batch in _learned(engine, slot_id, slot, until))  # fmt: skip
        if many:
            with writing(engine) as connection:
                audit(connection, slot.tenant, by, "events deleted", slot.name, None,
                      {"events": many, "until": f"{until:%F %T}"}, "", clock())  # fmt: skip
        deleted += many
    _delete_strays(engine, clock() - timedelta(days=days))
    _empty_log(engine)
    return deleted


def _learned(engine: Engine, slot_id: int, slot: Told, until: datetime) -> list[int]:
    """Return the first batches of a slot: those that all closed before a time, and are on its campaign's record."""
    query = select(OutcomeRow.batch, func.max(OutcomeRow.at).label("at")).where(OutcomeRow.slot_id == slot_id)
    found = []
    with reading(engine) as connection:
        for row in connection.execute(query.group_by(OutcomeRow.batch).order_by(OutcomeRow.batch)):
            if row.batch > slot.fold.last_batch or row.at >= until:
                break
            found.append(row.batch)
    return found


def _delete_batch(engine: Engine, slot_id: int, batch: int, until: datetime, at: datetime) -> int:
    """Delete the events of a batch, and note that they are gone, in one transaction."""
    with writing(engine) as connection:
        query = select(OutcomeRow.key).where(OutcomeRow.slot_id == slot_id, OutcomeRow.batch == batch)
        keys = list(connection.scalars(query))
        _delete(connection, keys)
        mark = {"batch": batch, "until": until, "at": at}
        if not connection.execute(update(RetentionRow).where(RetentionRow.slot_id == slot_id).values(mark)).rowcount:
            connection.execute(insert(RetentionRow), {"slot_id": slot_id, **mark})
    return len(keys)


def _delete(connection: Connection, keys: Sequence[str]) -> None:
    for first in range(0, len(keys), _AT_ONCE):
        some = keys[first : first + _AT_ONCE]
        for row in (RewardRow, ExposureRow, DecisionRow, OutcomeRow):
            connection.execute(delete(row).where(row.key.in_(some)))


def _delete_strays(engine: Engine, until: datetime) -> None:
    """Delete rewards and exposures that came before a time, and their decisions never; and answers of before it."""
    with writing(engine) as connection:
        connection.execute(delete(DeliveryRow).where(DeliveryRow.at < until))
        for row in (RewardRow, ExposureRow):
            stray = ~select(DecisionRow.key).where(DecisionRow.key == row.key).exists()
            connection.execute(delete(row).where(row.at < until, stray))


def _empty_log(engine: Engine) -> None:
    """Let SQLite's log of recent writes, which holds what was deleted, be taken into the file, if nobody reads it."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.execution_options(sqlite_begin=None)
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
