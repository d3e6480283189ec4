"""``copyloom study elm``: what a language model says of points of films' and products' spaces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from copyloom import InputError
from embeddings.folders import check_output
from experiments.commands import console
from experiments.commands.options import DeviceName
from experiments.commands.settings import takes
from experiments.commands.studying import STUDY, Studied, source
from experiments.studies.elm.settings import QUICK, ElmStudy
from generator.settings import validated

_ASKED = ("model", "prompted", "judge", "entities", "questions", "pairs", "adapter_steps", "steps", "rows", "rank",
          "feedback_steps", "tokens", "people", "seed")  # fmt: skip
_UNLESS_QUICK: Any = dict.fromkeys(_ASKED)
"""None of them has a default on the command line, so that those of --quick are not overruled."""


@takes(ElmStudy, *_ASKED, **_UNLESS_QUICK)
def elm(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder that holds movielens-latest-small, movies-wikipedia and the two products- folders."),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--folder", help="Of model, answers, tables, figures and page; a stopped study goes on.")
    ] = Path("runs/study-elm"),
    task: Annotated[
        list[str] | None, typer.Option(help="Taught and asked, such as 'describe'; once for each. All unless given.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small model that learns little: within minutes.")] = False,
    *,
    asked: dict[str, Any],
    device: DeviceName = "auto",
) -> Studied:  # fmt: skip
    """Teach a language model to answer 30 kinds of questions about points, and ask it of held-out ones."""
    from experiments.studies.elm.report import write
    from experiments.studies.elm.study import measure

    place = folder / "quick" if quick else folder
    check_output(place / STUDY)
    settings = validated(ElmStudy, {**(QUICK if quick else {}), "tasks": tuple(task or ()), **asked}, source())
    with console.progress() as show:
        found = measure(settings, data or usual_data(), place, device, show)
    return Studied(found, _show, place / STUDY, tuple(write(found, place)))


def usual_data() -> Path:
    """Return the folder of data beside the checkout."""
    from experiments.corpora.real_texts import shared_data

    folder = shared_data()
    if folder is None:
        raise InputError("there is no folder of films and products beside the project; name one with --data")
    return folder


def _show(found: Mapping[str, Any]) -> None:
    from experiments.studies.elm import report

    console.out.print(report.lead(found))
    for title, columns, rows in report.for_console(found):
        console.table(title, columns, rows)
    for line in [*report.answers(found), report.NOTE]:
        console.out.print(line)
