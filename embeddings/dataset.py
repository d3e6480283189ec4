"""Datasets: published summary embeddings in a folder of safetensors, Parquet and a card, loaded with checks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from copyloom import InputError, SpaceError, in_words
from embeddings.context import decode_vectors, room_for
from embeddings.database import text_id
from embeddings.space import Space
from embeddings.summary import Lineage, SpaceIdentity, SummaryEmbedding, difference

RECORD: Final = "dataset.json"
CARD: Final = "README.md"
TEXTS: Final = "texts.parquet"
_LONGEST = 512
"""Tokens up to which a text may decode, its end included; see `embeddings.inversion.most_tokens`."""


class DatasetRecord(BaseModel):
    """What ``dataset.json`` says of a dataset.

    Parameters
    ----------
    title, licence, source : str
        Of the texts.
    revision : str, optional
        Of the language model, such as a commit of the hub.
    texts_included : bool
        Whether the texts are in the dataset, or only their SHA-256.
    space : SpaceIdentity
    rows : int
        M.
    sentence_size : int
        S.
    exact : int
        Rows that decoded back when they were inverted.
    files : dict
        SHA-256 of each file of data; people may edit the card.
    copyloom : str
        The version that wrote the dataset.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["copyloom dataset 1"] = "copyloom dataset 1"
    title: str
    licence: str
    source: str
    revision: str | None
    texts_included: bool
    space: SpaceIdentity
    rows: PositiveInt
    sentence_size: PositiveInt
    exact: NonNegativeInt
    files: dict[str, str]
    copyloom: str


