"""The bandit against the holdout beside it, with intervals that hold at any time; and alarms that ring."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.special import expit

from embeddings.database import reading, text_id, writing
from embeddings.summary import Lineage
from experiments.campaigns.events import Draft, Opened, Published, Written
from experiments.campaigns.state import replay
from experiments.storefront import LiveCampaign, SlotSettings, overview, provenance
from experiments.storefront.decide import Question
from experiments.storefront.journal import Decide, Expose, Reward, record
from experiments.storefront.retention import forget
from experiments.storefront.slots import change_settings
from experiments.storefront.worker import Worker

from .conftest import TEXTS


@pytest.fixture
def hero(tmp_path, clock, monkeypatch):
    """A campaign whose shop has the same secret in every run, so that chance sorts visitors alike."""
    monkeypatch.setattr("secrets.token_bytes", lambda count: bytes(range(count)))
    settings = SlotSettings(holdout=0.2, baseline=TEXTS[0])
    with LiveCampaign.open(tmp_path / "shop.db", "hero", TEXTS, settings=settings, clock=clock) as campaign:
        yield campaign


def visit(hero, clock, many, rate, seen=lambda choice: True, seed=0, among=()):
    """Let visitors come; `rate` of a place clicks, and pages show what `seen` says."""
    slot, rng = hero.slots.get("default", "hero"), random.Random(seed)
    entries = []
    for number in range(many):
        question = Question(f"{seed} {number}", f"u{seed} {number}", deferred=True, among=among)
        choice = slot.choose(question)
        entries.append(Decide(slot, question, choice))
        if seen(choice):
            entries.append(Expose("default", question.event_id))
        if rng.random() < rate(choice):
            entries.append(Reward("default", question.event_id, "r", 1.0))
    with writing(hero.engine) as connection:
        for first in range(0, len(entries), 1000):
            record(connection, entries[first : first + 1000], hero.slots.settings, clock())
    clock.turn(3606)
    Worker(hero.engine, clock=clock, write=False).round()
    hero.slots.refresh()


def look(hero, tallies=None):
    slot = hero.slots.get("default", "hero")
    with reading(hero.engine) as connection:
        tally = (tallies or overview.Tallies()).of(connection, slot)
        ratios = overview.text_ratio(tally, slot.state), overview.arm_ratio(connection, slot, tally.since)
    return overview.compare(tally), *ratios


def test_nothing_yet_is_said_to_be_nothing(hero):
    found, texts, arms = look(hero)
    assert (found.difference, found.verdict) == (None, "unclear")
    assert (texts.p_value, arms.p_value) == (None, None)
    assert not any(one.alarm for one in overview.guardrails(found))


def test_arms_are_counted_from_outcomes_by_reason(hero, clock):
    visit(hero, clock, 2000, lambda choice: choice.reason == "holdout")
    found, texts, arms = look(hero)
    assert found.bandit.impressions + found.holdout.impressions == 2000
    assert (found.bandit.clicks, found.holdout.clicks) == (0, found.holdout.impressions)
    assert found.verdict == "fewer"
    assert overview.guardrails(found)[0].alarm
    assert not texts.alarm
    assert not arms.alarm


def test_a_tally_that_goes_on_is_that_from_the_start(hero, clock):
    tallies = overview.Tallies()
    for seed in range(3):
        visit(hero, clock, 200, lambda choice: 0.3, seed=seed)
        assert look(hero, tallies) == look(hero)


def test_the_comparison_begins_anew_when_the_arms_change(hero, clock):
    visit(hero, clock, 300, lambda choice: 0.5)
    slot = hero.slots.get("default", "hero")
    change_settings(hero.engine, slot, {"window_seconds": 60.0}, "anna", "shorter", clock)
    assert look(hero)[0].bandit.impressions > 0
    change_settings(hero.engine, slot, {"holdout": 0.5}, "anna", "more", clock)
    found, *_ = look(hero)
    assert (found.bandit.impressions, found.since) == (0, clock())


def test_a_text_that_pages_lose_is_a_mismatch_and_a_guardrail(hero, clock):
    lose = random.Random(1)
    visit(hero, clock, 3000, lambda choice: 0.1,
          seen=lambda choice: choice.place != 2 or choice.reason == "holdout" or lose.random() < 0.6)  # fmt: skip
    found, texts, arms = look(hero)
    assert texts.alarm
    assert TEXTS[2] in texts.worst
    assert not arms.alarm
    lost = overview.guardrails(found)[1]
    assert lost.alarm
    assert lost.holdout == 0


def test_a_holdout_of_another_size_than_was_set_is_a_mismatch(hero, clock):
    visit(hero, clock, 1000, lambda choice: 0.1)
    slot = hero.slots.get("default", "hero")
    with reading(hero.engine) as connection:
        since = overview.compared_since(connection, slot)
        assert not overview.arm_ratio(connection, slot, since).alarm
        odd = SlotSettings(holdout=0.1, baseline=TEXTS[0])
        object.__setattr__(slot, "settings", odd)
        assert overview.arm_ratio(connection, slot, since).alarm
        assert overview.arm_ratio(connection, slot, since + timedelta(days=1)).p_value is None


def test_texts_that_pages_choose_among_have_chances_of_their_own(hero, clock):
    """As Personalizer's clients do: half of the texts of a snapshot are not asked for, and that is no mismatch."""
    visit(hero, clock, 1000, lambda choice: 0.1, among=(text_id(TEXTS[0]), text_id(TEXTS[1])))
    found, texts, arms = look(hero)
    assert found.bandit.impressions + found.holdout.impressions == 1000
    assert not texts.alarm
    assert not arms.alarm


