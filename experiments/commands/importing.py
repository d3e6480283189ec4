"""``copyloom import``: what texts earned elsewhere, for the next campaign."""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from copyloom import InputError
from copyloom.tables import Reading
from embeddings.folders import replacing
from experiments.commands import console
from experiments.commands.options import DEFAULT, NOBODY, By, Column, Json, Tenant, output, reads

_COLUMNS = {"rich_help_panel": "Columns and rows, where they cannot be found out"}
_FIRST = 10


@reads("delimiter", "encoding", "sheet")
def import_results(
    file: Annotated[
        Path, typer.Argument(help="Export of Google Ads, Meta, GrowthBook, PostHog, or any table; - is standard input.")
    ],
    out: Annotated[Path | None, output("Write text, impressions and clicks to this CSV, a `past` of a prior.")] = None,
    database: Annotated[str | None, typer.Option(help="Of the slot: path of a SQLite file, or PostgreSQL URL.")] = None,
    slot: Annotated[str, typer.Option(help="Also give the texts to this slot, for another person's approval.")] = "",
    names: Annotated[
        Path | None, typer.Option(help="Table of name and text: what variations or ads stand for.")
    ] = None,
    column: Column = None,
    impressions: Annotated[str, typer.Option(help="How often a text was shown.", **_COLUMNS)] = "",
    clicks: Annotated[str, typer.Option(help="How often it was clicked.", **_COLUMNS)] = "",
    metric: Annotated[str, typer.Option(help="Metric, or step of a funnel, that counts as click.", **_COLUMNS)] = "",
    where: Annotated[
        list[str] | None, typer.Option(help="Rows that count, as 'Asset type=Headline'; once for each.", **_COLUMNS)
    ] = None,
    tenant: Tenant = DEFAULT,
    by: By = NOBODY,
    *,
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Read what texts earned elsewhere: to begin a campaign with, and as texts of a slot. Wrong rows are named."""
    from experiments.counts import Columns, read_results

    if bool(slot) != (database is not None):
        raise InputError("--slot and --database belong together; give both, or neither")
    asked = Columns(column or "", impressions, clicks, metric, _pairs(where or []))
    found = read_results(file, asked, names, reading)
    if out is not None:
        with replacing(out) as partial, partial.open("w", encoding="utf-8", newline="") as past:
            writer = csv.writer(past)
            writer.writerow(["text", "impressions", "clicks"])
            writer.writerows(found.counts)
    added = None if database is None else _add(database, tenant, slot, [text for text, _, _ in found.counts], by)
    data = {**asdict(found), "counts": [{"text": text, "impressions": shown, "clicks": clicked}
                                        for text, shown, clicked in found.counts],
            "out": out and str(out), "slot": slot or None, "added": added}  # fmt: skip
    console.deliver(data, _show, as_json)


def _add(database: str, tenant: str, slot: str, texts: list[str], by: str) -> list[str]:
    from experiments.storefront.review import write_new
    from experiments.storefront.slots import Slots, open_storefront

    engine = open_storefront(database, create=False)
    return write_new(engine, Slots(engine), tenant, slot, texts, by)


def _pairs(where: list[str]) -> dict[str, str]:
    found = {}
    for one in where:
        name, equals, value = one.partition("=")
        if not equals or not name.strip():
            raise InputError(
                f"--where {one!r} was given; write a column and what stands in it, as 'Asset type=Headline'"
            )
        found[name.strip()] = value.strip()
    return found


def _show(found: dict[str, Any]) -> None:
    counts = sorted(found["counts"], key=lambda one: -one["impressions"])
    rows = [[one["text"], f"{one['impressions']:,}", f"{one['clicks']:,}",
             console.percent(one["clicks"] / one["impressions"] if one["impressions"] else None)]
            for one in counts[:_FIRST]]  # fmt: skip
    whose = f", {found['tool']}" if found["tool"] else ""
    title = f"{found['name']}{whose}: {len(counts):,} texts of {found['rows']:,} rows"
    console.table(title, ["text", "shown", "clicked", "rate"], rows)
    text, shown, clicked = found["columns"]
    console.out.print(f"Columns: {text!r} shown {shown!r} times, clicked {clicked!r}")
    if found["left_out"]:
        console.out.print("Left out: " + ", ".join(f"{many:,} {why}" for why, many in found["left_out"].items()))
    if found["out"]:
        console.out.print(
            f"Written: {found['out']}; begin with it by the setting prior: {{text_prior: {{past: FILE}}}}"
        )
    if found["added"] is not None:
        console.out.print(f"Slot {found['slot']}: {len(found['added']):,} new texts wait for another person's approval")
