"""Mixtures side by side while a search improves them."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad

_NONE = 1e-9  # a weight so small is no weight
_COPIES = 4  # of each mixture, on average, before only one is kept
_ALIKE = 0.05  # weights that differ less, over the same parents, belong to one optimum


@dataclass(frozen=True, eq=False)
class MixtureRows:
    """Q mixtures of at most K parents in each of B campaigns.

    Attributes
    ----------
    parents : Tensor of shape (B, Q, K), int64
        Indices into the pool; -1 where a place is empty.
    weights : Tensor of shape (B, Q, K)
        Each row sums to 1; 0 in empty places.
    gram : Tensor of shape (B, Q, K, K)
        Cosines of the parents; 0 in empty places.
    features : Tensor of shape (B, Q, d)
        Of the normalised points.
    value : Tensor of shape (B, Q)
        Reward; -inf where a mixture is not allowed.
    caution : Tensor of shape (B, Q)
        How strongly the next step is held back to the present point; see `SparseCone`.
    """

    parents: Tensor
    weights: Tensor
    gram: Tensor
    features: Tensor
    value: Tensor
    caution: Tensor

    def take(self, index: Tensor) -> "MixtureRows":
        """The mixtures at these places (B, R), or (R,) for all campaigns."""
        campaigns = torch.arange(len(self.value))[:, None]
        return self._map(lambda x: x[campaigns, index])

    def join(self, other: "MixtureRows") -> "MixtureRows":
        """These mixtures, then the others."""
        return MixtureRows(*(torch.cat([getattr(self, f.name), getattr(other, f.name)], dim=1) for f in fields(self)))

    def where(self, mask: Tensor, other: "MixtureRows") -> "MixtureRows":
        """These mixtures where the mask, (B,) or (B, Q), is True, the others elsewhere."""
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return MixtureRows(
            *(torch.where(mask.reshape(*mask.shape, *[1] * (x.ndim - mask.ndim)), x, y) for x, y in pairs)
        )

    def widened(self) -> "MixtureRows":
        """The same mixtures with one more, empty, place."""
        return replace(
            self,
            parents=pad(self.parents, (0, 1), value=-1),
            weights=pad(self.weights, (0, 1)),
            gram=pad(self.gram, (0, 1, 0, 1)),
        )

    def padded(self, count: int) -> "MixtureRows":
        """The mixtures, and empty ones up to this number."""
        empty = self.take(torch.zeros(max(count - self.value.shape[1], 0), dtype=torch.int64))
        empty = replace(
            empty,
            parents=torch.full_like(empty.parents, -1),
            weights=torch.zeros_like(empty.weights),
            gram=torch.zeros_like(empty.gram),
            value=torch.full_like(empty.value, -torch.inf),
        )
        return self.join(empty)

    def placed(self, place: Tensor, parent: Tensor) -> "MixtureRows":
        """The mixtures with a parent (B, Q), or -1, in an empty place (B, Q), of weight 0 and unknown cosines."""
        here = one_hot(place, self.parents.shape[-1]).bool()
        return replace(self, parents=torch.where(here, parent[..., None], self.parents))

    def evenly(self, place: Tensor) -> Tensor:
        """The weights if the parent in this place (B, Q), if any, had as much as the others on average: (B, Q, K)."""
        here = (one_hot(place, self.parents.shape[-1]).bool() & (self.parents >= 0)).to(self.weights)
        share = here.sum(-1, keepdim=True) / (self.parents >= 0).sum(-1, keepdim=True).clamp(min=1)
        return (1 - share) * self.weights + share * here

    def without(self, place: Tensor, least: float) -> "MixtureRows":
        """The mixtures less the parent in one place (B, Q); features and value stay as they were.

        The others' weights grow in proportion, or become even if one would fall below `least`.
        """
        gone = one_hot(place, self.parents.shape[-1]).bool()
        parents, weights = torch.where(gone, -1, self.parents), torch.where(gone, 0, self.weights)
        total = weights.sum(-1, keepdim=True)
        grown = weights / total
        even = (parents >= 0) / (parents >= 0).sum(-1, keepdim=True).clamp(min=1)
        fits = (total > 0) & (grown >= least).all(-1, keepdim=True)
        return replace(
            self,
            parents=parents,
            weights=torch.where(fits, grown, even),
            gram=torch.where(gone[..., None] | gone[..., None, :], 0, self.gram),
        )

    def repeated(self, times: int) -> "MixtureRows":
        """Every mixture so often, its copies side by side: (B, Q times)."""
        return self._map(lambda x: x.repeat_interleave(times, dim=1))

    def best(self, count: int) -> "MixtureRows":
        """The best mixtures, each once, best first and with their parents in rising order."""
        rows = self._tidy()
        order = rows.value.argsort(dim=-1, descending=True, stable=True)
        rows = rows.take(order[:, : _COPIES * count])
        same = (rows.parents[:, :, None] == rows.parents[:, None]) & (
            (rows.weights[:, :, None] - rows.weights[:, None]).abs() < _ALIKE
        )
        repeat = same.all(-1).tril(-1).any(-1)
        rows = replace(rows, value=torch.where(repeat, -torch.inf, rows.value))
        return rows.take(rows.value.argsort(dim=-1, descending=True, stable=True)[:, :count])

    def _tidy(self) -> "MixtureRows":
        parents = torch.where(self.weights.abs() > _NONE, self.parents, -1)
        last = torch.iinfo(parents.dtype).max
        order = torch.where(parents >= 0, parents, last).argsort(dim=-1)
        parents = parents.gather(-1, order)
        live = parents >= 0
        gram = self.gram.gather(-2, order[..., None].expand_as(self.gram))
        gram = gram.gather(-1, order[..., None, :].expand_as(self.gram))
        return replace(
            self,
            parents=parents,
            weights=torch.where(live, self.weights.gather(-1, order), 0),
            gram=torch.where(live[..., None] & live[..., None, :], gram, 0),
        )

    def _map(self, function: Callable[[Tensor], Tensor]) -> "MixtureRows":
        return MixtureRows(*(function(getattr(self, f.name)) for f in fields(self)))
