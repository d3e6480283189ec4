"""The one reader of files: text, CSV, JSON lines, Parquet and Excel, with what was found out about them.

Texts in them are found by `copyloom.texts`; logs are read by `bandits.evaluation`.
"""

from __future__ import annotations

import csv
import logging
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from copyloom import InputError
from copyloom.columns import find_column
from copyloom.dialect import DELIMITERS, Layout, find_header, find_layout, read_rows
from copyloom.encodings import find_encoding, named, open_letters
from copyloom.records import excel_rows, find_sheet, is_json_lines, json_columns, json_rows
from copyloom.sources import Source, find_source

Format = Literal["text", "CSV", "JSON lines", "Parquet", "Excel"]
_SAMPLE = 2**20
_BATCH = 8192
_HEAD = 1000
_SEPARATED = {".csv": None, ".tsv": "\t", ".tab": "\t", ".psv": "|", ".xls": "\t"}
_JSON = (".jsonl", ".ndjson", ".json")
_NAMED = {"\t": "tab", "|": "'|'", ",": "','", ";": "';'"}
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"


@dataclass(frozen=True)
class Reading:
    """What a person says of a file; what is None is found out.

    Parameters
    ----------
    delimiter : str, optional
        Of cells: one sign, or "tab".
    encoding : str, optional
        Such as cp1251.
    header : bool, optional
        Whether the first row holds names.
    html : bool, optional
        Whether tags and entities are taken out of texts.
    sheet : str, optional
        Of an Excel workbook: its name, or its number from 1.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - pydantic reads it, and it is no field

    delimiter: str | None = None
    encoding: str | None = None
    header: bool | None = None
    html: bool | None = None
    sheet: str | None = None


@dataclass(frozen=True)
class TableFile:
    """A file, and how it is read.

    Parameters
    ----------
    name : str
        What people call it.
    format : str
        text (one a line), CSV (with whatever delimiter), JSON lines, Parquet or Excel.
    columns : tuple of str
        Names, or numbers from 1 where there are none.
    encoding, delimiter : str or None
        Where the format has them.
    escapes : bool
        Whether backslashes stand before quotes.
    header : bool
        Whether the file names its columns.
    preamble : tuple of str
        Lines before the header, left out.
    sheet : str or None
    """

    name: str
    format: Format
    columns: tuple[str, ...]
    encoding: str | None = None
    delimiter: str | None = None
    escapes: bool = False
    header: bool = True
    preamble: tuple[str, ...] = ()
    sheet: str | None = None
    source: Source = field(repr=False, kw_only=True)

    def batches(self, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows, some thousand at a time: columns by their places, all by default, blank rows left out.

        Columns are strings, but for those of Parquet, which are what they are.

        Raises
        ------
        InputError
            If the file is damaged, or a row has too few or too many cells; the message says which.
        """
        chosen = list(range(len(self.columns))) if columns is None else list(columns)
        with _said(self.name):
            if self.format == "Parquet":
                yield from self._parquet_batches(chosen)
                return
            fields = pa.schema([(self.columns[place], pa.string()) for place in chosen])
            rows, at = self._rows(chosen), 1
            places = range(len(chosen)) if self.format == "JSON lines" else chosen
            while found := list(islice(rows, _BATCH)):
                even = _even(found, len(self.columns), at, self) if self.format in ("CSV", "Excel") else found
                at += len(even)
                if even:
                    cells = list(zip(*even, strict=True))
                    yield pa.record_batch([pa.array(cells[place], pa.string()) for place in places], schema=fields)

    def table(self, columns: Sequence[str]) -> pa.Table:
        """Return columns by name, all rows of them.

        Raises
        ------
        InputError
            As `batches`, and if there is no such column or it is there twice.
        """
        places = [find_column(self.name, self.columns, column) for column in columns]
        batches = list(self.batches(places))
        if not batches:
            return pa.table({column: pa.array([], pa.string()) for column in columns})
        return pa.Table.from_batches(batches)

    def head(self) -> list[list[str | None]]:
        """Return the first cells of each column, as strings."""
        first = next(self.batches(), None)
        if first is None:
            return [[] for _ in self.columns]
        return [[None if value is None else str(value) for value in column.slice(0, _HEAD).to_pylist()]
                for column in first.columns]  # fmt: skip

    def __str__(self) -> str:
        """What was found out and is not usual, for people: delimiter, encoding, no header, preamble."""
        found: list[str] = [] if self.format in ("text", "CSV") else [self.format]
        if self.sheet is not None:
            found.append(f"sheet {self.sheet!r}")
        if self.delimiter is not None:
            found.append(f"delimiter {_NAMED.get(self.delimiter, repr(self.delimiter))}")
        if self.encoding not in (None, "utf-8"):
            found.append(named(str(self.encoding)))
        if self.escapes:
            found.append("quotes escaped by backslashes")
        if not self.header and self.format != "text":
            found.append("no header")
        if self.preamble:
            found.append(f"left out before the header: {' / '.join(line.strip() for line in self.preamble)[:80]!r}")
        return ", ".join(found)

    def _rows(self, chosen: Sequence[int]) -> Iterator[Sequence[str | None]]:
        if self.format == "JSON lines":
            yield from json_rows(self.source, str(self.encoding), self.columns, chosen)
        elif self.format == "Excel":
            yield from islice(excel_rows(self.source, str(self.sheet)), self._skipped, None)
        elif self.format == "text":
            with open_letters(self.source, str(self.encoding), None) as letters:
                yield from ([line.removesuffix("\n")] for line in letters)
        else:
            with open_letters(self.source, str(self.encoding)) as letters:
                reader = read_rows(letters, self.delimiter, self.escapes)
                try:
                    yield from islice((row for row in reader if row), self._skipped, None)
                except csv.Error as error:
                    line = reader.line_num  # type: ignore[attr-defined]
                    raise InputError(
                        f"{self.name} cannot be read as a table: line {line}: {error}; double the quotes that stand "
                        "inside quotes, and close each"
                    ) from error

    @property
    def _skipped(self) -> int:
        """Rows before the first of the table."""
        return len(self.preamble) + self.header

    def _parquet_batches(self, chosen: Sequence[int]) -> Iterator[pa.RecordBatch]:
        names = [self.columns[place] for place in chosen]
        with self.source.open() as raw, pq.ParquetFile(raw) as file:
            for batch in file.iter_batches(columns=names if len(set(self.columns)) == len(self.columns) else None):
                yield batch if batch.num_columns == len(names) else batch.select(list(chosen))


