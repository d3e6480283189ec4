"""Reducing sentence vectors to the few whitened features that clicks can teach (design 4.6, 4.7)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from copyloom import InputError


@dataclass(frozen=True, eq=False)
class Reduction:
    """A linear map from sentence vectors (n, S) to features (n, d), whitened over the texts it was fitted on.

    Examples
    --------
    >>> vectors = torch.nn.functional.normalize(torch.randn(50, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    >>> Reduction.fit(vectors, 3)(vectors).var(0).round(decimals=6).tolist()
    [1.0, 1.0, 1.0]
    """

    mean: Tensor
    basis: Tensor

    @classmethod
    def fit(cls, vectors: Tensor, features: int) -> Reduction:
        """Return the whitened principal components of `vectors` (n, S); at most n - 1 of them.

        Raises
        ------
        InputError
            If there are fewer than two vectors.
        """
        if len(vectors) < 2:
            raise InputError(f"{len(vectors)} sentence vectors were given; a reduction needs at least two")
        values = vectors.double()
        mean = values.mean(0)
        _, scale, directions = torch.linalg.svd(values - mean, full_matrices=False)
        kept = min(features, len(values) - 1, int((scale > 1e-9 * scale[0]).sum()))
        if not kept:
            raise InputError("all texts have the same meaning to the sentence encoder; add texts that differ")
        directions = directions[:kept]
        signs = torch.sign(directions.gather(1, directions.abs().argmax(1, keepdim=True)))  # one sign on every machine
        deviation = scale[:kept] / (len(values) - 1) ** 0.5
        return cls(mean, (signs * directions / deviation[:, None]).T)

    @property
    def features(self) -> int:
        """The number d of features."""
        return self.basis.shape[1]

    def __call__(self, vectors: Tensor) -> Tensor:
        """Return the features (..., d), float64, of sentence vectors (..., S)."""
        return (vectors.double() - self.mean) @ self.basis
