"""From a space of many dimensions to a plane: principal components, or UMAP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from copyloom import InputError
from generator.threads import threads

Method = Literal["pca", "umap"]
_UMAP_LEAST, _UMAP_NEAR = 5, 15


@dataclass(frozen=True, eq=False)
class Plane:
    """Places on a map.

    Parameters
    ----------
    places : array of shape (N, 2)
        float64; across and up.
    shares : (float, float), optional
        Of the variance of all rows, held by each axis; None where axes mean nothing, as those of UMAP.
    """

    places: NDArray[np.float64]
    shares: tuple[float, float] | None


def check_method(method: str) -> None:
    """Raise `InputError` if a method is unknown, or what it needs is not installed: asked before texts are read."""
    if method not in get_args(Method):
        raise InputError(f"--method {method!r} is unknown; use pca, or umap with the extra maps")
    if method == "umap":
        _umap_class()


def _umap_class() -> type[Any]:
    try:
        from umap import UMAP
    except ImportError as error:
        raise InputError("--method umap needs the package umap-learn; install it with: pip install 'copyloom[maps]', "
                         "or use --method pca") from error  # fmt: skip
    found: type[Any] = UMAP
    return found


def projected(rows: NDArray[np.float32], method: str, seed: int) -> Plane:
    """Return rows (N, X) on a plane.

    Parameters
    ----------
    rows : array of shape (N, X)
    method : str
        ``"pca"``, the same for every seed, or ``"umap"``.
    seed : int
        Of UMAP.

    Raises
    ------
    InputError
        If the method is unknown, or UMAP has too few texts or is not installed.
    """
    check_method(method)
    if np.ptp(rows, axis=0).max(initial=0.0) < 1e-6:  # one place, however it is looked at
        return Plane(np.zeros((len(rows), 2)), None)
    return _principal(rows) if method == "pca" else _umap(rows, seed)


def _principal(rows: NDArray[np.float32]) -> Plane:
    """Return the first two principal components; the largest loading of each axis is positive, on every machine."""
    many, size = rows.shape
    model = PCA(min(2, many, size), svd_solver="covariance_eigh" if many > size else "full")
    found = model.fit_transform(rows.astype(np.float64))
    signs = np.sign([axis[np.abs(axis).argmax()] for axis in model.components_])
    places, shares = np.zeros((many, 2)), np.zeros(2)
    places[:, : found.shape[1]], shares[: found.shape[1]] = found * signs, model.explained_variance_ratio_
    return Plane(places, (float(shares[0]), float(shares[1])))


def _umap(rows: NDArray[np.float32], seed: int) -> Plane:
    """Return the places that UMAP finds (McInnes et al. 2018), on one thread so that a seed gives one map.

    Numba, which UMAP runs on, sets how many threads OpenMP has: for torch too.
    """
    if len(rows) < _UMAP_LEAST:
        raise InputError(f"UMAP needs {_UMAP_LEAST} texts or more, {len(rows)} were given; use --method pca")
    near = min(_UMAP_NEAR, len(rows) - 1)
    start = "spectral" if len(rows) > 2 * _UMAP_NEAR else "random"  # too few for eigenvectors
    with threads():
        found = _umap_class()(n_neighbors=near, init=start, random_state=seed, n_jobs=1).fit_transform(rows)
    return Plane(np.asarray(found, np.float64), None)
