"""The shipped writer's own edits: each goes where it is asked to, or the text stays."""

from pathlib import Path

import pytest
import torch

from copyloom import InputError
from embeddings.directions import Direction
from embeddings.effort import Effort
from embeddings.space import Space
from experiments.eagle.actions import Action, Mix, Rewrite, Steer, generic
from experiments.eagle.edits import WriterEdits
from experiments.eagle.environments import Remembered

TEXT = "Drop by and get to know our ergonomic garden rake."
OTHER = "May this quiet kettle bring you back to yourself."


@pytest.fixture(scope="module")
def writer() -> WriterEdits:
    space = Space.load("copyloom-tiny", "cpu")
    here, there = space.encoder.encode([TEXT, "Would you like a garden rake?"])
    normal = torch.nn.functional.normalize(there - here, dim=0)
    question = Direction("question", ("other",), normal, space.encoder.name, 1.0, 10)
    return WriterEdits(space, [question], Effort(drafts=2, rounds=0))


def action(*operations) -> Action:
    return Action("x", "generic", operations=operations)


def test_edits_go_where_they_are_asked_to_and_never_depend_on_each_other(writer: WriterEdits, tmp_path: Path) -> None:
    asked = [action(Steer("question", 1)), action(Mix(OTHER, 0.5)), action(Rewrite(), Mix(OTHER, 0.5))]
    environment = Remembered(writer, tmp_path / "changes.jsonl")
    together = environment.changed([TEXT] * 3, asked)
    assert Remembered(writer, tmp_path / "alone.jsonl").changed([TEXT], asked[1:2]) == together[1:2]
    changed = [text for text in together if text != TEXT]
    assert len(changed) == 3 - environment.faults.total() >= 2
    steered = writer.space.encoder.encode([TEXT, together[0]]) @ writer.directions[0].normal
    assert together[0] == TEXT or steered[1] > steered[0]


def test_what_the_writer_cannot_do_is_refused(writer: WriterEdits) -> None:
    with pytest.raises(InputError, match="no direction 'calm'; there are question"):
        list(writer.changes([TEXT], [action(Steer("calm", 1))], 0))
    with pytest.raises(InputError, match="need operations"):
        list(writer.changes([TEXT], generic("products")[:1], 0))
