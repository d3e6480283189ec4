"""Reading texts that begin alike in one pass: what they share is read once, and none of them sees another.

All stand in one row, each at the positions that it would have alone, and the mask of attention lets each see what they
share and itself (tree attention: Miao et al., ASPLOS 2024). Sources of fifty tokens with eighteen drafts of sixteen
then cost a third of what they cost draft by draft.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from copyloom import SpaceError
from generator.language_model import LanguageModel

_STEP = 64
"""What the length of a row is padded to a multiple of, so that few shapes occur."""
_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Branches:
    """Token ids of a beginning and of what goes on from it, in rows of one length.

    Parameters
    ----------
    ids, positions : Tensor of shape (B, L)
    seen : Tensor of shape (B, 1, L, L)
        bool; which position is attended to from which.
    ends : tuple of tuple of int
        Of each row, the place of the last token of each of its branches.
    """

    ids: Tensor
    positions: Tensor
    seen: Tensor
    ends: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, rows: Sequence[tuple[Sequence[int], Sequence[Sequence[int]]]], padding: int) -> Branches:
        """Return rows of a beginning, of one token or more, and branches, of one token or more each."""
        sizes = [len(beginning) + sum(map(len, branches)) for beginning, branches in rows]
        length = -(-max(sizes) // _STEP) * _STEP
        ids = torch.full((len(rows), length), padding)
        positions, owner = torch.zeros_like(ids), torch.full_like(ids, -1)
        ends = []
        for row, (beginning, branches) in enumerate(rows):
            place, mine = 0, list[int]()
            for number, tokens in enumerate([beginning, *branches]):
                first, place = place, place + len(tokens)
                ids[row, first:place] = torch.tensor(tokens)
                start = len(beginning) if number else 0
                positions[row, first:place] = torch.arange(start, start + len(tokens))
                owner[row, first:place] = number
                mine.append(place - 1)
            ends.append(tuple(mine[1:]))
        seen = (owner[:, :, None] == owner[:, None]) | (owner[:, None] == 0)  # all of its own, and the beginning
        return cls(ids, positions, (seen & torch.ones(length, length, dtype=torch.bool).tril())[:, None], tuple(ends))

    def last_states(self, body: Any) -> Tensor:
        """Return the hidden state (N, H) of the last token of each branch, row after row, differentiable.

        Parameters
        ----------
        body : PreTrainedModel
            Without its head.
        """
        weight = next(body.parameters())
        where, least = weight.device, torch.finfo(weight.dtype).min
        hidden = torch.zeros(self.seen.shape, dtype=weight.dtype).masked_fill(~self.seen, least)
        states = body(
            input_ids=self.ids.to(where), position_ids=self.positions.to(where), attention_mask=hidden.to(where),
            use_cache=False,
        )[0]  # fmt: skip
        return torch.cat([states[row, list(places)] for row, places in enumerate(self.ends)])


@torch.no_grad()
def check_branches(model: LanguageModel) -> None:
    """Raise unless a model in float32 reads branches side by side as it reads each alone.

    Raises
    ------
    SpaceError
        If it does not: models that keep a state, or do not take a mask of this kind.
    """
    tokens = len(model.model.get_input_embeddings().weight)
    beginning, branches = [1 % tokens, 2 % tokens, 3 % tokens], [[4 % tokens, 5 % tokens], [6 % tokens]]
    alone = [Branches.of([(beginning, [branch])], model.end) for branch in branches]
    try:
        body, where = model.model.base_model, model.device.torch
        together = Branches.of([(beginning, branches)], model.end).last_states(body)
        states = [body(input_ids=one.ids[:, : one.ends[0][0] + 1].to(where), use_cache=False)[0][:, -1]
                  for one in alone]  # fmt: skip
        close = (together - torch.cat(states)).norm() <= _TOLERANCE * together.norm()
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        raise SpaceError(_unfit(model.name)) from error
    if not bool(close):
        raise SpaceError(_unfit(model.name))


def _unfit(name: str) -> str:
    return f"model {name!r} cannot read drafts side by side; an editor needs a model whose every layer attends to all"
