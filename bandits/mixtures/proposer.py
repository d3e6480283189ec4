"""Belief to new mixtures: which stored texts to mix next, and with which weights."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from bandits.inputs import mask_tensor, unit_vectors
from bandits.mixtures.channel import Channel
from bandits.mixtures.pair_grid import best_pairs, both_ways
from bandits.mixtures.proposals import MixtureKey, Proposals
from bandits.mixtures.realised_bound import FeatureMap, RealisedBound
from bandits.mixtures.region import MixtureRegion
from bandits.mixtures.sparse_batch import best_sparse_mixtures
from bandits.numbers import check_count, check_number
from bandits.posterior import Posterior
from copyloom import InputError

#: Pairs with weights of -0.15 and more, not far from a parent and not next to one.
REGION = MixtureRegion(most_parents=2, negative=0.15, nearest=0.5, apart=0.99)

_GRID_UP_TO = 400  # texts, of which 80,000 pairs can be had


class MixtureProposer:
    """Returns the most promising mixtures of stored texts, optimistically.

    A mixture's wanted point is normalise(sum_k w_k z_k); the channel says what text will come of it, the
    posterior what that text may be worth: score = mean + exploration * sd of its logit, where the sd
    includes the channel's residual and the new text's own effect. Because the point is normalised a mixture
    can beat both parents; without that it never could (design, section 4.5).

    Pairs out of up to 400 texts are all scored, under the listed weightings (`best_pairs`). More parents, or more
    texts, are searched (`SparseCone`) for any weights within a region: its bounds are meant for that search, the
    listed weightings are taken as they are. Use `bandits.mixtures.sparse_cone.SparseCone` instead for the one best
    mixture by a reward of your own.

    Parameters
    ----------
    weights : sequence of pairs of float
        Weightings to try, each both ways round; each sums to 1. A slightly negative weight extrapolates.
    exploration : float
        Width of the bound in standard deviations.
    max_per_parent : int
        In how many mixtures of one batch a stored text may take part.
    region : MixtureRegion, optional
        At most how many parents, how negative weights, how near to a parent (trust region), and how far from parents,
        from each other and from what was tried mixtures must be; `apart` must be below 1.

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
        region: MixtureRegion = REGION,
    ) -> None:
        check_number("exploration", exploration, least=0)
        check_count("max_per_parent", max_per_parent)
        if region.most_parents < 2 or region.apart == 1:
            raise InputError(f"{region} allows single texts; pass most_parents of at least 2 and apart below 1")
        self.weights = both_ways(weights)
        self.exploration = exploration
        self.max_per_parent = max_per_parent
        self.region = region

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
        feature_map: FeatureMap | None = None,
    ) -> Proposals:
        """The n best untried mixtures of each campaign, no parent in more than `max_per_parent` of them.

        Taken greedily from the best down, ties by lowest candidate (parents in lexicographic order, then
        the weightings in order): the same inputs give the same mixtures.

        Parameters
        ----------
        pool_vectors : array of shape (M, S)
            Sentence vectors of the stored texts, unit norm; float32 is enough. Shared by all campaigns.
        reduce : callable
            From wanted points (Q, S), in the pool's dtype, to features (Q, d). Affine where mixtures are searched.
        channel : Channel
            Shared, or one per campaign in its leading dimensions.
        posterior : Posterior
            One per campaign in its leading dimensions.
        n : int
            Mixtures per campaign.
        tried : sequence of collections of MixtureKey, optional
            Per campaign (row-major), what not to propose again. Among listed weightings, keys with other weights or
            parents are no bar; a search keeps apart from the points of all.
        members : array of shape (..., M), bool, optional
            Which stored texts each campaign may mix; all by default.
        feature_map : callable, optional
            From the realised text's features (..., N, d) to the posterior's, such as `QuadraticFeatures`.
            Differentiable by torch where mixtures are searched.

        Returns
        -------
        Proposals
            Of K = `region.most_parents`. A campaign that runs out of candidates has fewer: see `Proposals.valid`.

        Raises
        ------
        InputError
            If shapes do not fit, pool vectors are not finite and of unit norm, or mixtures are searched and `reduce`
            is not affine.
        """
        check_count("n", n)
        pool = unit_vectors(pool_vectors)
        leading, M = posterior.leading, len(pool)
        tried = [()] * leading.numel() if tried is None else tried
        if len(tried) != leading.numel():
            raise InputError(
                f"{len(tried)} collections of tried mixtures were given for {leading.numel()} campaigns; pass one each"
            )
        allowed = mask_tensor("members", members, torch.Size([*leading, M])).reshape(leading.numel(), M).cpu()
        bound = RealisedBound(channel, posterior, self.exploration, feature_map)
        if self.region.most_parents == 2 and M <= _GRID_UP_TO:
            found = best_pairs(pool, self.weights, reduce, bound, n, self.max_per_parent, tried, allowed)
        else:
            found = best_sparse_mixtures(pool, self.region, reduce, bound, n, self.max_per_parent, tried, allowed)
        return Proposals(*(x.reshape(*leading, *x.shape[1:]) for x in (found.parents, found.weights, found.score)))
