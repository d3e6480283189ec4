"""``copyloom bench study``: what a study of several policies takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands import console
from experiments.commands.options import Json, Model, output


def bench_study(
    seeds: Annotated[int, typer.Option(help="Tastes; the smaller studies have a quarter and a half.", min=4)] = 50,
    rounds: Annotated[int, typer.Option(help="Snapshots of a campaign; fewer in the same way.", min=4)] = 40,
    impressions: Annotated[int, typer.Option(help="Of a campaign.", min=40)] = 50_000,
    out: Annotated[Path | None, output("Write the numbers to this JSON file.")] = None,
    model: Model = "copyloom-tiny",
    as_json: Json = False,
) -> None:
    """Measure what a study of five policies takes, decoding included, and how that grows with seeds and rounds."""
    from experiments.benchmarks.study import measure, show

    with console.progress() as report:
        found = measure(seeds, rounds, impressions, model, report)
    console.deliver(found, show, as_json, out)
