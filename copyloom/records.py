"""Rows of JSON lines and of Excel sheets, as strings."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from copyloom import InputError
from copyloom.encodings import open_letters
from copyloom.sources import Source

Cells = list[str | None]
_FIRST = 1000
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


def is_json_lines(sample: str) -> bool:
    """Return whether the first letters of a file are a JSON object or a list of them."""
    start = sample.lstrip()
    if start.startswith("["):
        return start[1:].lstrip().startswith("{")
    if not start.startswith("{"):
        return False
    try:
        return isinstance(json.loads(start.partition("\n")[0]), dict)
    except json.JSONDecodeError:
        return False


def json_columns(source: Source, encoding: str) -> list[str]:
    """Return the names in the first thousand objects, in order."""
    return list(dict.fromkeys(name for row in islice(_objects(source, encoding), _FIRST) for name in row))


def json_rows(source: Source, encoding: str, columns: Sequence[str], needed: Sequence[int]) -> Iterator[Cells]:
    """Yield the objects of JSON lines, or of one list, as rows: numbers as they are written, null as None.

    Parameters
    ----------
    source : Source
    encoding : str
    columns : sequence of str
    needed : sequence of int
        Places of the columns that must hold text, numbers or nothing.

    Raises
    ------
    InputError
        If a line is no object, names a column twice, or a needed cell is a list or an object.
    """
    names = [columns[place] for place in needed]
    for number, row in enumerate(_objects(source, encoding), start=1):
        yield [_json_cell(row.get(name), source.name, number, name) for name in names]


def _objects(source: Source, encoding: str) -> Iterator[dict[str, Any]]:
    with open_letters(source, encoding, "\n") as file:
        listed = file.read(1) == "["
        file.seek(0)
        numbered = [(1, file.read())] if listed else enumerate(file, start=1)
        for number, line in numbered:
            if not line.strip("\ufeff \t\r\n"):
                continue
            try:
                found = json.loads(line.lstrip("\ufeff"), parse_int=str, parse_float=str, parse_constant=str,
                                   object_pairs_hook=_once)  # fmt: skip
            except (ValueError, RecursionError) as error:
                raise InputError(f"line {number} of {source.name} is no JSON object ({error})") from error
            for row in found if listed else [found]:
                if not isinstance(row, dict):
                    raise InputError(
                        f"line {number} of {source.name} is no JSON object but {str(row)[:40]!r}; write one object a "
                        'line, such as {"text": "..."}'
                    )
                yield row


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it names {next(name for name in names if names.count(name) > 1)!r} twice")
    return found


def _json_cell(value: Any, file: str, number: int, name: str) -> str | None:
    if value is None or (isinstance(value, str) and not isinstance(value, bool)):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    raise InputError(f"{name!r} of object {number} of {file} is {json.dumps(value)[:40]}; give a text or a number")


def excel_rows(source: Source, sheet: str) -> Iterator[list[str]]:
    """Yield the rows of a sheet, blank ones left out, without the empty cells at their ends."""
    book = open_excel(source)
    try:
        yield from _sheet_rows(book[sheet])
    finally:
        book.close()


def find_sheet(source: Source, column: str | None, asked: str | None = None) -> str:
    """Return the sheet that is asked for, by name or number; else the one that is not empty, or has the column.

    Raises
    ------
    InputError
        If there is no such sheet, or there are several.
    """
    book = open_excel(source)
    try:
        heads = {sheet.title: list(islice(_sheet_rows(sheet), 20)) for sheet in book.worksheets}
    finally:
        book.close()
    there = ", ".join(heads)
    if asked is not None:
        numbered = dict(enumerate(heads, start=1))
        sheet = asked if asked in heads else numbered.get(int(asked) if asked.isdecimal() else 0)
        if sheet is None:
            raise InputError(f"{source.name} has no sheet {asked!r}; it has {there}")
        having = [sheet]
    else:
        filled = [title for title, rows in heads.items() if rows]
        named = [title for title in filled if any(column in row for row in heads[title])] if column else []
        having = named if len(filled) > 1 else filled
        if len(filled) > 1 and len(named) != 1:
            raise InputError(f"{source.name} has the sheets {there}; say which with --sheet, by name or number")
    if not having or not heads[having[0]]:
        which = f"its sheet {having[0]!r}" if having else "it"
        raise InputError(f"{source.name} cannot be read as a table: {which} is empty; write one text a row")
    return having[0]


def open_excel(source: Source) -> Any:
    """Return an Excel workbook, to be read row by row.

    Raises
    ------
    InputError
        If openpyxl is not installed, or the file is damaged or no workbook.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise InputError(
            f"{source.name} is an Excel workbook, and openpyxl is not installed; install it (pip install "
            "'copyloom[excel]'), or save the sheet as CSV"
        ) from error
    try:
        return openpyxl.load_workbook(source.open(), read_only=True, data_only=True)
    except Exception as error:  # whatever a damaged archive brings about in zipfile, XML parsers and openpyxl
        raise InputError(f"{source.name} cannot be read as an Excel workbook: {error}") from error


def _sheet_rows(sheet: Any) -> Iterator[list[str]]:
    sheet.reset_dimensions()  # some programs write wrong ones
    for row in sheet.iter_rows(values_only=True):
        cells = [_excel_cell(value) for value in row]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield cells


def _excel_cell(value: Any) -> str:
    """A cell as a person would type it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ").removesuffix(" 00:00:00")
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), str(value))
