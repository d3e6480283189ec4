"""An instruct model as environment: what it says of a text depends on that alone, and nonsense changes nothing."""

import pytest

from copyloom import InputError
from experiments.eagle.actions import Action, Rewrite
from experiments.eagle.instructed import Instructed
from experiments.eagle.prompted import nonsense

TEXTS = [f"A kettle of steel, number {number}." for number in range(5)]


@pytest.fixture(scope="module")
def instructed(random_model):
    return Instructed(random_model(max_position_embeddings=512), 12)


def asking(wish):
    return Action(wish, "generic", (wish,), "{text} {wish}")


def test_a_change_depends_on_its_text_and_action_alone(instructed):
    actions = [asking("Warmer."), asking("Say it in far fewer words.")] * 2 + [asking("Warmer.")]
    together = list(instructed.changes(TEXTS, actions, 0))
    alone = [next(instructed.changes([text], [action], 1)) for text, action in zip(TEXTS, actions, strict=True)]
    assert together == alone
    assert all(one.text == text for one, text in zip(together, TEXTS, strict=True) if one.fault)
    assert all(not nonsense(one.text, text, action)
               for one, text, action in zip(together, TEXTS, actions, strict=True) if not one.fault)  # fmt: skip


def test_what_is_not_in_words_is_refused_before_anything_is_asked(instructed):
    edit = Action("rewrite", "generic", operations=(Rewrite(),))
    with pytest.raises(InputError, match="needs words"):
        next(instructed.changes(TEXTS[:2], [asking("Warmer."), edit], 0))


def test_answers_differ_by_seed_and_come_back_for_the_same_one(instructed):
    many = 11  # of which eight are decoded at a time
    first = instructed.answers("What is a kettle?", many, 0)
    assert first == instructed.answers("What is a kettle?", many, 0)
    assert len(first) == many
    assert len(set(first)) > 2
    assert first != instructed.answers("What is a kettle?", many, 1)
