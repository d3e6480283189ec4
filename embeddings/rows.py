"""Vectors of texts as a file of numbers, one row a text: factorised ratings, or what another system made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import InputError


def read_rows(path: Path) -> Tensor:
    """Return the numbers of a file, a float32 Tensor of shape (rows, S).

    Parameters
    ----------
    path : Path
        NumPy (``.npy``); safetensors (``.safetensors``) with one tensor, or one called "vectors"; Parquet
        (``.parquet``) with one column of lists, or else its columns of numbers side by side.

    Raises
    ------
    InputError
        If the file cannot be read, or holds something else.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None or not path.is_file():
        raise InputError(f"there are no vectors at {path}; give a .npy, .safetensors or .parquet file, one row a text")
    try:
        found = reader(path)
    except (OSError, ValueError, TypeError, KeyError, EOFError, pa.ArrowException, SafetensorError) as error:
        raise InputError(f"the vectors in {path} cannot be read: {error}") from error
    if found.ndim != 2 or found.is_complex():
        raise InputError(f"{path} holds {found.dtype} of shape {tuple(found.shape)}; give numbers of shape (texts, S)")
    return found.float()


def unit_rows(vectors: Tensor, size: int | None = None) -> Tensor:
    """Return vectors (B, S) scaled to unit length, as adapters read them: directions count.

    Raises
    ------
    InputError
        If the shape is another, or a row is zero or holds NaN or infinite values.
    """
    if vectors.ndim != 2 or not vectors.shape[1] or (size is not None and vectors.shape[1] != size):
        raise InputError(f"vectors has shape {tuple(vectors.shape)}; give (texts, {'S' if size is None else size})")
    largest = vectors.double().abs().amax(1)
    if bad := (~largest.isfinite()).nonzero()[:, 0].tolist():
        raise InputError(f"vectors holds NaN or infinite values in {_places(bad)}; leave those texts out")
    if bad := (largest == 0).nonzero()[:, 0].tolist():
        raise InputError(f"vectors is zero in {_places(bad)}, which say nothing; leave those texts out")
    return normalize(vectors.double(), dim=1, eps=0).float()


def _places(rows: list[int]) -> str:
    shown = ", ".join(str(row + 1) for row in rows[:5])
    return f"{len(rows)} of its rows (number {shown}{', ...' if len(rows) > 5 else ''})"


def _numpy(path: Path) -> Tensor:
    return torch.from_numpy(np.asarray(np.load(path, allow_pickle=False)))


def _safetensors(path: Path) -> Tensor:
    tensors = load_file(path)
    if len(tensors) != 1 and "vectors" not in tensors:
        raise ValueError(f"it holds {', '.join(sorted(tensors)) or 'nothing'}; call the tensor 'vectors'")
    return tensors["vectors"] if "vectors" in tensors else next(iter(tensors.values()))


def _parquet(path: Path) -> Tensor:
    table = pq.read_table(path)
    lists = [name for name in table.column_names if _is_list(table.schema.field(name).type)]
    if len(lists) > 1 and "vectors" not in lists:
        raise ValueError(f"it has the columns of lists {', '.join(lists)}; call one 'vectors'")
    if lists:
        rows = table["vectors" if "vectors" in lists else lists[0]].to_pylist()
        return torch.tensor(rows, dtype=torch.float64)
    kinds = {name: table.schema.field(name).type for name in table.column_names}
    columns = [name for name, kind in kinds.items() if pa.types.is_floating(kind) or pa.types.is_integer(kind)]
    if not columns:
        raise ValueError(f"none of its columns {', '.join(table.column_names)} holds numbers")
    return torch.from_numpy(np.stack([table[name].to_numpy().astype(np.float64) for name in columns], axis=1))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


_READERS = {".npy": _numpy, ".safetensors": _safetensors, ".parquet": _parquet}
