"""Publishing summary embeddings: a folder with all that another machine needs to read them, written all or nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError
from safetensors.torch import save

from copyloom import InputError, __version__
from embeddings.database import text_id
from embeddings.dataset import CARD, RECORD, TEXTS, DatasetRecord, check_tensor, columns, file_hash
from embeddings.dataset_card import card
from embeddings.summary import SummaryEmbedding, check_same_space

FILE_ROWS = 4096
"""Rows of a safetensors file, and the most that are held in memory."""


def publish(
    embeddings: Iterable[SummaryEmbedding],
    folder: Path,
    *,
    title: str,
    licence: str,
    source: str,
    revision: str | None = None,
    texts_included: bool = True,
) -> DatasetRecord:
    """Write embeddings of one space to a new folder, all or nothing, and return what its ``dataset.json`` says.

    Parameters
    ----------
    embeddings : iterable of SummaryEmbedding
        Read once, `FILE_ROWS` at a time.
    folder : Path
        One that does not exist or is empty.
    title, licence, source : str
        Of the texts: a name, an SPDX identifier or words, whose they are and where they come from.
    revision : str, optional
        Of the language model, such as a commit of the hub.
    texts_included : bool
        Whether the texts are written, or only their SHA-256. Either way the vectors decode to them.

    Raises
    ------
    SpaceError
        If the embeddings are of several spaces.
    InputError
        If there are none, one is not finite or of another shape, title, licence or source is blank, or the folder
        is taken or cannot be written.
    """
    about = {name: " ".join(v.split()) for name, v in (("title", title), ("licence", licence), ("source", source))}
    if blank := [name for name, value in about.items() if not value]:
        raise InputError(f"{' and '.join(blank)} of the texts is blank; who loads them must know what they may do")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder} is there already; choose another --out, or remove it")
    rest = iter(embeddings)
    first = next(rest, None)
    if first is None:
        raise InputError("no embeddings were given; there is nothing to publish")
    place = folder.resolve()
    partial = place.with_name(f".{place.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        names = _write_rows(chain([first], rest), partial, columns(texts_included))
        table = pq.read_table(partial / TEXTS, columns=["exact", "margin", "steps"])
        record = DatasetRecord(
            **about, revision=revision, texts_included=texts_included, space=first.space, rows=len(table),
            sentence_size=len(first.sentence_vector), exact=sum(table["exact"].to_pylist()), copyloom=__version__,
            files={name: file_hash(partial / name) for name in names},
        )  # fmt: skip
        (partial / CARD).write_text(card(record, table), encoding="utf-8")
        (partial / RECORD).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
        os.replace(partial, place)
    except (OSError, SafetensorError, pa.ArrowException) as error:
        raise InputError(f"{folder} cannot be written ({error}); choose another --out") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return record


def _write_rows(embeddings: Iterator[SummaryEmbedding], folder: Path, schema: pa.Schema) -> list[str]:
    """Write all rows and return the names of the files."""
    names, shown = [TEXTS], str if schema.names[0] == "text" else text_id
    first = None
    with pq.ParquetWriter(folder / TEXTS, schema, compression="zstd") as table:
        while part := list(islice(embeddings, FILE_ROWS)):
            first = first or part[0]
            _check(part, first)
            names.append(f"embeddings-{len(names):05d}.safetensors")
            tensors = {
                "vectors": torch.stack([e.vectors for e in part]),
                "sentence_vectors": torch.stack([e.sentence_vector for e in part]),
            }
            (folder / names[-1]).write_bytes(save(tensors))  # `save_file` lets nobody else read the file
            table.write_table(pa.table(list(zip(*(_row(e, shown) for e in part), strict=True)), schema=schema))
    return names


def _row(embedding: SummaryEmbedding, shown: Callable[[str], str]) -> tuple[Any, ...]:
    """Return the values of a row, in the order of `embeddings.dataset.columns`."""
    lineage = embedding.lineage
    return (
        shown(embedding.text), embedding.exact, embedding.margin, embedding.steps, embedding.start,
        None if lineage is None else [shown(parent) for parent in lineage.parents],
        None if lineage is None else list(lineage.weights),
    )  # fmt: skip


def _check(part: Sequence[SummaryEmbedding], first: SummaryEmbedding) -> None:
    space = check_same_space([first, *part])
    for embedding in part:
        name = repr(embedding.text[:30])
        check_tensor(f"{name} has vectors", embedding.vectors, (space.vectors, space.hidden_size))
        check_tensor(f"{name} has a sentence vector", embedding.sentence_vector, first.sentence_vector.shape)
