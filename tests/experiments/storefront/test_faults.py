"""What a shop loses while it is open: disk, database, server, clock, model, snapshot. Pages get their texts all along.

Each fault is the real one. What was acknowledged is on record afterwards, and the service goes on by itself.
"""

import io
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import event, func, select

from copyloom import CopyloomError, InputError, SpaceError
from embeddings.database import reading, writing
from experiments.benchmarks.kills.postgres import Postgres
from experiments.storefront import LiveCampaign, journal
from experiments.storefront.alarms import ClockWatch
from experiments.storefront.config import SlotSettings
from experiments.storefront.gate import service_log
from experiments.storefront.slots import open_storefront
from experiments.storefront.tables import DecisionRow, OutcomeRow, RewardRow
from experiments.storefront.verify import verify
from experiments.storefront.worker import ALL, Worker

from .conftest import TEXTS, Hands, Shop, own_postgres
from .test_app import count, problem, until

LOST, BACK = "the database is lost: pages get the baseline, rewards are refused with 503", "the database is back"
SETTINGS = SlotSettings(holdout=0, baseline=TEXTS[1])
Fault = Callable[[Path], Any]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program is writing for long."""
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN IMMEDIATE'); "
    with subprocess.Popen([sys.executable, "-c", code + "print(flush=True); sys.stdin.read()", path],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:  # fmt: skip
        other.stdout.readline()
        try:
            yield
        finally:
            other.kill()


@contextmanager
def over_quota(path: Path) -> Iterator[None]:
    """No file of this process may grow: what a full disk or a quota is to it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def full(path: Path) -> Iterator[None]:
    """The file system of the database has no byte left."""
    with (path.parent / "filler").open("wb", buffering=0) as filler:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while filler.write(b"x" * size):
                    pass
            except OSError:
                continue
    try:
        yield
    finally:
        (path.parent / "filler").unlink()


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Neither file nor folder may be written; not by root either, who becomes nobody meanwhile."""
    for one in (path.parent, *path.parent.iterdir()):
        one.chmod(one.stat().st_mode & ~0o222)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for one in (path.parent, *path.parent.iterdir()):
            one.chmod(one.stat().st_mode | 0o222)


@pytest.fixture(params=[locked, over_quota, full, read_only], ids=lambda fault: fault.__name__)
def faulty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Fault]]:
    """A place for a database, and a fault of it."""
    folder = Path("/tmp" if request.param is read_only else tmp_path) / f"copyloom-{os.getpid()}-{time.time_ns()}"
    folder.mkdir()  # nobody may enter pytest's own
    folder.chmod(0o777)
    small = request.param is full
    try:
        if small:
            mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder]
            if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
                pytest.skip("a small file system can only be mounted by root; over_quota and too_many_pages are tested")
        yield folder / "shop.db", request.param
    finally:
        if small:
            subprocess.run(["umount", "--lazy", folder], check=False, capture_output=True)
        shutil.rmtree(folder)


def decide(shop: Shop, key: Any, event_id: str, **more: Any) -> dict[str, Any]:
    said = shop.client.post("/v1/decide", json={"event_id": event_id, "slot": "hero", **more}, headers=key)
    assert said.status_code == 200, said.text
    return said.json()


def logged(stream: io.StringIO) -> list[str]:
    return [json.loads(line)["event"] for line in stream.getvalue().splitlines()]


def check_lost(shop: Shop, key: Any, stream: io.StringIO) -> None:
    """While the database is lost, pages get the baseline, nothing is acknowledged, and all who watch are told."""
    for number in range(3):
        said = decide(shop, key, f"lost {number}")
        assert (said["text"], said["reason"], said["propensity"]) == (TEXTS[1], "fallback", 1.0)
    for path, body in (("/v1/expose", {"event_id": "before"}),
                       ("/v1/reward", {"event_id": "before", "reward_id": "lost", "value": 1})):  # fmt: skip
        refused = shop.client.post(path, json=body, headers=key)
        assert int(refused.headers["retry-after"]) >= 1
        assert "on record" in problem(refused, 503)["detail"]
    assert shop.client.get("/health").status_code == 200
    problem(shop.client.get("/ready"), 503)
    told = shop.client.get("/metrics").text
    assert "copyloom_database_up 0.0" in told
    assert 'copyloom_decisions_total{reason="fallback"} 3.0' in told
    assert logged(stream) == [LOST]


def check_back(shop: Shop, key: Any, stream: io.StringIO) -> None:
    """It goes on by itself, says so, and what was acknowledged is on record: no more and no less."""
    until(lambda: decide(shop, key, "after")["reason"] == "bandit" and logged(stream)[-1] == BACK, 30)
    reward = {"event_id": "before", "reward_id": "lost", "value": 1}  # sent again, as it was told
    until(lambda: shop.client.post("/v1/reward", json=reward, headers=key).status_code == 202)
    until(lambda: shop.client.get("/ready").status_code == 200)
    assert "copyloom_database_up 1.0" in shop.client.get("/metrics").text
    assert logged(stream) == [LOST, BACK]
    with reading(shop.engine) as connection:
        assert {"before", "after"} <= set(connection.scalars(select(DecisionRow.event_id))) <= {
            "before", "after", *(f"lost {number}" for number in range(3))}  # fmt: skip
    assert count(shop, RewardRow) == 2
    assert verify(shop.engine) == []


def open_shop(make_shop: Any, database: str) -> tuple[Shop, Any, io.StringIO]:
    """A shop in which an event was decided and rewarded, its key, and what its service logs."""
    stream = io.StringIO()
    shop = make_shop(database, settings=SETTINGS, log=service_log("warning", stream), timeout_seconds=0.5)
    key = shop.key()
    assert decide(shop, key, "before")["reason"] == "bandit"
    reward = {"event_id": "before", "reward_id": "r", "value": 1}
    assert shop.client.post("/v1/reward", json=reward, headers=key).status_code == 202
    return shop, key, stream


def test_a_database_that_cannot_be_written_for_a_while(make_shop, faulty):
    path, fault = faulty
    shop, key, stream = open_shop(make_shop, str(path))
    path.chmod(0o666)
    shop.engine.dispose()  # the files are opened anew, as they would be by a service that is started again
    with fault(path):
        check_lost(shop, key, stream)
        if fault is read_only:
            with pytest.raises(InputError, match="can be written"):
                open_storefront(str(path))
    shop.engine.dispose()
    check_back(shop, key, stream)


def test_a_database_that_may_not_grow_says_that_the_disk_is_full(make_shop, tmp_path):
    shop, key, stream = open_shop(make_shop, str(tmp_path / "shop.db"))
    most = sqlite3.connect(tmp_path / "shop.db").execute("PRAGMA page_count").fetchone()[0]

    def limited(connection: Any, record: Any) -> None:
        connection.execute(f"PRAGMA max_page_count={most}")

    event.listen(shop.engine, "connect", limited)
    shop.engine.dispose()
    reasons = [decide(shop, key, f"e{number}", context={"a": "x" * 4000})["reason"] for number in range(12)]
    assert reasons[-1] == "fallback"
    event.remove(shop.engine, "connect", limited)
    shop.engine.dispose()
    until(lambda: decide(shop, key, "after")["reason"] == "bandit" and logged(stream) == [LOST, BACK])
    assert "free some space on the disk" in stream.getvalue()
    assert count(shop, DecisionRow) == 2 + reasons.count("bandit")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with own_postgres(fsync=True) as one:
        yield one


@pytest.mark.parametrize("how", ["stop", "kill", "hang"])
def test_a_server_that_is_lost_for_a_while_and_traffic_meanwhile(make_shop, server, how):
    """Three threads ask and reward all the while: what they were told is on record afterwards."""
    shop, key, stream = open_shop(make_shop, server.create(how))
    worker = Worker(shop.engine, clock=shop.app.state.service.clock, write=False)
    with traffic(shop, key) as acknowledged:
        until(lambda: len(acknowledged) > 30)
        with lost(server, how):
            until(lambda: LOST in logged(stream))
            check_lost_under_traffic(shop, key)
            if how != "hang":  # where it waits, as it should
                assert isinstance(worker.round()[ALL], Exception)
        many = len(acknowledged)
        until(lambda: len(acknowledged) > many + 30 and logged(stream)[-1] == BACK, 30)
    until(lambda: shop.client.get("/ready").status_code == 200)
    assert not isinstance(worker.round()["default/hero"], Exception)
    with reading(shop.engine) as connection:
        decided = dict(connection.execute(select(DecisionRow.event_id, DecisionRow.propensity)).all())
        rewarded = connection.scalar(select(func.count()).select_from(RewardRow))
    said = {said["event_id"]: said["propensity"] for what, said in acknowledged if what == "decide"}
    assert said.items() <= decided.items()
    rewards = sum(what == "reward" for what, _ in acknowledged)
    assert rewards + 1 <= rewarded <= rewards + 1 + 3  # what each thread was not told of
    assert verify(shop.engine) == []


@contextmanager
def lost(server: Any, how: str) -> Iterator[None]:
    if how == "hang":
        pids = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/stat") if _of(path, server._process.pid)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        return
    getattr(server, how)()
    try:
        yield
    finally:
        server.start()


def _of(stat: Path, parent: int) -> bool:
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[1] == str(parent) or stat.parent.name == str(parent)
    except OSError:
        return False


@contextmanager
def traffic(shop: Shop, key: Any) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Pages that ask and reward, each event anew; what they were told that is on record."""
    acknowledged: list[tuple[str, dict[str, Any]]] = []
    stop, failed = threading.Event(), []

    def ask(name: str) -> None:
        for number in iter(int, 1):
            if stop.is_set():
                return
            said = decide(shop, key, f"{name} {number} {time.time_ns()}")
            if said["reason"] == "fallback":
                continue
            acknowledged.append(("decide", said))
            body = {"event_id": said["event_id"], "reward_id": "r", "value": 1}
            while not stop.is_set():
                told = shop.client.post("/v1/reward", json=body, headers=key)
                if told.status_code == 202:
                    acknowledged.append(("reward", body))
                    break
                if told.status_code != 503 or "retry-after" not in told.headers:
                    failed.append(told.text)
                time.sleep(0.05)

    threads = [threading.Thread(target=ask, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    try:
        yield acknowledged
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []


def check_lost_under_traffic(shop: Shop, key: Any) -> None:
    said = decide(shop, key, "lost")
    assert (said["text"], said["reason"]) == (TEXTS[1], "fallback")
    problem(shop.client.post("/v1/reward", json={"event_id": "x", "reward_id": "r", "value": 1}, headers=key), 503)
    problem(shop.client.get("/ready"), 503)
    assert shop.client.get("/health").status_code == 200
    assert "copyloom_database_up 0.0" in shop.client.get("/metrics").text


def test_what_waits_for_a_database_that_hangs_does_not_fill_the_memory(make_shop, tmp_path, monkeypatch):
    shop, key, stream = open_shop(make_shop, str(tmp_path / "shop.db"))
    monkeypatch.setattr(journal, "_WAITING", 0)
    assert decide(shop, key, "e")["reason"] == "fallback"
    assert "0 entries wait" in stream.getvalue()


def test_a_worker_outlives_its_database_and_says_so_once(tmp_path, caplog, clock):
    hero = LiveCampaign.open(tmp_path / "shop.db", "hero", TEXTS, clock=clock)
    worker, stop = Worker(hero.engine, clock=clock, write=False), threading.Event()
    said = iter([ConnectionError("gone"), ConnectionError("gone"), {"default/hero": None}])

    def round_() -> Any:
        found = next(said, None)
        if found is None:
            stop.set()
            return {}
        return {ALL: found} if isinstance(found, Exception) else found

    worker.round = round_
    worker.run(0.01, stop)
    told = [record.getMessage() for record in caplog.records]
    assert told == ["all slots: gone; this is tried again every 0.01 s", "all slots: it can be worked for again"]
    hero.close()


class Clocks:
    """A wall clock that jumps, and one that only goes on."""

    def __init__(self, wall: Hands) -> None:
        self.wall, self.steady = wall, 0.0

    def go_on(self, seconds: float) -> None:
        self.steady += seconds
        self.wall.turn(seconds)


def test_a_clock_that_jumps_is_seen(clock):
    clocks = Clocks(clock)
    watch = ClockWatch(clock, lambda: clocks.steady)
    clocks.go_on(7200)
    assert watch.jumped() == 0
    clock.turn(-3600)
    assert (watch.jumped(), watch.jumped(), watch.skipped(60)) == (-3600, 0, timedelta(0))
    clock.turn(7200)
    assert (watch.jumped(), watch.skipped(60)) == (7200, timedelta(hours=2))
    clocks.go_on(61)
    assert (watch.jumped(), watch.skipped(60)) == (0, timedelta(0))


@pytest.mark.parametrize("seed", [0, 3])
def test_no_window_closes_early_or_twice_whatever_the_clock_does(tmp_path, clock, caplog, seed):
    rng, clocks = Random(seed), Clocks(clock)
    settings = SlotSettings(holdout=0, sticky_days=1, window_seconds=600, grace_seconds=0, activation_seconds=900)
    with LiveCampaign.open(tmp_path / "shop.db", "hero", TEXTS, settings=settings, clock=clock) as hero:
        worker = Worker(hero.engine, clock=clock, write=False)
        worker.watch = ClockWatch(clock, lambda: clocks.steady)
        began: dict[str, float] = {}
        closed: set[str] = set()
        for number in range(120):
            clocks.go_on(rng.uniform(0, 120))
            if number % 3 == 0:
                hero.decide(f"e{number}", unit=f"u{rng.randrange(5)}")
                began[f"e{number}"] = clocks.steady
            elif number % 30 == 10:
                clock.turn(rng.choice([-1, 1]) * rng.uniform(3600, 5 * 3600))
            assert not isinstance(worker.round()["default/hero"], Exception)
            with reading(hero.engine) as connection:
                query = select(DecisionRow.event_id).join(OutcomeRow, OutcomeRow.key == DecisionRow.key)
                now = set(connection.scalars(query))
            assert all(clocks.steady - began[name] >= 600 for name in now - closed)
            assert closed <= now
            closed = now
        clock.turn(30 * 3600)
        for _ in range(2):
            worker.round()
            clocks.go_on(3600)
        assert verify(hero.engine) == []
        shown = worker.slots.campaign(worker.slots.get("default", "hero")).state.totals[0]
        assert shown.sum() == len(began)
    assert sum("the clock jumped by" in record.getMessage() for record in caplog.records) == 5


def test_a_clock_that_jumps_back_locks_no_key_out_and_is_told(make_shop, tmp_path, monkeypatch, clock):
    stream, true = io.StringIO(), time.time
    shop = make_shop(str(tmp_path / "shop.db"), rate_limit="2/hour", log=service_log("warning", stream),
                     every_seconds=0.05)  # fmt: skip
    key = shop.key()
    assert [shop.client.get("/v1/slots", headers=key).status_code for _ in range(3)] == [200, 200, 429]
    monkeypatch.setattr(time, "time", lambda: true() - 7200)
    clock.turn(-7200)
    until(lambda: shop.client.get("/v1/slots", headers=key).status_code == 200)
    assert "copyloom_clock_jumps_total 1.0" in shop.client.get("/metrics").text
    assert logged(stream) == ["the clock jumped by -7200 seconds"]


def test_without_its_model_windows_close_pages_are_served_and_the_worker_says_what_to_do(tmp_path, clock):
    from experiments.commands.doctor import examine

    database = str(tmp_path / "shop.db")
    with LiveCampaign.open(database, "hero", TEXTS, settings=SETTINGS, clock=clock, model="no-such-model") as hero:
        hero.reward(hero.decide("e").event_id)
        clock.turn(1806)
        worker = Worker(hero.engine, clock=clock)
        failed = worker.round()["default/hero"]
        assert isinstance(failed, CopyloomError)
        assert "no-such-model" in str(failed)
        assert worker.slots.campaign(worker.slots.get("default", "hero")).state.totals[0].sum() == 1
        assert hero.decide("f").reason == "bandit"
    *_, found = examine("copyloom-tiny", "cpu", database)
    assert "no-such-model" in found["slots"]["default/hero"]


def damage(engine: Any, change: str, where: str) -> None:
    with writing(engine) as connection:
        assert connection.exec_driver_sql(f"UPDATE {change} WHERE {where}").rowcount


DAMAGES = [
    ("events SET body = substr(body, 1, 40)", "kind = 'published'"),
    ("events SET body = replace(body, '0.3333333333333333', '0.9')", "kind = 'published'"),
    ("events SET version = 2", "kind = 'published'"),
    ("slot_settings SET body = '{\"holdout\": 2}'", "slot_id = 1"),
    ("slot_settings SET body = replace(body, '\"guard\"', '\"guards\"')", "slot_id = 1"),
]


@pytest.mark.parametrize("kind", range(len(DAMAGES)))
def test_a_record_that_cannot_be_read_harms_no_other_and_no_running_page(make_shop, tmp_path, clock, caplog, kind):
    change, where = DAMAGES[kind]
    shop = make_shop(str(tmp_path / "shop.db"), tenants=("default", "north"), every_seconds=0.05)
    key, north = shop.key(), shop.key(tenant="north")
    if "events" in change:
        where += " AND campaign_id = 0"
    slots = shop.app.state.service.slots
    damage(shop.engine, change, where)
    assert decide(shop, key, "e")["reason"] in ("bandit", "holdout")
    shop.client.post("/v1/slots/hero/kill", json={}, headers=north)
    until(lambda: slots.get("north", "hero").settings.mode == "off")
    again = make_shop(str(tmp_path / "shop.db"), tenants=("north",))
    said = again.client.post("/v1/decide", json={"event_id": "f", "slot": "hero"}, headers=key)
    if "0.9" in change:
        assert (said.json()["text"], said.json()["reason"]) == (TEXTS[0], "fallback")
    else:
        assert "slot 'hero' cannot be read" in problem(said, 503)["detail"]
    assert "copyloom_slots_unreadable 1.0" in again.client.get("/metrics").text
    assert any("slot default/hero cannot be read" in record.getMessage() for record in caplog.records)
    assert again.client.post("/v1/decide", json={"event_id": "f", "slot": "hero"}, headers=north).status_code == 200
    worker = Worker(again.engine, clock=clock, write=False)
    found = worker.round()
    assert isinstance(found["default/hero"], InputError)
    assert not isinstance(found["north/hero"], Exception)


def test_verify_names_a_record_that_cannot_be_read(make_shop, tmp_path):
    shop = make_shop(str(tmp_path / "shop.db"))
    damage(shop.engine, *DAMAGES[0])
    assert {(fault.rule, fault.subject) for fault in verify(shop.engine)} >= {("record", "event 1")}


def test_a_database_of_a_newer_copyloom_is_not_touched(tmp_path, clock):
    from experiments.commands.doctor import examine

    with LiveCampaign.open(tmp_path / "shop.db", "hero", TEXTS, clock=clock) as hero:
        damage(hero.engine, "alembic_version SET version_num = '99'", "1 = 1")
    with pytest.raises(SpaceError, match=r"schema version 99.*open it with the Copyloom that wrote it"):
        open_storefront(str(tmp_path / "shop.db"))
    *_, found = examine("copyloom-tiny", "cpu", str(tmp_path / "shop.db"))
    assert "schema version 99" in found["database"]


def test_without_http_a_page_gets_the_baseline_too(tmp_path, clock, caplog):
    settings = SlotSettings(holdout=0, baseline=TEXTS[2])
    engine = open_storefront(str(tmp_path / "shop.db"), busy_seconds=0.1)
    LiveCampaign.open(tmp_path / "shop.db", "hero", TEXTS, settings=settings, clock=clock).close()
    with LiveCampaign(engine, "hero", clock=clock) as hero:
        with locked(tmp_path / "shop.db"):
            said = hero.decide("e")
            with pytest.raises(InputError, match="try again"):
                hero.reward("e")
        assert (said.text, said.reason, said.propensity) == (TEXTS[2], "fallback", 1.0)
        assert "another program is writing" in caplog.text
        assert hero.decide("e").reason == "bandit"


def test_without_http_a_decision_waits_only_so_long(tmp_path, clock, caplog):
    """The first is being written, and is what was drawn; the one behind it is never written, and is the baseline."""
    settings = SlotSettings(holdout=0, baseline=TEXTS[2])
    with LiveCampaign.open(tmp_path / "shop.db", "hero", TEXTS, settings=settings, clock=clock) as hero:
        hero.timeout_seconds = 0.1
        with locked(tmp_path / "shop.db"):
            said = [hero.decide("e"), hero.decide("f")]
        assert [one.reason for one in said] == ["bandit", "fallback"]
        assert "does not answer within 0.1 seconds" in caplog.text
        assert hero.reward("e") == "joined"
        assert hero.decide("e") == said[0]
        with reading(hero.engine) as connection:
            assert connection.scalars(select(DecisionRow.event_id)).all() == ["e"]
