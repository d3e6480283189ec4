"""What two processes do side by side, step by step: nothing is lost, nothing counts twice, nobody waits for ever."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from copyloom import InputError
from embeddings.database import reading, writing
from embeddings.summary import Lineage
from experiments.campaigns import people
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Admitted, Draft, Written
from experiments.campaigns.ledger import Ledger
from experiments.storefront import LiveCampaign, SlotSettings, journal, review
from experiments.storefront.decide import Question
from experiments.storefront.feeds import close_due, outcomes
from experiments.storefront.journal import Decide, Expose, Reward, record
from experiments.storefront.tables import ExposureRow, OutcomeRow, PendingRow, RewardRow
from experiments.storefront.worker import Worker

from .conftest import TEXTS

NEW = "Boots with a heart."


@pytest.fixture
def hero(database, clock):
    with LiveCampaign.open(database, "hero", TEXTS, settings=SlotSettings(holdout=0.0), clock=clock) as campaign:
        yield campaign


def slot_of(hero):
    return hero.slots.get("default", "hero")


def decide(hero, event_id, **what):
    question = Question(event_id, **what)
    return Decide(slot_of(hero), question, slot_of(hero).choose(question))


def test_who_decides_second_leaves_no_open_event_behind(hero, clock, monkeypatch):
    """It looked before the first wrote, and writes after the window has ended."""
    hero.decide("e")
    clock.turn(1806)
    assert close_due(hero.engine, slot_of(hero), clock()) == 1
    looked = iter([{}])
    true = journal._decisions
    monkeypatch.setattr(journal, "_decisions", lambda connection, keys: next(looked, None) or true(connection, keys))
    with writing(hero.engine) as connection:
        record(connection, [decide(hero, "e")], hero.slots.settings, clock())
    with reading(hero.engine) as connection:
        assert connection.execute(select(PendingRow)).all() == []


def test_a_decision_that_comes_while_its_reward_is_written_leaves_that_on_time(hero, clock, monkeypatch):
    true = journal._keys

    def keys(connection, column, asked):
        found = true(connection, column, asked)
        if column.class_ is journal.DecisionRow and not done:
            done.append(True)
            if connection.dialect.name == "postgresql":
                hero.decide("e")
        return found

    done = []
    monkeypatch.setattr(journal, "_keys", keys)
    with writing(hero.engine) as connection:
        said = record(connection, [Reward("default", "e", "r", 1.0)], hero.slots.settings, clock())
    assert said == ["joined" if hero.engine.dialect.name == "postgresql" else "dangling"]
    with reading(hero.engine) as connection:
        assert connection.scalars(select(RewardRow.late)).all() == [False]


def test_closing_waits_for_a_reward_whose_decision_came_meanwhile(hero, clock):
    if hero.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer")
    with writing(hero.engine) as connection:
        assert record(connection, [Reward("default", "e", "r", 1.0)], hero.slots.settings, clock()) == ["dangling"]
        hero.decide("e")
        clock.turn(1806)
        closing = threading.Thread(target=close_due, args=(hero.engine, slot_of(hero), clock()))
        closing.start()
        closing.join(0.3)
        assert closing.is_alive()
    closing.join()
    with reading(hero.engine) as connection:
        assert connection.scalars(select(OutcomeRow.clicked)).all() == [True]


def test_two_values_of_one_reward_id_are_not_both_acknowledged(hero, clock, monkeypatch):
    """The second looked before the first wrote."""
    hero.decide("e")
    looked = iter([{}])
    true = journal._values
    hero.reward("e", 1.0, reward_id="r")
    monkeypatch.setattr(journal, "_values", lambda connection, keys: next(looked, None) or true(connection, keys))
    with writing(hero.engine) as connection:
        (said,) = record(connection, [Reward("default", "e", "r", 0.5)], hero.slots.settings, clock())
    assert isinstance(said, journal.ConflictError)


def test_an_exposure_after_its_event_has_closed_changes_nothing(hero, clock):
    hero.decide("e", deferred=True)
    clock.turn(3606)
    assert close_due(hero.engine, slot_of(hero), clock()) == 1
    hero.expose("e")
    with reading(hero.engine) as connection:
        assert connection.execute(select(ExposureRow.late, OutcomeRow.why).join(
            OutcomeRow, OutcomeRow.key == ExposureRow.key)).all() == [(True, "void")]  # fmt: skip


def test_a_window_is_not_cut_short_where_neither_decision_nor_exposure_saw_the_other(hero, clock):
    hero.set("anna", "", activation_seconds=10)
    hero.decide("e", deferred=True)
    with writing(hero.engine) as connection:
        key = connection.scalar(select(PendingRow.key))
        row = {"key": key, "shown_at": clock(), "at": clock(), "late": False}
        journal.insert_new(connection, ExposureRow, [row])
    clock.turn(20)
    close_due(hero.engine, slot_of(hero), clock())
    assert hero.reward("e") == "joined"
    clock.turn(1786)
    close_due(hero.engine, slot_of(hero), clock())
    assert hero.reward("e", reward_id="again") == "late"


def test_many_on_the_same_events_from_both_sides_never_wait_for_each_other(hero, clock):
    events = [f"e{number}" for number in range(30)]
    with writing(hero.engine) as connection:
        record(connection, [decide(hero, event, deferred=True) for event in events], hero.slots.settings, clock())
    failed = []

    def write(some, name):
        entries = [Expose("default", event) if number % 2 else Reward("default", event, name, 1.0)
                   for number, event in enumerate(some)]  # fmt: skip
        try:
            for _ in range(5):
                with writing(hero.engine) as connection:
                    record(connection, entries, hero.slots.settings, clock())
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(events[:: 1 - 2 * (side % 2)], f"r{side}")) for side in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def admit(hero, text=NEW):
    """Publish a text that a person wrote and another approved, as another process."""
    review.write(hero.engine, hero.slots, "default", "hero", text, "anna")
    hero.approve(text, "bert")
    campaign, ledger = Campaign("default/hero", ()), Ledger(hero.engine, shared=True)
    ledger.resume([campaign])
    with ledger.step([campaign]) as note:
        note([[Admitted(texts=(text,))]])
        number = len(campaign.state.slate)
        last = people.without_hidden(campaign.state)
        note([[last.model_copy(update={"probabilities": (1 / number,) * number})]])
    hero.slots.refresh()


def test_a_worker_takes_outcomes_of_texts_that_joined_while_it_ran(hero, clock):
    worker = Worker(hero.engine, clock=clock, write=False)
    admit(hero)
    said = {hero.decide(f"e{number}").text for number in range(40)}
    assert NEW in said
    clock.turn(1806)
    for _ in range(2):
        assert not isinstance(worker.round()["default/hero"], Exception)
    assert worker.slots.get("default", "hero").state is worker.slots.campaign(slot_of(hero)).state
    assert worker.slots.campaign(slot_of(hero)).state.totals[0].sum() == 40


def test_what_a_process_records_itself_is_what_it_sees(hero):
    worker = Worker(hero.engine, write=False)
    campaign = worker.slots.campaign(slot_of(hero))
    with worker.ledger.step([campaign]) as note:
        note([people.write(campaign, NEW, "anna")])
    worker.slots.refresh()
    assert NEW in worker.slots.get("default", "hero").state.usable


def test_a_batch_with_a_snapshot_that_is_not_known_yet_is_taken_later_as_a_whole(hero, clock):
    before = slot_of(hero)
    hero.decide("old")
    admit(hero)
    hero.decide("new")
    clock.turn(1806)
    close_due(hero.engine, slot_of(hero), clock())
    with reading(hero.engine) as connection:
        assert outcomes(connection, before.id, before.state, 0) == []
        assert len(outcomes(connection, before.id, slot_of(hero).state, 0)) == 2


def test_windows_close_by_the_settings_that_people_changed_while_a_worker_was_busy_elsewhere(hero, clock):
    worker = Worker(hero.engine, clock=clock, write=False)
    before = worker.slots.get("default", "hero")
    hero.decide("e")
    hero.set("anna", "", default_reward=0.5)
    clock.turn(1806)
    worker.slots._read_at -= 60
    worker.work(before)
    with reading(hero.engine) as connection:
        assert connection.execute(select(OutcomeRow.value, OutcomeRow.settings)).all() == [(0.5, 2)]


def test_windows_close_while_a_worker_writes(database, monkeypatch):
    settings = SlotSettings(holdout=0.0, window_seconds=0.3, grace_seconds=0)
    stop, writes = threading.Event(), threading.Event()

    def opened(self, slot, campaign):
        writes.set()
        stop.wait(30)
        raise InputError("stopped")

    monkeypatch.setattr(Worker, "_opened", opened)
    with LiveCampaign.open(database, "hero", TEXTS, settings=settings) as hero:
        worker = threading.Thread(target=Worker(hero.engine).run, args=(0.05, stop))
        worker.start()
        assert writes.wait(10)
        hero.decide("e")
        closed = []
        for _ in range(100):
            with reading(hero.engine) as connection:
                closed = connection.scalars(select(OutcomeRow.key)).all()
            if closed or stop.wait(0.1):
                break
        stop.set()
        worker.join()
        assert len(closed) == 1


def test_nothing_is_approved_automatically_once_a_person_has_said_no(hero):
    worker = Worker(hero.engine, write=False)
    hero.set("anna", "", auto_approve=True)
    worker.slots.refresh()
    before, campaign = worker.slots.get("default", "hero"), worker.slots.campaign(slot_of(hero))
    with worker.ledger.step([campaign]) as note:
        note([[Written(drafts=(Draft(Lineage(TEXTS[:2], (0.5, 0.5)), NEW),))]])
    hero.set("anna", "", auto_approve=False)
    worker._approve(before, campaign, [NEW])
    assert campaign.state.reviews == {}
    hero.set("anna", "", auto_approve=True)
    worker._approve(before, campaign, [NEW])
    assert campaign.state.reviews == {NEW: True}


def test_an_automatic_approval_never_comes_after_a_person_has_said_no(hero, monkeypatch):
    worker = Worker(hero.engine, write=False)
    campaign = worker.slots.campaign(slot_of(hero))
    with worker.ledger.step([campaign]) as note:
        note([[Written(drafts=(Draft(Lineage(TEXTS[:2], (0.5, 0.5)), NEW),))]])
    hero.set("anna", "", auto_approve=True)
    now = Worker._now

    def then_a_person(self, slot):
        found = now(self, slot)
        hero.slots.refresh()
        hero.reject(NEW, "anna", "no")
        return found

    monkeypatch.setattr(Worker, "_now", then_a_person)
    worker._approve(slot_of(hero), campaign, [NEW])
    hero.slots.refresh()
    assert slot_of(hero).state.reviews == {NEW: False}


def test_what_is_on_the_slate_cannot_be_rejected_as_if_it_were_not(hero):
    admit(hero)
    with pytest.raises(InputError, match="retire it, or pause it"):
        hero.reject(NEW, "bert", "bad")


def test_two_visits_of_one_unit_in_one_batch_see_the_same(hero, clock):
    hero.set("anna", "", sticky_days=1)
    for number in range(8):
        entries = [decide(hero, f"{number} {visit}", unit=f"u{number}") for visit in range(6)]
        with writing(hero.engine) as connection:
            said = record(connection, entries, hero.slots.settings, clock())
        assert len({choice.place for choice in said}) == 1
        assert len({hero.decide(unit=f"u{number}").text}) == 1


def test_a_sticky_text_of_a_newer_snapshot_than_a_process_knows_is_no_error(hero, clock):
    old = slot_of(hero)
    hero.set("anna", "", sticky_days=1)
    admit(hero)
    unit = next(f"u{number}" for number in range(100) if hero.decide(unit=f"u{number}").text == NEW)
    question = Question("again", unit)
    entry = Decide(replace(old, settings=slot_of(hero).settings), question, old.choose(question))
    with writing(hero.engine) as connection:
        (said,) = record(connection, [entry], hero.slots.settings, clock() + timedelta(seconds=1))
    assert said.reason == "bandit"


def test_a_reader_sees_one_state_whoever_writes(hero):
    with reading(hero.engine) as connection:
        before = connection.execute(select(PendingRow)).all()
        hero.decide("e")
        assert connection.execute(select(PendingRow)).all() == before
