"""Belief to new mixtures: which pairs of stored texts to mix next, and with which weights."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from bandits.channel import Channel
from bandits.inputs import as_tensor, check_count, check_number, mask_tensor
from bandits.posterior import Posterior
from copyloom import InputError

#: Parents in rising order and their weights to 4 decimals: one name per mixture.
MixtureKey: TypeAlias = tuple[tuple[int, ...], tuple[float, ...]]

_CHUNK = 512  # mixtures scored at once: small arrays stay in cache
_SHORTEST = 1e-6  # parents that cancel have no wanted point


def mixture_key(parents: Sequence[int], weights: Sequence[float]) -> MixtureKey:
    """One name for a mixture, whatever the order in which its parents are given.

    Examples
    --------
    >>> mixture_key([7, 2], [0.3, 0.7])
    ((2, 7), (0.7, 0.3))
    """
    if len(parents) != len(weights):
        raise InputError(f"{len(weights)} weights were given for {len(parents)} parents; pass one weight per parent")
    ordered = sorted(zip(map(int, parents), (round(float(w), 4) for w in weights), strict=True))
    return tuple(parent for parent, _ in ordered), tuple(weight for _, weight in ordered)


@dataclass(frozen=True, eq=False)
class Proposals:
    """Mixtures to decode next, best first.

    Attributes
    ----------
    parents : Tensor of shape (..., n, K), int64
        Indices into the pool, in rising order; -1 where a campaign had no candidate left.
    weights : Tensor of shape (..., n, K), float64
        Mixing weights, each row summing to 1; 0 where there is no candidate.
    score : Tensor of shape (..., n), float64
        Upper bound on the logit of the text to come; -inf where there is no candidate.
    """

    parents: Tensor
    weights: Tensor
    score: Tensor

    @property
    def valid(self) -> Tensor:
        """Which rows are mixtures at all: Tensor of shape (..., n), bool."""
        return self.parents[..., 0] >= 0


class MixtureProposer:
    """Scores every pair of stored texts under every weighting and returns the most promising, optimistically.

    A mixture's wanted point is normalise(sum_k w_k z_k); the channel says what text will come of it, the
    posterior what that text may be worth: score = mean + exploration * sd of its logit, where the sd
    includes the channel's residual and the new text's own effect. Because the point is normalised a mixture
    can beat both parents; without that it never could (design, section 4.5).

    Parameters
    ----------
    weights : sequence of pairs of float
        Weightings to try, each both ways round; each sums to 1. A slightly negative weight extrapolates.
    exploration : float
        Width of the bound in standard deviations.
    max_per_parent : int
        In how many mixtures of one batch a stored text may take part.

    Raises
    ------
    InputError
        If a value is out of range or a weighting does not sum to 1.

    Examples
    --------
    Clicks favour the direction between two stored texts, so the proposer mixes those, evenly:

    >>> import torch
    >>> from bandits import LogisticRewardModel, RealisedFeatureMap, RewardPrior
    >>> pool = torch.eye(3, dtype=torch.float64)
    >>> shown = torch.tensor([[1.0, 1.0, 0.0], [-1.0, -1.0, 0.0]])
    >>> posterior = LogisticRewardModel(RewardPrior(0.02)).fit(shown, [9000, 9000], [270, 90])
    >>> channel = RealisedFeatureMap().fit(torch.empty(0, 3), torch.empty(0, 3))
    >>> found = MixtureProposer().propose(pool, lambda z: z, channel, posterior, 1)
    >>> found.parents.tolist(), found.weights.tolist()
    ([[0, 1]], [[0.5, 0.5]])
    """

    def __init__(
        self,
        *,
        weights: Sequence[Sequence[float]] = ((0.5, 0.5), (0.7, 0.3), (1.15, -0.15)),
        exploration: float = 0.5,
        max_per_parent: int = 3,
    ) -> None:
        check_number("exploration", exploration, least=0)
        check_count("max_per_parent", max_per_parent)
        self.weights = _both_ways(weights)
        self.exploration = exploration
        self.max_per_parent = max_per_parent

    def propose(
        self,
        pool_vectors: Any,
        reduce: Callable[[Tensor], Tensor],
        channel: Channel,
        posterior: Posterior,
        n: int,
        *,
        tried: Sequence[Collection[MixtureKey]] | None = None,
        members: Any = None,
    ) -> Proposals:
        """The n best untried mixtures of each campaign, no parent in more than `max_per_parent` of them.

        Taken greedily from the best down, ties by lowest candidate (parents in lexicographic order, then
        the weightings in order): the same inputs give the same mixtures.

        Parameters
        ----------
        pool_vectors : array of shape (M, S)
            Sentence vectors of the stored texts, unit norm; float32 is enough. Shared by all campaigns.
        reduce : callable
            From wanted points (Q, S), in the pool's dtype, to features (Q, d).
        channel : Channel
            Shared, or one per campaign in its leading dimensions.
        posterior : Posterior
            One per campaign in its leading dimensions.
        n : int
            Mixtures per campaign.
        tried : sequence of collections of MixtureKey, optional
            Per campaign (row-major), what not to propose again; keys with other weights or parents are no
            bar.
        members : array of shape (..., M), bool, optional
            Which stored texts each campaign may mix; all by default.

        Returns
        -------
        Proposals
            With K = 2. A campaign that runs out of candidates has fewer: see `Proposals.valid`.

        Raises
        ------
        InputError
            If shapes do not fit or pool vectors are not finite and of unit norm.
        """
        check_count("n", n)
        pool = _unit_vectors(pool_vectors)
        M, B = len(pool), posterior.leading.numel()
        parents, weighting = self._candidates(M)
        score = self._scores(pool, parents, weighting, reduce, channel, posterior).reshape(B, -1)
        if members is not None:
            allowed = mask_tensor("members", members, torch.Size([*posterior.leading, M])).reshape(B, M).cpu()
            score = torch.where(allowed[:, parents].all(dim=-1), score, -torch.inf)
        for row, column in self._tried_cells(tried, B, M):
            score[row, column] = -torch.inf
        chosen, best = _pick(score.numpy(), parents.numpy(), n, self.max_per_parent, M)
        found = torch.from_numpy(chosen).clamp(min=0)
        valid = torch.from_numpy(chosen >= 0)[..., None]
        shape = (*posterior.leading, n, 2)
        if len(parents) == 0:
            parents, weighting = torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1, 2, dtype=torch.float64)
        return Proposals(
            parents=torch.where(valid, parents[found], -1).reshape(shape),
            weights=torch.where(valid, weighting[found], 0).reshape(shape),
            score=torch.from_numpy(best).reshape(shape[:-1]),
        )

    def _candidates(self, M: int) -> tuple[Tensor, Tensor]:
        """Parents (Q, 2) and weights (Q, 2) of all mixtures: pair by pair, all weightings of each."""
        pairs = torch.triu_indices(M, M, offset=1).T  # (M (M - 1) / 2, 2)
        grid = torch.tensor(self.weights, dtype=torch.float64)
        return pairs.repeat_interleave(len(grid), dim=0), grid.repeat(len(pairs), 1)

    def _scores(
        self,
        pool: Tensor,
        parents: Tensor,
        weights: Tensor,
        reduce: Callable[[Tensor], Tensor],
        channel: Channel,
        posterior: Posterior,
    ) -> Tensor:
        """Upper bound on every candidate's logit, -inf where parents cancel: (..., Q)."""
        score = torch.full((*posterior.leading, len(parents)), -torch.inf, dtype=torch.float64)
        for start in range(0, len(parents), _CHUNK):
            part = slice(start, start + _CHUNK)
            points = _weighted_sum(pool, parents[part], weights[part])
            length = torch.linalg.vector_norm(points, dim=-1, keepdim=True)
            realised, doubt = channel.predict(reduce(points / length.clamp(min=_SHORTEST)))
            mean, variance = posterior.predict(realised, feature_variance=doubt)
            bound = mean + self.exploration * variance.sqrt()
            score[..., part] = torch.where(length[:, 0] > _SHORTEST, bound, -torch.inf).cpu()
        return score

    def _tried_cells(self, tried: Sequence[Collection[MixtureKey]] | None, B: int, M: int) -> list[tuple[int, int]]:
        """(campaign, candidate) of the tried mixtures that are candidates."""
        if tried is None:
            return []
        if len(tried) != B:
            raise InputError(f"{len(tried)} collections of tried mixtures were given for {B} campaigns; pass one each")
        place = {mixture_key((0, 1), pair)[1]: g for g, pair in enumerate(self.weights)}
        cells = []
        for row, keys in enumerate(tried):
            for parents, weights in keys:
                if weights in place and len(parents) == 2 and 0 <= parents[0] < parents[1] < M:
                    i, j = parents
                    pair = i * M - i * (i + 1) // 2 + j - i - 1  # rank in lexicographic order
                    cells.append((row, pair * len(self.weights) + place[weights]))
        return cells


