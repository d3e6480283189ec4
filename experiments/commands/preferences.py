"""``copyloom study preferences``: which design choices of texts go with more clicks, and what raters see in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from copyloom import InputError
from copyloom.tables import Reading
from embeddings.folders import check_output
from experiments.commands import console
from experiments.commands.options import output, reads
from experiments.commands.studying import STUDY, Studied

_COLUMNS = {"rich_help_panel": "Columns of the log"}
_RATERS = {"rich_help_panel": "Raters"}


@reads("delimiter", "encoding", "sheet")
def preferences(
    source: Annotated[
        Path, typer.Argument(help="Run folder; or a table of texts, impressions and clicks, or of one event a row.")
    ],
    campaign: Annotated[str | None, typer.Option(help="One campaign of a run; the mean of all unless given.")] = None,
    coding: Annotated[
        Literal["auto", "rules", "styles"],
        typer.Option(help="How choices are read: by rules, or by the grammar's styles where it can read."),
    ] = "auto",
    name: Annotated[list[str] | None, typer.Option(help="A brand or product; once for each.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of tables, figure and page.")] = None,
    seed: Annotated[int, typer.Option(help="Of draws from the posterior, and of sheets.", min=0)] = 0,
    rater_sheet: Annotated[
        Path | None, output("Only write a sheet on which people rate the texts: CSV or HTML.", "--rater-sheet")
    ] = None,
    raters: Annotated[int, typer.Option(help="Sheets, each in its own order.", min=1, **_RATERS)] = 1,
    sheet_texts: Annotated[int, typer.Option(help="Texts on a sheet.", min=2, **_RATERS)] = 45,
    ratings: Annotated[
        list[Path] | None, typer.Option(help="A sheet that came back; once for each.", **_RATERS)
    ] = None,
    text: Annotated[str | None, typer.Option(help="The text.", **_COLUMNS)] = None,
    impressions: Annotated[str | None, typer.Option(help="How often it was shown.", **_COLUMNS)] = None,
    clicks: Annotated[str | None, typer.Option(help="How often it was clicked.", **_COLUMNS)] = None,
    within: Annotated[
        list[str] | None,
        typer.Option(help="Texts are compared within its values only: test, day; once for each.", **_COLUMNS),
    ] = None,
    attribute: Annotated[
        list[str] | None, typer.Option(help="A choice that was coded by hand; once for each.", **_COLUMNS)
    ] = None,
    *,
    reading: Reading,
) -> Studied:
    """Say which design choices of texts go with more clicks: part-worths with intervals, and what raters perceive."""
    from experiments.studies.preferences.coding import code
    from experiments.studies.preferences.log import Asked, read_log
    from experiments.studies.preferences.raters import compare, read_ratings, write_sheets
    from experiments.studies.preferences.report import write
    from experiments.studies.preferences.study import measure

    if rater_sheet is not None and ratings:
        raise InputError("--rater-sheet writes a sheet and --ratings reads them back; give one of them")
    if out is not None:
        check_output(out / STUDY)
    log = read_log(source, Asked(text, impressions, clicks, tuple(within or ()), tuple(attribute or ()), campaign),
                   reading)  # fmt: skip
    names = tuple(name or ())
    if rater_sheet is not None:
        files = write_sheets(log.texts, code(log.texts, coding, names), rater_sheet, raters, sheet_texts, seed)
        return Studied({}, lambda _: None, files=tuple(files))
    rated = None if not ratings else read_ratings(ratings, log.texts)
    with console.progress() as show:
        found = measure(log, coding, names, show, seed)
    if rated is not None:
        found["ratings"] = compare(rated, code(log.texts, coding, names).beside(log.own), seed)
    return Studied(found, _show, out and out / STUDY, tuple([] if out is None else write(found, out)))


def _show(found: Mapping[str, Any]) -> None:
    from experiments.studies.preferences.report import change, headline, inflation, label, logits, span

    for note in found["notes"]:
        console.out.print(note)
    console.out.print(
        f"{found['texts']:,} texts, {found['impressions']:,} impressions, {found['clicks']:,} clicks "
        f"({console.percent(found['base_rate'])}), compared within {found['compared_within']}; texts coded alike "
        f"differ by {found['text_sd']:.2f} logits (standard deviation)\n"
    )
    base = found["base_rate"]
    console.table("Choices", ["choice", "logits, 95 %", "clicks", "importance", "VIF", "evidence"], [
        [label(row), f"{logits(row['difference'])} ({span(row['low'], row['high'])})", change(row, base),
         console.percent(row["importance"]), inflation(row["vif"]),
         row["verdict"] + (f" from {row['tied_with']}" if row["tied_with"] else "")]
        for row in found["attributes"]])  # fmt: skip
    for row in found["left_out"]:
        console.out.print(f"left out: {row['attribute']}, {row['why']}")
    console.table("\nPart-worths, 0 within each attribute", ["level", "texts", "logits, 95 %", "clicks"], [
        [f"{row['attribute']}: {row['level']}", f"{row['texts']:,}",
         f"{logits(row['part_worth'])} ({span(row['low'], row['high'])})", change(row, base)]
        for row in found["part_worths"]])  # fmt: skip
    if found["ratings"]:
        _show_ratings(found["ratings"])
    console.out.print(f"\n{headline(found)}\n{found['comparisons']}\n{found['caveat']}")


def _show_ratings(found: Mapping[str, Any]) -> None:
    for rater, why in found["left_out"].items():
        console.out.print(f"left out: {rater}, who {why}")
    if found["unrated"]:
        console.out.print(f"{found['unrated']:,} answers are missing")
    console.table(f"\n{found['raters']} raters, {found['texts']} texts: are they perceived as they are meant?", [
        "texts", "rated", "mean marks", "difference", "95 %", "evidence"], [
        [f"{row['high']} beside {row['low']}", row["question"], "{:.2f} beside {:.2f}".format(*row["means"]),
         f"{row['difference']:+.2f}", console.span(row["interval"], "+.2f"), row["verdict"]]
        for row in found["perceived"]])  # fmt: skip
    console.table("\nAgreement of raters", ["question", "Krippendorff's alpha", "95 %", "mean mark"], [
        [row["question"], "-" if row["alpha"] is None else f"{row['alpha']:.2f}",
         console.span(row["interval"], ".2f"), f"{row['mean']:.2f}"]
        for row in found["agreement"]])  # fmt: skip
    if one := found["rank_correlation"]:
        console.out.print("Rank correlation of emotional words and emotional marks: {:.2f} ({:.2f} to {:.2f})".format(
            one["value"], *one["interval"]))  # fmt: skip
