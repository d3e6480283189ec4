"""Decoding summary embeddings, with what always stands before and after their vectors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from generator.decoding import Decoded, decode
from generator.language_model import LanguageModel

_ROOMS = (64, 128, 256, 512)


@dataclass(frozen=True)
class Context:
    """Token ids that always stand before or after the vectors, so that these learn what the context does not say."""

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.before) + len(self.after)

    def embedded(self, model: LanguageModel) -> tuple[Tensor, Tensor]:
        """Return the input embeddings of both sides, each of shape (L, D)."""
        front, back = (model.embed(torch.tensor(ids, dtype=torch.long)) for ids in (self.before, self.after))
        return front, back


def room_for(model: LanguageModel, tokens: int, prefix: int) -> int:
    """Return the room in which a text of so many tokens, end-of-text included, is decoded: one of four."""
    free = model.positions - prefix
    return next((room for room in _ROOMS if tokens <= room <= free), min(free, _ROOMS[-1]))


def decode_vectors(model: LanguageModel, vectors: Tensor, room: int, context: Context | None = None) -> list[Decoded]:
    """Return what vectors (B, P, D) decode to within `room` tokens, between the parts of the context."""
    return decode(model, in_context(model, vectors, context), max_tokens=room)


def in_context(model: LanguageModel, vectors: Tensor, context: Context | None) -> Tensor:
    """Return vectors (B, P, D) with those of the context around them, (B, P + C, D)."""
    if not context:
        return vectors
    front, back = (side.cpu().float().expand(len(vectors), -1, -1) for side in context.embedded(model))
    return torch.cat([front, vectors, back], 1)


def decode_texts(
    model: LanguageModel, vectors: Sequence[Tensor], texts: Sequence[str], context: Context | None = None
) -> list[str]:
    """Return what each of `vectors` (P, D) decodes to, given the room that its text needs, in one of four shapes.

    A text that does not come to its end comes back cut.
    """
    context = context or Context()
    rooms: dict[int, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        room = room_for(model, len(model.tokenize(text)) + 1, len(vectors[row]) + len(context))
        rooms[room].append(row)
    decoded = [""] * len(texts)
    for room, rows in rooms.items():
        found = decode_vectors(model, torch.stack([vectors[row] for row in rows]), room, context)
        for row, result in zip(rows, found, strict=True):
            decoded[row] = result.text if result.finished else f"{result.text} [cut]"
    return decoded
