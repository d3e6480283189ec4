"""``copyloom study eagle``: films edited for audiences, by agents and by what costs as much."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from experiments.commands import console
from experiments.commands.options import DeviceName
from experiments.commands.settings import takes
from experiments.commands.studying import STUDY, Studied, prepared, show_report, usual_data
from experiments.studies.eagle.settings import QUICK, EagleStudy

_ASKED = (
    "asked", "endpoint", "judge", "actions", "entities", "learning", "films", "calls", "horizon", "learning_calls",
    "iterations", "rollouts", "kl_weight", "price", "slack", "novelty", "gaps", "seeds", "tokens", "seed",
)  # fmt: skip
_UNLESS_QUICK: Any = dict.fromkeys(_ASKED)
"""None of them has a default on the command line, so that those of --quick are not overruled."""


@takes(EagleStudy, *_ASKED, **_UNLESS_QUICK)
def eagle(
    data: Annotated[
        Path | None, typer.Option(help="Folder that holds movielens-latest-small and movies-wikipedia.")
    ] = None,
    folder: Annotated[
        Path, typer.Option("--folder", help="Of changes, tables, figures and page; a stopped study goes on.")
    ] = Path("runs/study-eagle"),
    audiences: Annotated[
        list[str] | None,
        typer.Option("--for", help="average, a genre or 'person 17', with ' + new' where what is new counts; once for "
                                   "each."),
    ] = None,
    elm: Annotated[
        Path | None, typer.Option(help="Folder of an ELM that writes too, such as runs/study-elm/trained.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A model that does not do as asked: within minutes.")] = False,
    *,
    asked: dict[str, Any],
    device: DeviceName = "auto",
) -> Studied:  # fmt: skip
    """Edit held-out films, step by step, until an audience would like them: agents beside their reference policies."""
    from experiments.studies.eagle import report
    from experiments.studies.eagle.study import measure

    given = {"audiences": tuple(audiences)} if audiences else {}
    place, settings = prepared(EagleStudy, folder, QUICK if quick else None, {**given, **asked})
    with console.progress() as show:
        found = measure(settings, usual_data(data, "films"), place, device, elm, show)
    return Studied(found, partial(show_report, report), place / STUDY, tuple(report.write(found, place)))
