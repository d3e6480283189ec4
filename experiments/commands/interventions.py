"""``copyloom study interventions``: ways of steering, inside the model and at the point, compared at equal effect."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from experiments.commands import console
from experiments.commands.options import DeviceName
from experiments.commands.settings import takes
from experiments.commands.studying import STUDY, Studied, prepared
from experiments.studies.interventions.settings import QUICK, InterventionStudy

_ASKED = ("texts", "validation", "products", "layers", "strengths", "ranges", "target", "model", "seed")
_UNLESS_QUICK: Any = dict.fromkeys(_ASKED)
"""None of them has a default on the command line, so that those of --quick are not overruled."""


@takes(InterventionStudy, *_ASKED, **_UNLESS_QUICK)
def interventions(
    wish: Annotated[
        list[str] | None, typer.Option(help="A style of the grammar; once for each. Emotional, urgent and luxury.")
    ] = None,
    folder: Annotated[
        Path, typer.Option("--folder", help="Of tables, figures and page; a stopped study goes on.")
    ] = Path("runs/study-interventions"),
    quick: Annotated[bool, typer.Option("--quick", help="One style, few texts and layers: within a minute.")] = False,
    *,
    asked: dict[str, Any],
    device: DeviceName = "auto",
) -> Studied:  # fmt: skip
    """Compare ways to steer: moved points, activation addition, in-context vectors, shifted attention heads."""
    from experiments.studies.interventions.report import write
    from experiments.studies.interventions.study import measure

    given = {"wishes": tuple(wish)} if wish else {}
    place, settings = prepared(InterventionStudy, folder, QUICK if quick else None, {**asked, **given})
    with console.progress() as show:
        found, texts = measure(settings, place, device, show)
    return Studied(found, _show, place / STUDY, tuple(write(found, texts, place)))


def _show(found: Mapping[str, Any]) -> None:
    from experiments.studies.interventions.report import for_console

    for title, columns, rows in for_console(found):
        console.table(title, columns, rows)
    console.out.print(
        "\nEffect: in the wished style, and readable; !: at most. Cosine: to the text left. True: names the product\n"
        "and nothing that its record lacks. Nats: a token, more than the text left. Cost: of the three, 0 to 1.\n"
        f"\n{found['verdict']}\n{found['note']}"
    )
