"""What a model writes from vectors of a space, whatever room it has."""

from __future__ import annotations

from torch import Tensor

from embeddings.context import in_context
from embeddings.space import Space
from generator.decoding import MAX_TOKENS, Decoded, decode


def read(space: Space, vectors: Tensor) -> list[Decoded]:
    """Return the greedy continuation of each of some vectors (B, P, D) between the context of their space."""
    room = min(MAX_TOKENS, space.model.positions - space.prefix)
    return decode(space.model, in_context(space.model, vectors, space.context_ids), max_tokens=room)
