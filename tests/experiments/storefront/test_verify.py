"""A ledger in which nothing is wrong has no fault; one planted fault of each kind is found, and named."""

import json
import re
import shutil
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import text

from embeddings.database import open_database, text_id, writing
from experiments.campaigns import people
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Admitted
from experiments.campaigns.ledger import Ledger
from experiments.storefront import LiveCampaign, SlotSettings, review
from experiments.storefront.decide import Question
from experiments.storefront.journal import Decide
from experiments.storefront.rebuild import rebuild
from experiments.storefront.retention import forget, prune
from experiments.storefront.verify import verify
from experiments.storefront.worker import Worker

from .conftest import TEXTS, Hands

NEW, UNAPPROVED = "Boots with a heart.", "Boots that cure the flu."


def publish(hero, *weights):
    """Let what was approved join, and publish other chances."""
    campaign, ledger = Campaign("default/hero", ()), Ledger(hero.engine, shared=True)
    ledger.resume([campaign])
    with ledger.step([campaign]) as note:
        note([[Admitted(texts=tuple(campaign.state.waiting))] if campaign.state.waiting else []])
        last = people.without_hidden(campaign.state)
        shares = [share / sum(weights) for share in weights]
        note([[last.model_copy(update={"probabilities": tuple(shares), "by_segment": (tuple(shares),) * 2
                                       if campaign.state.tells_apart else ()})]])  # fmt: skip
    hero.slots.refresh()


def busy(database, clock):
    """Let all kinds of things happen; some events are open in the end."""
    settings = SlotSettings(holdout=0.2, aggregation="sum")
    with LiveCampaign.open(
        database, "hero", TEXTS, settings=settings, clock=clock, segment_by="device", segments=("phone",)
    ) as hero:
        worker = Worker(hero.engine, clock=clock, write=False)

        def shoppers(name, count=30):
            for number in range(count):
                event, deferred = f"{name} {number}", number % 5 == 0
                if number % 7 == 0:
                    hero.reward(event, 0.3, reward_id="early")
                hero.decide(event, unit=f"u{number % 8}", context={"device": "phone" if number % 3 else "desk"},
                            deferred=deferred)  # fmt: skip
                if deferred and number % 2:
                    hero.expose(event)
                if number % 4 == 0:
                    clock.turn(1)
                    hero.reward(event, 0.3, reward_id="a")
                    hero.reward(event, 0.3, reward_id="a")
                    hero.reward(event, 0.6, reward_id="b")
            clock.turn(4000)
            assert not isinstance(worker.round()["default/hero"], Exception)
            hero.reward(f"{name} 1", 1.0, reward_id="late")
            hero.expose(f"{name} 0")

        shoppers("one")
        hero.set("anna", "", sticky_days=1, aggregation="max", click_above=0.4)
        shoppers("two")
        review.write(hero.engine, hero.slots, "default", "hero", NEW, "anna")
        review.write(hero.engine, hero.slots, "default", "hero", UNAPPROVED, "anna")
        hero.approve(NEW, "bert")
        publish(hero, 1, 2, 3, 4)
        shoppers("three")
        review.decide(hero.engine, hero.slots, "default", "hero", "pause", TEXTS[:2], "anna", "")
        for mode in ("shadow", "off", "online"):
            hero.set("anna", "", mode=mode, holdout=0.1, sticky_days=0)
            shoppers(mode, 9)
        review.decide(hero.engine, hero.slots, "default", "hero", "resume", [TEXTS[0]], "anna", "")
        shoppers("resumed", 9)
        clock.turn(-4000 + 60)
        hero.decide("open", unit="u1")
        hero.reward("open", 0.5)
        hero.decide("open too", deferred=True)
        hero.reward("never decided")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "shop.db"
    busy(str(path), Hands())
    return path


@pytest.fixture
def engine(sound, tmp_path):
    shutil.copy(sound, tmp_path / "shop.db")
    engine = open_database(tmp_path / "shop.db", create=False)
    yield engine
    engine.dispose()


