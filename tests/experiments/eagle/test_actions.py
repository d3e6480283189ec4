"""Actions: what is asked, the four sets, and what cannot be asked."""

import pytest

from copyloom import InputError
from experiments.eagle.actions import (
    STOP,
    Action,
    Mix,
    Rewrite,
    Steer,
    action_set,
    edits,
    generic,
    macros,
    mixed_in,
    personal,
)


@pytest.mark.parametrize("domain", ["products", "films"])
def test_a_question_holds_the_text_and_the_wish_once(domain) -> None:
    text = "A {text} in {wish} braces."
    for action in (*generic(domain), *personal(domain, ["robots"])):
        question = action.question(text)
        assert question.count(text) == 1
        assert question.replace(text, "").count(action.wishes[0]) == 1
    assert len(generic(domain)) == 12
    assert "more about robots" in personal(domain, ["robots"])[0].question(text)


def test_sets_hold_what_their_names_say() -> None:
    common, mine = generic("films"), personal("films", ["robots", "Paris"])
    sets = {name: action_set(name, common, mine) for name in ("default", "without personal", "macro", "combined")}
    assert sets["default"] == [*common, *mine]
    assert sets["without personal"] == common
    assert {action.kind for action in sets["macro"]} == {"macro"}
    assert sets["combined"] == [*sets["default"], *sets["macro"]]
    with pytest.raises(InputError, match="no set of actions 'all'"):
        action_set("all", common, mine)


def test_macros_are_three_at_once_and_the_same_for_a_seed() -> None:
    drawn = macros(edits(["calm", "loud"]), count=4, seed=1)
    assert all(len(set(action.operations)) == 3 for action in drawn)
    assert len({frozenset(action.operations) for action in drawn}) == 4
    assert macros(edits(["calm", "loud"]), count=4, seed=1) == drawn
    assert macros(edits(["calm", "loud"]), count=4, seed=2) != drawn
    assert len(macros(edits(["calm"]), count=9)) == 1  # of three actions there is but one
    question = macros(generic("products"), count=1)[0].question("Buy it.")
    assert sum(action.wishes[0] in question for action in generic("products")) == 3
    with pytest.raises(InputError, match="2 were given"):
        macros(edits(["calm"])[:2])
    with pytest.raises(InputError, match="different frames"):
        macros([*generic("films"), *edits(["calm"])])


def test_the_writers_edits_go_both_ways_and_never_twice_to_one_text() -> None:
    assert [action.operations for action in edits(["calm"], 0.5)] == [
        (Steer("calm", 0.5),), (Steer("calm", -0.5),), (Rewrite(),)
    ]  # fmt: skip
    assert [action.operations for action in mixed_in(["a", "b", "a"], 0.3)] == [(Mix("a", 0.3),), (Mix("b", 0.3),)]


def test_keys_tell_what_is_done_apart_and_ignore_names() -> None:
    known = [*generic("films"), *generic("products"), *edits(["calm"]), *mixed_in(["a"]), *macros(generic("films"))]
    assert len({action.key for action in known}) == len(known)
    assert Action("x", "generic", operations=(Rewrite(),)).key == edits([])[0].key


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: Action("x", "generic"), "needs either"),
        (lambda: Action("x", "generic", ("Do it.",), "{text}"), "needs {wish} once"),
        (lambda: Action("x", "generic", ("Do it.",), "{wish} {text} {text}"), "at most once"),
        (lambda: Action("x", "generic", ("Do {text}.",), "{wish}"), "stand in the frame"),
        (lambda: personal("films", [" "]), "a tag is empty"),
        (lambda: generic("songs"), "products, films"),
        (lambda: Steer("calm", 2), "between -1 and 1"),
        (lambda: Mix("a", 1), "below 1"),
        (lambda: edits(["calm"])[0].question("Buy it."), "needs words"),
    ],
)
def test_what_cannot_be_asked_is_refused(made, said) -> None:
    with pytest.raises(InputError, match=said):
        made()


def test_stopping_is_an_action_that_leaves_a_text() -> None:
    assert STOP.question("Buy it.") == "Leave it as it is."
