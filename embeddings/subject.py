"""The subject in front of the summary embedding: one vector for each slot that the product record fills."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from generator.record import SLOTS, ProductRecord

SUBJECT_SLOTS = tuple(slot for slot in SLOTS if slot != "<names>")
"""The slots that a subject prefix has a position for, in order; the plural goes with the name."""


class SubjectAdapter(nn.Module):
    """Map the sentence vectors of a record's phrases to a prefix in the language model's input space.

    Each slot has one position, whatever its phrase: the prefix has a constant shape, and a phrase that training never
    saw is still near the phrases that mean the same. Slots without a phrase are masked. The model copies by naming the
    slot, and the record fills it, so facts stay exact (delexicalisation: Wen et al., EMNLP 2015, section 3).

    Parameters
    ----------
    sentence_size : int
        S.
    hidden_size : int
        D of the language model.
    """

    def __init__(self, sentence_size: int, hidden_size: int) -> None:
        super().__init__()
        self.meaning = nn.Linear(sentence_size, hidden_size)
        self.slot = nn.Embedding(len(SUBJECT_SLOTS), hidden_size)

    def forward(self, phrase_vectors: Tensor) -> Tensor:
        """Return the prefix (B, slots, D) for sentence vectors of the phrases (B, slots, S); absent ones are zeros."""
        scaled = phrase_vectors * phrase_vectors.shape[-1] ** 0.5
        return self.meaning(scaled) + self.slot.weight


def subject_phrases(record: ProductRecord) -> list[str | None]:
    """Return the phrase of each of `SUBJECT_SLOTS`, None where the record has none."""
    phrases = record.phrases()
    return [phrases.get(slot) for slot in SUBJECT_SLOTS]


def present_slots(records: Sequence[ProductRecord]) -> Tensor:
    """Return which of `SUBJECT_SLOTS` each record fills, a bool Tensor of shape (B, slots)."""
    return torch.tensor([[phrase is not None for phrase in subject_phrases(record)] for record in records])
