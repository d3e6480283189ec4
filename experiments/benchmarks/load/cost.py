"""What an event costs the database: time of a core, bytes on disk and in its log; in plain and partitioned tables.

``python -m experiments.benchmarks.load.cost --before 2000000 --partitions 16``: events are decided, one in
twenty is rewarded, and all are closed, in transactions of so many entries as a busy service writes together.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Engine

from embeddings.database import writing
from experiments.benchmarks.kills.postgres import Postgres
from experiments.campaigns.given import Given
from experiments.storefront.config import SlotConfig, SlotSettings
from experiments.storefront.decide import Question
from experiments.storefront.feeds import close_due
from experiments.storefront.journal import Decide, Entry, Reward, record
from experiments.storefront.slots import DEFAULT_TENANT, Slots, open_slot, open_storefront

_TOGETHER = 32
_REWARDED = 20
_TABLES = ("decisions", "exposures", "rewards", "outcomes", "pending")
_BEFORE = (
    "INSERT INTO decisions SELECT md5(i::text), 'default', 'before ' || i, 1, 0, 0, 0, 0, 'bandit', 0.3, 1, '', "
    "md5(mod(i, 100000)::text), '{{\"device\":\"mobile\"}}', '', false, md5(i::text), '2026-01-01' "
    "FROM generate_series(1, {many}) i",
    "INSERT INTO outcomes SELECT md5(i::text), 1, 1 + i / 1000, 'default', 0, false, 1, '2026-01-01' "
    "FROM generate_series(1, {many}) i",
    "INSERT INTO rewards SELECT md5(i::text), 'r', 1, 'click', '2026-01-01', '2026-01-01', false "
    "FROM generate_series(1, {many}, 20) i",
)


def main() -> None:
    """Measure and print JSON, a line for each kind of table."""
    parser = argparse.ArgumentParser(description="What an event costs the database.")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--before", type=int, default=0, help="events that are there already, on PostgreSQL")
    parser.add_argument("--partitions", type=int, default=0, help="also in so many hash partitions")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        print(
            json.dumps({"database": "sqlite", **_measured(f"{folder}/shop.db", asked.events, None, 0, 0)}), flush=True
        )
    for partitions in (0, asked.partitions) if asked.partitions else (0,):
        with TemporaryDirectory() as folder:
            server = Postgres(Path(folder))
            server.start()
            try:
                found = _measured(server.create("shop"), asked.events, server, asked.before, partitions)
            finally:
                server.stop()
        print(json.dumps({"database": "postgresql", "partitions": partitions, **found}), flush=True)


def _measured(database: str, events: int, server: Postgres | None, before: int, partitions: int) -> dict[str, Any]:
    engine = open_storefront(database)
    texts = ["Warm boots for cold days.", "Dry feet, whatever the weather.", "Boots that last ten winters."]
    open_slot(engine, DEFAULT_TENANT, "hero", SlotConfig(), Given(texts, None, texts, []), SlotSettings(), "benchmark")
    with writing(engine) as connection:
        for name in _TABLES if partitions else ():
            _partition(connection, name, partitions)
        for statement in _BEFORE if before else ():
            connection.exec_driver_sql(statement.format(many=before))
    if server is not None:
        _settle(engine)
    slots, at = Slots(engine), datetime.now(UTC)
    slot = slots.get(DEFAULT_TENANT, "hero")
    size, log, theirs, mine, began = (
        _size(engine),
        _log(engine),
        _used(server),
        time.process_time(),
        time.perf_counter(),
    )
    for first in range(0, events, _TOGETHER):
        numbers = range(first, min(first + _TOGETHER, events))
        questions = [Question(f"event {number}", f"unit {number % 5000}", {"device": "mobile"}) for number in numbers]
        entries: list[Entry] = [Decide(slot, question, slot.choose(question)) for question in questions]
        entries += [Reward(DEFAULT_TENANT, f"event {number}", "click", 1.0, "click") for number in numbers
                    if number % _REWARDED == 0]  # fmt: skip
        with writing(engine) as connection:
            record(connection, entries, slots.settings, at)
    written = time.perf_counter() - began
    while close_due(engine, slot, at + timedelta(hours=1)):
        pass
    found = {
        "events": events, "before": before, "seconds to write": round(written, 1),
        "own ms of a core an event": round(1000 * (time.process_time() - mine) / events, 3),
        "server ms of a core an event": round(1000 * (_used(server) - theirs) / events, 3),
        "bytes on disk an event": round((_size(engine) - size) / events),
        "bytes of log an event": round((_log(engine) - log) / events),
    }  # fmt: skip
    engine.dispose()
    return found


def _partition(connection: Any, name: str, partitions: int) -> None:
    """Make a table anew, in partitions by the hash of its key: the only ones in which a key stays unique."""
    connection.exec_driver_sql(f"ALTER TABLE {name} RENAME TO {name}_plain")
    connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE {name}_plain INCLUDING ALL) PARTITION BY HASH (key)")
    for number in range(partitions):
        connection.exec_driver_sql(
            f"CREATE TABLE {name}_{number} PARTITION OF {name} "
            f"FOR VALUES WITH (MODULUS {partitions}, REMAINDER {number})"
        )


def _settle(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
        connection.exec_driver_sql("CHECKPOINT")


def _size(engine: Engine) -> int:
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar() or 0
            return int(pages * (connection.exec_driver_sql("PRAGMA page_size").scalar() or 0))
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar() or 0)


def _log(engine: Engine) -> int:
    """Return how many bytes PostgreSQL's log has had; of SQLite's nobody counts them."""
    if engine.dialect.name == "sqlite":
        return 0
    with engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").scalar() or 0)


def _used(server: Postgres | None) -> float:
    """Return the seconds of a core that the processes of a server have used."""
    return 0.0 if server is None else sum(server.used())


if __name__ == "__main__":
    main()