def _pick(score: np.ndarray, parents: np.ndarray, n: int, most: int, M: int) -> tuple[np.ndarray, np.ndarray]:
    """Greedy choice per campaign: candidates (B, n), -1 where none is left, and their scores (B, n)."""
    chosen = np.full((len(score), n), -1, dtype=np.int64)
    best = np.full((len(score), n), -np.inf)
    for b, row in enumerate(score):
        uses = np.zeros(M, dtype=np.int64)
        for k in range(n if row.size else 0):
            top = int(row.argmax())
            if row[top] == -np.inf:
                break
            chosen[b, k], best[b, k] = top, row[top]
            row[top] = -np.inf
            for parent in parents[top]:
                uses[parent] += 1
                if uses[parent] == most:
                    row[(parents == parent).any(axis=-1)] = -np.inf
    return chosen, best


def _weighted_sum(pool: Tensor, parents: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of the parents' vectors: (Q, S)."""
    weights = weights.to(pool)
    parents = parents.to(pool.device)
    return weights[:, :1] * pool[parents[:, 0]] + weights[:, 1:] * pool[parents[:, 1]]


def _both_ways(weights: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    """Each weighting and its reverse, once, in the order given."""
    seen: dict[tuple[float, ...], tuple[float, float]] = {}
    for pair in weights:
        if len(pair) != 2 or not abs(sum(pair) - 1) <= 1e-9:
            raise InputError(f"weighting {tuple(pair)} is not a pair that sums to 1")
        for w in ((float(pair[0]), float(pair[1])), (float(pair[1]), float(pair[0]))):
            seen.setdefault(mixture_key((0, 1), w)[1], w)
    if not seen:
        raise InputError("no weighting was given; pass at least one pair that sums to 1")
    return tuple(seen.values())


def _unit_vectors(values: Any) -> Tensor:
    """Pool vectors in the floating type they came in."""
    vectors = as_tensor("pool_vectors", values)
    if vectors.ndim != 2 or not vectors.is_floating_point():
        raise InputError(
            f"pool_vectors is {vectors.dtype} of shape {tuple(vectors.shape)}; pass floats of shape (M, S)"
        )
    norms = torch.linalg.vector_norm(vectors.to(torch.float64), dim=-1)
    if not bool(((norms - 1).abs() <= 1e-3).all()):  # False for NaN too
        row = int((~((norms - 1).abs() <= 1e-3)).nonzero()[0])
        raise InputError(f"pool vector {row} has norm {norms[row].item():g}; pass unit vectors")
    return vectors
