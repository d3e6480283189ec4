"""From parents to weights: how good mixtures of given texts are, and how to make them better."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bandits.mixtures.cone_weights import best_weights, lengths, nearest_cosine
from bandits.mixtures.mixture_reward import MixtureReward
from bandits.mixtures.region import MixtureRegion
from bandits.mixtures.rows import MixtureRows

_SHORTEST = 1e-6  # parents that cancel have no point
_SLACK = 1e-9
_GAIN = 1e-10  # relative; what is less counts as none
_STILL = 1e-6  # so do smaller changes of weights: at an optimum they matter squared
_CHUNK = 1 << 21  # numbers gathered at once


@dataclass(frozen=True, eq=False)
class ConeAscent:
    """Points of a pool's cone, and the way up.

    Attributes
    ----------
    pool : Tensor of shape (M, S)
        Unit vectors e_i.
    features : Tensor of shape (M, d)
        Their features less `offset`.
    offset : Tensor of shape (d,)
        Features of the origin.
    reward : MixtureReward
    region : MixtureRegion
    blocked : Tensor of shape (B, T, S), or None
        Points to keep apart from.
    """

    pool: Tensor
    features: Tensor
    offset: Tensor
    reward: MixtureReward
    region: MixtureRegion
    blocked: Tensor | None

    def start(self, parents: Tensor) -> MixtureRows:
        """Single texts (B, Q), or -1, as mixtures of one."""
        parents = parents[..., None]
        nothing = torch.zeros(parents.shape[:-1], dtype=torch.float64)
        features = self.offset.expand(*nothing.shape, -1)
        rows = MixtureRows(parents, (parents >= 0).to(features), self.gram(parents), features, nothing, nothing)
        return self.evaluated(rows)

    def gram(self, parents: Tensor) -> Tensor:
        """Cosines of parents (..., K): (..., K, K)."""
        K = parents.shape[-1]
        grams = [vectors @ vectors.mT for vectors in map(self._vectors, self._parts(parents))]
        return torch.cat(grams).reshape(*parents.shape, K)

    def points(self, rows: MixtureRows) -> Tensor:
        """Normalised points: (B, Q, S)."""
        parts = zip(self._parts(rows.parents), self._parts(rows.weights), strict=True)
        sums = torch.cat([(weights[:, None] @ self._vectors(parents))[:, 0] for parents, weights in parts])
        lengths = torch.linalg.vector_norm(sums, dim=-1, keepdim=True).clamp(min=_SHORTEST)
        return (sums / lengths).reshape(*rows.value.shape, -1)

    def evaluated(self, rows: MixtureRows) -> MixtureRows:
        """The mixtures with the features and value that belong to their weights."""
        length = lengths(rows.gram, rows.weights)
        sums = (rows.weights[..., None, :] @ self.features[rows.parents.clamp(min=0)])[..., 0, :]
        features = self.offset + sums / length.clamp(min=_SHORTEST)[..., None]
        allowed = (length > _SHORTEST) & self._allowed(rows)
        return replace(rows, features=features, value=torch.where(allowed, self.reward.value(features), -torch.inf))

    def stepped(self, rows: MixtureRows, gradient: Tensor) -> Tensor:
        """The weights with the best (gradient + caution z0) . z, where z0 is the present point: (B, Q, K)."""
        reach = (rows.gram @ rows.weights[..., None])[..., 0]  # e_i . z0 times z0's length before it was normalised
        held = rows.caution / lengths(rows.gram, rows.weights).clamp(min=_SHORTEST)
        slope = self._slopes(rows, gradient) + held[..., None] * reach
        slope = torch.where(rows.parents >= 0, slope, -torch.inf)
        return best_weights(rows.gram, slope, self.region.negative, self.region.nearest, self.region.apart)

    def polished(self, rows: MixtureRows, steps: int) -> MixtureRows:
        """The mixtures after so many steps up, or fewer where nothing is gained any more."""
        for _ in range(steps):
            gradient = self.reward.gradient(rows.features)
            new = self.evaluated(replace(rows, weights=self.stepped(rows, gradient)))
            better = gains(new.value, rows.value)
            moved = (new.weights - rows.weights).abs().amax(-1) > _STILL
            least = self._slopes(rows, gradient).abs().amax(-1) / 4
            held = torch.where(moved, torch.maximum(4 * rows.caution, least), rows.caution)
            rows = replace(new.where(better, rows), caution=torch.where(better, rows.caution / 2, held))
            if not (better | moved).any():
                break
        return rows

    def _slopes(self, rows: MixtureRows, gradient: Tensor) -> Tensor:
        """Gradient times the parents' features: (B, Q, K)."""
        return (self.features[rows.parents.clamp(min=0)] @ gradient[..., None])[..., 0]

    def _allowed(self, rows: MixtureRows) -> Tensor:
        """Which mixtures lie in the region: (B, Q)."""
        near = nearest_cosine(rows.gram, rows.weights)
        allowed = near >= self.region.nearest - _SLACK
        if self.region.apart < 1:
            allowed = allowed & (near <= self.region.apart + _SLACK) & ((rows.weights != 0).sum(-1) > 1)
            if self.blocked is not None:
                allowed = allowed & (self.points(rows) @ self.blocked.mT <= self.region.apart + _SLACK).all(-1)
        return allowed

    def _parts(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Rows (..., K) in parts whose vectors fit into memory, (R, K) each."""
        K = rows.shape[-1]
        return rows.reshape(-1, K).split(max(1, _CHUNK // (K * self.pool.shape[1])))

    def _vectors(self, parents: Tensor) -> Tensor:
        """The parents' vectors, 0 in empty places: (..., K, S), float64."""
        return torch.where((parents >= 0)[..., None], self.pool[parents.clamp(min=0)].to(torch.float64), 0)


def gains(new: Tensor, old: Tensor) -> Tensor:
    """Whether values rose by more than rounding."""
    return new > old + _GAIN * (1 + new.abs())
