"""Readability: broken texts are stranger than whole ones, and faults of grammar are named."""

import pytest
import torch

from generator.readability import READABLE, Readability, grammar_faults, strangeness


@pytest.mark.parametrize(
    ("text", "fault"),
    [("We has the best mugs.", "agree"), ("An knife that cuts.", "article"), ("This is the the lid.", "repeat")],
)
def test_faults_of_grammar(text: str, fault: str) -> None:
    assert any(fault in found.message for found in grammar_faults(text))


@pytest.mark.parametrize(
    "text", ["council backs rail crossing", "Sunny 2BR w/ parking", "Café 日本 ★", "", "Why wait?"]
)
def test_shorthand_and_other_letters_are_no_faults(text: str) -> None:
    assert grammar_faults(text) == []


def test_strangeness_does_not_depend_on_the_texts_beside(space) -> None:
    texts = ["This quiet kettle is made of steel.", "Steel of is kettle made quiet this.", "A", ""]
    every = strangeness(space.critic, texts)
    assert every.mean[0] + 1 < every.mean[1]
    assert every.mean[2:].tolist() == [0.0, 0.0]
    for number, text in enumerate(texts):
        alone = strangeness(space.critic, [text])
        assert torch.equal(alone.mean[0], every.mean[number])
        assert torch.equal(alone.worst[0], every.worst[number])


def test_a_text_keeps_as_many_clicks_as_it_reads_like_peoples(space) -> None:
    usual = ["This quiet kettle is made of steel.", "Our warm lamp is made of oak.", "A mug for early risers."]
    broken, whole, sound = "Steel of is kettle made quiet this.", "This warm kettle is made of oak.", "Oak oak the of"
    judge = Readability(space.critic, usual, [sound])
    kept = judge([*usual, whole, broken, sound, broken])
    assert kept[:3].tolist() == [1, 1, 1]
    assert kept[3] >= READABLE > kept[4] == kept[6]
    assert kept[5] == 1
    assert ((kept >= 0) & (kept <= 1)).all()
    assert Readability(space.critic, [])([]).shape == (0,)
