"""A table's texts as points of a map, with what its other columns say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from copyloom import InputError
from copyloom.columns import is_missing, plain_name
from copyloom.markup import plain_text
from copyloom.numbers import parse_numbers
from copyloom.tables import Reading, TableFile, say
from copyloom.texts import gather_texts
from experiments.explorer.maps.collection import STORED, Collection, MapText, Of, collected, with_intervals
from experiments.explorer.maps.sources import Vectors

Cells = Mapping[str, str | float | None]
"""What the known columns say in one row; None where nothing stands."""
_WORDS, _NUMBERS = ("style", "kind"), ("ctr", "impressions", "clicks")
_MOST = 2**53
"""Counts above are not exact as floats."""


def of_table(path: Path, column: str | None, reading: Reading | None, vectors: Vectors, of: Of) -> Collection:
    """Return the texts of a table, each once, with what its columns style, kind, ctr, impressions and clicks say.

    Impressions and clicks of a text that stands there several times are added up, over the rows that hold both where
    there are such; of the rest, its first row counts.

    Raises
    ------
    InputError
        If it cannot be read, or its numbers are none: a CTR outside 0 to 1, more clicks than impressions, counts above
        2^53.
    """
    found = gather_texts(path, column, reading)
    rows = {} if found.table.format == "text" else _rows(found.table, found.column, found.html)
    say(str(found))
    texts = list(dict.fromkeys(" ".join(text.split()) for text in found.texts))
    told = with_intervals([_map_text(text, rows.get(text, [])) for text in texts])
    return collected(told, list(vectors(texts)), of)


def _rows(table: TableFile, column: str, html: bool) -> dict[str, list[Cells]]:
    """Return what the known columns of a table say in each row of a text, by text."""
    names = {plain_name(name): name for name in table.columns}
    known = {name: names[name] for name in (*_WORDS, *_NUMBERS) if names.get(name, column) != column}
    if not known:
        return {}
    columns = [_strings(cells.to_pylist()) for cells in table.table([column, *known.values()]).columns]
    told = {name: _told(name, cells) for name, cells in zip(known, columns[1:], strict=True)}
    found: dict[str, list[Cells]] = {}
    for row, cell in enumerate(columns[0]):
        text = " ".join((plain_text(cell or "") if html else cell or "").split())
        found.setdefault(text, []).append({name: told[name][row] for name in known})
    return found


def _strings(cells: Sequence[object]) -> list[str | None]:
    return [None if cell is None else str(cell) for cell in cells]


def _told(name: str, cells: Sequence[str | None]) -> list[str | None] | list[float | None]:
    """Return the cells of a column as what they mean; None where nothing stands."""
    if name in _WORDS:
        return [None if is_missing(cell) else (cell or "").strip() for cell in cells]
    numbers = parse_numbers(cells, whole=name != "ctr")
    return [None if number != number else number for number in numbers]


def _map_text(text: str, rows: Sequence[Cells]) -> MapText:
    """Return what the rows of a text say of it."""
    first = rows[0] if rows else {}
    style, kind, ctr = (first.get(name) for name in ("style", "kind", "ctr"))
    counted = [row for row in rows if row.get("impressions") is not None and row.get("clicks") is not None]
    shown, clicked = (_sum(counted or rows, name) for name in ("impressions", "clicks"))
    for name, count in (("impressions", shown), ("clicks", clicked)):
        if count is not None and abs(count) > _MOST:
            raise InputError(f"{text[:60]!r} has {count:.3g} {name}; counts up to 2^53 can be mapped, mend the table")
    if shown is not None and clicked is not None:
        if not 0 <= clicked <= shown:
            raise InputError(f"{text[:60]!r} has {clicked} clicks on {shown} impressions; mend the table")
        ctr = clicked / shown if shown else None
    if isinstance(ctr, float) and not 0 <= ctr <= 1:
        raise InputError(f"{text[:60]!r} has the CTR {ctr:g}; give a probability, 0.021 or 2.1%")
    return MapText(text, str(kind or STORED), None if style is None else str(style), shown, clicked,
                   ctr if isinstance(ctr, float) else None)  # fmt: skip


def _sum(rows: Sequence[Cells], name: str) -> int | None:
    values = [value for row in rows if isinstance(value := row.get(name), float)]
    return int(sum(values)) if values else None
