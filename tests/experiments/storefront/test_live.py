"""A campaign in one process: what is acknowledged is on record, what comes twice counts once, in any order."""

from datetime import datetime, timedelta

import pytest

from copyloom import InputError
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.ledger import Ledger
from experiments.storefront import LiveCampaign, SlotSettings
from experiments.storefront.journal import ConflictError
from experiments.storefront.worker import Worker

from .conftest import TEXTS


@pytest.fixture
def hero(database, clock):
    with LiveCampaign.open(database, "hero", TEXTS, settings=SlotSettings(holdout=0.0), clock=clock) as campaign:
        yield campaign


def closed(hero: LiveCampaign, clock, seconds: float = 1806) -> tuple[int, int]:
    """Let the windows end, and return the impressions and clicks that the campaign has on record."""
    clock.turn(seconds)
    worker = Worker(hero.engine, clock=clock, write=False)
    said = worker.round()["default/hero"]
    assert not isinstance(said, Exception), said
    shown, clicked = worker.slots.campaign(worker.slots.get("default", "hero")).state.totals
    return int(shown.sum()), int(clicked.sum())


def test_a_decision_asked_again_is_the_same_and_for_another_question_refused(hero):
    first = hero.decide("e1", unit="anna", context={"device": "mobile", "hour": 3})
    assert hero.decide("e1", unit="anna", context={"hour": 3, "device": "mobile"}) == first
    assert first.text in TEXTS
    assert first.propensity == pytest.approx(1 / 3)
    with pytest.raises(ConflictError, match="another question"):
        hero.decide("e1", unit="bert")


def test_a_click_counts_once_however_often_it_comes(hero, clock):
    decision = hero.decide()
    assert hero.reward(decision.event_id, reward_id="r") == "joined"
    assert hero.reward(decision.event_id, reward_id="r") == "duplicate"
    with pytest.raises(ConflictError, match=r"value 1"):
        hero.reward(decision.event_id, 0.5, reward_id="r")
    assert closed(hero, clock) == (1, 1)
    assert closed(hero, clock) == (1, 1)


def test_a_click_before_its_decision_is_held_and_one_after_its_window_is_kept_but_not_learned(hero, clock):
    assert hero.reward("early") == "dangling"
    hero.decide("early")
    hero.decide("late")
    assert closed(hero, clock) == (2, 1)
    assert hero.reward("late") == "late"
    assert closed(hero, clock) == (2, 1)


def test_nothing_counts_before_its_window_has_ended(hero, clock):
    hero.reward(hero.decide().event_id)
    assert closed(hero, clock, 1804) == (0, 0)
    assert closed(hero, clock, 2) == (1, 1)


def test_a_deferred_decision_counts_once_it_is_shown_and_never_otherwise(hero, clock):
    hero.decide("shown", deferred=True)
    hero.decide("not", deferred=True)
    hero.reward("shown")
    hero.reward("not")
    clock.turn(3000)
    hero.expose("shown")
    hero.expose("shown")
    assert closed(hero, clock, 1000) == (0, 0)  # "not" is void, the window of "shown" is open
    assert closed(hero, clock, 1000) == (1, 1)


def test_an_exposure_that_comes_before_its_decision_begins_the_window(hero, clock):
    hero.expose("e")
    hero.decide("e", deferred=True)
    assert closed(hero, clock) == (1, 0)


@pytest.mark.parametrize(("aggregation", "clicks"), [("earliest", 0), ("sum", 1), ("max", 1)])
def test_several_rewards_of_one_event_are_worth_what_the_slot_says(database, clock, aggregation, clicks):
    settings = SlotSettings(holdout=0.0, aggregation=aggregation, click_above=0.5)
    with LiveCampaign.open(database, "hero", TEXTS, settings=settings, clock=clock) as hero:
        hero.decide("e")
        for number, value in enumerate((0.25, 0.75)):
            hero.reward("e", value, reward_id=str(number))
            clock.turn(1)
        assert closed(hero, clock) == (1, clicks)


