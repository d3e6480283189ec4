"""Rewriting: a draft up to some token, another token there, and what the model then goes on to write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from generator.cache import Reader
from generator.decoding import MAX_TOKENS, Decoded, decode
from generator.language_model import LanguageModel

_UNLIKELY = -6.0
"""Log-probability below which it does not matter how unlikely the draft's own token is."""


@dataclass(frozen=True)
class Draft:
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
    model: LanguageModel, embeddings: Tensor, drafts: Sequence[Draft], count: int, favour: float = 3.0,
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
    drafts : sequence of Draft
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
    places = _places(model, embeddings, drafts, count, favour, least)
    rows, forced = [], []
    for draft, changes in zip(drafts, places, strict=True):
        for place, token in changes:
            rows.append(draft.row)
            forced.append([*draft.ids[:place], token])
    texts = iter(decode(model, embeddings[rows], forced=forced))
    return [[next(texts) for _ in changes] for changes in places]


def _places(
    model: LanguageModel, embeddings: Tensor, drafts: Sequence[Draft], count: int, favour: float, least: float
) -> list[list[tuple[int, int]]]:
    """Return for each draft the places and tokens of its best changes."""
    found: list[list[tuple[int, int]]] = []
    rows, known = model.device.decode_rows, not model.device.compiles_shapes
    for first in range(0, len(drafts), rows):
        chunk = list(drafts[first : first + rows])
        padded = chunk + chunk[-1:] * (rows - len(chunk))
        with torch.no_grad(), torch.inference_mode(known):
            scores, tokens = _scores(model, embeddings[[draft.row for draft in padded]], padded, count, favour, least)
        for score, token, draft in zip(scores[: len(chunk)], tokens, chunk, strict=False):
            there = score[: len(draft.ids) + 1].flatten()  # places times tokens
            best, where = there.topk(min(count, len(there)))
            kept = where[best > -torch.inf].tolist()
            found.append([(index // count, int(token.flatten()[index])) for index in kept])
    return found


def _scores(
    model: LanguageModel, embeddings: Tensor, drafts: Sequence[Draft], count: int, favour: float, least: float
) -> tuple[Tensor, Tensor]:
    """Return the scores and ids (R, L, count) of the best other tokens at every place of the drafts."""
    device = model.device.torch
    length = min(max(len(draft.ids) for draft in drafts) + 1, MAX_TOKENS)
    ids = torch.full((len(drafts), length), model.end)
    starts = model.starts_word.to(device)
    more = torch.zeros(len(drafts), len(starts))
    for row, draft in enumerate(drafts):
        ids[row, : len(draft.ids)] = torch.tensor(draft.ids[:length], dtype=torch.long)
        more[row, sorted(draft.favoured)] = favour
    ids, more = ids.to(device), more.to(device)
    reader, inputs = Reader(model, embeddings.shape[1] + length), embeddings.to(device, model.model.dtype)
    scores, tokens = [], []
    for place in range(length):
        likely = reader.read(inputs).log_softmax(-1)
        own = ids[:, place : place + 1]
        gain = likely - likely.gather(1, own).clamp_min(_UNLIKELY) + more
        if place:
            gain = gain.masked_fill(~(starts & starts[own]), -torch.inf)
        gain = gain.masked_fill(likely < least, -torch.inf)
        best = gain.scatter_(1, own, -torch.inf).topk(count, dim=1)
        scores.append(best.values)
        tokens.append(best.indices)
        inputs = model.embed(own)
    return torch.stack(scores, 1).cpu(), torch.stack(tokens, 1).cpu()
