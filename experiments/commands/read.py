"""``copyloom read``: what would be read from a file, and how it was found out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from copyloom import InputError
from copyloom.columns import kind_of
from copyloom.encodings import named
from copyloom.tables import Reading, TableFile, open_table
from copyloom.texts import Texts, gather_texts
from experiments.commands import console
from experiments.commands.options import Column, Json, reads

_CELLS = 3
_TEXTS = 5
_LETTERS = 60


@reads("delimiter", "encoding", "sheet", "header", "html")
def read(
    file: Annotated[Path, typer.Argument(help="Text, CSV, JSON lines, Parquet or Excel; - is standard input.")],
    column: Column = None,
    *,
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Say what would be read from a file, columns, texts, what is left out and why; exit 1 if it cannot tell."""
    table = open_table(file, reading, column=column)
    found, heads = _described(table), table.head()
    found["columns"] = [{"name": name, "holds": kind_of(head), "first": list(head[:_CELLS])}
                        for name, head in zip(table.columns, heads, strict=True)]  # fmt: skip
    try:
        found |= _texts(gather_texts(file, column, reading, distinct=True))
    except InputError as error:
        found["problem"] = str(error)
    console.deliver(found, _show, as_json)
    if "problem" in found:
        raise typer.Exit(1)


def _described(table: TableFile) -> dict[str, Any]:
    return {"file": table.name, "format": table.format, "encoding": table.encoding and named(table.encoding),
            "delimiter": table.delimiter, "backslash_escapes": table.escapes, "header": table.header,
            "preamble": list(table.preamble), "sheet": table.sheet}  # fmt: skip


def _texts(texts: Texts) -> dict[str, Any]:
    return {
        "column": texts.column, "why": texts.why, "html": texts.html, "texts": len(texts.texts),
        "first": texts.texts[:_TEXTS], "left_out": dict(texts.counts),
        "left_out_cells": [{"row": one.row, "cell": one.cell, "why": one.why} for one in texts.left_out],
        "summary": str(texts),
    }  # fmt: skip


def _show(found: dict[str, Any]) -> None:
    rows = [[name.replace("_", " "), _cell(found[name])] for name in
            ("format", "sheet", "encoding", "delimiter", "backslash_escapes", "header", "preamble")
            if found[name] not in (None, [], False) or name == "header"]  # fmt: skip
    console.table(found["file"], ["what", "found"], rows)
    console.table("\nColumns", ["column", "holds", "first cells"], [
        [one["name"], one["holds"], " | ".join(_short(cell or "") for cell in one["first"])] for one in found["columns"]
    ])  # fmt: skip
    if "problem" in found:
        console.out.print(f"\nno texts: {found['problem']}", markup=False, emoji=False, soft_wrap=True)
        return
    console.table("\nFirst texts", ["text"], [[_short(text)] for text in found["first"]])
    if found["left_out_cells"]:
        cells = [[str(one["row"]), _short(one["cell"]), one["why"]] for one in found["left_out_cells"][:10]]
        total = sum(found["left_out"].values())
        console.table(f"\nLeft out: {total:,}, the first of them", ["row", "cell", "why"], cells)
    console.out.print(f"\n{found['summary']}", markup=False, emoji=False, soft_wrap=True)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " / ".join(map(_short, value))
    return {"\t": "tab"}.get(str(value), str(value))


def _short(cell: str) -> str:
    plain = " ".join(cell.split())
    return plain if len(plain) <= _LETTERS else plain[: _LETTERS - 3] + "..."
