"""The same events are the same counts, and the same belief, however they come."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bandits import LogisticRewardModel, RewardPrior
from bandits.rewards.outcomes import Event, Outcomes
from copyloom import InputError

TEXTS = ["a", "b", "c"]


@st.composite
def logs(draw):
    """Decisions with none, one or several rewards each, in time or late, of any size from -2 to 5."""
    events = []
    for key in range(draw(st.integers(1, 12))):
        shown = Event(f"d{key}", draw(st.sampled_from(TEXTS)), float(draw(st.integers(0, 100))))
        events.append(shown)
        for _ in range(draw(st.integers(0, 3))):
            reward, delay = draw(st.floats(-2, 5)), draw(st.integers(0, 40))
            events.append(replace(shown, reward=reward, arrived_at=shown.shown_at + delay))
    return events


@settings(max_examples=80, deadline=None)
@given(events=logs(), now=st.integers(0, 160), data=st.data())
def test_order_batches_and_repetitions_are_irrelevant(events, now, data):
    straight = Outcomes(TEXTS, window_seconds=20, least=-2, most=5)
    straight.add(events)
    mixed = Outcomes(TEXTS, window_seconds=20, least=-2, most=5)
    again = data.draw(st.lists(st.sampled_from(events), max_size=10))
    left = data.draw(st.permutations([*events, *again]))
    while left:
        size = data.draw(st.integers(1, len(left)))
        mixed.add(left[:size])
        mixed.counts(float(now))  # looking changes nothing
        left = left[size:]
    for ours, theirs in zip(mixed.counts(float(now)), straight.counts(float(now)), strict=True):
        assert torch.equal(ours, theirs)


@settings(max_examples=25, deadline=None)
@given(clicked=st.lists(st.tuples(st.sampled_from(TEXTS), st.booleans()), min_size=1, max_size=30), data=st.data())
def test_the_belief_is_the_same_to_the_last_bit(clicked, data):
    events = [Event(f"d{i}", text, float(i), *((1.0, i + 3.0) if c else ())) for i, (text, c) in enumerate(clicked)]
    features, model = torch.tensor([[1.0], [0.0], [-1.0]]), LogisticRewardModel(RewardPrior(0.1))
    beliefs = []
    for batch in (events, data.draw(st.permutations(events + events[:5]))):
        outcomes = Outcomes(TEXTS, window_seconds=10)
        outcomes.add(batch)
        shown, clicks, _ = outcomes.counts(now=100.0)
        beliefs.append(model.fit(features, shown, clicks))
    assert torch.equal(beliefs[0].mean, beliefs[1].mean)
    assert torch.equal(beliefs[0].precision_cholesky, beliefs[1].precision_cholesky)


@settings(max_examples=60, deadline=None)
@given(events=logs(), now=st.integers(0, 160))
def test_counts_are_those_of_closed_windows(events, now):
    """Written out: at `now`, no event after it can matter, and each decision is in or out as a whole."""
    outcomes = Outcomes(TEXTS, window_seconds=20, least=-2, most=5)
    outcomes.add(events)
    known = Outcomes(TEXTS, window_seconds=20, least=-2, most=5)
    known.add(event for event in events if event.arrived_at is None or event.arrived_at <= now)
    expected = {text: [] for text in TEXTS}
    for key in {event.decision for event in events}:
        mine = [event for event in events if event.decision == key]
        if mine[0].shown_at + 20 <= now:
            inside = [e.reward for e in mine if e.reward is not None and e.arrived_at <= e.shown_at + 20]
            expected[mine[0].text].append(max(inside, default=0.0))
    counts, totals, squares = outcomes.counts(float(now))
    assert counts.tolist() == [len(expected[text]) for text in TEXTS]
    assert totals.tolist() == pytest.approx([sum(expected[text]) for text in TEXTS], abs=1e-12)
    assert squares.tolist() == pytest.approx([sum(r * r for r in expected[text]) for text in TEXTS])
    for ours, theirs in zip(outcomes.counts(float(now)), known.counts(float(now)), strict=True):
        assert torch.equal(ours, theirs)


def test_open_decisions_would_bias_the_rate():
    """Half of 4,000 shoppers click, after up to a minute; half are still undecided when we look."""
    stream = torch.Generator().manual_seed(41)
    delay = (60 * torch.rand(4000, generator=stream, dtype=torch.float64)).tolist()
    clicks = (torch.rand(4000, generator=stream) < 0.5).tolist()
    events = [Event(str(i), "a", i / 40, *((1.0, i / 40 + delay[i]) if clicks[i] else ())) for i in range(4000)]
    outcomes = Outcomes(["a"], window_seconds=60)
    outcomes.add(event for event in events if event.shown_at <= 90 and (event.arrived_at or 0) <= 90)
    shown, clicked, _ = outcomes.counts(now=90.0)
    assert shown.item() == 1201  # those shown in the first 30 seconds
    assert abs(clicked.item() / shown.item() - 0.5) < 4 * 0.5 / math.sqrt(1201)


def test_new_texts_join_behind():
    outcomes = Outcomes(["a"], window_seconds=0)
    outcomes.add([Event("1", "a", 0.0, 1.0, 0.0)])
    outcomes.add_texts(["b", "c"])
    outcomes.add([Event("2", "c", 0.0)])
    assert outcomes.counts(0.0)[0].tolist() == [1, 0, 1]
    assert Outcomes([], window_seconds=0).counts(0.0)[0].tolist() == []


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (Event("9", "z", 0.0), "decision '9' shows text 'z', which is unknown"),
        (Event("9", "a", math.nan), "shown_at of decision '9' is nan"),
        (
            Event("9", "a", 0.0, 1.5, 1.0),
            "reward of decision '9' is 1.5; pass a finite number at least 0 and at most 1",
        ),
        (Event("9", "a", 0.0, math.nan, 1.0), "reward of decision '9' is nan"),
        (Event("9", "a", 5.0, 1.0, 4.0), "arrived_at of decision '9' is 4.0"),
        (Event("9", "a", 5.0, 1.0), "arrived_at of decision '9' is None"),
        (Event("1", "b", 0.0), "decision '1' shows text 'b' at 0.0, but before it showed 'a' at 0.0"),
        (Event("2", "b", 1.0), "decision '2' shows text 'b' at 1.0, but before it showed 'b' at 0.0"),
    ],
)
def test_a_bad_event_leaves_everything_as_it_was(event, message):
    outcomes = Outcomes(["a", "b"], window_seconds=10)
    outcomes.add([Event("1", "a", 0.0, 1.0, 3.0)])
    before = [tensor.tolist() for tensor in outcomes.counts(100.0)]
    with pytest.raises(InputError, match=message):
        outcomes.add([Event("2", "b", 0.0, 1.0, 1.0), event, Event("3", "b", 0.0)])
    assert [tensor.tolist() for tensor in outcomes.counts(100.0)] == before


def test_unusable_settings_are_refused():
    with pytest.raises(InputError, match="text 'a' is named twice"):
        Outcomes(["a", "b", "a"], window_seconds=1)
    outcomes = Outcomes(["a"], window_seconds=1)
    with pytest.raises(InputError, match="text 'a' is named twice"):
        outcomes.add_texts(["b", "a"])
    assert len(outcomes.counts(0.0)[0]) == 1
    for change in ({"window_seconds": -1}, {"least": 0.5}, {"most": -1}, {"most": math.inf}):
        with pytest.raises(InputError, match=next(iter(change))):
            Outcomes(["a"], **{"window_seconds": 1, **change})
