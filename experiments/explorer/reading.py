"""What a model writes from vectors of a space, and what it says of tokens that are given."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import linear

from embeddings.context import decode_vectors, in_context, room_for
from embeddings.space import Space
from generator.decoding import MAX_TOKENS, Decoded
from generator.language_model import LanguageModel


def read(space: Space, vectors: Tensor, tokens: int = 0) -> list[Decoded]:
    """Return the greedy continuation of each of some vectors (B, P, D) between the context of their space.

    It has room for so many tokens, or, as everywhere, for 64.
    """
    room = room_for(space.model, max(tokens, MAX_TOKENS), space.prefix)
    return decode_vectors(space.model, vectors, room, space.context_ids)


def logits_of(space: Space, vectors: Tensor, ids: Sequence[int]) -> Tensor:
    """Return the logits (B, T, V) from which each of T tokens is chosen where they follow vectors (B, P, D)."""
    front = in_context(space.model, vectors, space.context_ids)
    after = space.model.embed(torch.tensor(ids[:-1], dtype=torch.long)).detach().cpu().float()
    whole = torch.cat([front, after.expand(len(vectors), -1, -1)], 1).to(space.model.device.torch)
    if (head := space.model.linear_head) is None:
        return space.model.logits(whole)[:, front.shape[1] - 1 :].float()
    return linear(space.model.hidden(whole)[:, front.shape[1] - 1 :], head.weight, head.bias).float()


def log_probabilities(space: Space, vectors: Tensor, ids: Sequence[int]) -> Tensor:
    """Return the log probability (B, T), in nats, of each of T tokens where they follow vectors (B, P, D)."""
    logs = logits_of(space, vectors, ids).log_softmax(-1).cpu()
    return logs.gather(-1, torch.tensor(ids).expand(len(vectors), -1)[..., None])[..., 0]


def piece(space: Space, before: Sequence[int], token: int) -> str | None:
    """Return what a token adds to the text of those before it: nothing while a letter lacks bytes; None at the end."""
    if token == space.model.end:
        return None
    there, whole = (space.model.detokenize(ids).rstrip("\ufffd") for ids in (before, [*before, token]))
    return whole.removeprefix(there)


def fluency_model(space: Space) -> tuple[LanguageModel, str]:
    """Return a model that reads no vectors of a space, and what it is: the critic, or what the writer was made of."""
    if space.critic is not None:
        return space.critic, f"the critic that comes with {space.model.name}"
    if space.reference is not None:
        return space.reference, f"{space.reference.name}, as it was before it became a writer"
    return space.model, f"{space.model.name} itself"
