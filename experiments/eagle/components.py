"""Principal components: the few numbers of a sentence vector that policies and designs read."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from copyloom import InputError


@dataclass(frozen=True, eq=False)
class Components:
    """The first principal components of some texts, each scaled to standard deviation 1 over them.

    Attributes
    ----------
    mean : Tensor of shape (S,)
    columns : Tensor of shape (S, d)
        Orthogonal; divided by the standard deviations.
    """

    mean: Tensor
    columns: Tensor

    @classmethod
    def of(cls, vectors: Tensor, most: int) -> Components:
        """Return the components of sentence vectors (n, S): at most `most`, and no more than they span.

        Raises
        ------
        InputError
            If there are fewer than two different vectors, or no component is asked for.
        """
        if vectors.ndim != 2 or len(vectors) < 2 or most < 1:
            raise InputError(f"{most} components of vectors {tuple(vectors.shape)} cannot be; pass two vectors or more")
        rows = vectors.double()
        mean = rows.mean(0)
        _, sizes, axes = torch.linalg.svd(rows - mean, full_matrices=False)
        count = min(most, int((sizes > 1e-6 * sizes.amax()).sum())) if sizes.any() else 0
        if not count:
            raise InputError("all vectors are the same; give texts that differ")
        axes = axes[:count]
        signs = axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
        return cls(mean, (axes * signs / (sizes[:count, None] / len(rows) ** 0.5)).T)

    def __call__(self, vectors: Tensor) -> Tensor:
        """Return the components (..., d), float64, of sentence vectors (..., S)."""
        return (vectors.double() - self.mean) @ self.columns