def test_a_sound_ledger_has_no_fault(database, clock):
    busy(database, clock)
    engine = open_database(database)
    assert verify(engine) == []
    found = rebuild(engine, check=True)
    assert (found.faults, found.missing, found.extra, found.difference) == ([], 0, 0, 0.0)
    assert found.events > 100
    engine.dispose()


def body(engine, kind, change, which="DESC"):
    """Alter the last event of a kind, id and all, as one who knows the ledger well would."""
    with writing(engine) as connection:
        row = connection.execute(text(f"SELECT * FROM events WHERE kind = :kind ORDER BY sequence {which} LIMIT 1"),
                                 {"kind": kind}).one()  # fmt: skip
        told = json.loads(row.body)
        change(told)
        said = json.dumps(told)
        name = sha256(f"default/hero\0{row.sequence}\0{said}".encode()).hexdigest()[:32]
        connection.execute(text("UPDATE events SET body = :body, id = :id WHERE sequence = :sequence"),
                           {"body": said, "id": name, "sequence": row.sequence})  # fmt: skip


def more_clicks(told):
    told["counts"][0][3] = told["counts"][0][2]
    told["counts"][-1][3] = 0
    told["counts"][0][2] += 1


def tilted(told):
    told["probabilities"] = [0.5, 0.5, 0.5, -0.5]


PLANTED = {
    "a reward is gone": ("outcome", "DELETE FROM rewards WHERE key = (SELECT key FROM outcomes WHERE why = 'reward')"),
    "a reward was counted twice": ("outcome", "UPDATE outcomes SET value = value * 2 WHERE key = <one 4>"),
    "a click that nobody made": ("outcome", "UPDATE outcomes SET clicked = 1 WHERE key = <one 1>"),
    "a late reward was learned": ("outcome", "UPDATE rewards SET late = 0 WHERE key = <one 1>"),
    "an open event's reward was called late": ("reward", "UPDATE rewards SET late = 1 WHERE key = <open>"),
    "a held reward was called late": (
        "reward", "UPDATE rewards SET late = 1 WHERE key NOT IN (SELECT key FROM decisions)"),
    "a void event was counted": ("outcome", "UPDATE outcomes SET why = 'default' WHERE key = <one 0>"),
    "an event that was shown is void": ("outcome", "DELETE FROM exposures WHERE key = <one 5>"),
    "an open event is lost": ("closing", "DELETE FROM pending WHERE key = <open>"),
    "an outcome is lost": ("closing", "DELETE FROM outcomes WHERE key = <two 1>"),
    "a decision is lost": ("closing", "DELETE FROM decisions WHERE event_id = 'two 1'"),
    "an event may close again": (
        "closing", "INSERT INTO pending SELECT key, slot_id, at FROM decisions WHERE event_id = 'one 1'"),
    "an open event without decision": ("queue", "INSERT INTO pending SELECT 'x', slot_id, due_at FROM pending LIMIT 1"),
    "an outcome without decision": (
        "closing", "INSERT INTO outcomes SELECT 'x', slot_id, batch, why, value, clicked, settings, at FROM "
        "outcomes LIMIT 1"),
    "a batch counted one less": ("counts", "UPDATE outcomes SET batch = batch + 1 WHERE key = <one 1>"),
    "a batch of the future": ("counts", "UPDATE outcomes SET batch = 99 WHERE batch = 1"),
    "an outcome is not on record": ("counts", "UPDATE outcomes SET batch = batch + 1 WHERE batch > 1"),
    "an unapproved text was served": ("approval", "UPDATE decisions SET place = 4, drawn = 4 WHERE event_id = 'open'"),
    "a paused text was served": ("approval", "UPDATE decisions SET place = 1 WHERE event_id = 'shadow 1'"),
    "a text before its approval": ("approval", "UPDATE decisions SET place = 3 WHERE event_id = 'one 1'"),
    "a propensity is wrong": (
        "propensity", "UPDATE decisions SET propensity = propensity + 1e-6 WHERE event_id = 'one 1'"),
    "a text that was not drawn": (
        "propensity", "UPDATE decisions SET place = (place + 1) % 3 WHERE event_id = 'one 1'"),
    "another reason": ("propensity", "UPDATE decisions SET reason = 'killed' WHERE event_id = 'one 1'"),
    "shown while it was of": ("propensity", "UPDATE decisions SET reason = 'bandit' WHERE event_id = 'off 1'"),
    "sticky to nothing": (
        "propensity", "UPDATE decisions SET unit = 'x' WHERE key = (SELECT key FROM decisions WHERE reason = "
        "'sticky')"),
    "another snapshot": ("propensity", "UPDATE decisions SET snapshot = 1 WHERE event_id = 'one 1'"),
    "a snapshot that never was": ("record", "UPDATE decisions SET snapshot = 99 WHERE event_id = 'one 1'"),
    "another segment": ("segment", "UPDATE decisions SET segment = 1 - segment WHERE event_id = 'one 1'"),
    "settings that never were": ("settings", "UPDATE outcomes SET settings = 99 WHERE batch = 1"),
    "settings of long ago": ("settings", "UPDATE decisions SET settings = 1 WHERE event_id = 'open'"),
    "another event's key": ("record", "UPDATE decisions SET event_id = 'x' WHERE event_id = 'one 1'"),
    "another tenant's event": ("record", "UPDATE decisions SET tenant = 'x' WHERE event_id = 'one 1'"),
    "an event's body was altered": (
        "record", "UPDATE events SET body = replace(body, 'anna', 'otto') WHERE kind = 'paused'"),
    "an event is gone": ("record", "DELETE FROM events WHERE sequence = 3"),
}  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_fault_is_found(engine, planted):
    rule, statement = PLANTED[planted]
    statement = re.sub(r"<(.*?)>", r"(SELECT key FROM decisions WHERE event_id = '\1')", statement)
    with writing(engine) as connection:
        assert connection.exec_driver_sql(statement).rowcount
    assert rule in {fault.rule for fault in verify(engine)}


