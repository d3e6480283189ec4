"""``copyloom ledger``: what is wrong is said, and is the exit status; what is deleted is gone."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from embeddings.database import open_database, writing
from experiments.commands.cli import app
from experiments.storefront import LiveCampaign, SlotSettings
from experiments.storefront.worker import Worker

TEXTS = ("Warm boots for cold days.", "Dry feet, whatever the weather.")


@pytest.fixture
def shop(tmp_path):
    """Thirty events of long ago, and one that is open."""
    at = [datetime.now(UTC) - timedelta(days=40)]
    path = tmp_path / "shop.db"
    with LiveCampaign.open(path, "hero", TEXTS, settings=SlotSettings(), clock=lambda: at[0]) as hero:
        for number in range(30):
            hero.reward(hero.decide(unit=f"u{number % 3}").event_id)
        at[0] += timedelta(hours=1)
        Worker(hero.engine, clock=lambda: at[0], write=False).round()
        at[0] = datetime.now(UTC)
        hero.decide("open")
    return path


def said(*words, status=0):
    result = CliRunner().invoke(app, ["ledger", *map(str, words)])
    assert result.exit_code == status, result.output
    return result.stdout


def plant(path, statement):
    engine = open_database(path)
    with writing(engine) as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def test_a_sound_ledger_is_said_to_be_and_another_not(shop):
    assert "Nothing is wrong: 31 events, 30 rewards, 1 snapshots" in said("verify", "--database", shop)
    assert json.loads(said("verify", "--database", shop, "--json"))["faults"] == []
    plant(shop, "UPDATE outcomes SET clicked = 0")
    assert "expected reward, 1, clicked" in said("verify", "--database", shop, status=1)
    faults = json.loads(said("verify", "--database", shop, "--json", status=1))["faults"]
    assert {fault["rule"] for fault in faults} == {"outcome", "counts"}


def test_the_queue_is_made_again(shop):
    plant(shop, "DELETE FROM pending")
    assert "1 missing" in said("rebuild", "--database", shop, "--check", status=1)
    assert "1 open events put into the queue" in said("rebuild", "--database", shop)
    assert json.loads(said("rebuild", "--database", shop, "--check", "--json"))["missing"] == 0
    assert "0 snapshots learned again" in said("rebuild", "--database", shop, "--check", "--beliefs")


def test_a_copy_is_checked(shop, tmp_path):
    assert "nothing is wrong with it" in said("backup", tmp_path / "copy.db", "--database", shop)
    assert "Nothing is wrong" in said("verify", "--database", tmp_path / "copy.db")
    said("backup", tmp_path / "copy.db", "--database", shop, status=2)


def test_a_person_is_forgotten_and_old_events_are_deleted(shop):
    assert "10 events" in said("forget", "--database", shop, "--tenant", "default", "--unit", "u1")
    assert json.loads(said("prune", "--database", shop, "--days", "30", "--json")) == {"events": 30}
    assert "Nothing is wrong: 1 events, 0 rewards, 1 snapshots" in said("verify", "--database", shop)
    assert "as on record" in said("rebuild", "--database", shop, "--check")
    said("forget", "--database", shop, "--tenant", "nobody", "--unit", "u1", status=2)


def test_a_database_that_is_not_there_is_not_made(tmp_path):
    said("verify", "--database", tmp_path / "none.db", status=2)
    assert not (tmp_path / "none.db").exists()
