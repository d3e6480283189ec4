"""Options that several commands take."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer

from copyloom import InputError
from copyloom.tables import Reading
from embeddings.folders import check_output
from experiments.commands import console
from experiments.commands.settings import takes
from generator.paths import expanded

Track = Annotated[
    str | None,
    typer.Option(
        help="Also record it: mlflow, mlflow:URI, tensorboard or tensorboard:FOLDER.", rich_help_panel="Where"
    ),
]
Processes = Annotated[
    int | None, typer.Option(help="Parts that run at a time; one a core.", min=1, rich_help_panel="Where")
]
EngineName = Annotated[
    Literal["processes", "ray"],
    typer.Option("--engine", help="Where parts run: in processes here, or on Ray.", rich_help_panel="Where"),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Model = Annotated[str, typer.Option(help="copyloom-tiny, smollm2, a folder, or the hub id of a causal model.")]
Writer = Annotated[
    str | None, typer.Option("--model", help="smollm2, copyloom-tiny, a folder, or a hub id; smollm2 if it is here.")
]
Trust = Annotated[bool, typer.Option("--trust-remote-code", help="Run the code that a model brings with it.")]
DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, mps or neuron.")]
Subject = Annotated[Path | None, typer.Option(help="YAML record of the product that new texts are about.")]
Texts = Annotated[list[str] | None, typer.Option("--text", help="A text; give the option once for each.")]
File = Annotated[
    Path | None,
    typer.Option("--texts", help="One text a line, CSV, JSON lines, Parquet or Excel; - is standard input."),
]
Column = Annotated[str | None, typer.Option(help="Column of the texts: its name, or its number from 1.")]
AROUND = {"rich_help_panel": "Models and contexts"}
Before = Annotated[str, typer.Option(help="Text that stands before the vectors.", **AROUND)]
After = Annotated[str, typer.Option(help="Text that stands after the vectors.", **AROUND)]
Database = Annotated[str | None, typer.Option(help="Also add them to a pool: path of a SQLite file, or URL.")]
PoolName = Annotated[str, typer.Option("--pool", help="Name of that pool.")]

Shop = Annotated[str, typer.Option("--database", help="Path of a SQLite file, or a PostgreSQL URL.")]
Tenant = Annotated[str, typer.Option(help="Whose it is; a tenant sees nothing of another.")]
By = Annotated[str, typer.Option(help="In whose name; it stays on record.")]
Reason = Annotated[str, typer.Option(help="Why; it stays on record.")]
DEFAULT, NOBODY = "default", "the command line"
"""The tenant, and in whose name, unless given."""

NEEDED: Any = None
"""Default of an option that must be given, where `check_given` names all that are missing at once."""


def check_given(**options: object) -> None:
    """Raise `InputError` if one of the options, by their names in Python, was left out; the message names all."""
    missing = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is None]
    if missing:
        raise InputError(f"{' and '.join(missing)} must be given; --help says what each is")


def reads(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of how a file is read: its parameter ``reading`` takes them as a `Reading`."""
    return takes(Reading, *names, panel="How files are read; found out and said unless given", into="reading")


class Commands(typer.Typer):
    """Commands whose paths may begin with ``~``, which the shell leaves in ``--out=~/x``, and may not be empty."""

    def command(  # type: ignore[override]
        self, *names: str, **settings: Any
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Return a decorator that adds a command."""
        add = super().command(*names, **settings)
        return lambda command: add(_spelling_out_paths(command))


def _spelling_out_paths(command: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(command, eval_str=True)
    for one in signature.parameters.values():
        kind, *details = get_args(one.annotation) or [one.annotation]
        for detail in details if _is_path(kind) else ():
            detail.parser, detail.metavar = expanded, detail.metavar or "PATH"
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {name: one.annotation for name, one in signature.parameters.items()}
    return command


def _is_path(kind: Any) -> bool:
    return kind is Path or any(map(_is_path, get_args(kind)))


def output(help: str, *names: str) -> Any:
    """Return an option that names a file to write; whether it can be written is checked before any work is done."""
    return typer.Option(*names, help=help, callback=_checked)


def _checked(path: Path | None) -> Path | None:
    if path is not None:
        check_output(path)
    return path


def note_scripts(model: str, texts: Sequence[str]) -> None:
    """Say what to expect of texts in other scripts; see `experiments.texts.script_note`."""
    from experiments.texts import script_note

    if note := script_note(model, texts):
        console.notes.print(note)


def writer_for(model: str | None) -> str:
    """Return the model that was asked for; else the writer that people are shown, or the small one, which is said."""
    from generator.models import SHIPPED, WRITER, is_there

    if model is not None or is_there(WRITER):
        return model or WRITER
    note = f"{SHIPPED} writes, a small model for tests; for better copy: copyloom models get {WRITER}"
    console.notes.print(note)
    return SHIPPED
