"""``copyloom study space``: qualities of spaces, whether their cosine can be trusted, and what people want of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from copyloom import InputError
from copyloom.tables import Reading
from embeddings.folders import check_output
from experiments.commands import console
from experiments.commands.options import Column, DeviceName, File, Trust, reads
from experiments.commands.settings import takes
from experiments.commands.studying import STUDY, Studied
from experiments.studies.space.settings import SpaceStudy

_QUICK: dict[str, Any] = {"count": 90, "mixtures": 24, "tastes": 20, "refine_mean": False, "runs": False}
_ASKED: dict[str, Any] = dict.fromkeys(("count", "mixtures", "tastes", "seed", "refine_mean", "runs"))
"""Without defaults: what is not asked for is as usual, or as ``--quick`` has it."""


@takes(SpaceStudy, *_ASKED, **_ASKED)
@reads("delimiter", "encoding", "sheet", "header")
def study_space(
    model: Annotated[
        list[str] | None,
        typer.Option(help="copyloom-tiny, smollm2, a folder or a hub id; once for each. The shipped ones if here."),
    ] = None,
    texts: File = None,
    column: Column = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="copyloom-tiny, fewer texts, no training: within a minute.")
    ] = False,
    out: Annotated[
        Path, typer.Option(help="Folder of numbers, tables, figures and page; and of what is trained.")
    ] = Path("runs/study-space"),
    *,
    asked: dict[str, Any],
    reading: Reading,
    device: DeviceName = "auto",
    trust_remote_code: Trust = False,
) -> Studied:
    """Say whether the cosine of a space can be trusted: its qualities, and what people want of it."""
    from experiments.studies.space.report import write
    from experiments.studies.space.study import measure
    from experiments.texts import read_texts

    if column is not None and texts is None:
        raise InputError("--column is of a table of texts; give it with --texts")
    check_output(out / STUDY)
    chosen = (_QUICK if quick else {}) | asked
    settings = SpaceStudy(models=_models(model, quick), device=device, trust_remote_code=trust_remote_code, **chosen)
    given = None if texts is None else read_texts(texts, column, reading)
    with console.progress() as show:
        found = measure(settings, given, out, show)
    return Studied(found, _show, out / STUDY, tuple(write(found, out)))


def _models(given: list[str] | None, quick: bool) -> tuple[str, ...]:
    """Return the models to compare: copyloom-tiny, and smollm2 if it is here and time allows, unless others are given.

    Their names alone are asked for, so that bad ones are named before any work is done.
    """
    from generator.models import SHIPPED, WRITER, is_there

    return tuple(given or ((SHIPPED,) if quick or not is_there(WRITER) else (SHIPPED, WRITER)))


def _show(found: Mapping[str, Any]) -> None:
    from experiments.studies.space import report

    console.out.print(f"{found['texts']} texts: {found['source']}")
    for model in found["models"]:
        rows = [row for row in found["spaces"] if row["model"] == model]
        console.table(f"\n{model}: qualities", report.SHORT, list(map(report.short_cells, rows)))
        console.table("What people want", report.SHORT_WANTED, list(map(report.short_wanted_cells, rows)))
    if some := report.telling(found["correlations"]):
        tried = sum(row["correlation"] is not None for row in found["correlations"])
        console.table(
            f"\n{len(some)} of {tried} correlations stand out",
            report.CORRELATED,
            list(map(report.correlation_cells, some)),
        )
    console.out.print(f"\n{report.LEGEND}\n{report.MEANT}\n")
    for line in [*report.answers(found), *found["notes"]]:
        console.out.print(line)
