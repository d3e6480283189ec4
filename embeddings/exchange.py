"""Summary embeddings as a file: safetensors with the texts and the space in its metadata, never pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from copyloom import InputError
from embeddings.summary import Lineage, SpaceIdentity, SummaryEmbedding, check_same_space

FORMAT = "copyloom embeddings 1"


def save_embeddings(embeddings: Sequence[SummaryEmbedding], path: Path) -> None:
    """Write embeddings of one space to `path`, all or nothing.

    Raises
    ------
    SpaceError
        If they are of several spaces.
    InputError
        If there are none, or the file cannot be written.
    """
    if not embeddings:
        raise InputError("no embeddings were given; there is nothing to write")
    space = check_same_space(embeddings)
    rows = [
        {"text": e.text, "exact": e.exact, "margin": e.margin, "steps": e.steps, "start": e.start,
         "lineage": None if e.lineage is None else asdict(e.lineage)}
        for e in embeddings
    ]  # fmt: skip
    metadata = {"format": FORMAT, "space": json.dumps(asdict(space)), "texts": json.dumps(rows)}
    tensors = {
        "vectors": torch.stack([e.vectors for e in embeddings]),
        "sentence_vectors": torch.stack([e.sentence_vector for e in embeddings]),
    }
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, partial, metadata)
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be written ({error}); choose another --out") from error


def load_embeddings(path: Path) -> list[SummaryEmbedding]:
    """Return the embeddings in a file that `save_embeddings` wrote.

    Raises
    ------
    InputError
        If there is no such file, or it is not one of Copyloom's.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}; write one with `copyloom invert --out {path}`")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise InputError(
                    f"{path} is not a file of Copyloom embeddings ({FORMAT}); `copyloom invert --out` writes one"
                )
            vectors, sentence_vectors = file.get_tensor("vectors"), file.get_tensor("sentence_vectors")
    except SafetensorError as error:
        raise InputError(f"{path} is not a safetensors file ({error}); `copyloom invert --out` writes one") from error
    space = SpaceIdentity(**json.loads(metadata["space"]))
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
