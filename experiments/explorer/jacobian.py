"""Derivatives of all tokens' numbers at once, with regard to what a text was decoded from."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor
from torch.func import jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

_FEW = 8
"""Numbers of an input up to which forward mode is used: a text has about as many tokens, or more."""

Forward = Callable[[Tensor], Tensor]


def token_jacobian(forward_func: Forward, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return one number a token, (B, T), and its derivatives with regard to each number of the input, (B, T, ...).

    Forward mode where an input has eight numbers at most, as weights have, and the model knows it; reverse mode
    elsewhere.

    Parameters
    ----------
    forward_func : callable
        From inputs (B, ...) to (B, T); no row may depend on another.
    inputs : Tensor of shape (B, ...)
    """
    if inputs[0].numel() <= _FEW:
        with suppress(RuntimeError):  # Bloom's and Mixtral's layers have no derivatives in that mode
            return _forward_mode(forward_func, inputs.detach())
    return _reverse_mode(forward_func, inputs.detach())


def _reverse_mode(forward_func: Forward, inputs: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        found = forward_func(point := inputs.clone().requires_grad_())
        slopes = [torch.autograd.grad(found[:, token].sum(), point, retain_graph=True)[0]
                  for token in range(found.shape[1])]  # fmt: skip
    return found.detach(), torch.stack(slopes, 1)


def _forward_mode(forward_func: Forward, inputs: Tensor) -> tuple[Tensor, Tensor]:
    columns, found = [], torch.empty(0)
    ways = torch.eye(inputs[0].numel(), dtype=inputs.dtype, device=inputs.device).view(-1, 1, *inputs.shape[1:])
    with sdpa_kernel(SDPBackend.MATH):  # the others have no derivatives of this kind
        for way in ways:
            found, slope = jvp(forward_func, (inputs,), (way.expand_as(inputs),))[:2]
            columns.append(slope)
    return found, torch.stack(columns, -1).unflatten(-1, inputs.shape[1:])
