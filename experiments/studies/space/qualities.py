"""Qualities of a cloud of vectors: how alike random ones are, how many dimensions they use, which few decide.

All functions take vectors (n, size) and need nothing else: no model, no labels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import InputError

TOP = (1, 3, 5)
"""How many dimensions may be the rogue ones."""


def mean_cosine(values: Tensor) -> float:
    """Return the mean cosine over all pairs of different vectors: 0 if they point in all directions alike.

    The measure of anisotropy of Ethayarajh (EMNLP 2019, section 4.1), over all pairs in place of some random ones.

    Parameters
    ----------
    values : Tensor of shape (n, size)

    Raises
    ------
    InputError
        If there are fewer than two vectors, or one is zero, which has no direction.

    Examples
    --------
    >>> mean_cosine(torch.eye(3)), round(mean_cosine(torch.ones(3, 2)), 6)
    (0.0, 1.0)
    """
    return float(dimension_contributions(values).sum())


def dimension_contributions(values: Tensor) -> Tensor:
    """Return what each dimension adds to the mean cosine, (size,): their sum is `mean_cosine`.

    Timkey and van Schijndel (EMNLP 2021, section 3.1, equation 3), over all pairs of different vectors.

    Parameters
    ----------
    values : Tensor of shape (n, size)

    Raises
    ------
    InputError
        As `mean_cosine`.
    """
    rows = directions(values)
    return (rows.sum(0).square() - rows.square().sum(0)) / (len(rows) * (len(rows) - 1))


def rogue_shares(values: Tensor) -> dict[int, float]:
    """Return the share of the mean cosine that the 1, 3 and 5 dimensions make up that add most to it.

    Shares say something where the mean cosine is well above 0 only: some dimensions add less than nothing, so that
    others may add more than all.

    Parameters
    ----------
    values : Tensor of shape (n, size)
    """
    added = dimension_contributions(values).sort(descending=True).values
    return {top: float(added[:top].sum() / added.sum()) for top in TOP}


def isoscore(values: Tensor) -> float:
    """Return the IsoScore: about the share of dimensions that are used alike, 1 for all of them, 0 for a single one.

    Rudman et al. (Findings of ACL 2022, section 4): their steps 1 to 7 come to (r - 1) / (size - 1) of the
    participation ratio r of the variances along principal components. So it orders spaces of one size as their
    effective dimension does. Of n vectors it cannot exceed (n - 2) / (size - 1): use `effective_dimension` to compare
    spaces of other sizes, or few vectors.

    Parameters
    ----------
    values : Tensor of shape (n, size)

    Raises
    ------
    InputError
        If there are fewer than two dimensions, or all vectors are the same.
    """
    variances = principal_variances(values)
    if len(variances) < 2:
        raise InputError(f"vectors of {len(variances)} dimension have no IsoScore; give vectors of two or more")
    return isoscore_of(float(variances.sum()), float(variances.square().sum()), len(variances))


def isoscore_of(total: float, squares: float, size: int) -> float:
    """Return the IsoScore of vectors of a size by tr(C) and tr(C^2) of their covariance C."""
    return (total**2 / squares - 1) / (size - 1)


def effective_dimension(values: Tensor) -> float:
    """Return how many dimensions are used: the participation ratio, tr(C)^2 / tr(C^2) of the covariance C.

    tr(C^2) of a sample is too large by far where vectors are few beside dimensions, and the plain ratio never exceeds
    their number. Both traces are therefore those of Srivastava (2005, J. Japan Statist. Soc. 35, equations 2.6 and
    2.7), which are right on average for Gaussian vectors of any size.

    Parameters
    ----------
    values : Tensor of shape (n, size)

    Returns
    -------
    float
        From 1 to size.

    Raises
    ------
    InputError
        If there are fewer than three vectors, or all are the same.
    """
    if len(values) < 3:
        raise InputError(f"{len(values)} vectors were given; three or more have an effective dimension")
    variances = principal_variances(values)
    return effective_dimension_of(float(variances.sum()), float(variances.square().sum()), len(values), len(variances))


def effective_dimension_of(total: float, squares: float, count: int, size: int) -> float:
    """Return the effective dimension of so many vectors of a size by tr(C) and tr(C^2) of their covariance C."""
    free = count - 1
    corrected = free**2 / ((free - 1) * (free + 2)) * (squares - total**2 / free)
    ratio = (total**2 - 2 * corrected / free) / corrected if corrected > 0 else float("inf")
    return min(max(ratio, 1.0), float(size))


def principal_variances(values: Tensor) -> Tensor:
    """Return the variances along the principal components, (size,), the largest first; zeros where there are none left.

    Raises
    ------
    InputError
        If there are fewer than two vectors, or all are the same.
    """
    if len(values) < 2:
        raise InputError(f"{len(values)} vectors were given; a variance needs two or more")
    values = values.double()
    found = torch.linalg.svdvals(values - values.mean(0)).square() / (len(values) - 1)
    if not float(found.sum()) > 0:
        raise InputError("all vectors are the same, so they have no variance; give texts that differ")
    return torch.cat([found, found.new_zeros(values.shape[1])])[: values.shape[1]]


def cosines(values: Tensor, pairs: Tensor) -> Tensor:
    """Return the cosine of each of some pairs.

    Parameters
    ----------
    values : Tensor of shape (n, size)
    pairs : Tensor of shape (m, 2)
        Numbers of vectors.

    Returns
    -------
    Tensor of shape (m,)
    """
    rows = directions(values)
    return (rows[pairs[:, 0]] * rows[pairs[:, 1]]).sum(1)


def directions(values: Tensor) -> Tensor:
    """Return vectors (n, size) of length 1, float64.

    Raises
    ------
    InputError
        If there are fewer than two vectors, or one is zero or not finite.
    """
    if len(values) < 2:
        raise InputError(f"{len(values)} vectors were given; a cosine needs two or more")
    if not bool((values.isfinite().all(1) & (values.norm(dim=1) > 0)).all()):
        raise InputError("a vector is zero or not finite, so it has no direction; leave it out")
    return normalize(values.double(), dim=1)