@dataclass(frozen=True)
class Verification:
    """How many rows of a dataset were decoded again, how many of them gave their text back, and which should have.

    Parameters
    ----------
    decoded, exact : int
    broken : tuple of int
        Rows that the dataset calls exact and that decode to something else.
    """

    decoded: int
    exact: int
    broken: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset that passed its checks.

    Parameters
    ----------
    folder : Path
    record : DatasetRecord
    vectors : Tensor of shape (M, P, D)
    sentence_vectors : Tensor of shape (M, S)
    table : pyarrow.Table
        Of M rows; see `columns`.
    """

    folder: Path
    record: DatasetRecord
    vectors: Tensor
    sentence_vectors: Tensor
    table: pa.Table

    def embeddings(self) -> list[SummaryEmbedding]:
        """Return the summary embeddings, as they were published.

        Raises
        ------
        InputError
            If the dataset was published without its texts.
        """
        if not self.record.texts_included:
            raise InputError(f"{self.folder} holds no texts, only their SHA-256; use its vectors, or decode them")
        rows = zip(self.table.to_pylist(), self.vectors, self.sentence_vectors, strict=True)
        return [
            SummaryEmbedding(
                **{name: row[name] for name in ("text", "exact", "margin", "steps", "start")},
                vectors=vectors,
                sentence_vector=sentence_vector,
                space=self.record.space,
                lineage=_lineage(row),
            )
            for row, vectors, sentence_vector in rows
        ]

    def verify(self, space: Space, sample: int | None = None, seed: int = 0) -> Verification:
        """Return what `sample` rows, drawn with `seed`, or all rows decode to: their texts or something else.

        Raises
        ------
        SpaceError
            If `space` is not the dataset's.
        InputError
            If `sample` is less than one.
        """
        self._check_space(space)
        if sample is not None and sample < 1:
            raise InputError(f"a sample of {sample} rows was asked for; ask for at least one")
        rows = np.sort(np.random.default_rng(seed).permutation(self.record.rows)[:sample])
        stored = self.table.take(pa.array(rows))
        wanted = stored[columns(self.record.texts_included).names[0]].to_pylist()
        found = _decode(space, self.vectors[torch.from_numpy(rows)])
        shown = found if self.record.texts_included else [None if text is None else text_id(text) for text in found]
        right = np.array([one == other for one, other in zip(shown, wanted, strict=True)])
        broken = rows[~right & np.array(stored["exact"].to_pylist())]
        return Verification(len(rows), int(right.sum()), tuple(map(int, broken)))

    def _check_space(self, space: Space) -> None:
        mine = self.record.space
        if mine != space.identity:
            raise SpaceError(
                f"the dataset {self.folder} is in {mine}, this model works in {space.identity} "
                f"({difference(mine, space.identity)}); load the model that the dataset names"
            )


def load_dataset(folder: Path) -> Dataset:
    """Return the dataset in a folder that `publish` wrote, after checking all of it but the decoding.

    Use `Dataset.verify` to decode.
    """
    try:
        record = _read_record(folder)
        if not (folder / CARD).is_file():
            raise InputError(f"{folder / CARD} is missing, and with it what people must know; get the dataset again")
        for name, wanted in record.files.items():
            _check_file(folder / name, wanted)
        vectors, sentence_vectors = _read_vectors(folder, record)
        table = _read_table(folder / TEXTS, record)
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error}); check who may read its files") from error
    return Dataset(folder, record, vectors, sentence_vectors, table)


def columns(texts_included: bool) -> pa.Schema:
    """Return the columns of the Parquet file: with the texts, or with their SHA-256."""
    suffix = "" if texts_included else "_sha256"
    return pa.schema([
        (f"text{suffix}", pa.string()), ("exact", pa.bool_()), ("margin", pa.float64()), ("steps", pa.int64()),
        ("start", pa.string()), (f"parents{suffix}", pa.list_(pa.string())), ("weights", pa.list_(pa.float64())),
    ])  # fmt: skip


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _lineage(row: dict[str, Any]) -> Lineage | None:
    return None if row["parents"] is None else Lineage(tuple(row["parents"]), tuple(row["weights"]))


def _decode(space: Space, vectors: Tensor) -> list[str | None]:
    """Return what vectors (B, P, D) decode to, whatever its length; None for what comes to no end."""
    room = room_for(space.model, space.model.positions, space.prefix)
    decoded = decode_vectors(space.model, vectors, room, space.context_ids)
    return [result.text if result.finished else None for result in decoded]


def _read_record(folder: Path) -> DatasetRecord:
    path = folder / RECORD
    if not path.is_file():
        raise InputError(f"{folder} is no dataset, it has no {RECORD}; `copyloom dataset publish` writes one")
    try:
        record = DatasetRecord.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(f"{path} is damaged or of another format: {in_words(error)}; get the dataset again") from error
    strange = sorted(name for name in record.files if Path(name).name != name)
    if strange or TEXTS not in record.files:
        raise InputError(f"{path} names {', '.join(strange) or f'no {TEXTS}'}; files of a dataset lie beside it")
    return record


def _check_file(path: Path, wanted: str) -> None:
    if not path.is_file():
        raise InputError(f"{path} is missing; get the dataset again")
    if (found := file_hash(path)) != wanted:
        raise InputError(
            f"{path} is damaged or of another dataset: its SHA-256 is {found[:16]}..., {RECORD} says {wanted[:16]}...; "
            "get the dataset again"
        )


def _read_vectors(folder: Path, record: DatasetRecord) -> tuple[Tensor, Tensor]:
    names = sorted(name for name in record.files if name != TEXTS)
    sizes = {"vectors": (record.space.vectors, record.space.hidden_size), "sentence_vectors": (record.sentence_size,)}
    try:
        parts = [load_file(folder / name) for name in names]
        vectors, sentence_vectors = (torch.cat([part[name] for part in parts]) for name in sizes)
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise InputError(f"the vectors in {folder} cannot be read ({error}); get the dataset again") from error
    for tensor, (name, size) in zip((vectors, sentence_vectors), sizes.items(), strict=True):
        check_tensor(f"{folder} holds {name}", tensor, (record.rows, *size))
    return vectors, sentence_vectors


def check_tensor(what: str, tensor: Tensor, shape: Sequence[int]) -> None:
    """Raise `InputError` unless `tensor` is finite float32 of the shape; `what` begins the message."""
    if tensor.shape != tuple(shape) or tensor.dtype != torch.float32:
        raise InputError(
            f"{what} of shape {tuple(tensor.shape)} and {tensor.dtype}, not {tuple(shape)} and torch.float32; "
            "invert the texts again and publish them"
        )
    if not all(bool(bound.isfinite()) for bound in torch.aminmax(tensor)):  # of which NaN is both, if there is one
        raise InputError(f"{what} with NaN or infinite values; invert the texts again and publish them")


def _read_table(path: Path, record: DatasetRecord) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is not a Parquet file ({error}); get the dataset again") from error
    wanted: Any = columns(record.texts_included)
    if not table.schema.equals(wanted) or len(table) != record.rows:
        raise InputError(
            f"{path} has {len(table):,} rows of {', '.join(table.column_names)}; {RECORD} wants {record.rows:,} of "
            f"{', '.join(wanted.names)}, each of its type: get the dataset again"
        )
    return table
