"""``copyloom bench load``: what the HTTP service takes on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from embeddings.folders import check_output
from experiments.commands import console
from experiments.commands.options import Json


def bench_load(
    database: Annotated[
        str | None, typer.Option(help="URL of an empty PostgreSQL database; a new file of SQLite unless given.")
    ] = None,
    seconds: Annotated[int, typer.Option(help="Of each run.", min=2)] = 20,
    out: Annotated[Path, typer.Option(help="JSON file of what was measured.")] = Path("runs/bench-load.json"),
    as_json: Json = False,
) -> None:
    """Measure requests a second and their latency, durable writes and client included, beside a route without work."""
    from experiments.benchmarks.load.run import measure, show

    check_output(out)
    with console.progress() as report:
        found = measure(database, seconds, report)
    console.deliver(found, show, as_json, out)
