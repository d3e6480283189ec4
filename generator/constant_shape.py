"""Run a function over many rows in chunks of one size, so that no row's result depends on how many there are.

Matrix products choose their kernels by shape; the last bits of a row can differ between a batch of 3 and a batch of 64.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D


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


@torch.no_grad()
def rows_apart(model: nn.Module, rows: int, fewer: int) -> bool:
    """Whether each layer of a model gives the first or last `fewer` of `rows` rows the same bits without the others.

    Products of matrices choose their kernels by shape alone, so one try of each shape tells. Where a model has layers
    that are not linear, such as experts, which read the rows that others leave them, the answer is no.
    """
    layers = {
        (type(layer), weight.shape, weight.dtype, getattr(layer, "bias", None) is None): layer
        for layer in model.modules() if not isinstance(layer, nn.Embedding)
        for weight in layer.parameters(recurse=False) if weight.ndim > 1
    }  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    for layer in layers.values():
        if not isinstance(layer, (nn.Linear, Conv1D)):
            return False
        width = layer.weight.shape[0 if isinstance(layer, Conv1D) else 1]
        tried = torch.randn(rows, 1, width, generator=generator).to(layer.weight)
        whole = layer(tried)
        some = (slice(fewer), slice(rows - fewer, rows))
        if not all(torch.equal(whole[part], layer(tried[part])) for part in some):
            return False
    return True
