"""``copyloom study uplift``: does mixing beat picking, and other ways to new texts, in drawn worlds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from embeddings.folders import keep_result
from experiments.commands import console
from experiments.commands.options import EngineName, Processes, output
from experiments.commands.settings import takes
from experiments.commands.studying import STUDY, Studied, prepared
from experiments.studies.uplift.settings import ENTRANTS, MIX, STORED, UpliftStudy

QUICK = {"worlds": ("grammar",), "impressions": (10_000,), "subjects": 2, "seeds": 4, "rounds": 10, "warm_up": 64,
         "entrants": (MIX, STORED), "editor": False}  # fmt: skip


@takes(
    UpliftStudy, "subjects", "seeds", "rounds", "base_rate", "model", "seed", "warm_up", "asked", "endpoint",
    "human_texts", "editor", subjects=None, seeds=None, rounds=None, asked=None, editor=None,
)  # fmt: skip
def uplift(
    entrants: Annotated[
        str | None,
        typer.Option(help=f"Of {', '.join(ENTRANTS)}, with commas between; all that this machine can run unless given. "
                          "Mix and stored always play."),
    ] = None,
    worlds: Annotated[
        list[str] | None, typer.Option("--world", help="grammar, sentence-space, unseen-space or words; once for each.")
    ] = None,
    impressions: Annotated[
        list[int] | None, typer.Option(help="Of a campaign; give the option once for each level of traffic.")
    ] = None,
    pools: Annotated[list[int] | None, typer.Option("--pool", help="Stored texts; once for each size.")] = None,
    half_lives: Annotated[
        list[float] | None,
        typer.Option("--half-life", help="Snapshots until tastes are half what they were; 0: never; once for each."),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--folder", help="Where what was played is kept: a stopped study goes on.")
    ] = Path("runs/study-uplift"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Four small campaigns of mix and stored, to see that all works.")
    ] = False,
    report: Annotated[
        Path | None, output("Write a page with curves, tables and what they mean to this HTML file.")
    ] = None,
    *,
    asked: dict[str, Any],
    engine: EngineName = "processes",
    processes: Processes = None,
) -> Studied:  # fmt: skip
    """Measure what mixing, and other ways to new texts, bring against the same bandit on stored texts alone."""
    from experiments.engines import Engine
    from experiments.studies.uplift.plot import draw
    from experiments.studies.uplift.study import able, measure

    chosen = Engine(engine, processes)
    many = {"worlds": worlds, "impressions": impressions, "pools": pools, "half_lives": half_lives}
    given = {name: tuple(values) for name, values in many.items() if values}
    if entrants is not None:
        given["entrants"] = tuple(name.strip() for name in entrants.split(",") if name.strip())
    place, settings = prepared(UpliftStudy, folder, QUICK if quick else None, {**asked, **given})
    if entrants is None and not quick:
        settings = settings.model_copy(update={"entrants": able(settings)})
    with console.progress() as show:
        found = measure(settings, place, show, chosen)
    draw(found, place)
    if report is not None:
        from experiments.studies.uplift.report import write

        keep_result(report, lambda path: write(found, path))
    return Studied(found, _show, place / STUDY, (report,) if report else ())


def _show(found: Mapping[str, Any]) -> None:
    from experiments.studies.uplift.plot import setting_in_words
    from experiments.studies.uplift.study import NOTE, SHORT, in_words, interval_in_words

    for group in found["groups"]:
        console.table(
            setting_in_words(group), list(SHORT), [[row[name] for name in SHORT] for row in in_words([group])]
        )
        console.out.print(
            f"Stored texts: {group['ctr_uniform']:.2%} all alike, {group['ctr_best_stored']:.2%} the best."
        )
    console.out.print(NOTE)
    for name, one in found["entrants"].items():
        if name not in (MIX, STORED):
            console.out.print(f"mix ends {one['mix_gains']:+.1%} from {name} "
                              f"({interval_in_words(one['mix_gains_interval'])}), over all campaigns.")  # fmt: skip