def test_a_few_who_come_back_and_always_click_count_as_a_few(hero, clock):
    """Of 40 visitors with 50 visits each, every second always clicks: a rate of one half, as of some 40 visits."""
    slot, clicks = hero.slots.get("default", "hero"), []
    questions = [Question(f"{number}", f"u{number % 40}") for number in range(2000)]
    for first in range(0, 2000, 500):
        entries = [Decide(slot, one, slot.choose(one)) for one in questions[first : first + 500]]
        clicks = [Reward("default", one.event_id, "r", 1.0) for one in questions[first : first + 500]
                  if int(one.unit[1:]) % 2]  # fmt: skip
        with writing(hero.engine) as connection:
            record(connection, [*entries, *clicks], hero.slots.settings, clock())
    clock.turn(1806)
    Worker(hero.engine, clock=clock, write=False).round()
    hero.slots.refresh()
    found, *_ = look(hero)
    assert 40 < found.bandit.effect < 60
    assert found.verdict == "unclear"
    low, high = found.bandit.interval
    assert low < 0.3 < 0.7 < high


def test_equal_arms_of_people_who_come_back_err_seldom():
    """In 80 campaigns of 10 looks at 300 people who click at rates of their own, at most 5 % find a difference."""
    rng, wrong = np.random.default_rng(0), 0
    for _ in range(80):
        rates, held = expit(-2.2 + 1.5 * rng.normal(size=300)), rng.random(300) < 0.3
        group, shown, clicked = rng.integers(256, size=300), np.zeros((2, 256)), np.zeros((2, 256))
        found = False
        for _ in range(10):
            people = rng.integers(300, size=1000)
            np.add.at(shown, (held[people].astype(int), group[people]), 1)
            np.add.at(clicked, (held[people].astype(int), group[people]), rng.random(1000) < rates[people])
            arms = [overview.Arm(int(n.sum()), int(k.sum()), effect=overview.design_effect(k, n))
                    for n, k in zip(shown, clicked, strict=True)]  # fmt: skip
            found |= overview.Comparison(datetime.now(UTC), *arms).verdict != "unclear"
        wrong += found
    assert wrong <= 4


def test_looking_often_at_two_equal_arms_whose_rates_move_errs_seldom():
    """In 300 campaigns of 20 looks, at most 5 % may ever find a difference."""
    rng = np.random.default_rng(0)
    rates = 0.02 + 0.03 * np.linspace(0, 1, 20)  # a season
    shown = np.array([[4500], [500]]) * np.arange(1, 21)
    clicks = rng.binomial([[4500], [500]], rates, (300, 2, 20)).cumsum(-1)
    low, high = overview.difference_of_means((clicks[:, 0], shown[0] + 0 * clicks[:, 0]),
                                             (clicks[:, 1], shown[1] + 0 * clicks[:, 1]))  # fmt: skip
    assert ((low > 0) | (high < 0)).any(-1).sum() <= 15


def test_lineage_goes_back_to_given_texts_and_never_round():
    a, b = "A quiet kettle.", "Plain tea."
    state = replay([
        Opened(slate=(a, b), parents=(a, b), segments=("all",)),
        Written(drafts=(Draft(Lineage((a, b), (0.3, 0.7)), "Quiet tea."),)),
        Written(drafts=(Draft(Lineage(("Quiet tea.",), (1.0,)), "Very quiet tea."),), by="anna"),
        Written(drafts=(Draft(Lineage(("Own words.",), (1.0,)), "Own words."),), by="anna"),
        Published(snapshot=0, probabilities=(0.5, 0.5), impressions=10),
    ])  # fmt: skip
    found = provenance.lineage(state, "Very quiet tea.")
    assert (found.author, found.weight) == ("anna", None)
    (quiet,) = found.parents
    assert (quiet.text, quiet.weight, [(one.text, one.weight) for one in quiet.parents]) == (
        "Quiet tea.", 1.0, [(b, 0.7), (a, 0.3)])  # fmt: skip
    assert provenance.lineage(state, "Own words.").parents == ()
    assert provenance.lineage(state, a).parents == ()


def test_a_visitor_who_was_forgotten_is_no_crowd_in_the_holdout(hero, clock):
    visit(hero, clock, 100, lambda choice: 0.1)
    slot = hero.slots.get("default", "hero")
    often = next(f"u{number}" for number in range(100) if slot.choose(Question("e", f"u{number}")).reason == "holdout")
    with writing(hero.engine) as connection:
        asked = [Question(f"often {number}", often) for number in range(200)]
        record(connection, [Decide(slot, one, slot.choose(one)) for one in asked], hero.slots.settings, clock())
    assert forget(hero.engine, "default", often, "anna", clock) == 200
    with reading(hero.engine) as connection:
        assert not overview.arm_ratio(connection, slot, overview.compared_since(connection, slot)).alarm
