"""Only embeddings of one space go together; the error names both spaces and what differs."""

from dataclasses import fields, replace

import pytest
import torch

from copyloom import SpaceError
from embeddings.summary import SpaceIdentity, SummaryEmbedding, check_same_space

SPACE = SpaceIdentity("tiny", "a1", "b2", "minilm", "c3", vectors=2, hidden_size=3)


def embedding(text, space=SPACE):
    return SummaryEmbedding(text, torch.zeros(2, 3), torch.zeros(5), space, True, 1.0, 3, "adapter")


def test_one_space_is_returned():
    assert check_same_space([embedding("a"), embedding("b"), embedding("c", replace(SPACE))]) == SPACE


@pytest.mark.parametrize("field", [field.name for field in fields(SpaceIdentity)])
def test_every_difference_is_named(field):
    mine = getattr(SPACE, field)
    theirs = 99 if isinstance(mine, int) else "another"
    other = replace(SPACE, **{field: theirs})
    with pytest.raises(SpaceError) as raised:
        check_same_space([embedding("first text"), embedding("second text"), embedding("third text", other)])
    message = str(raised.value)
    assert f"{field}: {mine} and {theirs}" in message
    assert all(part in message for part in ("first text", "third text", str(SPACE), str(other), "invert the texts"))


def test_all_must_be_of_the_space_that_is_asked_for():
    assert check_same_space([embedding("a")], SPACE) == SPACE
    with pytest.raises(
        SpaceError, match=r"this model works in tiny \(parameters a9.*'a' is stored in tiny \(parameters a1"
    ):
        check_same_space([embedding("a")], replace(SPACE, parameters="a9"))
