"""The best mixture of a few texts out of very many: a search over the sparse cone of their vectors."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from bandits.inputs import as_tensor, finite_tensor, mask_tensor, unit_vectors
from bandits.mixtures.cone_ascent import ConeAscent, gains
from bandits.mixtures.mixture_reward import MixtureReward
from bandits.mixtures.region import MixtureRegion
from bandits.mixtures.rows import MixtureRows
from bandits.numbers import check_count
from copyloom import InputError

_STEPS = (1.0, 0.3, 0.1)  # shares of the step towards a new parent
_ADDED, _EXCHANGED = 16, 8  # texts tried in a place: when a mixture grows, and when parents are exchanged
_EXCHANGING = 4  # of the best mixtures
_SPARE = 3  # times as many mixtures are polished as are kept
_FEW, _MANY = 6, 200  # steps of polishing
_MOST_ROUNDS = 50
_CHUNK = 4096  # texts scored at once
_TINY = 1e-300


@dataclass(frozen=True, eq=False)
class SparseMixtures:
    """One mixture for each campaign.

    Attributes
    ----------
    parents : Tensor of shape (B, K), int64
        Indices into the pool in rising order, then -1; all -1 where no mixture is allowed.
    weights : Tensor of shape (B, K), float64
        Each row sums to 1; 0 where there is no parent.
    value : Tensor of shape (B,), float64
        Reward; -inf where no mixture is allowed.
    points : Tensor of shape (B, S), float64
        The mixtures' normalised points; 0 where no mixture is allowed.
    """

    parents: Tensor
    weights: Tensor
    value: Tensor
    points: Tensor


class SparseCone:
    """A pool of texts to search for the mixture of a few whose normalised point has the best reward.

    A mixture's point is z = sum_i w_i e_i / l with l = |sum_i w_i e_i|, its features are offset + sum_i w_i f_i / l.
    Mixtures grow from the best single texts, a parent at a time, then exchange parents one by one until no exchange
    helps; several grow side by side. The gradient of the reward says which texts to try next to a mixture (for a linear
    reward, as orthogonal matching pursuit does: Pati et al. 1993, Asilomar). Its weights are solved for the reward
    linearised at its point (exactly, unless a bound on cosines leaves local optima), again and again: a generalised
    power method (Journee et al. 2010, JMLR 11, algorithm 1), which never goes down where the reward is convex, as
    mean + a sd is. After a step down, the next is held back to the present point z0 by maximising
    (gradient + caution z0) . z instead, with more caution each time.

    The problem is NP-hard: what is found is the best up to exchanges of a parent, not by proof. On pools small
    enough to try everything it was the best in more than 99 % of cases (`tests/bandits/mixtures`).

    Parameters
    ----------
    pool : array of shape (M, S)
        Sentence vectors e_i, of unit norm; float32 is enough.
    features : array of shape (M, d)
        Their features f_i, less `offset`.
    offset : array of shape (d,), optional
        Features of the origin; 0 by default.

    Raises
    ------
    InputError
        If shapes do not fit, a number is not finite, or a vector's norm is not 1.

    Examples
    --------
    >>> import torch
    >>> from bandits.mixtures.mixture_reward import LinearReward
    >>> from bandits.mixtures.region import MixtureRegion
    >>> pool, wanted = torch.eye(4), torch.tensor([[0.6, 0.0, 0.8, 0.0]], dtype=torch.float64)
    >>> found = SparseCone(pool, pool).best(LinearReward(wanted), MixtureRegion(most_parents=2))
    >>> found.parents.tolist(), [round(weight, 3) for weight in found.weights[0].tolist()]
    ([[0, 2]], [0.429, 0.571])
    """

    def __init__(self, pool: Any, features: Any, offset: Any = None) -> None:
        self.pool = unit_vectors(pool).cpu()
        self.features = finite_tensor("features", features).cpu()
        if self.features.ndim != 2 or len(self.features) != len(self.pool):
            raise InputError(
                f"features has shape {tuple(self.features.shape)}; pass a row for each text, ({len(self.pool)}, d)"
            )
        d = self.features.shape[1]
        self.offset = finite_tensor("offset", torch.zeros(d) if offset is None else offset).cpu()
        if self.offset.shape != (d,):
            raise InputError(f"offset has shape {tuple(self.offset.shape)}; pass ({d},)")
        self._rows = torch.cat([self.features.to(self.pool), self.pool], dim=-1)

    def singles(self, reward: MixtureReward, campaigns: int = 1) -> Tensor:
        """Rewards of the single texts: (B, M)."""
        parts = (self.offset + self.features).split(_CHUNK)
        return torch.cat([reward.value(part.expand(campaigns, *part.shape)) for part in parts], dim=-1)

    def best(
        self,
        reward: MixtureReward,
        region: MixtureRegion,
        *,
        allowed: Any = None,
        blocked: Any = None,
        beams: int = 16,
        singles: Tensor | None = None,
    ) -> SparseMixtures:
        """The best mixture of each of B campaigns; one campaign if `allowed` does not say.

        Parameters
        ----------
        reward : MixtureReward
        region : MixtureRegion
        allowed : array of shape (B, M) or (M,), bool, optional
            Which texts each campaign may mix; all by default.
        blocked : array of shape (B, T, S), optional
            Points, of unit norm or 0, that mixtures keep apart from.
        beams : int
            Mixtures that grow side by side; 4 are enough for a linear reward.
        singles : Tensor of shape (B, M), optional
            What `singles` gave, for one reward and many searches.
        """
        check_count("beams", beams)
        M, S = self.pool.shape
        mask = torch.ones(M, dtype=torch.bool) if allowed is None else as_tensor("allowed", allowed)
        mask = mask_tensor("allowed", mask, torch.Size([len(mask) if mask.ndim > 1 else 1, M])).cpu()
        if blocked is not None:
            blocked = finite_tensor("blocked", blocked).cpu()
            if blocked.ndim != 3 or blocked.shape[0] != len(mask) or blocked.shape[2] != S:
                raise InputError(f"blocked has shape {tuple(blocked.shape)}; pass ({len(mask)}, T, {S})")
        ascent = ConeAscent(self.pool, self.features, self.offset, reward, region, blocked)
        singles = self.singles(reward, len(mask)) if singles is None else singles
        if singles.shape != mask.shape:
            raise InputError(f"singles has shape {tuple(singles.shape)}; pass {tuple(mask.shape)}")
        singles = torch.where(mask, singles, -torch.inf)
        rows = _Search(ascent, self._rows, mask, singles, beams).best()
        none = rows.value == -torch.inf
        return SparseMixtures(
            parents=torch.where(none[..., None], -1, rows.parents)[:, 0],
            weights=torch.where(none[..., None], 0, rows.weights)[:, 0],
            value=rows.value[:, 0],
            points=torch.where(none[..., None], 0, ascent.points(rows))[:, 0],
        )


@dataclass(frozen=True, eq=False)
class _Search:
    """One search: mixtures in `MixtureRows` go from step to step."""

    ascent: ConeAscent
    rows: Tensor  # features and vectors side by side, (M, d + S)
    mask: Tensor  # (B, M)
    singles: Tensor  # rewards of the texts, -inf where they are not allowed, (B, M)
    beams: int

    def best(self) -> MixtureRows:
        """The best mixture found in each campaign: (B, 1) rows."""
        rows = self._singles()
        for place in range(1, self.ascent.region.most_parents):
            last = torch.full(rows.value.shape, place)
            rows = self._kept(self._extended(rows.widened(), last, _ADDED))
        few = torch.arange(min(_EXCHANGING, self.beams))
        for _ in range(_MOST_ROUNDS):
            found = self._kept(rows.join(self._exchanged(rows.take(few))))
            better = gains(found.value, rows.value)[:, 0]
            rows = found.where(better, rows)
            if not better.any():
                break
        return self.ascent.polished(rows, _MANY).best(1)

    def _singles(self) -> MixtureRows:
        """The best single texts as mixtures of one, (B, beams) rows."""
        top = self.singles.topk(min(self.beams, self.singles.shape[-1]), dim=-1)
        return self.ascent.start(_indices(top)).padded(self.beams)

    def _kept(self, rows: MixtureRows) -> MixtureRows:
        """The best mixtures after a few steps."""
        return self.ascent.polished(rows.best(_SPARE * self.beams), _FEW).best(self.beams)

    def _exchanged(self, rows: MixtureRows) -> MixtureRows:
        """Every mixture with one parent, or empty place, in exchange for another text."""
        K, W = rows.parents.shape[-1], rows.value.shape[-1]
        place = torch.arange(K).repeat(W).expand(len(rows.value), -1)
        rest = rows.repeated(K).without(place, -self.ascent.region.negative)
        rest = self.ascent.polished(self.ascent.evaluated(rest), 1)
        return self._extended(rest, place, _EXCHANGED)

    def _extended(self, rows: MixtureRows, place: Tensor, count: int) -> MixtureRows:
        """Every mixture with each of the most promising texts in an empty place, (B, Q count) rows."""
        gradient = self.ascent.reward.gradient(rows.features)
        added = self._promising(rows, gradient, count)
        count = added.shape[-1]
        place, gradient = (x.repeat_interleave(count, dim=1) for x in (place, gradient))
        rows = rows.repeated(count).placed(place, added.flatten(1))
        rows = replace(rows, gram=self.ascent.gram(rows.parents))
        step = self.ascent.stepped(rows, gradient) - rows.weights
        evenly = rows.evenly(place) - rows.weights
        return self._best_change(rows, [*(share * step for share in _STEPS), evenly])

    def _best_change(self, rows: MixtureRows, changes: list[Tensor]) -> MixtureRows:
        """Every mixture with the best of some changes (B, Q, K) of its weights, or with none."""
        n = len(changes)
        weights = torch.stack([rows.weights + change for change in changes], dim=2).flatten(1, 2)
        new = self.ascent.evaluated(replace(rows.repeated(n), weights=weights))
        best = new.value.unflatten(1, (-1, n)).argmax(-1)
        new = new.take(best + n * torch.arange(best.shape[1]))
        return new.where(new.value > rows.value, rows)

    def _promising(self, rows: MixtureRows, gradient: Tensor, count: int) -> Tensor:
        """Texts whose admixture raises each mixture's reward fastest, -1 where there are fewer: (B, Q, count)."""
        along = ((rows.features - self.ascent.offset) * gradient).sum(-1, keepdim=True)
        uphill = torch.cat([gradient, -along * self.ascent.points(rows)], dim=-1)
        uphill = (uphill / uphill.abs().amax(-1, keepdim=True).clamp(min=_TINY)).to(self.rows)  # half precision, too
        found = []
        for direction, parents, mask in zip(uphill, rows.parents, self.mask, strict=True):
            gain = direction @ self.rows.T  # (Q, M)
            if self.ascent.region.negative:
                gain = torch.where(gain < 0, -self.ascent.region.negative * gain, gain)
            gain.masked_fill_(~mask, -torch.inf)
            row, place = (parents >= 0).nonzero(as_tuple=True)
            gain[row, parents[row, place]] = -torch.inf
            top = gain.topk(min(count, len(mask)), dim=-1)
            found.append(_indices(top))
        return torch.stack(found)


def _indices(top: Any) -> Tensor:
    """Where the largest values are, -1 for those that are -inf."""
    return torch.where(top.values > -torch.inf, top.indices, -1)
