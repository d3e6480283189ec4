"""Training an editor: what it learns from is what was judged, and a stopped run ends as one that was not."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from copyloom import InputError
from experiments.training import editor
from experiments.training.editor import EditorTraining, judged_drafts, train_editor
from generator.editor import EDITOR_FILE
from generator.eight_bits import unpacked
from generator.language_model import LanguageModel
from generator.models import SHIPPED

SMALL = EditorTraining(model=SHIPPED, rank=2, groups=2, steps=12, warmup=2, checkpoint_seconds=0.0001)


def quiet(stage: str, done: int, total: int) -> None:
    pass


def test_judged_drafts_are_whole():
    judged = judged_drafts()
    assert len(judged) >= 200
    assert 0.08 < sum(one.held_out for one in judged) / len(judged) < 0.12
    for one in judged:
        assert len(one.parents) == 2
        assert len(one.drafts) == len(one.read) == len(one.belongs) > 0
        assert set(one.read) <= {0, 1, 2, 3}
        assert set(one.belongs) <= {0, 1}
        assert all(one.read[place] == 3 and one.belongs[place] and not one.printable[place] for place in one.not_alone)


def test_a_stopped_training_ends_as_one_that_was_not(tmp_path, monkeypatch):
    few = judged_drafts()[:12]
    monkeypatch.setattr(editor, "judged_drafts", lambda: few)
    found = train_editor(SMALL, tmp_path / "whole", quiet, "cpu")
    assert found["groups"] == sum(one.held_out for one in few)
    assert 0 <= found["drafts"] <= found["best"] <= 1
    loss = editor._Training._loss

    def stop(training, step):
        if step == 7:
            raise KeyboardInterrupt
        return loss(training, step)

    monkeypatch.setattr(editor._Training, "_loss", stop)
    with pytest.raises(KeyboardInterrupt):
        train_editor(SMALL, tmp_path / "stopped", quiet, "cpu")
    monkeypatch.setattr(editor._Training, "_loss", loss)
    train_editor(SMALL, tmp_path / "stopped", quiet, "cpu")
    whole, stopped = (load_file(tmp_path / name / EDITOR_FILE) for name in ("whole", "stopped"))
    assert whole.keys() == stopped.keys()
    assert all(torch.equal(value, stopped[name]) for name, value in whole.items())
    others = [replace(few[0], read=tuple(3 - grade for grade in few[0].read)), *few[1:]]
    monkeypatch.setattr(editor, "judged_drafts", lambda: others)
    with pytest.raises(InputError, match="another configuration"):
        train_editor(SMALL, tmp_path / "stopped", quiet, "cpu")


def test_a_loss_that_is_no_number_stops_the_training(tmp_path, monkeypatch):
    monkeypatch.setattr(editor, "judged_drafts", lambda known=judged_drafts: known()[:12])
    known = editor._Training._loss
    monkeypatch.setattr(editor._Training, "_loss", lambda training, step: known(training, step) * float("nan"))
    with pytest.raises(InputError, match="lower rates"):
        train_editor(SMALL, tmp_path, quiet, "cpu")
    assert not (tmp_path / EDITOR_FILE).exists()


def test_held_out_drafts_are_not_trained_on(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(editor, "_Training", lambda config, model, judged, *rest: seen.extend(judged) or _Stop())
    with pytest.raises(InterruptedError):
        train_editor(SMALL, tmp_path, quiet, "cpu")
    assert seen
    assert not any(one.held_out for one in seen)


class _Stop:
    def run(self):
        raise InterruptedError


def test_every_group_is_read_once_before_any_is_read_twice(monkeypatch, tmp_path):
    few = [one for one in judged_drafts() if not one.held_out][:5]
    config = SMALL.model_copy(update={"groups": 1})
    training = editor._Training(config, LanguageModel.load(SHIPPED), few, tmp_path, quiet, False)
    order = [training._in_turn(number) for number in range(15)]
    for first in (0, 5, 10):
        assert {one.parents for one in order[first : first + 5]} == {one.parents for one in few}
    batches = [training._batch(step) for step in range(2)]
    assert [training._batch(step) for step in range(2)] == batches
    for (group,) in batches:
        assert len(group.texts) == len(group.verdicts)
        assert all(text[-1] == training.reader.end for text in group.texts)


def test_the_order_of_drafts_costs_where_it_is_not_the_readers():
    worth = torch.tensor([1.0, 0.1])
    right, wrong = editor._order(torch.tensor([5.0, -5.0]), worth), editor._order(torch.tensor([-5.0, 5.0]), worth)
    assert right < 1e-3
    assert wrong == pytest.approx(0.9 * 10 / 2, rel=1e-3)
    assert editor._order(torch.tensor([-5.0, 5.0]), torch.ones(2)) == 0


def test_it_goes_on_from_another_editor(tmp_path, monkeypatch):
    few = [one for one in judged_drafts() if not one.held_out][:12]
    monkeypatch.setattr(editor, "judged_drafts", lambda: few)
    train_editor(SMALL, tmp_path / "first", quiet, "cpu")
    config = SMALL.model_copy(update={"start_from": str(tmp_path / "first")})
    training = editor._Training(config, LanguageModel.load(SHIPPED), few, tmp_path, quiet, False)
    begun = {name: value for name, value in training._parameters().items()}
    kept = unpacked(load_file(tmp_path / "first" / EDITOR_FILE))
    assert begun.keys() == kept.keys()
    assert all(torch.equal(value, kept[name]) for name, value in begun.items())
    with pytest.raises(InputError, match="no editor to go on from"):
        train_editor(config.model_copy(update={"start_from": str(tmp_path)}), tmp_path / "none", quiet, "cpu")
