"""Texts of files of any size, read a few thousand at a time and numbered as they stand there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from copyloom import InputError
from copyloom.columns import find_column
from copyloom.sources import STANDARD_INPUT
from copyloom.tables import Reading, open_table
from copyloom.texts import column_cells


def stream_texts(path: Path, column: str = "text", reading: Reading | None = None) -> Iterator[str]:
    """Yield every text of a file, or of all files of a folder by name, nothing left out: what is missing is "".

    Use `experiments.texts.read_lines` for a person's file, which is read without its empty and other cells.

    Parameters
    ----------
    path : Path
        As for `copyloom.tables.open_table`.
    column : str
        Which holds the texts, where there are columns.
    reading : Reading, optional
        What a person says of the files.

    Raises
    ------
    InputError
        If there is no such file or column, the column holds no text, or a file is damaged or cannot be told.
    """
    files = (
        sorted(file for file in path.iterdir() if file.is_file() and file.name[0] not in "._")
        if path.is_dir()
        else [path]
    )
    if not files or not (files[0].exists() or str(path) == STANDARD_INPUT):
        raise InputError(f"there is no text at {path}; give a Parquet, CSV or text file, or a folder of them")
    for file in files:
        table = open_table(file, reading, (column,))
        number = 0 if table.format == "text" else find_column(table.name, table.columns, column)
        for cells in column_cells(table, number):
            yield from (cell or "" for cell in cells)
