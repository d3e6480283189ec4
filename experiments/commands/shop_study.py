"""``copyloom study storefront``: a shop's alarms, estimates from its log, and mixing, driven over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from embeddings.folders import check_output
from experiments.commands import console
from experiments.commands.serving import need
from experiments.commands.studying import STUDY, Studied


def study_storefront(
    out: Annotated[Path, typer.Option(help="Folder of what was played; the same command goes on there.")] = Path(
        "runs/study-storefront"
    ),
    alike: Annotated[int, typer.Option(help="Campaigns of each scene whose texts are equally good.", min=0)] = 100,
    counted: Annotated[int, typer.Option(help="More of these that learn nothing, without HTTP.", min=0)] = 200,
    unlike: Annotated[int, typer.Option(help="Of each scene in which texts differ.", min=0)] = 30,
    harm: Annotated[int, typer.Option(help="Of each scene in which something is wrong.", min=0)] = 15,
    pairs: Annotated[int, typer.Option(help="Campaigns with mixing, each beside one without.", min=0)] = 10,
    rounds: Annotated[int, typer.Option(help="Snapshots of these.", min=1)] = 30,
    visits: Annotated[int, typer.Option(help="Visits from one of their snapshots to the next.", min=20)] = 750,
) -> Studied:
    """Measure how often a shop's alarms ring, what its log says of other policies, and what mixing brings."""
    need("fastapi", "httpx", "limits", "prometheus_client", "structlog", "uvicorn", extra="serve,client")
    from experiments.studies.storefront.study import run

    check_output(out / STUDY)
    with console.progress() as report:
        found = run(out, alike, counted, unlike, harm, pairs, report, rounds, visits)
    return Studied(found, _show, out / STUDY)


def _show(found: dict[str, Any]) -> None:
    if found["alarms"]:
        console.table("Alarms that ever rang, a look after each batch of visits", [
            "campaigns", "alarm", "stated", "rang", "95 %", "median visits"], [
            [row["scene"], row["alarm"], console.percent(row["stated"]), f"{row['rang']} of {row['campaigns']}",
             _bounds(row["interval"]), "-" if row["visits"] is None else f"{row['visits']:,.0f}"]
            for row in found["alarms"]])  # fmt: skip
    if found["estimates"]:
        console.table("Estimates from the service's log", [
            "campaigns", "target", "estimator", "log", "truth", "bias", "95 %", "intervals that hold it", "95 %"], [
            [row["scene"], row["target"], row["estimator"],
             "can tell" if row["enough_evidence"] else "all", console.percent(row["truth"]), _points(row["bias"]),
             "-" if row["bias_interval"] is None else " to ".join(map(_points, row["bias_interval"])),
             f"{row['held']} of {row['campaigns']}", _bounds(row["interval"])]
            for row in found["estimates"]])  # fmt: skip
    if found["mixing"]:
        _show_mixing(found["mixing"])
    console.out.print(f"{found['campaigns']} campaigns, {found['faults']} faults in their ledgers")


def _show_mixing(found: dict[str, Any]) -> None:
    console.table(f"Mean true click rate, {found['pairs']} pairs of shops that met the same shoppers", [
        "over", "with mixing", "without", "uplift", "95 %"], [
        [words, console.percent(found[key]["with"]), console.percent(found[key]["without"]),
         console.percent(found[key]["uplift"], signed=True), console.interval(found[key]["uplift_interval"])]
        for key, words in (("whole", "the whole run"), ("end", "its last fifth"))])  # fmt: skip
    console.out.print(
        f"Stored texts: {console.percent(found['uniform'])} on average, the best "
        f"{console.percent(found['best_stored'])}; the best on the slates {console.percent(found['best_on_slate'])}.\n"
        f"Refused: {found['refused']} of {found['written']} mixtures, {found['rewritten_refused']} of "
        f"{found['rewritten']} rewritten texts. Written texts had {console.percent(found['written_shown'])} of visits, "
        f"unreadable ones {console.percent(found['unreadable_shown'])}. {found['turned_off']} slots were turned off."
    )


def _bounds(bounds: list[float]) -> str:
    return f"{bounds[0]:.1%} to {bounds[1]:.1%}"


def _points(value: float) -> str:
    return f"{100 * value:+.2f}"
