"""A campaign is the fold of its events: whichever way these come, once they are in."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from copyloom import InputError
from embeddings.summary import Lineage
from experiments.campaigns.config import PolicyConfig
from experiments.campaigns.events import (
    HAPPENING,
    Admitted,
    Closed,
    Draft,
    Event,
    Happening,
    Opened,
    Promoted,
    Published,
    Retired,
    Reviewed,
    Written,
)
from experiments.campaigns.state import State, apply, replay
from generator.checks import Refusal

OPENED = Opened(slate=("Tea that wakes you.", "A quiet kettle."), parents=("Tea that wakes you.", "A quiet kettle."),
                segments=("new", "old"))  # fmt: skip
HALVES = Lineage(OPENED.parents, (0.5, 0.5))
GOOD = Draft(HALVES, "A kettle that wakes you.")
BAD = Draft(HALVES, "A kettle that wakes 40 thousand.", (Refusal("invented number", "no 40 in the record"),))


def published(number: int, texts: int = 2) -> Published:
    return Published(snapshot=number, probabilities=(1 / texts,) * texts, impressions=100)


def closed(name: str, snapshot: int = 0, *counts: tuple[int, int, int, int], context: str = "") -> Closed:
    return Closed(id=name, snapshot=snapshot, counts=counts or ((0, 0, 60, 3), (1, 1, 40, 1)), context=context)


def test_what_each_event_does() -> None:
    state = replay([OPENED, Written(drafts=(GOOD, BAD))])
    assert state.waiting == [GOOD.text]
    assert state.tried == {HALVES}
    state = replay([Admitted(texts=(GOOD.text,)), published(0, 3), closed("a"), Promoted(texts=(GOOD.text,))], state)
    assert state.slate == (*OPENED.slate, GOOD.text)
    assert state.written == {GOOD.text: HALVES}
    assert state.waiting == []
    assert state.parents == (*OPENED.parents, GOOD.text)
    assert [counts.tolist() for counts in state.totals] == [[60, 40, 0], [3, 1, 0]]
    assert state.snapshot is not None
    assert state.snapshot.texts == state.slate
    assert apply(state, Retired(texts=("A quiet kettle.",), reason="sold out")).retired == {"A quiet kettle."}


def test_a_mixture_says_once_what_becomes_of_it_however_many_texts_it_brings() -> None:
    other, alone = Draft(HALVES, "A kettle that sings."), Draft(Lineage(OPENED.parents[:1], (1.0,)), "Tea that sings.")
    thirds = Lineage(OPENED.parents, (0.7, 0.3))
    late = [Draft(thirds, BAD.text, BAD.refusals), Draft(thirds, "A quiet kettle that wakes you.")]
    state = replay([OPENED, Written(drafts=(GOOD, other, alone)), Written(drafts=tuple(late))])
    assert state.mixed == [GOOD]
    assert state.waiting == [GOOD.text, other.text, alone.text, late[1].text]


def test_segments_and_contexts_stay_apart() -> None:
    state = replay([OPENED, published(0), closed("a", 0, (0, 0, 5, 1), (0, 1, 7, 2)), closed("b", 0, (0, 0, 3, 0),
                    context="phone")])  # fmt: skip
    assert state.counts == {(0, 0, ""): (5, 1), (0, 1, ""): (7, 2), (0, 0, "phone"): (3, 0)}


def test_a_person_decides_where_texts_are_reviewed() -> None:
    state = replay([OPENED.model_copy(update={"review": True}), Written(drafts=(GOOD,))])
    assert state.waiting == []
    yes, no = (Reviewed(texts=(GOOD.text,), approved=approved, by="Ada") for approved in (True, False))
    assert apply(state, yes).waiting == [GOOD.text]
    assert replay([yes, no], state).waiting == []
    with pytest.raises(InputError, match="admitted cannot have happened"):
        apply(state, Admitted(texts=(GOOD.text,)))


@pytest.mark.parametrize("impossible", [
    OPENED, Admitted(texts=(BAD.text,)), Admitted(texts=("Never written.",)), Promoted(texts=(BAD.text,)),
    published(0, 3), published(5), closed("a", 1), closed("a", 0, (2, 0, 1, 0)), closed("a", 0, (0, 2, 1, 0)),
    closed("a", 0, (0, 0, 1, 2)), Retired(texts=OPENED.slate, reason="all"), Retired(texts=("Not shown.",), reason=""),
])  # fmt: skip
def test_what_cannot_have_happened_is_refused_and_changes_nothing(impossible: Happening) -> None:
    state = replay([OPENED, Written(drafts=(BAD,)), published(0)])
    before = State(**vars(replay([OPENED, Written(drafts=(BAD,)), published(0)])))
    with pytest.raises(InputError):
        apply(state, impossible)
    assert state == before


@given(st.data())
def test_outcomes_count_once_in_any_order(data: st.DataObject) -> None:
    """Late, doubled and shuffled outcomes end in the state of those that came once and in order."""
    count = data.draw(st.integers(1, 6))
    snapshots = [published(number) for number in range(count)]
    cell = st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 50), st.just(0))
    outcomes = [
        closed(f"{number}/{part}", number, *data.draw(st.lists(cell, min_size=1, max_size=3)), context=context)
        for number in range(count)
        for part, context in enumerate(data.draw(st.lists(st.sampled_from(["", "phone", "früh"]), max_size=3)))
    ]
    clean = replay([OPENED, *snapshots, *outcomes])
    doubled = [*outcomes, *data.draw(st.lists(st.sampled_from(outcomes), max_size=5))] if outcomes else []
    state = replay([OPENED])
    waiting = list(data.draw(st.permutations(doubled)))
    for number, snapshot in enumerate(snapshots):
        state = apply(state, snapshot)
        ready = [one for one in waiting if one.snapshot <= number and data.draw(st.booleans())]
        state = replay(ready, state)
        waiting = [one for one in waiting if one not in ready]
    assert replay(waiting, state) == clean


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
LINEAGES = st.builds(Lineage, st.tuples(TEXT, TEXT), st.tuples(st.floats(-2, 2), st.floats(-2, 2)))
HAPPENINGS = st.one_of(
    st.builds(Opened, slate=st.tuples(TEXT), parents=st.tuples(TEXT), segments=st.tuples(TEXT)),
    st.builds(Written, drafts=st.tuples(st.builds(Draft, LINEAGES, TEXT, st.tuples(st.builds(Refusal, TEXT, TEXT))))),
    st.builds(Reviewed, texts=st.tuples(TEXT), approved=st.booleans(), by=TEXT),
    st.builds(Admitted, texts=st.tuples(TEXT)), st.builds(Promoted, texts=st.tuples(TEXT)),
    st.builds(Published, snapshot=st.integers(0, 9), probabilities=st.tuples(st.floats(0, 1)),
              impressions=st.integers(0, 10**9)),
    st.builds(Closed, id=TEXT, snapshot=st.integers(0, 9), context=TEXT,
              counts=st.tuples(st.tuples(*[st.integers(0, 10**9)] * 4))),
    st.builds(Retired, texts=st.tuples(TEXT), reason=TEXT),
)  # fmt: skip


@given(HAPPENINGS)
def test_an_event_reads_back_as_it_was_written(what: Happening) -> None:
    event = Event("c", 3, datetime(2026, 1, 1, tzinfo=UTC), what)
    assert HAPPENING.validate_json(event.body) == what


def test_an_event_has_an_id_of_its_own() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    ids = {Event(*key, at, what).id for key in [("a", 0), ("a", 1), ("b", 0)] for what in (OPENED, closed("x"))}
    assert len(ids) == 6
    assert Event("a", 0, at, OPENED).id == Event("a", 0, datetime.now(UTC), OPENED).id


@pytest.mark.parametrize("impossible", [
    [published(0)], [OPENED, OPENED], [OPENED.model_copy(update={"slate": ()})],
    [OPENED.model_copy(update={"slate": ("One.", "One.")})],
    [OPENED, Written(drafts=(GOOD,)), Admitted(texts=(GOOD.text, GOOD.text))],
    [OPENED, Written(drafts=(GOOD,)), Promoted(texts=(GOOD.text,)), Promoted(texts=(GOOD.text,))],
    [OPENED.model_copy(update={"policy": PolicyConfig(holdout={"text": "Not stored."})})],
    [OPENED.model_copy(update={"policy": PolicyConfig(holdout={})}), Retired(texts=OPENED.slate[:1], reason="")],
])  # fmt: skip
def test_histories_that_cannot_be(impossible: list[Happening]) -> None:
    with pytest.raises(InputError, match="cannot have happened"):
        replay(impossible)


def test_numbers_that_are_none_are_no_events() -> None:
    with pytest.raises(ValidationError):
        Published(snapshot=0, probabilities=(float("nan"), 1.0), impressions=3)
