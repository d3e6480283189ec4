"""What a log of live traffic says is true: probabilities, propensities, and what another policy would have earned."""

import numpy as np
import pytest

from bandits.evaluation import Columns, evaluate
from bandits.sequential.sample_ratio import check_sample_ratio
from experiments.storefront import LiveCampaign, SlotSettings
from experiments.storefront.decide import Question
from experiments.storefront.journal import Decide, Reward
from experiments.storefront.log import decision_log
from experiments.storefront.worker import Worker

from .conftest import TEXTS

RATES = dict(zip(TEXTS, (0.05, 0.1, 0.2), strict=True))
EVENTS = 12_000


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A slot with a tenth held out, 12,000 events of 6,000 visitors, and clicks at known rates."""
    from .conftest import Hands

    clock, rng = Hands(), np.random.default_rng(0)
    path = tmp_path_factory.mktemp("live") / "shop.db"
    with LiveCampaign.open(path, "hero", TEXTS, settings=SlotSettings(holdout=0.1), clock=clock) as hero:
        slot = hero.slots.get("default", "hero")
        questions = [Question(str(number), unit=f"u{number // 2}") for number in range(EVENTS)]
        decided = [hero.journal.submit(Decide(slot, question, slot.choose(question))) for question in questions]
        clicked = [hero.journal.submit(Reward("default", question.event_id, "click", 1.0))
                   for question, choice in zip(questions, decided, strict=True)
                   if rng.random() < RATES[slot.state.slate[choice.result().place]]]  # fmt: skip
        assert {future.result() for future in clicked} == {"joined"}
        clock.turn(2000)
        worker = Worker(hero.engine, clock=clock, write=False)
        worker.round()
        worker.slots.refresh()
        yield decision_log(hero.engine, worker.slots.get("default", "hero")), worker.slots.get("default", "hero")


def guarded(path, clock, rates, guard=True):
    """The slot after 4,000 events, half of them held out, at the click rates of baseline and other texts."""
    rng, settings = np.random.default_rng(1), SlotSettings(holdout=0.5, guard=guard)
    with LiveCampaign.open(path, "hero", TEXTS, settings=settings, clock=clock) as hero:
        slot = hero.slots.get("default", "hero")
        for number in range(4000):
            choice = slot.choose(Question(str(number)))
            hero.journal.submit(Decide(slot, Question(str(number)), choice))
            if rng.random() < rates[choice.reason == "bandit"]:
                last = hero.journal.submit(Reward("default", str(number), "click", 1.0))
        last.result()
        clock.turn(2000)
        Worker(hero.engine, clock=clock, write=False).round()
        hero.slots.refresh()
        return hero.slots.get("default", "hero")


def test_a_slot_that_does_harm_is_turned_off_and_no_other(tmp_path, clock):
    assert guarded(tmp_path / "harm.db", clock, (0.3, 0.1)).settings.mode == "off"
    assert guarded(tmp_path / "none.db", clock, (0.2, 0.2)).settings.mode == "online"
    assert guarded(tmp_path / "told.db", clock, (0.3, 0.1), guard=False).settings.mode == "online"


def test_the_log_has_every_event_once_with_its_propensity(played):
    log, slot = played
    assert sorted(map(int, log["event_id"].to_pylist())) == list(range(EVENTS))
    expected = {TEXTS[0]: 0.9 / 3 + 0.1, TEXTS[1]: 0.3, TEXTS[2]: 0.3}
    for text, propensity in zip(log["text"].to_pylist(), log["propensity"].to_pylist(), strict=True):
        assert propensity == pytest.approx(expected[text])
    shown, clicked = slot.state.totals
    assert int(shown.sum()) == EVENTS
    assert int(clicked.sum()) == sum(log["click"].to_pylist())


def test_texts_come_up_as_often_as_their_propensities_say(played):
    """The sample-ratio check alarms once in a thousand times."""
    log, _ = played
    bandit = [text for text, reason in zip(log["text"].to_pylist(), log["reason"].to_pylist(), strict=True)
              if reason == "bandit"]  # fmt: skip
    counts = np.array([[bandit.count(text) for text in TEXTS]])
    assert not check_sample_ratio(counts, np.full((1, 3), 1 / 3), alpha=0.001).mismatch.any()


@pytest.mark.parametrize("target", [{TEXTS[2]: 1.0}, {TEXTS[0]: 0.5, TEXTS[1]: 0.5}], ids=["the best", "two alike"])
def test_estimates_from_the_log_recover_the_known_value(played, target):
    """Within four standard errors: wrong once in 16,000 times."""
    log, _ = played
    found = evaluate(log, target, columns=Columns(visitor="visitor"), interval="normal")
    truth = sum(share * RATES[text] for text, share in target.items())
    for row in found.estimates:
        if row.estimator in ("IPS", "SNIPS", "DR"):
            assert abs(row.value - truth) < 4 * row.standard_error, row.estimator