def test_the_holdout_is_permanent_and_in_the_propensity(database, clock):
    settings = SlotSettings(holdout=0.5, baseline=TEXTS[2])
    with LiveCampaign.open(database, "hero", TEXTS, settings=settings, clock=clock) as hero:
        reasons = {unit: {hero.decide(unit=f"u{unit}").reason for _ in range(3)} for unit in range(40)}
        assert all(len(said) == 1 for said in reasons.values())
        held = [unit for unit, said in reasons.items() if said == {"holdout"}]
        assert 10 <= len(held) <= 30  # of 40 by chance: outside once in 1,000 times
        decision = hero.decide(unit=f"u{held[0]}")
        assert decision.text == TEXTS[2]
        assert decision.propensity == pytest.approx(0.5 / 3 + 0.5)


@pytest.mark.parametrize(("mode", "reason"), [("off", "killed"), ("shadow", "shadow")])
def test_where_it_is_off_or_in_the_shadow_everyone_sees_the_baseline(hero, mode, reason):
    hero.set("anna", "trying", mode=mode)
    said = [hero.decide() for _ in range(20)]
    assert {(one.text, one.reason, one.propensity) for one in said} == {(TEXTS[0], reason, 1.0)}


def test_a_sticky_unit_sees_what_it_saw_first(hero, clock):
    hero.set("anna", "fewer flips", sticky_days=1)
    first = hero.decide(unit="u")
    clock.turn(60)
    for _ in range(10):
        again = hero.decide(unit="u")
        assert (again.text, again.reason, again.propensity) == (first.text, "sticky", first.propensity)
    clock.turn(timedelta(days=1).total_seconds())
    assert hero.decide(unit="u").reason == "bandit"


def test_it_goes_on_where_it_was(database, clock):
    with LiveCampaign.open(database, "hero", TEXTS, clock=clock) as hero:
        decision = hero.decide("e")
        hero.reward("e")
    with LiveCampaign.open(database, "hero", clock=clock) as hero:
        assert hero.decide("e") == decision
        assert closed(hero, clock) == (1, 1)
    with pytest.raises(InputError, match="open with other texts"):
        LiveCampaign.open(database, "hero", TEXTS[:2], clock=clock)
    with pytest.raises(InputError, match="the slots are: hero"):
        LiveCampaign(hero.engine, "footer", clock=clock)


def test_draws_follow_the_probabilities(hero):
    """Over 3,000 draws each of three texts comes up within five standard deviations: wrong once in a million times."""
    slot = hero.slots.get("default", "hero")
    from experiments.storefront.decide import Question

    places = [slot.choose(Question(str(number))).place for number in range(3000)]
    for place in range(3):
        assert abs(places.count(place) - 1000) < 5 * (3000 * 2 / 9) ** 0.5


def test_what_a_person_pauses_is_out_of_the_snapshot_at_once_and_nothing_else_changes(hero):
    from experiments.storefront import review

    review.decide(hero.engine, hero.slots, "default", "hero", "pause", [TEXTS[1]], "anna", "sold out")
    said = {hero.decide().text for _ in range(60)}
    assert said == {TEXTS[0], TEXTS[2]}
    with pytest.raises(InputError, match="nothing left to show"):
        review.decide(hero.engine, hero.slots, "default", "hero", "retire", [TEXTS[0], TEXTS[2]], "anna", "")
    states = {draft.text: draft.state for draft in review.texts(hero.slots.get("default", "hero").state)}
    assert states == {TEXTS[0]: "live", TEXTS[1]: "paused", TEXTS[2]: "live"}


def test_what_may_not_be_shown_any_more_is_not_shown_to_an_event_that_was_given_it(hero):
    from experiments.storefront import review

    first = hero.decide("e")
    review.decide(hero.engine, hero.slots, "default", "hero", "pause", [first.text], "anna", "sold out")
    again = hero.decide("e")
    assert (again.reason, again.propensity, again.snapshot) == ("killed", first.propensity, first.snapshot)
    assert again.text != first.text
    review.decide(hero.engine, hero.slots, "default", "hero", "resume", [first.text], "anna", "")
    assert hero.decide("e") == first
    hero.set("anna", "all off", mode="off")
    assert hero.decide("e").text == TEXTS[0]


