"""``copyloom study elm``: what a language model says of points of films' and products' spaces."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from experiments.commands import console
from experiments.commands.options import DeviceName
from experiments.commands.settings import takes
from experiments.commands.studying import STUDY, Studied, prepared, show_report, usual_data
from experiments.studies.elm.settings import QUICK, ElmStudy

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
    from experiments.studies.elm import report
    from experiments.studies.elm.study import measure

    place, settings = prepared(ElmStudy, folder, QUICK if quick else None, {"tasks": tuple(task or ()), **asked})
    with console.progress() as show:
        found = measure(settings, usual_data(data, "films and products"), place, device, show)
    return Studied(found, partial(show_report, report), place / STUDY, tuple(report.write(found, place)))
