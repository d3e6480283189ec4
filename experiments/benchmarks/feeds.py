"""Lines a second that `copyloom feed` takes into a new SQLite file, from files and from servers that run already.

``python -m experiments.benchmarks.feeds --redis 127.0.0.1:6379 --kafka 127.0.0.1:9092`` writes streams of its own.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from experiments.campaigns.given import Given
from experiments.storefront.config import SlotConfig, SlotSettings
from experiments.storefront.decide import Question
from experiments.storefront.intake.feeding import Source, feed
from experiments.storefront.intake.files import Files
from experiments.storefront.intake.lines import Intake
from experiments.storefront.journal import Decide, now, record
from experiments.storefront.slots import Slots, open_slot, open_storefront

_TEXTS = ["Warm boots for cold days.", "Dry feet, whatever the weather."]


def events(lines: int) -> list[dict[str, Any]]:
    """Return an exposure and a reward of each of half as many events, as lines have them."""
    return [one for number in range(lines // 2) for one in (
        {"type": "expose", "event_id": f"e{number}"},
        {"type": "reward", "event_id": f"e{number}", "reward_id": "click", "value": float(number % 2), "kind": "click"},
    )]  # fmt: skip


def measured(folder: Path, name: str, lines: int, source: Callable[[], Source], gentle: bool) -> dict[str, Any]:
    """Feed a source into a new ledger that knows its events; return the lines a second from the first batch on."""
    engine = open_storefront(str(folder / f"{name}-{gentle}.db".replace(" ", "-")))
    open_slot(engine, "default", "hero", SlotConfig(), Given(_TEXTS, None, _TEXTS, []), SlotSettings(), "benchmark")
    slots = Slots(engine)
    slot = slots.get("default", "hero")
    asked = [Question(f"e{number}") for number in range(lines // 2)]
    for first in range(0, len(asked), 1000):
        entries = [Decide(slot, one, slot.choose(one)) for one in asked[first : first + 1000]]
        with engine.begin() as connection:
            record(connection, entries, slots.settings, now())
    began: list[float] = []
    summary = feed(source(), Intake(engine, slots), "default", threading.Event(), print,
                   lambda _: began.append(time.perf_counter()), gentle=gentle)  # fmt: skip
    engine.dispose()
    assert summary.counts["joined"] == lines, summary.counts
    first_batch = lines / len(began)
    return {"from": name, "beside a service": gentle, "lines": lines,
            "per_second": round((lines - first_batch) / (began[-1] - began[0]))}  # fmt: skip


def main() -> None:
    """Measure what was asked for, and print a JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=40_000)
    parser.add_argument("--redis", help="HOST:PORT")
    parser.add_argument("--kafka", help="HOST:PORT")
    asked = parser.parse_args()
    rows, name = events(asked.lines), f"copyloom-bench-{time.time_ns()}"
    bodies = [json.dumps(one).encode() for one in rows]
    with TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "events.jsonl").write_bytes(b"\n".join(bodies))
        pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(
            [("type", pa.string()), ("event_id", pa.string()), ("reward_id", pa.string()), ("value", pa.float64()),
             ("kind", pa.string())])), folder / "events.parquet")  # fmt: skip
        for file in ("events.jsonl", "events.parquet"):
            for gentle in (False, True):
                source = lambda file=file: Files([str(folder / file)], lambda *_: None)  # noqa: E731
                print(json.dumps(measured(folder, file, asked.lines, source, gentle)), flush=True)
        if asked.redis:
            print(json.dumps(_of_redis(folder, asked.redis, name, bodies)), flush=True)
        if asked.kafka:
            print(json.dumps(_of_kafka(folder, asked.kafka, name, bodies)), flush=True)


def _of_redis(folder: Path, server: str, name: str, bodies: list[bytes]) -> dict[str, Any]:
    from experiments.storefront.intake.redis_stream import RedisStream

    stream = RedisStream(f"redis://{server}/{name}?group=shop", threading.Event(), print, once=True)
    pipe = stream.client.pipeline(transaction=False)
    for body in bodies:
        pipe.xadd(name, {"line": body})
    pipe.execute()
    found = measured(folder, "redis", len(bodies), lambda: stream, gentle=False)
    stream._connected(0).delete(name)
    return found


def _of_kafka(folder: Path, server: str, name: str, bodies: list[bytes]) -> dict[str, Any]:
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    from experiments.storefront.intake.kafka_topic import KafkaTopic

    admin = AdminClient({"bootstrap.servers": server})
    admin.create_topics([NewTopic(name, 2, 1)])[name].result()
    producer = Producer({"bootstrap.servers": server})
    for number, body in enumerate(bodies):
        producer.produce(name, body, key=str(number))
    producer.flush()
    url = f"kafka://{server}/{name}?group=shop&session.timeout.ms=6000&heartbeat.interval.ms=200"
    topic = KafkaTopic(url, threading.Event(), print, once=True)
    return measured(folder, "kafka", len(bodies), lambda: topic, gentle=False)


if __name__ == "__main__":
    main()
