"""A subject is one vector for each slot that its record fills, and the rest is masked."""

import torch

from embeddings.subject import SUBJECT_SLOTS, SubjectAdapter, present_slots, subject_phrases
from generator.decoding import Prefix, decode
from generator.record import KINDS, SLOTS_PER_KIND, ProductRecord

KNIFE = ProductRecord(name="chef knife", plural="chef knives", quality=["balanced", "light"], offer=["free shipping"])
MUG = ProductRecord(name="mug")


def test_each_slot_but_the_plural_has_a_position():
    assert len(SUBJECT_SLOTS) == 1 + len(KINDS) * SLOTS_PER_KIND
    assert SUBJECT_SLOTS[:3] == ("<name>", "<quality 1>", "<quality 2>")
    assert "<names>" not in SUBJECT_SLOTS


def test_phrases_stand_at_their_slots():
    phrases = dict(zip(SUBJECT_SLOTS, subject_phrases(KNIFE), strict=True))
    assert {slot: phrase for slot, phrase in phrases.items() if phrase} == {
        "<name>": "chef knife",
        "<quality 1>": "balanced",
        "<quality 2>": "light",
        "<offer 1>": "free shipping",
    }


def test_presence_is_where_phrases_are():
    present = present_slots([KNIFE, MUG])
    assert present.dtype == torch.bool
    assert present.sum(1).tolist() == [4, 1]
    assert [slot for slot, there in zip(SUBJECT_SLOTS, present[1], strict=True) if there] == ["<name>"]


def test_the_prefix_is_the_formula():
    torch.manual_seed(0)
    adapter = SubjectAdapter(sentence_size=9, hidden_size=4)
    z = torch.randn(2, len(SUBJECT_SLOTS), 9)
    expected = z * 3 @ adapter.meaning.weight.T + adapter.meaning.bias + adapter.slot.weight
    torch.testing.assert_close(adapter(z), expected)


def test_a_subject_of_the_shipped_model_has_one_shape_and_its_own_mask(space):
    for record in (KNIFE, MUG):
        prefix = space.writer.subject(record)
        assert prefix.vectors.shape == (len(SUBJECT_SLOTS), space.model.hidden_size)
        assert torch.equal(prefix.present, present_slots([record])[0])


def test_a_subject_is_the_same_after_another(space):
    first = space.writer.subject(KNIFE).vectors
    space.writer.subject(MUG)
    assert torch.equal(space.writer.subject(KNIFE).vectors, first)


def test_positions_of_absent_slots_change_no_text(space):
    vectors = space.adapter(torch.nn.functional.normalize(torch.randn(3, 384), dim=1)).detach()
    prefix = space.writer.subject(KNIFE)
    noise = torch.where(prefix.present[:, None], prefix.vectors, 5 * torch.randn_like(prefix.vectors))
    assert decode(space.model, vectors, prefix, 24) == decode(space.model, vectors, Prefix(noise, prefix.present), 24)