@pytest.mark.parametrize(("kind", "change", "rule"), [
    ("closed", more_clicks, "counts"),
    ("published", tilted, "probabilities"),
    ("published", lambda told: told.update(probabilities=[0.5, 0.25, 0.25, 0.1]), "probabilities"),
    ("published", lambda told: told.update(probabilities=[0.0, 0.5, 0.4999, 0.0001]), "probabilities"),
    ("reviewed", lambda told: told.update(by="anna"), "approval"),
    ("reviewed", lambda told: told.update(approved=False), "record"),
])  # fmt: skip
def test_an_altered_event_is_found(engine, kind, change, rule):
    body(engine, kind, change)
    assert rule in {fault.rule for fault in verify(engine)}


def test_rebuild_finds_counts_that_are_not_those_of_the_rows(engine):
    body(engine, "closed", more_clicks)
    found = rebuild(engine, check=True)
    assert found.difference > 1e-3
    assert {fault.rule for fault in found.faults} == {"counts"}


def test_the_queue_is_made_again_from_decisions_and_outcomes(engine):
    def queue():
        with writing(engine) as connection:
            return connection.exec_driver_sql("SELECT key, slot_id, due_at FROM pending ORDER BY key").all()

    before = queue()
    with writing(engine) as connection:
        connection.exec_driver_sql("DELETE FROM pending")
        connection.exec_driver_sql(
            "INSERT INTO pending SELECT key, slot_id, at FROM decisions WHERE event_id = 'one 1'"
        )
    assert {fault.rule for fault in rebuild(engine, check=True).faults} == {"queue"}
    found = rebuild(engine)
    assert (found.missing, found.extra, found.faults) == (2, 1, [])
    assert queue() == before
    assert verify(engine) == []


