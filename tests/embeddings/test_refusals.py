"""Copies and pastes: how alike two texts are, and which texts are two parents cut together."""

from embeddings.refusals import is_copy, is_paste, likeness

PARENTS = ("Give travelers the drone that says you care.", "The backpack that people will not stop talking about.")


def test_pastes_and_likeness():
    assert is_paste("Give travelers the drone that people will not stop talking about.", PARENTS)
    assert not is_paste("The drone that travelers talk about.", PARENTS)
    assert not is_paste(PARENTS[0], PARENTS)
    assert not is_paste("", PARENTS)
    assert likeness("A kettle.", "a KETTLE") == 1.0
    assert likeness("A kettle.", "One lamp") == 0.0


def test_sentences_in_another_order_are_a_copy():
    parent = "Why settle for flat sound? Hear every note with our headphones."
    assert is_copy("Hear every note with our headphones. Why settle for flat sound?", parent)
    assert is_copy("Why settle for flat sound? hear every note with our headphones", parent)
    assert is_copy("Hear every note with our headphones.", parent)
    assert is_copy("Settle for flat sound?", parent)
    assert not is_copy("Settle for headphones?", parent)
    assert not is_copy("With our headphones, hear every note.", parent)
