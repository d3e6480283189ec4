"""Arrays and numbers from outside, checked once at the door."""

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from copyloom import InputError

Array: TypeAlias = NDArray[np.float64]


def as_tensor(name: str, values: Any) -> Tensor:
    """Tensors as they are; anything else by way of NumPy, whose lists of floats keep double precision.

    Raises
    ------
    InputError
        If the values are no array of numbers.
    """
    if isinstance(values, Tensor):
        return values
    try:
        return torch.from_numpy(np.array(values, order="C"))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name} is no array of numbers ({error}); pass a tensor or an array") from error


def finite_tensor(name: str, values: Any) -> Tensor:
    """Values as a float64 tensor on the device they are on.

    Raises
    ------
    InputError
        If a value is NaN or infinite, or the values are no array of numbers.
    """
    tensor = as_tensor(name, values).to(torch.float64)
    bad = ~torch.isfinite(tensor)
    if bad.any():
        where = tuple(bad.nonzero()[0].tolist())
        raise InputError(
            f"{name} holds {int(bad.sum())} NaN or infinite values, the first at {where}; pass finite numbers"
        )
    return tensor


def unit_vectors(values: Any) -> Tensor:
    """Pool vectors in the floating type they came in.

    Raises
    ------
    InputError
        If they are no matrix of floats, or a row's norm is not 1.
    """
    vectors = as_tensor("pool_vectors", values)
    if vectors.ndim != 2 or not vectors.is_floating_point():
        raise InputError(
            f"pool_vectors is {vectors.dtype} of shape {tuple(vectors.shape)}; pass floats of shape (M, S)"
        )
    if len(vectors) == 0:
        raise InputError("pool_vectors is empty; pass the vector of at least one text")
    norms = torch.linalg.vector_norm(vectors.to(torch.float64), dim=-1)
    near = (norms - 1).abs() <= max(1e-3, torch.finfo(vectors.dtype).eps)  # False for NaN too
    if not bool(near.all()):
        row = int((~near).nonzero()[0])
        raise InputError(f"pool vector {row} has norm {norms[row].item():g}; pass unit vectors")
    return vectors


def mask_tensor(name: str, values: Any, shape: torch.Size) -> Tensor:
    """Values as a bool tensor of the given shape; None means True everywhere.

    Raises
    ------
    InputError
        If the values are not booleans or do not broadcast to the shape.
    """
    if values is None:
        return torch.ones(shape, dtype=torch.bool)
    mask = as_tensor(name, values)
    if mask.dtype != torch.bool:
        raise InputError(f"{name} has dtype {mask.dtype}; pass booleans")
    if mask.ndim == 0 or mask.shape[-1] != shape[-1] or not broadcasts_to(mask.shape, shape):
        raise InputError(f"{name} has shape {tuple(mask.shape)}; pass one boolean per text: {tuple(shape)}")
    return mask.expand(shape)


def broadcasts_to(shape: torch.Size, target: torch.Size) -> bool:
    """Whether an array of this shape can be read as one of the target shape."""
    if len(shape) > len(target):
        return False
    return all(a in (1, b) for a, b in zip(reversed(shape), reversed(target), strict=False))
