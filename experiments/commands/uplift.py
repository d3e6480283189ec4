"""``copyloom study uplift``: does mixing beat picking, in drawn worlds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from embeddings.folders import check_output
from experiments.commands import console
from experiments.commands.options import EngineName, Processes
from experiments.commands.settings import takes
from experiments.commands.studying import STUDY, Studied
from experiments.studies.uplift.settings import UpliftStudy
from generator.settings import validated

QUICK = {"worlds": ("grammar",), "impressions": (10_000,), "subjects": 2, "seeds": 4, "rounds": 10, "warm_up": 64}


@takes(
    UpliftStudy, "subjects", "seeds", "rounds", "base_rate", "model", "seed", "warm_up",
    subjects=None, seeds=None, rounds=None,
)  # fmt: skip
def uplift(
    worlds: Annotated[
        list[str] | None, typer.Option("--world", help="grammar, sentence-space, unseen-space or words; once for each.")
    ] = None,
    impressions: Annotated[
        list[int] | None, typer.Option(help="Of a campaign; give the option once for each level of traffic.")
    ] = None,
    pools: Annotated[list[int] | None, typer.Option("--pool", help="Stored texts; once for each size.")] = None,
    folder: Annotated[
        Path, typer.Option("--folder", help="Where what was played is kept: a stopped study goes on.")
    ] = Path("runs/study-uplift"),
    quick: Annotated[bool, typer.Option("--quick", help="Four small campaigns, to see that all works.")] = False,
    *,
    asked: dict[str, Any],
    engine: EngineName = "processes",
    processes: Processes = None,
) -> Studied:
    """Measure what mixing brings against the same bandit on stored texts alone, and costs where it cannot help."""
    from experiments.campaigns.memo import usual_folder
    from experiments.engines import Engine
    from experiments.studies.uplift.study import measure

    chosen = Engine(engine, processes)
    check_output(folder / STUDY)
    many = {"worlds": worlds, "impressions": impressions, "pools": pools}
    given = {name: tuple(values) for name, values in many.items() if values}
    settings = validated(UpliftStudy, {**(QUICK if quick else {}), **asked, **given}, "the command line")
    with console.progress() as report:
        found = measure(settings, folder / "quick" if quick else folder, report, chosen, usual_folder())
    return Studied(found, _show, folder / STUDY)


def _show(found: Mapping[str, Any]) -> None:
    from experiments.studies.uplift.study import CAPTION, COLUMNS, in_words

    console.table(CAPTION, COLUMNS, [in_words(group) for group in found["groups"]])
    for group in found["groups"]:
        console.out.print(
            f"{group['world']}: {group['ctr_mix']:.2%} with mixing, {group['ctr_stored']:.2%} without; stored texts: "
            f"{group['ctr_uniform']:.2%} all alike, {group['ctr_best_stored']:.2%} the best. "
            f"{group['texts_written']:.0f} texts written, {group['refused_share']:.0%} refused, "
            f"{group['unreadable_share']:.1%} of impressions unreadable."
        )
