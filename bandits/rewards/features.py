"""Curvature and context: maps from whitened features to more of them, in which the reward is linear again.

A map's columns are scaled so that `RewardPrior.logit_sd` keeps its meaning. Averaged over texts whose features are
independent standard normal (whitened, and near normal), the variance of the predictor under the prior is logit_sd^2,
and the stated share of it belongs to what the map adds. The prior's d is then the map's `width`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from bandits.inputs import as_tensor, finite_tensor
from bandits.numbers import ROUNDING, check_count, check_number
from copyloom import InputError


@dataclass(frozen=True)
class QuadraticFeatures:
    """The features, their squares and their products: theta . x + x' A x, which may peak inside a mixture.

    Squares and products are Hermite polynomials, (x_j^2 - 1) / sqrt 2 and x_j x_k: of mean 0, variance 1 and
    uncorrelated for standard normal features. Columns: d + d (d + 1) / 2, so this is for d up to about 16.

    Parameters
    ----------
    d : int
        Number of features that come in.
    share : float
        Share of the predictor's prior variance that is curvature, from 0 to 1.

    Examples
    --------
    >>> wide = QuadraticFeatures(d=2)
    >>> wide(torch.tensor([[0.0, 2.0]])).shape[-1] == wide.width == 5
    True
    """

    d: int
    share: float = 0.5

    def __post_init__(self) -> None:
        check_count("d", self.d)
        check_number("share", self.share, least=0, most=1)

    @property
    def width(self) -> int:
        """Number of columns that come out."""
        return self.d + self.d * (self.d + 1) // 2

    def __call__(self, features: Any) -> Tensor:
        """Features (..., N, d) as (..., N, width)."""
        x = _columns("features", features, self.d)
        i, j = torch.triu_indices(self.d, self.d, offset=1, device=x.device)
        curved = torch.cat([(x.square() - 1) / math.sqrt(2), x[..., i] * x[..., j]], dim=-1)
        return _side_by_side([x, curved], [1 - self.share, self.share])


@dataclass(frozen=True)
class RandomFourierFeatures:
    """The features, and cosines at random frequencies: a Gaussian process with a squared-exponential kernel.

    cos(omega . x + phase) with omega ~ N(0, I / bandwidth^2) (Rahimi and Recht 2007, algorithm 1), less its mean over
    standard normal features, so that the intercept keeps its own meaning. The kernel is
    exp(-|x - y|^2 / (2 bandwidth^2)) up to an error of order 1 / sqrt(count). Use `QuadraticFeatures` instead for one
    broad optimum and few features.

    Parameters
    ----------
    d : int
        Number of features that come in.
    count : int
        Number of cosines.
    bandwidth : float, optional
        How far apart texts must be to have little in common; by default sqrt(d), as two texts are sqrt(2 d) apart.
    share : float
        Share of the predictor's prior variance that belongs to the cosines, from 0 to 1.
    seed : int
        The same seed gives the same map.

    Examples
    --------
    >>> wide = RandomFourierFeatures(d=4, count=32)
    >>> wide(torch.zeros(3, 7, 4)).shape
    torch.Size([3, 7, 36])
    """

    d: int
    count: int = 64
    bandwidth: float | None = None
    share: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        check_count("d", self.d)
        check_count("count", self.count)
        if self.bandwidth is not None:
            check_number("bandwidth", self.bandwidth, least=0, above=True)
        check_number("share", self.share, least=0, most=1)
        check_count("seed", self.seed, least=0)

    @property
    def width(self) -> int:
        """Number of columns that come out."""
        return self.d + self.count

    def __call__(self, features: Any) -> Tensor:
        """Features (..., N, d) as (..., N, width)."""
        x = _columns("features", features, self.d)
        frequencies, phases, means, scale = (part.to(x.device) for part in self._waves)
        waves = (torch.cos(x @ frequencies + phases) - means) / scale
        return _side_by_side([x, waves], [1 - self.share, self.share])

    @cached_property
    def _waves(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Frequencies (d, count), phases and means (count,), and the sd of the cosines over texts, ()."""
        stream = torch.Generator().manual_seed(self.seed)
        frequencies = torch.randn(self.d, self.count, generator=stream, dtype=torch.float64)
        frequencies = frequencies / (self.bandwidth or math.sqrt(self.d))
        phases = 2 * math.pi * torch.rand(self.count, generator=stream, dtype=torch.float64)
        fading = (-frequencies.square().sum(0) / 2).exp()  # E cos(omega . x + phase) = fading cos(phase)
        means = fading * phases.cos()
        variances = 0.5 * (1 + fading**4 * (2 * phases).cos()) - means.square()
        return frequencies, phases, means, variances.mean().sqrt()