def test_only_so_many_faults_are_told(engine):
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE decisions SET propensity = 0.123")
    assert len(verify(engine, most=7)) == 7


def test_who_is_forgotten_is_in_no_row_and_still_counts(database, clock):
    busy(database, clock)
    with LiveCampaign.open(database, "hero", clock=clock) as hero:
        before = hero.decide("open", unit="u1")
        with writing(hero.engine) as connection:
            unit = "(SELECT unit FROM decisions WHERE event_id = 'open')"
            many = connection.exec_driver_sql(f"SELECT count(*) FROM decisions WHERE unit = {unit}").scalar()
        assert forget(hero.engine, "default", "u1", "anna", clock) == many > 10
        assert forget(hero.engine, "default", "u1", "anna", clock) == 0
        with writing(hero.engine) as connection:
            blank = connection.exec_driver_sql(
                "SELECT unit, context, request FROM decisions WHERE event_id = 'open'"
            ).one()
            audited = connection.exec_driver_sql("SELECT after FROM audit WHERE what = 'unit forgotten'").all()
        assert tuple(blank) == ("", "{}", "")
        assert json.loads(audited[0][0]) == {"decisions": many}
        assert verify(hero.engine) == []
        assert hero.decide("open", unit="u1") == before


def test_what_is_forgotten_cannot_be_read_in_the_file(engine):
    with LiveCampaign(engine, "hero") as hero:
        hero.decide("secret", unit="u", context={"device": "a very private phone"})
        forget(engine, "default", "u", "anna")
    folder = Path(engine.url.database).parent
    assert not any(b"very private" in file.read_bytes() for file in folder.iterdir())


def test_what_is_deleted_leaves_its_counts_and_the_rest_closes_once(database, clock):
    busy(database, clock)
    engine = open_database(database)
    worker = Worker(engine, clock=clock, write=False)
    before = worker.slots.campaign(worker.slots.get("default", "hero")).state.counts
    clock.turn(timedelta(days=3).total_seconds())
    with writing(engine) as connection:
        closed = connection.exec_driver_sql("SELECT count(*) FROM outcomes").scalar()
    assert prune(engine, 1, "anna", clock) == closed
    assert verify(engine) == []
    assert rebuild(engine, check=True).faults == []
    worker.round()  # what was open closes, in a batch of its own
    state = worker.slots.campaign(worker.slots.get("default", "hero")).state
    assert sum(shown for shown, _ in state.counts.values()) == sum(shown for shown, _ in before.values()) + 1
    assert verify(engine) == []
    assert rebuild(engine, check=True).faults == []
    assert prune(engine, 1, "anna", clock) == 0
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE retention SET batch = batch - 1")
    assert {fault.rule for fault in verify(engine)} == {"counts"}
    engine.dispose()


def test_a_choice_among_some_texts_is_checked_among_them(database, clock):
    settings = SlotSettings(holdout=0.3, baseline=TEXTS[2])
    with LiveCampaign.open(database, "hero", TEXTS, settings=settings, clock=clock) as hero:
        publish(hero, 1, 2, 3)
        for mode in ("online", "off", "shadow"):
            hero.set("anna", "", mode=mode)
            for number in range(20):
                some = [(TEXTS[1], TEXTS[0]), TEXTS[1:], ("No text of it.", TEXTS[2])][number % 3]
                question = Question(f"{mode} {number}", among=tuple(map(text_id, some)))
                slot = hero.slots.get("default", "hero")
                hero.journal.submit(Decide(slot, question, slot.choose(question))).result()
        assert verify(hero.engine) == []
        with writing(hero.engine) as connection:
            connection.exec_driver_sql("UPDATE decisions SET among = '0 2' WHERE event_id = 'online 1'")
        assert {fault.rule for fault in verify(hero.engine)} == {"propensity"}
