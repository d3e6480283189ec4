"""Texts of files of any size, read a few thousand at a time and numbered as they stand there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from copyloom import InputError

_BLOCK = 16 * 2**20
"""Bytes of a CSV file that are read at a time; the longest row that it may have."""


def stream_texts(path: Path, column: str = "text") -> Iterator[str]:
    """Yield every text of a file, or of all files of a folder by name, nothing left out: what is missing is "".

    Use `experiments.texts.read_lines` for a person's file, which is read as a whole and without its empty lines.

    Parameters
    ----------
    path : Path
        Parquet (``.parquet``), CSV with a first line of names (``.csv``), or anything else as text, one a line.
    column : str
        Which holds the texts, in Parquet and CSV.

    Raises
    ------
    InputError
        If there is no such file or column, the column holds no text, or a file is damaged or not in UTF-8.
    """
    files = (
        sorted(file for file in path.iterdir() if file.is_file() and file.name[0] not in "._")
        if path.is_dir()
        else [path]
    )
    if not files or not files[0].is_file():
        raise InputError(f"there is no text at {path}; give a Parquet, CSV or text file, or a folder of them")
    for file in files:
        try:
            yield from _READERS.get(file.suffix.lower(), _lines)(file, column)
        except UnicodeDecodeError as error:
            raise InputError(f"{file} is not a text file in UTF-8 (byte {error.start}); save it as UTF-8") from error
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{file} cannot be read: {error}") from error


def _parquet(path: Path, column: str) -> Iterator[str]:
    with pq.ParquetFile(path) as file:
        _check_column(path, column, file.schema_arrow)
        for batch in file.iter_batches(columns=[column]):
            yield from _texts(batch.column(0))


def _csv(path: Path, column: str) -> Iterator[str]:
    read, parse = pacsv.ReadOptions(block_size=_BLOCK), pacsv.ParseOptions(newlines_in_values=True)
    as_text = pacsv.ConvertOptions(column_types={column: pa.string()})
    with pacsv.open_csv(path, read, parse, as_text) as file:
        _check_column(path, column, file.schema)
        for batch in file:
            yield from _texts(batch.column(column))


def _lines(path: Path, column: str) -> Iterator[str]:
    with path.open(encoding="utf-8-sig") as file:
        yield from (line.removesuffix("\n") for line in file)


def _texts(values: pa.Array) -> Iterator[str]:
    yield from (value or "" for value in values.to_pylist())


def _check_column(path: Path, column: str, schema: pa.Schema) -> None:
    if column not in schema.names:
        raise InputError(f"{path} has no column {column!r}; it has {', '.join(schema.names)}")
    kind = schema.field(column).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        raise InputError(f"column {column!r} of {path} holds {kind}, not text; choose another column")


_READERS = {".parquet": _parquet, ".csv": _csv}