@dataclass(frozen=True)
class Interactions:
    """The features, a context, and their products: theta . x + c . s + s' U x with context s.

    U (k, d) is learned, k d coefficients among the others, so the belief stays Gaussian and one fit learns all.

    Rows of a fit are then pairs of text and context, such as text and segment, each with its impressions and clicks,
    and the model's text effects are one per row. An effect that a text has in all its rows is one more feature: a
    column that is 1 in those rows and 0 elsewhere, with the effect's sd in the model's `theta_sd`.

    Parameters
    ----------
    d, k : int
        Number of features of text and context; the context is whitened over impressions, as `segment_context` is.
    context_share, share : float
        Shares of the predictor's prior variance that belong to the context alone and to the products.

    Examples
    --------
    Two texts in three segments, as six rows:

    >>> texts = torch.tensor([[0.3, -1.2], [1.0, 0.4]])
    >>> segments = segment_context([0, 1, 2], shares=[0.5, 0.3, 0.2])  # (3, 3)
    >>> rows = Interactions(d=2, k=3)(texts[:, None], segments).reshape(6, -1)
    >>> rows.shape
    torch.Size([6, 11])
    """

    d: int
    k: int
    context_share: float = 0.2
    share: float = 0.3

    def __post_init__(self) -> None:
        check_count("d", self.d)
        check_count("k", self.k)
        check_number("context_share", self.context_share, least=0, most=1)
        check_number("share", self.share, least=0, most=1 - self.context_share)

    @property
    def width(self) -> int:
        """Number of columns that come out."""
        return self.d + self.k + self.k * self.d

    def __call__(self, features: Any, context: Any) -> Tensor:
        """Features (..., N, d) and context (..., N, k), which broadcast, as (..., N, width)."""
        x, s = _columns("features", features, self.d), _columns("context", context, self.k)
        try:
            rows = torch.broadcast_shapes(x.shape[:-1], s.shape[:-1])
        except RuntimeError as error:
            raise InputError(
                f"features {tuple(x.shape)} and context {tuple(s.shape)} do not fit; pass (..., N, d) and (..., N, k)"
            ) from error
        x, s = x.expand(*rows, self.d), s.to(x.device).expand(*rows, self.k)
        products = (s[..., :, None] * x[..., None, :]).flatten(start_dim=-2)
        shares = [1 - self.context_share - self.share, self.context_share, self.share]
        return _side_by_side([x, s, products], shares)


def segment_context(segments: Any, shares: Sequence[float]) -> Tensor:
    """Segments as whitened context: one column each, of mean 0 over impressions, and variance 1 on average.

    Parameters
    ----------
    segments : array of shape (..., N), integers
        Numbers of segments, from 0.
    shares : sequence of k floats
        Share of impressions of each segment, above 0; they sum to 1.

    Returns
    -------
    Tensor of shape (..., N, k)

    Raises
    ------
    InputError
        If there are fewer than two segments, a share is not above 0, they do not sum to 1, or a number is unknown.
    """
    share, chosen = finite_tensor("shares", shares), as_tensor("segments", segments)
    k = len(share)
    if k < 2 or not bool((share > 0).all()) or abs(share.sum().item() - 1) > ROUNDING:
        raise InputError(f"shares are {share.tolist()}; pass at least two above 0 that sum to 1")
    if chosen.is_floating_point() or chosen.dtype == torch.bool or not bool(((chosen >= 0) & (chosen < k)).all()):
        raise InputError(f"segments are not numbers from 0 to {k - 1}; pass integers of that range")
    share = (share / share.sum()).to(chosen.device)
    one_hot = torch.nn.functional.one_hot(chosen.long(), k).to(torch.float64)
    return (one_hot - share) / share.sqrt() * math.sqrt(k / (k - 1))


def _columns(name: str, values: Any, d: int) -> Tensor:
    """Values as a float64 tensor of d columns; NaN may stand in absent rows."""
    tensor = as_tensor(name, values)
    if tensor.ndim < 1 or tensor.shape[-1] != d:
        raise InputError(f"{name} has shape {tuple(tensor.shape)}; pass (..., {d})")
    return tensor.to(torch.float64)


def _side_by_side(blocks: list[Tensor], shares: list[float]) -> Tensor:
    """Blocks of columns of variance 1, scaled to their shares of the predictor's variance: (..., N, width)."""
    width = sum(block.shape[-1] for block in blocks)
    scaled = [math.sqrt(share * width / block.shape[-1]) * block for block, share in zip(blocks, shares, strict=True)]
    return torch.cat(scaled, dim=-1)