def test_nobody_approves_her_own_text_whatever_others_do_meanwhile(hero):
    from experiments.campaigns import people
    from experiments.storefront import review

    ledger, campaigns = Ledger(hero.engine, shared=True), [Campaign("default/hero", ()), Campaign("default/hero", ())]
    ledger.resume(campaigns[:1])
    ledger.resume(campaigns[1:])

    def overtaken() -> None:
        with ledger.step(campaigns[:1]) as record:
            record([people.write(campaigns[0], "Boots that feel good.", "anna")])
            with ledger.step(campaigns[1:]) as also:
                also([people.write(campaigns[1], "Boots that feel good.", "bert")])

    with pytest.raises(InputError, match="there already"):
        overtaken()
    hero.slots.refresh()
    for name in ("bert", " Bert "):
        with pytest.raises(InputError, match="another person"):
            review.decide(hero.engine, hero.slots, "default", "hero", "approve", ["Boots that feel good."], name, "")
    with pytest.raises(InputError, match="nobody is named"):
        review.decide(hero.engine, hero.slots, "default", "hero", "approve", ["Boots that feel good."], " ", "")


def test_rewards_of_different_kinds_both_count(hero):
    hero.decide("e")
    assert [hero.reward("e", 0.5, kind="cart"), hero.reward("e", 1.0, kind="order")] == ["joined", "joined"]


def test_two_that_work_on_one_campaign_lose_nothing(hero, clock):
    """A step that was overtaken is applied to what the other made of the campaign."""
    mine, other = Ledger(hero.engine, shared=True), Ledger(hero.engine, shared=True)
    campaigns = [Campaign("default/hero", ()), Campaign("default/hero", ())]
    for ledger, campaign in zip((mine, other), campaigns, strict=True):
        ledger.resume([campaign])
    from experiments.campaigns import people

    with mine.step(campaigns[:1]) as record:
        record([people.pause(campaigns[0], [TEXTS[1]], "anna")])
        with other.step(campaigns[1:]) as also:
            also([people.write(campaigns[1], "Boots with a heart.", "bert")])
    state = campaigns[0].state
    assert (state.paused, list(state.usable)) == ({TEXTS[1]}, ["Boots with a heart."])
    other.refresh(campaigns[1])
    assert campaigns[1].state == state


@pytest.mark.parametrize(("question", "why"), [
    ({"event_id": "e" * 257}, "the event id has 257 characters; give 1 to 256"),
    ({"event_id": "a\0b"}, "leave out NUL"),
    ({"event_id": "\ud800"}, "surrogate"),
    ({"event_id": 7}, "the event id is 7"),
    ({"unit": "u" * 257}, "the unit has 257"),
    ({"product": "p" * 257}, "the product has 257"),
    ({"context": {"a": "x" * 4096}}, "at most 4096 are allowed"),
    ({"context": {"a": float("nan")}}, "plain JSON"),
    ({"context": {"a": object()}}, "plain JSON"),
])  # fmt: skip
def test_what_the_service_refuses_is_refused_without_it_too(hero, question, why):
    with pytest.raises(InputError, match=why):
        hero.decide(**question)


@pytest.mark.parametrize(("reward", "why"), [
    ({"value": 1.01}, "a number from 0 to 1"), ({"value": float("nan")}, "a number from 0 to 1"),
    ({"value": True}, "a number from 0 to 1"), ({"value": "1"}, "a number from 0 to 1"),
    ({"reward_id": "r" * 257}, "the reward id has 257"), ({"kind": "k" * 65}, "give 0 to 64"),
    ({"kind": ""}, "the reward id has 0"), ({"happened_at": datetime(2026, 11, 29)}, "no time zone"),
])  # fmt: skip
def test_so_is_a_reward(hero, reward, why):
    with pytest.raises(InputError, match=why):
        hero.reward("e", **reward)


def test_people_do_in_python_what_they_do_over_http(hero):
    hero.write("Boots with a heart.", "anna", instead_of=TEXTS[0])
    assert [(draft.text, draft.author) for draft in hero.waiting()] == [("Boots with a heart.", "anna")]
    hero.approve("Boots with a heart.", "bert")
    hero.pause(TEXTS[0], "bert", "sold out")
    hero.pause(TEXTS[1], "bert")
    hero.resume(TEXTS[0], "bert")
    hero.retire(TEXTS[1], "bert", "old")
    states = {draft.text: draft.state for draft in hero.texts()}
    assert states == {TEXTS[0]: "live", TEXTS[1]: "retired", TEXTS[2]: "live", "Boots with a heart.": "approved"}
    assert hero.kill("bert", "wrong price").mode == "off"
    assert hero.decide().reason == "killed"
    assert hero.kill("bert", on=True).mode == "online"
