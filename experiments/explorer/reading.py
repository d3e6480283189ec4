"""What a model writes from vectors of a space, and what it says of tokens that are given."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from embeddings.context import in_context
from embeddings.space import Space
from generator.decoding import MAX_TOKENS, Decoded, decode


def read(space: Space, vectors: Tensor) -> list[Decoded]:
    """Return the greedy continuation of each of some vectors (B, P, D) between the context of their space."""
    room = min(MAX_TOKENS, space.model.positions - space.prefix)
    return decode(space.model, in_context(space.model, vectors, space.context_ids), max_tokens=room)


def logits_of(space: Space, vectors: Tensor, ids: Sequence[int]) -> Tensor:
    """Return the logits (B, T, V) from which each of T tokens is chosen where they follow vectors (B, P, D)."""
    front = in_context(space.model, vectors, space.context_ids)
    after = space.model.embed(torch.tensor(ids[:-1], dtype=torch.long)).detach().cpu().float()
    whole = torch.cat([front, after.expand(len(vectors), -1, -1)], 1).to(space.model.device.torch)
    return space.model.logits(whole)[:, front.shape[1] - 1 :].float()


def piece(space: Space, before: Sequence[int], token: int) -> str | None:
    """Return what a token adds to the text of those before it: nothing while a letter lacks bytes; None at the end."""
    if token == space.model.end:
        return None
    there, whole = (space.model.detokenize(ids).rstrip("\ufffd") for ids in (before, [*before, token]))
    return whole.removeprefix(there)
