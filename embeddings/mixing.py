"""Mixing: from summary embeddings of several texts and weights to the vectors of a new one (design 4.3, 4.5)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import InputError
from embeddings.adapter import AnyAdapter
from generator.checks import normalised
from generator.constant_shape import in_chunks

MIX_ROWS = 64
_ROUNDING = 0.001 + 1e-9
"""How far from 1 a sum of weights may be that people rounded."""
_JITTER = 0.3
"""Noise in vectors beside their root mean square, at a length of 1, where there is no adapter."""
_NEAR = 0.5
"""How far `around` goes, in lengths of a point."""


def whole_weights(weights: Sequence[float], parents: int) -> list[float]:
    """Return weights that sum to 1, one a parent: those given, which may be rounded to three digits.

    Raises
    ------
    InputError
        If they are not one a parent, sum to anything else, or leave the trust region.

    Examples
    --------
    >>> whole_weights([0.333, 0.333, 0.333], 3)
    [0.3333333333333333, 0.3333333333333333, 0.3333333333333333]
    >>> whole_weights([0.5, 0.5], 3)
    Traceback (most recent call last):
    ...
    copyloom.InputError: 2 weights were given for 3 parents; pass one weight per parent
    """
    if len(weights) != parents:
        raise InputError(f"{len(weights)} weights were given for {parents} parents; pass one weight per parent")
    total = sum(weights)
    if not abs(total - 1.0) <= _ROUNDING:
        raise InputError(f"weights {list(weights)} sum to {total:.10g}; they must sum to 1")
    if min(weights) < -0.5 or max(weights) > 1.5:
        raise InputError(f"weights {list(weights)} leave the trust region; each must lie between -0.5 and 1.5")
    return [weight / total for weight in weights] if abs(total - 1.0) > 1e-9 else list(weights)


def wanted_point(sentence_vectors: Tensor, weights: Tensor) -> Tensor:
    """Return the normalised weighted sums (B, S) of parents' sentence vectors (B, K, S) with weights (B, K)."""
    return normalize((weights[..., None] * sentence_vectors).sum(1), dim=-1)


def mix(vectors: Tensor, sentence_vectors: Tensor, weights: Tensor, adapter: AnyAdapter | None) -> Tensor:
    """Return the vectors of each mixture.

    With an adapter A, the adapter of the mixed sentence vector plus the mixed residuals: ``A(wanted point) + sum w r``
    with ``r = e - A(z)``; exact where one weight is 1. Without, the weighted sum position by position, each scaled to
    the weighted mean norm of its parents.

    Parameters
    ----------
    vectors : Tensor of shape (B, K, P, D)
        The parents' summary embeddings e.
    sentence_vectors : Tensor of shape (B, K, S)
        The parents' sentence vectors z.
    weights : Tensor of shape (B, K)
        Sum to 1 in each row.
    adapter : Adapter, optional

    Returns
    -------
    Tensor of shape (B, P, D)
    """
    weights = weights.to(vectors.dtype)
    spread = weights[..., None, None]
    if adapter is None:
        mixed = (spread * vectors).sum(1)
        norms = (spread[..., 0] * vectors.norm(dim=-1)).sum(1)  # (B, P)
        return normalize(mixed, dim=-1) * norms[..., None]
    residuals = vectors - adapt(adapter, sentence_vectors.flatten(0, 1)).unflatten(0, weights.shape)
    return adapt(adapter, wanted_point(sentence_vectors, weights)) + (spread * residuals).sum(1)


def adapt(adapter: AnyAdapter, sentence_vectors: Tensor) -> Tensor:
    """Return the adapter's output (B, P, D) for sentence vectors (B, S), in constant shape, on the CPU.

    It has a gradient where they do: the adapter's parameters alone ask for none.
    """
    device = next(adapter.parameters()).device
    if not len(sentence_vectors):
        return torch.empty(0, adapter.vectors, adapter.hidden_size)
    with torch.set_grad_enabled(sentence_vectors.requires_grad):
        return in_chunks(lambda chunk: adapter(chunk.to(device)).cpu(), MIX_ROWS, sentence_vectors)


def around(vectors: Tensor, wanted: Tensor, copies: int, adapter: AnyAdapter | None) -> Tensor:
    """Return mixed vectors and others around them, with jitter of a fixed seed that grows over the copies.

    With an adapter the wanted point is jittered, by up to half its length, and the adapter's change added: that stays
    among vectors that mean something. Without, the vectors are, by up to 0.15 of their root mean square.

    Parameters
    ----------
    vectors : Tensor of shape (B, P, D)
        Of the mixtures; the first copy is they themselves.
    wanted : Tensor of shape (B, S)
        Their wanted points.
    copies : int
        At least one.
    adapter : Adapter, optional

    Returns
    -------
    Tensor of shape (B, copies, P, D)
    """
    shape = (copies - 1, *(wanted if adapter else vectors).shape[1:])
    growth = torch.linspace(0.3, 1.0, max(copies - 1, 1))[: copies - 1].view(-1, *[1] * (len(shape) - 1))
    noise = _NEAR * growth * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return torch.cat([vectors[:, None], _jittered(vectors[:, None], wanted[:, None], noise, adapter)[0]], 1)


def moved(
    vectors: Tensor, points: Tensor, seeds: Sequence[int], adapter: AnyAdapter | None, length: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return summary embeddings, or mixtures, near others: each moved by jitter of a seed of its own.

    With an adapter the point is jittered and the adapter's change added; without, the vectors are.

    Parameters
    ----------
    vectors : Tensor of shape (B, P, D)
    points : Tensor of shape (B, S)
        Sentence vectors or wanted points, of unit length.
    seeds : sequence of int
        One for each of the B.
    adapter : Adapter, optional
    length : float
        Of the noise beside the point's, or in units of 0.3 of the vectors' root mean square; at 0.5 another text than
        before is seldom decoded.

    Returns
    -------
    vectors, points : Tensor of shape (B, P, D) and (B, S)
        Without an adapter points stay as they are.
    """
    shape = (points if adapter else vectors).shape[1:]
    noise = torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    return _jittered(vectors, points, length * noise, adapter)


def _jittered(vectors: Tensor, points: Tensor, noise: Tensor, adapter: AnyAdapter | None) -> tuple[Tensor, Tensor]:
    """Return vectors (..., P, D) and points (..., S) with noise in points, or in vectors; leading shapes broadcast."""
    if adapter is None:
        return vectors + _JITTER * vectors.square().mean((-1, -2), keepdim=True).sqrt() * noise, points
    there = normalize(points + noise / points.shape[-1] ** 0.5, dim=-1)
    ends = [adapt(adapter, some.flatten(0, -2)).unflatten(0, some.shape[:-1]) for some in (there, points)]
    return vectors + (ends[0] - ends[1]), there


def is_new(text: str, parents: Sequence[str]) -> bool:
    """Say whether `text` is neither one of `parents` nor contains one of them whole."""
    mine = f" {normalised(text)} "
    return all(f" {normalised(parent)} " not in mine for parent in parents)
