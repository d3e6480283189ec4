"""A copy that is made while the shop is open is whole, of one moment, and goes on as a shop of its own."""

import itertools
import sqlite3
import subprocess
import threading

import pytest
from sqlalchemy import delete, func, insert, select

from copyloom import InputError
from embeddings.database import reading, writing
from experiments.benchmarks.kills.postgres import programs
from experiments.storefront import LiveCampaign, SlotSettings, backup
from experiments.storefront.rebuild import rebuild
from experiments.storefront.slots import Slots
from experiments.storefront.tables import AuditRow, DecisionRow, SessionRow
from experiments.storefront.verify import verify
from experiments.storefront.worker import Worker

from .conftest import TEXTS


def test_a_copy_of_a_shop_that_is_open_is_whole(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(backup, "_PAGES", 1)
    settings, stop, asked = SlotSettings(holdout=0.0), threading.Event(), itertools.count()
    with LiveCampaign.open(tmp_path / "shop.db", "hero", TEXTS, settings=settings, clock=clock) as hero:

        def serve():
            while not stop.is_set():
                hero.reward(hero.decide(f"e{next(asked)}").event_id)

        for _ in range(30):
            hero.reward(hero.decide(f"e{next(asked)}").event_id)
        threads = [threading.Thread(target=serve) for _ in range(2)]
        for thread in threads:
            thread.start()
        steps = []
        assert backup.backup(hero.engine, tmp_path / "copy.db", lambda *said: steps.append(said)) == []
        stop.set()
        for thread in threads:
            thread.join()
        with reading(hero.engine) as connection:
            many = connection.scalar(select(func.count()).select_from(DecisionRow))
    assert len(steps) > 10
    with LiveCampaign.open(tmp_path / "copy.db", "hero", clock=clock) as copy:
        with reading(copy.engine) as connection:
            kept = connection.scalar(select(func.count()).select_from(DecisionRow))
        assert 30 <= kept < many
        clock.turn(1806)
        worker = Worker(copy.engine, clock=clock, write=False)
        assert worker.round()["default/hero"].closed
        assert verify(copy.engine) == []


def test_what_cannot_be_copied_is_said(tmp_path, clock):
    hero = LiveCampaign.open(tmp_path / "shop.db", "hero", TEXTS, clock=clock)
    with hero, pytest.raises(InputError, match="exists"):
        backup.backup(hero.engine, tmp_path / "shop.db")


def test_a_server_is_copied_with_its_own_tools(postgres, tmp_path):
    from experiments.storefront.slots import open_storefront

    engine = open_storefront(f"{postgres}/postgres")
    with pytest.raises(InputError, match="pg_dump"):
        backup.backup(engine, tmp_path / "copy.db")
    engine.dispose()


def belief(engine):
    """What a slot has learned: impressions and clicks of each text, and the chances of its last snapshot."""
    (slot,) = Slots(engine).all()
    return *(counts.tolist() for counts in slot.state.totals), slot.state.snapshots[-1].probabilities


def copied_under_writes(database, clock, copy):
    """Work on a shop, copy it while it is written, and return what it had learned when that began."""
    with LiveCampaign.open(database, "hero", TEXTS, settings=SlotSettings(holdout=0.0), clock=clock) as hero:
        for number in range(40):
            hero.decide(f"e{number}")
        for number in range(0, 40, 3):
            hero.reward(f"e{number}")
        clock.turn(1806)
        Worker(hero.engine, clock=clock, write=False).round()
        stop = threading.Event()

        def serve():
            for number in itertools.count():
                if stop.is_set():
                    return
                hero.reward(hero.decide(f"later {number}").event_id)

        threads = [threading.Thread(target=serve) for _ in range(2)]
        for thread in threads:
            thread.start()
        copy(hero.engine)
        stop.set()
        for thread in threads:
            thread.join()
        return belief(hero.engine)


def test_a_copy_takes_the_place_of_its_database_and_the_old_one_is_kept(tmp_path, clock):
    database, copy = tmp_path / "shop.db", tmp_path / "copy.db"
    learned = copied_under_writes(database, clock, lambda engine: backup.backup(engine, copy))
    with LiveCampaign.open(database, "hero", clock=clock) as hero:
        hero.set("anna", "a mistake", mode="off")
    database.chmod(0o640)
    kept, faults = backup.restore(copy, database, "anna", clock=clock)
    assert (kept, faults) == (tmp_path / "shop.db.before-20261129T123006", [])
    assert (database.stat().st_mode & 0o777, sorted(path.name for path in tmp_path.iterdir())) == (
        0o640, ["copy.db", "shop.db", kept.name])  # fmt: skip
    with LiveCampaign.open(database, "hero", clock=clock) as hero:
        assert belief(hero.engine) == learned
        assert hero.slots.get("default", "hero").settings.mode == "online"
        assert verify(hero.engine) == []
        assert rebuild(hero.engine, check=True).faults == []
        assert hero.decide("e3").event_id == "e3"
        with reading(hero.engine) as connection:
            assert connection.scalars(select(AuditRow.what).order_by(AuditRow.id.desc())).first() == "ledger restored"
    with LiveCampaign.open(kept, "hero", clock=clock) as old:
        assert old.slots.get("default", "hero").settings.mode == "off"


def test_who_has_signed_out_since_a_copy_was_made_is_not_signed_in_by_it(tmp_path, clock):
    database, copy = tmp_path / "shop.db", tmp_path / "copy.db"
    with LiveCampaign.open(database, "hero", TEXTS, clock=clock) as hero:
        with writing(hero.engine) as connection:
            connection.execute(insert(SessionRow), {"digest": "0" * 64, "prefix": "x", "until": clock()})
        assert backup.backup(hero.engine, copy) == []
        with writing(hero.engine) as connection:
            connection.execute(delete(SessionRow))
    assert backup.restore(copy, database, "anna", clock=clock)[1] == []
    with LiveCampaign.open(database, "hero", clock=clock) as hero, reading(hero.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(SessionRow)) == 0


def test_nothing_is_put_in_the_place_of_a_database_that_is_used(tmp_path, clock):
    with LiveCampaign.open(tmp_path / "shop.db", "hero", TEXTS, clock=clock) as hero:
        backup.backup(hero.engine, tmp_path / "copy.db")
        decision = hero.decide("e")
        with pytest.raises(InputError, match="stop its services and workers"):
            backup.restore(tmp_path / "copy.db", tmp_path / "shop.db", "anna", clock=clock)
        assert hero.decide("e") == decision
        hero.reward("e")
    with LiveCampaign.open(tmp_path / "shop.db", "hero", clock=clock) as hero:
        assert hero.decide("e") == decision


def test_what_is_no_sound_copy_changes_nothing(tmp_path, clock):
    database, copy = tmp_path / "shop.db", tmp_path / "copy.db"
    copied_under_writes(database, clock, lambda engine: backup.backup(engine, copy))
    before = database.read_bytes()
    (tmp_path / "text.db").write_text("no database\n" * 1000)
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE a (b)")
    cut = copy.read_bytes()
    (tmp_path / "cut.db").write_bytes(cut[: len(cut) // 2])
    for name, why in (("text.db", "not a database"), ("other.db", "no copy of a storefront's ledger"),
                      ("cut.db", "cannot be copied|not whole"), ("none.db", "no file of a database")):  # fmt: skip
        with pytest.raises(InputError, match=why):
            backup.restore(tmp_path / name, database, "anna")
    with sqlite3.connect(copy) as changed:
        changed.execute("DELETE FROM rewards")
    _, faults = backup.restore(copy, database, "anna")
    assert faults
    assert database.read_bytes() == before
    assert not list(tmp_path.glob(".copyloom*"))


def test_a_copy_takes_the_place_of_a_database_that_is_damaged_or_gone(tmp_path, clock):
    database, copy = tmp_path / "shop.db", tmp_path / "copy.db"
    learned = copied_under_writes(database, clock, lambda engine: backup.backup(engine, copy))
    database.write_bytes(b"\0" * 5000)
    (tmp_path / "shop.db-wal").write_bytes(b"\1" * 5000)
    kept, faults = backup.restore(copy, database, "anna", clock=clock)
    assert faults == []
    assert kept.read_bytes() == b"\0" * 5000
    assert kept.with_name(kept.name + "-wal").exists()
    with LiveCampaign.open(database, "hero", clock=clock) as hero:
        assert belief(hero.engine) == learned
    assert backup.restore(copy, tmp_path / "new.db", "anna") == (None, [])


def test_a_server_is_restored_with_its_own_tools(postgres, tmp_path, clock):
    """As the how-to says: pg_dump while it is used, pg_restore into a new database."""
    import psycopg

    names = ("dumped", "restored")
    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as admin:
        for name in names:
            admin.execute(f"CREATE DATABASE {name}")
    old, new = (f"{postgres}/{name}" for name in names)
    dump = [programs() / "pg_dump", "--format=custom", f"--file={tmp_path / 'shop.dump'}", old]
    learned = copied_under_writes(old, clock, lambda engine: subprocess.run(dump, check=True, capture_output=True))
    restore = [programs() / "pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", f"--dbname={new}"]
    subprocess.run([*restore, tmp_path / "shop.dump"], check=True, capture_output=True)
    with LiveCampaign.open(new, "hero", clock=clock) as hero:
        assert belief(hero.engine) == learned
        assert verify(hero.engine) == []
        clock.turn(1806)
        Worker(hero.engine, clock=clock, write=False).round()
        assert rebuild(hero.engine, check=True).faults == []
