"""Questions with their answers in one batch: what a model expects where each token of an answer comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from embeddings.adapter import AnyAdapter
from experiments.elm.model import Piece, length_of
from generator.language_model import LanguageModel

_LENGTHS = 16
"""Batches are padded to a multiple of this: few shapes."""


@dataclass(frozen=True)
class Row:
    """A question as a model reads it, and the tokens of its answer, with end-of-text where it ends."""

    pieces: list[Piece]
    target: list[int]

    def length(self, adapters: Mapping[str, AnyAdapter]) -> int:
        """Return the positions of question and answer, the last of which is read by none."""
        return sum(length_of(piece, adapters) for piece in self.pieces) + len(self.target) - 1


@dataclass(frozen=True, eq=False)
class Expected:
    """What a model expects at the N tokens of all answers of a batch.

    Parameters
    ----------
    logits : Tensor of shape (N, V)
    rows, targets : Tensor of shape (N,)
        Of which question each is, and the token that comes there.
    """

    logits: Tensor
    rows: Tensor
    targets: Tensor

    @property
    def loss(self) -> Tensor:
        """Mean surprisal of the answers' tokens, in nats."""
        return cross_entropy(self.logits, self.targets)

    def likelihoods(self, count: int) -> Tensor:
        """Return the log-probability of each of `count` answers (count,)."""
        each = -cross_entropy(self.logits, self.targets, reduction="none")
        return each.new_zeros(count).index_add(0, self.rows, each)


def expected(model: LanguageModel, adapters: Mapping[str, AnyAdapter], rows: Sequence[Row]) -> Expected:
    """Return what a model expects where the answers' tokens come, differentiable; it is read in one pass."""
    where, longest = model.device.torch, -(-max(row.length(adapters) for row in rows) // _LENGTHS) * _LENGTHS
    ids = torch.full((len(rows), longest), model.end)
    vectors: dict[str, list[tuple[int, int, Tensor]]] = {}
    ends: list[tuple[int, int]] = []
    for number, row in enumerate(rows):
        place = 0
        for piece in row.pieces:
            size = length_of(piece, adapters)
            if isinstance(piece, Tensor):
                ids[number, place : place + size] = piece
            else:
                vectors.setdefault(piece[0], []).append((number, place, piece[1]))
            place += size
        ids[number, place : place + len(row.target) - 1] = torch.tensor(row.target[:-1], dtype=torch.long)
        ends += [(number, place - 1 + at) for at in range(len(row.target))]
    inputs = model.model.get_input_embeddings()(ids.to(where))
    for kind, found in sorted(vectors.items()):
        adapted = adapters[kind](torch.stack([vector for _, _, vector in found]).to(where)).to(inputs.dtype)
        at = torch.tensor([[(number, place + p) for p in range(adapted.shape[1])] for number, place, _ in found])
        inputs = inputs.index_put((at[..., 0].to(where), at[..., 1].to(where)), adapted)
    states = model.model.base_model(inputs_embeds=inputs, use_cache=False)[0]
    chosen = torch.tensor(ends).to(where)
    head = model.model.get_output_embeddings().weight
    logits = linear(states[chosen[:, 0], chosen[:, 1]], head).float()
    targets = torch.tensor([token for row in rows for token in row.target]).to(where)
    return Expected(logits, chosen[:, 0], targets)
