"""What a reward model is fitted to: one row per text, with features and numbers that sum up its outcomes."""

from typing import Any

import torch
from torch import Tensor

from bandits.inputs import as_tensor, finite_tensor, mask_tensor
from bandits.posterior import with_intercept
from copyloom import InputError


def checked_rows(features: Any, present: Any, **statistics: Any) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Design with zeros in absent rows, mask and statistics, with leading dimensions broadcast.

    Parameters
    ----------
    features : array of shape (..., N, d)
    present : array of shape (..., N), bool, or None
        False in rows whose values are ignored, NaN included; None stands for True everywhere.
    **statistics : array of shape (..., N)
        Under the names to be used in messages.

    Returns
    -------
    design : Tensor of shape (..., N, 1 + d)
    present : Tensor of shape (..., N), bool
    statistics : list of Tensor of shape (..., N)
        In the order given, 0 in absent rows.
    """
    features = as_tensor("features", features)
    arrays = {name: as_tensor(name, values) for name, values in statistics.items()}
    if features.ndim < 2 or features.shape[-1] < 1:
        raise InputError(f"features has shape {tuple(features.shape)}; pass (..., N, d) with d at least 1")
    shape = _row_shape(features.shape, [array.shape for array in arrays.values()], present)
    mask = mask_tensor("present", present, shape).to(features.device)

    def kept(name: str, values: Tensor, mask: Tensor) -> Tensor:
        values = (values if present is None else torch.where(mask, values, 0)).to(torch.float64)
        return values if values.sum().isfinite() else finite_tensor(name, values)  # the sum is the faster check

    design = with_intercept(kept("features", features, mask[..., None]).expand(*shape, features.shape[-1]))
    if present is not None:
        design = torch.where(mask[..., None], design, 0)
    return design, mask, [kept(name, array, mask).expand(shape) for name, array in arrays.items()]


def same_rows(present: Tensor, **statistics: Any) -> list[Tensor]:
    """Statistics for the rows of an earlier fit, which are not checked again: list of Tensor of shape (..., N)."""
    found = []
    for name, values in statistics.items():
        array = as_tensor(name, values).to(present.device)
        if array.shape != present.shape:
            raise InputError(
                f"{name} has shape {tuple(array.shape)}; pass that of the posterior: {tuple(present.shape)}"
            )
        found.append(finite_tensor(name, torch.where(present, array, 0)))
    return found


def check_most(name: str, part: Tensor, whole_name: str, whole: Tensor) -> None:
    """Raise unless 0 <= part <= whole for every text.

    Raises
    ------
    InputError
        If not; it names the first such text.
    """
    bad = (part < 0) | (part > whole)
    if bad.any():
        where = tuple(bad.nonzero()[0].tolist())
        raise InputError(
            f"text {where} has {part[where].item():g} {name} on {whole[where].item():g} {whole_name}; "
            f"pass counts with 0 <= {name} <= {whole_name}"
        )


def _row_shape(features: torch.Size, statistics: list[torch.Size], present: Any) -> torch.Size:
    """The broadcast shape (..., N) of the rows."""
    shapes = [features[:-1], *statistics]
    if present is not None:
        shapes.append(as_tensor("present", present).shape)
    given = f"features {tuple(features)}, others {', '.join(str(tuple(shape)) for shape in shapes[1:])}"
    if any(shape[-1:] != features[-2:-1] for shape in shapes):
        raise InputError(f"shapes do not fit: {given}; pass one number per row of features, (..., {features[-2]})")
    try:
        return torch.Size(torch.broadcast_shapes(*shapes))
    except RuntimeError as error:
        raise InputError(f"leading dimensions do not broadcast: {given}") from error
