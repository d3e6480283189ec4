"""A copy that is made while the shop is open is whole, of one moment, and goes on as a shop of its own."""

import itertools
import threading

import pytest
from sqlalchemy import func, select

from copyloom import InputError
from embeddings.database import reading
from experiments.storefront import LiveCampaign, SlotSettings, backup
from experiments.storefront.tables import DecisionRow
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
