"""Summary embeddings as a file: safetensors with the texts and the space in its metadata, never pickle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from copyloom import InputError
from embeddings.folders import replacing
from embeddings.summary import Lineage, SpaceIdentity, SummaryEmbedding, check_same_space

FORMAT = "copyloom embeddings 1"


def save_embeddings(embeddings: Sequence[SummaryEmbedding], path: Path) -> None:
    """Write embeddings of one space to `path`, all or nothing."""
    write_file(embeddings, path, FORMAT, {})


def load_embeddings(path: Path) -> list[SummaryEmbedding]:
    """Return the embeddings in a file that `save_embeddings` wrote."""
    return read_file(path, FORMAT, "copyloom invert --out")[0]


def write_file(embeddings: Sequence[SummaryEmbedding], path: Path, kind: str, more: dict[str, str]) -> None:
    """Write embeddings of one space to `path`, all or nothing, as a file of the format `kind` with `more` metadata."""
    if not embeddings:
        raise InputError("no embeddings were given; there is nothing to write")
    space = check_same_space(embeddings)
    rows = [
        {"text": e.text, "exact": e.exact, "margin": e.margin, "steps": e.steps, "start": e.start,
         "lineage": None if e.lineage is None else asdict(e.lineage)}
        for e in embeddings
    ]  # fmt: skip
    metadata = {"format": kind, "space": json.dumps(asdict(space)), "texts": json.dumps(rows), **more}
    tensors = {
        "vectors": torch.stack([e.vectors for e in embeddings]),
        "sentence_vectors": torch.stack([e.sentence_vector for e in embeddings]),
    }
    try:
        with replacing(path) as partial:
            save_file(tensors, partial, metadata)
    except SafetensorError as error:
        raise InputError(f"{path} cannot be written ({error}); choose another place") from error


def read_file(path: Path, kind: str, command: str) -> tuple[list[SummaryEmbedding], dict[str, str]]:
    """Return the embeddings and the metadata of a file of the format `kind`, which `command` writes."""
    with opened(path, kind, command) as (file, metadata):
        return _embeddings(metadata, file.get_tensor("vectors"), file.get_tensor("sentence_vectors")), metadata


@contextmanager
def opened(path: Path, kind: str, command: str) -> Iterator[tuple[Any, dict[str, str]]]:
    """Yield a safetensors file of the format `kind`, which `command` writes, and its metadata."""
    if not path.is_file():
        raise InputError(f"there is no file {path}; write one with `{command} {path}`")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != kind:
                raise InputError(f"{path} is not a file of the format {kind!r}; `{command}` writes one")
            yield file, metadata
    except SafetensorError as error:
        what = f"is not a safetensors file of the format {kind!r}, or is damaged"
        raise InputError(f"{path} {what} ({error}); `{command}` writes one") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({type(error).__name__}: {error}); write it again: `{command}`") from error


def _embeddings(metadata: dict[str, str], vectors: Tensor, sentence_vectors: Tensor) -> list[SummaryEmbedding]:
    space = SpaceIdentity(**json.loads(metadata["space"]))
    if vectors.shape[1:] != (space.vectors, space.hidden_size):
        raise ValueError(f"vectors of shape {tuple(vectors.shape)} in {space}")
    return [
        SummaryEmbedding(
            **{**row, "lineage": _lineage(row["lineage"])},
            vectors=vector,
            sentence_vector=sentence,
            space=space,
        )
        for row, vector, sentence in zip(json.loads(metadata["texts"]), vectors, sentence_vectors, strict=True)
    ]


def _lineage(row: dict[str, list[object]] | None) -> Lineage | None:
    return (
        None if row is None else Lineage(tuple(map(str, row["parents"])), tuple(float(str(w)) for w in row["weights"]))
    )
