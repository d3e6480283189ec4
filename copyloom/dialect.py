"""How a table is laid out in a file of separated cells: delimiter, escapes, lines before the header, header."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TextIO

from copyloom import InputError
from copyloom.columns import TEXT_NAMES, is_known, plain_name
from copyloom.numbers import is_value

DELIMITERS = (",", ";", "\t", "|")
_NONE = "\x1f"
"""Stands for "no delimiter" where one has to be named: a sign that no text holds."""
_ROWS = 1000
_SEARCHED = 20
_LONGEST_CELL = 2**28


@dataclass(frozen=True)
class Layout:
    """How the rows of a file become a table.

    Parameters
    ----------
    delimiter : str or None
        None if there is one cell a row.
    escapes : bool
        Whether a backslash stands before a quote inside quotes.
    width : int
        Cells of a row.
    before : int
        Rows before the header.
    header : bool or None
        Whether the row after those holds names; None if it cannot be told.
    even : float
        Share of the rows from there on that have `width` cells.
    rows : sequence of list of str
        The first rows, header and what stands before it included.
    """

    delimiter: str | None
    escapes: bool
    width: int
    before: int
    header: bool | None
    even: float
    rows: Sequence[list[str]]

    @property
    def first(self) -> list[str]:
        """The row of names, or the first row of a table without."""
        return [cell.strip() for cell in self.rows[self.before]]

    @property
    def names_text(self) -> bool:
        """Whether there is a header of usual names, one of which is that of a column of texts."""
        return all(map(is_known, self.first)) and any(plain_name(cell) in TEXT_NAMES for cell in self.first)


def read_rows(letters: TextIO, delimiter: str | None, escapes: bool) -> Iterator[list[str]]:
    """Return a reader of rows, which raises `csv.Error` for quotes that do not fit."""
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    how: dict[str, Any] = {"escapechar": "\\"} if escapes else {}
    return csv.reader(letters, delimiter=delimiter or _NONE, strict=True, **how)


def find_layout(
    name: str, sample: str, whole: bool, *, delimiters: Sequence[str] = DELIMITERS, header: bool | None = None,
    wanted: Collection[str] = (), usual: str | None = None,
) -> Layout:  # fmt: skip
    """Return the one layout in which the first letters of a file are a table.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    sample : str
        Its first letters.
    whole : bool
        Whether these are all.
    delimiters : sequence of str
        That it may have; one, where a person named it.
    header : bool, optional
        What a person says.
    wanted : collection of str
        Names of columns that there must be: a row that has them is the header.
    usual : str, optional
        The delimiter that goes with the file's name.

    Raises
    ------
    InputError
        If there is no row or none fits, or several layouts do.
    """
    found, faults = [], []
    for delimiter in (*delimiters, None) if len(delimiters) > 1 else delimiters:
        try:
            found.append(_layout(sample, whole, delimiter, header, wanted))
        except csv.Error as error:
            faults.append(str(error))
    if not found:
        raise InputError(f"{name} cannot be read as a table: {max(faults, key=_line)}; double the quotes that stand "
                         "inside quotes, and close each")  # fmt: skip
    if not found[0].rows:
        raise InputError(f"{name} cannot be read as a table: it is empty; write one text a row")
    return _best(name, found, wanted, usual, only=len(delimiters) == 1)


def _best(name: str, found: Sequence[Layout], wanted: Collection[str], usual: str | None, only: bool) -> Layout:
    """The layout with the best evidence."""
    if only:
        return found[0]
    fit = [one for one in found if one.width > 1 and one.even >= 0.9 and len(one.first) == one.width]

    def evidence(one: Layout) -> tuple[int, bool, bool, bool]:
        return len(set(wanted) & set(one.first)), one.delimiter == usual, one.even == 1, bool(one.header)

    if fit:
        most = max(map(evidence, fit))
        best = [one for one in fit if evidence(one) == most]
        if len(best) > 1:
            ways = " or ".join(f"{one.delimiter!r} ({one.width} columns)" for one in best)
            raise InputError(
                f"the cells of {name} could be separated by {ways}; say by which with --delimiter, or name the file "
                ".txt if every line is one text"
            )
        return best[0]
    uneven = [one for one in found if one.width > 1 and (one.even >= 0.5 or _is_named(one, wanted))]
    if uneven:  # what does not fit is said when it is read, for the cells of a row are not to pass as one text
        return max(uneven, key=lambda one: (evidence(one), one.even))
    return next((one for one in found if one.delimiter is None), found[0])


def _is_named(layout: Layout, wanted: Collection[str]) -> bool:
    """Whether the first row has usual names, or those that are wanted."""
    return layout.header is True and (any(map(is_known, layout.first)) or bool(set(wanted) & set(layout.first)))


def _layout(sample: str, whole: bool, delimiter: str | None, header: bool | None, wanted: Collection[str]) -> Layout:
    try:
        rows, escapes = _first_rows(sample, whole, delimiter, False), False
    except csv.Error:
        if '\\"' not in sample:
            raise
        rows, escapes = _first_rows(sample, whole, delimiter, True), True
    if not rows:
        return Layout(delimiter, escapes, 1, 0, header, 0.0, rows)
    width = Counter(map(_width, rows)).most_common(1)[0][0] if delimiter else 1
    before, is_header = find_header(rows, width, wanted, header)
    kept = rows[before:]
    return Layout(delimiter, escapes, width, before, is_header, sum(_width(r) == width for r in kept) / len(kept), rows)


def _first_rows(sample: str, whole: bool, delimiter: str | None, escapes: bool) -> list[list[str]]:
    """The rows of a sample that are there to their end, blank ones left out."""
    reader, rows = read_rows(io.StringIO(sample, newline=""), delimiter, escapes), []
    try:
        for row in islice(reader, _ROWS + 1):
            rows.append(row)
    except csv.Error as error:
        if whole or "unexpected end" not in str(error):
            raise csv.Error(f"line {reader.line_num}: {error}") from error  # type: ignore[attr-defined]
    else:
        if not whole or len(rows) > _ROWS:
            rows = rows[:-1]
    return [row for row in rows if row]


def find_header(
    rows: Sequence[Sequence[str]], width: int, wanted: Collection[str] = (), header: bool | None = None
) -> tuple[int, bool | None]:
    """Return how many rows stand before the table, and whether its first row holds names; None if it may or may not.

    A row that has the names which are wanted, or usual ones, is the header; lines before it are a title, a range of
    dates. Else a row is a header over a column of numbers if it is none, and none if it is a sentence or a number.
    """
    if header is False:
        return 0, False
    whole = [n for n, row in enumerate(rows[:_SEARCHED]) if _width(row) == width and _filled(row) >= min(2, width)]
    if width == 1:
        whole = whole[:1]
    for least in (1, 2):
        for number in whole[:1] if least == 1 else whole:
            names = [cell.strip() for cell in rows[number]]
            if (wanted and set(wanted) <= set(names)) or sum(map(is_known, names)) >= least:
                return number, True
    first = whole[0] if whole else 0
    told = _is_header(rows[first], rows[first + 1 :], width)
    return (first if told else 0), header or (told if first == 0 or told else None)


def _is_header(row: Sequence[str], below: Sequence[Sequence[str]], width: int) -> bool | None:
    """Whether a row of no usual names is a header, by what stands in it and below."""
    cells = [cell.strip() for cell in row]
    if any(is_value(cell) for cell in cells if cell):
        return False
    columns = [[line[n].strip() for line in below if len(line) == width and line[n].strip()] for n in range(len(cells))]
    if any(cell and column and all(map(is_value, column)) for cell, column in zip(cells, columns, strict=True)):
        return True
    if any(len(cell) > 60 or (cell[-1:] in tuple(".!…。！") and " " in cell) or cell[-1:] == "。" for cell in cells):
        return False
    if any(cell and cell in column for cell, column in zip(cells, columns, strict=True)):
        return False
    return True if all(cell.isidentifier() and "_" in cell for cell in cells) else None


def _width(row: Sequence[str]) -> int:
    return len(row)


def _filled(row: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in row)


def _line(fault: str) -> int:
    digits = fault.partition(":")[0].removeprefix("line ")
    return int(digits) if digits.isdigit() else 0
