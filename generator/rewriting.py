"""Rewriting: a draft up to some token, another token there, and what the model then goes on to write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from generator.decoding import Decoded, decode
from generator.language_model import LanguageModel
from generator.likelihood import expectations

_UNLIKELY = -6.0
"""Log-probability below which it does not matter how unlikely the draft's own token is."""


@dataclass(frozen=True)
class Rewriting:
    """A text to be rewritten.

    Parameters
    ----------
    row : int
        Which of the embeddings it is to be rewritten towards.
    ids : tuple of int
        Its tokens, without end-of-text.
    favoured : frozenset of int
        Tokens that are wanted in it: those of the texts that are mixed.
    """

    row: int
    ids: tuple[int, ...]
    favoured: frozenset[int] = frozenset()


def rewrite(
    model: LanguageModel, embeddings: Tensor, drafts: Sequence[Rewriting], count: int, favour: float = 3.0,
    least: float = -6.0,
) -> list[list[Decoded]]:  # fmt: skip
    """Return rewritings of each draft, as the model that reads an embedding would change it.

    At every place of a draft where a word begins or the text ends, every other token that may stand there is given the
    log-probability that the model gives it minus that of the draft's own token. The best tokens of all places are put
    in, one at a time, and the model goes on greedily from there; the texts are whole, so that they can be re-embedded.

    Parameters
    ----------
    model : LanguageModel
    embeddings : Tensor of shape (B, P, D)
    drafts : sequence of Rewriting
    count : int
        Rewritings of each draft, at most.
    favour : float
        Added for favoured tokens, in nats.
    least : float
        Log-probability below which no token is tried, wanted or not.

    Returns
    -------
    list of list of Decoded
        For each draft, the most likely change first. Neither depends on the other drafts.
    """
    if not drafts:
        return []
    every: list[list[tuple[int, int]]] = [[]] * len(drafts)
    ids, mine = [draft.ids for draft in drafts], embeddings[[draft.row for draft in drafts]]
    for number, likely in expectations(model, mine, ids):
        every[number] = _changes(model, drafts[number], likely, count, favour, least)
    rows, forced = [], []
    for draft, changes in zip(drafts, every, strict=True):
        for place, token in changes:
            rows.append(draft.row)
            forced.append([*draft.ids[:place], token])
    texts = iter(decode(model, embeddings[rows], forced=forced))
    return [[next(texts) for _ in changes] for changes in every]


def _changes(
    model: LanguageModel, draft: Rewriting, likely: Tensor, count: int, favour: float, least: float
) -> list[tuple[int, int]]:
    """Return the places and tokens of a draft's best changes, given the log-probabilities (L + 1, V) at its places."""
    starts = model.starts_word.to(likely.device)
    own = torch.tensor([*draft.ids, model.end], device=likely.device)[: len(likely), None]
    gain = likely - likely.gather(1, own).clamp_min(_UNLIKELY)
    gain[:, sorted(draft.favoured)] += favour
    gain[1:] = gain[1:].masked_fill(~(starts & starts[own[1:]]), -torch.inf)
    gain = gain.masked_fill(likely < least, -torch.inf).scatter_(1, own, -torch.inf)
    best, where = gain.flatten().topk(min(count, gain.numel()))
    return [divmod(index, gain.shape[1]) for index in where[best > -torch.inf].tolist()]
