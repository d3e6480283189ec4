"""Where the texts that raters judge come from: a table, or the campaigns of a run or database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow as pa
from sqlalchemy import Engine

from bandits.evaluation.tables import read_table
from copyloom import InputError
from copyloom.columns import is_missing
from copyloom.tables import Reading, TableFile, open_table
from experiments.campaigns.ledger import Ledger
from experiments.campaigns.state import State
from experiments.raters.units import Entry

STORED, WRITTEN, OTHER = "stored", "written", "other"
"""Sources of a campaign's texts, and of what a table's column other holds."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a table hold what.

    Parameters
    ----------
    text, source : str
        These there must be.
    about, other, item : str
        Read where they are there.
    """

    text: str = "text"
    source: str = "source"
    about: str = "about"
    other: str = "other"
    item: str = "item"


def of_table(path: Path, columns: Columns, reading: Reading | None = None) -> list[Entry]:
    """Return the texts of a table; a row without an item is one of its own.

    Raises
    ------
    InputError
        If it cannot be read, lacks a column that is needed or was named, a row has no text or source, or an item is
        about two things.
    """
    file = open_table(path, reading, wanted=[columns.text, columns.source])
    usual = Columns()
    needed = [getattr(columns, one.name) for one in fields(columns)
              if one.name in ("text", "source") or getattr(columns, one.name) != getattr(usual, one.name)]  # fmt: skip
    _check_columns(file, needed)
    table = read_table(file, needed, optional=[getattr(columns, one.name) for one in fields(columns)])
    cells = {one.name: _cells(table, getattr(columns, one.name)) for one in fields(columns)}
    for name in ("text", "source"):
        if empty := [row for row, cell in enumerate(cells[name], start=1) if not cell]:
            raise InputError(f"{file.name}, row {empty[0]} has no {name}; fill it in, or leave such rows out "
                             f"({len(empty):,} of {table.num_rows:,})")  # fmt: skip
    entries = [
        Entry(text, source, item or f"row {row}", about, other, OTHER if other else "")
        for row, (text, source, about, other, item) in enumerate(
            zip(*(cells[one.name] for one in fields(columns)), strict=True), start=1
        )
    ]
    _check_items(entries, file.name)
    return entries


def of_database(engine: Engine, campaign: str | None = None) -> list[Entry]:
    """Return the texts that a run's campaigns showed: stored ones, and written ones beside the parent they owe most to.

    Raises
    ------
    InputError
        If there is no such campaign, or no text.
    """
    found = _of_states(Ledger(engine).states(campaign))
    if not found:
        raise InputError("the database holds no campaign that has shown a text; there is nothing to judge")
    return found


def _of_states(states: Sequence[State]) -> list[Entry]:
    """Return each text once; one that any campaign wrote is written."""
    lineages = {text: lineage for state in reversed(states) for text, lineage in state.written.items()}
    found = []
    for text in dict.fromkeys(text for state in states for text in state.slate):
        if (lineage := lineages.get(text)) and lineage.parents:
            parent = max(zip(lineage.weights, lineage.parents, strict=True))[1]
            found.append(Entry(text, WRITTEN, text, other=parent, other_source=STORED))
        else:
            found.append(Entry(text, WRITTEN if lineage else STORED, text))
    return found


def _check_columns(file: TableFile, needed: Sequence[str]) -> None:
    if file.format == "text" or any(name not in file.columns for name in needed):
        lacking = [name for name in needed if name not in file.columns]
        raise InputError(f"{file.name} has no column {' and no column '.join(map(repr, lacking))}; it has "
                         f"{', '.join(map(repr, file.columns))}: raters need a table with the columns text and source, "
                         "or say which columns those are")  # fmt: skip


def _cells(table: pa.Table, name: str) -> list[str]:
    """Return the cells of a column as text, "" where there is nothing or no such column."""
    if name not in table.column_names:
        return [""] * table.num_rows
    cells = table[name].to_pylist()
    return ["" if cell is None or is_missing(str(cell)) else str(cell).strip() for cell in cells]


def _check_items(entries: Sequence[Entry], name: str) -> None:
    about: dict[str, str] = {}
    for entry in entries:
        if about.setdefault(entry.item, entry.about) != entry.about:
            raise InputError(f"{name}: the item {entry.item!r} is about {about[entry.item][:40]!r} and about "
                             f"{entry.about[:40]!r}; give its texts one description, or different items")  # fmt: skip
