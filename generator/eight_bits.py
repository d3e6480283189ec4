"""Parameters as they are saved: matrices in 8 bits, a scale a row, or a column where there are fewer of them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_BITS, _SCALE = ".int8", ".scale"
_WORTH_PACKING = 1024
"""Numbers of a matrix from which on it is rounded."""


def packed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return named tensors as they are saved: matrices in 8 bits.

    Rounding to 8 bits changes a matrix by about half a percent; `unpacked` takes it back to float32.
    """
    found = {}
    for name, value in tensors.items():
        value = value.detach().float().cpu()
        if value.ndim != 2 or value.numel() < _WORTH_PACKING:
            found[name] = value.contiguous()
            continue
        scale = value.abs().amax(int(value.shape[0] <= value.shape[1]), keepdim=True).clamp_min(1e-12) / 127
        found[f"{name}{_BITS}"] = (value / scale).round().to(torch.int8)
        found[f"{name}{_SCALE}"] = scale
    return found


def unpacked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors in float32, those that `packed` rounded to 8 bits multiplied out."""
    whole = {name: value.float() for name, value in tensors.items() if not name.endswith((_BITS, _SCALE))}
    for name, value in tensors.items():
        if name.endswith(_BITS):
            plain = name.removesuffix(_BITS)
            whole[plain] = value.float() * tensors[f"{plain}{_SCALE}"]
    return whole
