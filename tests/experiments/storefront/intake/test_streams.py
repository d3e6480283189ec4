"""Redis streams and Kafka topics: feeders are killed, lines come twice or are broken, servers go away."""

import json
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from copyloom import InputError
from experiments.storefront.intake import kafka_topic
from experiments.storefront.intake.feeding import Line, feed
from experiments.storefront.intake.kafka_topic import KafkaTopic
from experiments.storefront.intake.lines import Intake, Taken
from experiments.storefront.intake.redis_stream import RedisStream

from .conftest import POISON, Ledger

COPYLOOM = [sys.executable, "-c", "from experiments.commands.start import main; main()"]


def source(url: str, stop: threading.Event, said: list[str], once: bool = True) -> Any:
    return (RedisStream if url.startswith("redis") else KafkaTopic)(url, stop, said.append, once)


def drain(ledger: Ledger, url: str) -> Any:
    """Feed what a stream holds, as `copyloom feed --once` does."""
    stop = threading.Event()
    return feed(source(url, stop, []), Intake(ledger.engine, ledger.slots), "default", stop, print)


def wait_for(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_feeder_that_is_killed_loses_nothing_and_counts_nothing_twice(either, database, quiet):
    """The next one takes over what it held; the lines come shuffled, a third twice, three broken."""
    if database.startswith("postgresql") and not either.keeps:
        pytest.skip("Redis shows it on PostgreSQL")
    ledger = Ledger(database, 1000)
    either.fill(ledger.lines())
    url = either.url("&idle=1" if either.keeps else "")
    feeder = subprocess.Popen([*COPYLOOM, "feed", url, "--database", database], env=quiet, stderr=subprocess.PIPE)
    wait_for(lambda: ledger.rewards() > 100 or feeder.poll() is not None)
    feeder.send_signal(signal.SIGKILL)
    assert feeder.communicate()[1] == b""
    assert 100 < ledger.rewards() < 1000
    summary = drain(ledger, url)
    assert summary.counts["duplicate"] >= 100
    assert either.left() == 0
    ledger.check()
    assert set(either.dead()) == set(POISON)
    assert "there is no slot 'none'" in either.dead()[POISON[2]]
    assert drain(ledger, url).lines == 0


def test_a_server_that_dies_is_waited_for(stream, tmp_path):
    ledger, stop, said = Ledger(str(tmp_path / "shop.db"), 200), threading.Event(), []
    lines = ledger.lines(poison=False)
    stream.fill(lines[:200])
    lasting = source(stream.url(), stop, said, once=False)
    feeder = threading.Thread(
        target=feed, args=(lasting, Intake(ledger.engine, ledger.slots), "default", stop, said.append)
    )
    feeder.start()
    try:
        wait_for(lambda: ledger.rewards() > 20)
        stream.kill()
        wait_for(lambda: any("does not answer" in one for one in said))
        stream.start()
        stream.sent *= stream.keeps
        stream.fill(lines[200:] if stream.keeps else lines)
        wait_for(lambda: ledger.rewards() == 200 and stream.left() == 0)
    finally:
        stop.set()
        feeder.join(30)
    assert not feeder.is_alive()
    assert any("answers again" in one for one in said)
    ledger.check()


def test_a_database_that_cannot_be_written_is_waited_for_and_nothing_acknowledged(stream, tmp_path, monkeypatch):
    ledger, stop, said = Ledger(str(tmp_path / "shop.db"), 50), threading.Event(), []
    stream.fill(ledger.lines())
    intake = Intake(ledger.engine, ledger.slots)
    with ledger.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON")  # of the pool's only idle connection
        connection.commit()
    feeder = threading.Thread(
        target=feed, args=(source(stream.url(), stop, said), intake, "default", stop, said.append)
    )
    feeder.start()
    wait_for(lambda: any("trying again" in one for one in said))
    assert (ledger.rewards(), stream.left() > 0) == (0, True)
    ledger.engine.dispose()  # the next connection may write
    feeder.join(60)
    assert not feeder.is_alive()
    ledger.check()


def test_two_feeders_of_a_group_share_the_lines(stream, tmp_path):
    ledger, stop = Ledger(str(tmp_path / "shop.db"), 400), threading.Event()
    stream.fill(ledger.lines())
    found: list[Any] = []

    def work(number: int) -> None:
        mine = source(stream.url(), stop, [])
        if stream.keeps:
            mine.me = f"feeder {number}"
        found.append(feed(mine, Intake(ledger.engine, ledger.slots), "default", stop, print))

    feeders = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for feeder in feeders:
        feeder.start()
    for feeder in feeders:
        feeder.join(90)
    assert stream.left() == 0
    assert sum(one.counts["refused"] for one in found) >= 3
    ledger.check()


def test_entries_of_redis_may_have_the_fields_of_an_event(redis_server, tmp_path):
    redis_server.new()
    ledger, client = Ledger(str(tmp_path / "shop.db"), 1), redis_server.client
    client.xadd(redis_server.name, {"type": "reward", "event_id": "e0", "reward_id": "r", "value": "0.5"})
    client.xadd(redis_server.name, {"type": "reward", "event_id": "1", "reward_id": "2", "value": "much"})
    client.xadd(redis_server.name, {"body": '{"type": "expose", "event_id": "e0"}'})
    counts = drain(ledger, redis_server.url()).counts
    assert (counts["joined"], counts["refused"]) == (1, 2)
    reasons = list(redis_server.dead().values())
    assert "reward.value: Input should be a valid number; given: 'much'" in reasons[0]
    assert 'it has no "type"' in reasons[1]
    redis_server.new()
    client.xadd(redis_server.name, {"body": '{"type": "expose", "event_id": "e0"}'})
    assert drain(ledger, redis_server.url("&field=body")).counts == {"joined": 1}


def test_entries_that_were_trimmed_are_said_to_be_lost(redis_server, tmp_path):
    redis_server.new()
    ledger, stop, said = Ledger(str(tmp_path / "shop.db"), 2), threading.Event(), []
    redis_server.fill(ledger.lines(poison=False))
    redis_server.client.xgroup_create(redis_server.name, "shop", "0")
    redis_server.client.xreadgroup("shop", "died", {redis_server.name: ">"}, count=2)
    redis_server.client.xtrim(redis_server.name, maxlen=0)
    feed(source(redis_server.url("&idle=0"), stop, said), Intake(ledger.engine, ledger.slots), "default", stop, print)
    assert any("2 entries were trimmed" in one for one in said)
    assert redis_server.client.xpending(redis_server.name, "shop")["pending"] == 0


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("redis://127.0.0.1:1/s", "names no host, stream and group"),
        ("redis:///s?group=g", "names no host, stream and group"),
        ("redis://:secret@127.0.0.1:1/?group=g", "names no host"),
        ("redis://127.0.0.1:x/s?group=g", "wrong port"),
        ("redis://127.0.0.1:1/s?group=g&idle=soon", "idle"),
        ("redis://127.0.0.1:1/s?group=g&batch=3", "'batch' is no setting"),
        ("kafka://127.0.0.1:1/t", "names no host"),
        ("kafka://127.0.0.1:1/t?group=g&no.such=1", "no.such"),
        ("kafka://127.0.0.1:1/t?group=g&enable.auto.commit=true", "not to be set"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(url, what):
    with pytest.raises(InputError) as error:
        source(url, threading.Event(), [])
    assert what in str(error.value)
    assert "secret" not in str(error.value)


def test_what_waiting_does_not_mend_ends_the_feeder(stream, tmp_path):
    ledger = Ledger(str(tmp_path / "shop.db"))
    if stream.keeps:
        stream.client.set(stream.name, "no stream")
    with pytest.raises(InputError, match="cannot be read"):
        drain(ledger, stream.url("" if stream.keeps else "&allow.auto.create.topics=false"))


def test_a_signal_ends_the_command_in_peace(redis_server, tmp_path, quiet):
    redis_server.new()
    ledger = Ledger(str(tmp_path / "shop.db"), 10)
    redis_server.fill(ledger.lines(poison=False))
    command = [*COPYLOOM, "feed", redis_server.url(), "--database", ledger.database, "--json"]
    feeder = subprocess.Popen(command, env=quiet, stdout=subprocess.PIPE, text=True)
    wait_for(lambda: ledger.rewards() == 10)
    feeder.send_signal(signal.SIGTERM)
    said = json.loads(feeder.communicate(timeout=30)[0])
    assert (feeder.returncode, said["joined"], said["duplicate"]) == (0, 20, 6)
    assert redis_server.client.xinfo_consumers(redis_server.name, "shop") == []


def test_a_refused_line_that_is_larger_than_a_message_may_be_is_laid_aside_all_the_same(monkeypatch):
    monkeypatch.setattr(kafka_topic, "_SETTLE_SECONDS", 0.1)
    topic = KafkaTopic("kafka://127.0.0.1:1/clicks?group=shop", threading.Event(), [].append)
    large = Line("clicks/0@7", b"a" * 1_000_000), Taken("refused", 413, "it is too large")
    assert topic._laid_aside([large]) == "1 are not written after 0.1 s"  # as there is no broker
    topic.close()
