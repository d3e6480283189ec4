"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands import console

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Model = Annotated[str, typer.Option(help="copyloom-tiny, smollm2, a folder, or the hub id of a causal model.")]
Writer = Annotated[
    str | None, typer.Option("--model", help="smollm2, copyloom-tiny, a folder, or a hub id; smollm2 if it is here.")
]
DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, mps or neuron.")]
Subject = Annotated[Path | None, typer.Option(help="YAML record of the product that new texts are about.")]
Texts = Annotated[list[str] | None, typer.Option("--text", help="A text; give the option once for each.")]
File = Annotated[
    Path | None,
    typer.Option("--texts", help="One text a line, CSV, JSON lines, Parquet or Excel; - is standard input."),
]
Column = Annotated[str | None, typer.Option(help="Column of the texts: its name, or its number from 1.")]
_READ = {"rich_help_panel": "How files are read; found out and said unless given"}
Delimiter = Annotated[str | None, typer.Option(help="Between cells: one sign, or tab.", **_READ)]
Encoding = Annotated[str | None, typer.Option(help="Such as utf-16 or cp1251.", **_READ)]
Header = Annotated[
    bool | None, typer.Option("--header/--no-header", help="Whether the first row names columns.", **_READ)
]
Html = Annotated[bool | None, typer.Option("--html/--no-html", help="Take tags and entities out of texts.", **_READ)]
AROUND = {"rich_help_panel": "Models and contexts"}
Before = Annotated[str, typer.Option(help="Text that stands before the vectors.", **AROUND)]
After = Annotated[str, typer.Option(help="Text that stands after the vectors.", **AROUND)]
Database = Annotated[str | None, typer.Option(help="Also add them to a pool: path of a SQLite file, or URL.")]
PoolName = Annotated[str, typer.Option("--pool", help="Name of that pool.")]


def writer_for(model: str | None) -> str:
    """Return the model that was asked for; else the writer that people are shown, or the small one, which is said."""
    from generator.language_model import SHIPPED
    from generator.models import WRITER, is_there

    if model is not None or is_there(WRITER):
        return model or WRITER
    note = f"{SHIPPED} writes, a small model for tests; for better copy: copyloom models get {WRITER}"
    console.notes.print(note, markup=False, soft_wrap=True)
    return SHIPPED