def say(message: str) -> None:
    """Tell people, on standard error where a command runs, what was found out or left out."""
    logging.getLogger("copyloom").info(message)


def open_table(
    path: Path | str, reading: Reading | None = None, wanted: Collection[str] = (), column: str | None = None
) -> TableFile:
    """Return a file with what is found out about it: format, encoding, delimiter, header, lines before it, columns.

    Parameters
    ----------
    path : Path or str
        A file, compressed by gzip or not; ``-`` is standard input.
    reading : Reading, optional
        What a person says of it.
    wanted : collection of str
        Names of columns that there must be; a row that has them is the header, and there is one.
    column : str, optional
        The column that a person asked for, by name or number.

    Raises
    ------
    InputError
        If it cannot be read, or in more than one way.
    """
    reading, source = reading or Reading(), find_source(path)
    if column is not None and not column.isdigit():
        wanted = {*wanted, column}
    with _said(source.name):
        with source.open() as raw:
            start = raw.read(8)
        if start.startswith(b"PK\x03\x04"):
            return _excel(source, reading, wanted, column)
        if start.startswith(_OLD_EXCEL) or source.suffix == ".xlsx":
            raise InputError(
                f"{source.name} is no workbook that can be read; save it as .xlsx without password, or CSV"
            )
        if reading.sheet is not None:
            raise InputError(f"{source.name} is no Excel workbook and has no sheets; leave --sheet out")
        if start.startswith(b"PAR1") or source.suffix == ".parquet":
            with source.open() as raw:
                return TableFile(source.name, "Parquet", tuple(pq.read_schema(raw).names), source=source)
        return _letters(source, reading, wanted, column)


def _letters(source: Source, reading: Reading, wanted: Collection[str], column: str | None) -> TableFile:
    """A file of letters: JSON lines, separated cells, or one text a line."""
    encoding = find_encoding(source, reading.encoding)
    with open_letters(source, encoding) as letters:
        sample = letters.read(_SAMPLE + 1)
    whole = len(sample) <= _SAMPLE
    if source.suffix in _JSON or (source.suffix not in _SEPARATED and is_json_lines(sample)):
        columns = json_columns(source, encoding)
        if not columns:
            raise InputError(f"{source.name} is empty; write one JSON object a line")
        return TableFile(source.name, "JSON lines", tuple(columns), encoding, source=source)
    asked = reading.delimiter or reading.header is not None or column
    delimiters = [_one_sign(reading.delimiter)] if reading.delimiter else DELIMITERS
    if source.suffix in _SEPARATED or asked:
        header = True if wanted and reading.header is None else reading.header  # names need one
        layout = find_layout(source.name, sample, whole, delimiters=delimiters, header=header, wanted=wanted,
                             usual=_SEPARATED.get(source.suffix))  # fmt: skip
        return _separated(source, encoding, layout)
    if (evident := _evident(source.name, sample, whole, wanted)) is not None:
        return _separated(source, encoding, evident)
    return TableFile(source.name, "text", ("text",), encoding, header=False, source=source)


