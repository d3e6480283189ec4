"""Neighbours in the space, and how many of them a map keeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

NEAREST = 10
_BLOCK = 512


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest of each row, itself left out.

    Parameters
    ----------
    ids : array of shape (N, K)
        Rows, the nearest first.
    cosines : array of shape (N, K)
    """

    ids: NDArray[np.int64]
    cosines: NDArray[np.float64]


@dataclass(frozen=True)
class Faithfulness:
    """What a map keeps of neighbourhoods.

    Parameters
    ----------
    neighbours : int
        How many of each text are looked at: K.
    kept : float, optional
        The mean share of a text's K nearest in the space that are among its K nearest on the map; None for one text,
        texts that all lie in one place, or so few that all others are the K nearest, which any map keeps.
    by_chance : float, optional
        What a map of random places keeps; None where `kept` is.
    trustworthiness : float, optional
        Of 1 at most: less where the map shows as near what is far in the space (Venna and Kaski 2001); None where the
        texts are fewer than it is defined for.
    """

    neighbours: int
    kept: float | None
    by_chance: float | None
    trustworthiness: float | None


def nearest(rows: NDArray[np.float32], count: int = NEAREST) -> Neighbours:
    """Return the nearest of each of some rows (N, X) of unit length by cosine, `count` or as many as there are.

    Rows that are zero have the cosine 0 to all.
    """
    many = min(count, len(rows) - 1)
    if many < 1:
        return Neighbours(np.zeros((len(rows), 0), np.int64), np.zeros((len(rows), 0)))
    ids = NearestNeighbors(n_neighbors=many, algorithm="brute").fit(rows).kneighbors(return_distance=False)
    blocks = (slice(start, start + _BLOCK) for start in range(0, len(rows), _BLOCK))
    cosines = np.concatenate([np.einsum("nx,nkx->nk", rows[block], rows[ids[block]]) for block in blocks])
    return Neighbours(ids, cosines.astype(np.float64))


def faithfulness(
    rows: NDArray[np.float32], places: NDArray[np.float64], near: Neighbours, count: int = NEAREST
) -> Faithfulness:
    """Return what a map keeps of neighbourhoods.

    Parameters
    ----------
    rows : array of shape (N, X)
        Of unit length.
    places : array of shape (N, 2)
    near : Neighbours
        Of the rows.
    count : int
        Neighbours that are looked at.
    """
    many, looked_at = len(rows), min(count, near.ids.shape[1])
    if looked_at < 1 or np.ptp(places, axis=0).max() == 0:
        return Faithfulness(looked_at, None, None, None)
    all_others = looked_at == many - 1
    beside = NearestNeighbors(n_neighbors=looked_at, algorithm="kd_tree").fit(places).kneighbors(return_distance=False)
    kept = np.mean([len(np.intersect1d(one, other)) for one, other in zip(near.ids, beside, strict=True)]) / looked_at
    fewer = min(looked_at, (many - 1) // 2)
    trust = trustworthiness(rows, beside[:, :fewer]) if fewer else None
    if all_others:
        return Faithfulness(looked_at, None, None, trust)
    return Faithfulness(looked_at, float(kept), looked_at / (many - 1), trust)


def trustworthiness(rows: NDArray[np.float32], beside: NDArray[np.int64]) -> float:
    """Return the trustworthiness of a map (Venna and Kaski 2001): what `sklearn.manifold.trustworthiness` returns.

    That one holds all N x N distances at once, several times: 10 GB for 20,000 texts. This one goes through them in
    blocks.

    Parameters
    ----------
    rows : array of shape (N, X)
    beside : array of shape (N, K)
        The K nearest of each on the map, fewer than half of all.
    """
    (many, near), beyond = beside.shape, 0
    lengths = np.square(rows).sum(1)
    for start in range(0, many, _BLOCK):
        block = slice(start, start + _BLOCK)
        apart = lengths - 2 * rows[block] @ rows.T  # squared distances, less what is the same in a row
        own = np.arange(len(apart))
        apart[own, start + own] = -np.inf
        for column in beside[block].T:
            closer = (apart < apart[own, column][:, None]).sum(1)  # itself included, so this is the rank from 1
            beyond += int(np.maximum(closer - near, 0).sum())
    return 1 - beyond * 2 / (many * near * (2 * many - 3 * near - 1))
