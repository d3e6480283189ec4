"""Tables of any make, column by column: a data frame, a dict of arrays, a Parquet or CSV file."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from bandits.evaluation.problems import Problem, problems_where
from bandits.evaluation.rounds import missing_problems
from copyloom import InputError

_LINES = pacsv.ParseOptions(newlines_in_values=True)


def read_table(
    source: Any, columns: Sequence[str], *, typed: Sequence[str] = (), optional: Sequence[str] = ()
) -> pa.Table:
    """The named columns of a table.

    Parameters
    ----------
    source : table or path
        A pyarrow Table, a pandas, polars or other data frame that speaks Arrow, a dict of arrays; or the path
        of a .parquet, .csv or .csv.gz file.
    columns : sequence of str
        Columns that must be there. Those of a CSV file come as strings, so that no id loses its zeros and bad
        numbers can be pointed at.
    typed : sequence of str
        More columns that must be there, numbers or strings as a CSV file's own values suggest.
    optional : sequence of str
        Columns that are read if they are there.

    Raises
    ------
    InputError
        If the source cannot be read, lacks a column, or has no row.
    """
    file = isinstance(source, (str, Path))
    given = _schema(Path(source)) if file else _table(source)
    needed = [*columns, *typed]
    missing = [column for column in needed if column not in given.column_names]
    if missing:
        lacks, has = (textwrap.shorten(", ".join(map(repr, names)), 400) for names in (missing, given.column_names))
        raise InputError(f"the table has no column {lacks}; it has {has}: say which is which")
    doubled = [column for column in needed if given.column_names.count(column) > 1]
    if doubled:
        raise InputError(f"the table has more than one column {doubled[0]!r}; leave one or rename the others")
    wanted = list(dict.fromkeys([*needed, *(column for column in optional if column in given.column_names)]))
    table = _read(Path(source), wanted, typed) if file else given.select(wanted)
    if table.num_rows == 0:
        raise InputError("the table is empty; it needs at least 2 rounds, one a row")
    return table


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
        """A column as float64 of shape (n,), NaN where a value is missing or no number."""
        chosen = given = self.table[column]
        try:
            values = chosen.cast(pa.float64()).to_numpy()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            given = chosen.to_pylist()
            values = np.array([_number(value) for value in given])
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


def _number(value: Any) -> float:
    try:
        return float({"true": 1, "false": 0}.get(str(value).strip().lower(), value))
    except (TypeError, ValueError):
        return np.nan


def _table(source: Any) -> pa.Table:
    try:
        return source if isinstance(source, pa.Table) else pa.table(source)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"a {type(source).__name__} is no table ({error}); pass a data frame, a dict of columns of equal length, "
            "or the path of a Parquet or CSV file"
        ) from error


def _schema(path: Path) -> pa.Table:
    """A file's columns, without rows."""
    if not path.is_file():
        raise InputError(f"there is no file {path}; give a .parquet, .csv or .csv.gz file")
    try:
        if path.suffix == ".parquet":
            return pq.read_schema(path).empty_table()
        if path.name.endswith((".csv", ".csv.gz")):
            with pacsv.open_csv(path, parse_options=_LINES) as reader:
                return reader.schema.empty_table()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as a table: {error}") from error
    raise InputError(f"{path.name} is no table by its name; give a .parquet, .csv or .csv.gz file")


def _read(path: Path, columns: list[str], typed: Sequence[str]) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path, columns=columns)
        strings = {column: pa.string() for column in columns if column not in typed}
        options = pacsv.ConvertOptions(include_columns=columns, column_types=strings)
        return pacsv.read_csv(path, parse_options=_LINES, convert_options=options)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as a table: {error}") from error
