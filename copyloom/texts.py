"""The texts of a file: the column that holds them, what is left out of it and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

import pyarrow as pa

from copyloom import InputError
from copyloom.columns import Choice, before_sums, choose_column, is_identifier, is_missing
from copyloom.markup import has_markup, is_mostly_tags, plain_text
from copyloom.numbers import is_value
from copyloom.tables import Reading, TableFile, open_table

Why = Literal["empty", "identifier", "repeated", "sum"]
_LISTED = 1000
_SHOWN = 3


@dataclass(frozen=True)
class LeftOut:
    """A cell that is no text.

    Parameters
    ----------
    row : int
        From 1, of the rows below the header.
    cell : str
    why : str
        empty, identifier, repeated or sum.
    """

    row: int
    cell: str
    why: Why


@dataclass(frozen=True)
class Texts:
    """The texts of a column, and how they were found.

    Parameters
    ----------
    texts : list of str
    table : TableFile
    column : str
    why : str
        How the column was found, if it was not named.
    html : bool
        Whether tags and entities were taken out.
    marked : int
        Texts that hold tags or entities still.
    odd : list of str
        Texts of a named column that are numbers or identifiers.
    left_out : tuple of LeftOut
        The first thousand.
    counts : dict
        All that is left out, counted by why.
    """

    texts: list[str]
    table: TableFile
    column: str
    why: str
    html: bool
    marked: int
    odd: list[str]
    left_out: tuple[LeftOut, ...]
    counts: dict[Why, int]

    def __str__(self) -> str:
        """One line for people."""
        column = "" if self.table.format == "text" else f" from column {self.column!r}"
        number = "1 text" if len(self.texts) == 1 else f"{len(self.texts):,} texts"
        found = [f"read {number}{column}" + (f" ({self.why})" if self.why else ""),
                 str(self.table), "HTML tags and entities taken out" if self.html else ""]  # fmt: skip
        if self.marked:
            found.append(f"HTML in {self.marked:,} of them (--html takes it out)")
        if self.odd:
            found.append(f"{len(self.odd):,} of them {_PLURAL['identifier']}{_examples(self.odd, len(self.odd))}")
        left = [f"{count:,} {_PLURAL[why]}{self._examples(why)}" for why, count in self.counts.items()]
        return ", ".join(part for part in found if part) + (f"; left out: {', '.join(left)}" if left else "")

    def _examples(self, why: Why) -> str:
        cells = [one.cell for one in self.left_out if one.why == why and why != "empty"]
        return _examples(cells, self.counts[why])


def _examples(cells: Sequence[str], count: int) -> str:
    shown = [repr(cell[:30]) for cell in cells[:_SHOWN]]
    return f" ({', '.join(shown)}{', ...' if count > len(shown) else ''})" if shown else ""


_PLURAL = {"empty": "empty", "identifier": "numbers or identifiers", "repeated": "repeated",
           "sum": "sums at the end"}  # fmt: skip


def gather_texts(
    path: Path | str, column: str | None = None, reading: Reading | None = None, distinct: bool = False
) -> Texts:
    """Return the texts of a file: one a line, or those of a column.

    Empty cells and a report's sums are left out; of a column that is not named, numbers and identifiers too.

    Parameters
    ----------
    path : Path or str
        As for `open_table`.
    column : str, optional
        Its name or number; found by its name or cells unless given.
    reading : Reading, optional
    distinct : bool
        Whether white space is made single and a text that is there already left out.

    Raises
    ------
    InputError
        If the file cannot be read, the column cannot be told or holds something else, or there is no text.
    """
    reading = reading or Reading()
    table = open_table(path, reading, column=column)
    return texts_of(table, _choice(table, column), reading.html, distinct)


def _choice(table: TableFile, column: str | None) -> Choice:
    if table.format == "text":
        return Choice(0)
    return choose_column(table.name, table.columns, [] if column else table.head(), column)


def texts_of(table: TableFile, choice: Choice, html: bool | None = None, distinct: bool = False) -> Texts:
    """Return the texts of a chosen column; see `gather_texts`."""
    name = table.columns[choice.number]
    if html is None:
        first = next(column_cells(table, choice.number), [])
        html = table.format != "text" and is_mostly_tags(cell for cell in first[:_LISTED] if cell)
    texts: list[str] = []
    left: list[LeftOut] = []
    counts: Counter[Why] = Counter()
    seen: set[str] = set()
    cells = list(chain.from_iterable(column_cells(table, choice.number)))
    end = before_sums(cells) if len(table.columns) > 1 else len(cells)
    for row, cell in enumerate(cells, start=1):
        text = _plain(cell, html, distinct)
        why = _why_not(cell, text, table.format == "text", choice.named, seen if distinct else None)
        why = "sum" if row > end and why != "empty" else why
        if why is None:
            texts.append(text)
            continue
        counts[why] += 1
        if len(left) < _LISTED:
            left.append(LeftOut(row, cell or "", why))
    if not texts or counts["identifier"] > len(texts):
        _refuse(table, name, left)
    marked = 0 if html else sum(map(has_markup, texts))
    odd = list(filter(is_identifier, texts)) if choice.named else []
    return Texts(texts, table, name, choice.why, html, marked, odd, tuple(left), dict(counts))


def column_cells(table: TableFile, number: int) -> Iterator[list[str | None]]:
    """Yield the cells of a column, some thousand at a time.

    Raises
    ------
    InputError
        If it holds something else than text.
    """
    for batch in table.batches([number]):
        cells = batch.column(0)
        if pa.types.is_dictionary(cells.type):
            cells = cells.dictionary_decode()
        kind = cells.type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)
                or pa.types.is_string_view(kind)):  # fmt: skip
            raise InputError(f"column {table.columns[number]!r} of {table.name} holds {kind}, not text; choose another "
                             "column")  # fmt: skip
        yield cells.to_pylist()


def _plain(cell: str | None, html: bool, distinct: bool) -> str:
    text = plain_text(cell or "") if html else (cell or "").strip()
    return " ".join(text.split()) if distinct else text


def _why_not(cell: str | None, text: str, whole_line: bool, named: bool, seen: set[str] | None) -> Why | None:
    """Why a cell is no text; a line of a text file always is one, unless it is blank."""
    if not text or (not whole_line and is_missing(cell)):
        return "empty"
    if not whole_line and not named and is_identifier(text):
        return "identifier"
    if seen is not None:
        if text in seen:
            return "repeated"
        seen.add(text)
    return None


def _refuse(table: TableFile, name: str, left: list[LeftOut]) -> None:
    cells = [one.cell for one in left if one.why == "identifier"]
    if not cells:
        raise InputError(f"{table.name} is empty; write one text a line")
    plain = all(is_value(cell) and not re.match(r"\s*0\d", cell) for cell in cells)  # "00017" is an id
    raise InputError(
        f"column {name!r} of {table.name} holds {'numbers' if plain else 'identifiers'} such as {cells[0][:40]!r}, not "
        "text; choose another with --column, or name this one to keep them"
    )
