"""Tables of any make, column by column: a data frame, a dict of arrays, or a file that `copyloom.tables` reads."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bandits.evaluation.rounds import missing_problems
from copyloom import InputError
from copyloom.numbers import parse_numbers
from copyloom.problems import Problem, problems_where
from copyloom.tables import Reading, TableFile, open_table

_USUAL = ("text", "reward", "propensity")


def read_table(
    source: Any, columns: Sequence[str], *, typed: Sequence[str] = (), optional: Sequence[str] = (),
    reading: Reading | None = None,
) -> pa.Table:  # fmt: skip
    """The named columns of a table.

    Parameters
    ----------
    source : table or path
        A pyarrow Table, a pandas, polars or other data frame that speaks Arrow, a dict of arrays; or a file as for
        `copyloom.tables.open_table`, or its path.
    columns : sequence of str
        Columns that must be there. Those of a file come as strings, so that no id loses its zeros and bad numbers
        can be pointed at; those of a Parquet file come as they are.
    typed : sequence of str
        More columns that must be there: numbers if every value is one, else strings.
    optional : sequence of str
        Columns that are read if they are there.
    reading : Reading, optional
        What a person says of the file.

    Raises
    ------
    InputError
        If the source cannot be read, lacks a column, or has no row.
    """
    needed = [*columns, *typed]
    if isinstance(source, (str, Path)):
        source = open_log(source, needed, reading)
    file = isinstance(source, TableFile)
    given = None if file else _table(source)
    names = list(source.columns if given is None else given.column_names)
    if missing := [column for column in needed if column not in names]:
        lacks, has = (textwrap.shorten(", ".join(map(repr, some)), 400) for some in (missing, names))
        raise InputError(f"the table has no column {lacks}; it has {has}: say which is which")
    wanted = list(dict.fromkeys([*needed, *(column for column in optional if column in names)]))
    if doubled := [column for column in wanted if names.count(column) > 1]:
        raise InputError(f"the table has more than one column {doubled[0]!r}; leave one or rename the others")
    table = source.table(wanted) if given is None else given.select(wanted)
    if table.num_rows == 0:
        raise InputError("the table is empty; it needs at least 2 rounds, one a row")
    return _typed(table, typed) if file else table


def open_log(path: Path | str, wanted: Sequence[str], reading: Reading | None = None) -> TableFile:
    """Return the file of a table, with what was found out about it.

    Raises
    ------
    InputError
        If it cannot be read, or has no columns.
    """
    file = open_table(path, reading, wanted or _USUAL)
    if file.format == "text":
        raise InputError(
            f"{file.name} is no table by its name or its columns; give a CSV, JSON lines, Parquet or Excel file with a "
            "line of names"
        )
    return file


class ColumnReader:
    """Turns the columns of a table into arrays and keeps a list of the rows that cannot be used.

    Attributes
    ----------
    problems : list of Problem
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.problems: list[Problem] = []

    def numbers(self, column: str) -> np.ndarray:
        """A column as float64 of shape (n,), NaN where a value is missing, no number, or could be two.

        See `copyloom.numbers.parse_numbers` for percentages and separators.
        """
        chosen = given = self.table[column]
        try:
            values = chosen.cast(pa.float64()).to_numpy()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            given = chosen.to_pylist()
            values = np.array(parse_numbers([None if value is None else str(value) for value in given]))
        self.problems += missing_problems(values, column, given)
        return values

    def labels(self, column: str) -> pa.ChunkedArray:
        """A column as strings, null where one is missing.

        Raises
        ------
        InputError
            If the column holds something that has no name, such as lists.
        """
        try:
            chosen = self.table[column].cast(pa.string())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(f"column {column!r} holds {self.table[column].type}; pass strings or numbers") from error
        chosen = pc.if_else(pc.equal(pc.utf8_trim_whitespace(chosen), ""), None, chosen)
        absent = chosen.is_null().to_numpy()
        self.problems += problems_where(absent, chosen, column, "is missing", "a name")
        return chosen

    def codes(self, column: str) -> tuple[np.ndarray, tuple[str, ...]]:
        """A column as indices of shape (n,) into its distinct names, which come sorted; -1 for missing ones."""
        chosen = self.labels(column)
        names = sorted(chosen.drop_null().unique().to_pylist())
        found = pc.index_in(chosen, value_set=pa.array(names, pa.string()))
        return pc.fill_null(found, -1).to_numpy().astype(np.int64), tuple(names)


def _table(source: Any) -> pa.Table:
    try:
        return source if isinstance(source, pa.Table) else pa.table(source)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"a {type(source).__name__} is no table ({error}); pass a data frame, a dict of columns of equal length, "
            "or the path of a Parquet or CSV file"
        ) from error


def _typed(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """A file's table with columns of strings as numbers where every value is one."""
    for column in columns:
        given = table[column]
        if not pa.types.is_string(given.type):
            continue
        cells = given.to_pylist()
        values = np.array(parse_numbers(cells))
        blank = np.array([cell is None or not cell.strip() for cell in cells])
        if not blank.all() and not np.isnan(values[~blank]).any():
            place = table.column_names.index(column)
            table = table.set_column(place, column, pa.array(values, mask=blank))
    return table
