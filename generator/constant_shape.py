"""Run a function over many rows in chunks of one size, so that no row's result depends on how many there are.

Matrix products choose their kernels by shape; the last bits of a row can differ between a batch of 3 and a batch of 64.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def in_chunks(function: Callable[..., Tensor], rows: int, *inputs: Tensor) -> Tensor:
    """Return ``function(*inputs)``, computed `rows` rows at a time; a short last chunk is filled with its last row.

    Examples
    --------
    >>> in_chunks(lambda x: x * 2, 4, torch.arange(3.0))
    tensor([0., 2., 4.])
    """
    count = len(inputs[0])
    results = []
    for start in range(0, max(count, 1), rows):
        chunk = [x[start : start + rows] for x in inputs]
        short = rows - len(chunk[0])
        if short and len(chunk[0]):
            chunk = [torch.cat([x, x[-1:].expand(short, *x.shape[1:])]) for x in chunk]
        results.append(function(*chunk)[: rows - short])
    return torch.cat(results)