def _evident(name: str, sample: str, whole: bool, wanted: Collection[str]) -> Layout | None:
    """The layout of a file that is not named as a table and is one without doubt: by its tabs, or its header."""
    try:
        layout = find_layout(name, sample, whole, wanted=wanted)
    except InputError:
        return None
    if layout.width == 1 or layout.even < 1 or len(layout.rows) < 2:
        return None
    if wanted:
        return layout if set(wanted) <= set(layout.first) else None
    return layout if layout.delimiter == "\t" or layout.names_text else None


def _separated(source: Source, encoding: str, layout: Layout) -> TableFile:
    first = layout.first
    if len(first) != layout.width:
        shown = ", ".join(repr(cell[:40]) for cell in first)
        raise InputError(
            f"{source.name} cannot be read as a table: its first row has {len(first)} cells ({shown}), most others "
            f"{layout.width}; put texts with {_NAMED.get(str(layout.delimiter), repr(layout.delimiter))} in quotes, or "
            "name the file .txt if every line is one text"
        )
    header = _told(source.name, first, layout.header)
    before = tuple((layout.delimiter or "").join(row) for row in layout.rows[: layout.before])
    return TableFile(source.name, "CSV", _names(first, header), encoding, layout.delimiter, layout.escapes,
                     header, before, source=source)  # fmt: skip


def _excel(source: Source, reading: Reading, wanted: Collection[str], column: str | None) -> TableFile:
    sheet = find_sheet(source, column, reading.sheet)
    rows = list(islice(excel_rows(source, sheet), _HEAD))
    width = max(map(len, rows))
    padded = [row + [""] * (width - len(row)) for row in rows]
    before, told = find_header(padded, width, wanted, True if wanted and reading.header is None else reading.header)
    header = _told(source.name, padded[before], told)
    preamble = tuple("\t".join(row) for row in rows[:before])
    columns = _names([cell.strip() for cell in padded[before]], header)
    return TableFile(source.name, "Excel", columns, header=header, preamble=preamble, sheet=sheet, source=source)


def _told(name: str, first: Sequence[str], header: bool | None) -> bool:
    """Whether there is a header.

    Raises
    ------
    InputError
        If it cannot be told.
    """
    if header is None:
        shown = ", ".join(repr(cell[:40]) for cell in first)
        raise InputError(
            f"the first row of {name} ({shown}) may hold names or texts; say which with --header or --no-header"
        )
    return header


def _names(first: Sequence[str], header: bool) -> tuple[str, ...]:
    """Names of columns; numbers where there are none."""
    return tuple((cell if header else "") or str(number) for number, cell in enumerate(first, start=1))


def _one_sign(delimiter: str) -> str:
    sign = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";"}.get(delimiter.lower(), delimiter)
    if len(sign) != 1 or sign in '"\r\n\\':
        raise InputError(f"delimiter {delimiter!r} is not one sign; give one such as ';', or tab")
    return sign


def _even(rows: list[Any], width: int, at: int, table: TableFile) -> list[Any]:
    """Rows of equal width: empty cells at their ends may be too many, or in Excel too few."""
    if {*map(len, rows)} == {width}:
        return rows
    even = []
    for number, row in enumerate(rows, start=at):
        cells = row[:width] if not any(row[width:]) else row
        if table.format == "Excel":
            cells = cells + [""] * (width - len(cells))
        if len(cells) != width:
            raise InputError(
                f"{table.name} cannot be read as a table: row {number} has {len(cells)} cells, "
                f"{'more' if len(cells) > width else 'fewer'} cells than columns ({width}); put texts with "
                f"{_NAMED.get(table.delimiter or '', 'delimiters')} or line breaks in quotes"
            )
        even.append(cells)
    return even


@contextmanager
def _said(name: str) -> Iterator[None]:
    """Say in one line why a file cannot be read."""
    try:
        yield
    except (pa.ArrowException, UnicodeError, EOFError, zlib.error, OSError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{name} cannot be read as a table: {why}") from error
